use althing_record::{AgentId, Digest, Incarnation, Millis, NetworkId, NodeId, RecordId};
use althing_trust::RatingEpoch;

/// What the node holds and how it is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// This node.
    pub node: NodeId,
    /// The network's id.
    pub network: NetworkId,
    /// The network's name.
    pub network_name: String,
    /// The agents hosted here, the default one first.
    pub agents: Vec<AgentId>,
    /// The data directory's incarnation.
    pub incarnation: Incarnation,
    /// The last durable commit.
    pub commit: u64,
    /// Records stored.
    pub records: u64,
    /// Agents with a current card.
    pub cards: u64,
    /// Proposals known.
    pub proposals: u64,
    /// Proven cases of misbehaviour.
    pub evidence: u64,
    /// One row for each sync domain.
    pub domains: Vec<DomainStatus>,
    /// Peers this node is connected to that speak its protocol.
    pub peers: u64,
    /// Rounds of set reconciliation finished since the start.
    pub sync_rounds: u64,
    /// When the last round finished.
    pub last_sync: Option<Millis>,
    /// Why this node signs no ballots, if it does not.
    pub voting_stopped: Option<String>,
    /// How far this clock is from the median of the peers' clocks, in milliseconds, where known.
    pub clock_offset_ms: Option<i64>,
    /// Agents of this node that other nodes serve too.
    pub served_elsewhere: Vec<ServedElsewhere>,
    /// What was dropped of that which raters publish.
    pub ratings_pruned: RatingsPruned,
    /// What is missing before the node is ready; empty when ready.
    pub waiting_for: Vec<String>,
}

/// An agent of this node that another one serves too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServedElsewhere {
    /// The agent.
    pub agent: AgentId,
    /// The other node.
    pub node: NodeId,
    /// Until then, unless it says so again.
    pub until: Millis,
}

/// What a node dropped because it counts nothing any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RatingsPruned {
    /// Attestations of rating epochs before this one are dropped.
    pub before: RatingEpoch,
    /// How many were.
    pub records: u64,
}

/// A sync domain at this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainStatus {
    /// `directory`, `ledger`, `ratings`.
    pub name: String,
    /// Live records in it.
    pub records: u64,
    /// The view digest: equal on every node that holds the same live records.
    pub digest: Digest,
}

/// A card that was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The card's agent.
    pub agent: AgentId,
    /// The card's record.
    pub card: RecordId,
    /// Its slot revision.
    pub revision: u64,
    /// Its skill paths, sorted.
    pub skills: Vec<String>,
    /// When it expires unless renewed.
    pub expires: Millis,
}

/// A card that was taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retracted {
    /// Whose.
    pub agent: AgentId,
    /// The record that says so.
    pub record: RecordId,
    /// The card's record, which it replaces.
    pub card: RecordId,
    /// The revision of the retraction.
    pub revision: u64,
    /// How many leases were ended with it.
    pub leases_ended: u64,
    /// Until when it stands against older cards.
    pub expires: Millis,
}

/// A verified card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardAnswer {
    /// The card's agent.
    pub agent: AgentId,
    /// The card's record.
    pub card: RecordId,
    /// Its slot revision.
    pub revision: u64,
    /// The key that signed it.
    pub key: [u8; 32],
    /// When it was made.
    pub made: Millis,
    /// When it expires.
    pub expires: Millis,
    /// Its skill paths, sorted.
    pub skills: Vec<String>,
    /// The exact A2A JSON.
    pub json: Vec<u8>,
    /// The signed envelope, for offline verification.
    pub envelope: Vec<u8>,
    /// Where the agent is served now.
    pub leases: Vec<LeaseAnswer>,
}

/// A current lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseAnswer {
    /// The serving node.
    pub node: NodeId,
    /// Its addresses, as multiaddrs.
    pub addresses: Vec<String>,
    /// When it was made.
    pub made: Millis,
    /// When it expires unless renewed.
    pub expires: Millis,
}

/// One proven case of misbehaviour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceRow {
    /// The offender.
    pub agent: AgentId,
    /// The case, however many records come to prove it.
    pub case: Digest,
    /// `double ballot`, `double report`, `double statement`, `double trustee key`, `double attestation`, `double accept`
    /// or `chain fork`.
    pub offence: String,
    /// What proves it: two records, or one that holds two statements.
    pub records: Vec<RecordId>,
    /// The decided proposal that forgives it, if one does.
    pub pardoned_by: Option<RecordId>,
}
