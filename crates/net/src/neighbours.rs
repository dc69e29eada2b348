use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use libp2p::swarm::dial_opts::DialOpts;
use libp2p::{Multiaddr, PeerId};

use crate::peers::node_of;
use crate::range::{dialable, ip_of};

/// Neighbours that are remembered; more are not.
const NEIGHBOURS_MAX: usize = 256;
/// Neighbours remembered per address that announces.
const PER_ADDRESS_MAX: usize = 32;
/// How long an announcement holds, whatever it says. At least so long, that dropping and making up peers gains nothing.
const HOLD: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(600));
/// Dials at a time.
const DIALS_MAX: usize = 4;
/// A dial of which nothing was heard for so long is over.
const DIAL_MAX: Duration = Duration::from_secs(30);
/// The waits between two dials of one neighbour: the first, and the longest.
const WAIT: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(600));
/// With so many peers of this network, neighbours need not be dialed; a quarter of all outbound slots stays free for them.
const MEMBERS_ENOUGH: usize = 32;
/// Neighbours known to be of no or another network.
const STRANGERS_MAX: usize = 1024;
/// How long they are left alone. The name that all libp2p peers answer to says nothing about networks.
const STRANGER: Duration = Duration::from_secs(3600);

/// What multicast DNS heard. Nobody vouches for it.
#[derive(Clone, Debug)]
pub(crate) struct Hint {
    pub(crate) peer: PeerId,
    pub(crate) addresses: Vec<Multiaddr>,
    /// Where the packet came from.
    pub(crate) from: Ipv4Addr,
    pub(crate) ttl: Duration,
}

/// Peers on the local network, and when to dial them.
#[derive(Debug, Default)]
pub(crate) struct Neighbours {
    known: BTreeMap<PeerId, Neighbour>,
    strangers: BTreeMap<PeerId, Instant>,
}

#[derive(Debug)]
struct Neighbour {
    addresses: Vec<Multiaddr>,
    from: Ipv4Addr,
    until: Instant,
    dialing: Option<Instant>,
    next: Instant,
    wait: Duration,
}

impl Neighbours {
    /// Takes a hint, or says why not.
    pub(crate) fn hear(&mut self, hint: Hint, now: Instant) -> &'static str {
        let Hint { peer, addresses, from, ttl } = hint;
        if node_of(&peer).is_none() || ttl.is_zero() {
            return "refused_form";
        }
        // Who announces others' addresses would have this node knock there.
        let at_sender = addresses.into_iter().filter(|address| ip_of(address) == Some(from.into()));
        let addresses = dialable(&at_sender.collect::<Vec<_>>(), Some(from.into()));
        if addresses.is_empty() || !is_near(from) {
            return "refused_address";
        }
        if self.strangers.get(&peer).is_some_and(|until| now < *until) {
            return "refused_stranger";
        }
        let until = now + ttl.clamp(HOLD.0, HOLD.1);
        if let Some(known) = self.known.get_mut(&peer) {
            // The first announcement holds: another sender cannot take a neighbour's place while it is there.
            if known.from == from {
                known.addresses = addresses;
                known.until = until;
            }
            return "known";
        }
        self.expire(now);
        let same = self.known.values().filter(|known| known.from == from).count();
        if self.known.len() >= NEIGHBOURS_MAX || same >= PER_ADDRESS_MAX {
            return "refused_full";
        }
        let neighbour = Neighbour { addresses, from, until, dialing: None, next: now, wait: WAIT.0 };
        self.known.insert(peer, neighbour);
        "noted"
    }

    /// Whom to dial now: one at a time, so that a crowd on the local network costs no burst of dials.
    pub(crate) fn due(
        &mut self,
        members: usize,
        connected: impl Fn(&PeerId) -> bool,
        now: Instant,
    ) -> Option<(PeerId, DialOpts)> {
        self.expire(now);
        let dialing = self.known.values().filter(|known| known.dialing.is_some()).count();
        if members >= MEMBERS_ENOUGH || dialing >= DIALS_MAX {
            return None;
        }
        let free = |(peer, known): &(&PeerId, &mut Neighbour)| {
            known.dialing.is_none() && known.next <= now && !connected(peer)
        };
        let (peer, known) = self.known.iter_mut().filter(free).min_by_key(|(_, known)| known.next)?;
        known.dialing = Some(now);
        known.next = now + known.wait;
        known.wait = (known.wait * 2).min(WAIT.1);
        // From a new port, as every dial; at these addresses only, since this is about the local network.
        let target = DialOpts::peer_id(*peer).addresses(known.addresses.clone()).allocate_new_port();
        Some((*peer, target.build()))
    }

    /// A dial ended, one way or the other.
    pub(crate) fn dialed(&mut self, peer: &PeerId) {
        if let Some(known) = self.known.get_mut(peer) {
            known.dialing = None;
        }
    }

    /// The peer is of this network: if it goes, it is worth dialing soon.
    pub(crate) fn member(&mut self, peer: &PeerId) {
        if let Some(known) = self.known.get_mut(peer) {
            known.wait = WAIT.0;
        }
    }

    /// The peer is of no network or another one. When the list is full, the one that would leave first makes room.
    pub(crate) fn stranger(&mut self, peer: &PeerId, now: Instant) {
        if self.known.remove(peer).is_none() {
            return;
        }
        self.strangers.retain(|_, until| now < *until);
        if self.strangers.len() >= STRANGERS_MAX {
            let first = self.strangers.iter().min_by_key(|(_, until)| **until).map(|(peer, _)| *peer);
            first.and_then(|peer| self.strangers.remove(&peer));
        }
        self.strangers.insert(*peer, now + STRANGER);
    }

    fn expire(&mut self, now: Instant) {
        self.known.retain(|_, known| now < known.until);
        for known in self.known.values_mut() {
            known.dialing = known.dialing.filter(|since| now.saturating_duration_since(*since) < DIAL_MAX);
        }
    }
}

