use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::behaviour::{ConnectionClosed, ConnectionEstablished, DialFailure, ListenFailure};
use libp2p::swarm::{
    CloseConnection, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};

use crate::clock;
use crate::paths::{is_circuit, relay_of};
use crate::probes::Probes;

/// How long two connections to one peer may overlap before the older one is closed.
const SETTLE: Duration = Duration::from_secs(3);
/// Tests that are open with one peer: as many as there are addresses to test at a time.
const TESTS_MAX: usize = 4;
/// How long one may stay open once a test with the same peer is done.
const TEST_REST: Duration = Duration::from_millis(500);
/// How long a test of an address may stay open.
const TEST_MAX: Duration = Duration::from_secs(5);

/// Keeps one connection per peer.
///
/// When two peers dial each other at once and both refuse "the second one", each may refuse what the other kept: both
/// connections close, and it begins again. So one side decides, the one with the smaller PeerId: it keeps its first
/// connection and refuses the other. The other side puts up with two until the decision arrives, and closes the older
/// one if none does. The deciding side gives way to a new inbound connection when its own has stood for a while: the
/// peer may have lost it without a word.
///
/// Two kinds do not count as second ones. A direct connection replaces one through a relay, which closes when requests
/// under way have had a moment to end. And a test of an address (AutoNAT) is a connection for a moment.
pub(crate) struct Duplicates {
    local: PeerId,
    probes: Probes,
    connections: BTreeMap<PeerId, Vec<(ConnectionId, Instant, Kind)>>,
    overlapping: BTreeMap<PeerId, Instant>,
    /// Tests that were let in and are not open yet.
    tests: BTreeSet<ConnectionId>,
    /// What is to close by itself, and when: tests, and relayed connections that were replaced.
    leaving: BTreeMap<ConnectionId, Leaving>,
    closing: VecDeque<(PeerId, ConnectionId)>,
    timer: Pin<Box<tokio::time::Sleep>>,
    waker: Option<Waker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Direct,
    Relayed,
}

#[derive(Clone, Copy, Debug)]
struct Leaving {
    peer: PeerId,
    at: Instant,
    is_test: bool,
}

impl Kind {
    fn of(address: &Multiaddr) -> Self {
        if is_circuit(address) { Self::Relayed } else { Self::Direct }
    }
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
    pub(crate) fn new(local: PeerId, probes: Probes) -> Self {
        Self {
            local,
            probes,
            connections: BTreeMap::new(),
            overlapping: BTreeMap::new(),
            tests: BTreeSet::new(),
            leaving: BTreeMap::new(),
            closing: VecDeque::new(),
            timer: Box::pin(tokio::time::sleep(SETTLE)),
            waker: None,
        }
    }

    /// Whether a connection is a test of an address and nothing more.
    pub(crate) fn is_test(&self, connection: ConnectionId) -> bool {
        self.leaving.get(&connection).is_some_and(|leaving| leaving.is_test)
    }

    fn decides(&self, peer: &PeerId) -> bool {
        self.local < *peer
    }

    fn open(&self, peer: &PeerId) -> &[(ConnectionId, Instant, Kind)] {
        self.connections.get(peer).map_or(&[], Vec::as_slice)
    }

    fn admit(&self, peer: &PeerId, kind: Kind, inbound: bool, now: Instant) -> Result<(), ConnectionDenied> {
        let is_direct = |(.., kind): &(_, _, Kind)| *kind == Kind::Direct;
        if kind == Kind::Relayed && self.open(peer).iter().any(is_direct) {
            return Err(ConnectionDenied::new(Duplicate));
        }
        let same: Vec<_> = self.open(peer).iter().filter(|(.., other)| *other == kind).collect();
        let admitted = match &same[..] {
            [] => true,
            [(_, since, _)] if self.decides(peer) => {
                inbound && now.saturating_duration_since(*since) >= SETTLE
            }
            [_] => true,
            _ => false,
        };
        if admitted { Ok(()) } else { Err(ConnectionDenied::new(Duplicate)) }
    }

    /// Lets a test in, beside the one connection that there is. More of them than are open at a time are second connections
    /// as any.
    fn admit_test(&mut self, peer: &PeerId, connection: ConnectionId, inbound: bool, now: Instant) -> bool {
        let tests = self.leaving.values().filter(|leaving| leaving.is_test && leaving.peer == *peer).count();
        let is_test = !self.open(peer).is_empty() && self.probes.is_probe(connection, peer, inbound, now);
        is_test && tests < TESTS_MAX && self.tests.insert(connection)
    }

