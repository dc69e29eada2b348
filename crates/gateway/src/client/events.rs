use std::io;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::ClientError;
use super::sse::{SseError, SseReader};
use super::wire::Connection;
use crate::api::CloudEvent;

/// Longest line of a stream.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// How long a stream may be silent: three heartbeats and a little.
const SILENCE_MAX: Duration = Duration::from_secs(50);

/// Reads the events of `GET /v1/events`. Dropping it closes the stream.
#[derive(Debug)]
pub struct EventReader {
    connection: Connection,
    body: Incoming,
    reader: SseReader,
    /// The id that the stream began after.
    began_after: Option<String>,
}

impl EventReader {
    pub(super) fn new(connection: Connection, body: Incoming, began_after: Option<String>) -> Self {
        Self { connection, body, reader: SseReader::new(LINE_BYTES_MAX), began_after }
    }

    /// The id after which another stream continues this one.
    #[must_use]
    pub fn last_id(&self) -> Option<&str> {
        self.reader.last_id().or(self.began_after.as_deref())
    }

    /// The next event; none when the node ended the stream.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] when the connection broke, [`ClientError::Timeout`] when not even a heartbeat came,
    /// [`ClientError::Protocol`] when what came is no event.
    pub async fn next(&mut self) -> Result<Option<CloudEvent>, ClientError> {
        loop {
            while let Some(event) = self.reader.read().map_err(malformed)? {
                if !event.data.is_empty() {
                    let event = serde_json::from_str(&event.data);
                    let wrong = |error| ClientError::Protocol(format!("expected a CloudEvent: {error}"));
                    return event.map(Some).map_err(wrong);
                }
            }
            let frame = tokio::time::timeout(SILENCE_MAX, self.body.frame()).await;
            match frame.map_err(|_| ClientError::Timeout { after: SILENCE_MAX })? {
                None => return Ok(None),
                Some(Ok(frame)) => self.reader.push(frame.into_data().unwrap_or_default()),
                Some(Err(error)) => {
                    let address = self.connection.address().to_owned();
                    return Err(ClientError::Unreachable { address, cause: io::Error::other(error) });
                }
            }
        }
    }
}

fn malformed(error: SseError) -> ClientError {
    ClientError::Protocol(error.to_string())
}
