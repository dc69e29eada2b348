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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn candidate(host: &str) -> Candidate {
        let addresses = ["tcp/1", "tcp/2", "udp/1/quic-v1"].map(|tail| format!("/ip4/{host}/{tail}"));
        let addresses = addresses.map(|text| text.parse().expect("an address")).to_vec();
        Candidate {
            peer: PeerId::random(),
            addresses,
            range: Some(Range::of(host.parse().expect("an address"))),
        }
    }

    fn ask(relays: &mut Relays, candidates: &[Candidate], now: Instant) -> Option<PeerId> {
        let (relay, _) = relays.due(candidates.to_vec(), now)?;
        relays.asked(&relay, ListenerId::next());
        relays.accepted(&relay);
        Some(relay)
    }

    #[test]
    fn two_relays_are_enough_and_they_are_of_different_ranges_if_possible() {
        let now = clock::now();
        for _ in 0..20 {
            let mut all: Vec<_> = (1..9).map(|host| candidate(&format!("192.0.2.{host}"))).collect();
            all.push(candidate("198.51.100.1"));
            let mut relays = Relays::new(PeerId::random());
            let first = ask(&mut relays, &all, now).expect("a relay");
            let second = ask(&mut relays, &all, now).expect("another");
            let far = all[8].peer;
            assert!(first == far || second == far, "one of each range");
            assert_eq!(ask(&mut relays, &all, now), None);
            assert_eq!(relays.held().count(), RELAYS_MAX);
        }
        let mut relays = Relays::new(PeerId::random());
        let near = [candidate("192.0.2.1"), candidate("192.0.2.2")];
        assert!(ask(&mut relays, &near, now).is_some() && ask(&mut relays, &near, now).is_some());
    }

    #[test]
    fn a_relay_that_refuses_is_left_alone_for_a_while() {
        let (mut relays, now, only) = (Relays::new(PeerId::random()), clock::now(), [candidate("192.0.2.1")]);
        assert_eq!(ask(&mut relays, &only, now), Some(only[0].peer));
        relays.refused(only[0].peer, now);
        assert_eq!(ask(&mut relays, &only, now + AVOID / 2), None);
        assert_eq!(ask(&mut relays, &only, now + AVOID), Some(only[0].peer));
        for _ in 0..2 * AVOIDED_MAX {
            relays.refused(PeerId::random(), now);
        }
        assert_eq!(relays.avoided.len(), AVOIDED_MAX);
    }

    #[test]
    fn a_relay_that_does_not_answer_is_late() {
        let (mut relays, now, only) = (Relays::new(PeerId::random()), clock::now(), [candidate("192.0.2.1")]);
        let (relay, _) = relays.due(only.to_vec(), now).expect("a relay");
        let listener = ListenerId::next();
        relays.asked(&relay, listener);
        assert!(relays.late(now + ANSWER_MAX / 2).is_empty() && relays.circuits().is_empty());
        assert_eq!(relays.late(now + ANSWER_MAX), [listener]);
        assert!(relays.closed(listener, now + ANSWER_MAX) && !relays.closed(listener, now));
    }

    #[test]
    fn circuits_are_one_for_each_transport() {
        let (mut relays, only) = (Relays::new(PeerId::random()), [candidate("192.0.2.1")]);
        let relay = ask(&mut relays, &only, clock::now()).expect("a relay");
        let circuits = relays.circuits();
        let text = |tail: &str| format!("/ip4/192.0.2.1/{tail}/p2p/{relay}/p2p-circuit/p2p/{}", relays.local);
        let expected = [text("tcp/1"), text("udp/1/quic-v1")];
        assert_eq!(circuits.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
        assert_eq!(crate::range::dialable(&circuits, Some([198, 51, 100, 1].into())), circuits);
    }
}
