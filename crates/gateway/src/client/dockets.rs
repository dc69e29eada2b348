use super::{Client, ClientError, percent_encoded, with_query, written};
use crate::api::{
    Answered, AnswersRequest, Docket, DocketRequest, Dockets, DocketsQuery, Proposed, QuestionsQuery, Vote,
};
use crate::body::DOCKET_BYTES_MAX;

impl Client {
    /// Puts many questions to an electorate: `POST /v1/dockets`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn propose_docket(&self, request: &DocketRequest) -> Result<Proposed, ClientError> {
        self.send_up_to(DOCKET_BYTES_MAX, "/v1/dockets".to_owned(), written(request)?).await
    }

    /// The known dockets, newest first: `GET /v1/dockets`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn dockets(&self, query: &DocketsQuery) -> Result<Dockets, ClientError> {
        let pairs = [("limit", query.limit.map(|limit| limit.to_string())), ("after", query.after.clone())];
        self.fetch(with_query("/v1/dockets", &pairs)).await
    }

    /// One docket and how it stands: `GET /v1/dockets/{id}`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn docket(&self, docket: &str, query: &QuestionsQuery) -> Result<Docket, ClientError> {
        let pairs = [
            ("from", query.from.map(|from| from.to_string())),
            ("limit", query.limit.map(|limit| limit.to_string())),
        ];
        self.fetch(with_query(&format!("/v1/dockets/{}", percent_encoded(docket)), &pairs)).await
    }

    /// Signs and publishes answers to all questions of a docket: `POST /v1/dockets/{id}/ballots`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn answer_docket(
        &self,
        docket: &str,
        request: &AnswersRequest,
    ) -> Result<Answered, ClientError> {
        let target = format!("/v1/dockets/{}/ballots", percent_encoded(docket));
        self.send_up_to(DOCKET_BYTES_MAX, target, written(request)?).await
    }

    /// One question of a docket: `GET /v1/dockets/{id}/questions/{number}`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn question(&self, docket: &str, number: u16) -> Result<Vote, ClientError> {
        self.fetch(format!("/v1/dockets/{}/questions/{number}", percent_encoded(docket))).await
    }

    /// The certificate of a question: `GET /v1/dockets/{id}/questions/{number}/certificate`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn question_certificate(&self, docket: &str, number: u16) -> Result<Vec<u8>, ClientError> {
        self.certificate_at(format!("/v1/dockets/{}/questions/{number}/certificate", percent_encoded(docket)))
            .await
    }
}
