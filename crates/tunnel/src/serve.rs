use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use althing_a2a::PassedHeaders;
use althing_record::{AgentId, Millis, NodeId};
use althing_trust::{Accept, Call};
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::callee::Seat;
use crate::evidence::{Evidence, Outcome, Side};
use crate::exposure::Exposure;
use crate::log::{CallLine, CallLog};
use crate::meter::{Ending, Metered};
use crate::operation::Operation;
use crate::origin::OriginError;
use crate::webhooks::Webhooks;
use crate::{Body, BodyError, body};

/// How long an agent may take until its response begins.
const ANSWER_WITHIN: Duration = Duration::from_secs(600);

/// Names the cause of a response that a node made and not the agent; taken out of what agents say.
pub const ERROR_HEADER: HeaderName = HeaderName::from_static("althing-error");

/// Says to the agent who calls it, as the tunnel proved.
pub const CALLER_HEADER: HeaderName = HeaderName::from_static("althing-caller");

/// Says to the agent from which node it is called, as libp2p proved.
pub const CALLER_NODE_HEADER: HeaderName = HeaderName::from_static("althing-caller-node");

/// Where every agent's card is.
const CARD_TARGETS: [&str; 2] = ["/.well-known/agent-card.json", "/.well-known/agent.json"];

/// A call that was taken: who asks whom.
pub(crate) struct Asking {
    pub(crate) caller: Option<AgentId>,
    pub(crate) node: NodeId,
    /// Both, as the agent reads them.
    pub(crate) names: (Option<HeaderValue>, HeaderValue),
    pub(crate) exposure: Arc<Exposure>,
    pub(crate) _seat: Seat,
    /// Taken when the call has ended.
    pub(crate) signed: Mutex<Option<Signed>>,
    pub(crate) metered: Option<Metered>,
    pub(crate) log: CallLog,
    pub(crate) now: Arc<dyn Fn() -> Millis + Send + Sync>,
    pub(crate) body_max: u64,
    pub(crate) webhooks: Webhooks,
}

/// What both sides signed, and where it goes when the call has ended.
pub(crate) struct Signed {
    pub(crate) call: Box<Call>,
    pub(crate) accept: Box<Accept>,
    pub(crate) evidence: mpsc::Sender<Evidence>,
}

/// Passes a request on to the agent, and its response back.
pub(crate) async fn respond(
    asking: Arc<Asking>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path().chars().take(200).collect::<String>();
    let said = format!("{} {path}", request.method());
    let began = Instant::now();
    let outcome = pass_on(&asking, request).await;
    let (response, error) = match outcome {
        Ok(response) => (response, None),
        Err(failure) => (failure.response(), Some(failure.cause)),
    };
    let status = response.status().as_u16();
    let line = CallLine {
        ended: (asking.now)(),
        agent: asking.exposure.agent,
        caller: asking.caller,
        node: asking.node,
        request: said,
        status,
        ms: 0,
        bytes: 0,
        whole: false,
        error,
    };
    let telling = Telling { asking, line, began };
    Ok(response.map(|body| Passing { body, telling: Some(telling) }.boxed_unsync()))
}

/// Why a node answers in the agent's place.
pub(crate) struct Failure {
    status: StatusCode,
    /// For programs.
    name: &'static str,
    /// For people.
    cause: String,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, name: &'static str, cause: impl Into<String>) -> Self {
        Self { status, name, cause: cause.into() }
    }

    #[cfg(test)]
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    #[cfg(test)]
    pub(crate) fn cause(&self) -> &str {
        &self.cause
    }

    /// A problem document (RFC 9457).
    pub(crate) fn response(&self) -> Response<Body> {
        // Built by hand: two texts, of which one is ours.
        let detail: String = self
            .cause
            .chars()
            .map(|char| match char {
                '"' | '\\' => '\'',
                char if char.is_control() => ' ',
                char => char,
            })
            .collect();
        let document = format!(
            "{{\"type\":\"urn:althing:call:{}\",\"status\":{},\"detail\":\"{detail}\"}}",
            self.name,
            self.status.as_u16()
        );
        let mut response = Response::new(body::full(document));
        *response.status_mut() = self.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response.headers_mut().insert(ERROR_HEADER, HeaderValue::from_static(self.name));
        response
    }
}

impl From<OriginError> for Failure {
    fn from(error: OriginError) -> Self {
        let (status, name) = match &error {
            OriginError::Unreachable { delivered: false, .. } => {
                (StatusCode::BAD_GATEWAY, "origin-unreachable")
            }
            OriginError::Unreachable { .. } => (StatusCode::BAD_GATEWAY, "origin-broke"),
            OriginError::OtherCard { .. } => (StatusCode::BAD_GATEWAY, "origin-changed"),
            OriginError::Timeout { .. } => (StatusCode::GATEWAY_TIMEOUT, "origin-timeout"),
            OriginError::Busy { .. } => (StatusCode::SERVICE_UNAVAILABLE, "origin-busy"),
        };
        Self { status, name, cause: error.to_string() }
    }
}

