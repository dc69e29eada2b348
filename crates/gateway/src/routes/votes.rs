//! Proposals, ballots and certificates.

use althing_engine::{Answer, Ask, Find, MAX_FOUND, ProposalDraft, Query as CardQuery};
use althing_record::RecordId;
use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};

use crate::api::{
    Ballot, BallotRequest, Decisions, DecisionsQuery, MAX_LISTED, Problem, ProblemKind, ProposeRequest,
    Proposed, Vote, Votes, VotesQuery, WaitQuery,
};
use crate::awaited;
use crate::edge::{Edge, mismatch};
use crate::refused::Refused;
use crate::{body, query};

/// Put a question to an electorate
///
/// Returns once the proposal is durable. Approvals, a super-majority and unanimity can be decided by the ballots alone;
/// every other rule needs Byzantine agreement on which ballots count, and then there is a rejection, too.
#[utoipa::path(
    post,
    path = "/v1/votes",
    tag = "votes",
    request_body = ProposeRequest,
    responses((status = 201, description = "Durable here and offered to the network.", body = Proposed))
)]
pub(super) async fn propose(
    State(edge): State<Edge>,
    request: Request,
) -> Result<(StatusCode, Json<Proposed>), Refused> {
    let request: ProposeRequest = body::json(&edge, request).await?;
    let draft = request
        .draft()
        .map_err(|error| Problem::new(ProblemKind::Invalid, error.to_string()).with_hint(error.hint()))?;
    let agent = edge.agent(request.agent.as_deref()).await?;
    look_for_holders(&edge, &draft).await?;
    let answer = edge.ask(Ask::Propose { agent, draft }).await?;
    let Answer::Proposed { proposal, threshold, tolerates } = answer else { return Err(mismatch()) };
    Ok((StatusCode::CREATED, Json(Proposed::new(proposal, agent, threshold, tolerates))))
}

/// Has the network asked who has the skill, before those who are known are put into an electorate.
pub(super) async fn look_for_holders(edge: &Edge, draft: &ProposalDraft) -> Result<(), Refused> {
    if let Some(holders) = &draft.holders {
        let query = CardQuery::from(althing_card::Term::Skill(holders.skill.clone()));
        let find = Find { query, limit: MAX_FOUND, after: None, live: true };
        let Answer::Found(_) = edge.ask(Ask::Find(find)).await? else { return Err(mismatch()) };
    }
    Ok(())
}

/// The known proposals, newest first
#[utoipa::path(
    get,
    path = "/v1/votes",
    tag = "votes",
    params(VotesQuery),
    responses((status = 200, description = "The proposals, without their electorates.", body = Votes))
)]
pub(super) async fn list(
    State(edge): State<Edge>,
    query: Result<Query<VotesQuery>, QueryRejection>,
) -> Result<Json<Votes>, Refused> {
    let VotesQuery { limit, after, group } = query::read(query)?;
    let ask = Ask::Votes {
        after: query::optional("after", after.as_deref())?,
        group: query::optional("group", group.as_deref())?,
        limit: query::limit_up_to(limit, MAX_LISTED)?,
    };
    let Answer::Votes(page) = edge.ask(ask).await? else { return Err(mismatch()) };
    Ok(Json(page.into()))
}

/// What was decided, a page at a time
///
/// Decided and rejected proposals and questions of dockets, each of which has a certificate. What was put last comes
/// first, by its author's clock, and of what was put in the same millisecond the lower id; of a docket the first question.
/// Nodes with the same records answer the same.
#[utoipa::path(
    get,
    path = "/v1/decisions",
    tag = "votes",
    params(DecisionsQuery),
    responses((status = 200, description = "The decisions.", body = Decisions))
)]
pub(super) async fn decisions(
    State(edge): State<Edge>,
    query: Result<Query<DecisionsQuery>, QueryRejection>,
) -> Result<Json<Decisions>, Refused> {
    let query = query::read(query)?;
    let after = query.place().map_err(|error| Problem::new(ProblemKind::Invalid, error.to_string()))?;
    let group = query::optional("group", query.group.as_deref())?;
    let limit = query::limit_up_to(query.limit, MAX_LISTED)?;
    let Answer::Decisions(page) = edge.ask(Ask::Decisions { after, group, limit }).await? else {
        return Err(mismatch());
    };
    Ok(Json(page.into()))
}

