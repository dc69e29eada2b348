use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use althing_engine::Refusal;
use althing_record::{AgentId, NetworkId};
use althing_tunnel::{CallLog, Caller, Exposures, Identity};

use crate::api::{ExposeRequest, Exposed, KeyRotated, Unexposed};

/// What the desk is about to do.
pub type Doing<T> = Pin<Box<dyn Future<Output = Result<T, Refusal>> + Send>>;

/// What the gateway needs of the node to call agents and to expose some.
#[derive(Clone)]
pub struct Calls {
    /// The network.
    pub network: NetworkId,
    /// Calls agents.
    pub caller: Caller,
    /// The agents that are exposed here.
    pub exposures: Exposures,
    /// Calls that end at agents exposed here.
    pub log: CallLog,
    /// Who calls for local clients: the node's default agent.
    pub identity: Option<Identity>,
    /// Exposes agents.
    pub desk: Arc<dyn CallDesk>,
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls").field("caller", &self.caller).finish_non_exhaustive()
    }
}

/// A client for as long as which an agent stays exposed.
#[derive(Debug)]
pub struct Hold {
    /// The agent's local name.
    pub name: String,
    /// Which exposure of that name.
    pub number: u64,
}

/// Exposes agents, takes that back, and renews their keys.
pub trait CallDesk: Send + Sync {
    /// Finds an agent's card, tries the agent, signs and publishes, and takes calls from then on.
    fn expose(&self, wish: ExposeRequest) -> Doing<Exposed>;

    /// No longer takes calls for an agent, and takes its card back. By local name or did.
    fn unexpose(&self, name: String) -> Doing<Unexposed>;

    /// Has a new key speak for an agent. By local name or did.
    fn rotate(&self, name: String) -> Doing<KeyRotated>;

    /// Keeps an agent exposed until it is released, if it is exposed. By local name or did.
    fn hold(&self, name: &str) -> Option<Hold>;

    /// Gives up a hold. What is held by nobody and is not to stay is no longer exposed.
    fn release(&self, hold: Hold);

    /// What is exposed, by local name.
    fn exposed(&self) -> Vec<Exposed>;

    /// The agent of a local name.
    fn agent(&self, name: &str) -> Option<AgentId>;
}
