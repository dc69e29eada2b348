/// A column family. The set is fixed by the schema version in [`Table::Meta`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Record id → stored record.
    Records,
    /// (agent, stream, incarnation, seq, id) → empty.
    Chain,
    /// (agent, kind, name) → head of the slot.
    Slot,
    /// (time, what ends then, its key) → empty.
    Expiry,
    /// Schema version, commit number, guard counter, incarnation.
    Meta,
    /// Skill index, derived from cards.
    CardView,
    /// Proposals and ballots, derived from the vote chains.
    VoteView,
    /// Groups and the changes to them, derived from the group chains.
    GroupView,
    /// Which records say how whose calls went: (rater, rating epoch, id) → empty.
    TrustView,
    /// Which receipts are to be demanded of raters, and what came of it; not derived from records.
    ProofView,
    /// (agent, id) of every identity record → empty.
    IdentityView,
    /// (domain, made, id) → deadline: what set reconciliation runs over.
    SyncView,
    /// Proven misbehaviour: (agent, offence, subject) → the two records.
    EvidenceView,
    /// What this node was told, in its own order: sequence number → event; and which outcomes were told.
    Journal,
    /// Provider records that this node stores for others: (Kademlia key, node) → record. Written by the shell beside the
    /// commits; the core does not know it.
    Providers,
    /// What this node's agents can prove of their calls: number → signed call and Accept. Written by the shell beside the
    /// commits. Numbers rise, and rows go from the oldest on.
    Calls,
    /// What is kept beside them: the numbers of the oldest and the next one, which call an Accept's place was given to, and
    /// the receipts behind what was published.
    CallIndex,
}

impl Table {
    /// Every table, in a fixed order.
    pub const ALL: [Self; 17] = [
        Self::Records,
        Self::Chain,
        Self::Slot,
        Self::Expiry,
        Self::Meta,
        Self::CardView,
        Self::VoteView,
        Self::GroupView,
        Self::TrustView,
        Self::ProofView,
        Self::IdentityView,
        Self::SyncView,
        Self::EvidenceView,
        Self::Journal,
        Self::Providers,
        Self::Calls,
        Self::CallIndex,
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
            Self::GroupView => "view/group",
            Self::TrustView => "view/trust",
            Self::ProofView => "view/proof",
            Self::IdentityView => "view/identity",
            Self::SyncView => "view/sync",
            Self::EvidenceView => "view/evidence",
            Self::Journal => "journal",
            Self::Providers => "net/providers",
            Self::Calls => "calls",
            Self::CallIndex => "calls/index",
        }
    }
}
