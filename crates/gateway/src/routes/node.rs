//! The node itself: status, peers, evidence, shutdown.

use althing_engine::{Answer, Ask};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use http::StatusCode;

use crate::api::{
    Document, Evidence, ListQuery, Peers, Ping, PingQuery, Problem, ProblemKind, Reach, Status, Stopping,
};
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

/// Whether peers can dial the node, and how that is known
#[utoipa::path(get, path = "/v1/reach", tag = "node", responses((status = 200, description = "What is known.", body = Reach)))]
pub(super) async fn reach(State(edge): State<Edge>) -> Json<Reach> {
    Json(Reach { schema: Reach::SCHEMA.to_owned(), ..(edge.backend().reach)() })
}

/// One round trip to a node
///
/// Connects to it if need be. No answer from it is an answer too.
#[utoipa::path(
    get,
    path = "/v1/ping",
    tag = "node",
    params(PingQuery),
    responses((status = 200, description = "The round trip, or why there was none.", body = Ping))
)]
pub(super) async fn ping(
    State(edge): State<Edge>,
    query: Result<Query<PingQuery>, QueryRejection>,
) -> Result<Json<Ping>, Refused> {
    let targets = match query::read(query)? {
        PingQuery { node: Some(node), agent: None } => vec![(query::id("node", &node)?, Vec::new())],
        PingQuery { node: None, agent: Some(agent) } => {
            let agent = query::id("agent", &agent)?;
            let Answer::Card(card) = edge.ask(Ask::Card { agent }).await? else { return Err(mismatch()) };
            card.leases.into_iter().map(|lease| (lease.node, lease.addresses)).collect()
        }
        PingQuery { .. } => {
            return Err(Problem::new(ProblemKind::Invalid, "expected either a node or an agent").into());
        }
    };
    let mut outcome = None;
    for (node, addresses) in targets {
        let pinged = (edge.backend().ping)(node, addresses).await;
        let answered = pinged.is_ok();
        outcome = Some(Ping::new(node.to_string(), pinged));
        if answered {
            break;
        }
    }
    outcome.map(Json).ok_or_else(|| {
        let problem = Problem::new(ProblemKind::NotFound, "the agent is served by no node at the moment");
        problem.with_hint("its lease is over; `althing card get DID` shows its card").into()
    })
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
