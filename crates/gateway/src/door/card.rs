use std::sync::Arc;

use althing_a2a::{CARD_BYTES_MAX, OriginCard, local_view, sign};
use althing_record::AgentId;
use althing_tunnel::{Identity, empty, read};
use axum::response::Response;
use http::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};

use super::ANSWER_WITHIN;
use super::failure::{Cause, Failure};
use super::known::{self, Agent};
use crate::edge::Edge;

/// The agent's card for a client of this node, signed by the node's agent.
pub(super) async fn serve(edge: &Edge, agent: AgentId, base: &str) -> Result<Response, Failure> {
    let origin = origin(edge, agent).await?;
    let base = base.parse().map_err(|error| Failure::new(Cause::Target, format!("{base}: {error}")))?;
    let view = local_view(&origin, &base);
    let key = edge.backend().calls.identity.as_ref().map(Identity::key);
    // A card whose two readings differ is served without a signature: one that fits only one of them would mislead.
    let view = key.and_then(|key| sign(&view, &key).ok()).unwrap_or(view);
    let mut response = Response::new(axum::body::Body::from(view.to_string()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// Says that a card is the owner's.
const CARD_HEADER: HeaderName = HeaderName::from_static("althing-card");

/// The owner's card, byte for byte.
pub(super) async fn serve_origin(edge: &Edge, agent: AgentId) -> Result<Response, Failure> {
    let origin = origin(edge, agent).await?;
    let mut response = Response::new(axum::body::Body::from(origin.bytes().to_vec()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CARD_HEADER, HeaderValue::from_static("origin"));
    Ok(response)
}

/// The owner's card, fetched from the agent's node if it is not known; it must be the one that the agent's mesh card names.
pub(super) async fn origin(edge: &Edge, agent: AgentId) -> Result<Arc<OriginCard>, Failure> {
    let known = known::place(edge, agent).await?;
    if let Some(card) = edge.known().card(known.mesh.origin) {
        return Ok(card);
    }
    let card = Arc::new(fetch(edge, agent, &known).await?);
    edge.known().keep_card(Arc::clone(&card));
    Ok(card)
}

async fn fetch(edge: &Edge, agent: AgentId, known: &Agent) -> Result<OriginCard, Failure> {
    let calls = &edge.backend().calls;
    let Some(identity) = &calls.identity else {
        return Err(Failure::new(Cause::NotAllowed, "this node hosts no agent that could call"));
    };
    let mut last =
        Failure::new(Cause::AgentUnreachable, format!("{agent} is served by no node at the moment"));
    for place in &known.places {
        let request = http::Request::get("/.well-known/agent-card.json").header(HOST, "agent").body(empty());
        let request = request.map_err(|error| Failure::new(Cause::Target, error.to_string()))?;
        let answer = calls.caller.call(identity, agent, place.clone(), request, ANSWER_WITHIN).await;
        let body = match answer {
            Ok(response) => response.into_body(),
            Err(error) => {
                edge.known().forget(agent);
                last = error.into();
                continue;
            }
        };
        match read(body, CARD_BYTES_MAX).await {
            Ok(bytes) => match OriginCard::parse(&bytes) {
                Ok(card) if card.digest() == known.mesh.origin => return Ok(card),
                Ok(_) => {
                    let message = format!("{agent}: its node served another card than it published");
                    last = Failure::new(Cause::Refused, message);
                }
                Err(faults) => {
                    let message = format!("{agent}: its node served no valid card: {faults}");
                    last = Failure::new(Cause::Refused, message);
                }
            },
            Err(cause) => last = Failure::new(Cause::ConnectionLost, format!("{agent}: its card {cause}")),
        }
    }
    Err(last)
}
