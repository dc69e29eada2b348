use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use althing_tests::{Home, binary};

use crate::memory::Memory;
use crate::session::Step;

/// How long a command may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Where a reader would type the commands.
pub(crate) struct Terminal {
    dir: Home,
    memory: Memory,
    /// Whether what was started last runs on.
    background: Vec<Child>,
}

impl Terminal {
    /// A fresh one: an empty home, the examples, the binary on the path.
    pub(crate) fn new() -> Self {
        let dir = Home::new();
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").canonicalize().unwrap();
        symlink(examples, dir.join("examples")).unwrap();
        std::fs::create_dir(dir.join("bin")).unwrap();
        symlink(binary(), dir.join("bin/althing")).unwrap();
        Self { dir, memory: Memory::new(), background: Vec::new() }
    }

    /// Runs a command and compares what it prints.
    pub(crate) fn run(&mut self, step: &Step) -> Result<(), String> {
        let dir = self.dir.path().display().to_string();
        let command = self.memory.fill(&step.command)?.replace("/tmp/", &format!("{dir}/"));
        let stays = runs_on(&step.command);
        // A terminal shows both; the log of a node is the one thing that documents leave out.
        let errors = if stays { "2>/dev/null" } else { "2>&1" };
        let path = format!("{dir}/bin:{}", std::env::var("PATH").unwrap_or_default());
        let mut child = Command::new("bash")
            .args(["-c", &format!("{}{command} {errors}", if stays { "exec " } else { "" })])
            .current_dir(&dir)
            .env_clear()
            .envs([("PATH", path.as_str()), ("HOME", &dir), ("NO_COLOR", "1"), ("LANG", "C.UTF-8")])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let compared = self.compare(step, &lines, &dir, stays);
        if stays {
            self.background.push(child);
        } else {
            let _ = child.kill();
            let _ = child.wait();
        }
        compared
    }

    fn compare(
        &mut self,
        step: &Step,
        lines: &Receiver<String>,
        dir: &str,
        stays: bool,
    ) -> Result<(), String> {
        let deadline = Instant::now() + LIMIT;
        let mut printed = Vec::new();
        let mut next = || match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                let line = line.replace(&format!("{dir}/"), "/tmp/");
                printed.push(line.clone());
                Ok(Some(line))
            }
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => Err(format!("it did not print that within {LIMIT:?}")),
        };
        let mut any = false;
        let mut failed = None;
        for shown in &step.output {
            if shown == "…" {
                any = true;
                continue;
            }
            failed = loop {
                match next() {
                    Err(cause) => break Some(format!("{cause}: {shown}")),
                    Ok(None) => break Some(format!("it does not print: {shown}")),
                    Ok(Some(line)) if self.memory.matches(shown, &line) => break None,
                    Ok(Some(_)) if any => {}
                    Ok(Some(line)) => break Some(format!("it prints: {line}\ninstead of: {shown}")),
                }
            };
            any = false;
            if failed.is_some() {
                break;
            }
        }
        // All of it is shown, unless a document shows nothing or says that there is more.
        while failed.is_none() && !stays && !step.output.is_empty() {
            match next() {
                Err(cause) => failed = Some(cause),
                Ok(Some(line)) if !any => failed = Some(format!("it prints more: {line}")),
                Ok(Some(_)) => {}
                Ok(None) => break,
            }
        }
        // Of what runs on, the first line says that it is there.
        while failed.is_none() && step.output.is_empty() && next()?.is_some() && !stays {}
        failed.map_or(Ok(()), |cause| Err(format!("{cause}\nall it printed:\n{}", printed.join("\n"))))
    }
}

/// Whether a command does not end by itself.
fn runs_on(command: &str) -> bool {
    let words: Vec<_> = command.split_whitespace().collect();
    let up = words.starts_with(&["althing", "up"]) && !words.contains(&"-d") && !words.contains(&"--detach");
    up || words.contains(&"--follow") || words.contains(&"--watch")
}

impl Drop for Terminal {
    fn drop(&mut self) {
        for child in &mut self.background {
            let _ = child.kill();
            let _ = child.wait();
        }
        // What runs on by itself, such as a testnet, ends by its own means.
        let home = self.dir.path();
        let _ = Command::new(binary())
            .args(["testnet", "down"])
            .env("HOME", home)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}
