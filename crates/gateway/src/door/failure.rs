use std::sync::{Arc, Mutex, PoisonError};

use althing_trust::Refusal;
use althing_tunnel::{CallError, DialError, ERROR_HEADER};
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Method, StatusCode};
use serde_json::{Value, json};

/// JSON-RPC's errors for requests that the agent's node does not pass on, and for all else: those beyond are A2A's own.
const INVALID_REQUEST: i64 = -32_600;
const INVALID_PARAMS: i64 = -32_602;
const INTERNAL_ERROR: i64 = -32_603;

/// Why a node answers in an agent's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    AgentNotFound,
    AgentUnreachable,
    NotExposed,
    NotAllowed,
    Busy,
    Stopping,
    Refused,
    Target,
    Malformed,
    PushUrl,
    TooLarge,
    Timeout,
    ConnectionLost,
    OriginUnreachable,
    OriginChanged,
    OriginBusy,
    OriginTimeout,
    OriginBroke,
}

impl Cause {
    const ALL: [Self; 18] = [
        Self::AgentNotFound,
        Self::AgentUnreachable,
        Self::NotExposed,
        Self::NotAllowed,
        Self::Busy,
        Self::Stopping,
        Self::Refused,
        Self::Target,
        Self::Malformed,
        Self::PushUrl,
        Self::TooLarge,
        Self::Timeout,
        Self::ConnectionLost,
        Self::OriginUnreachable,
        Self::OriginChanged,
        Self::OriginBusy,
        Self::OriginTimeout,
        Self::OriginBroke,
    ];

    /// The value of `Althing-Error`.
    pub(crate) fn name(self) -> &'static str {
        self.row().0
    }

    /// The cause of this name; of one that is not known, the callee's node refused.
    pub(super) fn of(name: &str) -> Self {
        Self::ALL.into_iter().find(|cause| cause.name() == name).unwrap_or(Self::Refused)
    }

    fn row(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Self::AgentNotFound => ("agent-not-found", StatusCode::NOT_FOUND, "NOT_FOUND"),
            Self::AgentUnreachable => ("agent-unreachable", StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
            Self::NotExposed => ("not-exposed", StatusCode::NOT_FOUND, "NOT_FOUND"),
            Self::NotAllowed => ("not-allowed", StatusCode::FORBIDDEN, "PERMISSION_DENIED"),
            Self::Busy => ("busy", StatusCode::TOO_MANY_REQUESTS, "RESOURCE_EXHAUSTED"),
            Self::Stopping => ("stopping", StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
            Self::Refused => ("refused", StatusCode::BAD_GATEWAY, "UNAVAILABLE"),
            Self::Target => ("target", StatusCode::BAD_REQUEST, "INVALID_ARGUMENT"),
            Self::Malformed => ("malformed", StatusCode::BAD_REQUEST, "INVALID_ARGUMENT"),
            Self::PushUrl => ("push-url", StatusCode::BAD_REQUEST, "INVALID_ARGUMENT"),
            Self::TooLarge => ("too-large", StatusCode::PAYLOAD_TOO_LARGE, "INVALID_ARGUMENT"),
            Self::Timeout => ("timeout", StatusCode::GATEWAY_TIMEOUT, "DEADLINE_EXCEEDED"),
            Self::ConnectionLost => ("connection-lost", StatusCode::BAD_GATEWAY, "UNAVAILABLE"),
            Self::OriginUnreachable => ("origin-unreachable", StatusCode::BAD_GATEWAY, "UNAVAILABLE"),
            Self::OriginChanged => ("origin-changed", StatusCode::BAD_GATEWAY, "UNAVAILABLE"),
            Self::OriginBusy => ("origin-busy", StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
            Self::OriginTimeout => ("origin-timeout", StatusCode::GATEWAY_TIMEOUT, "DEADLINE_EXCEEDED"),
            Self::OriginBroke => ("origin-broke", StatusCode::BAD_GATEWAY, "UNAVAILABLE"),
        }
    }

    /// The code of its JSON-RPC error.
    fn rpc_code(self) -> i64 {
        match self {
            Self::Malformed => INVALID_REQUEST,
            Self::PushUrl => INVALID_PARAMS,
            Self::AgentNotFound
            | Self::AgentUnreachable
            | Self::NotExposed
            | Self::NotAllowed
            | Self::Busy
            | Self::Stopping
            | Self::Refused
            | Self::Target
            | Self::TooLarge
            | Self::Timeout
            | Self::ConnectionLost
            | Self::OriginUnreachable
            | Self::OriginChanged
            | Self::OriginBusy
            | Self::OriginTimeout
            | Self::OriginBroke => INTERNAL_ERROR,
        }
    }

    /// Whether the request itself is at fault: it says nothing about the agent, and no other would take it.
    pub(super) fn is_of_the_request(self) -> bool {
        matches!(self, Self::Target | Self::Malformed | Self::PushUrl | Self::TooLarge)
    }

    /// Whether it is certain that the agent has seen nothing of the request.
    pub(super) fn is_undelivered(self) -> bool {
        match self {
            Self::Timeout | Self::ConnectionLost | Self::OriginTimeout | Self::OriginBroke => false,
            Self::AgentNotFound
            | Self::AgentUnreachable
            | Self::NotExposed
            | Self::NotAllowed
            | Self::Busy
            | Self::Stopping
            | Self::Refused
            | Self::Target
            | Self::Malformed
            | Self::PushUrl
            | Self::TooLarge
            | Self::OriginUnreachable
            | Self::OriginChanged
            | Self::OriginBusy => true,
        }
    }
}

/// Why a request was not answered by an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(super) cause: Cause,
    /// For people.
    pub(super) message: String,
    /// Whether it is certain that the agent has seen nothing of the request.
    pub(super) undelivered: bool,
}