/// Whether an address is one of a local network: private (RFC 1918) or link-local.
pub(crate) fn is_near(ip: Ipv4Addr) -> bool {
    ip.is_private() || ip.is_link_local()
}

#[cfg(test)]
mod tests {
    use althing_record::NodeKey;

    use super::*;
    use crate::clock;
    use crate::peers::peer_of;

    const LAN: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 7);
    const TTL: Duration = Duration::from_secs(360);

    fn peer(number: u32) -> PeerId {
        let mut seed = [0; 32];
        seed[..4].copy_from_slice(&number.to_be_bytes());
        peer_of(&NodeKey::from_seed(&seed).node())
    }

    fn hint(number: u32, from: Ipv4Addr) -> Hint {
        let address = format!("/ip4/{from}/tcp/4001/p2p/{}", peer(number)).parse().expect("an address");
        Hint { peer: peer(number), addresses: vec![address], from, ttl: TTL }
    }

    fn due(neighbours: &mut Neighbours, now: Instant) -> Option<PeerId> {
        neighbours.due(0, |_| false, now).map(|(peer, _)| peer)
    }

    #[test]
    fn a_flood_of_announcements_is_few_dials() {
        let (mut neighbours, start) = (Neighbours::default(), clock::now());
        let noted = |neighbours: &mut Neighbours, numbers: std::ops::Range<u32>, from| {
            numbers.filter(|n| neighbours.hear(hint(*n, from), start) == "noted").count()
        };
        assert_eq!(noted(&mut neighbours, 0..3_000, LAN), PER_ADDRESS_MAX, "one address");
        for host in 8..40 {
            let first = u32::from(host) * 10_000;
            noted(&mut neighbours, first..first + 40, Ipv4Addr::new(192, 168, 1, host));
        }
        assert_eq!(neighbours.known.len(), NEIGHBOURS_MAX);
        let mut dials = 0;
        // Nobody answers: ten minutes of ticks.
        for tick in 0..3_000 {
            dials += usize::from(due(&mut neighbours, start + Duration::from_millis(200) * tick).is_some());
            assert!(neighbours.known.values().filter(|known| known.dialing.is_some()).count() <= DIALS_MAX);
        }
        // Those of the first six minutes, four in thirty seconds; then all are forgotten.
        assert!(dials > DIALS_MAX && dials <= 4 * 12 + DIALS_MAX, "{dials} dials");
        assert!(neighbours.known.is_empty());
    }

    #[test]
    fn made_up_peers_cannot_be_exchanged_faster_than_a_minute() {
        let (mut neighbours, start) = (Neighbours::default(), clock::now());
        let short = |number| Hint { ttl: Duration::from_secs(1), ..hint(number, LAN) };
        let mut noted = 0;
        for second in 0..120 {
            let now = start + Duration::from_secs(second);
            let numbers = u32::try_from(second).expect("a few") * 100..;
            noted += numbers.take(100).filter(|n| neighbours.hear(short(*n), now) == "noted").count();
        }
        assert_eq!(noted, 2 * PER_ADDRESS_MAX);
        let endless =
            Hint { ttl: Duration::from_secs(u64::from(u32::MAX)), ..hint(0, Ipv4Addr::new(10, 0, 0, 1)) };
        assert_eq!(neighbours.hear(endless, start), "noted");
        neighbours.expire(start + HOLD.1);
        assert!(!neighbours.known.contains_key(&peer(0)), "no announcement holds for ever");
    }

    #[test]
    fn strangers_are_left_alone_for_an_hour() {
        let (mut neighbours, now) = (Neighbours::default(), clock::now());
        assert_eq!(neighbours.hear(hint(1, LAN), now), "noted");
        assert_eq!(due(&mut neighbours, now), Some(peer(1)));
        neighbours.dialed(&peer(1));
        neighbours.stranger(&peer(1), now);
        assert_eq!(neighbours.hear(hint(1, LAN), now), "refused_stranger");
        assert_eq!(due(&mut neighbours, now + STRANGER / 2), None);
        assert_eq!(neighbours.hear(hint(1, LAN), now + STRANGER), "noted");
        for number in 2..2 * u32::try_from(STRANGERS_MAX).expect("a few") {
            neighbours.stranger(&peer(number), now);
        }
        assert_eq!(neighbours.strangers.len(), 1, "only what was announced is remembered");
        for number in 2..2 * u32::try_from(STRANGERS_MAX).expect("a few") {
            neighbours.hear(hint(number, LAN), now);
            neighbours.stranger(&peer(number), now);
        }
        assert_eq!(neighbours.strangers.len(), STRANGERS_MAX);
    }

    #[test]
    fn only_near_addresses_of_the_sender_itself_are_taken() {
        let (mut neighbours, now) = (Neighbours::default(), clock::now());
        assert_eq!(neighbours.hear(hint(1, Ipv4Addr::new(198, 51, 100, 7)), now), "refused_address");
        assert_eq!(neighbours.hear(hint(1, Ipv4Addr::LOCALHOST), now), "refused_address");
        let of_another = Hint { from: Ipv4Addr::new(192, 168, 1, 8), ..hint(1, LAN) };
        assert_eq!(neighbours.hear(of_another, now), "refused_address");
        let web = Hint {
            addresses: vec!["/ip4/192.168.1.7/tcp/80/ws".parse().expect("an address")],
            ..hint(1, LAN)
        };
        assert_eq!(neighbours.hear(web, now), "refused_address");
        let rsa = Hint { peer: PeerId::random(), ..hint(1, LAN) };
        assert_eq!(neighbours.hear(rsa, now), "refused_form", "no node has a key of that kind");
        let many = Hint { addresses: vec![hint(1, LAN).addresses[0].clone(); 100], ..hint(1, LAN) };
        assert_eq!(neighbours.hear(many, now), "noted");
        assert_eq!(neighbours.known[&peer(1)].addresses.len(), 8);
    }

    #[test]
    fn a_neighbour_is_dialed_again_with_growing_waits_unless_connected_or_many_are() {
        let (mut neighbours, start) = (Neighbours::default(), clock::now());
        let mut at = Vec::new();
        for second in 0..600 {
            let now = start + Duration::from_secs(second);
            neighbours.hear(hint(1, LAN), now);
            if due(&mut neighbours, now).is_some() {
                at.push(second);
                neighbours.dialed(&peer(1));
            }
        }
        assert_eq!(at, [0, 30, 90, 210, 450]);
        let now = start + WAIT.1 * 3;
        neighbours.hear(hint(1, LAN), now);
        assert!(neighbours.due(0, |_| true, now).is_none(), "connected");
        assert!(neighbours.due(MEMBERS_ENOUGH, |_| false, now).is_none(), "enough others");
        neighbours.member(&peer(1));
        assert_eq!(due(&mut neighbours, now), Some(peer(1)));
        assert_eq!(neighbours.known[&peer(1)].next, now + WAIT.0);
    }

    #[test]
    fn another_sender_does_not_take_the_place_of_a_neighbour() {
        let (mut neighbours, now) = (Neighbours::default(), clock::now());
        neighbours.hear(hint(1, LAN), now);
        assert_eq!(neighbours.hear(hint(1, Ipv4Addr::new(192, 168, 1, 66)), now), "known");
        assert_eq!(neighbours.known[&peer(1)].addresses, hint(1, LAN).addresses);
    }
}
