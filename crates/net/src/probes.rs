//! AutoNAT, version 2, within bounds: libp2p's client keeps every address that anybody claims to have seen, and its server
//! dials whatever it is asked to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use libp2p::autonat::v2::{client, server};
use libp2p::core::transport::PortUse;
use libp2p::core::{ConnectedPoint, Endpoint};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::behaviour::{
    ConnectionClosed, ConnectionEstablished, DialFailure, NewExternalAddrCandidate,
};
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, DialError, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};

use crate::bucket::Buckets;
use crate::clock;
use crate::paths::{hop_of, is_circuit, relay_of};
use crate::range::ip_of;

/// Peers whose addresses this node tests at a time.
const DIALS_MAX: usize = 8;
/// Tests for one peer at once, and per second after that.
const DIALS_OF_PEER: (f64, f64) = (8.0, 0.1);
/// How long a dial for a test may take. The asker waits ten seconds, and silence would tell it nothing.
const DIAL_MAX: Duration = Duration::from_secs(4);
/// How long after its last question a peer may come in for the test that it was asked for.
const ANSWER_MAX: Duration = Duration::from_secs(12);

/// Which connections are tests and no second connection to a peer. Shared with what refuses connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Probes(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// Dials of ours for others' tests, and since when.
    dialing: BTreeMap<ConnectionId, (PeerId, Instant)>,
    /// Tests that are done, whose connections may go.
    done: Vec<PeerId>,
    /// Whom this node asked for a test, and when last.
    asked: BTreeMap<PeerId, Instant>,
}

impl Probes {
    /// Whether a new connection is a test.
    pub(crate) fn is_probe(
        &self,
        connection: ConnectionId,
        peer: &PeerId,
        inbound: bool,
        now: Instant,
    ) -> bool {
        let known = self.known();
        if inbound {
            let recent = |asked: &Instant| now.saturating_duration_since(*asked) < ANSWER_MAX;
            known.asked.get(peer).is_some_and(recent)
        } else {
            known.dialing.contains_key(&connection)
        }
    }

    /// This node asks a peer for a test.
    pub(crate) fn ask(&self, peer: PeerId, now: Instant) {
        let asked = &mut self.known().asked;
        asked.retain(|_, asked| now.saturating_duration_since(*asked) < ANSWER_MAX);
        asked.insert(peer, now);
    }

    /// Peers whose tests by this node are done.
    pub(crate) fn take_done(&self) -> Vec<PeerId> {
        std::mem::take(&mut self.known().done)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        // Nothing in here leaves it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks others to dial the addresses that it is told of.
pub(crate) struct ProbeClient {
    inner: client::Behaviour,
    /// Addresses for hole punching to try, too.
    told: VecDeque<Multiaddr>,
    /// Dials of ours for others' tests: they are over too soon to ask anything on them.
    tests: BTreeSet<ConnectionId>,
    probes: Probes,
}

impl ProbeClient {
    pub(crate) fn new(probes: Probes) -> Self {
        Self { inner: client::Behaviour::default(), told: VecDeque::new(), tests: BTreeSet::new(), probes }
    }

    /// Has an address tested. The caller bounds how many.
    pub(crate) fn test(&mut self, address: &Multiaddr) {
        let event = NewExternalAddrCandidate { addr: address };
        self.inner.on_swarm_event(FromSwarm::NewExternalAddrCandidate(event));
        self.told.push_back(address.clone());
    }
}

/// Dials peers where they ask to be dialed: at the address that they come from, and nowhere else.
pub(crate) struct ProbeServer {
    inner: server::Behaviour,
    probes: Probes,
    buckets: Buckets,
    /// Where connected peers come from.
    seen: BTreeMap<ConnectionId, (PeerId, IpAddr)>,
    timer: std::pin::Pin<Box<tokio::time::Sleep>>,
}

/// Why a test was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProbeRefusal {
    #[error("the peer asks to be dialed where it does not come from")]
    Elsewhere,
    #[error("too many tests")]
    TooMany,
}

impl ProbeServer {
    /// # Panics
    /// Outside a tokio runtime.
    pub(crate) fn new(probes: Probes) -> Self {
        let (burst, rate) = DIALS_OF_PEER;
        Self {
            inner: server::Behaviour::default(),
            probes,
            buckets: Buckets::new(rate, burst),
            seen: BTreeMap::new(),
            timer: Box::pin(tokio::time::sleep(DIAL_MAX)),
        }
    }

