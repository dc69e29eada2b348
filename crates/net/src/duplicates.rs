use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::behaviour::{ConnectionClosed, ConnectionEstablished};
use libp2p::swarm::{
    CloseConnection, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};

use crate::clock;

/// How long two connections to one peer may overlap before the older one is closed.
const SETTLE: Duration = Duration::from_secs(3);

/// Keeps one connection per peer.
///
/// When two peers dial each other at once and both refuse "the second one", each may refuse what the other kept: both
/// connections close, and it begins again. So one side decides, the one with the smaller PeerId: it keeps its first
/// connection and refuses the other. The other side puts up with two until the decision arrives, and closes the older
/// one if none does. The deciding side gives way to a new inbound connection when its own has stood for a while: the
/// peer may have lost it without a word.
pub(crate) struct Duplicates {
    local: PeerId,
    connections: BTreeMap<PeerId, Vec<(ConnectionId, Instant)>>,
    overlapping: BTreeMap<PeerId, Instant>,
    closing: VecDeque<(PeerId, ConnectionId)>,
    timer: Pin<Box<tokio::time::Sleep>>,
    waker: Option<Waker>,
}

/// A second connection to one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Duplicate;

impl fmt::Display for Duplicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("already connected to this peer")
    }
}

impl std::error::Error for Duplicate {}

impl Duplicates {
    /// # Panics
    /// Outside a tokio runtime.
    pub(crate) fn new(local: PeerId) -> Self {
        Self {
            local,
            connections: BTreeMap::new(),
            overlapping: BTreeMap::new(),
            closing: VecDeque::new(),
            timer: Box::pin(tokio::time::sleep(SETTLE)),
            waker: None,
        }
    }

    fn decides(&self, peer: &PeerId) -> bool {
        self.local < *peer
    }

    fn admit(&self, peer: &PeerId, inbound: bool, now: Instant) -> Result<(), ConnectionDenied> {
        let open = self.connections.get(peer).map_or(&[][..], Vec::as_slice);
        let admitted = match open {
            [] => true,
            [(_, since)] if self.decides(peer) => inbound && now.saturating_duration_since(*since) >= SETTLE,
            [_] => true,
            _ => false,
        };
        if admitted { Ok(()) } else { Err(ConnectionDenied::new(Duplicate)) }
    }

    fn opened(&mut self, peer: PeerId, connection: ConnectionId, now: Instant) {
        let decides = self.decides(&peer);
        let open = self.connections.entry(peer).or_default();
        if decides {
            self.closing.extend(open.iter().map(|(older, _)| (peer, *older)));
        } else if !open.is_empty() {
            self.overlapping.insert(peer, now + SETTLE);
        }
        open.push((connection, now));
        self.waker.take().into_iter().for_each(Waker::wake);
    }

    fn closed(&mut self, peer: PeerId, connection: ConnectionId) {
        let Some(open) = self.connections.get_mut(&peer) else { return };
        open.retain(|(id, _)| *id != connection);
        if open.len() < 2 {
            self.overlapping.remove(&peer);
        }
        if open.is_empty() {
            self.connections.remove(&peer);
        }
    }

    /// Closes the older of two connections whose time together is over.
    fn settle(&mut self, now: Instant) {
        let over: Vec<_> =
            self.overlapping.iter().filter(|(_, at)| **at <= now).map(|(peer, _)| *peer).collect();
        for peer in over {
            self.overlapping.remove(&peer);
            let open = self.connections.get(&peer).map_or(&[][..], Vec::as_slice);
            if let [older @ .., _] = open {
                self.closing.extend(older.iter().map(|(id, _)| (peer, *id)));
            }
        }
    }
}

impl NetworkBehaviour for Duplicates {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admit(&peer, true, clock::now()).map(|()| dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admit(&peer, false, clock::now()).map(|()| dummy::ConnectionHandler)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "only what opens and closes connections matters here")]
    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished { peer_id, connection_id, .. }) => {
                self.opened(peer_id, connection_id, clock::now());
            }
            FromSwarm::ConnectionClosed(ConnectionClosed { peer_id, connection_id, .. }) => {
                self.closed(peer_id, connection_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        loop {
            if let Some((peer_id, connection)) = self.closing.pop_front() {
                let connection = CloseConnection::One(connection);
                return Poll::Ready(ToSwarm::CloseConnection { peer_id, connection });
            }
            self.waker = Some(cx.waker().clone());
            let Some(first) = self.overlapping.values().min().copied() else { return Poll::Pending };
            if self.timer.deadline().into_std() != first {
                self.timer.as_mut().reset(first.into());
            }
            match self.timer.as_mut().poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(()) => self.settle(first),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (PeerId, PeerId) {
        let (a, b) = (PeerId::random(), PeerId::random());
        if a < b { (a, b) } else { (b, a) }
    }

    fn id(number: usize) -> ConnectionId {
        ConnectionId::new_unchecked(number)
    }

    /// Both sides establish the two crossing connections in every order; one must survive on both.
    #[tokio::test]
    async fn crossing_dials_leave_one_connection_whatever_the_order() {
        let ((low, high), now) = (pair(), clock::now());
        for first_at_low in [1, 2] {
            for first_at_high in [1, 2] {
                let (mut at_low, mut at_high) = (Duplicates::new(low), Duplicates::new(high));
                let mut refused = Vec::new();
                for (side, peer, first) in
                    [(&mut at_low, high, first_at_low), (&mut at_high, low, first_at_high)]
                {
                    for connection in [first, 3 - first] {
                        if side.admit(&peer, connection == 1, now).is_ok() {
                            side.opened(peer, id(connection), now);
                        } else {
                            refused.push(connection);
                        }
                    }
                }
                assert_eq!(refused.len(), 1, "one side refuses one connection");
                at_high.closed(low, id(refused[0]));
                assert_eq!(at_low.connections[&high].len(), 1);
                assert_eq!(at_low.connections[&high][0].0, at_high.connections[&low][0].0, "the same one");
                assert!(at_low.closing.is_empty() && at_high.closing.is_empty());
            }
        }
    }

    #[tokio::test]
    async fn an_old_connection_gives_way_to_a_peer_that_comes_back() {
        let ((low, high), now) = (pair(), clock::now());
        let mut at_low = Duplicates::new(low);
        at_low.opened(high, id(1), now);
        assert!(at_low.admit(&high, true, now + SETTLE / 2).is_err());
        assert!(at_low.admit(&high, false, now + SETTLE).is_err());
        assert!(at_low.admit(&high, true, now + SETTLE).is_ok());
        at_low.opened(high, id(2), now + SETTLE);
        assert_eq!(at_low.closing, [(high, id(1))]);
    }

    #[tokio::test]
    async fn without_a_decision_the_older_connection_closes_and_a_third_is_refused() {
        let ((low, high), now) = (pair(), clock::now());
        let mut at_high = Duplicates::new(high);
        at_high.opened(low, id(1), now);
        at_high.opened(low, id(2), now);
        assert!(at_high.admit(&low, true, now + SETTLE).is_err());
        at_high.settle(now + SETTLE / 2);
        assert!(at_high.closing.is_empty());
        at_high.settle(now + SETTLE);
        assert_eq!(at_high.closing, [(low, id(1))]);
    }
}
