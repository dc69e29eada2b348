use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use libp2p::{Multiaddr, PeerId, relay};

use crate::Limits;
use crate::bucket::Buckets;
use crate::range::{Range, ip_of};

/// Who may have a place at this relay, or a circuit through it. libp2p's own counters are off by one and know neither
/// networks nor address ranges, so it asks here.
#[derive(Clone)]
pub(crate) struct RelayDesk(Arc<Mutex<Ledger>>);

struct Ledger {
    limits: Limits,
    caps_loopback: bool,
    open: bool,
    /// Connected peers of this network.
    members: BTreeMap<PeerId, ()>,
    /// Places given, with the range of the holder's address.
    places: BTreeMap<PeerId, Option<Range>>,
    circuits: BTreeMap<(PeerId, PeerId), usize>,
    buckets: Buckets,
    refused: Refused,
}

/// What was refused since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) places: u64,
    pub(crate) circuits: u64,
}

impl RelayDesk {
    pub(crate) fn new(limits: &Limits, caps_loopback: bool) -> Self {
        Self(Arc::new(Mutex::new(Ledger {
            limits: limits.clone(),
            caps_loopback,
            open: false,
            members: BTreeMap::new(),
            places: BTreeMap::new(),
            circuits: BTreeMap::new(),
            buckets: Buckets::new(limits.relay_rate, limits.relay_burst),
            refused: Refused::default(),
        })))
    }

    /// What libp2p's relay is to be run with.
    pub(crate) fn config(&self) -> relay::Config {
        let (places, circuits) = (self.clone(), self.clone());
        let ledger = self.ledger();
        let limits = &ledger.limits;
        relay::Config {
            // This desk counts places itself: here a renewal would need a free one.
            max_reservations: usize::MAX,
            // It compares with "more than".
            max_reservations_per_peer: limits.relay_places_per_peer_max.saturating_sub(1),
            reservation_duration: limits.relay_place_time,
            reservation_rate_limiters: vec![Box::new(move |peer, address: &Multiaddr, now| {
                places.ledger().admit_place(peer, address, now)
            })],
            max_circuits: limits.relay_circuits_max,
            max_circuits_per_peer: limits.relay_circuits_per_peer_max.saturating_sub(1),
            max_circuit_duration: limits.relay_circuit_time,
            max_circuit_bytes: limits.relay_circuit_bytes_max,
            circuit_src_rate_limiters: vec![Box::new(move |peer, _: &Multiaddr, now| {
                circuits.ledger().admit_circuit(peer, now)
            })],
        }
    }

    /// Whether this node relays at all now.
    pub(crate) fn set_open(&self, open: bool) {
        self.ledger().open = open;
    }

    /// A connected peer is of this network.
    pub(crate) fn member(&self, peer: PeerId) {
        self.ledger().members.insert(peer, ());
    }

    /// A peer went, or is of no or another network.
    pub(crate) fn gone(&self, peer: &PeerId) {
        let mut ledger = self.ledger();
        ledger.members.remove(peer);
        ledger.places.remove(peer);
    }

    /// A place was given back.
    pub(crate) fn left(&self, peer: &PeerId) {
        self.ledger().places.remove(peer);
    }

    /// A circuit opened or closed.
    pub(crate) fn circuit(&self, from: PeerId, to: PeerId, opened: bool) {
        let circuits = &mut self.ledger().circuits;
        if opened {
            *circuits.entry((from, to)).or_default() += 1;
        } else if let Some(count) = circuits.get_mut(&(from, to)) {
            *count -= 1;
            if *count == 0 {
                circuits.remove(&(from, to));
            }
        }
    }

    /// libp2p refused a circuit, or a place.
    pub(crate) fn count_refused(&self, circuit: bool) {
        let refused = &mut self.ledger().refused;
        if circuit {
            refused.circuits += 1;
        } else {
            refused.places += 1;
        }
    }

    /// Places and circuits now, and what was refused.
    pub(crate) fn load(&self) -> (usize, usize, Refused) {
        let ledger = self.ledger();
        (ledger.places.len(), ledger.circuits.values().sum(), ledger.refused)
    }

