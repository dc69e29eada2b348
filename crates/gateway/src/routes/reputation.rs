//! What is known of agents, by whom, and what this node's own agent says of its calls.

use althing_engine::{Answer, Ask, Q32, ReputationAsk};
use althing_record::AgentId;
use althing_trust::Comment;
use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use http::StatusCode;

use crate::api::{
    Attestations, AttestationsQuery, Explanation, ListQuery, Problem, ProblemKind, Ranking, RankingQuery,
    RateRequest, Rated, Reputation,
};
use crate::door::placed;
use crate::edge::{Edge, mismatch};
use crate::refused::Refused;
use crate::{body, explain as sentences, query};

/// Most own calls that an explanation shows.
const CALLS_EXPLAINED: usize = 20;

/// Most skills of an agent that an explanation is about.
const SKILLS_EXPLAINED: usize = 16;

/// What is known of one agent, and by whom
#[utoipa::path(
    get,
    path = "/v1/reputation/{did}",
    tag = "reputation",
    params(("did" = String, Path, description = "The agent's did.")),
    responses((status = 200, description = "Its scores and its raters.", body = Reputation))
)]
pub(super) async fn show(
    State(edge): State<Edge>,
    did: Result<Path<String>, PathRejection>,
) -> Result<Json<Reputation>, Refused> {
    let agent: AgentId = query::id("did", &query::segment(did)?)?;
    let answer = edge.ask(Ask::Reputation(ReputationAsk::Show { agent })).await?;
    let Answer::Reputation(found) = answer else { return Err(mismatch()) };
    Ok(Json(Reputation::from(*found)))
}

/// Why an agent stands as it does, and whether calls go to it
///
/// What its scores rest on, what would change them, and what the addresses of its skills make of it now.
#[utoipa::path(
    get,
    path = "/v1/reputation/{did}/explanation",
    tag = "reputation",
    params(("did" = String, Path, description = "The agent's did.")),
    responses((status = 200, description = "The grounds of its scores.", body = Explanation))
)]
pub(super) async fn explain(
    State(edge): State<Edge>,
    did: Result<Path<String>, PathRejection>,
) -> Result<Json<Explanation>, Refused> {
    let agent: AgentId = query::id("did", &query::segment(did)?)?;
    let answer = edge.ask(Ask::Reputation(ReputationAsk::Show { agent })).await?;
    let Answer::Reputation(known) = answer else { return Err(mismatch()) };
    let goal = Q32(althing_route::SCORE_MIN.units());
    let answer = edge.ask(Ask::Reputation(ReputationAsk::Grounds { agent, goal })).await?;
    let Answer::Grounds(grounds) = answer else { return Err(mismatch()) };
    let calls = edge.desk(move |desk| desk.calls_to(agent, CALLS_EXPLAINED)).await?;
    let mut skills = Vec::new();
    // Who has no card that is known is at no address.
    if let Ok(Answer::Card(card)) = edge.ask(Ask::Card { agent }).await {
        for skill in card.skills.iter().take(SKILLS_EXPLAINED) {
            skills.push(placed(&edge, skill, agent).await);
        }
    }
    let changes = sentences::changes(&known, &grounds, &calls);
    let mut explanation = Explanation::new(*known, *grounds, calls);
    (explanation.changes, explanation.skills) = (changes, skills);
    Ok(Json(explanation))
}

/// The agents with the best scores
#[utoipa::path(
    get,
    path = "/v1/reputation",
    tag = "reputation",
    params(RankingQuery),
    responses((status = 200, description = "The best first.", body = Ranking))
)]
pub(super) async fn top(
    State(edge): State<Edge>,
    asked: Result<Query<RankingQuery>, QueryRejection>,
) -> Result<Json<Ranking>, Refused> {
    let asked = query::read(asked)?;
    let limit = query::limit(&ListQuery { limit: asked.limit })?;
    let skill = asked.skill.as_deref().map(|skill| query::id("skill", skill)).transpose()?;
    let answer = edge.ask(Ask::Reputation(ReputationAsk::Top { skill, limit })).await?;
    let Answer::Ranking { epoch, agents } = answer else { return Err(mismatch()) };
    Ok(Json(Ranking::new(epoch, agents)))
}

/// What raters published, row by row
#[utoipa::path(
    get,
    path = "/v1/attestations",
    tag = "reputation",
    params(AttestationsQuery),
    responses((status = 200, description = "A page of rows.", body = Attestations))
)]
pub(super) async fn rows(
    State(edge): State<Edge>,
    asked: Result<Query<AttestationsQuery>, QueryRejection>,
) -> Result<Json<Attestations>, Refused> {
    let after = query::read(asked)?.after.map(hex::decode).transpose().map_err(|error| {
        Problem::new(ProblemKind::Invalid, format!("after: {error}"))
            .with_hint("give the `next` of the page before")
    })?;
    let answer = edge.ask(Ask::Reputation(ReputationAsk::Rows { after })).await?;
    let Answer::Ratings { rows, next } = answer else { return Err(mismatch()) };
    Ok(Json(Attestations::new(rows, next.as_deref())))
}

/// Say how good the answer to a call was
///
/// Possible until this node has said how its calls of that rating epoch went.
#[utoipa::path(
    post,
    path = "/v1/receipts/{task}/rating",
    tag = "reputation",
    params(("task" = String, Path, description = "The call's task, 32 hex digits.")),
    request_body = RateRequest,
    responses((status = 201, description = "The receipt says so.", body = Rated))
)]
pub(super) async fn rate(
    State(edge): State<Edge>,
    task: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<(StatusCode, Json<Rated>), Refused> {
    let wish: RateRequest = body::json(&edge, request).await?;
    let task = query::segment(task)?;
    if wish.quality > althing_trust::QUALITY_MAX {
        let detail = format!("expected a quality of 0 to 100, found {}", wish.quality);
        return Err(Problem::new(ProblemKind::Invalid, detail).into());
    }
    if let Some(comment) = &wish.comment
        && let Err(error) = comment.parse::<Comment>()
    {
        return Err(Problem::new(ProblemKind::Invalid, format!("comment: {error}")).into());
    }
    let rated = edge.desk(move |desk| desk.rate(&task, &wish)).await?;
    if (rated.quality == 0) != (rated.before == 0)
        && let Ok(callee) = rated.callee.parse()
    {
        edge.routing().rated(callee, rated.quality == 0);
    }
    Ok((StatusCode::CREATED, Json(rated)))
}
