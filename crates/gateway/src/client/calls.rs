use std::io;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::ClientError;
use super::sse::SseReader;
use super::wire::Connection;
use crate::api::CallSeen;

/// Longest event.
const EVENT_BYTES_MAX: usize = 64 * 1024;
/// How long a stream may be silent: three heartbeats and a little.
const SILENCE_MAX: Duration = Duration::from_secs(50);

/// Reads the events of `GET /v1/calls`. Dropping it closes the stream.
#[derive(Debug)]
pub struct CallReader {
    connection: Connection,
    body: Incoming,
    events: SseReader,
}

impl CallReader {
    pub(super) fn new(connection: Connection, body: Incoming) -> Self {
        Self { connection, body, events: SseReader::new(EVENT_BYTES_MAX) }
    }

    /// The next call; none when the node ended the stream.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] when the connection broke, [`ClientError::Timeout`] when not even a heartbeat came,
    /// [`ClientError::Protocol`] when what came is no call.
    pub async fn next(&mut self) -> Result<Option<CallSeen>, ClientError> {
        loop {
            let event = self.events.read().map_err(|error| ClientError::Protocol(error.to_string()))?;
            if let Some(event) = event {
                let malformed = |error| ClientError::Protocol(format!("expected a call: {error}"));
                return serde_json::from_str(&event.data).map(Some).map_err(malformed);
            }
            let frame = tokio::time::timeout(SILENCE_MAX, self.body.frame()).await;
            match frame.map_err(|_| ClientError::Timeout { after: SILENCE_MAX })? {
                None => return Ok(None),
                Some(Ok(frame)) => self.events.push(frame.into_data().unwrap_or_default()),
                Some(Err(error)) => {
                    let address = self.connection.address().to_owned();
                    return Err(ClientError::Unreachable { address, cause: io::Error::other(error) });
                }
            }
        }
    }
}
