use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};

use crate::BodyError;

/// A response's body that gives back what it came on when it was read to its end. Dropped before, it gives nothing back.
pub(crate) struct Kept<F: FnOnce()> {
    body: Incoming,
    keep: Option<F>,
}

impl<F: FnOnce()> Kept<F> {
    pub(crate) fn new(body: Incoming, keep: F) -> Self {
        let mut kept = Self { body, keep: Some(keep) };
        kept.look();
        kept
    }

    fn look(&mut self) {
        if hyper::body::Body::is_end_stream(&self.body)
            && let Some(keep) = self.keep.take()
        {
            keep();
        }
    }
}

impl<F: FnOnce() + Unpin> hyper::body::Body for Kept<F> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(_)) => self.look(),
            // Nothing is to be had from what broke.
            Some(Err(_)) => self.keep = None,
            None => {
                if let Some(keep) = self.keep.take() {
                    keep();
                }
            }
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
