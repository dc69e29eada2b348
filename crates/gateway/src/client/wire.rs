use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::ClientError;
use super::exchange::{Exchange, Tell, path_of};
use crate::files;
use crate::token::{Challenge, Token};

/// Largest body of an answer.
const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Longest content of `api.addr`: an IPv6 address with a port.
const ADDRESS_BYTES_MAX: usize = 64;

/// How requests get to the node.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) home: PathBuf,
    pub(super) token: Token,
    /// Is told of each request.
    pub(super) tell: Option<Tell>,
}

/// What a request carries.
#[derive(Clone, Debug)]
pub(super) struct Upload {
    pub(super) content_type: &'static str,
    pub(super) bytes: Vec<u8>,
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) content_type: String,
    pub(super) body: Vec<u8>,
}

impl Wire {
    /// Sends one request on a connection of its own.
    pub(super) async fn call(
        &self,
        method: Method,
        target: &str,
        body: Option<Upload>,
    ) -> Result<Reply, ClientError> {
        let (connection, response) = self.begin(method, target, body, HeaderMap::new()).await?;
        connection.read(response).await
    }

    /// The same up to the head of the answer, with further headers.
    pub(super) async fn begin(
        &self,
        method: Method,
        target: &str,
        body: Option<Upload>,
        headers: HeaderMap,
    ) -> Result<(Connection, http::Response<Incoming>), ClientError> {
        let Some(tell) = self.tell else { return self.exchange(method, target, body, headers).await };
        let began = Instant::now();
        let bytes = body.as_ref().map_or(0, |body| body.bytes.len());
        tell(Exchange::Asks { method: &method, path: path_of(target), bytes });
        let begun = self.exchange(method, target, body, headers).await;
        let took = began.elapsed();
        match &begun {
            Ok((connection, response)) => {
                let content_type = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
                let content_type = String::from_utf8_lossy(content_type.unwrap_or_default());
                let (status, address) = (response.status().as_u16(), connection.address());
                tell(Exchange::Answered { status, content_type: &content_type, address, took });
            }
            Err(error) => tell(Exchange::Failed { cause: &error.to_string(), took }),
        }
        begun
    }

    async fn exchange(
        &self,
        method: Method,
        target: &str,
        body: Option<Upload>,
        headers: HeaderMap,
    ) -> Result<(Connection, http::Response<Incoming>), ClientError> {
        let mut connection = self.open().await?;
        let mut request =
            Request::builder().method(method).uri(target).header(HOST, connection.host.as_str());
        if let Some(body) = &body {
            request = request.header(CONTENT_TYPE, body.content_type);
        }
        for (name, value) in &headers {
            request = request.header(name, value);
        }
        if target.starts_with("/v1/") {
            let mut bearer = HeaderValue::from_str(&self.token.bearer()).map_err(unsendable)?;
            bearer.set_sensitive(true);
            request = request.header(AUTHORIZATION, bearer);
        }
        let request =
            request.body(Full::from(body.map(|body| body.bytes).unwrap_or_default())).map_err(unsendable)?;
        let response = connection.send(request).await?;
        Ok((connection, response))
    }

    /// Connects to the Unix socket or else, after proof, to the TCP address.
    async fn open(&self) -> Result<Connection, ClientError> {
        let socket = files::socket(&self.home);
        let address = socket.display().to_string();
        match UnixStream::connect(&socket).await {
            Ok(stream) => Connection::over(stream, "localhost".to_owned(), address).await,
            // A path that is too long for a socket is an invalid argument.
            Err(cause) if is_gone(&cause) || cause.kind() == io::ErrorKind::InvalidInput => {
                self.open_tcp().await
            }
            Err(cause) => Err(ClientError::Unreachable { address, cause }),
        }
    }

