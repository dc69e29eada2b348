use althing_record::{AgentId, Digest, Millis, RecordId};
use althing_trust::{RatingEpoch, Unproved};

/// A checkpoint that was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointShown {
    /// Its record.
    pub checkpoint: RecordId,
    /// The proposal whose decision it is; that has the certificate.
    pub proposal: RecordId,
    /// Who proposed it.
    pub author: AgentId,
    /// When, by the author's clock.
    pub made: Millis,
    /// The last rating epoch whose attestations are in it.
    pub epoch: RatingEpoch,
    /// The checkpoint before it.
    pub prev: Option<RecordId>,
    /// How many attestations it took.
    pub taken: u64,
    /// The root over the scores of all agents.
    pub score_root: Digest,
    /// How many agents have scores.
    pub agents: u64,
    /// The hash of what they were computed with.
    pub params_hash: Digest,
    /// Whose misbehaviour is newly proved.
    pub slashed: Vec<AgentId>,
    /// Against whom nothing stands any more.
    pub cleared: Vec<AgentId>,
    /// Rows that it struck out.
    pub unproved: Vec<Unproved>,
    /// Whether the scores are those that this node computed; none: it computed none, or forgot them.
    pub agrees: Option<bool>,
}
