use std::collections::BTreeMap;

use althing_card::SkillPath;
use althing_record::{AgentId, Digest, Millis, NodeId, RecordId};
use althing_trust::{Contribution, Counts, Q32, RatingEpoch, Standing};

/// Most raters that one [`Reputation`] names.
pub const RATERS_MAX: usize = 64;

/// Most rating epochs of own calls that an engine holds beside the ledger.
pub const EXPERIENCE_EPOCHS_MAX: usize = 9;

/// Something about reputations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReputationAsk {
    /// What is known of one agent, and by whom.
    Show {
        /// Any agent.
        agent: AgentId,
    },
    /// What the scores of one agent rest on, and what would lift them.
    Grounds {
        /// Any agent.
        agent: AgentId,
        /// To what.
        goal: Q32,
    },
    /// The agents with the best scores, as this node's first agent sees them.
    Top {
        /// Only agents whose card here has this skill, of the first [`crate::MAX_FOUND`].
        skill: Option<SkillPath>,
        /// Most agents.
        limit: usize,
    },
    /// How the calls of this node's first agent went, by rating epoch and callee, in place of what was said before: the
    /// node's own choice goes by it at once, whether or not it is told to others later.
    Experience {
        /// At most [`EXPERIENCE_EPOCHS_MAX`] rating epochs; of more, the newest count.
        calls: BTreeMap<RatingEpoch, BTreeMap<AgentId, Counts>>,
    },
    /// The newest checkpoints.
    Checkpoints {
        /// Most of them, at most [`crate::CHECKPOINTS_MAX`].
        limit: usize,
    },
    /// One checkpoint that was decided.
    Checkpoint {
        /// Its record.
        id: RecordId,
    },
    /// All rows of all attestations, a page at a time.
    Rows {
        /// The `next` of the page before.
        after: Option<Vec<u8>>,
    },
}

/// What is known of one agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reputation {
    /// Who.
    pub agent: AgentId,
    /// At the end of which rating epoch; none if no scores were computed.
    pub epoch: Option<RatingEpoch>,
    /// As every node computes it; none if nobody rated it, or the genesis names no anchors.
    pub network: Option<Standing>,
    /// As this node's first agent sees it; none if nobody rated it.
    pub seen: Option<Standing>,
    /// That agent.
    pub viewer: Option<AgentId>,
    /// Whether this node holds what raters publish; if not, it has scores of checkpoints alone.
    pub keeps_ledger: bool,
    /// At the newest checkpoint; none if there is none, or its scores are not known here.
    pub checkpointed: Option<Checkpointed>,
    /// Who rates it, the weightiest first; at most [`RATERS_MAX`].
    pub raters: Vec<Contribution>,
    /// How many there are.
    pub raters_known: u64,
    /// What misbehaviour of it is proven.
    pub offences: Vec<Offence>,
}

/// A proven case of misbehaviour in a [`Reputation`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offence {
    /// What, as in [`crate::EvidenceRow`].
    pub offence: String,
    /// The case.
    pub case: Digest,
    /// The decided proposal that forgives it, if one does.
    pub pardoned_by: Option<RecordId>,
}

/// How an agent stands at a checkpoint: as trustworthy as the network's committee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpointed {
    /// The checkpoint.
    pub checkpoint: RecordId,
    /// The last rating epoch that is in it.
    pub epoch: RatingEpoch,
    /// How it stands; none if it has no scores there, or no peer that was asked gave any.
    pub standing: Option<Standing>,
    /// The peer that proved it; none: it was computed here.
    pub told_by: Option<NodeId>,
}

/// One agent in a ranking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ranked {
    /// Who.
    pub agent: AgentId,
    /// As this node's first agent sees it.
    pub standing: Standing,
    /// As every node computes it; none if the genesis names no anchors.
    pub network: Option<Standing>,
}

/// How a rater's calls of one rating epoch to one agent for one skill went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RatingRow {
    /// The record that says so.
    pub record: RecordId,
    /// Who says so.
    pub rater: AgentId,
    /// Of which rating epoch.
    pub epoch: RatingEpoch,
    /// When, by the rater's clock.
    pub made: Millis,
    /// Who was called.
    pub target: AgentId,
    /// For which skill; empty: for none in particular.
    pub skill: String,
    /// How that went.
    pub counts: Counts,
}
