use althing_record::{Millis, RecordId};

use crate::{DocketSummary, Vote, VoteState};

/// A page of the known proposals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VotesPage {
    /// The proposals.
    pub votes: Vec<Vote>,
    /// How many the node knows in all.
    pub total: u64,
    /// What to give as `after` to go on; none when this was the last page.
    pub next: Option<RecordId>,
}

/// A page of the known dockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocketsPage {
    /// The dockets.
    pub dockets: Vec<DocketSummary>,
    /// How many the node knows in all.
    pub total: u64,
    /// What to give as `after` to go on; none when this was the last page.
    pub next: Option<RecordId>,
}

/// A page of what was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionsPage {
    /// The decisions.
    pub decisions: Vec<Decision>,
    /// What to give as `after` to go on; none when this was the last page. A page can be empty and have it.
    pub next: Option<Decided>,
}

/// What a decision is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The proposal or the docket.
    pub id: RecordId,
    /// The question's number, from 1; none: the proposal, or all of the docket.
    pub question: Option<u16>,
}

/// A proposal, or a question of a docket, with its outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What was decided.
    pub on: Decided,
    /// When it was put, by its author's clock.
    pub made: Millis,
    /// The question.
    pub text: String,
    /// The outcome: decided or rejected.
    pub outcome: VoteState,
}
