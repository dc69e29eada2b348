use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Document, document};

/// The answer of `GET /v1/reach`: whether peers can dial this node, and how that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reach {
    /// Always `althing.reach/v1`.
    #[schema(example = "althing.reach/v1")]
    pub schema: String,
    /// What is known.
    pub reachability: Reachability,
    /// What the setting `reachability` says: auto, server or client.
    #[schema(example = "auto")]
    pub setting: String,
    /// Whether Kademlia answers others (`server`), or only asks (`client`).
    #[schema(example = "server")]
    pub kademlia: String,
    /// Peers in Kademlia's routing table.
    pub routing_table: usize,
    /// Where the node listens, as multiaddrs.
    pub listen: Vec<String>,
    /// Confirmed addresses.
    pub external: Vec<ExternalAddress>,
    /// Addresses that peers saw this node at, and what came of dialing them.
    pub observed: Vec<ObservedAddress>,
    /// What the router says (UPnP): off, searching, no_gateway, not_routable, mapped or expired.
    #[schema(example = "no_gateway")]
    pub upnp: String,
    /// Relays that the node holds a place at, by PeerId.
    pub relays: Vec<String>,
    /// The addresses that lead to it through them.
    pub circuits: Vec<String>,
    /// What it does as a relay; absent if it is none.
    pub relaying: Option<Relaying>,
    /// Hole punches that worked since the start.
    pub punched: u64,
    /// Hole punches that did not.
    pub punches_failed: u64,
}

document!(Reach, "althing.reach/v1");

/// Whether peers can dial a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reachability {
    /// Not known yet.
    #[default]
    Unknown,
    /// All addresses are loopback or private: there is no NAT to speak of.
    Local,
    /// Peers tried and could not.
    Private,
    /// An address is confirmed.
    Public,
}

/// An address that peers can dial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExternalAddress {
    /// The multiaddr.
    pub address: String,
    /// How it was learnt: `autonat` (a peer dialed it), `upnp` (the router maps it), `inbound` (a peer came in at it) or
    /// `operator` (the setting says so).
    #[schema(example = "autonat")]
    pub learnt: String,
}

/// An address that peers saw a node at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ObservedAddress {
    /// The multiaddr.
    pub address: String,
    /// Peers that could dial it.
    pub reached: usize,
    /// Peers that could not.
    pub failed: usize,
}

/// A relay's load.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Relaying {
    /// Places given to nodes behind NAT.
    pub places: usize,
    /// Circuits open.
    pub circuits: usize,
    /// Requests for a place that were refused since the start.
    pub refused_places: u64,
    /// Requests for a circuit that were refused since the start.
    pub refused_circuits: u64,
}

/// Which way a connection goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PeerPath {
    /// Its kind.
    pub kind: PathKind,
    /// What carries it: `tcp` or `quic`; absent through a relay.
    pub transport: Option<String>,
    /// The relay's PeerId, through a relay.
    pub relay: Option<String>,
}

/// The kind of a [`PeerPath`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PathKind {
    /// From one machine to the other.
    Direct,
    /// The same, opened by hole punching.
    HolePunched,
    /// Through a relay.
    Relayed,
}

impl PeerPath {
    /// Whether nobody is in between.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        self.kind != PathKind::Relayed
    }
}

impl std::fmt::Display for PeerPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let transport = match self.transport.as_deref() {
            Some("quic") => "QUIC",
            Some("tcp") => "TCP",
            Some(other) => other,
            None => "?",
        };
        match self.kind {
            PathKind::Direct => write!(f, "direct ({transport})"),
            PathKind::HolePunched => write!(f, "direct ({transport}, hole punched)"),
            PathKind::Relayed => write!(f, "via relay {}", self.relay.as_deref().unwrap_or("?")),
        }
    }
}

/// The query of `GET /v1/ping`: one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PingQuery {
    /// The node, by PeerId.
    pub node: Option<String>,
    /// The agent whose nodes to ping, `did:key:z6Mk…`: the first one that answers.
    pub agent: Option<String>,
}

/// The answer of `GET /v1/ping`: one round trip to a node, or why there was none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ping {
    /// Always `althing.ping/v1`.
    #[schema(example = "althing.ping/v1")]
    pub schema: String,
    /// The node that answered, or that was tried last.
    pub node: String,
    /// How long the payload took there and back, in microseconds; absent if there was no answer.
    pub round_trip_us: Option<u64>,
    /// Which way it went.
    pub path: Option<PeerPath>,
    /// Why there was no answer.
    pub cause: Option<String>,
}

document!(Ping, "althing.ping/v1");

impl Ping {
    /// What became of a ping.
    #[must_use]
    pub fn new(node: String, outcome: Result<(u64, PeerPath), String>) -> Self {
        let (answer, cause) = match outcome {
            Ok(answer) => (Some(answer), None),
            Err(cause) => (None, Some(cause)),
        };
        let (round_trip_us, path) = answer.unzip();
        Self { schema: Self::SCHEMA.to_owned(), node, round_trip_us, path, cause }
    }
}
