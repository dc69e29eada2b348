use std::collections::BTreeSet;

use althing_ballot::{ClosedTerms, Quorum, Rule, Voter};
use althing_card::{SkillError, SkillPath};
use althing_engine::{HoldersDraft, ProposalDraft};
use althing_record::{AgentId, IdError, RecordId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{SealError, SealRequest};

/// How long a vote is treated as open when the proposer does not say: one hour.
pub const DEFAULT_WINDOW_MS: u64 = 3_600_000;

/// The body of `POST /v1/votes`: a question to an electorate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProposeRequest {
    /// The question, at most 1,024 bytes.
    #[schema(example = "merge PR 12?")]
    pub question: String,
    /// The options, 2 to 64. Empty: a motion, that is "yes" and "no", of which only "yes" can be certified.
    #[serde(default)]
    pub options: Vec<String>,
    /// The voters, each a did. None if a group votes, or holders of a skill.
    #[schema(example = json!(["did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"]))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub voters: Vec<String>,
    /// The group whose members vote, by its id: each with one vote, as the group is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The skill whose holders vote, weighed by reputation, nobody by more than a tenth of all; who has a skill below it has
    /// it, too. There must be at least ten. The network's committee closes the vote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "text/translate")]
    pub skill: Option<String>,
    /// Only holders with at least this score, in thousandths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_score: Option<u64>,
    /// How much each voter's ballot counts, in the same order; empty: each 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<u64>,
    /// `approvals`, `approvals=N`, `supermajority` (2/3), `supermajority=N/D` or `unanimous`; in a closed decision also
    /// `majority`, `approval`, `ranked`, `schulze` or `star`, but no approvals.
    #[schema(example = "supermajority=2/3")]
    pub method: String,
    /// What it decides about: of the decisions of the same voters on one subject, one is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "budget-2027")]
    pub subject: Option<String>,
    /// The decision on the subject that this one takes the place of, by the proposal's id; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The agent whose proven misbehaviour a motion forgives, as far as the node knows it. The voters then follow from the
    /// network's genesis: its committee, or else its anchors, without the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pardon: Option<String>,
    /// Whether Byzantine agreement on the ballots decides, so that there can also be a rejection. The rules of closed
    /// decisions and the terms below imply it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub closed: bool,
    /// How much weight has to take part, such as `3` or `1/2`. Closed only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum: Option<String>,
    /// Whether the network's committee agrees on the ballots, and not the voters. Closed only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub committee: bool,
    /// Whether voters may let others vote for them. Closed only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub delegation: bool,
    /// `reject` (a tie decides nothing; the default) or `order` (the earlier option wins it). Closed only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tie: Option<String>,
    /// Seal the ballots, so that nobody sees a tally before these trustees open them. Closed only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<SealRequest>,
    /// How long the vote is open; one hour if not given. A closed decision is closed then, or once all have voted; on
    /// another one it has no influence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_ms: Option<u64>,
    /// The hosted agent that proposes, as a did; the node's default agent if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

impl ProposeRequest {
    /// The draft that the engine takes.
    ///
    /// # Errors
    /// When a voter is not a did or stands there twice, or when the method is not one of those that can be certified.
    pub fn draft(&self) -> Result<ProposalDraft, ProposeError> {
        let mut voters = Vec::with_capacity(self.voters.len());
        let mut seen = BTreeSet::new();
        for (index, text) in self.voters.iter().enumerate() {
            let voter: AgentId =
                text.parse().map_err(|error| ProposeError::Voter { number: index + 1, error })?;
            if !seen.insert(voter) {
                return Err(ProposeError::Twice { voter });
            }
            voters.push(Voter { agent: voter, weight: 1 });
        }
        if !self.weights.is_empty() {
            if self.weights.len() != voters.len() {
                let (weights, voters) = (self.weights.len(), voters.len());
                return Err(ProposeError::Weights { weights, voters });
            }
            voters.iter_mut().zip(&self.weights).for_each(|(voter, weight)| voter.weight = *weight);
        }
        let group = self.group.as_deref().map(str::parse).transpose().map_err(ProposeError::Group)?;
        let holders = self.holders()?;
        let is_listed = !(voters.is_empty() && self.weights.is_empty());
        if [group.is_some(), holders.is_some(), is_listed].iter().filter(|given| **given).count() > 1 {
            return Err(ProposeError::Both);
        }
        let rule = parse_method(&self.method)?;
        Ok(ProposalDraft {
            question: self.question.clone(),
            options: self.options.clone(),
            voters,
            group,
            holders,
            rule,
            subject: self.subject()?,
            pardon: self.pardon.as_deref().map(str::parse).transpose().map_err(ProposeError::Pardon)?,
            closed: self.terms(rule)?,
            window_ms: self.window_ms.unwrap_or(DEFAULT_WINDOW_MS),
        })
    }

    /// The holders of a skill who vote, if it is they.
    fn holders(&self) -> Result<Option<HoldersDraft>, ProposeError> {
        match (&self.skill, self.min_score) {
            (Some(skill), least) => {
                let skill = skill.parse::<SkillPath>().map_err(ProposeError::Skill)?;
                Ok(Some(HoldersDraft { skill, score_min: least.unwrap_or(0) }))
            }
            (None, None) => Ok(None),
            (None, Some(_)) => Err(ProposeError::NoSkill),
        }
    }

    /// The subject, and the decision on it that stands so far.
    fn subject(&self) -> Result<Option<(String, Option<RecordId>)>, ProposeError> {
        let after = self.after.as_deref().map(str::parse).transpose().map_err(ProposeError::After)?;
        match (&self.subject, after) {
            (Some(subject), after) => Ok(Some((subject.clone(), after))),
            (None, None) => Ok(None),
            (None, Some(_)) => Err(ProposeError::NoSubject),
        }
    }

    /// The terms of a closed decision, if it is one.
    fn terms(&self, rule: Rule) -> Result<Option<ClosedTerms>, ProposeError> {
        let option_order = match self.tie.as_deref() {
            None | Some("reject") => false,
            Some("order") => true,
            Some(other) => return Err(ProposeError::Tie(other.chars().take(80).collect())),
        };
        let terms = ClosedTerms {
            quorum: self.quorum.as_deref().map(parse_quorum).transpose()?,
            by_committee: self.committee || self.skill.is_some(),
            option_order,
            delegation: self.delegation,
            sealing: self.sealed.as_ref().map(SealRequest::terms).transpose()?,
        };
        let is_closed =
            self.closed || !rule.is_direct() || self.tie.is_some() || terms != ClosedTerms::default();
        Ok(is_closed.then_some(terms))
    }
}

/// Why a [`ProposeRequest`] is not a proposal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// A voter is not a did.
    #[error("voter {number}: {error}")]
    Voter {
        /// Its place in the list, from 1.
        number: usize,
        /// What is wrong with it.
        error: IdError,
    },
    /// A voter stands in the list twice.
    #[error("voter {voter} is listed twice, and each voter has one vote")]
    Twice {
        /// The voter.
        voter: AgentId,
    },
    /// The group's id is none.
    #[error("group: {0}")]
    Group(IdError),
    /// Who is to vote is said in several ways.
    #[error("several electorates are named: voters, a group or a skill")]
    Both,
    /// Who is to be pardoned is no did.
    #[error("pardon: {0}")]
    Pardon(IdError),
    /// The skill is none.
    #[error(transparent)]
    Skill(SkillError),
    /// A score is asked for, and no skill.
    #[error("a least score is named, and no skill whose holders are to have it")]
    NoSkill,
    /// What it is to take the place of is no id.
    #[error("after: {0}")]
    After(IdError),
    /// It is to take another's place, and says not on what.
    #[error("a decision takes the place of another on a subject, and none is named")]
    NoSubject,
    /// The weights do not fit the voters.
    #[error("{weights} weights for {voters} voters")]
    Weights {
        /// How many weights.
        weights: usize,
        /// How many voters.
        voters: usize,
    },
    /// The quorum is none.
    #[error("expected a quorum N or N/D, found \"{0}\"")]
    Quorum(String),
    /// The word about ties is none.
    #[error("expected tie \"reject\" or \"order\", found \"{0}\"")]
    Tie(String),
    /// The ballots cannot be sealed like that.
    #[error(transparent)]
    Sealed(#[from] SealError),
    /// The method is wrong.
    #[error(transparent)]
    Method(#[from] MethodError),
}

impl ProposeError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Voter { .. } => "name voters by did; `althing status` shows the dids of a node's agents",
            Self::Twice { .. } => "list each voter once",
            Self::Group(_) => "`althing group ls` shows the ids of groups",
            Self::Pardon(_) => {
                "name the agent by its did; `althing evidence ls` lists those who need a pardon"
            }
            Self::Both => "name one of them",
            Self::Skill(_) => {
                "a skill is a path such as text/translate; `althing find` shows those of agents"
            }
            Self::NoSkill => "name the skill, too",
            Self::After(_) => {
                "it is the whole id of a decided proposal, 64 hex digits; `althing vote ls` lists them"
            }
            Self::NoSubject => "name the subject, too",
            Self::Weights { .. } => "give one weight for each voter, in the same order",
            Self::Quorum(_) => "a quorum is a weight such as 3, or a fraction of the electorate such as 1/2",
            Self::Tie(_) => "\"reject\" decides nothing in a tie, \"order\" prefers the earlier option",
            Self::Sealed(error) => error.hint(),
            Self::Method(error) => error.hint(),
        }
    }
}

