//! Cards and the search for them.

use althing_engine::{Answer, Ask};
use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use http::StatusCode;

use crate::api::{AgentQuery, Card, Find, FindQuery, FoundAgent, Newcomers, Published, Retracted};
use crate::edge::{Edge, mismatch};
use crate::refused::Refused;
use crate::{body, query};

/// Most pages of the index that one search that leaves agents out goes through.
const FILTERED_PAGES_MAX: usize = 8;

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

/// Take a card back
///
/// Signs a record that stands against older cards for longer than any of them could count, and ends the agent's leases.
#[utoipa::path(
    delete,
    path = "/v1/cards/{did}",
    tag = "cards",
    params(("did" = String, Path, description = "A hosted agent, `did:key:z6Mk…`.")),
    responses((status = 200, description = "Durable here and offered to the network.", body = Retracted))
)]
pub(super) async fn retract(
    State(edge): State<Edge>,
    did: Result<Path<String>, PathRejection>,
) -> Result<Json<Retracted>, Refused> {
    let agent = query::id("agent", &query::segment(did)?)?;
    let answer = edge.ask(Ask::RetractCard { agent }).await?;
    let Answer::Retracted(retracted) = answer else { return Err(mismatch()) };
    Ok(Json(retracted.into()))
}

/// Which agents match a query
///
/// Only agents that are served now are in the answer; one whose node did not answer is shown as unreachable.
#[utoipa::path(
    get,
    path = "/v1/find",
    tag = "cards",
    params(FindQuery),
    responses((status = 200, description = "Who matches, and how complete the answer is.", body = Find))
)]
pub(super) async fn find(
    State(edge): State<Edge>,
    asked: Result<Query<FindQuery>, QueryRejection>,
) -> Result<Json<Find>, Refused> {
    let asked = query::read(asked)?;
    let limit = query::found_limit(&asked)?;
    let wanted = query::wanted(&asked)?;
    let after = asked.after.as_deref().map(|after| query::id("after", after)).transpose()?;
    let mut search = althing_engine::Find { query: wanted, limit, after, live: asked.live.unwrap_or(false) };
    let mut answer: Option<Find> = None;
    for _ in 0..FILTERED_PAGES_MAX {
        let Answer::Found(found) = edge.ask(Ask::Find(search.clone())).await? else { return Err(mismatch()) };
        search.after = found.agents.last().map(|found| found.card.agent);
        search.live = false;
        let page = Find::new(&search.query, found, &(edge.backend().peers)(), asked.explain.unwrap_or(false));
        let (healthy, least) = (asked.healthy.unwrap_or(false), asked.min_score);
        let newcomers = asked.newcomers.unwrap_or_default();
        if !healthy && least.is_none() && newcomers == Newcomers::With {
            return Ok(Json(ranked(page)));
        }
        let (cut, next) = (page.cut, page.next.clone());
        let is_wanted = |agent: &&FoundAgent| {
            (!healthy || agent.is_healthy())
                && least.is_none_or(|least| agent.service >= Some(least))
                && newcomers.wants(agent.is_newcomer())
        };
        let wanted: Vec<_> = page.agents.iter().filter(is_wanted).cloned().collect();
        let answer = answer.get_or_insert(Find { agents: Vec::new(), ..page });
        (answer.cut, answer.next) = (cut, next);
        answer.agents.extend(wanted);
        if answer.agents.len() > limit {
            answer.agents.truncate(limit);
            answer.cut = true;
            answer.next = answer.agents.last().map(|last| last.agent.clone());
        }
        if !cut || answer.agents.len() == limit {
            break;
        }
    }
    answer.map(ranked).map(Json).ok_or_else(mismatch)
}

/// The same with the best first; where the next page begins stays.
fn ranked(mut found: Find) -> Find {
    found.agents.sort_by_key(|agent| std::cmp::Reverse(agent.service));
    found
}
