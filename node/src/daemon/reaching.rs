//! What the swarm knows about paths between nodes, in the words of the local API.

use std::time::UNIX_EPOCH;

use althing_gateway::api::{
    Direction, ExternalAddress, ObservedAddress, PathKind, PeerPath, Reach, Reachability, Relaying,
};
use althing_gateway::{PeerInfo, Pinged};
use althing_net::{Learnt, Membership, Multiaddr, Net, NetState, Path, ReachMode, Transport, Upnp};
use althing_record::{Millis, NodeId};

use super::clock::millis;

/// The addresses to give to others: those beyond loopback, if there are any.
pub(crate) fn dialable(state: &NetState, node: NodeId) -> Vec<String> {
    let loopback = |address: &Multiaddr| {
        let text = address.to_string();
        text.starts_with("/ip4/127.") || text.starts_with("/ip6/::1/")
    };
    let all_loopback = state.listen.iter().all(loopback);
    let mut listen: Vec<_> =
        state.listen.iter().filter(|address| all_loopback || !loopback(address)).collect();
    listen.sort_by_key(|address| !address.to_string().contains("/tcp/"));
    listen.into_iter().map(|address| format!("{address}/p2p/{node}")).collect()
}

/// The addresses to sign in leases: where this node can be reached, as far as it knows.
pub(crate) fn published(state: &NetState, node: NodeId) -> Vec<String> {
    let with_id = |address: &Multiaddr| {
        let text = address.to_string();
        // Those through a relay name the node already.
        if text.contains("/p2p-circuit") { text } else { format!("{text}/p2p/{node}") }
    };
    state.reach.published.iter().map(with_id).collect()
}

/// Whether peers can dial this node.
pub(super) fn reach(state: &NetState) -> Reach {
    let reach = &state.reach;
    let texts = |addresses: &[Multiaddr]| addresses.iter().map(ToString::to_string).collect();
    Reach {
        schema: String::new(),
        reachability: match reach.reachability {
            althing_net::Reachability::Unknown => Reachability::Unknown,
            althing_net::Reachability::Local => Reachability::Local,
            althing_net::Reachability::Private => Reachability::Private,
            althing_net::Reachability::Public => Reachability::Public,
        },
        setting: match reach.mode {
            ReachMode::Auto => "auto".to_owned(),
            ReachMode::Server => "server".to_owned(),
            ReachMode::Client => "client".to_owned(),
        },
        kademlia: if reach.kademlia_serves { "server".to_owned() } else { "client".to_owned() },
        routing_table: state.routing_table,
        listen: texts(&state.listen),
        external: reach.external.iter().map(external).collect(),
        observed: reach
            .observed
            .iter()
            .map(|(address, tests)| ObservedAddress {
                address: address.to_string(),
                reached: tests.succeeded,
                failed: tests.failed,
            })
            .collect(),
        upnp: match reach.upnp {
            Upnp::Off => "off",
            Upnp::Searching => "searching",
            Upnp::NoGateway => "no_gateway",
            Upnp::NotRoutable => "not_routable",
            Upnp::Mapped => "mapped",
            Upnp::Expired => "expired",
        }
        .to_owned(),
        relays: reach.relays.iter().map(ToString::to_string).collect(),
        circuits: texts(&reach.circuits),
        relaying: reach.relaying.map(|relaying| Relaying {
            places: relaying.places,
            circuits: relaying.circuits,
            refused_places: relaying.refused_places,
            refused_circuits: relaying.refused_circuits,
        }),
        punched: reach.punches.0,
        punches_failed: reach.punches.1,
    }
}

fn external((address, learnt): &(Multiaddr, Learnt)) -> ExternalAddress {
    let learnt = match learnt {
        Learnt::AutoNat => "autonat",
        Learnt::Upnp => "upnp",
        Learnt::Inbound => "inbound",
        Learnt::Operator => "operator",
    };
    ExternalAddress { address: address.to_string(), learnt: learnt.to_owned() }
}

/// Sends one ping.
pub(super) fn ping(net: &Net, node: NodeId, addresses: &[String]) -> Pinged {
    let sent = if node == net.id() {
        Err("this is the node itself".to_owned())
    } else {
        let addresses = addresses.iter().filter_map(|address| address.parse().ok()).collect();
        net.ping(node, addresses).map_err(|error| error.to_string())
    };
    Box::pin(async move {
        match sent?.await {
            Ok(Ok(pong)) => {
                let us = u64::try_from(pong.round_trip.as_micros()).unwrap_or(u64::MAX);
                Ok((us, path(&pong.path)))
            }
            Ok(Err(failure)) => Err(failure.to_string()),
            Err(_) => Err("the node is stopping".to_owned()),
        }
    })
}

fn path(path: &Path) -> PeerPath {
    let carried = |kind, transport: &Transport| {
        let transport = match transport {
            Transport::Tcp => "tcp",
            Transport::Quic => "quic",
        };
        PeerPath { kind, transport: Some(transport.to_owned()), relay: None }
    };
    match path {
        Path::Direct { transport } => carried(PathKind::Direct, transport),
        Path::Punched { transport } => carried(PathKind::HolePunched, transport),
        Path::Relayed { relay } => {
            let relay = relay.map(|relay| relay.to_string());
            PeerPath { kind: PathKind::Relayed, transport: None, relay }
        }
    }
}

/// A connected peer.
pub(super) fn peer_info(peer: &althing_net::PeerState) -> PeerInfo {
    PeerInfo {
        node: peer.node.to_string(),
        addresses: vec![peer.address.to_string()],
        direction: if peer.outbound { Direction::Outbound } else { Direction::Inbound },
        same_network: match peer.membership {
            Membership::Unknown => None,
            Membership::Member => Some(true),
            Membership::Plain => Some(false),
        },
        program: peer.agent.clone(),
        connected: peer.since.duration_since(UNIX_EPOCH).ok().map(|since| Millis(millis(since))),
        path: Some(path(&peer.path)),
        understood: peer.understood.filter(|_| peer.membership == Membership::Member),
        round_trip_us: peer.rtt.map(|rtt| u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX)),
    }
}
