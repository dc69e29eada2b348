use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use althing_record::Digest;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{ACCEPT, HOST};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::dial::BoxIo;
use crate::kept::Kept;
use crate::origin::{Origin, OriginError};
use crate::{Body, ReadError, body};

/// How long connecting may take, TLS included.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// How long the agent's card may take.
const CARD_WITHIN: Duration = Duration::from_secs(5);

/// Longest card, in bytes.
pub const CARD_BYTES_MAX: usize = 256 * 1_024;

/// Most connections that are kept for the next request.
const IDLE_MAX: usize = 64;

/// Where an agent is reached over HTTP. Its name was resolved once; only these addresses are dialed.
#[derive(Clone, Debug)]
pub struct Site {
    /// Scheme, host and port, such as `http://localhost:9999`.
    pub base: String,
    /// What `Host` says.
    pub host: HeaderValue,
    /// Its addresses.
    pub addresses: Vec<SocketAddr>,
    /// The name on its certificate, if it speaks TLS.
    pub tls: Option<ServerName<'static>>,
}

/// What a card must be like for requests to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// Where the card is: path and query.
    pub target: String,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
}

/// An agent over HTTP. Every new connection first shows that the card at its other end is the one that was exposed, so
/// nothing is sent to whoever took over the port.
#[derive(Clone)]
pub struct HttpOrigin(Arc<Shared>);

struct Shared {
    site: Site,
    tls: TlsConnector,
    pin: Option<Pin>,
    idle: Mutex<Vec<SendRequest<Body>>>,
    had_trouble: AtomicBool,
    /// Is told of trouble.
    trouble: Arc<Notify>,
}

impl fmt::Debug for HttpOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpOrigin")
            .field("site", &self.0.site)
            .field("pin", &self.0.pin)
            .finish_non_exhaustive()
    }
}

impl HttpOrigin {
    /// An agent at this site. Without a pin nothing is checked: that is for finding the card.
    #[must_use]
    pub fn new(site: Site, tls: TlsConnector, pin: Option<Pin>) -> Self {
        Self::build(site, tls, pin, Arc::default())
    }

    /// The same, which tells when it could not be asked something.
    #[must_use]
    pub fn telling(self, trouble: Arc<Notify>) -> Self {
        Self::build(self.0.site.clone(), self.0.tls.clone(), self.0.pin.clone(), trouble)
    }

    /// Whether it could not be asked something since this was called the last time.
    #[must_use]
    pub fn had_trouble(&self) -> bool {
        self.0.had_trouble.swap(false, Ordering::Relaxed)
    }

    fn build(site: Site, tls: TlsConnector, pin: Option<Pin>, trouble: Arc<Notify>) -> Self {
        let (idle, had_trouble) = (Mutex::default(), AtomicBool::new(false));
        Self(Arc::new(Shared { site, tls, pin, idle, had_trouble, trouble }))
    }

    /// Fetches a document of at most [`CARD_BYTES_MAX`] bytes. A redirect is not followed.
    ///
    /// # Errors
    /// When the site cannot be reached, or answers otherwise.
    pub async fn fetch(&self, target: &str) -> Result<Vec<u8>, FetchError> {
        let mut connection = self.0.connect().await?;
        fetch(&mut connection, &self.0.site, target).await
    }
}

/// Why a document could not be fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The site did not answer.
    #[error(transparent)]
    Origin(#[from] OriginError),
    /// It has no such document.
    #[error("{url} answered {status}")]
    Status {
        /// The document.
        url: String,
        /// The status.
        status: StatusCode,
    },
    /// It points elsewhere.
    #[error("{url} redirects to {location}, and redirects are not followed")]
    Redirect {
        /// The document.
        url: String,
        /// Where to.
        location: String,
    },
    /// It is too long.
    #[error("{url} has more than {CARD_BYTES_MAX} bytes")]
    TooLarge {
        /// The document.
        url: String,
    },
    /// It broke off or took too long.
    #[error("{url} {cause}")]
    Broken {
        /// The document.
        url: String,
        /// How.
        cause: String,
    },
}

async fn fetch(connection: &mut SendRequest<Body>, site: &Site, target: &str) -> Result<Vec<u8>, FetchError> {
    let url = format!("{}{target}", site.base);
    let broken = |cause: String| FetchError::Broken { url: url.clone(), cause };
    let request = Request::get(target)
        .header(HOST, &site.host)
        .header(ACCEPT, "application/json")
        .body(body::empty())
        .map_err(|error| broken(format!("is no target: {error}")))?;
    let answer = async {
        let response = connection.send_request(request).await.map_err(|error| broken(error.to_string()))?;
        if response.status().is_redirection() {
            let location = response.headers().get(http::header::LOCATION);
            let location =
                location.map_or_else(String::new, |to| String::from_utf8_lossy(to.as_bytes()).into_owned());
            return Err(FetchError::Redirect {
                url: url.clone(),
                location: location.chars().take(200).collect(),
            });
        }
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status { url: url.clone(), status: response.status() });
        }
        body::read(response.into_body(), CARD_BYTES_MAX).await.map_err(|error| match error {
            ReadError::TooLarge(_) => FetchError::TooLarge { url: url.clone() },
            ReadError::Broken(_) => broken(error.to_string()),
        })
    };
    timeout(CARD_WITHIN, answer)
        .await
        .unwrap_or_else(|_| Err(broken(format!("did not come within {CARD_WITHIN:?}"))))
}

