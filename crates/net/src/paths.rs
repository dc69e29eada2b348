use std::net::IpAddr;

use althing_record::NodeId;
use libp2p::core::ConnectedPoint;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};

use crate::peers::node_of;
use crate::range::ip_of;

/// How a connection runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// From one machine to the other.
    Direct {
        /// By which transport.
        transport: Transport,
    },
    /// Through a relay, which passes on what it cannot read.
    Relayed {
        /// Through whom; `None` for a relay whose identity is no node's.
        relay: Option<NodeId>,
    },
    /// From one machine to the other, opened by both at once after they had met through a relay.
    Punched {
        /// By which transport.
        transport: Transport,
    },
}

/// What carries a direct connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP with Noise and Yamux.
    Tcp,
    /// QUIC.
    Quic,
}

impl Path {
    /// The path of a connection, given whether hole punching opened it.
    pub(crate) fn of(endpoint: &ConnectedPoint, punched: bool) -> Self {
        if let Some(relay) = relay_of(endpoint) {
            return Self::Relayed { relay: node_of(&relay) };
        }
        let is_quic = endpoint.get_remote_address().iter().any(|part| part == Protocol::QuicV1);
        let transport = if is_quic { Transport::Quic } else { Transport::Tcp };
        if punched { Self::Punched { transport } } else { Self::Direct { transport } }
    }

    /// Whether nobody is in between.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        !matches!(self, Self::Relayed { .. })
    }
}

/// Whether an address leads through a relay.
pub(crate) fn is_circuit(address: &Multiaddr) -> bool {
    address.iter().any(|part| part == Protocol::P2pCircuit)
}

/// The relay in an address: the peer named before `/p2p-circuit`.
pub(crate) fn relay_in(address: &Multiaddr) -> Option<PeerId> {
    let mut relay = None;
    for part in address.iter() {
        match part {
            Protocol::P2p(peer) => relay = Some(peer),
            Protocol::P2pCircuit => return relay,
            _ => {}
        }
    }
    None
}

/// The relay that a connection runs through.
pub(crate) fn relay_of(endpoint: &ConnectedPoint) -> Option<PeerId> {
    match endpoint {
        ConnectedPoint::Dialer { address, .. } => relay_in(address),
        ConnectedPoint::Listener { local_addr, .. } => relay_in(local_addr),
    }
}

/// The nearest machine on the way to a peer: its own, or the relay's. The peer cannot choose it freely.
pub(crate) fn hop_of(endpoint: &ConnectedPoint) -> Option<IpAddr> {
    match endpoint {
        ConnectedPoint::Listener { local_addr, .. } if is_circuit(local_addr) => ip_of(local_addr),
        ConnectedPoint::Dialer { .. } | ConnectedPoint::Listener { .. } => {
            ip_of(endpoint.get_remote_address())
        }
    }
}

#[cfg(test)]
mod tests {
    use libp2p::core::Endpoint;
    use libp2p::core::transport::PortUse;

    use super::*;

    #[test]
    fn a_circuit_is_told_by_its_own_side_of_the_connection() {
        let (relay, peer) = (PeerId::random(), PeerId::random());
        let circuit: Multiaddr =
            format!("/ip4/192.0.2.1/tcp/4001/p2p/{relay}/p2p-circuit").parse().expect("an address");
        let remote: Multiaddr = format!("/p2p/{peer}").parse().expect("an address");
        let inbound = ConnectedPoint::Listener { local_addr: circuit.clone(), send_back_addr: remote };
        let outbound = ConnectedPoint::Dialer {
            address: circuit.with(Protocol::P2p(peer)),
            role_override: Endpoint::Dialer,
            port_use: PortUse::New,
        };
        for endpoint in [inbound, outbound] {
            assert_eq!(relay_of(&endpoint), Some(relay));
            assert_eq!(hop_of(&endpoint), Some([192, 0, 2, 1].into()), "the relay's address, not none");
            assert!(!Path::of(&endpoint, true).is_direct());
        }
        let address: Multiaddr =
            format!("/ip4/192.0.2.1/udp/9/quic-v1/p2p/{peer}").parse().expect("an address");
        let direct =
            ConnectedPoint::Dialer { address, role_override: Endpoint::Dialer, port_use: PortUse::New };
        assert_eq!(relay_of(&direct), None);
        assert_eq!(Path::of(&direct, true), Path::Punched { transport: Transport::Quic });
        assert_eq!(Path::of(&direct, false), Path::Direct { transport: Transport::Quic });
    }
}
