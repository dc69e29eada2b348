use std::collections::VecDeque;

use serde_json::Value;

use super::answer::Events;
use super::interface::Interface;
use super::reply;
use super::{Limit, Progress, Standing};
use crate::cli::failure::Failure;

/// The events that an agent tells of a task, in the form of 1.0.
#[derive(Debug)]
pub(crate) struct Stream {
    events: Option<Events>,
    ready: VecDeque<Value>,
    interface: Interface,
    limit: Limit,
}

impl Stream {
    pub(super) fn open(events: Events, interface: Interface, limit: Limit) -> Self {
        Self { events: Some(events), ready: VecDeque::new(), interface, limit }
    }

    /// A stream of nothing but one answer.
    pub(super) fn of_one(answer: Value, interface: Interface, limit: Limit) -> Self {
        Self { events: None, ready: VecDeque::from([answer]), interface, limit }
    }

    /// The next event; none when the stream came to its end.
    pub(super) async fn next(&mut self) -> Result<Option<Value>, Failure> {
        if let Some(ready) = self.ready.pop_front() {
            return Ok(Some(ready));
        }
        let Some(events) = &mut self.events else { return Ok(None) };
        loop {
            match self.limit.run(events.next()).await? {
                None => return Ok(None),
                // A stream is kept alive by events that say nothing.
                Some(event) if event.data.trim().is_empty() => {}
                Some(event) => return reply::event(&event.data, &self.interface).map(Some),
            }
        }
    }
}

/// How far a stream was followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Following {
    /// The agent answered with a message, and there is no task.
    Answered,
    /// The task ended or needs something, or the stream ended before: its progress says.
    Told(Standing),
    /// Nobody reads any more what is shown.
    Left,
}

/// Shows events up to the one after which nothing is to be waited for. `show` says whether to go on.
pub(crate) async fn follow(
    stream: &mut Stream,
    mut show: impl FnMut(&Value) -> Result<bool, Failure>,
) -> Result<Following, (Failure, Standing)> {
    let mut standing = Standing::default();
    loop {
        let event = match stream.next().await {
            Ok(Some(event)) => event,
            Ok(None) if standing.task.is_empty() => {
                return Err((reply::invalid("the agent's stream ended before it told anything"), standing));
            }
            Ok(None) => return Ok(Following::Told(standing)),
            Err(failure) => return Err((failure, standing)),
        };
        standing = standing.after(&event);
        match show(&event) {
            Ok(true) => {}
            Ok(false) => return Ok(Following::Left),
            Err(failure) => return Err((failure, standing)),
        }
        if event.get("message").is_some() {
            return Ok(Following::Answered);
        }
        if standing.progress() != Progress::UnderWay {
            return Ok(Following::Told(standing));
        }
    }
}
