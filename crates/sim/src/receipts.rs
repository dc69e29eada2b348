use std::collections::BTreeMap;

use althing_engine::{ReceiptsDemanded, ReplyNo, Response};
use althing_record::{AgentId, NodeId, RecordId, cbor};
use althing_trust::{Demand, RatingEpoch, RowProof};

use crate::Sim;

impl Sim {
    /// What a node shows for demands of receipts under an attestation of its agent.
    pub fn show(
        &mut self,
        node: usize,
        record: RecordId,
        shown: impl Fn(&Demand) -> Option<RowProof> + 'static,
    ) {
        self.nodes[node].receipts.insert(record, Box::new(shown));
    }

    /// Has a node say that it has no room for so many demands.
    pub fn keep_busy(&mut self, node: usize, demands: u32) {
        self.nodes[node].busy = demands;
    }

    /// From now on a node shows the receipts under an attestation to these nodes alone.
    pub fn show_only_to(&mut self, node: usize, record: RecordId, to: &[usize]) {
        self.nodes[node].shown_to.insert(record, to.to_vec());
    }

    /// The rows of a rating epoch that a node that runs has not had proved.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn unproved(&self, node: usize, epoch: RatingEpoch) -> Vec<(AgentId, u32)> {
        let life = self.nodes[node].life.as_ref().expect("a node that runs");
        life.engine.unproved_rows(epoch, usize::MAX).expect("memory can be read")
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
        if let Some(left) = self.nodes[node].busy.checked_sub(1) {
            self.nodes[node].busy = left;
            self.respond(node, reply, Response::Busy.to_bytes());
            return;
        }
        let record = demanded.said.id;
        let asker = self.replies.get(&reply).map(|(asker, ..)| *asker);
        let hides = |to: &Vec<usize>| asker.is_none_or(|asker| !to.contains(&asker));
        let is_hidden = self.nodes[node].shown_to.get(&record).is_some_and(hides);
        let shown = self.nodes[node].receipts.get(&record).filter(|_| !is_hidden);
        let show = |demand: &Demand| Some(cbor::to_vec(&shown?(demand)?));
        let proofs = demanded.demands.iter().map(show).collect();
        self.respond(node, reply, Response::Proofs { proofs }.to_bytes());
    }
}
