//! Waiting for votes.

use std::time::Duration;

use super::{Client, ClientError, percent_encoded, with_query};
use crate::api::{Until, Vote, WAIT_MAX};

impl Client {
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
}
