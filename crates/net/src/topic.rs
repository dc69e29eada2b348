use std::fmt;

/// What is gossiped. On the wire each is `/althing/<tag>/<name>/1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Cards and leases.
    Directory,
    /// Attestations and everything else of the reputation ledger.
    Ledger,
    /// Proposals, ballots and certificates.
    Vote,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Self; 3] = [Self::Directory, Self::Ledger, Self::Vote];

    /// The word on the wire and in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::Ledger => "ledger",
            Self::Vote => "vote",
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
