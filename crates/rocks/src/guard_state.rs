use std::fmt;

use althing_store::{CommitNo, Guard};

/// What the vote guard said when the directory was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GuardState {
    /// There was no database; one was made. Nothing was ever signed from here.
    Fresh,
    /// The guard is whole and the database is not behind it.
    Intact(Guard),
    /// There is a database, but both guard files are gone.
    Missing,
    /// No guard file can be trusted.
    Unreadable {
        /// What is wrong with them.
        cause: String,
    },
    /// The database has lost commits, and the operator accepted that.
    DatabaseBehind {
        /// The commit that was durable when the guard was written.
        guard: CommitNo,
        /// The last commit in the database.
        database: CommitNo,
    },
}

impl GuardState {
    /// Whether this directory knows everything that was signed from it. If not, nothing that could contradict it may be
    /// signed, and [`fmt::Display`] says why.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        match self {
            Self::Fresh | Self::Intact(_) => true,
            Self::Missing | Self::Unreadable { .. } | Self::DatabaseBehind { .. } => false,
        }
    }
}

impl fmt::Display for GuardState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fresh => f.write_str("fresh data directory"),
            Self::Intact(guard) => write!(f, "vote guard intact at commit {}", guard.acknowledged.0),
            Self::Missing => f.write_str(
                "no voting: the database exists, but the guard files safety.0 and safety.1 do not",
            ),
            Self::Unreadable { cause } => write!(f, "no voting: the vote guard cannot be trusted: {cause}"),
            Self::DatabaseBehind { guard, database } => write!(
                f,
                "no voting: the vote guard knows of commit {}, but the database ends at {}",
                guard.0, database.0
            ),
        }
    }
}
