//! Groups of agents.

use althing_engine::{Answer, Ask, GroupAsk, Said};
use althing_record::{AgentId, GroupId, RecordId};
use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use http::StatusCode;

use crate::api::{
    DEFAULT_WINDOW_MS, Document, FoundGroupRequest, Group, GroupChangeRequest, GroupVote, GroupVoteRequest,
    Groups, GroupsQuery, JoiningRequest, Problem, ProblemKind, Resolution, ResolveRequest,
};
use crate::edge::{Edge, mismatch};
use crate::refused::Refused;
use crate::{body, query};

/// Found a group
///
/// Returns once it is durable.
#[utoipa::path(
    post,
    path = "/v1/groups",
    tag = "groups",
    request_body = FoundGroupRequest,
    responses((status = 201, description = "Durable here and offered to the network.", body = Group))
)]
pub(super) async fn found(
    State(edge): State<Edge>,
    request: Request,
) -> Result<(StatusCode, Json<Group>), Refused> {
    let request: FoundGroupRequest = body::json(&edge, request).await?;
    let members = request
        .members()
        .map_err(|error| Problem::new(ProblemKind::Invalid, format!("members: {error}")).with_hint(DIDS))?;
    let agent = edge.agent(request.agent.as_deref()).await?;
    let group = ask(&edge, GroupAsk::Found { agent, name: request.name, members }).await?;
    Ok((StatusCode::CREATED, Json(group)))
}

/// The groups that agents of this node are in or invited to
#[utoipa::path(
    get,
    path = "/v1/groups",
    tag = "groups",
    params(GroupsQuery),
    responses((status = 200, description = "The groups, without the names of their members.", body = Groups))
)]
pub(super) async fn list(
    State(edge): State<Edge>,
    query: Result<Query<GroupsQuery>, QueryRejection>,
) -> Result<Json<Groups>, Refused> {
    let all = query::read(query)?.all.unwrap_or(false);
    let answer = edge.ask(Ask::Group(GroupAsk::List { all })).await?;
    let Answer::Groups(groups) = answer else { return Err(mismatch()) };
    Ok(Json(Groups::new(groups)))
}

