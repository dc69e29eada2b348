use std::fmt;
use std::sync::Arc;

use a2a::{
    A2AError, JsonRpcId, SVC_PARAM_VERSION, SendMessageRequest, SendMessageResponse, TaskState, VERSION,
};
use althing_tunnel::{Body, Origin, OriginError};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::sync::Semaphore;
use url::form_urlencoded;

use crate::Command;
use crate::caller::Caller;
use crate::card::{Kind, card};
use crate::events::Events;
use crate::fault::{Busy, Refusal};
use crate::limits::{Limits, REQUEST_BYTES_MAX};
use crate::operation::{Operation, check_message, check_text, no_further_message, wants_history};
use crate::rest::{self, Route};
use crate::rpc::{self, RpcRequest};
use crate::task_log::TaskLog;
use crate::tasks::Tasks;
use crate::work::Work;

/// An A2A agent that the node runs itself. Clones are the same agent. When the last is gone, its tasks are cancelled.
#[derive(Clone)]
pub struct BuiltinAgent(Arc<Agent>);

pub(crate) struct Agent {
    talent: Talent,
    limits: Limits,
    tasks: Arc<Tasks>,
    /// A place for each command.
    seats: Arc<Semaphore>,
}

/// What an agent does with a message.
#[derive(Clone, Debug)]
enum Talent {
    Echo,
    Exec(Arc<Command>),
}

/// What an operation comes to.
#[derive(Debug)]
pub(crate) enum Answer {
    Document(Value),
    Events(Events),
}

impl BuiltinAgent {
    /// An agent that answers with the parts of the message.
    #[must_use]
    pub fn echo() -> Self {
        Self::new(Talent::Echo, Limits::default())
    }

    /// An agent that runs a command for each message, with the message's text as its standard input. What the command
    /// writes is the answer; a command that ends otherwise than well has failed, with the last it wrote to standard error.
    #[must_use]
    pub fn exec(command: Command) -> Self {
        Self::new(Talent::Exec(Arc::new(command)), Limits::default())
    }

    /// The same kind of agent with other bounds, and without any tasks.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self::new(self.0.talent.clone(), limits)
    }

    fn new(talent: Talent, limits: Limits) -> Self {
        let tasks = Arc::new(Tasks::new(limits.tasks_max, limits.tasks_weight_max));
        let seats = Arc::new(Semaphore::new(limits.running_max));
        Self(Arc::new(Agent { talent, limits, tasks, seats }))
    }

    /// An A2A 1.0 card for it, with [`crate::BUILTIN_URL`] where URLs belong. What is empty is filled in; a card has at
    /// least one skill. Nothing of a command's line is in it.
    #[must_use]
    pub fn card(&self, name: &str, description: &str, skills: &[impl AsRef<str>]) -> Value {
        card(&self.0.talent.kind(), name, description, skills)
    }
}

impl fmt::Debug for BuiltinAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BuiltinAgent").field(&self.0.talent).finish()
    }
}

impl Origin for BuiltinAgent {
    fn ask(&self, request: Request<Body>) -> BoxFuture<'static, Result<Response<Body>, OriginError>> {
        let agent = Arc::clone(&self.0);
        async move {
            agent.answer(request).await.map_err(|Busy { limit }| OriginError::Busy {
                origin: "the built-in agent".to_owned(),
                limit,
            })
        }
        .boxed()
    }
}

impl Talent {
    fn kind(&self) -> Kind {
        match self {
            Self::Echo => Kind {
                name: "echo",
                description: "Answers with what it is sent.",
                input_modes: &["text/plain", "application/json", "application/octet-stream"],
                output_modes: &["text/plain", "application/json", "application/octet-stream"],
            },
            Self::Exec(_) => Kind {
                name: "exec",
                description: "Answers with what a program makes of the text that it is sent.",
                input_modes: &["text/plain"],
                output_modes: &["text/plain"],
            },
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.tasks.cancel_all();
    }
}

impl Agent {
    async fn answer(self: Arc<Self>, request: Request<Body>) -> Result<Response<Body>, Busy> {
        let (head, body) = request.into_parts();
        let caller = Caller::of(&head.headers);
        if head.uri.path() == "/" {
            self.answer_rpc(&head, body, &caller).await
        } else {
            self.answer_rest(&head, body, &caller).await
        }
    }

    async fn answer_rpc(&self, head: &Parts, body: Body, caller: &Caller) -> Result<Response<Body>, Busy> {
        if let Some(refusal) = rpc::method_refusal(&head.method) {
            return Ok(refusal);
        }
        let request = match read(body).await {
            Ok(body) => RpcRequest::parse(&body),
            Err(cause) => Err((JsonRpcId::Null, A2AError::invalid_request(cause.to_string()))),
        };
        let request = match request {
            Ok(request) => request,
            Err((id, error)) => return Ok(rpc::fault(id, &error)),
        };
        let id = request.id.clone();
        let operation = check_version(head).and_then(|()| request.operation());
        match self.act(operation, caller).await {
            Ok(answer) => Ok(rpc::answer(id, answer)),
            Err(Refusal::Fault(error)) => Ok(rpc::fault(id, &error)),
            Err(Refusal::Busy(busy)) => Err(busy),
        }
    }

