use std::collections::BTreeMap;
use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
    ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};

use crate::clock;

/// Peers whose addresses are remembered; the one that would be forgotten first makes room.
const PEERS_MAX: usize = 1024;
/// How long.
const HOLD: Duration = Duration::from_secs(600);

/// Where providers said that they are. Kademlia forgets it with the lookup, and a node behind NAT is in no routing
/// table.
#[derive(Debug, Default)]
pub(crate) struct Addresses(BTreeMap<PeerId, (Vec<Multiaddr>, Instant)>);

impl Addresses {
    /// Remembers where a peer is, in place of what was known. The caller has bounded and filtered the addresses.
    pub(crate) fn note(&mut self, peer: PeerId, addresses: Vec<Multiaddr>, now: Instant) {
        if addresses.is_empty() {
            return;
        }
        if !self.0.contains_key(&peer) && self.0.len() >= PEERS_MAX {
            let first = self.0.iter().min_by_key(|(_, (_, until))| *until).map(|(peer, _)| *peer);
            first.and_then(|peer| self.0.remove(&peer));
        }
        self.0.insert(peer, (addresses, now + HOLD));
    }
}

impl NetworkBehaviour for Addresses {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: Option<PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        let known = peer.and_then(|peer| self.0.get(&peer)).filter(|(_, until)| *until > clock::now());
        Ok(known.map(|(addresses, _)| addresses.clone()).unwrap_or_default())
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(book: &mut Addresses, peer: PeerId) -> usize {
        let id = ConnectionId::new_unchecked(1);
        book.handle_pending_outbound_connection(id, Some(peer), &[], Endpoint::Dialer).map_or(0, |a| a.len())
    }

    #[test]
    fn addresses_are_given_while_they_hold_and_the_oldest_make_room() {
        let (mut book, now) = (Addresses::default(), clock::now());
        let address: Multiaddr = "/ip4/192.0.2.1/tcp/1".parse().expect("an address");
        let (old, first) = (PeerId::random(), PeerId::random());
        book.note(
            old,
            vec![address.clone()],
            now.checked_sub(HOLD).expect("a clock that has run for a while"),
        );
        assert_eq!(known(&mut book, old), 0, "its time is over");
        book.note(first, vec![address.clone()], now);
        assert_eq!(known(&mut book, first), 1);
        for second in 1..2 * PEERS_MAX as u64 {
            book.note(PeerId::random(), vec![address.clone()], now + Duration::from_secs(second));
        }
        assert_eq!((book.0.len(), known(&mut book, first)), (PEERS_MAX, 0));
    }
}