    pub(crate) fn sweep(&self, now: Instant) {
        self.ledger().buckets.sweep(now);
    }

    fn ledger(&self) -> std::sync::MutexGuard<'_, Ledger> {
        // Nothing in here leaves it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger {
    fn admit_place(&mut self, peer: PeerId, address: &Multiaddr, now: Instant) -> bool {
        if !self.open || !self.members.contains_key(&peer) || !self.buckets.take(peer, now) {
            return false;
        }
        if self.places.contains_key(&peer) {
            return true;
        }
        let counts = |ip: &std::net::IpAddr| self.caps_loopback || !ip.to_canonical().is_loopback();
        let range = ip_of(address).filter(counts).map(Range::of);
        let same = self.places.values().filter(|other| range.is_some() && **other == range).count();
        if self.places.len() >= self.limits.relay_places_max || same >= self.limits.relay_places_per_range_max
        {
            return false;
        }
        self.places.insert(peer, range);
        true
    }

    fn admit_circuit(&mut self, peer: PeerId, now: Instant) -> bool {
        self.open && self.members.contains_key(&peer) && self.buckets.take(peer, now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock;

    fn desk(limits: Limits) -> RelayDesk {
        let desk = RelayDesk::new(&limits, true);
        desk.set_open(true);
        desk
    }

    fn asks(desk: &RelayDesk, peer: PeerId, from: &str) -> bool {
        desk.ledger().admit_place(peer, &from.parse().expect("an address"), clock::now())
    }

    fn member(desk: &RelayDesk) -> PeerId {
        let peer = PeerId::random();
        desk.member(peer);
        peer
    }

    #[test]
    fn only_members_get_a_place_or_a_circuit_and_only_while_the_relay_is_open() {
        let desk = desk(Limits::default());
        let (stranger, member) = (PeerId::random(), member(&desk));
        assert!(!asks(&desk, stranger, "/ip4/192.0.2.1/tcp/1"));
        assert!(!desk.ledger().admit_circuit(stranger, clock::now()));
        assert!(asks(&desk, member, "/ip4/192.0.2.1/tcp/1"));
        assert!(desk.ledger().admit_circuit(member, clock::now()));
        desk.set_open(false);
        assert!(
            !asks(&desk, member, "/ip4/192.0.2.1/tcp/1")
                && !desk.ledger().admit_circuit(member, clock::now())
        );
    }

    #[test]
    fn places_are_capped_in_all_and_per_range_and_renewals_are_not() {
        let limits = Limits { relay_places_max: 3, relay_places_per_range_max: 2, ..Limits::default() };
        let desk = desk(limits);
        let peers = [(); 5].map(|()| member(&desk));
        assert!(asks(&desk, peers[0], "/ip4/192.0.2.1/tcp/1"));
        assert!(asks(&desk, peers[1], "/ip4/192.0.2.2/tcp/1"));
        assert!(!asks(&desk, peers[2], "/ip4/192.0.2.3/tcp/1"), "the third of two in one range");
        assert!(asks(&desk, peers[3], "/ip4/198.51.100.1/tcp/1"));
        assert!(!asks(&desk, peers[4], "/ip4/203.0.113.1/tcp/1"), "the fourth of three");
        assert!(asks(&desk, peers[0], "/ip4/192.0.2.1/tcp/1"), "a renewal");
        desk.left(&peers[0]);
        assert!(asks(&desk, peers[2], "/ip4/192.0.2.3/tcp/1"));
        desk.gone(&peers[1]);
        assert_eq!(desk.load().0, 2);
    }

    #[test]
    fn who_asks_too_often_has_to_wait() {
        let desk = desk(Limits { relay_rate: 1.0, relay_burst: 3.0, ..Limits::default() });
        let (peer, now) = (member(&desk), clock::now());
        let admitted = |at| (0..10).filter(|_| desk.ledger().admit_circuit(peer, at)).count();
        assert_eq!(admitted(now), 3);
        assert_eq!(admitted(now + Duration::from_secs(2)), 2);
        desk.sweep(now + Duration::from_secs(60));
    }
}
