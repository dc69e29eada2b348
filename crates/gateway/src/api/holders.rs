use althing_engine::{HoldersShown, MassCheck};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An electorate of holders of a skill, who vote by reputation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Holders {
    /// The skill.
    pub skill: String,
    /// The least score, in thousandths.
    pub score_min: u64,
    /// The rating epoch by which they are weighed.
    pub rating_epoch: u64,
    /// The most that one of them weighs, a tenth of all, in 2^-32 of all trust, as weights are.
    pub cap: u64,
    /// Those who would weigh more.
    pub capped: Vec<CappedVoter>,
    /// What this node found when it weighed them itself; absent if it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<ElectorateCheck>,
    /// Why it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unchecked: Option<String>,
}

/// A voter who weighs less than its reputation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CappedVoter {
    /// Who.
    pub agent: String,
    /// Its reputation mass.
    pub mass: u64,
}

/// What a node found when it weighed the voters of a proposal itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ElectorateCheck {
    /// Whether all voters have the masses and scores that they should, by the attestations that are here.
    pub agrees: bool,
    /// Voters with another mass here, those first whose masses differ most.
    pub differing: Vec<DifferingVoter>,
    /// How many there are.
    pub differing_known: u64,
    /// Voters whose score is too low here.
    pub too_low: Vec<String>,
    /// How many there are.
    pub too_low_known: u64,
    /// Agents that have the skill, as this node knows it now, and mass and score enough, and are no voters. Who has a skill
    /// is not agreed on, so that this proves nothing.
    pub left_out: Vec<String>,
    /// How many there are.
    pub left_out_known: u64,
}

/// A voter whose mass is another one here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DifferingVoter {
    /// Who.
    pub agent: String,
    /// The mass in the proposal.
    pub listed: u64,
    /// The mass here.
    pub here: u64,
}

impl From<HoldersShown> for Holders {
    fn from(shown: HoldersShown) -> Self {
        let (check, unchecked) = match shown.check {
            MassCheck::Unchecked { cause } => (None, Some(cause)),
            MassCheck::Checked(report) => (Some(report), None),
        };
        let texts = |agents: Vec<althing_record::AgentId>| agents.iter().map(ToString::to_string).collect();
        Self {
            skill: shown.skill,
            score_min: shown.score_min,
            rating_epoch: shown.epoch.0,
            cap: shown.cap,
            capped: shown
                .capped
                .into_iter()
                .map(|(agent, mass)| CappedVoter { agent: agent.to_string(), mass })
                .collect(),
            check: check.map(|report| ElectorateCheck {
                agrees: report.agrees(),
                differing: report
                    .differing
                    .iter()
                    .map(|one| DifferingVoter {
                        agent: one.agent.to_string(),
                        listed: one.listed,
                        here: one.here,
                    })
                    .collect(),
                differing_known: report.differing_known,
                too_low: texts(report.too_low),
                too_low_known: report.too_low_known,
                left_out: texts(report.left_out),
                left_out_known: report.left_out_known,
            }),
            unchecked,
        }
    }
}
