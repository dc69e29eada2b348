use althing_engine::{Grounds, GroundsRow};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Attested, CallProof, Document, Reputation, document};

/// The answer of `GET /v1/reputation/{did}/explanation`: why an agent stands as it does here, and what follows from that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// Always `althing.explanation/v1`.
    #[schema(example = "althing.explanation/v1")]
    pub schema: String,
    /// Its scores, who rates it, and what misbehaviour of it is proven.
    pub reputation: Reputation,
    /// What the raters published on it: of the 16 weightiest raters the 4 newest records each, and struck rows of others.
    pub ratings: Vec<ExplainedRating>,
    /// The 20 newest calls of this node's agent to it that have a receipt, of those that are kept.
    pub calls: Vec<CallProof>,
    /// What would change its scores, or keeps them from changing: sentences for people.
    pub changes: Vec<String>,
    /// How calls to the addresses of its skills see it now; its first 16 skills.
    pub skills: Vec<SkillChoice>,
}

document!(Explanation, "althing.explanation/v1");

impl Explanation {
    /// What the node says of an agent, and its own calls to it; what follows from that is still to be said.
    #[must_use]
    pub fn new(known: althing_engine::Reputation, grounds: Grounds, calls: Vec<CallProof>) -> Self {
        Self {
            schema: Self::SCHEMA.to_owned(),
            reputation: known.into(),
            ratings: grounds.rows.into_iter().map(ExplainedRating::from).collect(),
            calls,
            changes: Vec::new(),
            skills: Vec::new(),
        }
    }
}

/// A row that a rater published, and whether it counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExplainedRating {
    /// The row.
    pub row: Attested,
    /// Whether it counts: no checkpoint struck it out.
    pub counts: bool,
    /// The checkpoint that struck it out, if it is here.
    pub struck_by: Option<String>,
}

impl From<GroundsRow> for ExplainedRating {
    fn from(of: GroundsRow) -> Self {
        Self {
            row: of.row.into(),
            counts: !of.is_struck,
            struck_by: of.struck_by.map(|checkpoint| checkpoint.to_string()),
        }
    }
}

/// Whether calls to the address of a skill may go to an agent, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SkillChoice {
    /// The skill.
    pub skill: String,
    /// `unrated`, `good`, `newcomer`, `least-bad`, `low`, `behind`, `back`, `shut` or `absent`.
    #[schema(example = "behind")]
    pub reason: String,
    /// Whether a call may go to it.
    pub may_be_chosen: bool,
    /// The same for people, with the numbers.
    pub text: String,
    /// How many live agents with the skill are looked at.
    pub agents: u64,
    /// With what chance a call tries one of the newcomers among them, in millionths.
    pub trial_per_million: u32,
}
