use std::time::Duration;

use super::{Client, ClientError, percent_encoded, with_query, written};
use crate::api::{
    Ballot, BallotRequest, Decisions, DecisionsQuery, ProposeRequest, Proposed, Until, Vote, Votes,
    VotesQuery, WAIT_MAX,
};

impl Client {
    /// Puts a question to an electorate: `POST /v1/votes`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn propose(&self, request: &ProposeRequest) -> Result<Proposed, ClientError> {
        self.send("/v1/votes".to_owned(), written(request)?).await
    }

    /// The known proposals, newest first: `GET /v1/votes`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn votes(&self, query: &VotesQuery) -> Result<Votes, ClientError> {
        let pairs = [
            ("limit", query.limit.map(|limit| limit.to_string())),
            ("after", query.after.clone()),
            ("group", query.group.clone()),
        ];
        self.fetch(with_query("/v1/votes", &pairs)).await
    }

    /// What was decided: `GET /v1/decisions`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn decisions(&self, query: &DecisionsQuery) -> Result<Decisions, ClientError> {
        let pairs = [
            ("limit", query.limit.map(|limit| limit.to_string())),
            ("after", query.after.clone()),
            ("group", query.group.clone()),
        ];
        self.fetch(with_query("/v1/decisions", &pairs)).await
    }

    /// One proposal and how it stands: `GET /v1/votes/{id}`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn vote(&self, proposal: &str) -> Result<Vote, ClientError> {
        self.fetch(format!("/v1/votes/{}", percent_encoded(proposal))).await
    }

    /// One proposal when what is waited for has come, or as it stands after `wait`, at most [`WAIT_MAX`] and less than the
    /// client's timeout: `GET /v1/votes/{id}`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn vote_when(&self, proposal: &str, until: Until, wait: Duration) -> Result<Vote, ClientError> {
        let wait_ms = wait.min(WAIT_MAX).as_millis().max(1);
        let until = match until {
            Until::Known => "known",
            Until::Settled => "settled",
        };
        let pairs = [("until", Some(until.to_owned())), ("wait_ms", Some(wait_ms.to_string()))];
        self.fetch(with_query(&format!("/v1/votes/{}", percent_encoded(proposal)), &pairs)).await
    }

    /// Signs and publishes one ballot: `POST /v1/votes/{id}/ballots`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn cast(&self, proposal: &str, request: &BallotRequest) -> Result<Ballot, ClientError> {
        self.send(format!("/v1/votes/{}/ballots", percent_encoded(proposal)), written(request)?).await
    }

    /// The certificate file of a decided proposal: `GET /v1/votes/{id}/certificate`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn certificate(&self, proposal: &str) -> Result<Vec<u8>, ClientError> {
        self.certificate_at(format!("/v1/votes/{}/certificate", percent_encoded(proposal))).await
    }
}
