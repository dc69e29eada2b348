use althing_record::{NetworkId, NodeKey};
use libp2p::Multiaddr;
use tokio::sync::mpsc;

use crate::{Channel, Limits, Profile, ReachMode, Shelf};

/// What one swarm needs to know before it starts.
#[derive(Clone, Debug)]
pub struct Config {
    /// The node's network key; its public half is the PeerId.
    pub key: NodeKey,
    /// Which mesh this node belongs to.
    pub network: NetworkId,
    /// Addresses to listen on. Port 0 lets the operating system choose.
    pub listen: Vec<Multiaddr>,
    /// Addresses to dial while the node has no peers. They may end in `/p2p/…`.
    pub bootstrap: Vec<Multiaddr>,
    /// Whether to look for other nodes on the local network, and be found there, by multicast DNS.
    pub mdns: bool,
    /// Whether peers can dial this node, if that is known.
    pub reachability: ReachMode,
    /// Whether to relay for nodes behind NAT, once peers can dial this one.
    pub relay: bool,
    /// Whether to ask the router for a way in (UPnP).
    pub upnp: bool,
    /// The open internet, or a test network on one machine.
    pub profile: Profile,
    /// What is kept over a restart, and where changes of it go; `None` keeps nothing.
    pub shelf: Option<Shelf>,
    /// Where streams go that members open. When it is full they are told that this node is busy; without it, the protocols
    /// are not offered.
    pub streams: Option<mpsc::Sender<Channel>>,
    /// The bounds.
    pub limits: Limits,
}
