use std::ffi::OsStr;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::binary;

/// How a command ended and what it printed.
#[derive(Clone, Debug)]
pub struct Run {
    /// The words after `althing`.
    pub words: String,
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// The binary with these words and nothing of the surrounding environment that it would read.
pub fn althing(words: &[impl AsRef<OsStr>]) -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ALTHING_") {
            command.env_remove(name);
        }
    }
    command
        .env("HOME", "/nonexistent")
        .env_remove("XDG_DATA_HOME")
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("NO_COLOR");
    command.args(words).stdin(Stdio::null());
    command
}

/// Runs the binary to its end.
///
/// # Panics
/// When it cannot be started.
pub fn run(words: &[impl AsRef<OsStr>]) -> Run {
    let output = althing(words).output().expect("the binary starts");
    Run {
        words: words
            .iter()
            .map(|word| word.as_ref().to_string_lossy().into_owned())
            .collect::<Vec<_>>()
            .join(" "),
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Run {
    /// The same, if it ended with this code.
    ///
    /// # Panics
    /// When it did not.
    #[must_use]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// The same, if standard error holds this text.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "expected {text:?} in the error of {self:#?}");
        self
    }

    /// The one JSON document on standard output, whose first field is this schema.
    ///
    /// # Panics
    /// When there is none, or more.
    #[must_use]
    pub fn json(&self, schema: &str) -> Value {
        let parsed = serde_json::from_str(&self.stdout);
        let json: Value =
            parsed.unwrap_or_else(|error| panic!("expected one JSON document: {error} in {self:#?}"));
        let first = json.as_object().and_then(|fields| fields.iter().next());
        assert_eq!(first, Some((&"schema".to_owned(), &Value::from(schema))), "{self:#?}");
        json
    }
}
