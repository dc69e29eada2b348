use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{Run, run};

/// A node in the background, started by `up --detach`. It is killed when dropped.
#[derive(Debug)]
pub struct Background {
    home: PathBuf,
    up: Value,
}

impl Background {
    /// The words that start a node on loopback with ports that the kernel chooses.
    #[must_use]
    pub fn words(home: &Path, more: &[&str]) -> Vec<String> {
        let home = home.display().to_string();
        let words = ["--home", &home, "up", "--listen", "/ip4/127.0.0.1/tcp/0", "--profile", "testnet"];
        words.iter().chain(more).map(|word| (*word).to_owned()).collect()
    }

    /// Starts one.
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    pub fn up(home: &Path, more: &[&str]) -> Self {
        let started = run(&Self::words(home, &[&["--json", "--detach"], more].concat())).expect(0);
        Self { home: home.to_owned(), up: started.json("althing.up/v1") }
    }

    /// What `up` printed.
    #[must_use]
    pub fn up_document(&self) -> &Value {
        &self.up
    }

    /// Its process.
    ///
    /// # Panics
    /// When `up` printed none.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.up["pid"].as_u64().and_then(|pid| pid.try_into().ok()).expect("up prints the pid")
    }

    /// Whether its process is there, as more than a remnant.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
        stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
    }

    /// Runs a command on this node.
    #[must_use]
    pub fn run(&self, words: &[&str]) -> Run {
        let home = self.home.display().to_string();
        run(&[&["--home", &home], words].concat())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if self.is_alive() {
            // Nothing else can have its pid: it is alive, and nobody but the system reaps it.
            let _ = std::process::Command::new("kill").args(["-KILL", &self.pid().to_string()]).status();
        }
    }
}
