use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use althing_a2a::EndingReader;
use althing_record::{AgentId, Digest, Millis, NodeId};
use althing_trust::{Accept, Answer, Call, Reason, Refusal, TaskId};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::Builder;
use hyper_util::rt::TokioIo;
use sha2::{Digest as _, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, timeout};

use crate::call_stream::{CallStream, Told, Unsigned};
use crate::dial::{Dial, DialError, Place};
use crate::driver::{Driver, Sending};
use crate::evidence::{Evidence, Outcome, Side};
use crate::meter::{Ending, Meter, Metered};
use crate::sessions::Sessions;
use crate::signer::LINEAGE_HEADER;
use crate::{Body, BodyError, Identity, KeyBook, Limits};

/// How long reaching the callee's node may take.
const REACH_WITHIN: Duration = Duration::from_secs(12);

/// The calling side of the tunnel. Clones share their sessions and limits.
#[derive(Clone)]
pub struct Caller(Arc<Shared>);

struct Shared {
    sessions: Sessions,
    keys: KeyBook,
    node: NodeId,
    now: Arc<dyn Fn() -> Millis + Send + Sync>,
    calls: Arc<Semaphore>,
    calls_max: usize,
    evidence: mpsc::Sender<Evidence>,
    meter: Meter,
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("node", &self.0.node).finish_non_exhaustive()
    }
}

/// Why a call has no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The callee's node was not reached.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// This node has as many calls under way as it may.
    #[error("this node has {0} calls under way already")]
    TooMany(
        /// The limit.
        usize,
    ),
    /// This node cannot tell which keys speak for the agent.
    #[error("this node's store cannot be read: {0}")]
    Store(
        /// Why.
        String,
    ),
    /// The callee's node does not take the call.
    #[error("node {node} refuses the call: {reason}")]
    Refused {
        /// The node.
        node: NodeId,
        /// Why, for programs.
        refusal: Refusal,
        /// Why, for people.
        reason: Reason,
    },
    /// The callee's node has no room.
    #[error("node {node} has no room for another call")]
    Busy {
        /// The node.
        node: NodeId,
    },
    /// The callee's node broke the protocol.
    #[error("node {node} does not speak the protocol: {cause}")]
    Nonsense {
        /// The node.
        node: NodeId,
        /// How.
        cause: String,
    },
    /// The agent took too long.
    #[error("no response within {} s", .limit.as_secs())]
    Timeout {
        /// The limit.
        limit: Duration,
        /// Whether the callee's node took the call.
        taken: bool,
    },
    /// The connection to the callee's node broke.
    #[error("the connection to node {node} broke: {cause}")]
    Broken {
        /// The node.
        node: NodeId,
        /// How.
        cause: String,
        /// Whether the callee's node took the call.
        taken: bool,
    },
}

impl CallError {
    /// Whether it is certain that the agent has seen nothing of the request.
    #[must_use]
    pub fn is_undelivered(&self) -> bool {
        match self {
            Self::Dial(_) | Self::TooMany(_) | Self::Store(_) | Self::Refused { .. } | Self::Busy { .. } => {
                true
            }
            Self::Nonsense { .. } | Self::Timeout { .. } | Self::Broken { .. } => false,
        }
    }
}

impl CallError {
    fn ending(&self) -> Ending {
        match self {
            Self::Dial(_) | Self::TooMany(_) | Self::Store(_) | Self::Refused { .. } | Self::Busy { .. } => {
                Ending::Refused
            }
            Self::Timeout { .. } => Ending::Timeout,
            Self::Nonsense { .. } | Self::Broken { .. } => Ending::Broken,
        }
    }
}

impl Caller {
    /// A caller at this node. What proves its calls goes to `evidence`; when that is full, it is lost and counted by
    /// nobody.
    pub fn new(
        dial: Arc<dyn Dial>,
        keys: KeyBook,
        node: NodeId,
        now: Arc<dyn Fn() -> Millis + Send + Sync>,
        limits: &Limits,
        (meter, evidence): (Meter, mpsc::Sender<Evidence>),
    ) -> Self {
        Self(Arc::new(Shared {
            sessions: Sessions::new(dial),
            keys,
            node,
            now,
            calls: Arc::new(Semaphore::new(limits.calls_out_max)),
            calls_max: limits.calls_out_max,
            evidence,
            meter,
        }))
    }

