use std::convert::Infallible;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use althing_record::NodeId;
use futures::channel::oneshot;
use futures::future::{FutureExt, Shared};
use libp2p::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::places::Place;
use crate::{Path, StreamKind};

/// Ends when the connection closes that it belongs to.
pub(crate) type Closing = Shared<oneshot::Receiver<Infallible>>;

/// A stream between this node and a peer: bytes in order, both ways, no faster than the other side reads them.
///
/// While it lives, its connection is not closed for want of use, and it takes one of the places that the peer has.
/// When the connection closes, or the peer drops its end without [`shutdown`](tokio::io::AsyncWriteExt::shutdown),
/// reading and writing fail. Over QUIC a dropped end looks like one that was shut down; and so it does, over any transport, to
/// a side that was shut down itself. What must be whole says itself where it ends.
pub struct Channel {
    // Before the place, which is free only when the stream has gone.
    stream: Stream,
    place: Place,
    node: NodeId,
    kind: StreamKind,
    path: Path,
    /// One for each direction: they may be polled by different tasks.
    closing: [Watch; 2],
    is_shut: bool,
}

/// What a [`Channel`] is made of, but for who it leads to.
#[derive(Debug)]
pub(crate) struct Ends {
    pub(crate) stream: Stream,
    pub(crate) closing: Closing,
}

impl Channel {
    pub(crate) fn new(ends: Ends, (node, kind, path): (NodeId, StreamKind, Path), place: Place) -> Self {
        let closing = [Watch(Some(ends.closing.clone())), Watch(Some(ends.closing))];
        Self { stream: ends.stream, place, node, kind, path, closing, is_shut: false }
    }

    /// The node on the other side.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// What the stream is for.
    #[must_use]
    pub fn kind(&self) -> StreamKind {
        self.kind
    }

    /// How it runs: directly, or through a relay.
    #[must_use]
    pub fn path(&self) -> Path {
        self.path
    }

    /// The bare stream; the place is free.
    pub(crate) fn into_stream(self) -> Stream {
        drop(self.place);
        self.stream
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Channel");
        shown.field("node", &self.node).field("kind", &self.kind).field("path", &self.path).finish()
    }
}

impl AsyncRead for Channel {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let room = buffer.initialize_unfilled();
        let asked = room.len();
        let [closing, _] = &mut this.closing;
        let read = futures::AsyncRead::poll_read(Pin::new(&mut this.stream), cx, room);
        let read = ready!(closing.or_closed(read, cx))?;
        // To a side that was shut down, a connection that breaks looks like the end.
        if read == 0 && asked > 0 && this.is_shut && closing.is_closed(cx) {
            return Poll::Ready(Err(closed()));
        }
        buffer.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Channel {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = futures::AsyncWrite::poll_write(Pin::new(&mut this.stream), cx, bytes);
        this.closing[1].or_closed(written, cx)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = futures::AsyncWrite::poll_flush(Pin::new(&mut this.stream), cx);
        this.closing[1].or_closed(flushed, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut = futures::AsyncWrite::poll_close(Pin::new(&mut this.stream), cx);
        let shut = ready!(this.closing[1].or_closed(shut, cx));
        this.is_shut |= shut.is_ok();
        Poll::Ready(shut)
    }
}

/// Looks after one direction; `None` once the connection has closed.
struct Watch(Option<Closing>);

impl Watch {
    fn is_closed(&mut self, cx: &mut Context<'_>) -> bool {
        if self.0.as_mut().is_some_and(|closing| closing.poll_unpin(cx).is_ready()) {
            self.0 = None;
        }
        self.0.is_none()
    }

    /// yamux wakes nobody when this side closes the connection, so what waits for the stream waits for that too.
    fn or_closed<T>(&mut self, result: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if result.is_pending() && self.is_closed(cx) { Poll::Ready(Err(closed())) } else { result }
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the connection to the node has closed")
}
