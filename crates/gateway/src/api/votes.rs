use std::collections::BTreeMap;

use althing_engine::Said;
use althing_record::{AgentId, IdError, RecordId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Document, Holders, Sealed, document, rfc3339};

/// The answer of `POST /v1/votes`: the proposal is durable here and offered to the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Proposed {
    /// Always `althing.proposed/v1`.
    #[schema(example = "althing.proposed/v1")]
    pub schema: String,
    /// The proposal's id.
    pub proposal: String,
    /// The agent that proposed.
    pub agent: String,
    /// Votes that one option needs; absent in a closed decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<u64>,
    /// How many cheating voters, or closers of a closed decision, it survives.
    pub tolerates: u64,
}

document!(Proposed, "althing.proposed/v1");

impl Proposed {
    /// What the engine answered to a proposal by `agent`.
    #[must_use]
    pub fn new(proposal: RecordId, agent: AgentId, threshold: Option<u64>, tolerates: u64) -> Self {
        Self {
            schema: Self::SCHEMA.to_owned(),
            proposal: proposal.to_string(),
            agent: agent.to_string(),
            threshold,
            tolerates,
        }
    }
}

/// The body of `POST /v1/votes/{id}/ballots`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BallotRequest {
    /// One of the proposal's options, or "abstain". Exactly one of this and the next four is given.
    #[schema(example = "yes")]
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub choice: String,
    /// Options, the best first: a ballot of `ranked` and `schulze`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rank: Vec<String>,
    /// All options that are approved of: a ballot of `approval`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approve: Vec<String>,
    /// Scores from 0 to 5 of options: a ballot of `star`. Options without one have 0.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "super::once::map")]
    pub score: BTreeMap<String, u8>,
    /// Another voter, as a did, whose ballot is to count with this voter's weight too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegate: Option<String>,
    /// The hosted agent that votes, as a did; the node's default agent if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

impl BallotRequest {
    /// What the voter says.
    ///
    /// # Errors
    /// When nothing is said, or several things, or the delegate is no did.
    pub fn said(&self) -> Result<Said, BallotRequestError> {
        let delegate = self.delegate.as_deref().map(str::parse).transpose();
        let delegate = delegate.map_err(BallotRequestError::Delegate)?;
        let given = [
            (!self.choice.is_empty()).then(|| Said::Option(self.choice.clone())),
            (!self.rank.is_empty()).then(|| Said::Ranking(self.rank.clone())),
            (!self.approve.is_empty()).then(|| Said::Approval(self.approve.clone())),
            (!self.score.is_empty()).then(|| Said::Scores(self.score.clone().into_iter().collect())),
            delegate.map(Said::Delegate),
        ];
        let mut given = given.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(said), None) => Ok(said),
            (None, _) => Err(BallotRequestError::Nothing),
            (Some(_), Some(_)) => Err(BallotRequestError::Several),
        }
    }

    /// What the voter says, for people.
    #[must_use]
    pub fn text(&self) -> String {
        match self.said() {
            Ok(Said::Option(choice)) => choice,
            Ok(Said::Ranking(options)) => options.join(" > "),
            Ok(Said::Approval(options)) => options.join(", "),
            Ok(Said::Scores(scores)) => {
                let scored = scores.iter().map(|(option, score)| format!("{option}={score}"));
                scored.collect::<Vec<_>>().join(", ")
            }
            Ok(Said::Delegate(to)) => format!("as {to}"),
            Err(_) => String::new(),
        }
    }
}

/// Why a [`BallotRequest`] is no ballot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BallotRequestError {
    /// It says nothing.
    #[error("the ballot says nothing")]
    Nothing,
    /// It says several things.
    #[error("the ballot says several things")]
    Several,
    /// One answer among many names an agent.
    #[error("all answers are of one agent; name it beside them")]
    Agent,
    /// The delegate is no did.
    #[error("delegate: {0}")]
    Delegate(IdError),
}

/// The answer of `POST /v1/votes/{id}/ballots`: the ballot is on disk and offered to the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ballot {
    /// Always `althing.ballot/v1`.
    #[schema(example = "althing.ballot/v1")]
    pub schema: String,
    /// The id of the record that carries the ballot.
    pub ballot: String,
    /// The proposal's id.
    pub proposal: String,
    /// The agent that voted.
    pub agent: String,
    /// What it chose.
    pub choice: String,
    /// Whether this very ballot had been cast before.
    pub repeated: bool,
}

document!(Ballot, "althing.ballot/v1");

impl Ballot {
    /// An answer with the right schema.
    #[must_use]
    pub fn new(ballot: RecordId, proposal: RecordId, agent: AgentId, choice: String, repeated: bool) -> Self {
        Self {
            schema: Self::SCHEMA.to_owned(),
            ballot: ballot.to_string(),
            proposal: proposal.to_string(),
            agent: agent.to_string(),
            choice,
            repeated,
        }
    }
}

