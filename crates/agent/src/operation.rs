use a2a::{
    A2AError, CancelTaskRequest, GetTaskRequest, ListTasksRequest, Message, PartContent, Role,
    SendMessageRequest, SubscribeToTaskRequest, TaskState, methods,
};
use serde_json::Value;

use crate::fault::{invalid, unsupported_content};
use crate::limits::{CONTEXT_BYTES_MAX, MESSAGE_WEIGHT_MAX, PARTS_MAX};
use crate::{Limits, weight, work};

/// What a client asks for, whatever the binding.
#[derive(Debug)]
pub(crate) enum Operation {
    Send(Box<SendMessageRequest>),
    Stream(Box<SendMessageRequest>),
    Get(GetTaskRequest),
    List(ListTasksRequest),
    Cancel(CancelTaskRequest),
    Subscribe(SubscribeToTaskRequest),
    /// Anything about push notifications.
    Push,
    ExtendedCard,
}

impl Operation {
    /// The operation that a method of JSON-RPC stands for (A2A, section 5.3).
    pub(crate) fn of_method(method: &str, params: Value) -> Result<Self, A2AError> {
        Ok(match method {
            methods::SEND_MESSAGE => Self::Send(read(params)?),
            methods::SEND_STREAMING_MESSAGE => Self::Stream(read(params)?),
            methods::GET_TASK => Self::Get(read(params)?),
            methods::LIST_TASKS => Self::List(read(params)?),
            methods::CANCEL_TASK => Self::Cancel(read(params)?),
            methods::SUBSCRIBE_TO_TASK => Self::Subscribe(read(params)?),
            methods::CREATE_PUSH_CONFIG
            | methods::GET_PUSH_CONFIG
            | methods::LIST_PUSH_CONFIGS
            | methods::DELETE_PUSH_CONFIG => Self::Push,
            methods::GET_EXTENDED_AGENT_CARD => Self::ExtendedCard,
            _ => {
                return Err(A2AError::method_not_found(&method.chars().take(100).collect::<String>()));
            }
        })
    }
}

/// Reads parameters.
pub(crate) fn read<T: serde::de::DeserializeOwned>(params: Value) -> Result<T, A2AError> {
    serde_json::from_value(params)
        .map_err(|error| A2AError::invalid_params(format!("invalid parameters: {error}")))
}

/// Whether the history is wanted. It is one message, so any length but 0 is all of it.
pub(crate) fn wants_history(length: Option<i32>) -> Result<bool, A2AError> {
    match length {
        Some(..0) => Err(invalid("historyLength", "must not be negative")),
        Some(0) => Ok(false),
        Some(1..) | None => Ok(true),
    }
}

/// Checks what every message has to be like. An empty id is none.
pub(crate) fn check_message(message: &mut Message) -> Result<(), A2AError> {
    if message.message_id.is_empty() {
        return Err(invalid("message.messageId", "must not be empty"));
    }
    if message.role != Role::User {
        return Err(invalid("message.role", "must be ROLE_USER"));
    }
    if message.parts.is_empty() || message.parts.len() > PARTS_MAX {
        return Err(invalid("message.parts", format!("must be 1 to {PARTS_MAX}")));
    }
    message.context_id = message.context_id.take().filter(|id| !id.is_empty());
    message.task_id = message.task_id.take().filter(|id| !id.is_empty());
    if message.context_id.as_ref().is_some_and(|id| id.len() > CONTEXT_BYTES_MAX) {
        return Err(invalid("message.contextId", format!("must have at most {CONTEXT_BYTES_MAX} bytes")));
    }
    if weight::message(message) > MESSAGE_WEIGHT_MAX {
        return Err(invalid("message", format!("must take at most {MESSAGE_WEIGHT_MAX} bytes of memory")));
    }
    Ok(())
}

/// Checks that a message is what a command can read: texts, and not too long ones.
pub(crate) fn check_text(message: &Message, limits: &Limits) -> Result<(), A2AError> {
    if !message.parts.iter().all(|part| matches!(part.content, PartContent::Text(_))) {
        return Err(unsupported_content("this agent takes text parts only"));
    }
    if work::text(message).len() > limits.input_bytes_max {
        let most = limits.input_bytes_max;
        return Err(invalid("message.parts", format!("must have at most {most} bytes of text")));
    }
    Ok(())
}

/// Why a message cannot go to a task that is there: no task here asks for more.
pub(crate) fn no_further_message(id: &str, state: &TaskState) -> A2AError {
    let cause = if state.is_terminal() { "has ended" } else { "takes no further messages" };
    A2AError::unsupported_operation(format!("task {id} {cause}"))
}
