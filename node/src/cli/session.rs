use std::path::{Path, PathBuf};
use std::time::Duration;

use althing_gateway::{Client, ClientError};
use tokio::runtime::{Builder, Runtime};

use super::failure::{Exit, Failure};
use super::page::Page;
use super::trace::Trace;
use crate::settings::{Key, Settings, Sources};

/// How long a command may take unless the user says otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What commands need to know: which node, and how long to wait.
#[derive(Debug)]
pub(crate) struct Session {
    home: Result<PathBuf, Failure>,
    home_flag: String,
    timeout: Option<Duration>,
    trace: Trace,
}

impl Session {
    pub(crate) fn new(sources: &Sources, timeout: Option<Duration>, trace: Trace) -> Self {
        let given = sources.flags.get(&Key::Home).and_then(|texts| texts.first());
        let home_flag = given.map_or_else(String::new, |home| format!(" --home {}", quoted(home)));
        Self { home: Settings::home(sources).map_err(Failure::from), home_flag, timeout, trace }
    }

    /// What other commands have to be given to reach the same node, with a blank before it; empty if they need nothing.
    pub(crate) fn home_flag(&self) -> &str {
        &self.home_flag
    }

    /// The node's directory.
    ///
    /// # Errors
    /// When the settings that say where it is are wrong; commands that need no node do not ask.
    pub(crate) fn home(&self) -> Result<&Path, Failure> {
        self.home.as_deref().map_err(Clone::clone)
    }

    /// What is told of requests.
    pub(crate) fn trace(&self) -> Trace {
        self.trace
    }

    /// How long the user wants to wait, or else `usual`.
    pub(crate) fn timeout_or(&self, usual: Duration) -> Duration {
        self.timeout.unwrap_or(usual)
    }

    /// How long the user wants to wait, if anything was said.
    pub(crate) fn given_timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// Connects to the node.
    pub(crate) async fn client(&self) -> Result<Client, Failure> {
        let home = self.home()?;
        if home.exists() && !home.is_dir() {
            let cause = format!("{} is a file, not a directory", home.display());
            return Err(Failure::new(Exit::Failed, cause).hint("check --home or ALTHING_HOME".to_owned()));
        }
        match Client::connect_telling(home, self.trace.teller()).await {
            Ok(client) => Ok(client.with_timeout(self.timeout_or(TIMEOUT))),
            // The gateway makes the token before the address and removes the address when it stops.
            Err(ClientError::NotRunning { home })
                if home.join("api.addr").exists() && !home.join("api.token").exists() =>
            {
                let token = home.join("api.token");
                let cause =
                    format!("not allowed to use the node: its token file {} is missing", token.display());
                Err(Failure::new(Exit::Auth, cause).hint("restart the node: it makes a new token".to_owned()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Runs a command that talks to the node, in the time it has.
    pub(crate) fn ask(&self, command: impl Future<Output = Result<Page, Failure>>) -> Result<Page, Failure> {
        let limit = self.timeout_or(TIMEOUT);
        self.block_on(async {
            tokio::time::timeout(limit, command).await.unwrap_or_else(|_| {
                let hint = "--timeout 2m waits longer; what was asked may still be done".to_owned();
                Err(Failure::new(Exit::Timeout, format!("no answer from the node within {limit:?}"))
                    .hint(hint))
            })
        })
    }

    /// Runs something on this thread.
    pub(crate) fn block_on<T>(&self, future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        runtime(Builder::new_current_thread())?.block_on(future)
    }
}

/// A word as a shell takes it.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |char: char| char.is_ascii_alphanumeric() || "_./-+,:@".contains(char);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// A runtime with everything on.
pub(crate) fn runtime(mut builder: Builder) -> Result<Runtime, Failure> {
    builder
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot start the runtime: {error}")))
}

/// A directory for data by the XDG Base Directory specification.
pub(crate) fn data_dir(name: &str) -> Result<PathBuf, Failure> {
    let dir = |variable: &str| std::env::var_os(variable).map(PathBuf::from).filter(|dir| dir.is_absolute());
    match dir("XDG_DATA_HOME").or_else(|| dir("HOME").map(|home| home.join(".local/share"))) {
        Some(data) => Ok(data.join(name)),
        None => Err(Failure::new(Exit::Usage, "neither HOME nor XDG_DATA_HOME names a directory")
            .hint("say where with --home DIR or ALTHING_HOME".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_are_quoted_where_a_shell_would_split_them() {
        assert_eq!(quoted("/tmp/a-1.x"), "/tmp/a-1.x");
        assert_eq!(quoted("/tmp/my home"), "'/tmp/my home'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