/// The answer of `GET /v1/votes/{id}`: a proposal and how it stands, as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Vote {
    /// Always `althing.vote/v1`.
    #[schema(example = "althing.vote/v1")]
    pub schema: String,
    /// What the list shows too.
    #[serde(flatten)]
    pub summary: VoteSummary,
    /// The electorate.
    pub voters: Vec<Voter>,
    /// Of which skill they are holders, if they vote by reputation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holders: Option<Holders>,
    /// How a closed decision is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closing: Option<Closing>,
    /// The count of a closed decision, round by round, once it is made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rounds: Vec<Round>,
}

document!(Vote, "althing.vote/v1");

impl From<althing_engine::Vote> for Vote {
    fn from(vote: althing_engine::Vote) -> Self {
        Self {
            schema: Self::SCHEMA.to_owned(),
            voters: vote
                .voters
                .iter()
                .map(|voter| Voter {
                    agent: voter.agent.to_string(),
                    weight: voter.weight,
                    choices: voter.choices.clone(),
                    acks: voter.acks,
                    void: voter.void,
                    invalid: voter.invalid,
                })
                .collect(),
            holders: vote.holders.clone().map(Holders::from),
            closing: vote.closing.as_ref().map(Closing::from),
            rounds: vote
                .rounds
                .iter()
                .map(|round| Round {
                    tally: round.tally.clone(),
                    exhausted: round.exhausted,
                    elected: round.elected.clone(),
                    eliminated: round.eliminated.clone(),
                    tied: round.tied.clone(),
                })
                .collect(),
            summary: vote.into(),
        }
    }
}

/// A proposal without its electorate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VoteSummary {
    /// The proposal's id.
    pub proposal: String,
    /// Who put it.
    pub proposer: String,
    /// The question.
    pub question: String,
    /// Where it stands.
    pub state: VoteState,
    /// The option that won, when `decided`.
    pub decided: Option<String>,
    /// Why no option won, when `rejected`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
    /// The options that all have their votes, when `conflicting`.
    pub conflicting: Vec<String>,
    /// The options and the votes for each.
    pub options: Vec<OptionVotes>,
    /// Ballots that abstain.
    pub abstentions: u64,
    /// The rule: `approvals`, `supermajority=2/3`, `unanimous`, `majority`, `ranked` and so on.
    pub method: String,
    /// How the ballots are sealed, if they are: then there are no votes for options before they are opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Sealed>,
    /// Votes that one option needs; absent in a closed decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<u64>,
    /// How many cheating voters, or closers of a closed decision, it survives.
    pub tolerates: u64,
    /// The group whose members vote, if it is a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The record after which they were its members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_head: Option<String>,
    /// How many voters there are.
    pub electorate: u64,
    /// How many of them have cast a ballot.
    pub voted: u64,
    /// What it decides about, and whether its decision holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// What it asks to forgive, if it is a pardon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pardon: Option<Pardon>,
    /// When the proposal was made, by its author's clock.
    pub made: String,
    /// The same in milliseconds since 1970.
    pub made_ms: u64,
    /// When clients should stop treating it as open.
    pub closes: String,
    /// The same in milliseconds since 1970.
    pub closes_ms: u64,
}

impl From<althing_engine::Vote> for VoteSummary {
    fn from(vote: althing_engine::Vote) -> Self {
        let (state, decided, rejected, conflicting) = vote_state(vote.state);
        Self {
            proposal: vote.proposal.to_string(),
            proposer: vote.proposer.to_string(),
            question: vote.question,
            state,
            decided,
            rejected,
            conflicting,
            options: vote
                .options
                .into_iter()
                .map(|option| OptionVotes { text: option.text, votes: option.votes })
                .collect(),
            abstentions: vote.abstentions,
            method: vote.method,
            sealed: vote.sealed.map(Sealed::from),
            threshold: vote.threshold,
            tolerates: vote.tolerates,
            group: vote.group.map(|state| state.group.to_string()),
            group_head: vote.group.map(|state| state.head.to_string()),
            electorate: vote.voters.len() as u64,
            voted: vote.voters.iter().filter(|voter| !voter.choices.is_empty()).count() as u64,
            subject: vote.subject.map(Subject::from),
            pardon: vote.pardon.map(Pardon::from),
            made: rfc3339(vote.made),
            made_ms: vote.made.0,
            closes: rfc3339(vote.closes),
            closes_ms: vote.closes.0,
        }
    }
}

/// What a proposal asks to forgive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pardon {
    /// Whose misbehaviour.
    pub agent: String,
    /// The cases, as in `GET /v1/evidence`.
    pub cases: Vec<String>,
    /// Whether those vote who may forgive it; otherwise the proposal has no effect.
    pub entitled: bool,
}

