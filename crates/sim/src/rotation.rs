//! Agents whose keys are replaced, and thieves of the former ones.

use althing_engine::{Ask, AskNo, HostedAgent, Rotate, identity_records};
use althing_record::{KeyHistory, recovery_key_hash};

use crate::build::agent_key;
use crate::{Sim, Villain};

/// The `n`th key that replaces the one of a node's agent before it, and the recovery key after it, from 1 on.
fn key(node: usize, n: usize) -> usize {
    5_000_000 + 1_000 * node + n
}

fn recovery(node: usize, n: usize) -> usize {
    if n == 0 { 1_000_000 + node } else { 6_000_000 + 1_000 * node + n }
}

impl Sim {
    /// Wishes another key for the first agent of a node, as its identity there goes on. A node that is down never answers.
    ///
    /// # Panics
    /// When the node's memory cannot be read.
    pub fn rotate(&mut self, node: usize) -> AskNo {
        let agent = self.agent(node);
        let store = self.nodes[node].life.as_ref().map(|life| life.engine.store());
        let records = store.map(|store| identity_records(store, &self.network, agent));
        // The inception is one of them.
        let before =
            records.map_or(0, |records| records.expect("memory can be read").len().saturating_sub(1));
        let rotate = Rotate {
            agent,
            recovery: agent_key(recovery(node, before)),
            key: agent_key(key(node, before + 1)),
            recovery_key_hash: recovery_key_hash(&agent_key(recovery(node, before + 1)).public()),
            card: None,
        };
        self.ask(node, Ask::Rotate(Box::new(rotate)))
    }

    /// Somebody who has the first key of a node's agent and keeps no rules. What the agent signs may be contradicted.
    pub fn steal_first_key(&mut self, of: usize) -> Villain {
        let node = &mut self.nodes[of];
        node.is_copied = true;
        Villain::with_key(node.agents[0].key.clone(), of)
    }

    /// The agents of a node, each with the key that its database says speaks for it, if that key was made here.
    pub(crate) fn serving(&self, node: usize) -> Vec<HostedAgent> {
        let node = &self.nodes[node];
        let database = node.disk.database();
        let serving = node.agents.iter().map(|hosted| {
            let records = identity_records(&database, &self.network, hosted.agent);
            let history = KeyHistory::fold(hosted.agent, &records.expect("memory can be read"));
            let current = node.keys.iter().find(|key| key.public() == history.current_key());
            let key = current.unwrap_or(&hosted.key).clone();
            HostedAgent { key, ..hosted.clone() }
        });
        serving.collect()
    }
}
