use std::collections::BTreeSet;
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::dcutr;
use libp2p::swarm::behaviour::{ConnectionClosed, DialFailure};
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
    ToSwarm,
};
use libp2p::{Multiaddr, PeerId};

use crate::paths::is_circuit;
use crate::range::ip_of;

/// Addresses that a peer may have this node try at once. libp2p keeps 20 of its own to send.
const ADDRESSES_MAX: usize = 20;

/// Hole punching (DCUtR) within bounds: libp2p dials every address that the other side sends.
pub(crate) struct Punch {
    inner: dcutr::Behaviour,
    loopback_allowed: bool,
    dialing: BTreeSet<ConnectionId>,
}

/// Why no hole is punched.
#[derive(Debug, thiserror::Error)]
#[error("a peer asks to be dialed at too many addresses, or at ones of this machine")]
pub(crate) struct PunchRefusal;

impl Punch {
    pub(crate) fn new(local: PeerId, loopback_allowed: bool) -> Self {
        Self { inner: dcutr::Behaviour::new(local), loopback_allowed, dialing: BTreeSet::new() }
    }

    fn admit(&self, addresses: &[Multiaddr]) -> bool {
        let good = |address: &Multiaddr| {
            let far = |ip: std::net::IpAddr| {
                let ip = ip.to_canonical();
                !ip.is_multicast() && !ip.is_unspecified() && (self.loopback_allowed || !ip.is_loopback())
            };
            !is_circuit(address) && ip_of(address).is_some_and(far)
        };
        addresses.len() <= ADDRESSES_MAX && addresses.iter().all(good)
    }
}

impl NetworkBehaviour for Punch {
    type ConnectionHandler = THandler<dcutr::Behaviour>;
    type ToSwarm = dcutr::Event;

    fn handle_pending_outbound_connection(
        &mut self,
        connection: ConnectionId,
        _: Option<PeerId>,
        addresses: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        if self.dialing.contains(&connection) && !self.admit(addresses) {
            return Err(ConnectionDenied::new(PunchRefusal));
        }
        Ok(Vec::new())
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner.handle_established_inbound_connection(connection, peer, local, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner.handle_established_outbound_connection(connection, peer, address, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::DialFailure(DialFailure { connection_id, .. })
        | FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, .. }) = &event
        {
            self.dialing.remove(connection_id);
        }
        self.inner.on_swarm_event(event);
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.inner.on_connection_handler_event(peer, connection, event);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<dcutr::Event, THandlerInEvent<Self>>> {
        let polled = self.inner.poll(cx);
        if let Poll::Ready(ToSwarm::Dial { opts }) = &polled {
            self.dialing.insert(opts.connection_id());
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_cannot_have_this_node_knock_anywhere_it_likes() {
        let mut punch = Punch::new(PeerId::random(), false);
        let id = ConnectionId::new_unchecked(1);
        let mut dial = |dialing: bool, addresses: &[String]| {
            let addresses: Vec<_> = addresses.iter().map(|text| text.parse().expect("an address")).collect();
            if dialing {
                punch.dialing.insert(id)
            } else {
                punch.dialing.remove(&id)
            };
            punch.handle_pending_outbound_connection(id, None, &addresses, Endpoint::Dialer).is_ok()
        };
        let many = |count| (0..count).map(|n| format!("/ip4/198.51.100.{n}/tcp/1")).collect::<Vec<_>>();
        assert!(dial(true, &many(ADDRESSES_MAX)));
        assert!(!dial(true, &many(ADDRESSES_MAX + 1)));
        assert!(dial(false, &many(ADDRESSES_MAX + 1)), "a dial of somebody else");
        let circuit = format!("/ip4/198.51.100.1/tcp/1/p2p/{}/p2p-circuit", PeerId::random());
        for address in ["/ip4/127.0.0.1/tcp/22", "/ip4/224.0.0.1/tcp/1", "/dns/a.b/tcp/1", &circuit] {
            assert!(!dial(true, &[address.to_owned()]), "{address}");
        }
    }
}