/// One proposal and how it stands, as this node sees it
///
/// With `until` the answer is held back until that has come, so that nobody has to ask again and again.
#[utoipa::path(
    get,
    path = "/v1/votes/{id}",
    tag = "votes",
    params(("id" = String, Path, description = "The proposal's id, 64 hex digits."), WaitQuery),
    responses((status = 200, description = "The proposal.", body = Vote))
)]
pub(super) async fn show(
    State(edge): State<Edge>,
    id: Result<Path<String>, PathRejection>,
    query: Result<Query<WaitQuery>, QueryRejection>,
) -> Result<Json<Vote>, Refused> {
    let proposal = query::id("proposal", &query::segment(id)?)?;
    let query = query::read(query)?;
    let wait = query::wait(&query)?;
    let vote = match query.until {
        None => awaited::known_vote(&edge, proposal).await?,
        Some(until) => awaited::vote(&edge, proposal, until, wait).await?,
    };
    Ok(Json(vote))
}

/// Sign and publish one ballot
///
/// Returns once the ballot is durable. An agent has one ballot: repeating it is harmless, another choice is a conflict.
#[utoipa::path(
    post,
    path = "/v1/votes/{id}/ballots",
    tag = "votes",
    params(("id" = String, Path, description = "The proposal's id, 64 hex digits.")),
    request_body = BallotRequest,
    responses(
        (status = 200, description = "This very ballot had been cast before.", body = Ballot),
        (status = 201, description = "On disk and offered to the network.", body = Ballot),
    )
)]
pub(super) async fn cast(
    State(edge): State<Edge>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<(StatusCode, Json<Ballot>), Refused> {
    let request: BallotRequest = body::json(&edge, request).await?;
    let said = request.said().map_err(|error| {
        let hint = "give exactly one of choice, rank, approve, score and delegate";
        Problem::new(ProblemKind::Invalid, error.to_string()).with_hint(hint)
    })?;
    let (choice, agent) = (request.text(), request.agent);
    let proposal = query::id("proposal", &query::segment(id)?)?;
    let agent = edge.agent(agent.as_deref()).await?;
    let answer = edge.ask(Ask::Cast { agent, proposal, choice: said }).await?;
    let Answer::Cast { ballot, repeated } = answer else { return Err(mismatch()) };
    let status = if repeated { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(Ballot::new(ballot, proposal, agent, choice, repeated))))
}

/// The certificate of a decided proposal
///
/// Anyone can verify it without a node: `althing vote verify certificate.cbor`.
#[utoipa::path(
    get,
    path = "/v1/votes/{id}/certificate",
    tag = "votes",
    params(("id" = String, Path, description = "The proposal's id, 64 hex digits.")),
    responses((status = 200, description = "The certificate file.", body = Vec<u8>, content_type = "application/cbor"))
)]
pub(super) async fn certificate(
    State(edge): State<Edge>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Refused> {
    certificate_file(&edge, query::id("proposal", &query::segment(id)?)?, None).await
}

/// The certificate of a proposal that stands alone, or of a question of a docket.
pub(super) async fn certificate_file(
    edge: &Edge,
    proposal: RecordId,
    question: Option<u16>,
) -> Result<Response, Refused> {
    let answer = edge.ask(Ask::Certificate { proposal, question }).await?;
    let Answer::Certificate(bytes) = answer else { return Err(mismatch()) };
    Ok(([(CONTENT_TYPE, HeaderValue::from_static("application/cbor"))], bytes).into_response())
}
