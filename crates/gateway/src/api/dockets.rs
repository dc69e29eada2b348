use std::collections::BTreeMap;
use std::fmt;

use althing_engine::{AnswersDraft, DocketDraft};
use althing_record::RecordId;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::votes::vote_state;
use super::{
    BallotRequest, BallotRequestError, Closing, Document, Holders, OptionVotes, ProposeError, ProposeRequest,
    VoteState, document, rfc3339,
};

/// Most questions of one docket.
pub const MAX_QUESTIONS: usize = althing_ballot::DOCKET_QUESTIONS_MAX;

/// The body of `POST /v1/dockets`: many questions to one electorate, under the same terms.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DocketRequest {
    /// The terms. The question there is the docket's title; the options are those of questions without any.
    pub terms: ProposeRequest,
    /// The questions, 1 to 1,023.
    pub questions: Vec<DocketQuestion>,
}

/// A question of a docket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DocketQuestion {
    /// The question, at most 1,024 bytes.
    #[schema(example = "merge PR 12?")]
    pub question: String,
    /// Its options, 2 to 64; empty: those of the terms.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

impl DocketRequest {
    /// The draft that the engine takes.
    ///
    /// # Errors
    /// As [`ProposeRequest::draft`].
    pub fn draft(&self) -> Result<DocketDraft, ProposeError> {
        let questions = self.questions.iter().map(|asked| (asked.question.clone(), asked.options.clone()));
        Ok(DocketDraft { terms: self.terms.draft()?, questions: questions.collect() })
    }
}

/// The body of `POST /v1/dockets/{id}/ballots`: one agent's answers to all questions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswersRequest {
    /// Answers by the questions' numbers, from 1; those without one get `others`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "super::once::map")]
    pub answers: BTreeMap<u16, Answer>,
    /// The answer to all other questions; absent: abstain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others: Option<Answer>,
    /// The hosted agent that votes, as a did; the node's default agent if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

/// An answer to one question: an option's text or "abstain", or a ballot as for one proposal, without `agent`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Answer {
    /// One of the question's options, or "abstain".
    Option(String),
    /// A ranking, an approval, scores or a delegation.
    Ballot(Box<BallotRequest>),
}

impl Answer {
    fn said(&self) -> Result<althing_engine::Said, BallotRequestError> {
        match self {
            Self::Option(text) => Ok(althing_engine::Said::Option(text.clone())),
            Self::Ballot(ballot) if ballot.agent.is_some() => Err(BallotRequestError::Agent),
            Self::Ballot(ballot) => ballot.said(),
        }
    }
}

// By hand, because what is wrong inside a ballot would not be named otherwise.
impl<'de> Deserialize<'de> for Answer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnswerVisitor)
    }
}

struct AnswerVisitor;

impl<'de> Visitor<'de> for AnswerVisitor {
    type Value = Answer;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an option's text, or an object with one of rank, approve, score and delegate")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Answer, E> {
        Ok(Answer::Option(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Answer, A::Error> {
        let ballot = BallotRequest::deserialize(MapAccessDeserializer::new(entries))?;
        Ok(Answer::Ballot(Box::new(ballot)))
    }
}

impl AnswersRequest {
    /// The draft that the engine takes.
    ///
    /// # Errors
    /// When an answer says nothing, or several things; with the question's number, 0 for the others.
    pub fn draft(&self) -> Result<AnswersDraft, (u16, BallotRequestError)> {
        let each = self.answers.iter().map(|(number, answer)| {
            answer.said().map(|said| (*number, said)).map_err(|error| (*number, error))
        });
        let others = self.others.as_ref().map(Answer::said).transpose().map_err(|error| (0, error))?;
        Ok(AnswersDraft { each: each.collect::<Result<_, _>>()?, others })
    }
}

/// The answer of `POST /v1/dockets/{id}/ballots`: the answers are on disk and offered to the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Answered {
    /// Always `althing.answered/v1`.
    #[schema(example = "althing.answered/v1")]
    pub schema: String,
    /// The id of the record that carries the answers.
    pub ballot: String,
    /// The docket's id.
    pub docket: String,
    /// The agent that voted.
    pub agent: String,
    /// Whether these very answers had been given before.
    pub repeated: bool,
}

document!(Answered, "althing.answered/v1");

impl Answered {
    /// An answer with the right schema.
    #[must_use]
    pub fn new(ballot: RecordId, docket: RecordId, agent: althing_record::AgentId, repeated: bool) -> Self {
        Self {
            schema: Self::SCHEMA.to_owned(),
            ballot: ballot.to_string(),
            docket: docket.to_string(),
            agent: agent.to_string(),
            repeated,
        }
    }
}

/// Which questions `GET /v1/dockets/{id}` tells of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct QuestionsQuery {
    /// The first one, from 1.
    pub from: Option<u16>,
    /// Most of them; all if not given.
    pub limit: Option<u16>,
}

