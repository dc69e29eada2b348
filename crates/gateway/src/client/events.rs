use std::io;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};

use super::ClientError;
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
    /// What has arrived and is not read: the bytes of a line that is not at its end are in `line`.
    arrived: Bytes,
    line: Vec<u8>,
    data: String,
    id: Option<String>,
    last_id: Option<String>,
}

impl EventReader {
    pub(super) fn new(connection: Connection, body: Incoming, last_id: Option<String>) -> Self {
        let (arrived, line, data) = (Bytes::new(), Vec::new(), String::new());
        Self { connection, body, arrived, line, data, id: None, last_id }
    }

    /// The id after which another stream continues this one.
    #[must_use]
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// The next event; none when the node ended the stream.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] when the connection broke, [`ClientError::Timeout`] when not even a heartbeat came,
    /// [`ClientError::Protocol`] when what came is no event.
    pub async fn next(&mut self) -> Result<Option<CloudEvent>, ClientError> {
        loop {
            while let Some(line) = self.line()? {
                if let Some(event) = self.take(&line)? {
                    return Ok(Some(event));
                }
            }
            let frame = tokio::time::timeout(SILENCE_MAX, self.body.frame()).await;
            match frame.map_err(|_| ClientError::Timeout { after: SILENCE_MAX })? {
                None => return Ok(None),
                Some(Ok(frame)) => self.arrived = frame.into_data().unwrap_or_default(),
                Some(Err(error)) => {
                    let address = self.connection.address().to_owned();
                    return Err(ClientError::Unreachable { address, cause: io::Error::other(error) });
                }
            }
        }
    }

    /// The next whole line of what has arrived, without its end.
    fn line(&mut self) -> Result<Option<String>, ClientError> {
        let end = self.arrived.iter().position(|byte| *byte == b'\n');
        let part = self.arrived.split_to(end.unwrap_or(self.arrived.len()));
        if self.line.len() + part.len() > LINE_BYTES_MAX {
            let cause = format!("expected lines of at most {LINE_BYTES_MAX} bytes in the event stream");
            return Err(ClientError::Protocol(cause));
        }
        self.line.extend_from_slice(&part);
        if end.is_none() {
            return Ok(None);
        }
        let _ = self.arrived.split_to(1);
        let line = String::from_utf8(std::mem::take(&mut self.line));
        line.map(Some).map_err(|_| ClientError::Protocol("the event stream is not UTF-8".to_owned()))
    }

    /// Takes one line; an empty one ends an event. Of the fields of the HTML standard the node uses `id` and `data`.
    fn take(&mut self, line: &str) -> Result<Option<CloudEvent>, ClientError> {
        if let Some((field, value)) = line.split_once(':') {
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" => self.id = Some(value.to_owned()),
                "data" => self.data.push_str(value),
                _ => {}
            }
            return Ok(None);
        }
        if !line.is_empty() {
            return Ok(None);
        }
        if let Some(id) = self.id.take() {
            self.last_id = Some(id);
        }
        let data = std::mem::take(&mut self.data);
        if data.is_empty() {
            return Ok(None);
        }
        let malformed = |error| ClientError::Protocol(format!("expected a CloudEvent: {error}"));
        serde_json::from_str(&data).map(Some).map_err(malformed)
    }
}
