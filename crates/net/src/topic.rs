use std::fmt;

/// What is gossiped. On the wire each is `/althing/<tag>/<name>/1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Identities, cards and leases.
    Directory,
    /// Proposals, ballots and attestations.
    Ledger,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Self; 2] = [Self::Directory, Self::Ledger];

    /// The word on the wire and in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::Ledger => "ledger",
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
