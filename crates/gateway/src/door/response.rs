use std::pin::Pin;
use std::task::{Context, Poll, ready};

use althing_tunnel::{Body as CallBody, BodyError};
use axum::body::Body;
use bytes::Bytes;
use http::Response;
use http::header::CONTENT_TYPE;
use hyper::body::{Frame, SizeHint};

use super::failure::{Cause, Failure, Style};
use super::skill::Learner;
use crate::life::Life;

/// Bytes of a stream whose end says whether an event has ended.
const TAIL: usize = 4;

/// An agent's response for the client: as it is, but that a stream of events which breaks off ends with one that says so.
pub(super) fn pass(
    response: Response<CallBody>,
    style: Style,
    life: Life,
    learner: Option<Learner>,
) -> axum::response::Response {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let is_stream = kind.is_some_and(is_events);
    let (mut head, body) = response.into_parts();
    althing_tunnel::strip(&mut head.headers);
    life.hold();
    let events = is_stream.then(|| {
        style.settle();
        Events { style, tail: [0; TAIL] }
    });
    Response::from_parts(head, Body::new(Passing { body, events, over: false, life, learner }))
}

/// Whether a content type is that of a stream of events.
pub(super) fn is_events(kind: &str) -> bool {
    kind.trim_start().starts_with("text/event-stream")
}

struct Events {
    style: Style,
    /// The last bytes that came.
    tail: [u8; TAIL],
}

impl Events {
    fn note(&mut self, part: &[u8]) {
        for byte in &part[part.len().saturating_sub(TAIL)..] {
            self.tail.rotate_left(1);
            self.tail[TAIL - 1] = *byte;
        }
    }

    /// Whether what came last was the end of an event, or nothing came.
    fn is_between(&self) -> bool {
        self.tail == [0; TAIL]
            || self.tail.ends_with(b"\n\n")
            || self.tail == *b"\r\n\r\n"
            || self.tail.ends_with(b"\r\r")
    }
}

struct Passing {
    body: CallBody,
    events: Option<Events>,
    over: bool,
    life: Life,
    learner: Option<Learner>,
}

impl Passing {
    /// Nothing more comes.
    fn judge(&mut self, is_whole: bool) {
        if let Some(learner) = &mut self.learner {
            learner.ended(is_whole);
        }
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        self.life.end();
    }
}

impl hyper::body::Body for Passing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.over {
            return Poll::Ready(None);
        }
        match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(Ok(frame)) => {
                let this = &mut *self;
                if let Some(part) = frame.data_ref() {
                    if let Some(events) = &mut this.events {
                        events.note(part);
                    }
                    if let Some(learner) = &mut this.learner {
                        learner.note(part);
                    }
                }
                if this.body.is_end_stream() {
                    this.judge(true);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                self.over = true;
                self.judge(false);
                let last = self.events.as_ref().filter(|events| events.is_between()).map(|events| {
                    let message = format!("the response broke off: {error}");
                    let document = Failure::new(Cause::ConnectionLost, message).document(&events.style);
                    Bytes::from(format!("event: error\ndata: {document}\n\n"))
                });
                Poll::Ready(Some(last.map_or(Err(error), |last| Ok(Frame::data(last)))))
            }
            None => {
                self.judge(true);
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