    /// Whether a peer may be dialed there.
    fn admit(&mut self, peer: &PeerId, addresses: &[Multiaddr], now: Instant) -> Result<(), ProbeRefusal> {
        let comes_from = |ip| self.seen.values().any(|seen| *seen == (*peer, ip));
        let home = |address: &Multiaddr| !is_circuit(address) && ip_of(address).is_some_and(comes_from);
        if !addresses.iter().all(home) {
            return Err(ProbeRefusal::Elsewhere);
        }
        self.buckets.sweep(now);
        let dialing = self.probes.known().dialing.len();
        // The dial itself is counted already.
        if dialing > DIALS_MAX || !self.buckets.take(*peer, now) {
            return Err(ProbeRefusal::TooMany);
        }
        Ok(())
    }

    /// Ends dials that take too long, so that the asker gets an answer.
    fn end_late(&mut self, now: Instant) {
        let late = |since: &Instant| now.saturating_duration_since(*since) >= DIAL_MAX;
        let late: Vec<_> = self
            .probes
            .known()
            .dialing
            .iter()
            .filter(|(_, (_, since))| late(since))
            .map(|(id, _)| *id)
            .collect();
        for connection_id in late {
            if let Some((peer, _)) = self.probes.known().dialing.remove(&connection_id) {
                let error = DialError::Aborted;
                let failure = DialFailure { peer_id: Some(peer), error: &error, connection_id };
                self.inner.on_swarm_event(FromSwarm::DialFailure(failure));
            }
        }
    }
}

impl NetworkBehaviour for ProbeClient {
    type ConnectionHandler = THandler<client::Behaviour>;
    type ToSwarm = client::Event;

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
        if self.probes.is_probe(connection, &peer, false, clock::now()) {
            self.tests.insert(connection);
        }
        self.inner.handle_established_outbound_connection(connection, peer, address, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        let passed = match &event {
            // What Identify takes for an address is weighed first, by who says so.
            FromSwarm::NewExternalAddrCandidate(_) => false,
            FromSwarm::ConnectionEstablished(ConnectionEstablished { connection_id, .. }) => {
                !self.tests.contains(connection_id)
            }
            FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, .. }) => {
                !self.tests.remove(connection_id)
            }
            FromSwarm::DialFailure(DialFailure { connection_id, .. }) => !self.tests.remove(connection_id),
            _ => true,
        };
        if passed {
            self.inner.on_swarm_event(event);
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        if !self.tests.contains(&connection) {
            self.inner.on_connection_handler_event(peer, connection, event);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<client::Event, THandlerInEvent<Self>>> {
        if let Some(address) = self.told.pop_front() {
            return Poll::Ready(ToSwarm::NewExternalAddrCandidate(address));
        }
        let polled = self.inner.poll(cx);
        match &polled {
            Poll::Ready(ToSwarm::NotifyHandler { peer_id, .. }) => {
                self.probes.ask(*peer_id, clock::now());
            }
            // The form with this node's id is for a second test, not for others.
            Poll::Ready(ToSwarm::ExternalAddrConfirmed(address)) => {
                let mut address = address.clone();
                if let Some(Protocol::P2p(_)) = address.iter().last() {
                    address.pop();
                }
                return Poll::Ready(ToSwarm::ExternalAddrConfirmed(address));
            }
            _ => {}
        }
        polled
    }
}

impl NetworkBehaviour for ProbeServer {
    type ConnectionHandler = THandler<server::Behaviour>;
    type ToSwarm = server::Event;

    fn handle_pending_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        let Some(peer) = peer.filter(|_| self.probes.known().dialing.contains_key(&connection)) else {
            return Ok(Vec::new());
        };
        self.admit(&peer, addresses, clock::now()).map_err(ConnectionDenied::new)?;
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
        match &event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                ..
            }) => {
                let direct = |endpoint: &ConnectedPoint| relay_of(endpoint).is_none();
                if let Some(ip) = hop_of(endpoint).filter(|_| direct(endpoint)) {
                    self.seen.insert(*connection_id, (*peer_id, ip));
                }
            }
            FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, .. }) => {
                self.seen.remove(connection_id);
                self.probes.known().dialing.remove(connection_id);
            }
            FromSwarm::DialFailure(DialFailure { connection_id, .. }) => {
                self.probes.known().dialing.remove(connection_id);
            }
            _ => {}
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

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<server::Event, THandlerInEvent<Self>>> {
        let now = clock::now();
        self.end_late(now);
        let polled = self.inner.poll(cx);
        match &polled {
            Poll::Ready(ToSwarm::Dial { opts }) => {
                if let Some(peer) = opts.get_peer_id() {
                    self.probes.known().dialing.insert(opts.connection_id(), (peer, now));
                }
            }
            Poll::Ready(ToSwarm::GenerateEvent(event)) => self.probes.known().done.push(event.client),
            _ => {}
        }
        let first = self.probes.known().dialing.values().map(|(_, since)| *since + DIAL_MAX).min();
        if let Some(first) = first {
            self.timer.as_mut().reset(first.into());
            if std::future::Future::poll(self.timer.as_mut(), cx).is_ready() {
                cx.waker().wake_by_ref();
            }
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server_with(peer: PeerId, from: &str) -> ProbeServer {
        let mut server = ProbeServer::new(Probes::default());
        let endpoint = ConnectedPoint::Listener {
            local_addr: "/ip4/203.0.113.1/tcp/1".parse().expect("an address"),
            send_back_addr: from.parse().expect("an address"),
        };
        server.on_swarm_event(FromSwarm::ConnectionEstablished(ConnectionEstablished {
            peer_id: peer,
            connection_id: ConnectionId::new_unchecked(1),
            endpoint: &endpoint,
            failed_addresses: &[],
            other_established: 0,
        }));
        server
    }

    fn dials(server: &mut ProbeServer, peer: PeerId, at: &str) -> bool {
        server.admit(&peer, &[at.parse().expect("an address")], clock::now()).is_ok()
    }

    #[tokio::test]
    async fn a_peer_is_dialed_where_it_comes_from_and_nowhere_else() {
        let peer = PeerId::random();
        let mut server = server_with(peer, "/ip4/198.51.100.7/tcp/50000");
        assert!(dials(&mut server, peer, "/ip4/198.51.100.7/tcp/4001"));
        for elsewhere in [
            "/ip4/198.51.100.8/tcp/4001".to_owned(),
            "/ip4/127.0.0.1/tcp/22".to_owned(),
            "/dns/example.org/tcp/1".to_owned(),
            format!("/ip4/198.51.100.7/tcp/1/p2p/{peer}/p2p-circuit"),
        ] {
            assert!(!dials(&mut server, peer, &elsewhere), "{elsewhere}");
        }
        assert!(!dials(&mut server, PeerId::random(), "/ip4/198.51.100.7/tcp/4001"), "somebody else");
        server.on_swarm_event(FromSwarm::DialFailure(DialFailure {
            peer_id: None,
            error: &DialError::Aborted,
            connection_id: ConnectionId::new_unchecked(9),
        }));
    }

    #[tokio::test]
    async fn tests_are_few_for_one_peer_and_at_a_time() {
        let peer = PeerId::random();
        let mut server = server_with(peer, "/ip4/198.51.100.7/tcp/50000");
        let made = (0..100).filter(|_| dials(&mut server, peer, "/ip4/198.51.100.7/tcp/4001")).count();
        assert_eq!(made, 8);
        let mut server = server_with(peer, "/ip4/198.51.100.7/tcp/50000");
        for id in 0..=DIALS_MAX {
            let dial = (PeerId::random(), clock::now());
            server.probes.known().dialing.insert(ConnectionId::new_unchecked(100 + id), dial);
        }
        assert!(!dials(&mut server, peer, "/ip4/198.51.100.7/tcp/4001"));
        server.end_late(clock::now() + DIAL_MAX);
        assert!(dials(&mut server, peer, "/ip4/198.51.100.7/tcp/4001"), "silent ones make room");
    }

    #[test]
    fn only_whom_this_node_asked_may_come_in_for_a_test() {
        let (probes, peer, now) = (Probes::default(), PeerId::random(), clock::now());
        let id = ConnectionId::new_unchecked(1);
        assert!(!probes.is_probe(id, &peer, true, now));
        probes.known().asked.insert(peer, now);
        assert!(probes.is_probe(id, &peer, true, now + ANSWER_MAX / 2));
        assert!(!probes.is_probe(id, &peer, true, now + ANSWER_MAX));
        assert!(!probes.is_probe(id, &peer, false, now), "a dial of this node is another matter");
    }
}
