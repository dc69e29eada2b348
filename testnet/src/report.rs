use std::collections::BTreeMap;
use std::path::PathBuf;

use althing_gateway::api;
use serde::Serialize;

use crate::testnet::status_of;
use crate::{Ended, NodeState, TestnetError};

/// How the nodes of a testnet are doing.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Always `althing.testnet-status/v1`.
    pub schema: &'static str,
    /// The testnet's directory.
    pub dir: PathBuf,
    /// The genesis file.
    pub genesis: PathBuf,
    /// How many nodes run.
    pub running: usize,
    /// Whether all nodes run and hold the same records.
    pub agree: bool,
    /// One row for each node.
    pub nodes: Vec<NodeRow>,
}

/// How one node is doing.
#[derive(Clone, Debug, Serialize)]
pub struct NodeRow {
    /// Its number.
    pub number: usize,
    /// Its process.
    pub pid: u32,
    /// Whether that runs.
    pub alive: bool,
    /// Its PeerId.
    pub node: Option<String>,
    /// Its default agent.
    pub agent: Option<String>,
    /// Its home.
    pub home: PathBuf,
    /// Its log.
    pub log: PathBuf,
    /// The address of its API.
    pub api: Option<String>,
    /// The addresses that peers can dial.
    pub listen: Vec<String>,
    /// Peers that it sees.
    pub peers: Option<u64>,
    /// Records that it stores.
    pub records: Option<u64>,
    /// Its sync domains.
    pub domains: Vec<api::Domain>,
    /// Whether it holds the records that more than half of the answering nodes hold.
    pub agrees: bool,
    /// Why it does not answer, if it does not.
    pub problem: Option<String>,
}

/// What stopping a testnet has done.
#[derive(Clone, Debug, Serialize)]
pub struct Stopped {
    /// Always `althing.testnet-stopped/v1`.
    pub schema: &'static str,
    /// The testnet's directory.
    pub dir: PathBuf,
    /// How each node ended; empty if there was no testnet.
    pub nodes: Vec<Ended>,
}

impl Report {
    /// Asks every node.
    pub(crate) async fn of(dir: PathBuf, genesis: PathBuf, nodes: &[NodeState]) -> Self {
        let mut rows = Vec::new();
        for node in nodes {
            rows.push(NodeRow::of(node).await);
        }
        mark_agreement(&mut rows);
        Self {
            schema: "althing.testnet-status/v1",
            dir,
            genesis,
            running: rows.iter().filter(|row| row.alive).count(),
            agree: rows.iter().all(|row| row.agrees),
            nodes: rows,
        }
    }

    /// The rows of nodes that run and answer.
    ///
    /// # Errors
    /// When a node does not.
    pub(crate) fn all_answer(&self) -> Result<(), TestnetError> {
        match self.nodes.iter().find_map(|row| row.problem.as_ref().map(|problem| (row.number, problem))) {
            Some((number, problem)) => {
                Err(TestnetError::unexpected(number, format!("node {number}: {problem}")))
            }
            None => Ok(()),
        }
    }
}

impl NodeRow {
    async fn of(node: &NodeState) -> Self {
        let alive = node.process.is_alive();
        let status = if alive {
            status_of(&node.home).await.map_err(|error| error.to_string())
        } else {
            Err(format!("process {} has ended", node.process.pid))
        };
        let mut row = Self {
            number: node.number,
            pid: node.process.pid,
            alive,
            node: node.node.clone(),
            agent: node.agents.first().cloned(),
            home: node.home.clone(),
            log: node.log.clone(),
            api: node.api.clone(),
            listen: node.listen.clone(),
            peers: None,
            records: None,
            domains: Vec::new(),
            agrees: false,
            problem: None,
        };
        match status {
            Ok(status) => {
                row.peers = Some(status.peers);
                row.records = Some(status.records);
                row.domains = status.domains;
            }
            Err(problem) => row.problem = Some(problem),
        }
        row
    }

    fn digests(&self) -> Vec<(&str, &str)> {
        self.domains.iter().map(|domain| (domain.name.as_str(), domain.digest.as_str())).collect()
    }
}

/// Marks the nodes whose digests are those of more than half of the nodes that answer. If there is no such half, none:
/// nobody can say then which nodes are behind.
fn mark_agreement(rows: &mut [NodeRow]) {
    let mut counts: BTreeMap<Vec<(&str, &str)>, usize> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.problem.is_none()) {
        *counts.entry(row.digests()).or_default() += 1;
    }
    let answering: usize = counts.values().sum();
    let Some((most, _)) = counts.into_iter().find(|(_, count)| 2 * count > answering) else { return };
    let most: Vec<(String, String)> =
        most.into_iter().map(|(name, digest)| (name.to_owned(), digest.to_owned())).collect();
    for row in rows {
        let same =
            row.digests().into_iter().eq(most.iter().map(|(name, digest)| (name.as_str(), digest.as_str())));
        row.agrees = row.problem.is_none() && same;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(digest: Option<&str>) -> NodeRow {
        let domain = |digest: &str| api::Domain { name: "ledger".into(), records: 1, digest: digest.into() };
        NodeRow {
            number: 1,
            pid: 1,
            alive: true,
            node: None,
            agent: None,
            home: PathBuf::new(),
            log: PathBuf::new(),
            api: None,
            listen: Vec::new(),
            peers: None,
            records: None,
            domains: digest.map(domain).into_iter().collect(),
            agrees: false,
            problem: digest.is_none().then(|| "gone".to_owned()),
        }
    }

    #[test]
    fn without_a_strict_majority_nobody_agrees() {
        let mut tie = [row(Some("a")), row(Some("b")), row(None)];
        mark_agreement(&mut tie);
        assert_eq!(tie.map(|row| row.agrees), [false; 3]);
        let mut split = [row(Some("a")), row(Some("b")), row(Some("b")), row(Some("c"))];
        mark_agreement(&mut split);
        assert_eq!(split.map(|row| row.agrees), [false; 4]);
        let mut single = [row(Some("a")), row(None)];
        mark_agreement(&mut single);
        assert_eq!(single.map(|row| row.agrees), [true, false]);
    }

    #[test]
    fn who_differs_from_most_is_marked() {
        let mut rows = [row(Some("a")), row(Some("b")), row(None), row(Some("b"))];
        mark_agreement(&mut rows);
        assert_eq!(rows.map(|row| row.agrees), [false, true, false, true]);
        let mut silent = [row(None)];
        mark_agreement(&mut silent);
        assert!(!silent[0].agrees);
    }
}