    async fn open_tcp(&self) -> Result<Connection, ClientError> {
        let not_running = || ClientError::NotRunning { home: self.home.clone() };
        let address = self.tcp_address()?.ok_or_else(not_running)?;
        let stream = TcpStream::connect(address).await.map_err(|cause| match is_gone(&cause) {
            true => not_running(),
            false => ClientError::Unreachable { address: address.to_string(), cause },
        })?;
        let mut connection = Connection::over(stream, address.to_string(), address.to_string()).await?;
        // The node may have crashed and its port gone to a stranger, who must not get the token.
        let challenge = Challenge::random()
            .map_err(|error| ClientError::Auth { detail: error.to_string(), hint: error.hint() })?;
        let probe = Request::get("/livez")
            .header(HOST, connection.host.as_str())
            .header(Challenge::HEADER, challenge.to_hex())
            .body(Full::default())
            .map_err(unsendable)?;
        let response = connection.send(probe).await?;
        let proof = response.headers().get(Challenge::PROOF_HEADER).cloned();
        connection.read(response).await?;
        if proof.is_some_and(|proof| self.token.proves(&challenge, proof.as_bytes())) {
            return Ok(connection);
        }
        let cause = io::Error::other("something else answers there, so api.addr is out of date");
        Err(ClientError::Unreachable { address: address.to_string(), cause })
    }

    /// The address in `api.addr`, if there is one.
    fn tcp_address(&self) -> Result<Option<SocketAddr>, ClientError> {
        let path = files::address(&self.home);
        let unreadable = |cause| ClientError::Unreachable { address: path.display().to_string(), cause };
        let text = match std::fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes[..bytes.len().min(ADDRESS_BYTES_MAX)]).into_owned(),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(unreadable(cause)),
        };
        match text.trim_end().parse::<SocketAddr>() {
            Ok(address) if address.ip().is_loopback() => Ok(Some(address)),
            Ok(_) | Err(_) => {
                let cause = format!("expected a loopback address with a port, found \"{}\"", text.trim_end());
                Err(unreadable(io::Error::new(io::ErrorKind::InvalidData, cause)))
            }
        }
    }
}

/// A connection to the node. Dropping it closes it.
#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
    host: String,
    address: String,
}

impl Connection {
    async fn over<S>(stream: S, host: String, address: String) -> Result<Self, ClientError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = match handshake(TokioIo::new(stream)).await {
            Ok(parts) => parts,
            Err(error) => return Err(broken(&address, error)),
        };
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to the node broke");
            }
        });
        Ok(Self { sender, driver, host, address })
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<http::Response<Incoming>, ClientError> {
        self.sender.ready().await.map_err(|error| broken(&self.address, error))?;
        self.sender.send_request(request).await.map_err(|error| broken(&self.address, error))
    }

    /// Where it leads: the socket's path or the TCP address.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Reads the rest of an answer.
    pub(super) async fn read(&self, response: http::Response<Incoming>) -> Result<Reply, ClientError> {
        let (head, body) = response.into_parts();
        let body = self.whole(body).await?;
        let content_type = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        let content_type = String::from_utf8_lossy(content_type).into_owned();
        Ok(Reply { status: head.status, content_type, body })
    }

    /// Reads all of a body.
    pub(super) async fn whole(&self, body: Incoming) -> Result<Vec<u8>, ClientError> {
        match Limited::new(body, ANSWER_BYTES_MAX).collect().await {
            Ok(whole) => Ok(whole.to_bytes().into()),
            Err(error) if error.is::<LengthLimitError>() => {
                let cause = format!("expected an answer of at most {ANSWER_BYTES_MAX} bytes");
                Err(ClientError::Protocol(cause))
            }
            Err(error) => {
                let address = self.address.clone();
                Err(ClientError::Unreachable { address, cause: io::Error::other(error) })
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Whether the error means that nobody listens.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

fn broken(address: &str, error: hyper::Error) -> ClientError {
    ClientError::Unreachable { address: address.to_owned(), cause: io::Error::other(error) }
}

fn unsendable(error: impl std::fmt::Display) -> ClientError {
    ClientError::Protocol(format!("cannot write the request: {error}"))
}