    /// Sends a request to an agent at the node that serves it, and waits until the response begins. Dropped before the
    /// response was read, the call is cancelled.
    ///
    /// # Errors
    /// When no response began; [`CallError::is_undelivered`] says whether it may be sent again.
    pub async fn call(
        &self,
        by: &Identity,
        callee: AgentId,
        place: Place,
        request: Request<Body>,
        within: Duration,
    ) -> Result<Response<Body>, CallError> {
        let metered = self.0.meter.begin(Side::Caller);
        let answer = self.begin(by, callee, place, request, within).await;
        match answer {
            Ok(response) => {
                Ok(response.map(|answering| Answering { metered: Some(metered), ..answering }.boxed_unsync()))
            }
            Err(error) => {
                metered.ends(error.ending());
                Err(error)
            }
        }
    }

    async fn begin(
        &self,
        by: &Identity,
        callee: AgentId,
        place: Place,
        request: Request<Body>,
        within: Duration,
    ) -> Result<Response<Answering>, CallError> {
        let shared = &self.0;
        let permit = Arc::clone(&shared.calls).try_acquire_owned();
        let permit = permit.map_err(|_| CallError::TooMany(shared.calls_max))?;
        let node = place.node;
        let (io, roots) = timeout(REACH_WITHIN, shared.sessions.open(place))
            .await
            .unwrap_or(Err(DialError::Timeout { node }))?;
        let keys = shared.keys.of(callee).await.map_err(CallError::Store)?;
        let signer = by.signer();
        let unsigned = Unsigned {
            network: shared.keys.network().clone(),
            caller: by.agent,
            signer: Arc::clone(&signer),
            callee,
            keys,
            task: TaskId(random()?),
            node: shared.node,
            made: (shared.now)(),
            is_alone: shared.meter.under_way(Side::Caller) <= 1,
            roots,
        };
        let (stream, mut told) = CallStream::new(io, unsigned);
        let broken = |cause: String, taken| CallError::Broken { node, cause, taken };
        let began = Instant::now();
        let (mut sender, connection) = Builder::new()
            .preserve_header_case(true)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broken(error.to_string(), false))?;
        let mut driver = Driver::new(connection);
        let (mut head, body) = request.into_parts();
        if let Some(lineage) = signer.shown() {
            head.headers.insert(LINEAGE_HEADER, lineage.clone());
        }
        let (body, is_sent) = Sending::new(body);
        let answer = {
            let mut sending = pin!(sender.send_request(Request::from_parts(head, body)));
            let driving = poll_fn(|cx| {
                while driver.poll(cx) {
                    match sending.as_mut().poll(cx) {
                        Poll::Pending if matches!(driver, Driver::Waiting(_)) => return Poll::Pending,
                        Poll::Pending => {}
                        answer @ Poll::Ready(_) => return answer,
                    }
                }
                sending.as_mut().poll(cx)
            });
            timeout(within, driving).await
        };
        // A client that is still sending may not read before it is done.
        if !is_sent.load(Ordering::Relaxed) {
            driver.spawn();
        }
        let told = told.try_recv().ok();
        let taken = matches!(told, Some(Told::Taken { .. }));
        let response = match (answer, told) {
            (_, Some(Told::NotTaken(Answer::Refused { refusal, reason }))) => {
                return Err(CallError::Refused { node, refusal, reason });
            }
            (_, Some(Told::NotTaken(_))) => return Err(CallError::Busy { node }),
            (_, Some(Told::Nonsense(cause))) => return Err(CallError::Nonsense { node, cause }),
            (Err(_), told) => {
                self.keep(told, Outcome::Timeout, began, None);
                return Err(CallError::Timeout { limit: within, taken });
            }
            (Ok(Err(error)), told) => {
                self.keep(told, Outcome::Broken, began, None);
                return Err(broken(cause_of(&error), taken));
            }
            (Ok(Ok(response)), told) => (response, told),
        };
        let (response, told) = response;
        let (call, accept) = match told {
            Some(Told::Taken { call, accept }) => (Some(call), accept.ok()),
            Some(Told::NotTaken(_) | Told::Nonsense(_)) | None => (None, None),
        };
        let status = response.status();
        let is_stream = response
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"));
        let end = call.zip(accept).map(|(call, accept)| End {
            call,
            accept,
            status: status.as_u16(),
            began,
            hash: Sha256::new(),
            reading: EndingReader::new(status.as_u16(), is_stream),
            evidence: shared.evidence.clone(),
            now: Arc::clone(&shared.now),
        });
        Ok(response.map(|body| Answering { body, end, metered: None, driver, _permit: permit }))
    }

    fn keep(&self, told: Option<Told>, outcome: Outcome, began: Instant, response_hash: Option<Digest>) {
        if let Some(Told::Taken { call, accept: Ok(accept) }) = told {
            let latency_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            let made = (self.0.now)();
            let evidence = Evidence {
                side: Side::Caller,
                call,
                accept,
                outcome,
                latency_ms,
                ending: None,
                response_hash,
                made,
            };
            // Lost when nobody takes it up: the call itself does not wait for that.
            let _ = self.0.evidence.try_send(evidence);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the shell draws task ids")]
fn random() -> Result<[u8; 16], CallError> {
    let mut bytes = [0; 16];
    // The same source gave the node its keys.
    getrandom::fill(&mut bytes).map_err(|_| CallError::TooMany(0))?;
    Ok(bytes)
}

/// The innermost cause, which says more than hyper's own words.
fn cause_of(error: &dyn std::error::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// The response of a call while it is read. Dropped, the call ends.
struct Answering {
    body: Incoming,
    end: Option<End>,
    metered: Option<Metered>,
    driver: Driver,
    _permit: OwnedSemaphorePermit,
}

impl Answering {
    fn poll_body(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        // It is asked first: the connection reads on only for who wants something.
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        if polled.is_pending() && this.driver.poll(cx) {
            return Pin::new(&mut this.body).poll_frame(cx);
        }
        polled
    }

    fn ended(&mut self, whole: bool, cx: &mut Context<'_>) {
        // It has the end of this side to send.
        self.driver.poll(cx);
        if let Some(end) = self.end.take() {
            end.keep(whole);
        }
        if let Some(metered) = self.metered.take()
            && whole
        {
            metered.ends(Ending::Answered);
        }
    }
}

struct End {
    call: Box<Call>,
    accept: Box<Accept>,
    status: u16,
    began: Instant,
    hash: Sha256,
    reading: EndingReader,
    evidence: mpsc::Sender<Evidence>,
    now: Arc<dyn Fn() -> Millis + Send + Sync>,
}

impl End {
    fn keep(self, whole: bool) {
        let latency_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let outcome = if whole { Outcome::Answered(self.status) } else { Outcome::Broken };
        let response_hash = whole.then(|| Digest(self.hash.finalize().into()));
        let made = (self.now)();
        let evidence = Evidence {
            side: Side::Caller,
            call: self.call,
            accept: self.accept,
            outcome,
            latency_ms,
            ending: whole.then(|| self.reading.end()),
            response_hash,
            made,
        };
        let _ = self.evidence.try_send(evidence);
    }
}

impl hyper::body::Body for Answering {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(self.as_mut().poll_body(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let (Some(part), Some(end)) = (frame.data_ref(), &mut self.end) {
                    end.hash.update(part);
                    end.reading.push(part);
                }
                if self.body.is_end_stream() {
                    self.ended(true, cx);
                }
            }
            Some(Err(_)) => self.ended(false, cx),
            None => self.ended(true, cx),
        }
        Poll::Ready(frame.map(|frame| frame.map_err(|error| cause_of(&error).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
