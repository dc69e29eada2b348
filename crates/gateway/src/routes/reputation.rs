//! What is known of agents, by whom, and what this node's own agent says of its calls.

use althing_engine::{Answer, Ask, ReputationAsk};
use althing_record::AgentId;
use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use http::StatusCode;

use crate::api::{
    Attestations, AttestationsQuery, ListQuery, Problem, ProblemKind, Ranking, RankingQuery, RateRequest,
    Rated, Reputation,
};
use crate::edge::{Edge, mismatch};
use crate::refused::Refused;
use crate::{body, query};

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
    let rated = edge.desk(move |desk| desk.rate(&task, wish.quality)).await?;
    Ok((StatusCode::CREATED, Json(rated)))
}
