use std::fmt;

use althing_engine::Decided;
use althing_record::RecordId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::votes::vote_state;
use super::{DocketSummary, Document, VoteState, VoteSummary, document, rfc3339};

/// Most rows in one list answer.
pub const MAX_LISTED: usize = 1_000;

/// The query of the list routes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Most rows to return, 1 to 1,000; 1,000 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// The query of `GET /v1/votes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct VotesQuery {
    /// Most proposals to return, 1 to 1,000; 1,000 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// A proposal's id: what comes after it in the list is returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// A group's id: only what was put to its members is returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// The query of `GET /v1/dockets`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DocketsQuery {
    /// Most dockets to return, 1 to 100; 100 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// A docket's id: what comes after it in the list is returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// The query of `GET /v1/decisions`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DecisionsQuery {
    /// Most decisions to return, 1 to 1,000; 1,000 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// The id of a proposal or a docket, or `ID/N` for question N of a docket: what comes after it is returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// A group's id: only what its members decided is returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// The answer of `GET /v1/votes`: the known proposals, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Votes {
    /// Always `althing.votes/v1`.
    #[schema(example = "althing.votes/v1")]
    pub schema: String,
    /// How many proposals the node knows in all.
    pub total: u64,
    /// The proposals, without their electorates.
    pub votes: Vec<VoteSummary>,
    /// What to give as `after` to go on; absent when the list ends here. A page can be empty and have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

document!(Votes, "althing.votes/v1");

impl From<althing_engine::VotesPage> for Votes {
    fn from(page: althing_engine::VotesPage) -> Self {
        Self {
            schema: Self::SCHEMA.to_owned(),
            total: page.total,
            votes: page.votes.into_iter().map(VoteSummary::from).collect(),
            next: page.next.map(|id| id.to_string()),
        }
    }
}

/// The answer of `GET /v1/dockets`: the known dockets, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Dockets {
    /// Always `althing.dockets/v1`.
    #[schema(example = "althing.dockets/v1")]
    pub schema: String,
    /// How many dockets the node knows in all.
    #[serde(default)]
    pub total: u64,
    /// The dockets.
    pub dockets: Vec<DocketSummary>,
    /// What to give as `after` to go on; absent when the list ends here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

document!(Dockets, "althing.dockets/v1");

impl From<althing_engine::DocketsPage> for Dockets {
    fn from(page: althing_engine::DocketsPage) -> Self {
        Self {
            schema: Self::SCHEMA.to_owned(),
            total: page.total,
            dockets: page.dockets.into_iter().map(DocketSummary::from).collect(),
            next: page.next.map(|id| id.to_string()),
        }
    }
}

/// The answer of `GET /v1/decisions`: what was decided on proposals and on questions of dockets.
///
/// What was put last comes first, by its author's clock, and of what was put in the same millisecond the lower id; of a
/// docket the first question. So the order is the same on every node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Decisions {
    /// Always `althing.decisions/v1`.
    #[schema(example = "althing.decisions/v1")]
    pub schema: String,
    /// The decisions.
    pub decisions: Vec<Decision>,
    /// What to give as `after` to go on; absent when the list ends here. A page can be empty and have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

document!(Decisions, "althing.decisions/v1");

/// A proposal, or a question of a docket, with its outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Decision {
    /// The id of the proposal or the docket.
    pub proposal: String,
    /// The question's number in its docket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u16>,
    /// The question.
    pub question: String,
    /// `decided` or `rejected`.
    pub state: VoteState,
    /// The option that won, when `decided`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided: Option<String>,
    /// Why no option won, when `rejected`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
    /// When it was put, by its author's clock.
    pub made: String,
    /// The same in milliseconds since 1970.
    pub made_ms: u64,
}

impl From<althing_engine::DecisionsPage> for Decisions {
    fn from(page: althing_engine::DecisionsPage) -> Self {
        Self {
            schema: Self::SCHEMA.to_owned(),
            decisions: page.decisions.into_iter().map(Decision::from).collect(),
            next: page.next.map(|next| DecidedText(next).to_string()),
        }
    }
}

impl From<althing_engine::Decision> for Decision {
    fn from(decision: althing_engine::Decision) -> Self {
        let (state, decided, rejected, _) = vote_state(decision.outcome);
        Self {
            proposal: decision.on.id.to_string(),
            number: decision.on.question,
            question: decision.text,
            state,
            decided,
            rejected,
            made: rfc3339(decision.made),
            made_ms: decision.made.0,
        }
    }
}

impl DecisionsQuery {
    /// After what the page begins.
    ///
    /// # Errors
    /// When `after` is neither an id nor an id with a question's number.
    pub fn place(&self) -> Result<Option<Decided>, PlaceError> {
        let Some(after) = &self.after else { return Ok(None) };
        let (id, question) = match after.split_once('/') {
            None => (after.as_str(), None),
            Some((id, number)) => (id, Some(number)),
        };
        let wrong = || PlaceError(after.chars().take(80).collect());
        let id: RecordId = id.parse().map_err(|_| wrong())?;
        let question =
            question.map(|number| number.parse().ok().filter(|number| *number > 0).ok_or_else(wrong));
        Ok(Some(Decided { id, question: question.transpose()? }))
    }
}

/// A place that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("after: expected the id of a proposal or a docket, or ID/N for its question N, found \"{0}\"")]
pub struct PlaceError(String);

/// A place as a query has it.
struct DecidedText(Decided);

impl fmt::Display for DecidedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.question {
            None => write!(f, "{}", self.0.id),
            Some(number) => write!(f, "{}/{number}", self.0.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_is_written_and_anything_else_is_refused() {
        let id = RecordId([7; 32]);
        for place in [Decided { id, question: None }, Decided { id, question: Some(1_023) }] {
            let after = Some(DecidedText(place).to_string());
            assert_eq!(DecisionsQuery { after, ..DecisionsQuery::default() }.place(), Ok(Some(place)));
        }
        assert_eq!(DecisionsQuery::default().place(), Ok(None));
        for wrong in ["", "0707", &format!("{id}/"), &format!("{id}/0"), &format!("{id}/65536"), "/1"] {
            let query = DecisionsQuery { after: Some(wrong.to_owned()), ..DecisionsQuery::default() };
            assert!(query.place().is_err(), "{wrong}");
        }
    }
}
