use althing_card::SkillPath;
use althing_record::AgentId;
use althing_trust::RatingEpoch;

/// Most agents that each list of a [`MassReport`] names.
pub const DIFFERENCES_MAX: usize = 64;

/// Which holders of a skill are to vote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldersDraft {
    /// The skill; who has one below it has it, too.
    pub skill: SkillPath,
    /// The least score, in thousandths.
    pub score_min: u64,
}

/// An electorate of holders of a skill, and what this node thinks of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldersShown {
    /// The skill.
    pub skill: String,
    /// The least score, in thousandths.
    pub score_min: u64,
    /// The rating epoch by which they are weighed.
    pub epoch: RatingEpoch,
    /// The most that one of them weighs.
    pub cap: u64,
    /// Those who would weigh more, with their masses.
    pub capped: Vec<(AgentId, u64)>,
    /// Whether this node computes the same.
    pub check: MassCheck,
}

/// Whether a node computes the same masses as a proposer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MassCheck {
    /// It did not look.
    Unchecked {
        /// Why.
        cause: String,
    },
    /// It did, over the attestations that it has.
    Checked(MassReport),
}

/// What a node found when it weighed the voters of a proposal itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MassReport {
    /// Voters who have another mass here, those first whose masses differ most; at most [`DIFFERENCES_MAX`].
    pub differing: Vec<MassDifference>,
    /// How many there are.
    pub differing_known: u64,
    /// Voters whose score is too low here; at most [`DIFFERENCES_MAX`].
    pub too_low: Vec<AgentId>,
    /// How many there are.
    pub too_low_known: u64,
    /// Agents that have the skill, as this node knows it now, and mass and score enough, and are no voters; at most
    /// [`DIFFERENCES_MAX`]. Who has a skill is not agreed on, so that this proves nothing.
    pub left_out: Vec<AgentId>,
    /// How many there are.
    pub left_out_known: u64,
}

/// A voter's mass as a proposal has it and as a node computes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MassDifference {
    /// The voter.
    pub agent: AgentId,
    /// The mass in the proposal.
    pub listed: u64,
    /// The mass here.
    pub here: u64,
}

impl MassReport {
    /// Whether the voters have the masses and scores that they should, as this node computes them.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.differing_known == 0 && self.too_low_known == 0
    }
}