/// One group, with its members and invitations
#[utoipa::path(
    get,
    path = "/v1/groups/{id}",
    tag = "groups",
    params(("id" = String, Path, description = "The group's id, 64 hex digits.")),
    responses((status = 200, description = "The group in its newest state.", body = Group))
)]
pub(super) async fn show(
    State(edge): State<Edge>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Group>, Refused> {
    let group = query::id("group", &query::segment(id)?)?;
    ask(&edge, GroupAsk::Show { group }).await.map(Json)
}

/// Invite, remove, promote or demote an agent
///
/// For the group's founder and its admins. Returns once the change is durable.
#[utoipa::path(
    post,
    path = "/v1/groups/{id}/changes",
    tag = "groups",
    params(("id" = String, Path, description = "The group's id, 64 hex digits.")),
    request_body = GroupChangeRequest,
    responses((status = 201, description = "Durable here and offered to the network.", body = Group))
)]
pub(super) async fn change(
    State(edge): State<Edge>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<(StatusCode, Json<Group>), Refused> {
    let request: GroupChangeRequest = body::json(&edge, request).await?;
    let group = query::id("group", &query::segment(id)?)?;
    let about: AgentId = query::id("about", &request.about)?;
    let agent = edge.agent(request.agent.as_deref()).await?;
    let change = request.change.about(about);
    Ok((StatusCode::CREATED, Json(ask(&edge, GroupAsk::Change { agent, group, change }).await?)))
}

/// Vote on a change to a group, and make it once the members decided
///
/// For members, who need not be admins. Puts the vote on this change if there is none in the group's newest state, and casts
/// the agent's ballot for it. Once enough members agree, the same request by the agent that put the vote makes the change.
#[utoipa::path(
    post,
    path = "/v1/groups/{id}/votes",
    tag = "groups",
    params(("id" = String, Path, description = "The group's id, 64 hex digits.")),
    request_body = GroupVoteRequest,
    responses((status = 201, description = "Durable here and offered to the network.", body = GroupVote))
)]
pub(super) async fn vote(
    State(edge): State<Edge>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<(StatusCode, Json<GroupVote>), Refused> {
    let request: GroupVoteRequest = body::json(&edge, request).await?;
    let group: GroupId = query::id("group", &query::segment(id)?)?;
    let about: AgentId = query::id("about", &request.about)?;
    let agent = edge.agent(request.agent.as_deref()).await?;
    let window_ms = request.window_ms.unwrap_or(DEFAULT_WINDOW_MS);
    let change = request.change.about(about);
    let mut vote = GroupVote {
        schema: GroupVote::SCHEMA.to_owned(),
        group: group.to_string(),
        change: request.change,
        about: about.to_string(),
        agent: agent.to_string(),
        proposal: None,
        proposer: None,
        new: false,
        ballot: None,
        record: None,
    };
    let answer = edge.ask(Ask::Group(GroupAsk::Vote { agent, group, change, window_ms })).await?;
    if let Answer::Group { record: Some(record), .. } = answer {
        vote.record = Some(record.to_string());
    } else if let Answer::ChangeVote { proposal, proposer, is_new } = answer {
        let choice = Said::Option("yes".to_owned());
        let answer = edge.ask(Ask::Cast { agent, proposal, choice }).await?;
        let Answer::Cast { ballot, .. } = answer else { return Err(mismatch()) };
        vote.proposal = Some(proposal.to_string());
        vote.proposer = Some(proposer.to_string());
        vote.ballot = Some(ballot.to_string());
        vote.new = is_new;
    } else {
        return Err(mismatch());
    }
    Ok((StatusCode::CREATED, Json(vote)))
}

/// Join a group, or leave it
///
/// Returns once what the agent says is durable. The keeper's node makes it so; until then the answer shows it as waiting.
/// Saying it again says nothing new.
#[utoipa::path(
    post,
    path = "/v1/groups/{id}/joinings",
    tag = "groups",
    params(("id" = String, Path, description = "The group's id, 64 hex digits.")),
    request_body = JoiningRequest,
    responses((status = 201, description = "Durable here and offered to the network.", body = Group))
)]
pub(super) async fn join(
    State(edge): State<Edge>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<(StatusCode, Json<Group>), Refused> {
    let request: JoiningRequest = body::json(&edge, request).await?;
    let group = query::id("group", &query::segment(id)?)?;
    let agent = edge.agent(request.agent.as_deref()).await?;
    let said = ask(&edge, GroupAsk::Join { agent, group, leaves: request.leave }).await?;
    Ok((StatusCode::CREATED, Json(said)))
}

/// Vote on which branch of a forked group holds
///
/// For those who were members where it forked. Puts the vote if there is none for this branch, and casts the agent's ballot.
#[utoipa::path(
    post,
    path = "/v1/groups/{id}/resolutions",
    tag = "groups",
    params(("id" = String, Path, description = "The group's id, 64 hex digits.")),
    request_body = ResolveRequest,
    responses((status = 201, description = "Durable here and offered to the network.", body = Resolution))
)]
pub(super) async fn resolve(
    State(edge): State<Edge>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<(StatusCode, Json<Resolution>), Refused> {
    let request: ResolveRequest = body::json(&edge, request).await?;
    let group = query::id("group", &query::segment(id)?)?;
    let keep: RecordId = query::id("keep", &request.keep)?;
    let agent = edge.agent(request.agent.as_deref()).await?;
    let window_ms = request.window_ms.unwrap_or(DEFAULT_WINDOW_MS);
    let answer = edge.ask(Ask::Group(GroupAsk::Resolve { agent, group, keep, window_ms })).await?;
    let Answer::Resolving { proposal, option, is_new } = answer else { return Err(mismatch()) };
    let choice = Said::Option(option.clone());
    let answer = edge.ask(Ask::Cast { agent, proposal, choice }).await?;
    let Answer::Cast { ballot, .. } = answer else { return Err(mismatch()) };
    let resolution = Resolution {
        schema: Resolution::SCHEMA.to_owned(),
        group: group.to_string(),
        keep: option,
        proposal: proposal.to_string(),
        new: is_new,
        agent: agent.to_string(),
        ballot: ballot.to_string(),
    };
    Ok((StatusCode::CREATED, Json(resolution)))
}

const DIDS: &str = "name members by did; `althing status` shows the dids of a node's agents";

async fn ask(edge: &Edge, ask: GroupAsk) -> Result<Group, Refused> {
    let Answer::Group { group, record } = edge.ask(Ask::Group(ask)).await? else { return Err(mismatch()) };
    Ok(Group::new(*group, record))
}
