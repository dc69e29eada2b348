use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use a2a::{
    Artifact, Message, Part, PartContent, Role, StreamResponse, Task, TaskArtifactUpdateEvent, TaskState,
    TaskStatus, TaskStatusUpdateEvent, new_context_id, new_task_id,
};
use chrono::{DateTime, SubsecRound, Utc};
use tokio::sync::watch;

use crate::caller::Caller;
use crate::weight;

/// The one artifact of a task.
const ARTIFACT: &str = "output";

/// A task as what happened to it, in order. A stream of it is a place in this order, so a slow reader misses nothing, all
/// readers get the same, and a task holds what it wrote once.
#[derive(Debug)]
pub(crate) struct TaskLog {
    id: String,
    context: String,
    caller: Caller,
    message: Message,
    made: TaskStatus,
    events: Mutex<Vec<Event>>,
    told: watch::Sender<Told>,
    cancel: watch::Sender<bool>,
}

/// What happens to a task.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Status(TaskStatus),
    Piece(Piece),
}

/// A piece of the artifact.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) part: Part,
    /// Whether its text goes on with the text of the piece before.
    pub(crate) continues: bool,
    /// Whether it is known to be the last one.
    pub(crate) last: bool,
}

/// How far a task has come.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    events: usize,
    ended: bool,
}

impl TaskLog {
    /// A task that was submitted by this message, in its context or a new one.
    pub(crate) fn new(mut message: Message, caller: Caller) -> Self {
        let id = new_task_id();
        let context = message.context_id.clone().unwrap_or_else(new_context_id);
        message.context_id = Some(context.clone());
        message.task_id = Some(id.clone());
        let made = TaskStatus { state: TaskState::Submitted, message: None, timestamp: Some(now()) };
        Self {
            id,
            context,
            caller,
            message,
            made,
            events: Mutex::default(),
            told: watch::Sender::default(),
            cancel: watch::Sender::default(),
        }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn context(&self) -> &str {
        &self.context
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(crate) fn message(&self) -> &Message {
        &self.message
    }

    /// Goes on to this state, with a text for people where there is one. Nothing happens to a task that has ended.
    pub(crate) fn enter(&self, state: TaskState, text: Option<String>) {
        let message = text.map(|text| Message {
            context_id: Some(self.context.clone()),
            task_id: Some(self.id.clone()),
            ..Message::new(Role::Agent, vec![Part::text(text)])
        });
        self.tell(Event::Status(TaskStatus { state, message, timestamp: Some(now()) }));
    }

    /// Adds a piece to the artifact. Nothing happens to a task that has ended.
    pub(crate) fn add(&self, piece: Piece) {
        self.tell(Event::Piece(piece));
    }

    fn tell(&self, event: Event) {
        let mut events = self.events();
        if self.told.borrow().ended {
            return;
        }
        let ended = matches!(&event, Event::Status(status) if status.state.is_terminal());
        events.push(event);
        self.told.send_replace(Told { events: events.len(), ended });
    }

    /// Its state now.
    pub(crate) fn status(&self) -> TaskStatus {
        self.status_after(&self.events())
    }

    /// What it is now.
    pub(crate) fn task(&self, with_history: bool) -> Task {
        let mut task = self.task_after(&self.events());
        task.history = task.history.filter(|_| with_history);
        task
    }

    /// What it was when it was made.
    pub(crate) fn first(&self) -> Task {
        self.task_after(&[])
    }

    /// What it is now, and the place of what happens next; nothing when it has ended.
    pub(crate) fn present(&self) -> Option<(Task, usize)> {
        let events = self.events();
        let ended = self.told.borrow().ended;
        (!ended).then(|| (self.task_after(&events), events.len()))
    }

    /// What happens at this place, once it has. `None`: the task has ended before it.
    pub(crate) async fn event(&self, place: usize) -> Option<StreamResponse> {
        let mut told = self.told.subscribe();
        let there = told.wait_for(|told| told.events > place || told.ended).await;
        drop(there.expect("the sender is borrowed"));
        let events = self.events();
        let event = events.get(place)?;
        let follows = events[..place].iter().any(|before| matches!(before, Event::Piece(_)));
        Some(self.update(event, follows))
    }

    fn update(&self, event: &Event, follows: bool) -> StreamResponse {
        match event {
            Event::Status(status) => StreamResponse::StatusUpdate(TaskStatusUpdateEvent {
                task_id: self.id.clone(),
                context_id: self.context.clone(),
                status: status.clone(),
                metadata: None,
            }),
            Event::Piece(piece) => StreamResponse::ArtifactUpdate(TaskArtifactUpdateEvent {
                task_id: self.id.clone(),
                context_id: self.context.clone(),
                artifact: artifact(vec![piece.part.clone()]),
                append: follows.then_some(true),
                last_chunk: piece.last.then_some(true),
                metadata: None,
            }),
        }
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&self) {
        let mut told = self.told.subscribe();
        drop(told.wait_for(|told| told.ended).await.expect("the sender is borrowed"));
    }

    /// Asks whoever works on it to stop.
    pub(crate) fn cancel(&self) {
        self.cancel.send_replace(true);
    }

    /// Waits until it is to stop.
    pub(crate) async fn cancelled(&self) {
        let mut cancel = self.cancel.subscribe();
        drop(cancel.wait_for(|cancel| *cancel).await.expect("the sender is borrowed"));
    }

    /// About what it takes in memory, in bytes.
    pub(crate) fn weight(&self) -> usize {
        let events = self.events();
        let events = events.iter().map(|event| match event {
            Event::Status(status) => status.message.as_ref().map_or(0, weight::message),
            Event::Piece(piece) => weight::part(&piece.part),
        });
        weight::message(&self.message) + events.sum::<usize>()
    }

    fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn status_after(&self, events: &[Event]) -> TaskStatus {
        let mut statuses = events.iter().rev().filter_map(|event| match event {
            Event::Status(status) => Some(status),
            Event::Piece(_) => None,
        });
        statuses.next().unwrap_or(&self.made).clone()
    }

    fn task_after(&self, events: &[Event]) -> Task {
        let mut parts: Vec<Part> = Vec::new();
        for event in events {
            let Event::Piece(piece) = event else { continue };
            match (parts.last_mut().map(|part| &mut part.content), &piece.part.content) {
                (Some(PartContent::Text(text)), PartContent::Text(more)) if piece.continues => {
                    text.push_str(more);
                }
                _ => parts.push(piece.part.clone()),
            }
        }
        Task {
            id: self.id.clone(),
            context_id: self.context.clone(),
            status: self.status_after(events),
            artifacts: (!parts.is_empty()).then(|| vec![artifact(parts)]),
            history: Some(vec![self.message.clone()]),
            metadata: None,
        }
    }
}

fn artifact(parts: Vec<Part>) -> Artifact {
    Artifact {
        artifact_id: ARTIFACT.to_owned(),
        name: Some(ARTIFACT.to_owned()),
        description: None,
        parts,
        metadata: None,
        extensions: None,
    }
}

/// The time, in whole milliseconds.
#[expect(clippy::disallowed_methods, reason = "the shell reads the clock for what a client is told")]
fn now() -> DateTime<Utc> {
    DateTime::<Utc>::from(SystemTime::now()).trunc_subsecs(3)
}
