//! Dockets: many questions that are put and answered at once.

use althing_engine::{Answer, Ask, DOCKETS_MAX};
use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::response::Response;
use http::StatusCode;

use super::votes::{certificate_file, look_for_holders};
use crate::api::{
    Answered, AnswersRequest, Docket, DocketRequest, Dockets, DocketsQuery, Problem, ProblemKind, Proposed,
    QuestionsQuery, Vote,
};
use crate::edge::{Edge, mismatch};
use crate::refused::Refused;
use crate::{body, query};

/// Put many questions to an electorate at once
///
/// Returns once the docket is durable. Each question is decided for itself; the voters answer all of them with one
/// signature, and closed decisions need one agreement.
#[utoipa::path(
    post,
    path = "/v1/dockets",
    tag = "votes",
    request_body = DocketRequest,
    responses((status = 201, description = "Durable here and offered to the network.", body = Proposed))
)]
pub(super) async fn propose(
    State(edge): State<Edge>,
    request: Request,
) -> Result<(StatusCode, Json<Proposed>), Refused> {
    let request: DocketRequest = body::json_up_to(&edge, request, body::DOCKET_BYTES_MAX).await?;
    let draft = request
        .draft()
        .map_err(|error| Problem::new(ProblemKind::Invalid, error.to_string()).with_hint(error.hint()))?;
    let agent = edge.agent(request.terms.agent.as_deref()).await?;
    look_for_holders(&edge, &draft.terms).await?;
    let answer = edge.ask(Ask::ProposeDocket { agent, draft }).await?;
    let Answer::Proposed { proposal, threshold, tolerates } = answer else { return Err(mismatch()) };
    Ok((StatusCode::CREATED, Json(Proposed::new(proposal, agent, threshold, tolerates))))
}

/// The known dockets, newest first
#[utoipa::path(
    get,
    path = "/v1/dockets",
    tag = "votes",
    params(DocketsQuery),
    responses((status = 200, description = "The dockets.", body = Dockets))
)]
pub(super) async fn list(
    State(edge): State<Edge>,
    query: Result<Query<DocketsQuery>, QueryRejection>,
) -> Result<Json<Dockets>, Refused> {
    let DocketsQuery { limit, after } = query::read(query)?;
    let after = query::optional("after", after.as_deref())?;
    let limit = query::limit_up_to(limit, DOCKETS_MAX)?;
    let Answer::Dockets(page) = edge.ask(Ask::Dockets { after, limit }).await? else {
        return Err(mismatch());
    };
    Ok(Json(page.into()))
}

/// One docket and how it stands, as this node sees it
#[utoipa::path(
    get,
    path = "/v1/dockets/{id}",
    tag = "votes",
    params(("id" = String, Path, description = "The docket's id, 64 hex digits."), QuestionsQuery),
    responses((status = 200, description = "The docket.", body = Docket))
)]
pub(super) async fn show(
    State(edge): State<Edge>,
    id: Result<Path<String>, PathRejection>,
    query: Result<Query<QuestionsQuery>, QueryRejection>,
) -> Result<Json<Docket>, Refused> {
    let docket = query::id("docket", &query::segment(id)?)?;
    let QuestionsQuery { from, limit } = query::read(query)?;
    let ask = Ask::Docket { docket, from: from.unwrap_or(1), limit: limit.unwrap_or(u16::MAX) };
    let Answer::Docket(docket) = edge.ask(ask).await? else { return Err(mismatch()) };
    Ok(Json((*docket).into()))
}

/// Sign and publish one agent's answers to all questions of a docket
///
/// Returns once they are durable. An agent answers once: repeating it is harmless, other answers are a conflict.
#[utoipa::path(
    post,
    path = "/v1/dockets/{id}/ballots",
    tag = "votes",
    params(("id" = String, Path, description = "The docket's id, 64 hex digits.")),
    request_body = AnswersRequest,
    responses(
        (status = 200, description = "These very answers had been given before.", body = Answered),
        (status = 201, description = "On disk and offered to the network.", body = Answered),
    )
)]
pub(super) async fn cast(
    State(edge): State<Edge>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<(StatusCode, Json<Answered>), Refused> {
    let request: AnswersRequest = body::json_up_to(&edge, request, body::DOCKET_BYTES_MAX).await?;
    let answers = request.draft().map_err(|(number, error)| {
        let whose = if number == 0 { "others".to_owned() } else { format!("question {number}") };
        let hint = "an answer is an option's text, or one of rank, approve, score and delegate";
        Problem::new(ProblemKind::Invalid, format!("{whose}: {error}")).with_hint(hint)
    })?;
    let docket = query::id("docket", &query::segment(id)?)?;
    let agent = edge.agent(request.agent.as_deref()).await?;
    let answer = edge.ask(Ask::AnswerDocket { agent, docket, answers }).await?;
    let Answer::Cast { ballot, repeated } = answer else { return Err(mismatch()) };
    let status = if repeated { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(Answered::new(ballot, docket, agent, repeated))))
}

/// One question of a docket, as if it had been put alone
#[utoipa::path(
    get,
    path = "/v1/dockets/{id}/questions/{number}",
    tag = "votes",
    params(
        ("id" = String, Path, description = "The docket's id, 64 hex digits."),
        ("number" = u16, Path, description = "The question's number, from 1."),
    ),
    responses((status = 200, description = "The question.", body = Vote))
)]
pub(super) async fn question(
    State(edge): State<Edge>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Json<Vote>, Refused> {
    let (proposal, question) = numbered(path)?;
    let Answer::Vote(vote) = edge.ask(Ask::Vote { proposal, question }).await? else {
        return Err(mismatch());
    };
    Ok(Json((*vote).into()))
}

/// The certificate of a decided question of a docket
///
/// Anyone can verify it without a node: `althing vote verify certificate.cbor`.
#[utoipa::path(
    get,
    path = "/v1/dockets/{id}/questions/{number}/certificate",
    tag = "votes",
    params(
        ("id" = String, Path, description = "The docket's id, 64 hex digits."),
        ("number" = u16, Path, description = "The question's number, from 1."),
    ),
    responses((status = 200, description = "The certificate file.", body = Vec<u8>, content_type = "application/cbor"))
)]
pub(super) async fn certificate(
    State(edge): State<Edge>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Refused> {
    let (proposal, question) = numbered(path)?;
    certificate_file(&edge, proposal, question).await
}

fn numbered(
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<(althing_record::RecordId, Option<u16>), Refused> {
    let Path((id, number)) = path.map_err(|error| Problem::new(ProblemKind::Invalid, error.body_text()))?;
    let docket = query::id("docket", &id)?;
    let number: u16 = number.parse().ok().filter(|number| *number > 0).ok_or_else(|| {
        let shown: String = number.chars().take(80).collect();
        Problem::new(ProblemKind::Invalid, format!("expected a question's number from 1, found \"{shown}\""))
    })?;
    Ok((docket, Some(number)))
}
