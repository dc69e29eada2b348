use std::collections::{BTreeMap, BTreeSet};

use althing_engine::Key;
use althing_record::NodeId;
use sha2::{Digest as _, Sha256};

/// How many nodes hold a provider record.
const K: usize = 20;

/// Kademlia as an ideal: a provider record lies at the k nodes that are closest to its key by XOR of SHA-256(node id).
#[derive(Debug, Default)]
pub(crate) struct Kademlia {
    held: BTreeMap<(NodeId, Key), BTreeSet<NodeId>>,
}

impl Kademlia {
    /// Stores a provider record at the closest of the nodes that can be reached.
    pub(crate) fn provide(&mut self, key: Key, provider: NodeId, reachable: &[NodeId]) {
        for holder in closest(key, reachable) {
            self.held.entry((holder, key)).or_default().insert(provider);
        }
    }

    /// What the closest of the nodes that can be reached hold.
    pub(crate) fn lookup(&self, key: Key, reachable: &[NodeId]) -> Vec<NodeId> {
        let found = closest(key, reachable).into_iter().filter_map(|holder| self.held.get(&(holder, key)));
        found.flatten().copied().collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// A node forgets what it held.
    pub(crate) fn forget(&mut self, holder: NodeId) {
        self.held.retain(|(at, _), _| *at != holder);
    }
}

fn closest(key: Key, nodes: &[NodeId]) -> Vec<NodeId> {
    let mut nodes: Vec<_> = nodes
        .iter()
        .map(|node| {
            let mut distance: [u8; 32] = Sha256::digest(node.0).into();
            distance.iter_mut().zip(key.0).for_each(|(byte, of_key)| *byte ^= of_key);
            (distance, *node)
        })
        .collect();
    nodes.sort_unstable();
    nodes.into_iter().take(K).map(|(_, node)| node).collect()
}
