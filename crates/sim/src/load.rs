use crate::Sim;

/// What the directory and its searchers cost one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Provider records of others and of its own that it holds.
    pub records: u64,
    /// Lookups that it has answered.
    pub lookups: u64,
    /// Requests that it has answered.
    pub requests: u64,
}

/// Bytes that were sent since the beginning, by all nodes together, without what transports add.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Records of the ledger that were passed on as gossip, each copy counted.
    pub ledger: u64,
    /// Cards, leases and identities that were passed on as gossip, each copy counted.
    pub directory: u64,
    /// Requests and their answers: reconciliation above all.
    pub requests: u64,
}

impl Sim {
    /// What was sent since the beginning.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// The load of each node that runs, since it was started.
    #[must_use]
    pub fn loads(&self) -> Vec<Load> {
        let up =
            self.nodes.iter().enumerate().filter_map(|(number, node)| Some((number, node.life.as_ref()?)));
        up.map(|(number, life)| {
            let (records, lookups) = self.kademlia.load(number, self.time);
            Load { records, lookups, requests: life.served }
        })
        .collect()
    }
}
