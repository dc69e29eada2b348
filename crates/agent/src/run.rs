use std::future::Future;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use futures::FutureExt;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin};
use tokio::time::timeout;

use crate::{Command, Limits};

/// Says to a command which agent asks, as the tunnel proved: its did. It is not there when no agent is known.
pub const CALLER_VARIABLE: &str = "ALTHING_CALLER";

/// What a command gets of the node's environment.
const KEPT_VARIABLES: [&str; 3] = ["PATH", "HOME", "LANG"];

/// How much is read at once, in bytes.
const READ_BYTES: usize = 16 * 1_024;

/// How much of what a command complains about is kept, in bytes, and in lines.
const COMPLAINT_BYTES: usize = 2 * 1_024;
const COMPLAINT_LINES: usize = 10;

/// Why a command did not end well. All of them are told to the client.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error("the command could not be started: {0}")]
    Start(io::Error),
    #[error("the command ended with {status}{complaint}")]
    Exit { status: ExitStatus, complaint: String },
    #[error("the command wrote more than {limit} bytes")]
    TooMuch { limit: usize },
    #[error("the command took longer than {limit:?}")]
    TooLong { limit: Duration },
    #[error("the command's output could not be read: {0}")]
    Read(io::Error),
    #[error("canceled")]
    Cancelled,
}

/// Runs a command with this input. What it writes goes to `take` as it comes. When this returns, the process is gone and so
/// is every other process of its group; when it is dropped before, all of them are killed.
pub(crate) async fn run(
    command: &Command,
    input: Vec<u8>,
    caller: Option<&str>,
    limits: &Limits,
    cancelled: impl Future<Output = ()>,
    take: impl FnMut(&[u8]),
) -> Result<(), RunError> {
    let mut child = start(command, caller).map_err(RunError::Start)?;
    let mut group = Group::of(&child);
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let work = async {
        let exit = async {
            let status = child.wait().await.map_err(RunError::Read)?;
            // Others of the group would keep the pipes open.
            group.kill();
            Ok(status)
        };
        let fed = feed(stdin, &input).map(Ok);
        let complained = complaint(stderr).map(Ok);
        let written = pass_on(stdout, limits.output_bytes_max, take);
        let (status, (), complaint, ()) = tokio::try_join!(exit, fed, complained, written)?;
        if status.success() { Ok(()) } else { Err(RunError::Exit { status, complaint }) }
    };
    let outcome = tokio::select! {
        biased;
        () = cancelled => Err(RunError::Cancelled),
        done = timeout(limits.run_within, work) => {
            done.unwrap_or(Err(RunError::TooLong { limit: limits.run_within }))
        }
    };
    group.kill();
    if let Err(error) = child.wait().await {
        tracing::warn!(%error, "a command's process cannot be waited for");
    }
    outcome
}

fn start(command: &Command, caller: Option<&str>) -> io::Result<Child> {
    let kept = KEPT_VARIABLES.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    let mut process = tokio::process::Command::new(command.program());
    process
        .args(command.arguments())
        .env_clear()
        .envs(kept)
        .envs(caller.map(|did| (CALLER_VARIABLE, did)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// Writes the input, as far as the command reads it.
async fn feed(stdin: Option<ChildStdin>, input: &[u8]) {
    let Some(mut stdin) = stdin else { return };
    if let Err(error) = stdin.write_all(input).await {
        tracing::debug!(%error, "a command did not read its input");
    }
}

async fn pass_on(
    stdout: Option<impl AsyncRead + Unpin>,
    limit: usize,
    mut take: impl FnMut(&[u8]),
) -> Result<(), RunError> {
    let Some(mut stdout) = stdout else { return Ok(()) };
    let (mut buffer, mut left) = (vec![0; READ_BYTES], limit);
    loop {
        let read = stdout.read(&mut buffer).await.map_err(RunError::Read)?;
        if read == 0 {
            return Ok(());
        }
        take(&buffer[..read.min(left)]);
        left = left.checked_sub(read).ok_or(RunError::TooMuch { limit })?;
    }
}

/// The last lines of what the command complained about, each after a line break.
async fn complaint(stderr: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut stderr) = stderr else { return String::new() };
    let (mut buffer, mut last) = (vec![0; COMPLAINT_BYTES], Vec::new());
    while let Ok(read @ 1..) = stderr.read(&mut buffer).await {
        last.extend_from_slice(&buffer[..read]);
        last.drain(..last.len().saturating_sub(COMPLAINT_BYTES));
    }
    let text = String::from_utf8_lossy(&last);
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let lines = &lines[lines.len().saturating_sub(COMPLAINT_LINES)..];
    lines.iter().flat_map(|line| ["\n", *line]).collect()
}

/// The processes that a command started, unless they left its group.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    /// Kills all of them, once: after that the id may be another group's.
    fn kill(&mut self) {
        // A group without processes is no fault.
        if let Some(pid) = self.0.take() {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
