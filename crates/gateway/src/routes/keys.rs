//! Keys of the agents that are hosted here.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};

use crate::api::{KeyRotated, Problem};
use crate::edge::Edge;
use crate::query;
use crate::refused::Refused;

/// Rotate an agent's key
///
/// Makes a new key and has it speak for the agent: the agent's recovery key, which has to be here, signs the record that says
/// so, and another one takes its place. Card and lease are signed anew. Returns once all of it is durable. Asked again after
/// it was interrupted, it finishes what was begun.
#[utoipa::path(
    post,
    path = "/v1/keys/{name}/rotation",
    tag = "agents",
    params(("name" = String, Path, description = "The agent's local name, or its did.")),
    responses((status = 200, description = "The new key speaks.", body = KeyRotated))
)]
pub(super) async fn rotate(
    State(edge): State<Edge>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<KeyRotated>, Refused> {
    let name = query::segment(name)?;
    Ok(Json(edge.backend().calls.desk.rotate(name).await.map_err(Problem::from)?))
}
