use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use libp2p::core::transport::ListenerId;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use sha2::{Digest, Sha256};

use crate::range::Range;

/// Relays that a node behind NAT holds a place at.
pub(crate) const RELAYS_MAX: usize = 2;
/// Circuit addresses published for one relay: one for each transport.
const ADDRESSES_PER_RELAY_MAX: usize = 2;
/// How long a relay may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// How long a relay that refused, or went, is left alone.
const AVOID: Duration = Duration::from_secs(60);
/// Such relays that are remembered; the one that would be forgotten first makes room.
const AVOIDED_MAX: usize = 256;

/// A connected peer of this network that offers to relay.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) peer: PeerId,
    /// Where it can be dialed, the address that this node knows to work first.
    pub(crate) addresses: Vec<Multiaddr>,
    pub(crate) range: Option<Range>,
}

/// The places that this node holds at relays, and whom to ask for one.
#[derive(Debug)]
pub(crate) struct Relays {
    local: PeerId,
    held: BTreeMap<PeerId, Held>,
    avoided: BTreeMap<PeerId, Instant>,
}

#[derive(Debug)]
struct Held {
    listener: Option<ListenerId>,
    addresses: Vec<Multiaddr>,
    range: Option<Range>,
    asked: Instant,
    accepted: bool,
}

impl Relays {
    pub(crate) fn new(local: PeerId) -> Self {
        Self { local, held: BTreeMap::new(), avoided: BTreeMap::new() }
    }

    /// Whom to ask for a place now, and where to listen for what comes from there.
    pub(crate) fn due(&mut self, candidates: Vec<Candidate>, now: Instant) -> Option<(PeerId, Multiaddr)> {
        self.avoided.retain(|_, until| now < *until);
        if self.held.len() >= RELAYS_MAX {
            return None;
        }
        let free = |candidate: &Candidate| {
            !candidate.addresses.is_empty()
                && !self.held.contains_key(&candidate.peer)
                && !self.avoided.contains_key(&candidate.peer)
        };
        let held: Vec<_> = self.held.values().map(|held| held.range).collect();
        // Nodes differ in whom they come to first, so that no relay is everybody's.
        let order = |candidate: &Candidate| {
            let near = candidate.range.is_some() && held.contains(&candidate.range);
            let hash =
                Sha256::new().chain_update(self.local.to_bytes()).chain_update(candidate.peer.to_bytes());
            (near, hash.finalize())
        };
        let chosen = candidates.into_iter().filter(free).min_by_key(order)?;
        let listen = chosen.addresses[0].clone().with(Protocol::P2p(chosen.peer)).with(Protocol::P2pCircuit);
        let Candidate { peer, addresses, range } = chosen;
        let held = Held { listener: None, addresses, range, asked: now, accepted: false };
        self.held.insert(peer, held);
        Some((peer, listen))
    }

    pub(crate) fn asked(&mut self, relay: &PeerId, listener: ListenerId) {
        if let Some(held) = self.held.get_mut(relay) {
            held.listener = Some(listener);
        }
    }

    /// A relay gave a place, or renewed it. Returns whether it is new.
    pub(crate) fn accepted(&mut self, relay: &PeerId) -> bool {
        let fresh = self.held.get_mut(relay).filter(|held| !held.accepted);
        fresh.map(|held| held.accepted = true).is_some()
    }

    /// A listener closed. Returns whether a place went with it.
    pub(crate) fn closed(&mut self, listener: ListenerId, now: Instant) -> bool {
        let relay =
            self.held.iter().find(|(_, held)| held.listener == Some(listener)).map(|(relay, _)| *relay);
        let Some(relay) = relay else { return false };
        self.refused(relay, now);
        true
    }

    /// Leaves a relay alone for a while.
    pub(crate) fn refused(&mut self, relay: PeerId, now: Instant) {
        self.held.remove(&relay);
        if self.avoided.len() >= AVOIDED_MAX {
            let first = self.avoided.iter().min_by_key(|(_, until)| **until).map(|(peer, _)| *peer);
            first.and_then(|peer| self.avoided.remove(&peer));
        }
        self.avoided.insert(relay, now + AVOID);
    }

    /// Those that take too long, to be closed.
    pub(crate) fn late(&self, now: Instant) -> Vec<ListenerId> {
        let late = |held: &&Held| !held.accepted && now.saturating_duration_since(held.asked) >= ANSWER_MAX;
        self.held.values().filter(late).filter_map(|held| held.listener).collect()
    }

    /// All of them, to be closed: this node needs none any more.
    pub(crate) fn listeners(&self) -> Vec<ListenerId> {
        self.held.values().filter_map(|held| held.listener).collect()
    }

    /// Relays that gave a place.
    pub(crate) fn held(&self) -> impl Iterator<Item = PeerId> {
        self.held.iter().filter(|(_, held)| held.accepted).map(|(relay, _)| *relay)
    }

    /// The addresses that lead here through relays.
    pub(crate) fn circuits(&self) -> Vec<Multiaddr> {
        let accepted = self.held.iter().filter(|(_, held)| held.accepted);
        accepted
            .flat_map(|(relay, held)| {
                let is_quic = |address: &Multiaddr| address.iter().any(|part| part == Protocol::QuicV1);
                let first = held.addresses.first();
                let other = first.and_then(|first| {
                    held.addresses.iter().find(|address| is_quic(address) != is_quic(first))
                });
                let through = |address: &Multiaddr| {
                    let relay = address.clone().with(Protocol::P2p(*relay));
                    relay.with(Protocol::P2pCircuit).with(Protocol::P2p(self.local))
                };
                first.into_iter().chain(other).take(ADDRESSES_PER_RELAY_MAX).map(through).collect::<Vec<_>>()
            })
            .collect()
    }
}
