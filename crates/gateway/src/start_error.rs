use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::TokenError;

/// Why the gateway did not start. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The TCP address is reachable from other machines.
    #[error("expected a loopback address for the local API, found {address}: a non-loopback bind needs TLS")]
    NotLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// A file that TLS needs cannot be used.
    #[error("cannot serve TLS with {}: {cause}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// Every user can read the private key.
    #[error("expected a private key that other users cannot read, found mode {mode:04o} on {}", path.display())]
    TlsKeyOpen {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Somebody else listens on the TCP address.
    #[error("the local API's address {address} is already in use")]
    AddressInUse {
        /// The address.
        address: SocketAddr,
    },
    /// The TCP address cannot be used.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The home cannot be used.
    #[error("cannot use the home {}: {source}", path.display())]
    Home {
        /// The home.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others can look into the home, which holds the API's socket and token.
    #[error("expected mode 0700 for the home {}, found {mode:04o}", path.display())]
    HomeOpen {
        /// The home.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The socket's path does not fit the system's limit.
    #[error("expected at most 107 bytes for the socket's path, found {bytes}: {}", path.display())]
    SocketPath {
        /// The socket.
        path: PathBuf,
        /// The length of its path.
        bytes: usize,
    },
    /// There is something else at the socket's path.
    #[error("expected a socket or nothing at {}, found something else", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// Another process answers on the socket.
    #[error("another node answers on the socket {}", path.display())]
    SocketInUse {
        /// The socket.
        path: PathBuf,
    },
    /// The socket cannot be made.
    #[error("cannot make the socket {}: {source}", path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file that tells clients the TCP address cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    AddressFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The API token is not usable.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The OpenAPI document cannot be written as JSON.
    #[error("cannot write the OpenAPI document: {0}")]
    OpenApi(serde_json::Error),
}

impl StartError {
    /// What to do about it, where something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotLoopback { address } => Some(format!(
                "use 127.0.0.1:{0} or [::1]:{0}, or set api.certificate and api.private_key; `ssh -L` reaches it from afar too",
                address.port()
            )),
            Self::AddressInUse { address } => Some(format!(
                "`ss -ltnp 'sport = :{}'` shows who has it; choose another port, or 0 to let the system choose",
                address.port()
            )),
            Self::HomeOpen { path, .. } => Some(format!("chmod 700 {}", path.display())),
            Self::Tls { .. } => Some(
                "api.certificate is a PEM file with the chain, api.private_key one with its key".to_owned(),
            ),
            Self::TlsKeyOpen { path, .. } => Some(format!("chmod 600 {}", path.display())),
            Self::SocketPath { .. } => Some("choose a home with a shorter path".to_owned()),
            Self::NotASocket { path } => Some(format!("move {} away", path.display())),
            Self::SocketInUse { .. } => {
                Some("stop that node with `althing down`, or choose another --home".to_owned())
            }
            Self::Token(error) => error.hint(),
            Self::Bind { .. }
            | Self::Home { .. }
            | Self::Socket { .. }
            | Self::AddressFile { .. }
            | Self::OpenApi(_) => None,
        }
    }
}
