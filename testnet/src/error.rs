use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use althing_gateway::ClientError;

/// Most bytes of a log that [`log_tail`] looks at.
const TAIL_BYTES_MAX: u64 = 64 * 1_024;

/// Why a local network could not be started, looked at or stopped.
#[derive(Debug, thiserror::Error)]
pub enum TestnetError {
    /// Its nodes run.
    #[error("a testnet of {nodes} nodes already runs in {} (first pid {pid})", dir.display())]
    AlreadyRunning {
        /// Its directory.
        dir: PathBuf,
        /// How many of its nodes run.
        nodes: usize,
        /// The process of the first one that runs.
        pid: u32,
    },
    /// There is none.
    #[error("no testnet runs in {}", dir.display())]
    NotRunning {
        /// Where it was looked for.
        dir: PathBuf,
    },
    /// The directory holds something else.
    #[error("expected an empty directory or one of a testnet at {}, found other files in it", dir.display())]
    DirInUse {
        /// The directory.
        dir: PathBuf,
    },
    /// Another command works on it right now.
    #[error("another testnet command works on {} right now", dir.display())]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// A network without nodes, or with more than one machine can hold.
    #[error("expected 1 to {max} nodes, found {found}")]
    Nodes {
        /// How many are possible.
        max: usize,
        /// How many were asked for.
        found: usize,
    },
    /// A node ended by itself.
    #[error("node {number} ended by itself ({status}){}", last_line(log))]
    Ended {
        /// Which node.
        number: usize,
        /// How.
        status: ExitStatus,
        /// Its log.
        log: PathBuf,
    },
    /// A node did not do what its API was asked to.
    #[error("node {number}: {source}")]
    Api {
        /// Which node.
        number: usize,
        /// What its client says.
        source: Box<ClientError>,
    },
    /// A node, or several, did something else than expected.
    #[error("{cause}")]
    Unexpected {
        /// Which node, if it was one.
        number: Option<usize>,
        /// Expected, then found.
        cause: String,
    },
    /// Something took too long.
    #[error("{what}: not done in {} s; {missing}", limit.as_secs())]
    TimedOut {
        /// The node concerned, if it is one.
        number: Option<usize>,
        /// What was waited for.
        what: String,
        /// How long.
        limit: Duration,
        /// What was missing at the last look.
        missing: String,
    },
    /// The user stopped it.
    #[error("interrupted")]
    Interrupted,
    /// A file or process could not be handled.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The state file does not say what it should.
    #[error("{} is damaged: {source}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// Where.
        source: serde_json::Error,
    },
}

impl TestnetError {
    /// What to do about it, where something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::AlreadyRunning { dir, .. } => Some(format!(
                "`althing testnet down --dir {0}` stops it, or choose another --dir",
                dir.display()
            )),
            Self::NotRunning { dir } => {
                Some(format!("`althing testnet up --nodes 5 --dir {}` starts one", dir.display()))
            }
            Self::DirInUse { .. } => Some("choose another --dir; nothing in this one was touched".to_owned()),
            Self::Locked { .. } => Some("wait until it is done".to_owned()),
            Self::Ended { log, .. } => Some(format!("its log is {}", log.display())),
            Self::Api { source, .. } => source.hint(),
            Self::State { path, .. } => Some(format!(
                "`pgrep -af 'althing.*testnet'` shows nodes that may still run; remove {} when there are none",
                path.display()
            )),
            Self::Nodes { .. }
            | Self::Unexpected { .. }
            | Self::TimedOut { .. }
            | Self::Interrupted
            | Self::Io { .. } => None,
        }
    }

    /// The node concerned, if it is one.
    #[must_use]
    pub fn node(&self) -> Option<usize> {
        match self {
            Self::Ended { number, .. } | Self::Api { number, .. } => Some(*number),
            Self::Unexpected { number, .. } | Self::TimedOut { number, .. } => *number,
            Self::AlreadyRunning { .. }
            | Self::NotRunning { .. }
            | Self::DirInUse { .. }
            | Self::Locked { .. }
            | Self::Nodes { .. }
            | Self::Interrupted
            | Self::Io { .. }
            | Self::State { .. } => None,
        }
    }

    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }

    pub(crate) fn api(number: usize) -> impl FnOnce(ClientError) -> Self {
        move |source| Self::Api { number, source: Box::new(source) }
    }

    pub(crate) fn unexpected(number: impl Into<Option<usize>>, cause: impl Into<String>) -> Self {
        Self::Unexpected { number: number.into(), cause: cause.into() }
    }
}

/// The last lines of a log; fewer, or none, if there are no more or it cannot be read.
#[must_use]
pub fn log_tail(log: &Path, lines: usize) -> Vec<String> {
    let read = || {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        let start = length.saturating_sub(TAIL_BYTES_MAX);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        io::Result::Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].iter().map(|line| (*line).to_owned()).collect()
}

fn last_line(log: &Path) -> String {
    log_tail(log, 20)
        .into_iter()
        .rev()
        .find(|line| line.starts_with("error: "))
        .map(|line| format!(": {}", line.trim_start_matches("error: ")))
        .unwrap_or_default()
}
