use althing_record::Millis;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Document, PeerPath, document, rfc3339};
use crate::PeerInfo;

/// The answer of `GET /v1/peers`: who this node is connected to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Peers {
    /// Always `althing.peers/v1`.
    #[schema(example = "althing.peers/v1")]
    pub schema: String,
    /// One row for each connected peer.
    pub peers: Vec<Peer>,
}

document!(Peers, "althing.peers/v1");

impl From<Vec<PeerInfo>> for Peers {
    fn from(peers: Vec<PeerInfo>) -> Self {
        Self { schema: Self::SCHEMA.to_owned(), peers: peers.into_iter().map(Peer::from).collect() }
    }
}

/// A connected peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Peer {
    /// The peer's PeerId.
    #[schema(example = "12D3KooWHCJbJKGDfCgHSoCuK9q4STyRnVveqLoXAPBbXHTZx9Cv")]
    pub node: String,
    /// The addresses of its connections, as multiaddrs.
    pub addresses: Vec<String>,
    /// Who dialled.
    pub direction: Direction,
    /// Whether it speaks this network's protocol, as far as is known yet.
    pub same_network: Option<bool>,
    /// The program that it says it is.
    pub program: Option<String>,
    /// Since when it is connected.
    pub connected: Option<String>,
    /// The same in milliseconds since 1970.
    pub connected_ms: Option<u64>,
    /// The last measured round trip, in microseconds.
    pub round_trip_us: Option<u64>,
    /// Which way the connection goes.
    pub path: Option<PeerPath>,
    /// Whether it speaks a version of the protocols that this node speaks, as far as is known yet.
    pub understood: Option<bool>,
}

impl From<PeerInfo> for Peer {
    fn from(peer: PeerInfo) -> Self {
        Self {
            node: peer.node,
            addresses: peer.addresses,
            direction: peer.direction,
            same_network: peer.same_network,
            program: peer.program,
            connected: peer.connected.map(rfc3339),
            connected_ms: peer.connected.map(|Millis(ms)| ms),
            round_trip_us: peer.round_trip_us,
            path: peer.path,
            understood: peer.understood,
        }
    }
}

/// Who opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The peer dialled this node.
    Inbound,
    /// This node dialled the peer.
    Outbound,
}