impl Shared {
    fn unreachable(&self, cause: impl fmt::Display, delivered: bool) -> OriginError {
        OriginError::Unreachable { origin: self.site.base.clone(), cause: cause.to_string(), delivered }
    }

    async fn connect(&self) -> Result<SendRequest<Body>, OriginError> {
        let stream = timeout(CONNECT_WITHIN, self.open()).await.unwrap_or_else(|_| {
            Err(self.unreachable(format!("no connection within {CONNECT_WITHIN:?}"), false))
        })?;
        let (sender, connection) = Builder::new()
            .preserve_header_case(true)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.unreachable(error, false))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to an exposed agent ended");
            }
        });
        Ok(sender)
    }

    async fn open(&self) -> Result<BoxIo, OriginError> {
        let tcp = TcpStream::connect(self.site.addresses.as_slice())
            .await
            .map_err(|error| self.unreachable(error, false))?;
        // Each part of a stream goes out as it comes.
        tcp.set_nodelay(true).map_err(|error| self.unreachable(error, false))?;
        match &self.site.tls {
            None => Ok(Box::new(tcp)),
            Some(name) => {
                let tls = self.tls.connect(name.clone(), tcp).await;
                Ok(Box::new(tls.map_err(|error| self.unreachable(error, false))?))
            }
        }
    }

    /// A connection whose other end has shown the pinned card.
    async fn connection(&self) -> Result<SendRequest<Body>, OriginError> {
        self.pinned().await.inspect_err(|_| {
            self.had_trouble.store(true, Ordering::Relaxed);
            self.trouble.notify_one();
        })
    }

    async fn pinned(&self) -> Result<SendRequest<Body>, OriginError> {
        loop {
            let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            match kept {
                Some(kept) if kept.is_ready() => return Ok(kept),
                Some(_) => {}
                None => break,
            }
        }
        let mut connection = self.connect().await?;
        if let Some(pin) = &self.pin {
            let other = || OriginError::OtherCard { origin: self.site.base.clone() };
            let card = match fetch(&mut connection, &self.site, &pin.target).await {
                Ok(card) => card,
                Err(FetchError::Origin(error)) => return Err(error),
                Err(FetchError::Broken { cause, .. }) => return Err(self.unreachable(cause, false)),
                Err(
                    FetchError::Status { .. } | FetchError::Redirect { .. } | FetchError::TooLarge { .. },
                ) => {
                    return Err(other());
                }
            };
            if Digest(Sha256::digest(&card).into()) != pin.sha256 {
                return Err(other());
            }
            // A server that closes after each answer cannot be asked twice.
            if poll_fn(|cx| connection.poll_ready(cx)).await.is_err() {
                connection = self.connect().await?;
            }
        }
        Ok(connection)
    }

    /// Keeps a connection whose response was read to its end, as soon as the request is sent to its end too.
    fn free(self: Arc<Self>, mut connection: SendRequest<Body>) {
        if connection.is_ready() {
            return self.keep(connection);
        }
        tokio::spawn(async move {
            if poll_fn(|cx| connection.poll_ready(cx)).await.is_ok() {
                self.keep(connection);
            }
        });
    }

    fn keep(&self, connection: SendRequest<Body>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX && !connection.is_closed() {
            idle.push(connection);
        }
    }
}

impl Origin for HttpOrigin {
    fn ask(&self, mut request: Request<Body>) -> BoxFuture<'static, Result<Response<Body>, OriginError>> {
        let shared = Arc::clone(&self.0);
        async move {
            request.headers_mut().insert(HOST, shared.site.host.clone());
            let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
            let target: Uri = target.parse().map_err(|error| shared.unreachable(error, false))?;
            *request.uri_mut() = target;
            let mut connection = shared.connection().await?;
            let response = match connection.try_send_request(request).await {
                Ok(response) => response,
                Err(mut failed) => match failed.take_message() {
                    // The kept connection had closed, and nothing was sent on it.
                    Some(request) => {
                        connection = shared.connection().await?;
                        connection
                            .send_request(request)
                            .await
                            .map_err(|error| shared.unreachable(error, true))?
                    }
                    None => return Err(shared.unreachable(failed.into_error(), true)),
                },
            };
            // Free again when the response was read to its end.
            let keep = move || shared.free(connection);
            Ok(response.map(|body| Kept::new(body, keep).boxed_unsync()))
        }
        .boxed()
    }
}
