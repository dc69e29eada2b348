use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use althing_a2a::BasePath;
use althing_record::{AgentId, AgentKey};
use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::Origin;

/// An agent that other nodes may call, and what is behind it.
#[derive(Clone, Debug)]
pub struct Exposure {
    /// The agent.
    pub agent: AgentId,
    /// The key that signs its Accepts.
    pub key: Arc<AgentKey>,
    /// Its skill paths; an Accept names the one that was asked for, if it is one of them.
    pub skills: Vec<String>,
    /// What it is reached at.
    pub doors: Doors,
    /// The owner's card, byte for byte.
    pub card: Bytes,
    /// What answers.
    pub origin: Arc<dyn Origin>,
    /// A place for each call under way.
    pub calls: Arc<Semaphore>,
    /// How many places there are.
    pub calls_max: usize,
}

/// Which targets of an origin may be asked for: nothing else of it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doors {
    /// Where JSON-RPC goes: path and query.
    pub rpc: Option<String>,
    /// Below what every other target stays.
    pub below: BasePath,
    /// Whether there is anything: the paths of HTTP+JSON.
    pub rest: bool,
}

/// The agents that are exposed here.
#[derive(Clone, Debug, Default)]
pub struct Exposures(Arc<RwLock<BTreeMap<AgentId, Arc<Exposure>>>>);

impl Exposures {
    /// Exposes an agent, in place of what was exposed as that agent before.
    pub fn insert(&self, exposure: Exposure) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(exposure.agent, Arc::new(exposure));
    }

    /// No longer exposes an agent. Calls under way go on.
    pub fn remove(&self, agent: AgentId) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&agent);
    }

    /// What is exposed as an agent.
    #[must_use]
    pub fn of(&self, agent: AgentId) -> Option<Arc<Exposure>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&agent).cloned()
    }

    /// All that is exposed, by agent.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Exposure>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}
