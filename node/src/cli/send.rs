//! Messages to agents.

mod message;

use std::time::Duration;

use a2a::{SendMessageConfiguration, SendMessageRequest};
use serde_json::{Value, json};

use super::args;
use super::call::{
    Agent, Following, Limit, Operation, Progress, Shown, Standing, Stream, follow, going_on, invalid,
    show_message, show_task, wait,
};
use super::failure::{Exit, Failure};
use super::page::{Page, Screen, Text, clean, line, note, print};
use super::session::Session;

/// How long a command waits for a task unless the user says otherwise.
pub(crate) const WAIT: Duration = Duration::from_secs(600);
/// How long it waits for anything else.
pub(crate) const ANSWER: Duration = Duration::from_secs(30);

pub(crate) fn send(args: args::Send, session: &Session, screen: Screen) -> Result<Page, Failure> {
    let target = args.target().map_err(wrong)?;
    check_format(&args.how, screen)?;
    let request = request(&args)?;
    session.block_on(async {
        let limit = match session.given_timeout() {
            Some(given) => Limit::of(given),
            None if args.at_once => Limit::of(ANSWER),
            None if args.stream => Limit::none(),
            None => Limit::of(WAIT),
        };
        let agent = Agent::meet(target, &args.how, limit, session).await?;
        if args.stream && agent.streams() {
            let mut stream = agent.stream(&Operation::Stream(request)).await?;
            return tell(&agent, &mut stream, args.poll.poll_interval, screen).await;
        }
        let mut answer =
            agent.call(&Operation::Send(request)).await.map_err(|failure| rejected(failure, &args))?;
        if !args.at_once && answer.get("task").is_some_and(Value::is_object) {
            answer["task"] = wait(&agent, answer["task"].take(), None, args.poll.poll_interval).await?;
        }
        if args.stream {
            note("the agent does not stream; this is its whole answer");
            show_event(&answer, &mut Shown::default(), screen)?;
            return Ok(Page::nothing());
        }
        answer_page(&agent, &answer)
    })
}

/// What is wrong with the words of a command.
pub(crate) fn wrong(cause: String) -> Failure {
    Failure::new(Exit::Usage, cause).hint("`--help` after the command shows what it takes".to_owned())
}

/// `--json` and `-o text` contradict each other.
pub(crate) fn check_format(how: &args::How, screen: Screen) -> Result<(), Failure> {
    if screen.json && how.output == Some(args::Output::Text) {
        return Err(wrong("--json and -o text contradict each other".to_owned()));
    }
    Ok(())
}

fn request(args: &args::Send) -> Result<SendMessageRequest, Failure> {
    let configuration = args.at_once.then_some(SendMessageConfiguration {
        accepted_output_modes: None,
        task_push_notification_config: None,
        history_length: None,
        return_immediately: Some(true),
    });
    let metadata = args.metadata.as_ref().map(|object| object.0.clone().into_iter().collect());
    Ok(SendMessageRequest { message: message::message(args)?, configuration, metadata, tenant: None })
}

/// A task that is named is never replaced by a new one; what the agent says against it is all there is.
fn rejected(failure: Failure, args: &args::Send) -> Failure {
    let named = args.task_id.is_some() && failure.exit == Exit::Failed && failure.next_step().is_none();
    if named { failure.hint("without --task-id the message begins a new task".to_owned()) } else { failure }
}

fn answer_page(agent: &Agent, answer: &Value) -> Result<Page, Failure> {
    let mut text = Text::default();
    if let Some(task) = answer.get("task").filter(|task| task.is_object()) {
        show_task(task, &mut text);
        say_next(agent, &Standing::of_task(task));
    } else if let Some(message) = answer.get("message").filter(|message| message.is_object()) {
        show_message(message, &mut text);
    } else {
        return Err(invalid("the agent's answer is neither a task nor a message"));
    }
    Page::new(answer, text)
}

/// Says on standard error what can be done about a task that is not completed.
pub(crate) fn say_next(agent: &Agent, standing: &Standing) {
    let (task, state) = (&standing.task, standing.words());
    let warning = format!("warning: the task is in the state \"{state}\"");
    let lines = match standing.progress() {
        Progress::Ended if standing.is_completed() => return,
        Progress::Ended => vec![warning],
        Progress::Interrupted => {
            vec![warning, format!("hint: {} goes on with it", agent.reply_command(task))]
        }
        Progress::UnderWay => vec![format!("hint: {} waits for it", agent.command("get", task, " --wait"))],
    };
    lines.iter().for_each(|line| note(&clean(line)));
}

/// Shows a stream as it comes. If it ends too early, the task is looked at until there is nothing to wait for.
pub(crate) async fn tell(
    agent: &Agent,
    stream: &mut Stream,
    poll_interval: Duration,
    screen: Screen,
) -> Result<Page, Failure> {
    let mut shown = Shown::default();
    let followed = follow(stream, |event| show_event(event, &mut shown, screen)).await;
    let standing = match followed {
        Ok(Following::Told(standing)) => standing,
        Ok(Following::Answered | Following::Left) => return Ok(Page::nothing()),
        Err((failure, standing)) if standing.task.is_empty() => return Err(failure),
        Err((failure, standing)) => return Err(going_on(failure, agent, &standing.task)),
    };
    let standing = if standing.progress() == Progress::UnderWay {
        let task = agent.call(&Operation::get(&standing.task, None)).await?;
        let task = wait(agent, task, None, poll_interval).await?;
        let standing = Standing::of_task(&task);
        show_event(&json!({"task": task}), &mut shown, screen)?;
        standing
    } else {
        standing
    };
    if !screen.json {
        print_or_leave(shown.end().into_string().as_bytes())?;
    }
    say_next(agent, &standing);
    Ok(Page::nothing())
}

/// Prints one event; whether anybody still reads.
fn show_event(event: &Value, shown: &mut Shown, screen: Screen) -> Result<bool, Failure> {
    let bytes = if screen.json { line(event) } else { shown.event(event).into_string().into_bytes() };
    print_or_leave(&bytes)
}

fn print_or_leave(bytes: &[u8]) -> Result<bool, Failure> {
    match print(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::new(Exit::Failed, format!("cannot write to standard output: {error}"))),
    }
}
