use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use althing_record::NodeId;
use libp2p::Multiaddr;

use crate::{Learnt, Path, ReachMode, Reachability, Tests, Topic};

/// What the swarm looked like a moment ago: refreshed when connections change and at least every second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NetState {
    /// Addresses that this node listens on; not those through relays.
    pub listen: Vec<Multiaddr>,
    /// Connected peers that have an Ed25519 identity.
    pub peers: Vec<PeerState>,
    /// Connected peers with another kind of identity: plain libp2p peers, which have no [`NodeId`].
    pub nameless_peers: usize,
    /// Peers in Kademlia's routing table.
    pub routing_table: usize,
    /// Provider records stored for others and for this node.
    pub provider_records: usize,
    /// Peers in gossip's mesh, per topic.
    pub mesh: BTreeMap<Topic, usize>,
    /// Whether peers can dial this node, and how that is known.
    pub reach: ReachState,
}

/// Whether peers can dial this node, and how that is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReachState {
    /// What is known.
    pub reachability: Reachability,
    /// What the operator said.
    pub mode: ReachMode,
    /// Whether Kademlia answers others, or only asks.
    pub kademlia_serves: bool,
    /// Confirmed addresses, and how each was learnt.
    pub external: Vec<(Multiaddr, Learnt)>,
    /// Addresses that peers saw this node at, and what came of dialing them.
    pub observed: Vec<(Multiaddr, Tests)>,
    /// What the router said.
    pub upnp: Upnp,
    /// Relays that this node holds a place at.
    pub relays: Vec<NodeId>,
    /// The addresses that lead here through them.
    pub circuits: Vec<Multiaddr>,
    /// What to tell others: confirmed addresses, circuits, then where this node listens.
    pub published: Vec<Multiaddr>,
    /// What this node does as a relay; `None` if it is none.
    pub relaying: Option<Relaying>,
    /// Hole punches that worked, and that did not, since the start.
    pub punches: (u64, u64),
}

/// What the router says to being asked for a way in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Upnp {
    /// Nobody asks it.
    #[default]
    Off,
    /// It has not answered yet.
    Searching,
    /// No router answers.
    NoGateway,
    /// The router's own address is not public.
    NotRoutable,
    /// It maps an address.
    Mapped,
    /// It no longer maps any.
    Expired,
}

/// A relay's load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relaying {
    /// Places given.
    pub places: usize,
    /// Circuits open.
    pub circuits: usize,
    /// Requests for a place that were refused since the start.
    pub refused_places: u64,
    /// Requests for a circuit that were refused since the start.
    pub refused_circuits: u64,
}

/// One connected peer.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerState {
    /// Who.
    pub node: NodeId,
    /// The remote's address on the first connection.
    pub address: Multiaddr,
    /// Where it says that it listens, as far as that can be dialed; without its id.
    pub listens: Vec<Multiaddr>,
    /// Whether this node dialed.
    pub outbound: bool,
    /// What it calls itself, once Identify has answered.
    pub agent: Option<String>,
    /// Why it and this node do not understand each other in full: a protocol of which they share no version.
    pub mismatch: Option<String>,
    /// Whether it belongs to this network.
    pub membership: Membership,
    /// Since when it is connected.
    pub since: SystemTime,
    /// The last round trip.
    pub rtt: Option<Duration>,
    /// Its gossip score; below zero it misbehaved.
    pub score: Option<f64>,
    /// Which way its connection goes.
    pub path: Path,
    /// Whether it speaks a version of the engine's protocol that this node speaks, once Identify has answered.
    pub understood: Option<bool>,
}

/// Whether a peer belongs to this network. One that belongs to another is not connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Membership {
    /// Identify has not answered yet.
    #[default]
    Unknown,
    /// It speaks this network's protocols and named its full id.
    Member,
    /// A plain libp2p peer that names no network.
    Plain,
}
