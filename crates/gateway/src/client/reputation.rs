use super::{Client, ClientError, percent_encoded, with_query, written};
use crate::api::{Attestations, AttestationsQuery, Ranking, RankingQuery, RateRequest, Rated, Reputation};

impl Client {
    /// What is known of one agent, and by whom: `GET /v1/reputation/{did}`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn reputation(&self, did: &str) -> Result<Reputation, ClientError> {
        self.fetch(format!("/v1/reputation/{}", percent_encoded(did))).await
    }

    /// The agents with the best scores: `GET /v1/reputation`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn ranking(&self, query: &RankingQuery) -> Result<Ranking, ClientError> {
        let limit = query.limit.map(|limit| limit.to_string());
        self.fetch(with_query("/v1/reputation", &[("skill", query.skill.clone()), ("limit", limit)])).await
    }

    /// A page of what raters published: `GET /v1/attestations`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn attestations(&self, query: &AttestationsQuery) -> Result<Attestations, ClientError> {
        self.fetch(with_query("/v1/attestations", &[("after", query.after.clone())])).await
    }

    /// Says how good the answer to a call was: `POST /v1/receipts/{task}/rating`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn rate(&self, task: &str, request: &RateRequest) -> Result<Rated, ClientError> {
        self.send(format!("/v1/receipts/{}/rating", percent_encoded(task)), written(request)?).await
    }
}
