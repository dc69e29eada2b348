use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::Config;
use crate::app::App;
use crate::guard::Transport;
use crate::life::{Life, Verdict};

/// Largest request head, and the size of a connection's read buffer.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Most header lines of a request.
const HEADERS_MAX: usize = 64;
/// How long to wait after a failed accept; most of them mean that file descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Something that connections come from.
pub(crate) trait Accept: Send + 'static {
    /// What requests are read from.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// A connection that came in and becomes a stream, after a handshake if it needs one.
    type Opening: Future<Output = io::Result<Self::Stream>> + Send + 'static;
    /// How requests on its connections are marked.
    const TRANSPORT: Transport;

    /// The next connection.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Opening>> + Send;
}

impl Accept for TcpListener {
    type Stream = TcpStream;
    type Opening = Ready<io::Result<TcpStream>>;
    const TRANSPORT: Transport = Transport::Tcp;

    async fn accept(&self) -> io::Result<Self::Opening> {
        let (stream, _) = self.accept().await?;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "answers on a connection of the local API may be delayed");
        }
        Ok(ready(Ok(stream)))
    }
}

/// TCP with TLS on it.
pub(crate) struct TlsListener {
    pub(crate) tcp: TcpListener,
    pub(crate) acceptor: TlsAcceptor,
}

impl Accept for TlsListener {
    type Stream = TlsStream<TcpStream>;
    type Opening = tokio_rustls::Accept<TcpStream>;
    const TRANSPORT: Transport = Transport::Tcp;

    async fn accept(&self) -> io::Result<Self::Opening> {
        let stream = Accept::accept(&self.tcp).await?.into_inner()?;
        Ok(self.acceptor.accept(stream))
    }
}

impl Accept for UnixListener {
    type Stream = UnixStream;
    type Opening = Ready<io::Result<UnixStream>>;
    const TRANSPORT: Transport = Transport::Unix;

    async fn accept(&self) -> io::Result<Self::Opening> {
        self.accept().await.map(|(stream, _)| ready(Ok(stream)))
    }
}

/// Serves at most `connections_max` connections at a time until `stop` changes, then lets answers under way finish within the stop timeout.
pub(crate) async fn serve<L: Accept>(
    listener: L,
    connections_max: usize,
    app: App,
    config: Arc<Config>,
    mut stop: watch::Receiver<()>,
) {
    let slots = Arc::new(Semaphore::new(connections_max.max(1)));
    let mut connections = JoinSet::new();
    let mut failing = false;
    loop {
        // A full house leaves newcomers in the kernel's queue, which is bounded too.
        let slot = tokio::select! {
            slot = Arc::clone(&slots).acquire_owned() => slot.expect("the semaphore is never closed"),
            _ = stop.changed() => break,
        };
        let accepted = tokio::select! {
            accepted = Accept::accept(&listener) => accepted,
            _ = stop.changed() => break,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok(opening) => {
                failing = false;
                let (app, config, stop) = (app.clone(), Arc::clone(&config), stop.clone());
                connections.spawn(async move {
                    match tokio::time::timeout(config.head_timeout, opening).await {
                        Ok(Ok(stream)) => connection(stream, L::TRANSPORT, app, &config, stop).await,
                        Ok(Err(error)) => tracing::debug!(%error, "a handshake with the local API failed"),
                        Err(_) => tracing::debug!("a handshake with the local API took too long"),
                    }
                    drop(slot);
                });
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                // Once for a row of them: a log that fills up helps nobody.
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "the local API cannot accept a connection");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let all_done = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(config.stop_timeout, all_done).await.is_err() {
        tracing::debug!(cut = connections.len(), "connections of the local API outlived the stop timeout");
        connections.shutdown().await;
    }
}

async fn connection<S>(
    stream: S,
    transport: Transport,
    app: App,
    config: &Config,
    mut stop: watch::Receiver<()>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let life = Life::default();
    let streams = life.clone();
    let marked = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(transport);
        request.extensions_mut().insert(streams.clone());
        // The connection keeps room for what is given here, also while a response is long silent.
        let answering = Box::pin(app.clone().answer(request));
        async move { Ok::<_, Infallible>(answering.await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(config.head_timeout)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        // Agents and their clients see each other's own writing.
        .preserve_header_case(true)
        .serve_connection(TokioIo::new(stream), marked);
    let mut serving = std::pin::pin!(serving);
    let mut until = Instant::now() + config.connection_timeout;
    loop {
        tokio::select! {
            ended = serving.as_mut() => return log_end(ended),
            _ = stop.changed() => break,
            () = tokio::time::sleep_until(until) => {}
        }
        match life.verdict(config.connection_timeout) {
            Verdict::Old => break,
            Verdict::Streams(next) => until = next,
            Verdict::Stalled => {
                tracing::debug!("an event stream that nobody reads is cut");
                return;
            }
        }
    }
    serving.as_mut().graceful_shutdown();
    if let Ok(ended) = tokio::time::timeout(config.connection_timeout, serving).await {
        log_end(ended);
    }
}

fn log_end(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection of the local API ended");
    }
}
