use a2a::{
    CancelTaskRequest, GetTaskRequest, ListTasksRequest, SendMessageRequest, SubscribeToTaskRequest, methods,
};
use serde::Serialize;
use serde_json::Value;

use crate::cli::failure::{Exit, Failure};

/// What an agent is asked to do, in the types of A2A 1.0.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operation {
    Send(SendMessageRequest),
    /// The same, with a stream as its answer.
    Stream(SendMessageRequest),
    Get(GetTaskRequest),
    List(ListTasksRequest),
    Cancel(CancelTaskRequest),
    /// Its answer is a stream.
    Subscribe(SubscribeToTaskRequest),
}

impl Operation {
    /// Gets a task, with at most so much of its history.
    pub(crate) fn get(task: &str, history_length: Option<i32>) -> Self {
        Self::Get(GetTaskRequest { id: task.to_owned(), history_length, tenant: None })
    }

    pub(crate) fn cancel(task: &str) -> Self {
        Self::Cancel(CancelTaskRequest { id: task.to_owned(), metadata: None, tenant: None })
    }

    pub(crate) fn subscribe(task: &str) -> Self {
        Self::Subscribe(SubscribeToTaskRequest { id: task.to_owned(), tenant: None })
    }

    /// The name of the method, by JSON-RPC.
    pub(super) fn method(&self) -> &'static str {
        match self {
            Self::Send(_) => methods::SEND_MESSAGE,
            Self::Stream(_) => methods::SEND_STREAMING_MESSAGE,
            Self::Get(_) => methods::GET_TASK,
            Self::List(_) => methods::LIST_TASKS,
            Self::Cancel(_) => methods::CANCEL_TASK,
            Self::Subscribe(_) => methods::SUBSCRIBE_TO_TASK,
        }
    }

    /// The request as JSON.
    pub(super) fn params(&self, tenant: Option<&str>) -> Result<Value, Failure> {
        fn value(request: &impl Serialize) -> Result<Value, Failure> {
            serde_json::to_value(request)
                .map_err(|error| Failure::new(Exit::Failed, format!("cannot write the request: {error}")))
        }
        let mut params = match self {
            Self::Send(request) | Self::Stream(request) => value(request),
            Self::Get(request) => value(request),
            Self::List(request) => value(request),
            Self::Cancel(request) => value(request),
            Self::Subscribe(request) => value(request),
        }?;
        if let Some(tenant) = tenant {
            params["tenant"] = tenant.into();
        }
        Ok(params)
    }

    /// Whether the answer is a stream.
    pub(super) fn streams(&self) -> bool {
        match self {
            Self::Stream(_) | Self::Subscribe(_) => true,
            Self::Send(_) | Self::Get(_) | Self::List(_) | Self::Cancel(_) => false,
        }
    }

    /// Whether the answer says by its one member what it is: a task, a message, or an event.
    pub(super) fn is_wrapped(&self) -> bool {
        match self {
            Self::Send(_) | Self::Stream(_) | Self::Subscribe(_) => true,
            Self::Get(_) | Self::List(_) | Self::Cancel(_) => false,
        }
    }
}