impl Failure {
    pub(crate) fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self { cause, message: message.into(), undelivered: cause.is_undelivered() }
    }

    /// The response in the form that the client reads.
    pub(crate) fn response(&self, style: &Style) -> Response {
        let (name, status, _) = self.cause.row();
        let status = match style {
            // Clients do not read the body of another status.
            Style::Rpc(_) => StatusCode::OK,
            Style::Rest => status,
        };
        let mut response = Response::new(Body::from(self.document(style).to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ERROR_HEADER, HeaderValue::from_static(name));
        if self.cause == Cause::Busy {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }

    /// The error of A2A's binding (its specification, sections 9.5 and 11.6).
    pub(super) fn document(&self, style: &Style) -> Value {
        let (name, status, word) = self.cause.row();
        let details = json!([{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": name.to_ascii_uppercase().replace('-', "_"),
            "domain": "althing.dev",
        }]);
        match style {
            Style::Rpc(id) => {
                let id = id.lock().unwrap_or_else(PoisonError::into_inner).read().clone();
                let error = json!({"code": self.cause.rpc_code(), "message": self.message, "data": details});
                json!({"jsonrpc": "2.0", "id": id, "error": error})
            }
            Style::Rest => json!({"error": {
                "code": status.as_u16(),
                "status": word,
                "message": self.message,
                "details": details,
            }}),
        }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let cause = match &error {
            CallError::Dial(DialError::Busy { .. }) | CallError::TooMany(_) | CallError::Busy { .. } => {
                Cause::Busy
            }
            CallError::Dial(DialError::Stopping) => Cause::Stopping,
            CallError::Dial(_) | CallError::Store(_) => Cause::AgentUnreachable,
            CallError::Refused { refusal, .. } => match refusal {
                Refusal::NotExposed => Cause::NotExposed,
                Refusal::Busy => Cause::Busy,
                Refusal::NotAllowed => Cause::NotAllowed,
                Refusal::Stopping => Cause::Stopping,
                Refusal::Malformed
                | Refusal::Clock
                | Refusal::WrongAgent
                | Refusal::Repeated
                | Refusal::ReplacedKey
                | Refusal::Other(_) => Cause::Refused,
            },
            CallError::Nonsense { .. } => Cause::Refused,
            CallError::Timeout { .. } => Cause::Timeout,
            CallError::Broken { .. } => Cause::ConnectionLost,
        };
        Self { cause, message: error.to_string(), undelivered: error.is_undelivered() }
    }
}

/// The id of a JSON-RPC request. It is read only for who needs it: most requests do not fail.
#[derive(Clone, Debug)]
pub(crate) enum RpcId {
    /// It is in this body.
    In(Bytes),
    Read(Value),
}

impl Default for RpcId {
    fn default() -> Self {
        Self::Read(Value::Null)
    }
}

impl RpcId {
    /// Reads it, and lets the body go.
    fn read(&mut self) -> &Value {
        if let Self::In(body) = self {
            let request: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
            *self = Self::Read(request.get("id").cloned().unwrap_or(Value::Null));
        }
        match self {
            Self::Read(id) => id,
            Self::In(_) => &Value::Null,
        }
    }
}

/// In which form a client reads errors.
#[derive(Clone, Debug)]
pub(crate) enum Style {
    /// JSON-RPC, with the request's id once that is known.
    Rpc(Arc<Mutex<RpcId>>),
    /// HTTP+JSON.
    Rest,
}

impl Style {
    /// A POST to the address itself is JSON-RPC.
    pub(super) fn of(request: &Request) -> Self {
        let is_address = super::Address::parse(request.uri())
            .is_ok_and(|address| address.target == "/" || address.target.starts_with("/?"));
        if *request.method() == Method::POST && is_address { Self::Rpc(Arc::default()) } else { Self::Rest }
    }

    /// The request's body has come.
    pub(super) fn learn(&self, body: Bytes) {
        if let Self::Rpc(id) = self {
            *id.lock().unwrap_or_else(PoisonError::into_inner) = RpcId::In(body);
        }
    }

    /// Keeps nothing of the request but its id: a response may take long.
    pub(super) fn settle(&self) {
        if let Self::Rpc(id) = self {
            id.lock().unwrap_or_else(PoisonError::into_inner).read();
        }
    }
}
