use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::reply::invalid;
use super::{Agent, Operation, Progress, Standing};
use crate::cli::failure::{Exit, Failure};
use crate::cli::page::{clean, note};

/// How long before the first look at a task; it doubles up to the caller's interval.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// How long a command may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    until: Option<Instant>,
    length: Duration,
}

impl Limit {
    /// From now on.
    pub(crate) fn of(length: Duration) -> Self {
        Self { until: Instant::now().checked_add(length), length }
    }

    /// As long as it lasts.
    pub(crate) fn none() -> Self {
        Self { until: None, length: Duration::MAX }
    }

    /// Does something in the time that is left.
    pub(crate) async fn run<T, E: Into<Failure>>(
        self,
        doing: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure> {
        let done = match self.until {
            Some(until) => tokio::time::timeout_at(until, doing).await.map_err(|_| self.expired())?,
            None => doing.await,
        };
        done.map_err(Into::into)
    }

    /// Waits for so long, or for all that is left.
    async fn pause(self, pause: Duration) -> Result<(), Failure> {
        let sleeping = async {
            tokio::time::sleep(pause).await;
            Ok::<_, Failure>(())
        };
        self.run(sleeping).await
    }

    fn expired(self) -> Failure {
        let hint = "--timeout 30m waits longer; what was asked may still be done".to_owned();
        Failure::new(Exit::Timeout, format!("not done within {:?}", self.length)).hint(hint)
    }
}

/// Looks at a task, with so much of its history, until it has ended or needs something.
pub(crate) async fn wait(
    agent: &Agent,
    mut task: Value,
    history: Option<i32>,
    poll_interval: Duration,
) -> Result<Value, Failure> {
    let mut pause = FIRST_PAUSE.min(poll_interval);
    let mut told = false;
    loop {
        let standing = Standing::of_task(&task);
        if standing.progress() != Progress::UnderWay {
            return Ok(task);
        }
        if standing.task.is_empty() {
            return Err(invalid("the agent's task has no id"));
        }
        if !std::mem::replace(&mut told, true) {
            // Known even to whoever interrupts the wait.
            note(&clean(&format!("task {} is under way; waiting", standing.task)));
        }
        let looking = async {
            agent.limit().pause(pause).await?;
            agent.call(&Operation::get(&standing.task, history)).await
        };
        task = looking.await.map_err(|failure| going_on(failure, agent, &standing.task))?;
        pause = (pause * 2).min(poll_interval);
    }
}

/// Says how to go on with a task of which this command hears no more.
pub(crate) fn going_on(failure: Failure, agent: &Agent, task: &str) -> Failure {
    match failure.exit {
        Exit::Down | Exit::Timeout => {
            failure.hint(format!("{} waits for it", agent.command("get", task, " --wait")))
        }
        Exit::Done | Exit::Failed | Exit::Usage | Exit::Auth | Exit::Invalid => failure,
    }
}
