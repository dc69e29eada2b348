use std::io::ErrorKind;
use std::path::PathBuf;

use althing_keystore::KeystoreError;
use althing_record::{GenesisError, NetworkId, VerifyError};
use althing_rocks::OpenError;
use althing_store::ReadError;

/// Why a node did not start, or stopped by itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// A file in the home cannot be used.
    #[error("{path}: {cause}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// Something else is where the home should be.
    #[error("{path} is a file, not a directory", path = path.display())]
    NotADirectory {
        /// The home.
        path: PathBuf,
    },
    /// There may not be enough open files for what the node's bounds allow.
    #[error("open files: expected a hard limit of at least {needed}, found {hard}")]
    Descriptors {
        /// How many the node may need.
        needed: u64,
        /// How many it may have.
        hard: u64,
    },
    /// The home's genesis is damaged.
    #[error("{path}: {cause}", path = path.display())]
    Genesis {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: GenesisError,
    },
    /// The home belongs to another network.
    #[error("this home is in network {found}, but --genesis names {wanted}")]
    OtherNetwork {
        /// The home's.
        found: NetworkId,
        /// The wanted one.
        wanted: NetworkId,
    },
    /// A line of the file of remembered peers is wrong.
    #[error("{path}: \"{line}\" is not a multiaddr", path = path.display())]
    Join {
        /// The file.
        path: PathBuf,
        /// The line.
        line: String,
    },
    /// Others may look into the home.
    #[error("{path} has mode {mode:04o}, expected 0700", path = path.display())]
    HomeOpen {
        /// The home.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A file of the home has a line that makes no sense.
    #[error("{path}: \"{line}\" is not a name and a hash", path = path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line.
        line: String,
    },
    /// The identity records beside an agent's key are none of this network.
    #[error("the identity of agent \"{agent}\" in the keystore is not valid here: {cause}")]
    Identity {
        /// The agent's local name.
        agent: String,
        /// Why.
        cause: VerifyError,
    },
    /// It is not known any more which recovery key an agent has.
    #[error("{path} does not name the recovery key of agent \"{agent}\"", path = path.display())]
    Recovery {
        /// The file.
        path: PathBuf,
        /// The agent's name.
        agent: String,
    },
    /// The passphrase cannot be read.
    #[error("cannot read the passphrase file {path}: {cause}", path = path.display())]
    Passphrase {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// The keys cannot be opened.
    #[error("{0}")]
    Keystore(#[from] KeystoreError),
    /// The store cannot be opened.
    #[error("{0}")]
    Open(#[from] OpenError),
    /// The store cannot be read.
    #[error("store: {0}")]
    Read(#[from] ReadError),
    /// The network cannot be joined.
    #[error("{0}")]
    Net(#[from] althing_net::StartError),
    /// The local API cannot be served.
    #[error("{0}")]
    Gateway(#[from] althing_gateway::StartError),
    /// The operating system gave no random bytes.
    #[error("no random bytes from the operating system: {0}")]
    Entropy(String),
    /// The event loop stopped for good.
    #[error("the node stopped: {0}")]
    Halted(String),
}

impl RunError {
    /// What to do about it, where something can be done.
    #[must_use]
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::File { cause, .. } if cause.kind() == ErrorKind::StorageFull => {
                Some("free some space on this disk and start again".into())
            }
            Self::File { .. } => Some("the home needs a directory that this user may write".into()),
            Self::NotADirectory { .. } => {
                Some("--home and ALTHING_HOME name the node's directory; choose one, or move the file away".into())
            }
            Self::Descriptors { needed, .. } => Some(format!(
                "raise it: `ulimit -Hn {needed}` as root, LimitNOFILE={needed} in a systemd unit, or limits.conf(5)"
            )),
            Self::Genesis { .. } => Some("put the network's genesis file back, or use another --home".into()),
            Self::OtherNetwork { .. } => Some("use another --home for another network".into()),
            Self::Join { .. } => Some("remove the line; `--join` adds addresses".into()),
            Self::HomeOpen { path, .. } => Some(format!("chmod 700 {}", path.display())),
            Self::Line { .. } | Self::Recovery { .. } => Some(
                "put the file or the recovery key back; a new one would look like a forged identity".into(),
            ),
            Self::Identity { .. } => {
                Some("an agent whose key was rotated lives in one network; use another --home for another".into())
            }
            Self::Passphrase { .. } => Some(
                "let ALTHING_PASSPHRASE_FILE or passphrase_file name a file that this user can read, or unset it"
                    .into(),
            ),
            Self::Keystore(error) => error.hint(),
            Self::Open(error) => error.hint(),
            Self::Read(_) => Some("`althing store check` names the damaged file".into()),
            Self::Net(_) => Some("choose another --listen address, or port 0 for any free one".into()),
            Self::Gateway(error) => error.hint(),
            Self::Entropy(_) => None,
            Self::Halted(_) => {
                Some("the log above says what happened before; `althing store check` looks for damage".into())
            }
        }
    }
}
