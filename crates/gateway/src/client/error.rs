use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::api::Problem;

/// Why a request to the node was not done.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No node runs with this home.
    #[error("no node is running with the home {}", home.display())]
    NotRunning {
        /// The home.
        home: PathBuf,
    },
    /// The node cannot be reached, or the connection broke.
    #[error("cannot reach the node at {address}: {cause}")]
    Unreachable {
        /// The socket's path or the TCP address.
        address: String,
        /// What the system said.
        cause: io::Error,
    },
    /// The token is missing, unreadable or not this node's.
    #[error("not allowed to use the node: {detail}")]
    Auth {
        /// What is wrong.
        detail: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// No answer in time. What was asked may still be done.
    #[error("no answer from the node within {after:?}")]
    Timeout {
        /// How long the client waited.
        after: Duration,
    },
    /// The node answered why it did not do it.
    #[error("{}", .0.detail)]
    Problem(Box<Problem>),
    /// The answer is not one that this version understands.
    #[error("the node's answer is not understood: {0}")]
    Protocol(String),
}

impl ClientError {
    /// What to do about it, where something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotRunning { home } => {
                Some(format!("start it with `althing up --home {}`", home.display()))
            }
            Self::Unreachable { .. } => None,
            Self::Auth { hint, .. } => hint.clone(),
            Self::Timeout { .. } => Some("`althing status` shows how the node is doing".to_owned()),
            Self::Problem(problem) => problem.hint.clone(),
            Self::Protocol(_) => {
                Some("use the same version of althing for the node and the command".to_owned())
            }
        }
    }
}
