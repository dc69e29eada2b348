use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Most bytes that one write takes.
const WRITE_MAX: usize = 64 * 1_024;

/// One call of a session, as a stream of bytes. Dropped before both sides ended it, it is reset, which the other side
/// reads as an error.
#[derive(Debug)]
pub(crate) struct MuxStream {
    send: SendStream<Bytes>,
    receive: Receive,
    _open: Open,
}

#[derive(Debug)]
enum Receive {
    /// The other side has not said anything yet.
    Waiting(ResponseFuture),
    Open {
        stream: RecvStream,
        /// What came and was not read.
        rest: Bytes,
    },
}

/// Counts the calls of a session.
#[derive(Debug)]
pub(super) struct Open(Arc<AtomicUsize>);

impl Open {
    pub(super) fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl MuxStream {
    pub(super) fn opened(send: SendStream<Bytes>, response: ResponseFuture, open: Open) -> Self {
        Self { send, receive: Receive::Waiting(response), _open: open }
    }

    pub(super) fn accepted(send: SendStream<Bytes>, stream: RecvStream, open: Open) -> Self {
        Self { send, receive: Receive::Open { stream, rest: Bytes::new() }, _open: open }
    }
}

fn broken(error: h2::Error) -> io::Error {
    if error.is_io() {
        return error.into_io().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into());
    }
    io::Error::new(io::ErrorKind::ConnectionReset, error)
}

impl AsyncRead for MuxStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            match &mut self.receive {
                Receive::Waiting(response) => {
                    let response = ready!(Pin::new(response).poll(cx)).map_err(broken)?;
                    if response.status() != http::StatusCode::OK {
                        let cause = format!("the session answered {}", response.status());
                        return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionRefused, cause)));
                    }
                    self.receive = Receive::Open { stream: response.into_body(), rest: Bytes::new() };
                }
                Receive::Open { stream, rest } if rest.is_empty() => match ready!(stream.poll_data(cx)) {
                    Some(came) => *rest = came.map_err(broken)?,
                    None => return Poll::Ready(Ok(())),
                },
                Receive::Open { stream, rest } => {
                    let part = rest.split_to(rest.len().min(buffer.remaining()));
                    buffer.put_slice(&part);
                    // Only what was read makes room for more.
                    stream.flow_control().release_capacity(part.len()).map_err(broken)?;
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl AsyncWrite for MuxStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.send.reserve_capacity(bytes.len().min(WRITE_MAX));
        while self.send.capacity() == 0 {
            match ready!(self.send.poll_capacity(cx)) {
                Some(capacity) => drop(capacity.map_err(broken)?),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
        let length = self.send.capacity().min(bytes.len());
        self.send.send_data(Bytes::copy_from_slice(&bytes[..length]), false).map_err(broken)?;
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Fails only for a stream that has ended already.
        let _ = self.send.send_data(Bytes::new(), true);
        Poll::Ready(Ok(()))
    }
}
