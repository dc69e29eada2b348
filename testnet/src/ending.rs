use std::time::Duration;

use althing_gateway::Client;
use serde::Serialize;
use tokio::task::JoinSet;

use crate::wait::INTERVAL;
use crate::{NodeState, Signal, TestnetError};

/// How long a node may take to end once it has agreed to.
const ASKED_LIMIT: Duration = Duration::from_secs(5);
/// How long a node may take to answer that it will.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// How long a node may take to end after SIGTERM.
const TERM_LIMIT: Duration = Duration::from_secs(5);
/// How long the system may take to end a node after SIGKILL.
const KILL_LIMIT: Duration = Duration::from_secs(5);

/// How a node ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// It did not run any more.
    NotRunning,
    /// It was asked over its API.
    Asked,
    /// It got a SIGTERM.
    Terminated,
    /// It got a SIGKILL.
    Killed,
}

/// A node that was stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ended {
    /// Its number.
    pub number: usize,
    /// Its process.
    pub pid: u32,
    /// How it ended.
    pub how: How,
}

/// Ends all nodes at once.
pub(crate) async fn end_all(nodes: &[NodeState]) -> Result<Vec<Ended>, TestnetError> {
    let mut ends = JoinSet::new();
    for node in nodes {
        ends.spawn(end(node.clone()));
    }
    let mut ended = Vec::new();
    let mut failed = None;
    // All are tried, also after one has failed.
    for result in ends.join_all().await {
        match result {
            Ok(end) => ended.push(end),
            Err(error) => failed = Some(error),
        }
    }
    ended.sort_by_key(|end| end.number);
    failed.map_or(Ok(ended), Err)
}

/// Ends one node: asks, then tells, then kills.
async fn end(node: NodeState) -> Result<Ended, TestnetError> {
    let ended = |how| Ok(Ended { number: node.number, pid: node.process.pid, how });
    if !node.process.is_alive() {
        return ended(How::NotRunning);
    }
    if ask(&node).await && gone(&node, ASKED_LIMIT).await.is_ok() {
        return ended(How::Asked);
    }
    let send = |signal| node.process.signal(signal).map_err(TestnetError::io("stop the node of", &node.home));
    send(Signal::Term)?;
    if gone(&node, TERM_LIMIT).await.is_ok() {
        return ended(How::Terminated);
    }
    send(Signal::Kill)?;
    gone(&node, KILL_LIMIT).await?;
    ended(How::Killed)
}

/// Whether the node says that it will stop.
async fn ask(node: &NodeState) -> bool {
    let asked = async {
        let stopping = Client::connect(&node.home).await?.shutdown().await?;
        Ok::<_, althing_gateway::ClientError>(stopping.pid == node.process.pid)
    };
    matches!(tokio::time::timeout(ANSWER_LIMIT, asked).await, Ok(Ok(true)))
}

async fn gone(node: &NodeState, limit: Duration) -> Result<(), TestnetError> {
    let ends = async {
        while node.process.is_alive() {
            tokio::time::sleep(INTERVAL).await;
        }
    };
    tokio::time::timeout(limit, ends).await.map_err(|_| TestnetError::TimedOut {
        number: Some(node.number),
        what: format!("node {} ends", node.number),
        limit,
        missing: format!("pid {} still runs", node.process.pid),
    })
}
