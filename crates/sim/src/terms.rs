use althing_record::{AgentId, Genesis, Network};

use crate::Sim;
use crate::build::agent_key;

impl Sim {
    /// A network whose rating epochs are so long, in milliseconds, and whose anchors are the agents of the first nodes.
    /// To be called before there are nodes.
    ///
    /// # Panics
    /// When there can be no such network.
    #[must_use]
    pub fn rated(self, rating_epoch_ms: u64, anchors: usize) -> Self {
        self.on_terms(|genesis| {
            genesis.rating_epoch_ms = rating_epoch_ms;
            genesis.anchors = first(anchors).try_into().expect("few anchors");
        })
    }

    /// A network whose committee are the agents of the first nodes. To be called before there are nodes.
    ///
    /// # Panics
    /// When there can be no such network.
    #[must_use]
    pub fn governed(self, committee: usize) -> Self {
        self.on_terms(|genesis| genesis.committee = first(committee).try_into().expect("a small committee"))
    }

    /// A network whose committee are these agents, whose nodes propose a checkpoint so often at most, in milliseconds; 0:
    /// never. To be called before there are nodes.
    ///
    /// # Panics
    /// When there can be no such network.
    #[must_use]
    pub fn checkpointed(mut self, committee: Vec<AgentId>, checkpoint_ms: u64) -> Self {
        self.timing.checkpoint_ms = checkpoint_ms;
        self.on_terms(|genesis| genesis.committee = committee.try_into().expect("a small committee"))
    }

    /// Members of the committee ask raters for receipts once and never give up: for raters of whom nothing but what they
    /// say matters. To be called before there are nodes.
    #[must_use]
    pub fn undemanding(mut self) -> Self {
        self.timing.demand_ms = Some(u64::MAX);
        self
    }

    fn on_terms(mut self, change: impl FnOnce(&mut Genesis)) -> Self {
        let mut genesis = self.network.genesis().clone();
        change(&mut genesis);
        self.network = Network::new(genesis).expect("a network");
        self
    }
}

/// The agents of the first nodes, ascending.
fn first(count: usize) -> Vec<AgentId> {
    let mut agents: Vec<_> = (0..count).map(|n| agent_key(n).agent()).collect();
    agents.sort_unstable();
    agents
}