/// Why a text is not a voting method.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MethodError {
    /// It is none of the methods.
    #[error(
        "expected a method approvals[=N], supermajority[=N/D], unanimous, majority, weighted, approval, ranked, \
         schulze or star, found \"{0}\""
    )]
    Unknown(String),
    /// The number behind `approvals=` is not a count.
    #[error("expected approvals=N with N at least 1, found \"{0}\"")]
    Count(String),
    /// The fraction behind `supermajority=` is not over a half and at most one.
    #[error("expected supermajority=N/D with 1/2 < N/D <= 1, found \"{0}\"")]
    Fraction(String),
}

impl MethodError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Fraction(_) => "use supermajority, that is supermajority=2/3",
            Self::Unknown(_) => "use supermajority=2/3 when unsure",
            Self::Count(_) => "use approvals for the safe threshold, or approvals=N to ask for more",
        }
    }
}

/// Reads a quorum: a weight, or a fraction of the electorate such as `1/2`.
///
/// # Errors
/// When it is neither.
pub fn parse_quorum(text: &str) -> Result<Quorum, ProposeError> {
    let unknown = || ProposeError::Quorum(text.chars().take(80).collect());
    match text.split_once('/') {
        None => text.parse().map(Quorum::Weight).map_err(|_| unknown()),
        Some((num, den)) => match (num.parse(), den.parse()) {
            (Ok(num), Ok(den)) => Ok(Quorum::Share { num, den }),
            (Ok(_) | Err(_), _) => Err(unknown()),
        },
    }
}

