use std::collections::BTreeMap;

use althing_engine::{Input, ReceiptsDemanded, ReplyNo, Response};
use althing_record::{AgentId, Network, NodeId, RecordId, cbor};
use althing_trust::{Demand, RatingEpoch, RowProof};

use crate::Sim;
use crate::build::agent_key;

impl Sim {
    /// A network whose committee are the agents of the first nodes. To be called before there are nodes.
    ///
    /// # Panics
    /// When there can be no such network.
    #[must_use]
    pub fn with_committee(mut self, members: usize) -> Self {
        let mut genesis = self.network.genesis().clone();
        let mut agents: Vec<AgentId> = (0..members).map(|n| agent_key(n).agent()).collect();
        agents.sort_unstable();
        genesis.committee = agents.try_into().expect("a small committee");
        self.network = Network::new(genesis).expect("a network");
        self
    }

    /// Has every node that runs know the checkpoint after a rating epoch.
    pub fn decide_checkpoint(&mut self, epoch: RatingEpoch, checkpoint: RecordId) {
        for node in 0..self.nodes.len() {
            if let Some(life) = &mut self.nodes[node].life {
                life.engine.checkpoint_decided(epoch, checkpoint);
            }
            self.handle(node, Input::Wake);
        }
    }

    /// What a node shows for demands of receipts under an attestation of its agent.
    pub fn show(
        &mut self,
        node: usize,
        record: RecordId,
        shown: impl Fn(&Demand) -> Option<RowProof> + 'static,
    ) {
        self.nodes[node].receipts.insert(record, Box::new(shown));
    }

    /// The rows of a rating epoch that a node that runs has not had proved.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn unproved(&self, node: usize, epoch: RatingEpoch) -> Vec<(AgentId, u32)> {
        let life = self.nodes[node].life.as_ref().expect("a node that runs");
        life.engine.unproved(epoch, usize::MAX).expect("memory can be read")
    }

    /// How often a node refused something of reputation, by reason.
    #[must_use]
    pub fn refusals(&self, node: usize) -> BTreeMap<&'static str, u64> {
        let own = self.refusals.iter().filter(|((by, _), _)| *by == node);
        own.map(|((_, reason), count)| (*reason, *count)).collect()
    }

    /// Whether a node blamed another for what that sent.
    #[must_use]
    pub fn has_blamed(&self, node: usize, other: usize) -> bool {
        self.blamed.contains(&(node, self.nodes[other].id()))
    }

    pub(crate) fn blame(&mut self, node: usize, peer: NodeId) {
        self.blamed.insert((node, peer));
    }

    pub(crate) fn show_receipts(&mut self, node: usize, reply: ReplyNo, demanded: &ReceiptsDemanded) {
        let shown = self.nodes[node].receipts.get(&demanded.said.id);
        let show = |demand: &Demand| Some(cbor::to_vec(&shown?(demand)?));
        let proofs = demanded.demands.iter().map(show).collect();
        self.respond(node, reply, Response::Proofs { proofs }.to_bytes());
    }
}
