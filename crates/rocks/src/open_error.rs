use std::io;
use std::path::PathBuf;

use althing_store::CommitNo;

use crate::Holder;
use crate::fault::{Fault, named_file};

/// Why a data directory was not opened.
///
/// All variants are for the operator to settle, except [`OpenError::Internal`], which is ours.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file or directory cannot be used.
    #[error("{}: {cause}", path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// Another process has the directory open.
    #[error("{}: in use by {}", dir.display(), holder.as_ref().map_or("another process".to_owned(), ToString::to_string))]
    Locked {
        /// The directory.
        dir: PathBuf,
        /// The process that holds it, if it noted its id.
        holder: Option<Holder>,
    },
    /// The database is damaged.
    #[error("{}: {cause}", file.as_ref().map_or_else(|| dir.display().to_string(), |file| dir.join(file).display().to_string()))]
    Corrupt {
        /// The directory of the database.
        dir: PathBuf,
        /// The damaged or missing file, where RocksDB named it.
        file: Option<String>,
        /// What RocksDB said.
        cause: String,
    },
    /// A newer version of this program wrote the database.
    #[error("schema: expected version {newest} or older, found {found}")]
    NewerSchema {
        /// The version of the database.
        found: u32,
        /// The newest version that this program reads.
        newest: u32,
    },
    /// The database has a table that this version does not know.
    #[error("table {name:?}: not one that this version knows")]
    UnknownTable {
        /// The column family's name.
        name: String,
    },
    /// The database has lost commits: it was restored from an older copy, or its end was damaged.
    #[error("database behind its vote guard: expected commit {} or later, found {}", guard.0, database.0)]
    DatabaseBehind {
        /// The commit that was durable when the guard was written.
        guard: CommitNo,
        /// The last commit in the database.
        database: CommitNo,
    },
    /// There is not enough space to open the database.
    #[error("{}: disk full: {cause}", dir.display())]
    DiskFull {
        /// The directory of the database.
        dir: PathBuf,
        /// What was said.
        cause: String,
    },
    /// The disk failed.
    #[error("{}: {cause}", dir.display())]
    Io {
        /// The directory of the database.
        dir: PathBuf,
        /// What RocksDB said.
        cause: String,
    },
    /// A step that cannot fail did. Our fault.
    #[error("internal: {step}: {cause}")]
    Internal {
        /// What was being done.
        step: &'static str,
        /// What was said.
        cause: String,
    },
}

impl OpenError {
    pub(crate) fn new(dir: PathBuf, fault: Fault) -> Self {
        match fault {
            Fault::DiskFull(cause) => Self::DiskFull { dir, cause },
            Fault::Io(cause) => Self::Io { dir, cause },
            Fault::Corrupt(cause) => Self::Corrupt { dir, file: named_file(&cause), cause },
        }
    }

    /// What the operator can do next, if there is something.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unusable { path, .. } => format!("check the owner and the mode of {}", path.display()),
            Self::Locked { holder: Some(holder), .. } => {
                format!("stop process {}, or use another directory", holder.pid)
            }
            Self::Locked { holder: None, .. } => "stop the other node, or use another directory".to_owned(),
            Self::Corrupt { .. } => {
                "`althing store check` says what is damaged; restore a snapshot into another home (`althing store restore`), or \
                 start with a fresh one: a new agent never contradicts what this one signed"
                    .to_owned()
            }
            Self::NewerSchema { .. } | Self::UnknownTable { .. } => {
                "run the newer version of althing that wrote it".to_owned()
            }
            Self::DatabaseBehind { .. } => {
                "put the newer store back, or run without voting: `althing up --accept-rollback`; this node may have \
                 signed what it no longer knows"
                    .to_owned()
            }
            Self::DiskFull { .. } => "free some space on this disk and start again".to_owned(),
            Self::Io { .. } => "check the disk (dmesg, smartctl) before starting again".to_owned(),
            Self::Internal { .. } => return None,
        })
    }
}
