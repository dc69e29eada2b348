//! `up --detach`: a node that outlives the command which started it.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use althing_gateway::Client;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

use super::failure::{Exit, Failure};
use super::page::{Page, clean, note};
use super::session::Session;
use super::up::Up;
use crate::daemon;

/// Tells the process that `up --detach` starts that it is the node.
const CHILD: &str = "_ALTHING_DETACHED_NODE";
/// How long a node may take to start unless the user says otherwise. A large database that was not closed takes a while.
const START_MAX: Duration = Duration::from_secs(60);
/// How long a node that runs may take to say so.
const LOOK_MAX: Duration = Duration::from_secs(5);
/// Most bytes of what the node prints before it is up.
const OUTPUT_BYTES_MAX: u64 = 256 << 10;
/// How much of the log is shown when it does not come up.
const TAIL_LINES: usize = 10;
const TAIL_BYTES: u64 = 16 << 10;
/// How long a node that is up may take to leave what it was started from.
const LEAVE_MAX: Duration = Duration::from_secs(1);

/// Starts a node in the background and waits until it is up. A node that runs already is left alone and described.
pub(super) async fn up(session: &Session) -> Result<Page, Failure> {
    let home = session.home()?;
    let log = daemon::log_file(home);
    let flag = session.home_flag();
    let end = format!("`althing down{flag}` stops it, `althing logs{flag}` shows its log");
    if let Some(status) = running(home).await {
        return Up::of_running(status, log, home).page(&end);
    }
    let logged = fs::metadata(&log).map_or(0, |meta| meta.len());
    let mut child = start()?;
    let limit = session.timeout_or(START_MAX);
    let started = tokio::select! {
        started = tokio::time::timeout(limit, first_words(&mut child)) => started.unwrap_or_else(|_| {
            let cause = format!("the node is not up within {limit:?}, and was ended");
            Err(Failure::new(Exit::Timeout, cause).hint("--timeout 5m waits longer".to_owned()))
        }),
        _ = tokio::signal::ctrl_c() => Err(Failure::new(Exit::Failed, "interrupted; the node was ended")),
    };
    let up = match started {
        Ok(up) => up,
        Err(failure) => {
            // It may have ended by itself.
            let _ = child.start_kill();
            let _ = child.wait().await;
            return Err(with_log(failure, &log, logged));
        }
    };
    up.page(&end)
}

/// Whether this process is what `up --detach` started. It says in JSON what it has to say.
pub(super) fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// In the node: no longer part of the terminal's session.
pub(super) fn leave_terminal() -> Result<(), Failure> {
    rustix::process::setsid()
        .map(drop)
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot leave the terminal: {error}")))
}

/// In the node, once it has said that it is up: nothing is left of what it was started from. The log has taken standard
/// error's place before.
pub(super) fn leave_rest(home: &Path) {
    let left = std::env::set_current_dir(home);
    // Last: that nobody writes there any more tells the command that all is left.
    let silent =
        File::options().write(true).open("/dev/null").and_then(|null| Ok(rustix::stdio::dup2_stdout(&null)?));
    if let Err(error) = left.and(silent) {
        tracing::warn!(%error, "the node holds on to where it was started from");
    }
}

async fn running(home: &Path) -> Option<althing_gateway::api::Status> {
    let look = async { Client::connect(home).await?.status().await };
    // Whatever is wrong with it, the attempt to start tells better.
    tokio::time::timeout(LOOK_MAX, look).await.ok()?.ok()
}

fn start() -> Result<Child, Failure> {
    let failed = |error: io::Error| Failure::new(Exit::Failed, format!("cannot start the node: {error}"));
    Command::new(std::env::current_exe().map_err(failed)?)
        .args(std::env::args_os().skip(1))
        .env(CHILD, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)
}

/// What the node says first: that it is up, or why not.
async fn first_words(child: &mut Child) -> Result<Up, Failure> {
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let document = document(out).await;
    match document {
        Some(document) if document["schema"] == Up::SCHEMA => serde_json::from_value(document)
            .map_err(|error| Failure::new(Exit::Failed, format!("the node says something else: {error}"))),
        Some(problem) => {
            let text = |name: &str| problem[name].as_str().map(str::to_owned);
            let exit = if problem["exit"] == Exit::Usage.code() { Exit::Usage } else { Exit::Failed };
            let cause = text("detail").unwrap_or_else(|| problem.to_string());
            Err(Failure::new(exit, cause).hint(text("hint")))
        }
        None => {
            let status = child.wait().await.ok();
            let mut said = String::new();
            if let Some(err) = err {
                // Half a message is better than none.
                let _ = err.take(OUTPUT_BYTES_MAX).read_to_string(&mut said).await;
            }
            said.lines().for_each(|line| note(&clean(line)));
            let how = status.map_or("ended".to_owned(), |status: ExitStatus| format!("ended by {status}"));
            Err(Failure::new(Exit::Failed, format!("the node {how} before it was up")))
        }
    }
}

/// The first JSON document of a stream, read to its end if that comes soon; `None` if there is none.
async fn document(out: Option<impl AsyncRead + Unpin>) -> Option<Value> {
    let mut out = out?.take(OUTPUT_BYTES_MAX);
    let mut bytes = Vec::new();
    loop {
        if let Some(Ok(document)) = serde_json::Deserializer::from_slice(&bytes).into_iter().next() {
            // Whoever waited for the node may rely on what it leaves then: the directory, the terminal.
            let _ = tokio::time::timeout(LEAVE_MAX, out.read_to_end(&mut bytes)).await;
            return Some(document);
        }
        if out.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// Shows what the node logged before it failed, and says where.
fn with_log(failure: Failure, log: &Path, logged: u64) -> Failure {
    let lines = tail(log, logged).unwrap_or_default();
    if lines.is_empty() {
        return failure;
    }
    note(&format!("the last lines of {}:", log.display()));
    lines.iter().for_each(|line| note(&format!("  {}", clean(line))));
    let hint = failure.next_step().is_none().then(|| format!("the whole log is {}", log.display()));
    failure.hint(hint)
}

/// The last lines of a log beyond what it held before.
fn tail(log: &Path, logged: u64) -> io::Result<Vec<String>> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    // A shorter file is another one.
    let begin = if length < logged { 0 } else { logged };
    file.seek(SeekFrom::Start(begin.max(length.saturating_sub(TAIL_BYTES))))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(TAIL_LINES)..].iter().map(|line| (*line).to_owned()).collect())
}
