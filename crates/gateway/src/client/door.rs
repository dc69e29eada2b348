//! The doors' part of the client: requests to agents, and their answers as they come.

use std::io;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::sse::{SseEvent, SseReader};
use super::wire::Connection;
use super::{Client, ClientError, Upload};

/// What every door's path begins with.
const DOORS: &str = "/a2a/";

/// Longest event of a stream, in bytes: files come in them.
pub const DOOR_EVENT_BYTES_MAX: usize = 16 * 1_024 * 1_024;

/// A request to an agent through one of the node's doors.
#[derive(Clone, Debug)]
pub struct DoorRequest {
    method: Method,
    target: String,
    headers: HeaderMap,
    body: Option<Upload>,
}

impl DoorRequest {
    /// Asks for something: a path such as `/a2a/agents/<did>/.well-known/agent-card.json`, with its query.
    #[must_use]
    pub fn get(target: impl Into<String>) -> Self {
        Self { method: Method::GET, target: target.into(), headers: HeaderMap::new(), body: None }
    }

    /// Brings JSON to a path.
    #[must_use]
    pub fn post(target: impl Into<String>, json: Vec<u8>) -> Self {
        let body = Some(Upload { content_type: "application/json", bytes: json });
        Self { method: Method::POST, target: target.into(), headers: HeaderMap::new(), body }
    }

    /// The same request with one more header. A value is not shown in logs.
    ///
    /// # Errors
    /// [`ClientError::Protocol`] when HTTP does not allow the name or the value.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, ClientError> {
        let wrong =
            |error: &dyn std::fmt::Display| ClientError::Protocol(format!("header \"{name}\": {error}"));
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|error| wrong(&error))?;
        let mut value = HeaderValue::from_str(value).map_err(|error| wrong(&error))?;
        value.set_sensitive(true);
        self.headers.append(header, value);
        Ok(self)
    }
}

/// The answer to a [`DoorRequest`], whose body comes when it is asked for. Dropping it closes the connection.
#[derive(Debug)]
pub struct DoorAnswer {
    connection: Connection,
    status: StatusCode,
    headers: HeaderMap,
    body: Incoming,
}

impl DoorAnswer {
    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// A header's first value, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The media type without its parameters, in lower case; empty if there is none.
    #[must_use]
    pub fn media_type(&self) -> String {
        let value = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// The whole body, up to 32 MiB.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] when the connection broke, [`ClientError::Protocol`] when there is more.
    pub async fn bytes(self) -> Result<Vec<u8>, ClientError> {
        self.connection.whole(self.body).await
    }

    /// The body as a stream of server-sent events.
    #[must_use]
    pub fn events(self) -> DoorEvents {
        let reader = SseReader::new(DOOR_EVENT_BYTES_MAX);
        DoorEvents { connection: self.connection, body: self.body, reader }
    }
}

/// Reads a stream of an agent. Dropping it closes the stream.
#[derive(Debug)]
pub struct DoorEvents {
    connection: Connection,
    body: Incoming,
    reader: SseReader,
}

impl DoorEvents {
    /// The next event, of at most [`DOOR_EVENT_BYTES_MAX`]; none when the stream came to its end. It waits for as long as
    /// the stream is silent: the caller bounds the time.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] when the connection broke, [`ClientError::Protocol`] when what came is no event.
    pub async fn next(&mut self) -> Result<Option<SseEvent>, ClientError> {
        loop {
            let event = self.reader.read().map_err(|error| ClientError::Protocol(error.to_string()))?;
            if event.is_some() {
                return Ok(event);
            }
            match self.body.frame().await {
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

impl Client {
    /// Sends a request to an agent through a door, without the token, which is not for agents. Gives the answer at its head;
    /// that may take as long as the agent works, so the caller bounds the time.
    ///
    /// # Errors
    /// [`ClientError::Protocol`] for a path that is no door's. That the agent refuses is an answer.
    pub async fn door(&self, request: DoorRequest) -> Result<DoorAnswer, ClientError> {
        let DoorRequest { method, target, headers, body } = request;
        if !target.starts_with(DOORS) {
            return Err(ClientError::Protocol(format!("expected a path below {DOORS}, found \"{target}\"")));
        }
        let (connection, response) = self.wire.begin(method, &target, body, headers).await?;
        let (head, body) = response.into_parts();
        Ok(DoorAnswer { connection, status: head.status, headers: head.headers, body })
    }
}
