use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io::{self, IoSlice};
use std::iter;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use futures::{AsyncRead, AsyncWrite};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};
use yamux::{Connection, ConnectionError, Mode, Stream};

/// The yamux upgrade with both of its bounds: the number of streams and the receive window of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Yamux(yamux::Config);

impl Yamux {
    /// # Panics
    /// When the window is smaller than 256 KiB per stream.
    pub(crate) fn new(streams_max: usize, window_max: usize) -> Self {
        let mut config = yamux::Config::default();
        config.set_max_num_streams(streams_max).set_max_connection_receive_window(Some(window_max));
        Self(config)
    }
}

impl UpgradeInfo for Yamux {
    type Info = &'static str;
    type InfoIter = iter::Once<&'static str>;

    fn protocol_info(&self) -> Self::InfoIter {
        iter::once("/yamux/1.0.0")
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> InboundConnectionUpgrade<C> for Yamux {
    type Output = Muxer<C>;
    type Error = Infallible;
    type Future = Ready<Result<Muxer<C>, Infallible>>;

    fn upgrade_inbound(self, io: C, _: &'static str) -> Self::Future {
        ready(Ok(Muxer::new(Connection::new(io, self.0, Mode::Server))))
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> OutboundConnectionUpgrade<C> for Yamux {
    type Output = Muxer<C>;
    type Error = Infallible;
    type Future = Ready<Result<Muxer<C>, Infallible>>;

    fn upgrade_outbound(self, io: C, _: &'static str) -> Self::Future {
        ready(Ok(Muxer::new(Connection::new(io, self.0, Mode::Client))))
    }
}

/// Streams that wait to be handed out.
const ARRIVED_MAX: usize = 64;

/// One multiplexed connection.
pub(crate) struct Muxer<C> {
    connection: Connection<C>,
    /// Streams that arrived while the connection was driven for other reasons; more than fit are reset.
    arrived: VecDeque<Stream>,
    waiting: Option<Waker>,
}

impl<C> Muxer<C> {
    fn new(connection: Connection<C>) -> Self {
        Self { connection, arrived: VecDeque::new(), waiting: None }
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> Muxer<C> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Stream, ConnectionError>> {
        let next = ready!(self.connection.poll_next_inbound(cx));
        Poll::Ready(next.unwrap_or(Err(ConnectionError::Closed)))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> StreamMuxer for Muxer<C> {
    type Substream = Substream;
    type Error = ConnectionError;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Substream, ConnectionError>> {
        if let Some(stream) = self.arrived.pop_front() {
            return Poll::Ready(Ok(Substream::new(stream)));
        }
        let next = self.poll_next(cx);
        if next.is_pending() {
            self.waiting = Some(cx.waker().clone());
        }
        next.map_ok(Substream::new)
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Substream, ConnectionError>> {
        self.connection.poll_new_outbound(cx).map_ok(Substream::new)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), ConnectionError>> {
        self.connection.poll_close(cx)
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<StreamMuxerEvent, ConnectionError>> {
        // yamux makes progress, on every stream, only while it is asked for the next inbound one.
        let stream = ready!(self.poll_next(cx))?;
        // yamux forgets a stream that its opener resets, so its own bound does not hold for this queue.
        if self.arrived.len() < ARRIVED_MAX {
            self.arrived.push_back(stream);
        }
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// One stream. To yamux, one that the other side reset, or whose connection broke, has come to its end; here it has failed.
pub(crate) struct Substream {
    stream: Stream,
    /// After that, yamux no longer knows how the other side ended.
    is_shut: bool,
}

impl Substream {
    fn new(stream: Stream) -> Self {
        Self { stream, is_shut: false }
    }
}

impl AsyncRead for Substream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if read == 0 && !buffer.is_empty() && !self.is_shut && self.stream.is_closed() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Poll::Ready(Ok(read))
    }
}

impl AsyncWrite for Substream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_shut = true;
        Pin::new(&mut self.stream).poll_close(cx)
    }
}
