//! What the network's committee decided to count of the ratings, and the scores that follow.

use althing_engine::{Answer, Ask, ReputationAsk};
use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};

use crate::api::{ListQuery, ScoreCheckpoint, ScoreCheckpoints};
use crate::edge::{Edge, mismatch};
use crate::query;
use crate::refused::Refused;

/// The newest checkpoints of the ratings
#[utoipa::path(
    get,
    path = "/v1/score-checkpoints",
    tag = "reputation",
    params(ListQuery),
    responses((status = 200, description = "The newest first; none without a committee.", body = ScoreCheckpoints))
)]
pub(super) async fn list(
    State(edge): State<Edge>,
    asked: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<ScoreCheckpoints>, Refused> {
    let limit = query::limit(&query::read(asked)?)?;
    let answer = edge.ask(Ask::Reputation(ReputationAsk::Checkpoints { limit })).await?;
    let Answer::Checkpoints(found) = answer else { return Err(mismatch()) };
    Ok(Json(ScoreCheckpoints::from(found)))
}

/// One checkpoint of the ratings
#[utoipa::path(
    get,
    path = "/v1/score-checkpoints/{id}",
    tag = "reputation",
    params(("id" = String, Path, description = "The checkpoint's record, 64 hex digits.")),
    responses((status = 200, description = "What it counts, and the root of its scores.", body = ScoreCheckpoint))
)]
pub(super) async fn show(
    State(edge): State<Edge>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<ScoreCheckpoint>, Refused> {
    let id = query::id("checkpoint", &query::segment(id)?)?;
    let answer = edge.ask(Ask::Reputation(ReputationAsk::Checkpoint { id })).await?;
    let Answer::Checkpoints(found) = answer else { return Err(mismatch()) };
    found.into_iter().next().map(|found| Json(ScoreCheckpoint::from(found))).ok_or_else(mismatch)
}