impl From<althing_engine::PardonTerms> for Pardon {
    fn from(terms: althing_engine::PardonTerms) -> Self {
        Self {
            agent: terms.agent.to_string(),
            cases: terms.cases.iter().map(ToString::to_string).collect(),
            entitled: terms.is_entitled,
        }
    }
}

/// Where a question stands: the state, the option that won, why none did, the options that conflict.
pub(super) fn vote_state(
    state: althing_engine::VoteState,
) -> (VoteState, Option<String>, Option<String>, Vec<String>) {
    match state {
        althing_engine::VoteState::Closing => (VoteState::Closing, None, None, Vec::new()),
        althing_engine::VoteState::Opening { .. } => (VoteState::Opening, None, None, Vec::new()),
        althing_engine::VoteState::Unopened { .. } => (VoteState::Unopened, None, None, Vec::new()),
        althing_engine::VoteState::Rejected { cause } => (VoteState::Rejected, None, Some(cause), Vec::new()),
        althing_engine::VoteState::Open => (VoteState::Open, None, None, Vec::new()),
        althing_engine::VoteState::Expired => (VoteState::Expired, None, None, Vec::new()),
        althing_engine::VoteState::Decided { option } => (VoteState::Decided, Some(option), None, Vec::new()),
        althing_engine::VoteState::Conflicting { options } => (VoteState::Conflicting, None, None, options),
    }
}

/// Where a proposal stands, as this node sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum VoteState {
    /// Not decided, and the window has not passed on this node's clock.
    Open,
    /// Not decided, and the window has passed on this node's clock. A local status, not an outcome.
    Expired,
    /// The closers agree on the ballots.
    Closing,
    /// Which sealed ballots count is decided, and trustees open them.
    Opening,
    /// The same, and for a minute too few trustees have opened. A local status, not an outcome: they still can.
    Unopened,
    /// Decided: one option has its votes.
    Decided,
    /// A closed decision: no option won.
    Rejected,
    /// More voters cheated than the rule tolerates: several options have their votes.
    Conflicting,
}

/// What a proposal decides about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Subject {
    /// Its name.
    #[schema(example = "budget-2027")]
    pub name: String,
    /// The decision that this one takes the place of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Where the decision stands among those on the subject that are known here; absent while nothing is decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
    /// The decision that holds in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// Where a decision stands among those on its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It holds.
    InForce,
    /// It held, and another took its place.
    Superseded,
    /// It does not hold: another was decided beside it, or what it follows does not hold.
    Overruled,
}

impl From<althing_engine::SubjectTerms> for Subject {
    fn from(subject: althing_engine::SubjectTerms) -> Self {
        let (standing, by) = match subject.standing {
            None => (None, None),
            Some(althing_ballot::Standing::InForce) => (Some(Standing::InForce), None),
            Some(althing_ballot::Standing::Superseded(by)) => (Some(Standing::Superseded), Some(by)),
            Some(althing_ballot::Standing::Overruled(by)) => (Some(Standing::Overruled), by),
        };
        Self {
            name: subject.name,
            after: subject.basis.map(|id| id.to_string()),
            standing,
            by: by.map(|id| id.to_string()),
        }
    }
}

/// An option and the votes for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OptionVotes {
    /// The option's text.
    pub text: String,
    /// Votes for it.
    pub votes: u64,
}

/// A member of an electorate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Voter {
    /// Who.
    pub agent: String,
    /// How much the ballot counts.
    pub weight: u64,
    /// What they chose, or `sealed` until trustees open it; more than one entry is an equivocation.
    pub choices: Vec<String>,
    /// How many closers of a closed decision promised to report the ballot.
    #[serde(default)]
    pub acks: u64,
    /// Whether a closed decision does not count the ballot, because there are two.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub void: bool,
    /// Whether the ballot was sealed, and is none now that it is opened.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub invalid: bool,
}

/// How a closed decision is closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Closing {
    /// Who agrees on the ballots.
    pub closers: Vec<String>,
    /// How many of them have closed the vote.
    pub reported: u64,
    /// The terms, for people.
    pub terms: String,
}

impl From<&althing_engine::ClosingTerms> for Closing {
    fn from(closing: &althing_engine::ClosingTerms) -> Self {
        Self {
            closers: closing.closers.iter().map(ToString::to_string).collect(),
            reported: closing.reported,
            terms: closing.terms.clone(),
        }
    }
}

/// One round of a count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Round {
    /// The votes of each option, in the proposal's order; null if it was out.
    pub tally: Vec<Option<u64>>,
    /// Votes that count for no option.
    pub exhausted: u64,
    /// Who was elected.
    pub elected: Vec<String>,
    /// Who was eliminated.
    pub eliminated: Vec<String>,
    /// Options that were equal where that mattered.
    pub tied: Vec<String>,
}
