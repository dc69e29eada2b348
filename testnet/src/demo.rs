//! The main job of a mesh, played on real processes and checked at every step.

mod play;
mod votes;

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use self::play::Play;
use crate::{Plan, Testnet, TestnetError, interrupted, log_tail};

/// Nodes that the demo starts with; one more joins late.
const NODES: usize = 5;
/// Log lines that a failure shows.
const TAIL_LINES: usize = 20;

/// How to play it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoPlan {
    /// The `althing` binary.
    pub program: PathBuf,
    /// Where logs and the certificate go; a fresh directory for temporary files if not given.
    pub dir: Option<PathBuf>,
    /// How long all of it may take.
    pub limit: Duration,
}

/// One step that was done.
#[derive(Clone, Debug, Serialize)]
pub struct DemoStep {
    /// Its number, from 1.
    pub number: usize,
    /// What it does.
    pub title: &'static str,
    /// What was seen.
    pub seen: String,
    /// How long it took.
    pub took_ms: u64,
}

/// How a node stood at the end.
#[derive(Clone, Debug, Serialize)]
pub struct DemoNode {
    /// Its number.
    pub number: usize,
    /// Its PeerId.
    pub node: String,
    /// Peers that it saw.
    pub peers: u64,
    /// Agents with a current card.
    pub cards: u64,
    /// Records that it stored.
    pub records: u64,
    /// The digest of its directory.
    pub directory: String,
    /// The digest of its ledger.
    pub ledger: String,
    /// The outcome of the vote, as it saw it.
    pub decided: String,
}

/// The demo, done.
#[derive(Clone, Debug, Serialize)]
pub struct Demo {
    /// Always `althing.demo/v1`.
    pub schema: &'static str,
    /// Its steps.
    pub steps: Vec<DemoStep>,
    /// How the nodes stood at the end.
    pub nodes: Vec<DemoNode>,
    /// How long all of it took.
    pub took_ms: u64,
    /// The certificate file.
    pub certificate: PathBuf,
    /// The genesis file, which the certificate can be verified against.
    pub genesis: PathBuf,
    /// The directory of the nodes' logs.
    pub logs: PathBuf,
}

/// Why the demo stopped. Its nodes were ended.
#[derive(Debug, thiserror::Error)]
#[error("step {step} ({title}): {error}")]
pub struct DemoFailure {
    /// The step.
    pub step: usize,
    /// What it does.
    pub title: &'static str,
    /// Why it failed.
    pub error: TestnetError,
    /// The log of the node concerned, or of the first one.
    pub log: Option<PathBuf>,
    /// The last lines of that log.
    pub tail: Vec<String>,
}

/// Plays the demo. `say` hears of every step when it is done. Its nodes are ended in every case.
///
/// # Errors
/// When a step does not do what it should.
pub async fn demo(plan: &DemoPlan, say: &mut dyn FnMut(&DemoStep)) -> Result<Demo, Box<DemoFailure>> {
    let start = Instant::now();
    let early = |error| {
        Box::new(DemoFailure { step: 0, title: "prepare a directory", error, log: None, tail: Vec::new() })
    };
    let dir = match &plan.dir {
        Some(dir) => dir.clone(),
        None => temporary_dir().map_err(early)?,
    };
    let testnet =
        Testnet::create(&Plan { program: plan.program.clone(), dir, nodes: NODES }).map_err(early)?;
    let mut play = Play::new(testnet, say);
    let result = tokio::select! {
        result = play.all() => result,
        () = interrupted() => Err(TestnetError::Interrupted),
        () = tokio::time::sleep(plan.limit) => Err(TestnetError::TimedOut {
            number: None,
            what: "the demo".to_owned(),
            limit: plan.limit,
            missing: "it was cut off".to_owned(),
        }),
    };
    match result {
        Ok(nodes) => {
            let (testnet, steps, certificate) = play.into_parts();
            let demo = end(testnet, steps, nodes, certificate, start);
            demo.await.map_err(early)
        }
        Err(error) => Err(Box::new(fail(play, error).await)),
    }
}

/// Ends the nodes and removes their databases: logs, genesis and certificate are what is worth keeping.
async fn end(
    mut testnet: Testnet,
    steps: Vec<DemoStep>,
    nodes: Vec<DemoNode>,
    certificate: PathBuf,
    start: Instant,
) -> Result<Demo, TestnetError> {
    testnet.stop().await?;
    for node in testnet.nodes() {
        fs::remove_dir_all(&node.home).map_err(TestnetError::io("remove", &node.home))?;
    }
    Ok(Demo {
        schema: "althing.demo/v1",
        steps,
        nodes,
        took_ms: millis(start),
        certificate,
        genesis: testnet.genesis().to_owned(),
        logs: testnet.dir().join("logs"),
    })
}

/// Ends the nodes, keeps everything they stored, and says which log to read.
async fn fail(play: Play<'_>, error: TestnetError) -> DemoFailure {
    let (step, title) = play.current();
    let (mut testnet, _, _) = play.into_parts();
    let number = error.node().unwrap_or(1);
    let log = testnet.node(number).ok().map(|node| node.log.clone());
    // What it said before it was told to stop.
    let tail = log.as_deref().map(|log: &Path| log_tail(log, TAIL_LINES)).unwrap_or_default();
    let stopped = testnet.stop().await;
    let error = match stopped {
        Ok(_) => error,
        Err(stopping) => TestnetError::unexpected(number, format!("{error}; and then: {stopping}")),
    };
    DemoFailure { step, title, error, log, tail }
}

/// A fresh directory that only this user can read.
fn temporary_dir() -> Result<PathBuf, TestnetError> {
    let pid = std::process::id();
    let parent = std::env::temp_dir();
    let names = (0..100).map(|number| parent.join(format!("althing-demo-{pid}-{number}")));
    for path in names {
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(TestnetError::io("make the directory", &path)(error)),
        }
    }
    Err(TestnetError::unexpected(None, format!("no free name for a directory in {}", parent.display())))
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
