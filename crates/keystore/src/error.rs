use std::io;
use std::path::PathBuf;

use althing_record::AgentId;

/// Why the keys could not be opened or made.
///
/// All variants are for the operator to settle, except [`KeystoreError::Internal`], which is ours. No variant carries
/// anything secret.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// Others on this machine may read or replace a key.
    #[error("{}: expected mode {wanted:04o} or stricter, found {found:04o}; run: chmod {wanted:o} {}", path.display(), path.display())]
    TooOpen {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        found: u32,
        /// The loosest that is accepted.
        wanted: u32,
    },
    /// A symbolic link stands where a key or the directory should be.
    #[error("{}: expected {expected}, found a symbolic link", path.display())]
    Symlink {
        /// The link.
        path: PathBuf,
        /// What should be there.
        expected: &'static str,
    },
    /// Something else stands where a key or the directory should be.
    #[error("{}: expected {expected}, found something else", path.display())]
    NotExpected {
        /// Where.
        path: PathBuf,
        /// What should be there.
        expected: &'static str,
    },
    /// The file could not be read.
    #[error("{}: cannot be read: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// The file could not be written.
    #[error("{}: cannot be written: {cause}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// The file ends before its last line.
    #[error("{}: expected a final \"check\" line, found the file cut off after {bytes} bytes", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// How long it is.
        bytes: usize,
    },
    /// The file is not what was written: its checksum differs.
    #[error("{}: checksum does not match; the file was damaged or edited", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a newer version of this program.
    #[error("{}: expected format version {newest} or older, found {found}", path.display())]
    NewerVersion {
        /// The file.
        path: PathBuf,
        /// The version it says.
        found: u32,
        /// The newest version that this program reads.
        newest: u32,
    },
    /// The file is whole but does not have the form of a key.
    #[error("{}: expected {expected}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What its place in the format calls for.
        expected: &'static str,
    },
    /// The file asks for more stretching than this program is willing to do.
    #[error("{}: expected {bound}, found {found}", path.display())]
    TooCostly {
        /// The file.
        path: PathBuf,
        /// What the file asks for.
        found: String,
        /// The most that is accepted.
        bound: String,
    },
    /// The passphrase does not open the file.
    #[error("{}: wrong passphrase", path.display())]
    WrongPassphrase {
        /// The file.
        path: PathBuf,
    },
    /// The machine secret does not open the file.
    #[error("{}: sealed with the machine secret of another directory", path.display())]
    WrongMachineSecret {
        /// The file.
        path: PathBuf,
    },
    /// The file was sealed with a passphrase, and none was given.
    #[error("{}: sealed with a passphrase, and none was given", path.display())]
    PassphraseNeeded {
        /// The file.
        path: PathBuf,
    },
    /// The file was not sealed with a passphrase, and one was given.
    #[error("{}: sealed with the machine secret, but a passphrase was given", path.display())]
    PassphraseUnexpected {
        /// The file.
        path: PathBuf,
    },
    /// A passphrase of no characters was given.
    #[error("expected a passphrase, found an empty one")]
    PassphraseEmpty,
    /// Keys exist, but the machine secret that sealed them does not.
    #[error("{}: missing, and {} cannot be opened without it", path.display(), sealed.display())]
    MachineSecretMissing {
        /// Where the secret should be.
        path: PathBuf,
        /// A key that needs it.
        sealed: PathBuf,
    },
    /// The file holds the key of someone else: it was renamed or copied over.
    #[error("{}: expected the key of {expected}, found the key of {found}", path.display())]
    OtherKey {
        /// The file.
        path: PathBuf,
        /// Whose key the file's name promises.
        expected: String,
        /// Whose key it says it is.
        found: String,
    },
    /// The seed opened, but gives another public key than the file says.
    #[error("{}: the sealed seed does not give the public key {public}", path.display())]
    PublicKeyMismatch {
        /// The file.
        path: PathBuf,
        /// The public key in the file, in hex.
        public: String,
    },
    /// The file should hold an API token.
    #[error("{}: expected a token of 64 hex digits, found {found} characters", path.display())]
    NotAToken {
        /// The file.
        path: PathBuf,
        /// How long its first line is.
        found: usize,
    },
    /// The name cannot be an agent's.
    #[error(
        "agent name: expected 1 to 64 of a-z, 0-9, '-', '_', '.', starting with a letter or digit, found {found:?}"
    )]
    Name {
        /// The name, cut to 80 characters.
        found: String,
    },
    /// There is no agent of that name here.
    #[error("agent {name:?}: no key in {}", dir.display())]
    NoSuchAgent {
        /// The name asked for.
        name: String,
        /// Where it was looked for.
        dir: PathBuf,
    },
    /// There is an agent of that name already.
    #[error("{}: exists already; a key is never overwritten", path.display())]
    Exists {
        /// The file that exists.
        path: PathBuf,
    },
    /// There is an agent of that name already, and it is another one.
    #[error("agent {name:?}: expected {expected}, found {found}; a key is never overwritten")]
    OtherAgent {
        /// The name.
        name: String,
        /// Whose key was to go there.
        expected: AgentId,
        /// Whose key is there.
        found: AgentId,
    },
    /// A step that cannot fail did: no entropy, or a cipher refused its input. Our fault.
    #[error("internal: {step}: {cause}")]
    Internal {
        /// What was being done.
        step: &'static str,
        /// What the library said.
        cause: String,
    },
}

impl KeystoreError {
    /// What the operator can do next, if there is something.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::TooOpen { path, wanted, .. } => format!("chmod {wanted:o} {}", path.display()),
            Self::Symlink { .. } | Self::NotExpected { .. } => {
                "move it away, or point the home directory elsewhere".to_owned()
            }
            Self::Truncated { .. }
            | Self::Damaged { .. }
            | Self::Malformed { .. }
            | Self::NotAToken { .. } => {
                "restore the file from a backup; a key that is lost cannot be made again".to_owned()
            }
            Self::NewerVersion { .. } => "run the newer version of althing that wrote it".to_owned(),
            Self::TooCostly { .. } => {
                "check where the file came from; althing never writes such a file".to_owned()
            }
            Self::WrongPassphrase { .. } => {
                "check the file that ALTHING_PASSPHRASE_FILE names; there is no way around a lost passphrase"
                    .to_owned()
            }
            Self::WrongMachineSecret { .. } => "restore the key together with its machine.secret".to_owned(),
            Self::PassphraseNeeded { .. } | Self::PassphraseEmpty => {
                "name a file with the passphrase in ALTHING_PASSPHRASE_FILE".to_owned()
            }
            Self::PassphraseUnexpected { .. } => "start without ALTHING_PASSPHRASE_FILE".to_owned(),
            Self::MachineSecretMissing { path, .. } => format!("restore {} from a backup", path.display()),
            Self::OtherKey { .. } => "give the file back its own name".to_owned(),
            Self::NoSuchAgent { .. } => "list the agents, or create this one".to_owned(),
            Self::OtherAgent { .. } => "choose another name for it, or another home".to_owned(),
            Self::Unreadable { .. } | Self::Unwritable { .. } => {
                "check the owner of the directory and the free space of its disk".to_owned()
            }
            Self::PublicKeyMismatch { .. }
            | Self::Name { .. }
            | Self::Exists { .. }
            | Self::Internal { .. } => {
                return None;
            }
        })
    }
}
