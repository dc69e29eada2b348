use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use http::{Method, Request, Uri};
use tokio::time::{Instant, sleep_until};

use super::stream::Open;
use super::turn::Turn;
use super::{
    GIVEN_UP_FOR, GIVEN_UP_MAX, HEADERS_BYTES_MAX, MuxStream, PING_AFTER, PONG_WITHIN, SEND_BUFFER,
    SESSION_WINDOW, STREAM_WINDOW,
};
use crate::dial::BoxIo;
use crate::roots::Roots;

/// A session without calls is closed after this time.
const IDLE_MAX: Duration = Duration::from_secs(300);

/// The session has ended; nothing was sent on it.
#[derive(Debug, thiserror::Error)]
#[error("the session with the node ended: {0}")]
pub(crate) struct Closed(String);

/// The calling side of one session.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    send: SendRequest<Bytes>,
    /// What each call asks for, since HTTP/2 wants something asked for.
    target: Uri,
    calls: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
    roots: Arc<Roots>,
}

impl Client {
    /// Begins a session on a stream that was just opened.
    pub(crate) async fn begin(io: BoxIo) -> Result<Self, Closed> {
        let handshake = Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(SESSION_WINDOW)
            .max_header_list_size(HEADERS_BYTES_MAX)
            .max_send_buffer_size(SEND_BUFFER)
            .enable_push(false)
            .max_concurrent_reset_streams(GIVEN_UP_MAX)
            .reset_stream_duration(GIVEN_UP_FOR)
            .handshake(io);
        let (send, connection) = handshake.await.map_err(|error| Closed(error.to_string()))?;
        let (calls, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        tokio::spawn(drive(connection, Arc::clone(&calls), Arc::clone(&ended)));
        let target = Uri::from_static("https://call/");
        Ok(Self { send, target, calls, ended, roots: Arc::default() })
    }

    /// The batches of the other side that were verified.
    pub(crate) fn roots(&self) -> &Arc<Roots> {
        &self.roots
    }

    /// Whether it takes no more calls, as far as is known. Those under way may go on.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Opens a call. Waits while the other side takes no more at once.
    ///
    /// # Errors
    /// When the session has ended, or had all the calls that it can have: 2³⁰. Nothing was sent then.
    pub(crate) async fn open(&self) -> Result<MuxStream, Closed> {
        self.try_open().await.inspect_err(|_| self.ended.store(true, Ordering::Relaxed))
    }

    async fn try_open(&self) -> Result<MuxStream, Closed> {
        let open = Open::new(&self.calls);
        let closed = |error: h2::Error| Closed(error.to_string());
        let mut send = self.send.clone().ready().await.map_err(closed)?;
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.target.clone();
        let (response, stream) = send.send_request(request, false).map_err(closed)?;
        Ok(MuxStream::opened(stream, response, open))
    }
}

async fn drive(mut connection: Connection<BoxIo, Bytes>, calls: Arc<AtomicUsize>, ended: Arc<AtomicBool>) {
    let mut pings = connection.ping_pong();
    let mut turn = Turn::default();
    let mut work = std::pin::pin!(poll_fn(|cx| {
        turn.poll(cx, calls.load(Ordering::Relaxed), |cx| Pin::new(&mut connection).poll(cx))
    }));
    // Since when there is no call.
    let mut idle = Instant::now();
    let mut next = Instant::now() + PING_AFTER;
    loop {
        tokio::select! {
            result = work.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(%error, "a session of calls ended");
                }
                break;
            }
            () = sleep_until(next) => {}
        }
        if calls.load(Ordering::Relaxed) > 0 {
            idle = Instant::now();
        } else if idle.elapsed() > IDLE_MAX {
            break;
        }
        if let Some(pings) = &mut pings {
            let pong = std::pin::pin!(pings.ping(h2::Ping::opaque()));
            let alive = tokio::select! {
                _ = work.as_mut() => break,
                pong = tokio::time::timeout(PONG_WITHIN, pong) => matches!(pong, Ok(Ok(_))),
            };
            if !alive {
                tracing::debug!("a session of calls does not answer");
                break;
            }
        }
        next = Instant::now() + PING_AFTER;
    }
    ended.store(true, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_session_that_takes_no_more_calls_is_known_as_such_while_those_under_way_go_on() {
        let (near, far) = tokio::io::duplex(64 * 1_024);
        let (leave, left) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            let mut session = h2::server::handshake(far).await.unwrap();
            let (_call, mut respond) = session.accept().await.unwrap().unwrap();
            let mut send = respond.send_response(http::Response::new(()), false).unwrap();
            session.graceful_shutdown();
            let answer = async {
                left.await.unwrap();
                send.send_data(Bytes::from_static(b"hi"), true).unwrap();
            };
            tokio::join!(answer, async { while session.accept().await.is_some() {} });
        });
        let client = Client::begin(Box::new(near)).await.unwrap();
        let mut call = client.open().await.unwrap();
        call.shutdown().await.unwrap();
        while client.open().await.is_ok() {
            tokio::task::yield_now().await;
        }
        assert!(client.has_ended());
        leave.send(()).unwrap();
        let mut came = Vec::new();
        call.read_to_end(&mut came).await.unwrap();
        assert_eq!(came, b"hi");
    }
}
