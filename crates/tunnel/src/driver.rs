use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body as _, Frame, SizeHint};
use hyper::client::conn::http1::Connection;
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;

use crate::call_stream::CallStream;
use crate::{Body, BodyError};

/// What moves a call's bytes. Dropped, the call ends.
pub(crate) enum Driver {
    /// Whoever waits for the response: that saves a task, and waking it, for each call.
    Waiting(Box<Connection<TokioIo<CallStream>, Sending>>),
    /// A task of its own: the request goes on while nobody reads the response.
    Task(#[expect(dead_code, reason = "it ends when it is dropped")] Task),
    /// Nothing: the connection has ended.
    Ended,
}

impl Driver {
    pub(crate) fn new(connection: Connection<TokioIo<CallStream>, Sending>) -> Self {
        Self::Waiting(Box::new(connection))
    }

    /// Moves on as far as that goes. Gives whether there may be something new.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let Self::Waiting(connection) = self else { return false };
        let Poll::Ready(ended) = Pin::new(connection).poll(cx) else { return true };
        if let Err(error) = ended {
            tracing::debug!(%error, "a call ended early");
        }
        *self = Self::Ended;
        true
    }

    /// Goes on by itself from here.
    pub(crate) fn spawn(&mut self) {
        if let Self::Waiting(connection) = std::mem::replace(self, Self::Ended) {
            *self = Self::Task(Task(tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a call ended early");
                }
            })));
        }
    }
}

/// Ends when it is dropped.
pub(crate) struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A request's body that says when all of it was taken.
pub(crate) struct Sending {
    body: Body,
    is_sent: Arc<AtomicBool>,
}

impl Sending {
    /// Gives where it says so.
    pub(crate) fn new(body: Body) -> (Self, Arc<AtomicBool>) {
        let is_sent = Arc::new(AtomicBool::new(body.is_end_stream()));
        (Self { body, is_sent: Arc::clone(&is_sent) }, is_sent)
    }
}

impl hyper::body::Body for Sending {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() || self.body.is_end_stream() {
            self.is_sent.store(true, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
