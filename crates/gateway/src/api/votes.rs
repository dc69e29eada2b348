use althing_record::{AgentId, RecordId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Document, document, rfc3339};

/// Most rows in one list answer.
pub const MAX_LISTED: usize = 1_000;

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
    /// Votes that one option needs.
    pub threshold: u64,
    /// How many cheating voters the rule survives.
    pub tolerates: u64,
}

document!(Proposed, "althing.proposed/v1");

impl Proposed {
    /// What the engine answered to a proposal by `agent`.
    #[must_use]
    pub fn new(proposal: RecordId, agent: AgentId, threshold: u64, tolerates: u64) -> Self {
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
    /// One of the proposal's options, or "abstain".
    #[schema(example = "yes")]
    pub choice: String,
    /// The hosted agent that votes, as a did; the node's default agent if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
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
}

document!(Vote, "althing.vote/v1");

impl From<althing_engine::Vote> for Vote {
    fn from(vote: althing_engine::Vote) -> Self {
        Self {
            schema: Self::SCHEMA.to_owned(),
            voters: vote
                .voters
                .iter()
                .map(|voter| Voter { agent: voter.agent.to_string(), choices: voter.choices.clone() })
                .collect(),
            summary: vote.into(),
        }
    }
}

/// The answer of `GET /v1/votes`: the known proposals, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Votes {
    /// Always `althing.votes/v1`.
    #[schema(example = "althing.votes/v1")]
    pub schema: String,
    /// How many proposals the node knows; more than `votes` when the list was cut to `limit`.
    pub total: u64,
    /// The proposals, without their electorates.
    pub votes: Vec<VoteSummary>,
}

document!(Votes, "althing.votes/v1");

impl Votes {
    /// The first `limit` of the node's proposals.
    #[must_use]
    pub fn new(votes: Vec<althing_engine::Vote>, limit: usize) -> Self {
        Self {
            schema: Self::SCHEMA.to_owned(),
            total: votes.len() as u64,
            votes: votes.into_iter().take(limit).map(VoteSummary::from).collect(),
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
    /// The options that all have their votes, when `conflicting`.
    pub conflicting: Vec<String>,
    /// The options and the votes for each.
    pub options: Vec<OptionVotes>,
    /// Ballots that abstain.
    pub abstentions: u64,
    /// The rule: `approvals`, `supermajority=2/3`, `unanimous`.
    pub method: String,
    /// Votes that one option needs.
    pub threshold: u64,
    /// How many cheating voters the rule survives.
    pub tolerates: u64,
    /// How many voters there are.
    pub electorate: u64,
    /// How many of them have cast a ballot.
    pub voted: u64,
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
        let (state, decided, conflicting) = match vote.state {
            althing_engine::VoteState::Open => (VoteState::Open, None, Vec::new()),
            althing_engine::VoteState::Expired => (VoteState::Expired, None, Vec::new()),
            althing_engine::VoteState::Decided { option } => (VoteState::Decided, Some(option), Vec::new()),
            althing_engine::VoteState::Conflicting { options } => (VoteState::Conflicting, None, options),
        };
        Self {
            proposal: vote.proposal.to_string(),
            proposer: vote.proposer.to_string(),
            question: vote.question,
            state,
            decided,
            conflicting,
            options: vote
                .options
                .into_iter()
                .map(|option| OptionVotes { text: option.text, votes: option.votes })
                .collect(),
            abstentions: vote.abstentions,
            method: vote.method,
            threshold: vote.threshold,
            tolerates: vote.tolerates,
            electorate: vote.voters.len() as u64,
            voted: vote.voters.iter().filter(|voter| !voter.choices.is_empty()).count() as u64,
            made: rfc3339(vote.made),
            made_ms: vote.made.0,
            closes: rfc3339(vote.closes),
            closes_ms: vote.closes.0,
        }
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
    /// Decided: one option has its votes.
    Decided,
    /// More voters cheated than the rule tolerates: several options have their votes.
    Conflicting,
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
    /// What they chose; more than one entry is an equivocation.
    pub choices: Vec<String>,
}

/// The query of the list routes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Most rows to return, 1 to 1,000; 1,000 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}
