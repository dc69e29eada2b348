use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use althing_engine::{Answer, Ask};
use althing_record::{Millis, NodeId};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use crate::api::{Direction, PeerPath, ProtocolHealth, Reach};
use crate::{Calls, StoreDesk};

/// An [`Ask`] and where its one [`Answer`] goes.
pub type Asked = (Ask, oneshot::Sender<Answer>);

/// What becomes of a ping: the round trip in microseconds and its path, or why there was none.
pub type Pinged = Pin<Box<dyn Future<Output = Result<(u64, PeerPath), String>> + Send>>;

/// What the gateway needs of the node.
///
/// The closures are called on the gateway's tasks for every request that needs them: they must not block.
#[derive(Clone)]
pub struct Backend {
    /// To the engine. Bounded: when it is full, the gateway answers 503.
    pub asks: mpsc::Sender<Asked>,
    /// Who the node is connected to.
    pub peers: Arc<dyn Fn() -> Vec<PeerInfo> + Send + Sync>,
    /// Whether peers can dial the node; its `schema` is filled in.
    pub reach: Arc<dyn Fn() -> Reach + Send + Sync>,
    /// Sends one ping, at these addresses and those that are known.
    pub ping: Arc<dyn Fn(NodeId, Vec<String>) -> Pinged + Send + Sync>,
    /// The addresses that peers can dial, as multiaddrs.
    pub listen: Arc<dyn Fn() -> Vec<String> + Send + Sync>,
    /// The metrics in OpenMetrics text, up to and including `# EOF`.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Whether the node is ready, or else what is missing.
    pub ready: Arc<dyn Fn() -> Result<(), Vec<String>> + Send + Sync>,
    /// How each protocol is doing.
    pub health: Arc<dyn Fn() -> Vec<ProtocolHealth> + Send + Sync>,
    /// The store, for what goes past the engine.
    pub store: Arc<dyn StoreDesk>,
    /// Calls to agents, and the agents that are exposed here.
    pub calls: Calls,
    /// The sequence number below which the journal holds every event; when it changes, streams ask for more.
    pub journaled: watch::Receiver<u64>,
    /// Notified when a client asks the node to stop. The node then stops everything, this gateway included.
    pub shutdown: Arc<Notify>,
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend").field("asks", &self.asks).finish_non_exhaustive()
    }
}

/// A peer that the node is connected to, as the network layer reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerInfo {
    /// Its PeerId; any key type, so a text.
    pub node: String,
    /// The addresses of its connections, as multiaddrs.
    pub addresses: Vec<String>,
    /// Who dialled.
    pub direction: Direction,
    /// Whether it speaks this network's protocol, once that is known.
    pub same_network: Option<bool>,
    /// The program that it says it is (Identify's agent version).
    pub program: Option<String>,
    /// Since when it is connected.
    pub connected: Option<Millis>,
    /// The last measured round trip, in microseconds.
    pub round_trip_us: Option<u64>,
    /// Which way the connection goes.
    pub path: Option<PeerPath>,
    /// Whether it speaks a version of the protocols that this node speaks, once that is known.
    pub understood: Option<bool>,
}
