/// A column family. The set is fixed by the schema version in [`Table::Meta`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Record id → stored record.
    Records,
    /// (agent, stream, incarnation, seq, id) → empty.
    Chain,
    /// (agent, kind, name) → head of the slot.
    Slot,
    /// (deadline, id) → empty.
    Expiry,
    /// Schema version, commit number, incarnation, cursors.
    Meta,
    /// Skill index, derived from cards and leases.
    CardView,
    /// Proposals, ballots and outcomes, derived from the vote chains.
    VoteView,
    /// Key history of agents, derived from the identity chains.
    IdentityView,
    /// (domain, made, id) → empty: what set reconciliation runs over.
    SyncView,
    /// Proven misbehaviour: (agent, subject) → the two records.
    EvidenceView,
}

impl Table {
    /// Every table, in a fixed order.
    pub const ALL: [Self; 10] = [
        Self::Records,
        Self::Chain,
        Self::Slot,
        Self::Expiry,
        Self::Meta,
        Self::CardView,
        Self::VoteView,
        Self::IdentityView,
        Self::SyncView,
        Self::EvidenceView,
    ];

    /// The name of the column family on disk.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Records => "records",
            Self::Chain => "chain",
            Self::Slot => "slot",
            Self::Expiry => "expiry",
            Self::Meta => "meta",
            Self::CardView => "view/card",
            Self::VoteView => "view/vote",
            Self::IdentityView => "view/identity",
            Self::SyncView => "view/sync",
            Self::EvidenceView => "view/evidence",
        }
    }
}
