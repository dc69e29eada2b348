//! What stands in a request's path and query.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use althing_engine::MAX_FOUND;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query};

use crate::api::{FindQuery, ListQuery, MAX_LISTED, Problem, ProblemKind, WAIT_MAX, WaitQuery};
use crate::refused::Refused;

/// Agents that a search returns when the query does not say.
const FOUND_DEFAULT: usize = 100;

/// The query, or what is wrong with it.
pub(crate) fn read<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Refused> {
    query.map(|Query(query)| query).map_err(|rejection| {
        let detail = rejection.body_text().replace("Failed to deserialize query string", "query");
        Problem::new(ProblemKind::Invalid, detail)
            .with_hint("GET /openapi.json lists the parameters; a token goes into the Authorization header")
            .into()
    })
}

/// How many rows a list has.
pub(crate) fn limit(query: &ListQuery) -> Result<usize, Refused> {
    limit_up_to(query.limit, MAX_LISTED)
}

/// The same for a list with another bound.
pub(crate) fn limit_up_to(limit: Option<usize>, max: usize) -> Result<usize, Refused> {
    within(limit.unwrap_or(max), max)
}

/// An id that the query may have.
pub(crate) fn optional<T: FromStr<Err: Display>>(
    name: &str,
    text: Option<&str>,
) -> Result<Option<T>, Refused> {
    text.map(|text| id(name, text)).transpose()
}

/// What a search is for.
pub(crate) fn wanted(query: &FindQuery) -> Result<althing_engine::Query, Refused> {
    let skill = query.skill.as_deref().map(|skill| {
        // Whatever a card's skill id could be: everything that paths do not have is turned into '-' alike.
        let plain = skill.replace(['"', '\\', '*'], "-");
        format!("skill:\"{plain}\"")
    });
    let queries = [query.q.as_deref(), skill.as_deref()].into_iter().flatten();
    let parsed = queries.map(str::parse).collect::<Result<Vec<althing_engine::Query>, _>>();
    let all = parsed.and_then(althing_engine::Query::all).map_err(|error| {
        let mut problem = Problem::new(ProblemKind::Invalid, format!("query: {error}"));
        problem.column = u64::try_from(error.at()).ok();
        problem.hint = error.hint();
        Refused::from(problem)
    })?;
    all.ok_or_else(|| {
        let problem = Problem::new(ProblemKind::Invalid, "expected q or skill, found neither");
        problem.with_hint("for example ?q=skill:text/translate%20AND%20lang:fr").into()
    })
}

/// How many agents a search returns.
pub(crate) fn found_limit(query: &FindQuery) -> Result<usize, Refused> {
    within(query.limit.unwrap_or(FOUND_DEFAULT), MAX_FOUND)
}

/// The variable segment of the path, decoded.
pub(crate) fn segment(path: Result<Path<String>, PathRejection>) -> Result<String, Refused> {
    path.map(|Path(segment)| segment)
        .map_err(|rejection| Problem::new(ProblemKind::Invalid, uncapitalized(rejection.body_text())).into())
}

/// An id in the path.
pub(crate) fn id<T: FromStr<Err: Display>>(name: &str, text: &str) -> Result<T, Refused> {
    text.parse().map_err(|error| Problem::new(ProblemKind::Invalid, format!("{name}: {error}")).into())
}

/// How long a request waits.
pub(crate) fn wait(query: &WaitQuery) -> Result<Duration, Refused> {
    let wait = query.wait_ms.map_or(WAIT_MAX, Duration::from_millis);
    if (Duration::from_millis(1)..=WAIT_MAX).contains(&wait) {
        return Ok(wait);
    }
    let detail = format!("expected wait_ms of 1 to {}, found {}", WAIT_MAX.as_millis(), wait.as_millis());
    Err(Problem::new(ProblemKind::Invalid, detail).into())
}

fn within(limit: usize, max: usize) -> Result<usize, Refused> {
    if (1..=max).contains(&limit) {
        return Ok(limit);
    }
    Err(Problem::new(ProblemKind::Invalid, format!("expected a limit of 1 to {max}, found {limit}")).into())
}

/// A library's sentence as a fragment like our own.
fn uncapitalized(mut text: String) -> String {
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    text
}