    async fn answer_rest(&self, head: &Parts, body: Body, caller: &Caller) -> Result<Response<Body>, Busy> {
        let Some(route) = Route::of(head.uri.path()) else { return Ok(rest::unknown()) };
        if let Some(refusal) = route.method_refusal(&head.method) {
            return Ok(refusal);
        }
        let body = match read(body).await {
            Ok(body) => body,
            Err(cause @ Unread::TooLarge) => {
                let status = StatusCode::PAYLOAD_TOO_LARGE;
                return Ok(rest::refusal(status, "INVALID_ARGUMENT", &cause.to_string()));
            }
            Err(cause @ Unread::Broken) => {
                return Ok(rest::refusal(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", &cause.to_string()));
            }
        };
        let operation = check_version(head).and_then(|()| route.operation(head.uri.query(), &body));
        match self.act(operation, caller).await {
            Ok(answer) => Ok(rest::answer(answer)),
            Err(Refusal::Fault(error)) => Ok(rest::fault(&error)),
            Err(Refusal::Busy(busy)) => Err(busy),
        }
    }

    async fn act(&self, operation: Result<Operation, A2AError>, caller: &Caller) -> Result<Answer, Refusal> {
        let of = |id: &str| self.tasks.of(caller, id);
        match operation? {
            Operation::Send(asked) => self.send(*asked, caller).await,
            Operation::Stream(asked) => {
                let (log, _) = self.start(*asked, caller)?;
                Ok(Answer::Events(Events::from_start(log)))
            }
            Operation::Get(asked) => {
                let with_history = wants_history(asked.history_length)?;
                document(&of(&asked.id)?.task(with_history))
            }
            Operation::List(asked) => {
                let with_history = wants_history(asked.history_length)?;
                document(&self.tasks.page(caller, &asked, with_history)?)
            }
            Operation::Cancel(asked) => cancel(&*of(&asked.id)?).await,
            Operation::Subscribe(asked) => {
                let events = Events::from_now(of(&asked.id)?);
                let over = || A2AError::unsupported_operation(format!("task {} has ended", asked.id));
                Ok(Answer::Events(events.ok_or_else(over)?))
            }
            Operation::Push => Err(A2AError::push_notification_not_supported().into()),
            Operation::ExtendedCard => {
                Err(A2AError::unsupported_operation("this agent has no extended card").into())
            }
        }
    }

    async fn send(&self, asked: SendMessageRequest, caller: &Caller) -> Result<Answer, Refusal> {
        let configuration = asked.configuration.as_ref();
        let at_once = configuration.and_then(|configuration| configuration.return_immediately) == Some(true);
        let (log, with_history) = self.start(asked, caller)?;
        if !at_once {
            log.ended().await;
        }
        document(&SendMessageResponse::Task(log.task(with_history)))
    }

    /// Starts the task that a message asks for.
    fn start(&self, asked: SendMessageRequest, caller: &Caller) -> Result<(Arc<TaskLog>, bool), Refusal> {
        let SendMessageRequest { mut message, configuration, .. } = asked;
        check_message(&mut message)?;
        let with_history = wants_history(configuration.as_ref().and_then(|asked| asked.history_length))?;
        if configuration.is_some_and(|asked| asked.task_push_notification_config.is_some()) {
            return Err(A2AError::push_notification_not_supported().into());
        }
        if let Some(id) = &message.task_id {
            let state = self.tasks.of(caller, id)?.status().state;
            return Err(no_further_message(id, &state).into());
        }
        match &self.talent {
            Talent::Echo => {
                let log = self.tasks.add(TaskLog::new(message, caller.clone()))?;
                Work::new(Arc::clone(&log), &self.tasks, None).echo();
                Ok((log, with_history))
            }
            Talent::Exec(command) => {
                check_text(&message, &self.limits)?;
                let seat = Arc::clone(&self.seats).try_acquire_owned();
                let seat = seat.map_err(|_| Busy { limit: self.limits.running_max })?;
                let log = self.tasks.add(TaskLog::new(message, caller.clone()))?;
                let work = Work::new(Arc::clone(&log), &self.tasks, Some(seat));
                tokio::spawn(work.exec(Arc::clone(command), self.limits.clone()));
                Ok((log, with_history))
            }
        }
    }
}

/// Cancels a task and waits until nothing of it runs. A task that was cancelled before stays so.
async fn cancel(log: &TaskLog) -> Result<Answer, Refusal> {
    log.cancel();
    log.ended().await;
    if log.status().state != TaskState::Canceled {
        return Err(A2AError::task_not_cancelable(log.id()).into());
    }
    document(&log.task(true))
}

fn document(value: &impl serde::Serialize) -> Result<Answer, Refusal> {
    let value = serde_json::to_value(value).map_err(|error| A2AError::internal(error.to_string()))?;
    Ok(Answer::Document(value))
}

/// Checks that the client speaks A2A 1.0. One that does not say speaks 0.3 (section 3.6.2).
fn check_version(head: &Parts) -> Result<(), A2AError> {
    let header = head.headers.get(SVC_PARAM_VERSION).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let mut query = form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes());
    let version = header.or_else(|| Some(query.find(|(name, _)| name == SVC_PARAM_VERSION)?.1));
    let version = version.as_deref().map(str::trim).filter(|version| !version.is_empty()).unwrap_or("0.3");
    let is_ours =
        version.strip_prefix(VERSION).is_some_and(|patch| patch.is_empty() || patch.starts_with('.'));
    if is_ours {
        return Ok(());
    }
    let version: String = version.chars().take(20).collect();
    let mut error = A2AError::version_not_supported(&version);
    error.message = format!("A2A {version} is not supported here: send {SVC_PARAM_VERSION}: {VERSION}");
    Err(error)
}

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
enum Unread {
    #[error("the request has more than {} bytes", REQUEST_BYTES_MAX)]
    TooLarge,
    #[error("the request broke off")]
    Broken,
}

async fn read(mut body: Body) -> Result<Vec<u8>, Unread> {
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Unread::Broken)?;
        let part = frame.data_ref().map_or(&[][..], |part| part);
        if read.len() + part.len() > REQUEST_BYTES_MAX {
            return Err(Unread::TooLarge);
        }
        read.extend_from_slice(part);
    }
    Ok(read)
}