/// The answer of `GET /v1/dockets/{id}`: a docket and how it stands, as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Docket {
    /// Always `althing.docket/v1`.
    #[schema(example = "althing.docket/v1")]
    pub schema: String,
    /// What the list shows too.
    #[serde(flatten)]
    pub summary: DocketSummary,
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
    /// Of which skill they are holders, if they vote by reputation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holders: Option<Holders>,
    /// The electorate.
    pub voters: Vec<DocketVoter>,
    /// How a closed decision is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closing: Option<Closing>,
    /// The questions that were asked for, in order.
    pub asked: Vec<AskedQuestion>,
}

document!(Docket, "althing.docket/v1");

impl From<althing_engine::DocketState> for Docket {
    fn from(docket: althing_engine::DocketState) -> Self {
        Self {
            schema: Self::SCHEMA.to_owned(),
            summary: docket.summary.into(),
            threshold: docket.threshold,
            tolerates: docket.tolerates,
            group: docket.group.map(|state| state.group.to_string()),
            group_head: docket.group.map(|state| state.head.to_string()),
            holders: docket.holders.map(Holders::from),
            voters: docket
                .voters
                .into_iter()
                .map(|voter| DocketVoter {
                    agent: voter.agent.to_string(),
                    weight: voter.weight,
                    answered: voter.answered,
                    acks: voter.acks,
                })
                .collect(),
            closing: docket.closing.as_ref().map(Closing::from),
            asked: docket.questions.into_iter().map(AskedQuestion::from).collect(),
        }
    }
}

/// A docket without its electorate and questions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DocketSummary {
    /// The docket's id.
    pub docket: String,
    /// Who put it.
    pub proposer: String,
    /// Its title.
    pub title: String,
    /// The rule: `approvals`, `supermajority=2/3`, `unanimous`, `majority`, `ranked` and so on.
    pub method: String,
    /// How many questions it has.
    pub questions: u64,
    /// On how many of them an option is decided.
    pub decided: u64,
    /// On how many of them it is decided that no option won.
    pub rejected: u64,
    /// Where it stands: `decided` once every question has an outcome.
    pub state: VoteState,
    /// When the docket was made, by its author's clock.
    pub made: String,
    /// The same in milliseconds since 1970.
    pub made_ms: u64,
    /// When clients should stop treating it as open.
    pub closes: String,
    /// The same in milliseconds since 1970.
    pub closes_ms: u64,
}

impl From<althing_engine::DocketSummary> for DocketSummary {
    fn from(docket: althing_engine::DocketSummary) -> Self {
        let state = if docket.decided + docket.rejected == docket.questions {
            VoteState::Decided
        } else if docket.is_closing {
            VoteState::Closing
        } else if docket.is_over {
            VoteState::Expired
        } else {
            VoteState::Open
        };
        Self {
            docket: docket.docket.to_string(),
            proposer: docket.proposer.to_string(),
            title: docket.title,
            method: docket.method,
            questions: docket.questions,
            decided: docket.decided,
            rejected: docket.rejected,
            state,
            made: rfc3339(docket.made),
            made_ms: docket.made.0,
            closes: rfc3339(docket.closes),
            closes_ms: docket.closes.0,
        }
    }
}

/// A member of a docket's electorate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DocketVoter {
    /// Who.
    pub agent: String,
    /// How much each answer counts.
    pub weight: u64,
    /// Whether answers came.
    pub answered: bool,
    /// How many closers promised to report them.
    pub acks: u64,
}

/// A question of a docket and how it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AskedQuestion {
    /// Its number, from 1.
    pub number: u16,
    /// The question.
    pub question: String,
    /// Where it stands.
    pub state: VoteState,
    /// The option that won, when `decided`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided: Option<String>,
    /// Why no option won, when `rejected`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
    /// The options that all have their votes, when `conflicting`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicting: Vec<String>,
    /// The options and the votes for each.
    pub options: Vec<OptionVotes>,
    /// Answers that abstain.
    pub abstentions: u64,
}

impl From<althing_engine::QuestionState> for AskedQuestion {
    fn from(asked: althing_engine::QuestionState) -> Self {
        let (state, decided, rejected, conflicting) = vote_state(asked.state);
        let options = asked.options.into_iter();
        Self {
            number: asked.number,
            question: asked.question,
            state,
            decided,
            rejected,
            conflicting,
            options: options.map(|option| OptionVotes { text: option.text, votes: option.votes }).collect(),
            abstentions: asked.abstentions,
        }
    }
}
