//! How nodes come to be there.

use std::collections::{BTreeMap, BTreeSet};

use althing_engine::{AGENTS_MAX, HostedAgent};
use althing_record::AgentId;

use super::{FULL_MESH_MAX, Sim, hosted};
use crate::build::node_key;
use crate::disk::Disk;
use crate::node::Node;

impl Sim {
    /// Adds nodes with one agent each, starts and connects them.
    #[must_use]
    pub fn nodes(mut self, count: usize) -> Self {
        for _ in 0..count {
            self.add(0);
        }
        self.connect();
        self
    }

    /// Adds one node whose wall clock is off by `skew_ms`, starts and connects it. Gives its number.
    pub fn join(&mut self, skew_ms: i64) -> usize {
        let node = self.add(skew_ms);
        self.connect();
        node
    }

    /// Starts a copy of a node's directory, taken now, on another machine: same agents, same incarnation, same guard,
    /// another network key. Gives its number.
    pub fn clone_directory(&mut self, of: usize) -> usize {
        let disk = self.nodes[of].disk.copy();
        let agents = self.nodes[of].agents.clone();
        let node = self.place(agents, disk, 0);
        for copy in [of, node] {
            self.nodes[copy].is_copied = true;
        }
        self.connect();
        node
    }

    /// Starts a fresh node that hosts the agents of another one, as when their keys are moved. Gives its number.
    pub fn host_elsewhere(&mut self, of: usize) -> usize {
        let node = self.place(self.nodes[of].agents.clone(), Disk::default(), 0);
        self.connect();
        node
    }

    fn add(&mut self, skew_ms: i64) -> usize {
        let number = self.nodes.len();
        self.place(vec![hosted(number)], Disk::default(), skew_ms)
    }

    /// Adds one node that holds nothing of what raters publish, starts and connects it. Gives its number.
    pub fn join_without_ledger(&mut self) -> usize {
        let number = self.nodes.len();
        let node = self.place_with(vec![hosted(number)], Disk::default(), 0, true);
        self.connect();
        node
    }

    /// Adds one node that hosts so many agents, starts and connects it. Gives its number.
    pub fn join_hosting(&mut self, agents: usize) -> usize {
        let first = 10_000_000 + self.nodes.len() * AGENTS_MAX;
        let node = self.place((first..first + agents).map(hosted).collect(), Disk::default(), 0);
        self.connect();
        node
    }

    /// The agents of a node.
    #[must_use]
    pub fn hosted(&self, node: usize) -> Vec<AgentId> {
        self.nodes[node].agents.iter().map(|hosted| hosted.agent).collect()
    }

    fn place(&mut self, agents: Vec<HostedAgent>, disk: Disk, skew_ms: i64) -> usize {
        self.place_with(agents, disk, skew_ms, false)
    }

    fn place_with(
        &mut self,
        agents: Vec<HostedAgent>,
        disk: Disk,
        skew_ms: i64,
        lacks_ledger: bool,
    ) -> usize {
        let number = self.nodes.len();
        let key = node_key(number);
        let mut neighbours = BTreeSet::new();
        if !self.is_meshed {
            // Nobody is connected to anybody.
        } else if number < FULL_MESH_MAX {
            neighbours.extend(0..number);
        } else {
            while neighbours.len() < FULL_MESH_MAX / 2 {
                let other = self.below(number as u64);
                neighbours.insert(usize::try_from(other).unwrap_or(0));
            }
        }
        for other in &neighbours {
            self.nodes[*other].neighbours.insert(number);
        }
        self.index.insert(key.node(), number);
        self.nodes.push(Node {
            key,
            agents,
            keys: Vec::new(),
            disk,
            skew_ms,
            life: None,
            run: 0,
            crashes_after_guard: false,
            disk_is_full: false,
            garbles: false,
            falsifies_scores: false,
            side: 0,
            neighbours,
            receipts: BTreeMap::new(),
            busy: 0,
            shown_to: BTreeMap::new(),
            promises: Vec::new(),
            is_copied: false,
            lacks_ledger,
        });
        self.start(number);
        number
    }
}
