use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::net::IpAddr;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use althing_record::{NodeId, admit_key};
use libp2p::core::transport::PortUse;
use libp2p::core::{ConnectedPoint, Endpoint};
use libp2p::swarm::behaviour::{ConnectionClosed, ConnectionEstablished, ListenFailure};
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
    ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};

use crate::clock;
use crate::paths::{is_circuit, relay_in};
use crate::range::{Range, ip_of};

/// Peers of other networks, and those that misbehave, that are kept out for a while.
const BANNED_MAX: usize = 1024;
/// For how long.
const BAN: Duration = Duration::from_secs(60);

/// Peers that could not be reached that are remembered; the one that would be forgotten first makes room.
const LOST_MAX: usize = 1024;
/// How long such a peer is left alone: at first, and at most. Others go on naming it for long after it has gone, and a
/// lookup waits for every dial.
const LOST: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(600));

/// Refuses connections: too many from one address range, from a weak key, or from a peer that was turned away just now.
#[derive(Debug)]
pub(crate) struct Gate {
    per_range_max: usize,
    pending_per_range_max: usize,
    caps_loopback: bool,
    pending: BTreeMap<ConnectionId, Origin>,
    established: BTreeMap<ConnectionId, Origin>,
    banned: BTreeMap<PeerId, Instant>,
    lost: BTreeMap<PeerId, Lost>,
}

/// What an inbound connection counts for. One through a relay has no address of its own: all that one relay brings
/// counts as one range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Range(Range),
    Relay(PeerId),
}

#[derive(Clone, Copy, Debug)]
struct Lost {
    until: Instant,
    wait: Duration,
}

/// Why the gate refused a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Too many connections from its address range.
    Range,
    /// Its Ed25519 key is no key, or weak.
    WeakKey,
    /// It belongs to another network or misbehaved, and was turned away less than a minute ago.
    Banned,
    /// It could not be reached a moment ago.
    Lost,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Range => "too many connections from one address range",
            Self::WeakKey => "the peer's key is weak",
            Self::Banned => "the peer was turned away a moment ago",
            Self::Lost => "the peer could not be reached a moment ago",
        })
    }
}

impl std::error::Error for Refusal {}

impl Gate {
    pub(crate) fn new(per_range_max: usize, pending_max: usize, caps_loopback: bool) -> Self {
        Self {
            per_range_max,
            pending_per_range_max: pending_max.div_ceil(2),
            caps_loopback,
            pending: BTreeMap::new(),
            established: BTreeMap::new(),
            banned: BTreeMap::new(),
            lost: BTreeMap::new(),
        }
    }

    /// A peer could not be reached: Kademlia does not dial it for a while, the longer the more often this happens.
    pub(crate) fn lose(&mut self, peer: PeerId, now: Instant) {
        if !self.lost.contains_key(&peer) && self.lost.len() >= LOST_MAX {
            let first = self.lost.iter().min_by_key(|(_, lost)| lost.until).map(|(peer, _)| *peer);
            first.and_then(|peer| self.lost.remove(&peer));
        }
        let wait = self.lost.get(&peer).map_or(LOST.0, |lost| (lost.wait * 2).min(LOST.1));
        self.lost.insert(peer, Lost { until: now + wait, wait });
    }

    /// A peer was reached, or is wanted for itself: it may be dialed.
    pub(crate) fn regain(&mut self, peer: &PeerId) {
        self.lost.remove(peer);
    }

    /// Keeps a peer out for a minute. When the list is full, the one that would leave first makes room.
    pub(crate) fn ban(&mut self, peer: PeerId) {
        let now = clock::now();
        self.banned.retain(|_, until| *until > now);
        if self.banned.len() >= BANNED_MAX {
            let first = self.banned.iter().min_by_key(|(_, until)| **until).map(|(peer, _)| *peer);
            first.and_then(|peer| self.banned.remove(&peer));
        }
        self.banned.insert(peer, now + BAN);
    }

    fn origin(&self, local: &Multiaddr, remote: &Multiaddr) -> Option<Origin> {
        if is_circuit(local) {
            return relay_in(local).map(Origin::Relay);
        }
        let counts = |ip: &IpAddr| self.caps_loopback || !ip.to_canonical().is_loopback();
        ip_of(remote).filter(counts).map(Range::of).map(Origin::Range)
    }