/// Reads a method: `approvals[=N]`, `supermajority[=N/D]`, `unanimous`, `majority` (or `weighted`), `approval`, `ranked`,
/// `schulze` or `star`.
///
/// # Errors
/// When it is none of these.
pub fn parse_method(text: &str) -> Result<Rule, MethodError> {
    let cut = || text.chars().take(80).collect::<String>();
    let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
    match (name, value) {
        ("approvals", None) => Ok(Rule::Approvals(0)),
        ("approvals", Some(count)) => match count.parse() {
            Ok(count) if count > 0 => Ok(Rule::Approvals(count)),
            Ok(_) | Err(_) => Err(MethodError::Count(cut())),
        },
        ("supermajority", None) => Ok(Rule::SuperMajority { num: 2, den: 3 }),
        ("supermajority", Some(fraction)) => fraction
            .split_once('/')
            .and_then(|(num, den)| Some((num.parse::<u64>().ok()?, den.parse::<u64>().ok()?)))
            .filter(|(num, den)| num <= den && u128::from(*num) * 2 > u128::from(*den))
            .map(|(num, den)| Rule::SuperMajority { num, den })
            .ok_or_else(|| MethodError::Fraction(cut())),
        ("unanimous", None) => Ok(Rule::Unanimous),
        ("majority" | "weighted", None) => Ok(Rule::Majority),
        ("approval", None) => Ok(Rule::Approval),
        ("ranked", None) => Ok(Rule::Ranked),
        ("schulze", None) => Ok(Rule::Schulze),
        ("star", None) => Ok(Rule::Star),
        (_, _) => Err(MethodError::Unknown(cut())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_read() {
        assert_eq!(parse_method("approvals"), Ok(Rule::Approvals(0)));
        assert_eq!(parse_method("approvals=4"), Ok(Rule::Approvals(4)));
        assert_eq!(parse_method("supermajority"), Ok(Rule::SuperMajority { num: 2, den: 3 }));
        assert_eq!(parse_method("supermajority=3/4"), Ok(Rule::SuperMajority { num: 3, den: 4 }));
        assert_eq!(parse_method("unanimous"), Ok(Rule::Unanimous));
    }

    #[test]
    fn other_methods_are_refused_by_name() {
        for text in ["approvals=0", "approvals=-1", "approvals=x"] {
            assert_eq!(parse_method(text), Err(MethodError::Count(text.into())));
        }
        for text in ["supermajority=1/2", "supermajority=4/3", "supermajority=0/0", "supermajority=2"] {
            assert_eq!(parse_method(text), Err(MethodError::Fraction(text.into())));
        }
        for text in ["", "Unanimous", "unanimous=1", "plurality", "majority=1/2"] {
            assert_eq!(parse_method(text), Err(MethodError::Unknown(text.into())));
        }
    }

    #[test]
    fn terms_make_a_decision_closed() {
        let request = |method: &str| ProposeRequest {
            voters: vec![AgentId([7; 32]).to_string()],
            method: method.into(),
            ..ProposeRequest::default()
        };
        let closed = |request: ProposeRequest| request.draft().unwrap().closed;
        assert_eq!(closed(request("unanimous")), None);
        assert_eq!(closed(request("ranked")), Some(ClosedTerms::default()));
        assert_eq!(
            closed(ProposeRequest { closed: true, ..request("unanimous") }),
            Some(ClosedTerms::default())
        );
        let quorum = ProposeRequest { quorum: Some("1/2".into()), ..request("unanimous") };
        let share = Some(Quorum::Share { num: 1, den: 2 });
        assert_eq!(closed(quorum), Some(ClosedTerms { quorum: share, ..ClosedTerms::default() }));
        let wrong = ProposeRequest { quorum: Some("half".into()), ..request("ranked") };
        assert_eq!(wrong.draft(), Err(ProposeError::Quorum("half".into())));
        let wrong = ProposeRequest { weights: vec![1, 2], ..request("weighted") };
        assert_eq!(wrong.draft(), Err(ProposeError::Weights { weights: 2, voters: 1 }));
    }

    #[test]
    fn a_voter_listed_twice_is_refused() {
        let voter = AgentId([7; 32]);
        let request = ProposeRequest {
            voters: vec![voter.to_string(), voter.to_string()],
            method: "unanimous".into(),
            ..ProposeRequest::default()
        };
        assert_eq!(request.draft(), Err(ProposeError::Twice { voter }));
    }
}
