use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use althing_gateway::api::{self, VoteState};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::sealed::is_shut;
use super::{resolve, short, standing, state};
use crate::cli::failure::{Exit, Failure};
use crate::cli::page::{Page, Screen, Text, clean, line, note, print};
use crate::cli::patience::Patience;
use crate::cli::session::Session;
use crate::cli::store::sync_dir;

/// How long to wait for an outcome unless the user says otherwise.
const WAIT: Duration = Duration::from_secs(3_600);
/// How long between two looks.
const INTERVAL: Duration = Duration::from_millis(200);

/// Says how a vote came out.
pub(super) async fn result(
    id: &str,
    wait: bool,
    on_pass: Option<&str>,
    session: &Session,
    screen: Screen,
) -> Result<Page, Failure> {
    let deadline = Instant::now() + session.timeout_or(WAIT);
    let mut node = Patience::new(session, wait.then_some(deadline))?;
    let id = resolve(&node.client().await?, id).await?;
    let vote = loop {
        let vote = node.ask(async |client| client.vote(&id).await).await?;
        let state_now = vote.summary.state;
        let is_open = match state_now {
            VoteState::Open
            | VoteState::Expired
            | VoteState::Closing
            | VoteState::Opening
            | VoteState::Unopened => true,
            VoteState::Decided | VoteState::Rejected | VoteState::Conflicting => false,
        };
        if !is_open {
            break vote;
        }
        if state_now == VoteState::Unopened {
            let cause = format!("{} is not counted: {}", short(&id), state(&vote.summary));
            let hint = "it is counted once one of these trustees' nodes runs again; see `althing vote show`";
            return Err(Failure::new(Exit::Timeout, cause).hint(hint.to_owned()));
        }
        if !wait {
            let cause = format!("{} is not decided: {}", short(&id), state(&vote.summary));
            return Err(Failure::new(Exit::Timeout, cause).hint("--wait waits for the outcome".to_owned()));
        }
        if Instant::now() >= deadline {
            let cause = format!("{} is still not decided: {}", short(&id), state(&vote.summary));
            return Err(Failure::new(Exit::Timeout, cause).hint("--timeout says how long to wait".to_owned()));
        }
        tokio::time::sleep(INTERVAL).await;
    };
    let Some(option) = vote.summary.decided.clone() else {
        return Err(Failure::new(Exit::Failed, format!("{}: {}", short(&id), state(&vote.summary))));
    };
    let mut text = Text::default();
    text.line(&format!("{}: {}", short(&id), state(&vote.summary)));
    // "no" wins a motion in a closed decision, and nothing is to be done for it.
    let is_motion = vote.summary.options.iter().map(|option| option.text.as_str()).eq(["yes", "no"]);
    let is_pass = !is_motion || option == "yes";
    // Whatever was decided, what does not hold is not acted upon.
    let overruled = vote.summary.subject.as_ref().filter(|subject| {
        matches!(subject.standing, Some(api::Standing::Overruled | api::Standing::Superseded))
    });
    if let Some(subject) = overruled.filter(|_| is_pass) {
        let cause = format!("{}: {}, but {}", short(&id), state(&vote.summary), standing(subject));
        return Err(Failure::new(Exit::Failed, cause));
    }
    if let Some(command) = on_pass.filter(|_| is_pass) {
        let certificate = node.ask(async |client| client.certificate(&id).await).await?;
        match act(&certificate, (&id, &option), command, session, screen).await? {
            true => text.line("the command was run"),
            false => text.line("the command had been run before"),
        };
    }
    Page::new(&vote, text)
}

/// Runs a command for a vote that passed, once on this node. Gives whether it was run now.
async fn act(
    certificate: &[u8],
    (id, option): (&str, &str),
    command: &str,
    session: &Session,
    screen: Screen,
) -> Result<bool, Failure> {
    let dir = session.home()?.join("passed");
    std::fs::create_dir_all(&dir).map_err(|error| Failure::file("make", &dir, &error))?;
    let of: String =
        Sha256::digest(command.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let file = dir.join(format!("{id}.cbor"));
    keep(&file, certificate)?;
    // Whoever makes the mark runs the command; a crash in between leaves it not run rather than run twice.
    let mark = dir.join(format!("{id}-{of}"));
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&mark) {
        Ok(made) => made
            .sync_all()
            .and_then(|()| sync_dir(&dir))
            .map_err(|error| Failure::file("write", &mark, &error))?,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(false),
        Err(error) => return Err(Failure::file("write", &mark, &error)),
    }
    // With --json standard output is for the one document.
    let out = if screen.json { Stdio::from(std::io::stderr()) } else { Stdio::inherit() };
    let run = tokio::process::Command::new("sh")
        .arg("-c")
        .arg(command)
        .stdout(out)
        .env("ALTHING_PROPOSAL", id)
        .env("ALTHING_OPTION", option)
        .env("ALTHING_CERTIFICATE", &file)
        .status()
        .await;
    match run {
        Ok(status) if status.success() => Ok(true),
        Ok(status) => Err(Failure::new(Exit::Failed, format!("the command ended with {status}"))
            .hint(format!("it is not run again for this vote unless {} is removed", mark.display()))),
        Err(error) => {
            let _ = std::fs::remove_file(&mark);
            Err(Failure::new(Exit::Failed, format!("the command could not be run: {error}")))
        }
    }
}

/// The certificate, on disk before anything is done for it. One that is there stays: a command may be reading it.
fn keep(file: &Path, certificate: &[u8]) -> Result<(), Failure> {
    if file.exists() {
        return Ok(());
    }
    let partial = file.with_extension(format!("{}.partial", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&partial)
        .and_then(|mut open| open.write_all(certificate).and_then(|()| open.sync_all()))
        .and_then(|()| std::fs::rename(&partial, file));
    written.map_err(|error| {
        // It may never have been made.
        let _ = std::fs::remove_file(&partial);
        Failure::file("write", file, &error)
    })
}

/// Shows a vote each time that it has changed, until it is decided.
pub(super) async fn watch(id: &str, session: &Session, screen: Screen) -> Result<Page, Failure> {
    let deadline = Instant::now() + session.timeout_or(WAIT);
    let mut node = Patience::new(session, Some(deadline))?;
    let id = resolve(&node.client().await?, id).await?;
    let mut last: Option<api::Vote> = None;
    loop {
        let vote = node.ask(async |client| client.vote(&id).await).await?;
        if last.as_ref() != Some(&vote) {
            let bytes = if screen.json {
                line(&serde_json::to_value(&vote).unwrap_or_default())
            } else {
                format!("{}\n", clean(&progress(&vote))).into_bytes()
            };
            if print(&bytes).is_err() {
                // Nobody reads on.
                return Ok(Page::nothing());
            }
        }
        match vote.summary.state {
            VoteState::Open
            | VoteState::Expired
            | VoteState::Closing
            | VoteState::Opening
            | VoteState::Unopened => {}
            VoteState::Decided | VoteState::Rejected | VoteState::Conflicting => return Ok(Page::nothing()),
        }
        last = Some(vote);
        if Instant::now() >= deadline {
            note("it is still not decided; --timeout says how long to watch");
            return Ok(Page::nothing());
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

fn progress(vote: &api::Vote) -> String {
    let summary = &vote.summary;
    if is_shut(summary) {
        return format!("{} of {} voted (sealed) - {}", summary.voted, summary.electorate, state(summary));
    }
    let votes: Vec<_> =
        summary.options.iter().map(|option| format!("{} {}", option.text, option.votes)).collect();
    format!("{} of {} voted ({}) - {}", summary.voted, summary.electorate, votes.join(", "), state(summary))
}
