use althing_record::{AgentId, AgentKey, Digest, Millis, Network, NodeKey};
use althing_store::{CommitNo, Guard};

/// Most agents that one node hosts.
pub const AGENTS_MAX: usize = 1_000;

/// What an engine is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// The network.
    pub network: Network,
    /// This node's key.
    pub node_key: NodeKey,
    /// The agents hosted here, the default one first; at most [`AGENTS_MAX`].
    pub agents: Vec<HostedAgent>,
    /// What the vote guard says.
    pub guard: GuardStatus,
    /// The last commit that the database holds.
    pub last_commit: CommitNo,
    /// Whether there are nodes to join: then the node is ready once it met one.
    pub expects_peers: bool,
    /// Whether to hold what raters publish. A node that does not asks others for the scores of checkpoints.
    pub keeps_ledger: bool,
    /// Intervals.
    pub timing: Timing,
}

/// An agent whose key is here.
#[derive(Clone, Debug)]
pub struct HostedAgent {
    /// The agent.
    pub agent: AgentId,
    /// The key that signs for it now.
    pub key: AgentKey,
    /// What its inception record says, should it have none yet.
    pub recovery_key_hash: Digest,
}

impl PartialEq for HostedAgent {
    fn eq(&self, other: &Self) -> bool {
        (self.agent, self.key.public(), self.recovery_key_hash)
            == (other.agent, other.key.public(), other.recovery_key_hash)
    }
}

impl Eq for HostedAgent {}

/// What the vote guard outside the database says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GuardStatus {
    /// All that was signed here is known.
    Ready(Guard),
    /// What was signed here is not known; nothing that must be signed only once is signed.
    Stopped(String),
}

/// The engine's intervals, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Between rounds of reconciliation with a random peer.
    pub sync_ms: u64,
    /// Between sweeps of what has expired.
    pub sweep_ms: u64,
    /// How long a search waits for the network.
    pub search_ms: u64,
    /// Between announcements of what this node provides.
    pub provide_ms: u64,
    /// Between checkpoints that members of the network's committee here propose, at least; 0: they propose none.
    pub checkpoint_ms: u64,
    /// Between the tries to have a rater show receipts; an eighth of a rating epoch if not given.
    pub demand_ms: Option<u64>,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            sync_ms: 30_000,
            sweep_ms: 30_000,
            search_ms: 4_000,
            provide_ms: 300_000,
            checkpoint_ms: 60 * Millis::MINUTE,
            demand_ms: None,
        }
    }
}
