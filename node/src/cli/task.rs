//! Tasks of agents.

use std::time::Duration;

use a2a::{ListTasksRequest, TaskState};
use serde_json::Value;

use super::args;
use super::call::{
    Agent, Following, Limit, Operation, Progress, Standing, follow, invalid, show_history, show_task,
    show_tasks, wait,
};
use super::failure::Failure;
use super::page::{Page, Screen, Text};
use super::send::{ANSWER, WAIT, check_format, say_next, tell, wrong};
use super::session::Session;

pub(crate) fn task(command: args::Task, session: &Session, screen: Screen) -> Result<Page, Failure> {
    check_format(command.how(), screen)?;
    session.block_on(async {
        match command {
            args::Task::Get { task, history, wait, poll, how } => {
                let usual = if wait { WAIT } else { ANSWER };
                let (agent, task) = meet(&task, &how, Some(usual), session).await?;
                get(&agent, &task, history, wait.then_some(poll.poll_interval)).await
            }
            args::Task::List { agent, whom, context_id, status, page_size, page_token, how } => {
                let target = args::one_of(agent, &whom).map_err(wrong)?;
                let agent = Agent::meet(target, &how, limit(session, Some(ANSWER)), session).await?;
                list(&agent, context_id, status, page_size, page_token).await
            }
            args::Task::Cancel { task, how } => {
                let (agent, task) = meet(&task, &how, Some(ANSWER), session).await?;
                page(&agent.call(&Operation::cancel(&task)).await?, false)
            }
            args::Task::Subscribe { task, stream: true, poll, how } => {
                let (agent, task) = meet(&task, &how, None, session).await?;
                let mut stream = agent.stream(&Operation::subscribe(&task)).await?;
                tell(&agent, &mut stream, poll.poll_interval, screen).await
            }
            args::Task::Subscribe { task, stream: false, poll, how } => {
                let (agent, task) = meet(&task, &how, Some(WAIT), session).await?;
                subscribe(&agent, &task, poll.poll_interval).await
            }
        }
    })
}

/// The agent that a command names, and its task.
async fn meet(
    words: &args::TaskWords,
    how: &args::How,
    usual: Option<Duration>,
    session: &Session,
) -> Result<(Agent, String), Failure> {
    let (target, task) = words.read().map_err(wrong)?;
    Ok((Agent::meet(target, how, limit(session, usual), session).await?, task))
}

async fn get(
    agent: &Agent,
    task: &str,
    history: Option<i32>,
    waits: Option<Duration>,
) -> Result<Page, Failure> {
    let mut found = agent.call(&Operation::get(task, history)).await?;
    if let Some(poll_interval) = waits {
        found = wait(agent, found, history, poll_interval).await?;
    }
    say_next(agent, &Standing::of_task(&found));
    page(&found, history.is_some())
}

async fn list(
    agent: &Agent,
    context_id: Option<String>,
    status: Option<TaskState>,
    page_size: Option<i32>,
    page_token: Option<String>,
) -> Result<Page, Failure> {
    let request = ListTasksRequest {
        context_id,
        status,
        page_size,
        page_token,
        history_length: None,
        status_timestamp_after: None,
        include_artifacts: None,
        tenant: None,
    };
    let answer = agent.call(&Operation::List(request)).await?;
    let mut text = Text::default();
    show_tasks(&answer, &mut text);
    Page::new(&answer, text)
}

/// Waits for a task by its stream, or else by looking at it, and shows it whole.
async fn subscribe(agent: &Agent, task: &str, poll_interval: Duration) -> Result<Page, Failure> {
    let mut found = agent.call(&Operation::get(task, None)).await?;
    if Standing::of_task(&found).progress() == Progress::UnderWay {
        if agent.streams()
            && let Ok(mut stream) = agent.stream(&Operation::subscribe(task)).await
            && let Ok(Following::Told(_)) = follow(&mut stream, |_| Ok(true)).await
        {
            found = agent.call(&Operation::get(task, None)).await?;
        }
        found = wait(agent, found, None, poll_interval).await?;
    }
    say_next(agent, &Standing::of_task(&found));
    page(&found, false)
}

fn limit(session: &Session, usual: Option<Duration>) -> Limit {
    session.given_timeout().or(usual).map_or_else(Limit::none, Limit::of)
}

fn page(task: &Value, with_history: bool) -> Result<Page, Failure> {
    if !task.get("status").is_some_and(Value::is_object) {
        return Err(invalid("the agent's answer is no task"));
    }
    let mut text = Text::default();
    show_task(task, &mut text);
    if with_history {
        show_history(task, &mut text);
    }
    Page::new(task, text)
}
