use std::fmt;
use std::path::Path;

use althing_gateway::ClientError;
use althing_gateway::api::{Document, Problem, ProblemKind};
use althing_testnet::TestnetError;
use serde_json::Value;

use super::call::Envelope;
use crate::settings::SettingsError;

/// How a command ended, as its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It was done.
    Done = 0,
    /// It was tried and did not work.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// There is no node, or it cannot be reached.
    Down = 3,
    /// The node does not let this caller in.
    Auth = 4,
    /// It took too long.
    Timeout = 5,
    /// A signature or certificate is not valid.
    Invalid = 6,
}

impl Exit {
    pub(crate) fn code(self) -> u8 {
        self as u8
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        let hint = error.hint();
        Self::new(Exit::Usage, error).hint(hint)
    }
}

/// Why a command was not done: what to print, and how to exit.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    problem: Box<Problem>,
    /// What was wrong, with a mark at the place.
    diagram: Option<String>,
    /// How the A2A command line writes it, for commands that follow its specification.
    envelope: Option<Envelope>,
}

impl Failure {
    /// A failure with its cause: a lowercase fragment that names the value.
    pub(crate) fn new(exit: Exit, cause: impl fmt::Display) -> Self {
        let (name, title, status) = match exit {
            Exit::Done | Exit::Failed => ("failed", "It did not work", 500),
            Exit::Usage => ("usage", "The command line or the configuration is wrong", 400),
            Exit::Down => ("down", "The node is down or cannot be reached", 503),
            Exit::Auth => ("unauthorized", "The API token is missing or wrong", 401),
            Exit::Timeout => ("timeout", "No answer in time", 504),
            Exit::Invalid => ("not-genuine", "The signature or certificate is not valid", 422),
        };
        let problem = Problem {
            schema: Problem::SCHEMA.to_owned(),
            kind_urn: format!("urn:althing:problem:{name}"),
            title: title.to_owned(),
            status,
            detail: cause.to_string(),
            hint: None,
            instance: None,
            line: None,
            column: None,
        };
        Self { exit, problem: Box::new(problem), diagram: None, envelope: None }
    }

    /// Something that the user named and that is not known here.
    pub(crate) fn not_found(cause: impl Into<String>) -> Self {
        let problem = Box::new(Problem::new(ProblemKind::NotFound, cause));
        Self { exit: Exit::Failed, problem, diagram: None, envelope: None }
    }

    /// A file that could not be handled.
    pub(crate) fn file(what: &str, path: &Path, error: &std::io::Error) -> Self {
        Self::new(Exit::Failed, format!("cannot {what} {}: {error}", path.display()))
    }

    /// The same failure with a next step.
    pub(crate) fn hint(mut self, hint: impl Into<Option<String>>) -> Self {
        self.problem.hint = hint.into().or(self.problem.hint);
        self
    }

    /// The same failure with a next step if the request was wrong and nothing better was said.
    pub(crate) fn hint_if_invalid(self, hint: &str) -> Self {
        let bare = self.problem.hint.is_none() && self.problem.kind() == Some(ProblemKind::Invalid);
        if bare { self.hint(hint.to_owned()) } else { self }
    }

    /// The same failure with the wrong text and marks under what is wrong in it.
    pub(crate) fn diagram(mut self, diagram: String) -> Self {
        self.diagram = Some(diagram);
        self
    }

    /// The same failure, named as A2A does.
    pub(crate) fn envelope(mut self, envelope: Envelope) -> Self {
        self.envelope = Some(envelope);
        self
    }

    /// The same failure of a command that follows the specification of the A2A command line.
    pub(crate) fn of_call(mut self) -> Self {
        self.envelope.get_or_insert_with(|| Envelope::of(self.exit));
        self
    }

    /// Whether its document stands on one line, as after lines of a stream.
    pub(crate) fn is_line(&self) -> bool {
        self.envelope.is_some()
    }

    pub(crate) fn marked(&self) -> impl Iterator<Item = &str> {
        self.diagram.iter().flat_map(|diagram| diagram.lines())
    }

    /// Whether the node was too busy, so that trying again may help.
    pub(crate) fn is_busy(&self) -> bool {
        self.problem.kind() == Some(ProblemKind::Busy)
    }

    pub(crate) fn cause(&self) -> &str {
        &self.problem.detail
    }

    pub(crate) fn next_step(&self) -> Option<&str> {
        self.problem.hint.as_deref()
    }

