use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use althing_engine::{Answer, Ask, Refusal};
use althing_record::AgentId;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use crate::api::{Problem, ProblemKind};
use crate::docs::DocsPage;
use crate::door::{Known, Routing};
use crate::event_stream::too_many;
use crate::refused::Refused;
use crate::token::Token;
use crate::{Backend, Config, StoreDesk};

/// The ports that a Host or Origin leaves out.
const HTTP_PORT: u16 = 80;
const HTTPS_PORT: u16 = 443;

/// Most requests that work on the store at once; further ones wait.
const STORE_JOBS_MAX: usize = 4;

/// What every request handler shares.
#[derive(Clone, Debug)]
pub(crate) struct Edge(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    backend: Backend,
    token: Token,
    url: String,
    is_on_loopback: bool,
    scheme: &'static str,
    hosts: Vec<String>,
    openapi: String,
    docs: DocsPage,
    ask_timeout: Duration,
    body_timeout: Duration,
    store_jobs: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    streams_max: usize,
    heartbeat: Duration,
    stop: watch::Receiver<()>,
    known: Known,
    routing: Routing,
}

impl Edge {
    pub(crate) fn new(
        config: &Config,
        backend: Backend,
        token: Token,
        address: SocketAddr,
        openapi: String,
        docs: DocsPage,
        stop: watch::Receiver<()>,
    ) -> Self {
        let (scheme, usual_port) =
            if config.tls.is_some() { ("https", HTTPS_PORT) } else { ("http", HTTP_PORT) };
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "[::1]".to_owned()];
        if !address.ip().is_loopback() && !address.ip().is_unspecified() {
            names.push(match address.ip() {
                IpAddr::V4(ip) => ip.to_string(),
                IpAddr::V6(ip) => format!("[{ip}]"),
            });
        }
        let mut hosts: Vec<String> = names.iter().map(|name| format!("{name}:{}", address.port())).collect();
        if address.port() == usual_port {
            hosts.extend(names);
        }
        hosts.extend(config.hosts.iter().cloned());
        let url = format!("{scheme}://{address}");
        let store_jobs = Arc::new(Semaphore::new(STORE_JOBS_MAX));
        Self(Arc::new(Shared {
            backend,
            token,
            url,
            is_on_loopback: address.ip().is_loopback(),
            scheme,
            hosts,
            openapi,
            docs,
            ask_timeout: config.ask_timeout,
            body_timeout: config.body_timeout,
            streams: Arc::new(Semaphore::new(config.streams_max)),
            streams_max: config.streams_max,
            heartbeat: config.heartbeat,
            stop,
            store_jobs,
            known: Known::default(),
            routing: Routing::default(),
        }))
    }

    pub(crate) fn backend(&self) -> &Backend {
        &self.0.backend
    }

    /// What doors remember of agents.
    pub(crate) fn known(&self) -> &Known {
        &self.0.known
    }

    /// What doors remember of calls to skills.
    pub(crate) fn routing(&self) -> &Routing {
        &self.0.routing
    }

    pub(crate) fn token(&self) -> &Token {
        &self.0.token
    }

    /// The TCP address of the API, as a URL without a path.
    pub(crate) fn url(&self) -> String {
        self.0.url.clone()
    }

    /// Whether only this machine can reach the API.
    pub(crate) fn is_on_loopback(&self) -> bool {
        self.0.is_on_loopback
    }

    /// The scheme of the API over TCP.
    pub(crate) fn scheme(&self) -> &'static str {
        self.0.scheme
    }

    /// The values of Host that mean this API.
    pub(crate) fn hosts(&self) -> &[String] {
        &self.0.hosts
    }

    /// The OpenAPI document.
    pub(crate) fn openapi(&self) -> &str {
        &self.0.openapi
    }

    /// The same for people.
    pub(crate) fn docs(&self) -> &DocsPage {
        &self.0.docs
    }

    pub(crate) fn body_timeout(&self) -> Duration {
        self.0.body_timeout
    }

    /// How long an event stream may be silent.
    pub(crate) fn heartbeat(&self) -> Duration {
        self.0.heartbeat
    }

    /// Changes when the gateway is to stop.
    pub(crate) fn stop(&self) -> watch::Receiver<()> {
        self.0.stop.clone()
    }

    /// A place for one more event stream.
    ///
    /// # Errors
    /// When all are taken.
    pub(crate) fn stream_slot(&self) -> Result<OwnedSemaphorePermit, Refused> {
        Arc::clone(&self.0.streams).try_acquire_owned().map_err(|_| too_many(self.0.streams_max))
    }

    /// Asks the node.
    ///
    /// # Errors
    /// The node's refusal, or that it is too busy, too slow or stopping.
    pub(crate) async fn ask(&self, ask: Ask) -> Result<Answer, Refused> {
        let (reply, answer) = oneshot::channel();
        self.0.backend.asks.try_send((ask, reply)).map_err(|error| match error {
            TrySendError::Full(_) => {
                Problem::new(ProblemKind::Busy, format!("{} requests are waiting already", self.capacity()))
                    .with_hint("try again in a second")
            }
            TrySendError::Closed(_) => stopping(),
        })?;
        let limit = self.0.ask_timeout;
        match tokio::time::timeout(limit, answer).await {
            Ok(Ok(Answer::Refused(refusal))) => Err(Problem::from(refusal).into()),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(stopping().into()),
            Err(_) => {
                Err(Problem::new(ProblemKind::Timeout, format!("the node did not answer within {limit:?}"))
                    .with_hint(
                        "what was asked may still be done; `althing status` shows how the node is doing",
                    )
                    .into())
            }
        }
    }

    /// Has the store's desk do something, off the tasks that answer others. Waits while enough of that is under way.
    ///
    /// # Errors
    /// The desk's refusal.
    pub(crate) async fn desk<T: Send + 'static>(
        &self,
        job: impl FnOnce(&dyn StoreDesk) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refused> {
        let permit = Arc::clone(&self.0.store_jobs).acquire_owned().await;
        let desk = Arc::clone(&self.0.backend.store);
        let done = tokio::task::spawn_blocking(move || {
            // Held until it is done, also when the client does not wait for that.
            let _permit = permit;
            job(desk.as_ref())
        });
        match done.await {
            Ok(done) => done.map_err(|refusal| Problem::from(refusal).into()),
            Err(error) => {
                Err(Problem::new(ProblemKind::Internal, format!("work on the store failed: {error}")).into())
            }
        }
    }

    /// The agent that a request names, or else the node's default one.
    ///
    /// # Errors
    /// When the name is no did, or the node hosts no agent.
    pub(crate) async fn agent(&self, named: Option<&str>) -> Result<AgentId, Refused> {
        if let Some(named) = named {
            return Ok(named.parse::<AgentId>().map_err(|error| {
                Problem::new(ProblemKind::Invalid, format!("agent: {error}"))
                    .with_hint("name the agent by its did; `althing status` shows the hosted ones")
            })?);
        }
        let Answer::Hosts(agents) = self.ask(Ask::Hosts).await? else { return Err(mismatch()) };
        Ok(*agents.first().ok_or_else(|| {
            Problem::new(ProblemKind::NotReady, "this node hosts no agent")
                .with_hint("name a hosted agent, or start the node with one")
        })?)
    }

    fn capacity(&self) -> usize {
        self.0.backend.asks.max_capacity()
    }
}

/// The node gave the answer to another question.
pub(crate) fn mismatch() -> Refused {
    Problem::new(ProblemKind::Internal, "the node answered another question than was asked")
        .with_hint("this is a defect in althing: please report it")
        .into()
}

fn stopping() -> Problem {
    Problem::new(ProblemKind::Stopping, "the node no longer takes requests")
}