    fn opened(&mut self, peer: PeerId, connection: ConnectionId, kind: Kind, now: Instant) {
        self.waker.take().into_iter().for_each(Waker::wake);
        if self.tests.remove(&connection) {
            self.leaving.insert(connection, Leaving { peer, at: now + TEST_MAX, is_test: true });
            return;
        }
        let decides = self.decides(&peer);
        let open = self.connections.entry(peer).or_default();
        let ids = |same: bool| {
            let of_kind = open.iter().filter(move |(.., other)| (*other == kind) == same);
            of_kind.map(|(id, ..)| *id).collect::<Vec<_>>()
        };
        let (same, others) = (ids(true), ids(false));
        if decides {
            self.closing.extend(same.iter().map(|older| (peer, *older)));
        } else if !same.is_empty() {
            self.overlapping.insert(peer, now + SETTLE);
        }
        if kind == Kind::Direct {
            let replaced = Leaving { peer, at: now + SETTLE, is_test: false };
            self.leaving.extend(others.iter().map(|relayed| (*relayed, replaced)));
        }
        open.push((connection, now, kind));
    }

    fn closed(&mut self, peer: PeerId, connection: ConnectionId) {
        self.leaving.remove(&connection);
        let Some(open) = self.connections.get_mut(&peer) else { return };
        open.retain(|(id, ..)| *id != connection);
        if open.len() < 2 {
            self.overlapping.remove(&peer);
        }
        // The last direct one went: what was to go may stay.
        if !open.iter().any(|(.., kind)| *kind == Kind::Direct) {
            let staying: Vec<_> =
                self.leaving.iter().filter(|(_, leaving)| leaving.peer == peer).map(|(id, _)| *id).collect();
            for id in staying {
                let was_test = self.leaving.remove(&id).is_some_and(|leaving| leaving.is_test);
                if was_test {
                    open.push((id, clock::now(), Kind::Direct));
                }
            }
        }
        if open.is_empty() {
            self.connections.remove(&peer);
        }
    }

    /// Closes what has had its time.
    fn leave(&mut self, now: Instant) {
        let done = self.probes.take_done();
        for leaving in self.leaving.values_mut().filter(|leaving| leaving.is_test) {
            // Others with the same peer may not be done yet, and which one is nobody says.
            if done.contains(&leaving.peer) {
                leaving.at = leaving.at.min(now + TEST_REST);
            }
        }
        let over = self.leaving.iter().filter(|(_, leaving)| leaving.at <= now);
        let over: Vec<_> = over.map(|(id, leaving)| (*id, leaving.peer)).collect();
        for (id, peer) in over {
            self.leaving.remove(&id);
            self.closing.push_back((peer, id));
        }
    }

    /// Closes the older of two connections whose time together is over.
    fn settle(&mut self, now: Instant) {
        let over: Vec<_> =
            self.overlapping.iter().filter(|(_, at)| **at <= now).map(|(peer, _)| *peer).collect();
        for peer in over {
            self.overlapping.remove(&peer);
            let mut open = self.open(&peer).to_vec();
            open.retain(|(id, ..)| !self.leaving.contains_key(id));
            if let [older @ .., _] = &open[..] {
                self.closing.extend(older.iter().map(|(id, ..)| (peer, *id)));
            }
        }
    }
}

