//! Agents that are exposed here, and the calls that they get.

use std::convert::Infallible;

use althing_record::AgentId;
use althing_tunnel::CallLine;
use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::unfold;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::Hold;
use crate::api::{
    CallProofs, CallSeen, CallsQuery, ExposeRequest, Exposed, ExposedList, ListQuery, Problem, ProblemKind,
    Unexposed,
};
use crate::edge::Edge;
use crate::life::Life;
use crate::refused::Refused;
use crate::{body, query};

/// Expose an agent
///
/// Finds the card, tries the agent with a real call, pins the card's hash, signs and publishes a card of this network, and
/// takes calls from then on. Returns once the card is durable.
#[utoipa::path(
    post,
    path = "/v1/exposures",
    tag = "calls",
    request_body = ExposeRequest,
    responses((status = 201, description = "It takes calls.", body = Exposed))
)]
pub(super) async fn expose(
    State(edge): State<Edge>,
    request: Request,
) -> Result<(StatusCode, Json<Exposed>), Refused> {
    let wish: ExposeRequest = body::json(&edge, request).await?;
    let exposed = edge.backend().calls.desk.expose(wish).await.map_err(Problem::from)?;
    Ok((StatusCode::CREATED, Json(on_edge(&edge, exposed))))
}

/// What is exposed here
#[utoipa::path(
    get,
    path = "/v1/exposures",
    tag = "calls",
    responses((status = 200, description = "By local name.", body = ExposedList))
)]
pub(super) async fn exposures(State(edge): State<Edge>) -> Json<ExposedList> {
    let exposures = edge.backend().calls.desk.exposed();
    let exposures = exposures.into_iter().map(|exposed| on_edge(&edge, exposed)).collect();
    Json(ExposedList { schema: "althing.exposures/v1".to_owned(), exposures })
}

/// Calls that both sides signed
///
/// The newest calls of this node's agents, on either side, with what the other side signed verified again: what a rating can
/// be proved with.
#[utoipa::path(
    get,
    path = "/v1/receipts",
    tag = "calls",
    params(ListQuery),
    responses((status = 200, description = "Newest first.", body = CallProofs))
)]
pub(super) async fn receipts(
    State(edge): State<Edge>,
    asked: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<CallProofs>, Refused> {
    let limit = query::limit(&query::read(asked)?)?;
    let calls = edge.desk(move |desk| desk.receipts(limit)).await?;
    Ok(Json(CallProofs { schema: "althing.receipts/v1".to_owned(), calls }))
}

/// No longer expose an agent
///
/// Calls under way go on. The agent's card is taken back; its key and its local name stay.
#[utoipa::path(
    delete,
    path = "/v1/exposures/{name}",
    tag = "calls",
    params(("name" = String, Path, description = "Its local name, or its did.")),
    responses((status = 200, description = "It takes no calls.", body = Unexposed))
)]
pub(super) async fn unexpose(
    State(edge): State<Edge>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<Unexposed>, Refused> {
    let name = query::segment(name)?;
    Ok(Json(edge.backend().calls.desk.unexpose(name).await.map_err(Problem::from)?))
}

/// Calls as they end, as server-sent events
///
/// Every `data:` line is one call that ended at an agent exposed here. With `hold=true` the named agent is no longer exposed
/// when the last such client has gone away, unless it was exposed with `keep`.
#[utoipa::path(
    get,
    path = "/v1/calls",
    tag = "calls",
    params(CallsQuery),
    responses((
        status = 200,
        description = "A stream that does not end by itself; the schema is that of the JSON in each `data:` line.",
        body = CallSeen,
        content_type = "text/event-stream",
    ))
)]
pub(super) async fn calls(
    State(edge): State<Edge>,
    life: Option<Extension<Life>>,
    asked: Result<Query<CallsQuery>, QueryRejection>,
) -> Result<Response, Refused> {
    let asked = query::read(asked)?;
    let calls = &edge.backend().calls;
    let agent = asked.agent.as_deref().map(|name| {
        let agent = calls.desk.agent(name).or_else(|| name.parse().ok());
        agent.ok_or_else(|| {
            let detail = format!("nothing is exposed as \"{name}\"");
            Refused::from(Problem::new(ProblemKind::NotFound, detail))
        })
    });
    let agent = agent.transpose()?;
    let slot = edge.stream_slot()?;
    let hold = match (asked.hold, asked.agent) {
        (Some(true), Some(name)) => {
            let hold = calls.desk.hold(&name).ok_or_else(|| {
                Problem::new(ProblemKind::NotFound, format!("nothing is exposed as \"{name}\""))
            })?;
            Some(Holding { edge: edge.clone(), hold: Some(hold) })
        }
        (Some(true), None) => {
            return Err(
                Problem::new(ProblemKind::Invalid, "hold: expected an agent to hold, found none").into()
            );
        }
        (Some(false) | None, _) => None,
    };
    let life = life.map_or_else(Life::default, |Extension(life)| life);
    life.hold();
    let lines = Lines {
        edge: edge.clone(),
        left: asked.limit.unwrap_or(u64::MAX),
        log: calls.log.follow(),
        agent,
        _slot: slot,
        life,
        _hold: hold,
    };
    let opening = futures::stream::iter([Ok(Bytes::from_static(b": calls\n\n"))]);
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    let stream = opening.chain(unfold(lines, |mut lines| async move {
        Some((Ok::<_, Infallible>(lines.next().await?), lines))
    }));
    Ok((headers, Body::from_stream(Box::pin(stream))).into_response())
}

