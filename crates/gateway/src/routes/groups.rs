//! Groups of agents.

use althing_engine::{Answer, Ask, GroupAsk};
use althing_record::AgentId;
use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use http::StatusCode;

use crate::api::{
    FoundGroupRequest, Group, GroupChangeRequest, Groups, GroupsQuery, JoiningRequest, Problem, ProblemKind,
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

const DIDS: &str = "name members by did; `althing status` shows the dids of a node's agents";

async fn ask(edge: &Edge, ask: GroupAsk) -> Result<Group, Refused> {
    let Answer::Group { group, record } = edge.ask(Ask::Group(ask)).await? else { return Err(mismatch()) };
    Ok(Group::new(*group, record))
}
