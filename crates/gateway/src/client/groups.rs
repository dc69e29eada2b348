use super::{Client, ClientError, percent_encoded, with_query, written};
use crate::api::{
    FoundGroupRequest, Group, GroupChangeRequest, GroupVote, GroupVoteRequest, Groups, GroupsQuery,
    JoiningRequest, Resolution, ResolveRequest,
};

impl Client {
    /// Founds a group: `POST /v1/groups`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn found_group(&self, request: &FoundGroupRequest) -> Result<Group, ClientError> {
        self.send("/v1/groups".to_owned(), written(request)?).await
    }

    /// The groups that agents of the node are in or invited to: `GET /v1/groups`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn groups(&self, query: &GroupsQuery) -> Result<Groups, ClientError> {
        self.fetch(with_query("/v1/groups", &[("all", query.all.map(|all| all.to_string()))])).await
    }

    /// One group: `GET /v1/groups/{id}`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn group(&self, group: &str) -> Result<Group, ClientError> {
        self.fetch(format!("/v1/groups/{}", percent_encoded(group))).await
    }

    /// Invites, removes, promotes or demotes an agent: `POST /v1/groups/{id}/changes`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn change_group(
        &self,
        group: &str,
        request: &GroupChangeRequest,
    ) -> Result<Group, ClientError> {
        self.send(format!("/v1/groups/{}/changes", percent_encoded(group)), written(request)?).await
    }

    /// Votes on a change to a group, and makes it once it is decided: `POST /v1/groups/{id}/votes`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn vote_on_group(
        &self,
        group: &str,
        request: &GroupVoteRequest,
    ) -> Result<GroupVote, ClientError> {
        self.send(format!("/v1/groups/{}/votes", percent_encoded(group)), written(request)?).await
    }

    /// Joins a group, or leaves it: `POST /v1/groups/{id}/joinings`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn join_group(&self, group: &str, request: &JoiningRequest) -> Result<Group, ClientError> {
        self.send(format!("/v1/groups/{}/joinings", percent_encoded(group)), written(request)?).await
    }

    /// Votes on which branch of a forked group holds: `POST /v1/groups/{id}/resolutions`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn resolve_group(
        &self,
        group: &str,
        request: &ResolveRequest,
    ) -> Result<Resolution, ClientError> {
        self.send(format!("/v1/groups/{}/resolutions", percent_encoded(group)), written(request)?).await
    }
}
