use a2a::{A2AError, FieldViolation, TypedDetail, error_code};

/// Why an operation was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// What the client asked for cannot be; it is told in A2A's words.
    #[error(transparent)]
    Fault(#[from] A2AError),
    /// There is no room now. The tunnel tells it, since another agent could be asked instead.
    #[error(transparent)]
    Busy(#[from] Busy),
}

/// There is no room for another task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{limit} tasks are under way already")]
pub(crate) struct Busy {
    pub(crate) limit: usize,
}

/// A parameter is not as it must be.
pub(crate) fn invalid(field: &str, description: impl Into<String>) -> A2AError {
    let description = description.into();
    let message = format!("invalid parameters: {field} {description}");
    let violation = FieldViolation { field: field.to_owned(), description };
    A2AError::invalid_params(message).with_details(vec![TypedDetail::bad_request(vec![violation])])
}

/// Parts of a kind that the agent does not take.
pub(crate) fn unsupported_content(cause: &str) -> A2AError {
    A2AError::new(error_code::CONTENT_TYPE_NOT_SUPPORTED, cause)
}

/// The name of an error among gRPC's statuses (A2A, section 5.4).
pub(crate) fn status_name(code: i32) -> &'static str {
    match code {
        error_code::TASK_NOT_FOUND => "NOT_FOUND",
        error_code::INVALID_AGENT_RESPONSE | error_code::INTERNAL_ERROR => "INTERNAL",
        error_code::TASK_NOT_CANCELABLE
        | error_code::PUSH_NOTIFICATION_NOT_SUPPORTED
        | error_code::UNSUPPORTED_OPERATION
        | error_code::EXTENDED_CARD_NOT_CONFIGURED
        | error_code::EXTENSION_SUPPORT_REQUIRED
        | error_code::VERSION_NOT_SUPPORTED => "FAILED_PRECONDITION",
        _ => "INVALID_ARGUMENT",
    }
}