async fn pass_on(asking: &Asking, request: Request<Incoming>) -> Result<Response<Body>, Failure> {
    let (mut head, body) = request.into_parts();
    let refused = |cause: String| Failure::new(StatusCode::BAD_REQUEST, "target", cause);
    let exposure = &asking.exposure;
    let target = head.uri.to_string();
    let version = head.headers.get("a2a-version").and_then(|version| version.to_str().ok());
    let way = exposure.doors.way(version, head.method.as_str(), &target);
    let way = way.map_err(|error| refused(error.to_string()))?;
    if CARD_TARGETS.contains(&head.uri.path()) {
        return card(&head.method, exposure);
    }
    let way = way.ok_or_else(|| {
        let path: String = head.uri.path().chars().take(200).collect();
        let cause = format!("{} has no interface for {path}", exposure.agent);
        Failure::new(StatusCode::NOT_FOUND, "target", cause)
    })?;
    head.uri =
        way.target.parse().map_err(|error| refused(format!("{} is no target: {error}", way.target)))?;
    strip(&mut head.headers);
    head.headers.remove(HOST);
    let (caller, node) = &asking.names;
    if let Some(caller) = caller {
        head.headers.insert(CALLER_HEADER, caller.clone());
    }
    head.headers.insert(CALLER_NODE_HEADER, node.clone());
    let body_max = usize::try_from(asking.body_max).unwrap_or(usize::MAX);
    let body = Limited::new(body.map_err(BodyError::from), body_max).boxed_unsync();
    let body = match way.operation {
        Operation::Rpc | Operation::Message | Operation::Push => {
            body::full(asking.webhooks.admit(way.operation, &head.headers, body).await?)
        }
        Operation::Other => body,
    };
    let answer = exposure.origin.ask(Request::from_parts(head, body));
    let mut response = timeout(ANSWER_WITHIN, answer).await.unwrap_or_else(|_| {
        let limit_ms = u64::try_from(ANSWER_WITHIN.as_millis()).unwrap_or(u64::MAX);
        Err(OriginError::Timeout { origin: "the agent".to_owned(), limit_ms })
    })?;
    strip(response.headers_mut());
    Ok(response)
}

/// The owner's card, as it was when it was exposed. The agent is not asked.
fn card(method: &Method, exposure: &Exposure) -> Result<Response<Body>, Failure> {
    if *method != Method::GET && *method != Method::HEAD {
        return Err(Failure::new(StatusCode::METHOD_NOT_ALLOWED, "method", "a card is only read"));
    }
    let mut response = Response::new(body::full(exposure.card.clone()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// Takes out what each hop says for itself, and what only nodes may say.
pub fn strip(headers: &mut HeaderMap) {
    let passed = {
        let connection = headers.get_all(CONNECTION).iter();
        PassedHeaders::of(connection.filter_map(|value| value.to_str().ok()))
    };
    let gone = headers.keys().filter(|name| !passed.passes_in(name.as_str()));
    for name in gone.cloned().collect::<Vec<_>>() {
        headers.remove(name);
    }
}

/// Tells of a call when its response has come to an end.
struct Telling {
    asking: Arc<Asking>,
    line: CallLine,
    began: Instant,
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.line.ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.line.ended = (self.asking.now)();
        if let Some(metered) = self.asking.metered.as_ref().filter(|_| self.line.whole) {
            metered.ends(Ending::Answered);
        }
        self.asking.log.tell(&self.line);
        let signed = self.asking.signed.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(signed) = signed {
            let evidence = Evidence {
                side: Side::Callee,
                call: signed.call,
                accept: signed.accept,
                outcome: if self.line.whole { Outcome::Answered(self.line.status) } else { Outcome::Broken },
                latency_ms: self.line.ms,
                ending: None,
                response_hash: None,
                made: self.line.ended,
            };
            // Lost when nobody takes it up.
            let _ = signed.evidence.try_send(evidence);
        }
    }
}

/// A response's body on its way back.
struct Passing {
    body: Body,
    telling: Option<Telling>,
}

impl hyper::body::Body for Passing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let ended = self.body.is_end_stream();
        if let Some(telling) = &mut self.telling {
            match &frame {
                Some(Ok(frame)) => {
                    telling.line.bytes += frame.data_ref().map_or(0, |part| part.len() as u64);
                    telling.line.whole = ended;
                }
                Some(Err(error)) => telling.line.error = Some(error.to_string()),
                None => telling.line.whole = true,
            }
        }
        if frame.is_none() {
            self.telling = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
