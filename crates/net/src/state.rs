use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use althing_record::NodeId;
use libp2p::Multiaddr;

use crate::Topic;

/// What the swarm looked like a moment ago: refreshed when connections change and at least every second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NetState {
    /// Addresses that this node listens on.
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
