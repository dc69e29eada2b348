//! Routes without a token. They are reachable by every user of this machine, so they name no agent and no peer.

use axum::Json;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use crate::api::{Health, HealthState};
use crate::edge::Edge;
use crate::token::Challenge;

/// Whether the process answers
///
/// With the header `althing-challenge` (32 bytes in hex), the header `althing-proof` of the answer is
/// SHA-256("althing/api-proof/1" ‖ token ‖ challenge) in hex: a client that found the address in a file can see
/// that it reached the right server before it sends the token.
#[utoipa::path(get, path = "/livez", tag = "probes", responses((status = 200, description = "It does.", body = Health)))]
pub(super) async fn livez(State(edge): State<Edge>, headers: HeaderMap) -> Response {
    let mut response = Json(Health::new(Vec::new(), Vec::new())).into_response();
    let challenge = headers.get(Challenge::HEADER).and_then(|value| Challenge::parse(value.as_bytes()));
    if let Some(Ok(proof)) = challenge.map(|challenge| HeaderValue::from_str(&edge.token().proof(&challenge)))
    {
        response.headers_mut().insert(HeaderName::from_static(Challenge::PROOF_HEADER), proof);
    }
    response
}

/// Whether the node is ready, or what is missing
#[utoipa::path(get, path = "/readyz", tag = "probes", responses(
    (status = 200, description = "Ready.", body = Health),
    (status = 503, description = "Not ready: see `waiting_for`.", body = Health),
))]
pub(super) async fn readyz(State(edge): State<Edge>) -> Response {
    answer(Health::new(waiting_for(&edge), Vec::new()))
}

/// The same as /readyz
#[utoipa::path(get, path = "/ready", tag = "probes", responses(
    (status = 200, description = "Ready.", body = Health),
    (status = 503, description = "Not ready: see `waiting_for`.", body = Health),
))]
pub(super) async fn ready(state: State<Edge>) -> Response {
    readyz(state).await
}

/// Whether the node is ready and every protocol is healthy
#[utoipa::path(get, path = "/healthz", tag = "probes", responses(
    (status = 200, description = "All is well.", body = Health),
    (status = 503, description = "Not ready or degraded: see `waiting_for` and `protocols`.", body = Health),
))]
pub(super) async fn healthz(State(edge): State<Edge>) -> Response {
    answer(Health::new(waiting_for(&edge), (edge.backend().health)()))
}

/// The same as /healthz
#[utoipa::path(get, path = "/health", tag = "probes", responses(
    (status = 200, description = "All is well.", body = Health),
    (status = 503, description = "Not ready or degraded: see `waiting_for` and `protocols`.", body = Health),
))]
pub(super) async fn health(state: State<Edge>) -> Response {
    healthz(state).await
}

/// Prometheus metrics
///
/// Without a token, as scrapers expect; reachable from this machine only.
#[utoipa::path(get, path = "/metrics", tag = "probes", responses(
    (status = 200, description = "OpenMetrics text.", body = String, content_type = "application/openmetrics-text"),
))]
pub(super) async fn metrics(State(edge): State<Edge>) -> Response {
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    ([(CONTENT_TYPE, kind)], (edge.backend().metrics)()).into_response()
}

/// This document
#[utoipa::path(get, path = "/openapi.json", tag = "probes", responses(
    (status = 200, description = "OpenAPI 3.1.", body = Object, content_type = "application/json"),
))]
pub(super) async fn openapi(State(edge): State<Edge>) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], edge.openapi().to_owned())
        .into_response()
}

/// The same for people, as a page that works offline
#[utoipa::path(get, path = "/docs", tag = "probes", responses(
    (status = 200, description = "HTML without script, font or picture.", body = String, content_type = "text/html"),
))]
pub(super) async fn docs(State(edge): State<Edge>) -> Response {
    let mut response = Html(edge.docs().html.clone()).into_response();
    if let Ok(policy) = HeaderValue::from_str(&edge.docs().policy) {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

fn waiting_for(edge: &Edge) -> Vec<String> {
    match (edge.backend().ready)() {
        Ok(()) => Vec::new(),
        // A node that is not ready without saying why is still not ready.
        Err(missing) if missing.is_empty() => vec!["the node does not say".to_owned()],
        Err(missing) => missing,
    }
}

fn answer(health: Health) -> Response {
    let status = match health.state {
        HealthState::Ok => StatusCode::OK,
        HealthState::Waiting | HealthState::Degraded => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(health)).into_response()
}
