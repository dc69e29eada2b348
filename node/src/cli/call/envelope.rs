use a2a::error_code;
use serde_json::{Value, json};

use crate::cli::failure::Exit;

/// What the error object of the A2A command line (its specification, appendices B and D) says beyond cause and hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Envelope {
    /// The error's name in A2A, or else one of the command line's own.
    pub(crate) code: &'static str,
    /// The number that the binding gave it.
    pub(crate) a2a_code: Option<i64>,
}

impl Envelope {
    /// The command line's own error for a way to end.
    pub(crate) fn of(exit: Exit) -> Self {
        let code = match exit {
            Exit::Done | Exit::Failed | Exit::Invalid => "A2ACLI_ERR_INTERNAL",
            Exit::Usage => "A2ACLI_ERR_USAGE",
            Exit::Down => "A2ACLI_ERR_UNREACHABLE",
            Exit::Auth => "A2ACLI_ERR_AUTH_FAILED",
            Exit::Timeout => "A2ACLI_ERR_TIMEOUT",
        };
        Self { code, a2a_code: None }
    }

    /// One of the command line's own errors.
    pub(crate) fn own(code: &'static str) -> Self {
        Self { code, a2a_code: None }
    }

    /// The error that A2A has by this number; without a name, if A2A knows none.
    pub(crate) fn of_protocol(number: i64) -> Self {
        Self { code: name(number).unwrap_or("A2ACLI_ERR_INTERNAL"), a2a_code: Some(number) }
    }

    pub(crate) fn json(&self, message: &str, hint: Option<&str>) -> Value {
        json!({"error": {"code": self.code, "message": message, "hint": hint, "a2aCode": self.a2a_code}})
    }
}

/// The names of A2A 1.0, sections 3.3.2 and 9.5.
fn name(number: i64) -> Option<&'static str> {
    let number = i32::try_from(number).ok()?;
    Some(match number {
        error_code::TASK_NOT_FOUND => "TaskNotFoundError",
        error_code::TASK_NOT_CANCELABLE => "TaskNotCancelableError",
        error_code::PUSH_NOTIFICATION_NOT_SUPPORTED => "PushNotificationNotSupportedError",
        error_code::UNSUPPORTED_OPERATION => "UnsupportedOperationError",
        error_code::CONTENT_TYPE_NOT_SUPPORTED => "ContentTypeNotSupportedError",
        error_code::INVALID_AGENT_RESPONSE => "InvalidAgentResponseError",
        error_code::EXTENDED_CARD_NOT_CONFIGURED => "ExtendedAgentCardNotConfiguredError",
        error_code::EXTENSION_SUPPORT_REQUIRED => "ExtensionSupportRequiredError",
        error_code::VERSION_NOT_SUPPORTED => "VersionNotSupportedError",
        error_code::PARSE_ERROR => "JSONParseError",
        error_code::INVALID_REQUEST => "InvalidRequestError",
        error_code::METHOD_NOT_FOUND => "MethodNotFoundError",
        error_code::INVALID_PARAMS => "InvalidParamsError",
        error_code::INTERNAL_ERROR => "InternalError",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_protocol_keep_their_names() {
        let envelope = Envelope::of_protocol(-32001);
        assert_eq!(
            envelope.json("no such task", None).to_string(),
            r#"{"error":{"code":"TaskNotFoundError","message":"no such task","hint":null,"a2aCode":-32001}}"#
        );
        assert_eq!(Envelope::of_protocol(-32098).code, "A2ACLI_ERR_INTERNAL");
        assert_eq!(Envelope::of_protocol(-32603).code, "InternalError");
    }

    #[test]
    fn every_way_to_end_has_a_code_of_the_command_line() {
        for (exit, code) in [
            (Exit::Failed, "A2ACLI_ERR_INTERNAL"),
            (Exit::Usage, "A2ACLI_ERR_USAGE"),
            (Exit::Down, "A2ACLI_ERR_UNREACHABLE"),
            (Exit::Auth, "A2ACLI_ERR_AUTH_FAILED"),
            (Exit::Timeout, "A2ACLI_ERR_TIMEOUT"),
        ] {
            assert_eq!(Envelope::of(exit).code, code);
        }
    }
}
