use althing_ballot::GroupState;
use althing_record::{AgentId, Millis, RecordId};

use crate::{ClosingTerms, HoldersShown, OptionTally, ProposalDraft, Said, VoteState};

/// What a docket says before it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocketDraft {
    /// The common terms. The question there is the docket's title; the options are those of questions without any.
    pub terms: ProposalDraft,
    /// The questions, 1 to [`althing_ballot::DOCKET_QUESTIONS_MAX`], each with its own options, if it has any.
    pub questions: Vec<(String, Vec<String>)>,
}

/// A voter's answers to a docket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnswersDraft {
    /// Answers by the questions' numbers, from 1.
    pub each: Vec<(u16, Said)>,
    /// The answer to all others; none: abstain.
    pub others: Option<Said>,
}

/// A docket in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocketSummary {
    /// The docket's id.
    pub docket: RecordId,
    /// Who put it.
    pub proposer: AgentId,
    /// Its title.
    pub title: String,
    /// The rule's name.
    pub method: String,
    /// How many questions it has.
    pub questions: u64,
    /// On how many of them an option is decided.
    pub decided: u64,
    /// On how many of them it is decided that no option won.
    pub rejected: u64,
    /// Whether closers agree on the ballots, or have.
    pub is_closing: bool,
    /// Whether it asks for a Closed decision.
    pub is_closed: bool,
    /// When it was made, by its author's clock.
    pub made: Millis,
    /// When clients should stop treating it as open.
    pub closes: Millis,
    /// Whether that has passed on this node's clock.
    pub is_over: bool,
}

/// A docket and how it stands, as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocketState {
    /// What a list shows.
    pub summary: DocketSummary,
    /// How a Closed decision is closed.
    pub closing: Option<ClosingTerms>,
    /// Votes that one option needs in a Direct decision.
    pub threshold: Option<u64>,
    /// How many cheating voters, or closers of a Closed decision, it survives.
    pub tolerates: u64,
    /// The group whose members vote, after one of its changes.
    pub group: Option<GroupState>,
    /// Of which skill the voters are holders, and whether this node computes the same of them.
    pub holders: Option<HoldersShown>,
    /// The electorate.
    pub voters: Vec<DocketVoter>,
    /// The questions that were asked for, in order.
    pub questions: Vec<QuestionState>,
}

/// A member of a docket's electorate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocketVoter {
    /// Who.
    pub agent: AgentId,
    /// How much each answer counts.
    pub weight: u64,
    /// Whether answers came.
    pub answered: bool,
    /// How many closers promised to report them.
    pub acks: u64,
}

/// A question of a docket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuestionState {
    /// Its number, from 1.
    pub number: u16,
    /// The question.
    pub question: String,
    /// The options.
    pub options: Vec<OptionTally>,
    /// Answers that abstain.
    pub abstentions: u64,
    /// Where it stands.
    pub state: VoteState,
}