/// Where local clients find an agent depends on where the API is.
fn on_edge(edge: &Edge, exposed: Exposed) -> Exposed {
    let url = format!("{}/a2a/agents/{}/", edge.url(), exposed.agent);
    Exposed { schema: "althing.exposed/v1".to_owned(), url, ..exposed }
}

/// Gives a hold up when it is dropped.
struct Holding {
    edge: Edge,
    hold: Option<Hold>,
}

impl Drop for Holding {
    fn drop(&mut self) {
        if let Some(hold) = self.hold.take() {
            self.edge.backend().calls.desk.release(hold);
        }
    }
}

struct Lines {
    edge: Edge,
    /// How many calls are still wanted.
    left: u64,
    log: Receiver<CallLine>,
    agent: Option<AgentId>,
    life: Life,
    _slot: OwnedSemaphorePermit,
    _hold: Option<Holding>,
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.life.end();
    }
}

impl Lines {
    /// The next event, or a comment when there was none for a while; none when the node stops.
    async fn next(&mut self) -> Option<Bytes> {
        let mut stop = self.edge.stop();
        if self.left == 0 {
            return None;
        }
        loop {
            let line = tokio::select! {
                _ = stop.changed() => return None,
                line = tokio::time::timeout(self.edge.heartbeat(), self.log.recv()) => line,
            };
            match line {
                Err(_) => return Some(Bytes::from_static(b": alive\n\n")),
                Ok(Ok(line)) if self.agent.is_none_or(|agent| agent == line.agent) => {
                    self.left -= 1;
                    let data = serde_json::to_string(&seen(line)).ok()?;
                    return Some(Bytes::from(format!("data: {data}\n\n")));
                }
                Ok(Ok(_)) => {}
                Ok(Err(RecvError::Lagged(missed))) => {
                    return Some(Bytes::from(format!(": {missed} calls left out\n\n")));
                }
                Ok(Err(RecvError::Closed)) => return None,
            }
        }
    }
}

fn seen(line: CallLine) -> CallSeen {
    CallSeen {
        time: crate::api::rfc3339(line.ended),
        agent: line.agent.to_string(),
        caller: line.caller.map(|caller| caller.to_string()),
        node: line.node.to_string(),
        request: line.request,
        status: line.status,
        ms: line.ms,
        bytes: line.bytes,
        whole: line.whole,
        error: line.error,
    }
}