    /// The problem document, with the exit code as its last field; of a call, the error object of A2A.
    pub(crate) fn json(&self) -> Value {
        if let Some(envelope) = self.envelope {
            return envelope.json(self.cause(), self.next_step());
        }
        let mut json = serde_json::to_value(&self.problem).unwrap_or_default();
        json["exit"] = Value::from(self.exit.code());
        json
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = match &error {
            ClientError::NotRunning { .. } | ClientError::Unreachable { .. } => Exit::Down,
            ClientError::Auth { .. } => Exit::Auth,
            ClientError::Timeout { .. } => Exit::Timeout,
            ClientError::Protocol(_) => Exit::Failed,
            ClientError::Problem(problem) => exit_of(problem),
        };
        let (cause, mut hint) = (error.to_string(), error.hint());
        if exit == Exit::Auth && hint.is_none() {
            hint = Some(
                "check --home: the token is in api.token there, which this user must be able to read".into(),
            );
        }
        match error {
            ClientError::Problem(problem) => Self { exit, problem, diagram: None, envelope: None }.hint(hint),
            ClientError::NotRunning { .. }
            | ClientError::Unreachable { .. }
            | ClientError::Auth { .. }
            | ClientError::Timeout { .. }
            | ClientError::Protocol(_) => Self::new(exit, cause).hint(hint),
        }
    }
}

fn exit_of(problem: &Problem) -> Exit {
    match problem.kind() {
        Some(
            ProblemKind::Unauthorized
            | ProblemKind::Scope
            | ProblemKind::ForeignHost
            | ProblemKind::ForeignOrigin,
        ) => Exit::Auth,
        Some(ProblemKind::Timeout | ProblemKind::SlowBody) => Exit::Timeout,
        Some(ProblemKind::Stopping) => Exit::Down,
        Some(
            ProblemKind::Invalid
            | ProblemKind::NotFound
            | ProblemKind::MethodNotAllowed
            | ProblemKind::Conflict
            | ProblemKind::NotReady
            | ProblemKind::TooLarge
            | ProblemKind::MediaType
            | ProblemKind::Internal
            | ProblemKind::SigningStopped
            | ProblemKind::Busy,
        )
        | None => Exit::Failed,
    }
}

impl From<TestnetError> for Failure {
    fn from(error: TestnetError) -> Self {
        let (cause, hint) = (error.to_string(), error.hint());
        let exit = match error {
            TestnetError::NotRunning { .. } => Exit::Down,
            TestnetError::TimedOut { .. } => Exit::Timeout,
            TestnetError::Nodes { .. } => Exit::Usage,
            TestnetError::Api { source, .. } => Self::from(*source).exit,
            TestnetError::AlreadyRunning { .. }
            | TestnetError::DirInUse { .. }
            | TestnetError::Locked { .. }
            | TestnetError::Ended { .. }
            | TestnetError::Unexpected { .. }
            | TestnetError::Interrupted
            | TestnetError::Io { .. }
            | TestnetError::State { .. } => Exit::Failed,
        };
        Self::new(exit, cause).hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_begins_with_its_schema_and_ends_with_the_exit_code() {
        let failure = Failure::new(Exit::Invalid, "signature 3 does not match").hint("x".to_owned());
        let text = failure.json().to_string();
        assert!(text.starts_with("{\"schema\":\"althing.problem/v1\""), "{text}");
        assert!(text.ends_with("\"hint\":\"x\",\"exit\":6}"), "{text}");
    }

    #[test]
    fn who_is_not_let_in_is_told_where_the_token_is() {
        let error = ClientError::Auth { detail: "cannot open the token file".to_owned(), hint: None };
        let failure = Failure::from(error);
        assert_eq!(failure.exit, Exit::Auth);
        assert!(
            failure.next_step().is_some_and(|hint| hint.contains("--home") && hint.contains("api.token"))
        );
    }

    #[test]
    fn wrong_requests_get_a_hint_unless_they_have_one() {
        let refused = |problem: Problem| Failure::from(ClientError::Problem(Box::new(problem)));
        let bare = refused(Problem::new(ProblemKind::Invalid, "because")).hint_if_invalid("see help");
        assert_eq!(bare.next_step(), Some("see help"));
        let told =
            refused(Problem::new(ProblemKind::Invalid, "because").with_hint("do")).hint_if_invalid("x");
        assert_eq!(told.next_step(), Some("do"));
        let busy = refused(Problem::new(ProblemKind::Busy, "because")).hint_if_invalid("see help");
        assert_eq!(busy.next_step(), None);
    }

    #[test]
    fn what_is_not_known_is_a_404() {
        let failure = Failure::not_found("no proposal here begins with abcd");
        assert_eq!(failure.exit, Exit::Failed);
        assert_eq!(failure.json()["type"], "urn:althing:problem:not-found");
        assert_eq!(failure.json()["status"], 404);
    }

    #[test]
    fn what_the_node_refuses_has_its_exit_code() {
        for (kind, exit) in [
            (ProblemKind::Unauthorized, Exit::Auth),
            (ProblemKind::Timeout, Exit::Timeout),
            (ProblemKind::Conflict, Exit::Failed),
            (ProblemKind::Stopping, Exit::Down),
        ] {
            let error = ClientError::Problem(Box::new(Problem::new(kind, "because").with_hint("do")));
            let failure = Failure::from(error);
            assert_eq!((failure.exit, failure.cause(), failure.next_step()), (exit, "because", Some("do")));
        }
    }
}