    fn admit_range(&self, local: &Multiaddr, remote: &Multiaddr) -> Result<Option<Origin>, ConnectionDenied> {
        let Some(origin) = self.origin(local, remote) else { return Ok(None) };
        let open = self.established.values().filter(|other| **other == origin).count();
        if open >= self.per_range_max { Err(ConnectionDenied::new(Refusal::Range)) } else { Ok(Some(origin)) }
    }

    fn admit_peer(&self, peer: &PeerId) -> Result<(), ConnectionDenied> {
        // Another kind of key is a plain libp2p peer: it may connect, but is never reported.
        if let Ok(node) = NodeId::from_peer_id_bytes(&peer.to_bytes())
            && admit_key(node.as_bytes()).is_err()
        {
            return Err(ConnectionDenied::new(Refusal::WeakKey));
        }
        if self.banned.get(peer).is_some_and(|until| *until > clock::now()) {
            return Err(ConnectionDenied::new(Refusal::Banned));
        }
        Ok(())
    }
}

impl NetworkBehaviour for Gate {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        if let Some(origin) = self.admit_range(local, remote)? {
            // Half-open handshakes cost nothing: one range must not hold every pending slot.
            if self.pending.values().filter(|other| **other == origin).count() >= self.pending_per_range_max {
                return Err(ConnectionDenied::new(Refusal::Range));
            }
            self.pending.insert(connection, origin);
        }
        Ok(())
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.pending.remove(&connection);
        self.admit_range(local, remote)?;
        self.admit_peer(&peer)?;
        Ok(dummy::ConnectionHandler)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: Option<PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        match peer.and_then(|peer| self.lost.get(&peer)) {
            Some(lost) if lost.until > clock::now() => Err(ConnectionDenied::new(Refusal::Lost)),
            Some(_) | None => Ok(Vec::new()),
        }
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admit_peer(&peer)?;
        Ok(dummy::ConnectionHandler)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "only what opens and closes connections matters here")]
    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished { connection_id, endpoint, .. }) => {
                if let ConnectedPoint::Listener { local_addr, send_back_addr } = endpoint
                    && let Some(origin) = self.origin(local_addr, send_back_addr)
                {
                    self.established.insert(connection_id, origin);
                }
            }
            FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, .. }) => {
                self.established.remove(&connection_id);
            }
            FromSwarm::ListenFailure(ListenFailure { connection_id, .. }) => {
                self.pending.remove(&connection_id);
            }
            _ => {}
        }
    }

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

    fn connect(gate: &mut Gate, id: usize, from: &str) -> Result<(), ConnectionDenied> {
        connect_at(gate, id, "/ip4/203.0.113.1/tcp/1", from)
    }

    fn connect_at(gate: &mut Gate, id: usize, at: &str, from: &str) -> Result<(), ConnectionDenied> {
        let (id, local) = (ConnectionId::new_unchecked(id), at.parse().expect("an address"));
        let remote: Multiaddr = from.parse().expect("an address");
        let peer = PeerId::random();
        gate.handle_pending_inbound_connection(id, &local, &remote)?;
        gate.handle_established_inbound_connection(id, peer, &local, &remote)?;
        gate.on_swarm_event(FromSwarm::ConnectionEstablished(ConnectionEstablished {
            peer_id: peer,
            connection_id: id,
            endpoint: &ConnectedPoint::Listener { local_addr: local, send_back_addr: remote },
            failed_addresses: &[],
            other_established: 0,
        }));
        Ok(())
    }

    #[test]
    fn inbound_connections_per_range_are_capped() {
        let mut gate = Gate::new(2, 16, true);
        assert!(connect(&mut gate, 1, "/ip4/198.51.100.1/tcp/9").is_ok());
        assert!(connect(&mut gate, 2, "/ip4/198.51.100.2/tcp/9").is_ok());
        let denied = connect(&mut gate, 3, "/ip4/198.51.100.3/tcp/9").expect_err("the third of two");
        assert_eq!(denied.downcast_ref::<Refusal>(), Some(&Refusal::Range));
        assert!(connect(&mut gate, 4, "/ip4/198.51.101.3/tcp/9").is_ok(), "another range has its own count");
        assert!(connect(&mut gate, 5, "/ip6/2001:db8:1:1::1/tcp/9").is_ok());
        assert!(connect(&mut gate, 6, "/ip6/2001:db8:1:2::1/tcp/9").is_ok());
        assert!(connect(&mut gate, 7, "/ip6/2001:db8:1:3::1/tcp/9").is_err(), "one /48");
    }

    #[test]
    fn a_flood_through_one_relay_counts_as_one_range() {
        let mut gate = Gate::new(2, 16, false);
        let at = |relay: PeerId| format!("/ip4/127.0.0.1/tcp/9/p2p/{relay}/p2p-circuit");
        let (one, other) = (at(PeerId::random()), at(PeerId::random()));
        let mut open = |id, at| connect_at(&mut gate, id, at, &format!("/p2p/{}", PeerId::random())).is_ok();
        assert_eq!((0..40).filter(|id| open(*id, &one)).count(), 2);
        assert!(open(50, &other), "another relay has its own count");
    }

    #[test]
    fn loopback_is_exempt_only_where_the_profile_says_so() {
        let open =
            |gate: &mut Gate| (0..40).filter(|id| connect(gate, *id, "/ip4/127.0.0.1/tcp/9").is_ok()).count();
        assert_eq!(open(&mut Gate::new(16, 16, false)), 40);
        assert_eq!(open(&mut Gate::new(16, 16, true)), 16);
    }

    #[test]
    fn one_range_cannot_hold_every_pending_slot() {
        let mut gate = Gate::new(100, 16, true);
        let address: Multiaddr = "/ip4/198.51.100.1/tcp/9".parse().expect("an address");
        let mut pending = |id| {
            gate.handle_pending_inbound_connection(ConnectionId::new_unchecked(id), &address, &address)
                .is_ok()
        };
        assert_eq!((0..40).filter(|id| pending(*id)).count(), 8);
    }

    #[test]
    fn lost_peers_are_left_alone_longer_and_longer_until_they_are_reached() {
        let mut gate = Gate::new(16, 16, true);
        let peer = PeerId::random();
        let dial = |gate: &mut Gate| {
            let id = ConnectionId::new_unchecked(1);
            gate.handle_pending_outbound_connection(id, Some(peer), &[], Endpoint::Dialer).is_ok()
        };
        assert!(dial(&mut gate));
        let mut waits = Vec::new();
        for _ in 0..8 {
            gate.lose(peer, clock::now());
            waits.push(gate.lost[&peer].wait.as_secs());
            assert!(!dial(&mut gate));
        }
        assert_eq!(waits, [20, 40, 80, 160, 320, 600, 600, 600]);
        gate.regain(&peer);
        assert!(dial(&mut gate));
        let past = clock::now().checked_sub(LOST.0).expect("a clock that has run for a while");
        gate.lose(peer, past);
        assert!(dial(&mut gate), "its time is over");
        for _ in 0..2 * LOST_MAX {
            gate.lose(PeerId::random(), clock::now());
        }
        assert_eq!(gate.lost.len(), LOST_MAX);
    }

    #[test]
    fn banned_peers_and_weak_keys_are_refused() {
        let mut gate = Gate::new(16, 16, true);
        let (peer, other) = (PeerId::random(), PeerId::random());
        gate.ban(peer);
        assert!(gate.admit_peer(&peer).is_err());
        assert!(gate.admit_peer(&other).is_ok(), "a PeerId that is no Ed25519 key is a plain peer");
        let mut weak = [0; 32];
        weak[0] = 1;
        let weak = PeerId::from_bytes(&NodeId(weak).to_peer_id_bytes()).expect("a PeerId of the right form");
        let denied = gate.admit_peer(&weak).expect_err("a key of small order");
        assert_eq!(denied.downcast_ref::<Refusal>(), Some(&Refusal::WeakKey));
        for _ in 0..2 * BANNED_MAX {
            gate.ban(PeerId::random());
        }
        assert_eq!(gate.banned.len(), BANNED_MAX);
    }
}
