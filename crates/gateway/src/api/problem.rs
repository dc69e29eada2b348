use althing_engine::{Refusal, RefusalKind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Document, document};

/// Why a request was not done, as RFC 9457 problem details (`application/problem+json`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Always `althing.problem/v1`.
    #[schema(example = "althing.problem/v1")]
    pub schema: String,
    /// `urn:althing:problem:<kind>`; stable, meant for programs.
    #[serde(rename = "type")]
    #[schema(example = "urn:althing:problem:not-found")]
    pub kind_urn: String,
    /// The kind in words.
    pub title: String,
    /// The HTTP status code.
    pub status: u16,
    /// The cause and the value that was wrong.
    pub detail: String,
    /// What to do about it, where something can be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The path that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Where the body stopped being JSON of the expected form: the line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Where the body stopped being JSON of the expected form, or the query stopped being one: the column, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u64>,
}

document!(Problem, "althing.problem/v1");

impl Problem {
    /// A problem of a kind; `detail` names the cause and the value.
    #[must_use]
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self {
            schema: Self::SCHEMA.to_owned(),
            kind_urn: kind.urn(),
            title: kind.title().to_owned(),
            status: kind.status(),
            detail: detail.into(),
            hint: None,
            instance: None,
            line: None,
            column: None,
        }
    }

    /// The same problem with a next step.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The kind, if this version knows it.
    #[must_use]
    pub fn kind(&self) -> Option<ProblemKind> {
        ProblemKind::ALL.iter().copied().find(|kind| kind.urn() == self.kind_urn)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let mut problem = Self::new(refusal.kind.into(), refusal.cause);
        problem.hint = refusal.hint;
        problem
    }
}

/// The kinds of [`Problem`], one for each `type` URN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// The request itself is wrong.
    Invalid,
    /// The API token is missing or wrong.
    Unauthorized,
    /// The token does not have the scope that the route needs.
    Scope,
    /// A web page of another origin sent the request.
    ForeignOrigin,
    /// The Host header does not name this API, as after DNS rebinding.
    ForeignHost,
    /// There is no such agent, card, proposal or path.
    NotFound,
    /// The path exists, but not with this method.
    MethodNotAllowed,
    /// The body did not arrive in time.
    SlowBody,
    /// It contradicts something that was already done (a second ballot).
    Conflict,
    /// Not decided yet, or not possible in this state.
    NotReady,
    /// The body is larger than the route takes.
    TooLarge,
    /// The body is not `application/json`.
    MediaType,
    /// The node failed.
    Internal,
    /// The node does not sign at the moment (vote guard, disk).
    SigningStopped,
    /// Too much at once; try again after a second.
    Busy,
    /// The node is stopping.
    Stopping,
    /// The node or the network did not answer in time.
    Timeout,
}

impl ProblemKind {
    /// All kinds.
    pub const ALL: &[Self] = &[
        Self::Invalid,
        Self::Unauthorized,
        Self::Scope,
        Self::ForeignOrigin,
        Self::ForeignHost,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::SlowBody,
        Self::Conflict,
        Self::NotReady,
        Self::TooLarge,
        Self::MediaType,
        Self::Internal,
        Self::SigningStopped,
        Self::Busy,
        Self::Stopping,
        Self::Timeout,
    ];

    /// The name at the end of the `type` URN.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unauthorized => "unauthorized",
            Self::Scope => "scope",
            Self::ForeignOrigin => "foreign-origin",
            Self::ForeignHost => "foreign-host",
            Self::NotFound => "not-found",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::SlowBody => "slow-body",
            Self::Conflict => "conflict",
            Self::NotReady => "not-ready",
            Self::TooLarge => "too-large",
            Self::MediaType => "media-type",
            Self::Internal => "internal",
            Self::SigningStopped => "signing-stopped",
            Self::Busy => "busy",
            Self::Stopping => "stopping",
            Self::Timeout => "timeout",
        }
    }

    /// The `type` of a problem of this kind.
    #[must_use]
    pub fn urn(self) -> String {
        format!("urn:althing:problem:{}", self.name())
    }

    /// The `title` of a problem of this kind.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Invalid => "The request is not valid",
            Self::Unauthorized => "The API token is missing or wrong",
            Self::Scope => "The API token does not have the needed scope",
            Self::ForeignOrigin => "The request comes from a foreign web page",
            Self::ForeignHost => "The Host header does not name this API",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "The path does not have this method",
            Self::SlowBody => "The body did not arrive in time",
            Self::Conflict => "It contradicts what was done before",
            Self::NotReady => "Not possible yet",
            Self::TooLarge => "The body is too large",
            Self::MediaType => "The body has the wrong content type",
            Self::Internal => "The node failed",
            Self::SigningStopped => "The node does not sign at the moment",
            Self::Busy => "The node is busy",
            Self::Stopping => "The node is stopping",
            Self::Timeout => "No answer in time",
        }
    }

    /// The HTTP status code. 425 is about replayed TLS early data, so what is not ready yet is a 409.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Invalid => 400,
            Self::Unauthorized => 401,
            Self::Scope | Self::ForeignOrigin => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::SlowBody => 408,
            Self::Conflict | Self::NotReady => 409,
            Self::TooLarge => 413,
            Self::MediaType => 415,
            Self::ForeignHost => 421,
            Self::Internal => 500,
            Self::SigningStopped | Self::Busy | Self::Stopping => 503,
            Self::Timeout => 504,
        }
    }
}

impl From<RefusalKind> for ProblemKind {
    fn from(kind: RefusalKind) -> Self {
        match kind {
            RefusalKind::Invalid => Self::Invalid,
            RefusalKind::NotFound => Self::NotFound,
            RefusalKind::Conflict => Self::Conflict,
            RefusalKind::NotReady => Self::NotReady,
            RefusalKind::SigningStopped => Self::SigningStopped,
            RefusalKind::Busy => Self::Busy,
            RefusalKind::Timeout => Self::Timeout,
            RefusalKind::Internal => Self::Internal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_survive_the_urn() {
        for kind in ProblemKind::ALL {
            assert_eq!(Problem::new(*kind, "because").kind(), Some(*kind));
        }
    }
}
