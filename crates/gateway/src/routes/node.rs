//! The node itself: status, peers, evidence, shutdown.

use althing_engine::{Answer, Ask};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use http::StatusCode;

use crate::api::{Evidence, ListQuery, Peers, Status, Stopping};
use crate::edge::{Edge, mismatch};
use crate::query;
use crate::refused::Refused;

/// What the node holds and how it is doing
#[utoipa::path(get, path = "/v1/status", tag = "node", responses((status = 200, description = "The status.", body = Status)))]
pub(super) async fn status(State(edge): State<Edge>) -> Result<Json<Status>, Refused> {
    let Answer::Status(status) = edge.ask(Ask::Status).await? else { return Err(mismatch()) };
    let mut status = Status::from(*status);
    status.listen = (edge.backend().listen)();
    status.api = edge.url();
    Ok(Json(status))
}

/// Who the node is connected to
#[utoipa::path(get, path = "/v1/peers", tag = "node", responses((status = 200, description = "The peers.", body = Peers)))]
pub(super) async fn peers(State(edge): State<Edge>) -> Json<Peers> {
    Json(Peers::from((edge.backend().peers)()))
}

/// Proven misbehaviour
#[utoipa::path(
    get,
    path = "/v1/evidence",
    tag = "node",
    params(ListQuery),
    responses((status = 200, description = "The cases.", body = Evidence))
)]
pub(super) async fn evidence(
    State(edge): State<Edge>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<Evidence>, Refused> {
    let limit = query::limit(&query::read(query)?)?;
    let Answer::Evidence(rows) = edge.ask(Ask::Evidence).await? else { return Err(mismatch()) };
    Ok(Json(Evidence::new(rows, limit)))
}

/// Stop the node
#[utoipa::path(
    post,
    path = "/v1/shutdown",
    tag = "node",
    responses((status = 202, description = "The node will stop.", body = Stopping))
)]
pub(super) async fn shutdown(State(edge): State<Edge>) -> (StatusCode, Json<Stopping>) {
    tracing::info!("asked to stop through the local API");
    edge.backend().shutdown.notify_one();
    (StatusCode::ACCEPTED, Json(Stopping::this_process()))
}
