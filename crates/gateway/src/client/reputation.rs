use super::{Client, ClientError, percent_encoded, with_query, written};
use crate::api::{
    Attestations, AttestationsQuery, Explanation, ListQuery, Ranking, RankingQuery, RateRequest, Rated,
    Reputation, ScoreCheckpoint, ScoreCheckpoints,
};

impl Client {
    /// What is known of one agent, and by whom: `GET /v1/reputation/{did}`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn reputation(&self, did: &str) -> Result<Reputation, ClientError> {
        self.fetch(format!("/v1/reputation/{}", percent_encoded(did))).await
    }

    /// Why an agent stands as it does, and whether calls go to it: `GET /v1/reputation/{did}/explanation`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn explanation(&self, did: &str) -> Result<Explanation, ClientError> {
        self.fetch(format!("/v1/reputation/{}/explanation", percent_encoded(did))).await
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

    /// The newest checkpoints of the ratings: `GET /v1/score-checkpoints`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn score_checkpoints(&self, query: &ListQuery) -> Result<ScoreCheckpoints, ClientError> {
        let limit = query.limit.map(|limit| limit.to_string());
        self.fetch(with_query("/v1/score-checkpoints", &[("limit", limit)])).await
    }

    /// One checkpoint of the ratings: `GET /v1/score-checkpoints/{id}`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn score_checkpoint(&self, id: &str) -> Result<ScoreCheckpoint, ClientError> {
        self.fetch(format!("/v1/score-checkpoints/{}", percent_encoded(id))).await
    }

    /// Says how good the answer to a call was: `POST /v1/receipts/{task}/rating`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn rate(&self, task: &str, request: &RateRequest) -> Result<Rated, ClientError> {
        self.send(format!("/v1/receipts/{}/rating", percent_encoded(task)), written(request)?).await
    }
}
