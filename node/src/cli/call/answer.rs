use althing_gateway::{DOOR_EVENT_BYTES_MAX, DoorAnswer, DoorEvents, SseEvent, SseReader};
use althing_tunnel::{Body, ReadError, read};
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt;

use super::reply::invalid;
use crate::cli::failure::{Exit, Failure};

/// Longest answer of an agent that is called directly: what doors let through.
const ANSWER_BYTES_MAX: usize = 32 * 1_024 * 1_024;

/// An answer whose body comes when it is asked for, through a door or directly.
#[derive(Debug)]
pub(super) enum Answer {
    Door(DoorAnswer),
    Direct(http::Response<Body>),
}

impl Answer {
    pub(super) fn status(&self) -> u16 {
        match self {
            Self::Door(answer) => answer.status(),
            Self::Direct(response) => response.status().as_u16(),
        }
    }

    /// A header's first value, if it is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        match self {
            Self::Door(answer) => answer.header(name),
            Self::Direct(response) => response.headers().get(name).and_then(|value| value.to_str().ok()),
        }
    }

    /// The media type without its parameters, in lower case; empty if there is none.
    pub(super) fn media_type(&self) -> String {
        match self {
            Self::Door(answer) => answer.media_type(),
            Self::Direct(_) => {
                let value = self.header(CONTENT_TYPE.as_str()).unwrap_or_default();
                value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
            }
        }
    }

    /// The whole body.
    pub(super) async fn bytes(self) -> Result<Vec<u8>, Failure> {
        match self {
            Self::Door(answer) => Ok(answer.bytes().await?),
            Self::Direct(response) => {
                read(response.into_body(), ANSWER_BYTES_MAX).await.map_err(|error| match error {
                    ReadError::TooLarge(_) => invalid(&format!("the agent's answer {error}")),
                    ReadError::Broken(_) => broken(&error),
                })
            }
        }
    }

    /// The body as a stream of server-sent events.
    pub(super) fn events(self) -> Events {
        match self {
            Self::Door(answer) => Events::Door(answer.events()),
            Self::Direct(response) => {
                Events::Direct { body: response.into_body(), reader: SseReader::new(DOOR_EVENT_BYTES_MAX) }
            }
        }
    }
}

/// The events of an agent. Dropping them closes the stream.
#[derive(Debug)]
pub(super) enum Events {
    Door(DoorEvents),
    Direct { body: Body, reader: SseReader },
}

impl Events {
    /// The next event; none when the stream came to its end.
    pub(super) async fn next(&mut self) -> Result<Option<SseEvent>, Failure> {
        let (body, reader) = match self {
            Self::Door(events) => return Ok(events.next().await?),
            Self::Direct { body, reader } => (body, reader),
        };
        loop {
            if let Some(event) = reader.read().map_err(|error| invalid(&error.to_string()))? {
                return Ok(Some(event));
            }
            match body.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => reader.push(frame.into_data().unwrap_or_default()),
                Some(Err(error)) => return Err(broken(&error)),
            }
        }
    }
}

fn broken(cause: &impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Down, format!("the agent's answer broke off: {cause}"))
        .hint("what was asked may still be done".to_owned())
}