impl NetworkBehaviour for Duplicates {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let (kind, now) = (Kind::of(local), clock::now());
        if kind == Kind::Direct && self.admit_test(&peer, connection, true, now) {
            return Ok(dummy::ConnectionHandler);
        }
        self.admit(&peer, kind, true, now).map(|()| dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let (kind, now) = (Kind::of(address), clock::now());
        if kind == Kind::Direct && self.admit_test(&peer, connection, false, now) {
            return Ok(dummy::ConnectionHandler);
        }
        self.admit(&peer, kind, false, now).map(|()| dummy::ConnectionHandler)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "only what opens and closes connections matters here")]
    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                ..
            }) => {
                let kind = if relay_of(endpoint).is_some() { Kind::Relayed } else { Kind::Direct };
                self.opened(peer_id, connection_id, kind, clock::now());
            }
            FromSwarm::DialFailure(DialFailure { connection_id, .. })
            | FromSwarm::ListenFailure(ListenFailure { connection_id, .. }) => {
                self.tests.remove(&connection_id);
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
            self.leave(clock::now());
            if let Some((peer_id, connection)) = self.closing.pop_front() {
                let connection = CloseConnection::One(connection);
                return Poll::Ready(ToSwarm::CloseConnection { peer_id, connection });
            }
            self.waker = Some(cx.waker().clone());
            let leaving = self.leaving.values().map(|leaving| leaving.at);
            let Some(first) = self.overlapping.values().copied().chain(leaving).min() else {
                return Poll::Pending;
            };
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

    fn duplicates(local: PeerId) -> Duplicates {
        Duplicates::new(local, Probes::default())
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
                let (mut at_low, mut at_high) = (duplicates(low), duplicates(high));
                let mut refused = Vec::new();
                for (side, peer, first) in
                    [(&mut at_low, high, first_at_low), (&mut at_high, low, first_at_high)]
                {
                    for connection in [first, 3 - first] {
                        if side.admit(&peer, Kind::Direct, connection == 1, now).is_ok() {
                            side.opened(peer, id(connection), Kind::Direct, now);
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
        let mut at_low = duplicates(low);
        at_low.opened(high, id(1), Kind::Direct, now);
        assert!(at_low.admit(&high, Kind::Direct, true, now + SETTLE / 2).is_err());
        assert!(at_low.admit(&high, Kind::Direct, false, now + SETTLE).is_err());
        assert!(at_low.admit(&high, Kind::Direct, true, now + SETTLE).is_ok());
        at_low.opened(high, id(2), Kind::Direct, now + SETTLE);
        assert_eq!(at_low.closing, [(high, id(1))]);
    }

    #[tokio::test]
    async fn without_a_decision_the_older_connection_closes_and_a_third_is_refused() {
        let ((low, high), now) = (pair(), clock::now());
        let mut at_high = duplicates(high);
        at_high.opened(low, id(1), Kind::Direct, now);
        at_high.opened(low, id(2), Kind::Direct, now);
        assert!(at_high.admit(&low, Kind::Direct, true, now + SETTLE).is_err());
        at_high.settle(now + SETTLE / 2);
        assert!(at_high.closing.is_empty());
        at_high.settle(now + SETTLE);
        assert_eq!(at_high.closing, [(low, id(1))]);
    }

    #[tokio::test]
    async fn a_direct_connection_replaces_one_through_a_relay_and_not_the_other_way() {
        let ((low, high), now) = (pair(), clock::now());
        for (local, peer) in [(low, high), (high, low)] {
            let mut at = duplicates(local);
            assert!(at.admit(&peer, Kind::Relayed, true, now).is_ok());
            at.opened(peer, id(1), Kind::Relayed, now);
            assert!(at.admit(&peer, Kind::Direct, false, now).is_ok(), "whoever decides, and at once");
            at.opened(peer, id(2), Kind::Direct, now);
            at.leave(now + SETTLE / 2);
            assert!(at.closing.is_empty(), "what is under way gets a moment");
            at.leave(now + SETTLE);
            assert_eq!(at.closing, [(peer, id(1))]);
            at.closed(peer, id(1));
            assert!(at.admit(&peer, Kind::Relayed, true, now + SETTLE * 2).is_err());
        }
    }

    #[tokio::test]
    async fn a_relayed_connection_stays_when_the_direct_one_fails_at_once() {
        let ((low, high), now) = (pair(), clock::now());
        let mut at = duplicates(low);
        at.opened(high, id(1), Kind::Relayed, now);
        at.opened(high, id(2), Kind::Direct, now);
        at.closed(high, id(2));
        at.leave(now + SETTLE * 2);
        assert!(at.closing.is_empty());
    }

    #[tokio::test]
    async fn crossing_dials_through_relays_leave_one_connection() {
        let ((low, high), now) = (pair(), clock::now());
        let mut at = duplicates(low);
        at.opened(high, id(1), Kind::Relayed, now);
        assert!(at.admit(&high, Kind::Relayed, true, now).is_err());
        let mut at = duplicates(high);
        at.opened(low, id(1), Kind::Relayed, now);
        assert!(at.admit(&low, Kind::Relayed, true, now).is_ok());
    }

    #[tokio::test]
    async fn tests_come_beside_the_one_connection_and_go_by_themselves() {
        let ((low, high), now) = (pair(), clock::now());
        for (local, peer) in [(low, high), (high, low)] {
            let probes = Probes::default();
            let mut at = Duplicates::new(local, probes.clone());
            assert!(!at.admit_test(&peer, id(1), true, now), "nobody was asked");
            probes.ask(peer, now);
            assert!(!at.admit_test(&peer, id(1), true, now), "who is not connected comes as a peer");
            at.opened(peer, id(1), Kind::Direct, now);
            let mut admitted = 0;
            for number in 2..20 {
                if at.admit_test(&peer, id(number), true, now) {
                    at.opened(peer, id(number), Kind::Direct, now);
                    admitted += 1;
                }
            }
            assert_eq!((admitted, at.open(&peer).len()), (TESTS_MAX, 1));
            assert!(at.closing.is_empty() && at.is_test(id(2)) && !at.is_test(id(1)));
            at.leave(now + TEST_MAX);
            assert_eq!(at.closing.len(), TESTS_MAX);
        }
    }

    #[tokio::test]
    async fn a_test_stays_when_the_connection_beside_it_goes() {
        let ((low, high), now) = (pair(), clock::now());
        let probes = Probes::default();
        probes.ask(high, now);
        let mut at = Duplicates::new(low, probes);
        at.opened(high, id(1), Kind::Direct, now);
        assert!(at.admit_test(&high, id(2), true, now));
        at.opened(high, id(2), Kind::Direct, now);
        at.closed(high, id(1));
        at.leave(now + TEST_MAX);
        assert_eq!((at.closing.len(), at.open(&high).len()), (0, 1));
    }
}
