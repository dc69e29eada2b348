//! Cards and the search for them.

use althing_engine::{Answer, Ask};
use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use http::StatusCode;

use crate::api::{AgentQuery, Card, Find, FindQuery, Published};
use crate::edge::{Edge, mismatch};
use crate::refused::Refused;
use crate::{body, query};

/// Sign and publish a card
///
/// The body is the A2A AgentCard, at most 15 KiB (15,360 bytes); its exact bytes are signed. Returns once the record is durable.
#[utoipa::path(
    post,
    path = "/v1/cards",
    tag = "cards",
    params(AgentQuery),
    request_body(content = Object, content_type = "application/json", description = "An A2A 1.0 AgentCard."),
    responses((status = 201, description = "Durable here and offered to the network.", body = Published))
)]
pub(super) async fn publish(
    State(edge): State<Edge>,
    agent: Result<Query<AgentQuery>, QueryRejection>,
    request: Request,
) -> Result<(StatusCode, Json<Published>), Refused> {
    let json = body::card(&edge, request).await?;
    let agent = query::read(agent)?.agent;
    let agent = edge.agent(agent.as_deref()).await?;
    let answer = edge.ask(Ask::PublishCard { agent, json }).await?;
    let Answer::Published(published) = answer else { return Err(mismatch()) };
    Ok((StatusCode::CREATED, Json(published.into())))
}

/// The newest card of an agent
///
/// From the local store or, failing that, from peers. Its signature has been verified.
#[utoipa::path(
    get,
    path = "/v1/cards/{did}",
    tag = "cards",
    params(("did" = String, Path, description = "The agent, `did:key:z6Mk…`.")),
    responses((status = 200, description = "The card.", body = Card))
)]
pub(super) async fn card(
    State(edge): State<Edge>,
    did: Result<Path<String>, PathRejection>,
) -> Result<Json<Card>, Refused> {
    let agent = query::id("agent", &query::segment(did)?)?;
    let Answer::Card(card) = edge.ask(Ask::Card { agent }).await? else { return Err(mismatch()) };
    Ok(Json((*card).into()))
}

/// Which agents have a skill
#[utoipa::path(
    get,
    path = "/v1/find",
    tag = "cards",
    params(FindQuery),
    responses((status = 200, description = "Who has it, and how complete the answer is.", body = Find))
)]
pub(super) async fn find(
    State(edge): State<Edge>,
    query: Result<Query<FindQuery>, QueryRejection>,
) -> Result<Json<Find>, Refused> {
    let query = query::read(query)?;
    let limit = query::found_limit(&query)?;
    let skill = query.skill;
    let wanted = query::id("skill", &format!("skill:\"{}\"", skill.replace(['"', '\\', '*'], "-")))?;
    let live = query.live.unwrap_or(false);
    let find = althing_engine::Find { query: wanted, limit, after: None, live };
    let Answer::Found(found) = edge.ask(Ask::Find(find)).await? else { return Err(mismatch()) };
    Ok(Json(Find::new(skill, found)))
}
