use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use libp2p::multiaddr::Protocol;
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::{Multiaddr, PeerId};

/// The longest wait between two rounds.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Dials per round: half of what may be pending at a time.
const ROUND_MAX: usize = 8;

/// Dials the bootstrap addresses while there are no peers, less and less often.
#[derive(Debug)]
pub(crate) struct Bootstrap {
    targets: Vec<Target>,
    at: usize,
    wait_min: Duration,
    wait: Duration,
    next: Option<Instant>,
}

#[derive(Debug)]
enum Target {
    /// All addresses of one peer, dialed as one so that they do not compete.
    Peer(PeerId, Vec<Multiaddr>),
    Address(Multiaddr),
}

impl Bootstrap {
    pub(crate) fn new(addresses: &[Multiaddr], wait_min: Duration) -> Self {
        let mut peers: BTreeMap<PeerId, Vec<Multiaddr>> = BTreeMap::new();
        let mut targets = Vec::new();
        for address in addresses {
            match peer_in(address) {
                Some(peer) => peers.entry(peer).or_default().push(address.clone()),
                None => targets.push(Target::Address(address.clone())),
            }
        }
        targets.extend(peers.into_iter().map(|(peer, addresses)| Target::Peer(peer, addresses)));
        Self { targets, at: 0, wait_min, wait: wait_min, next: None }
    }

    /// What to dial now.
    pub(crate) fn due(&mut self, peers: usize, now: Instant) -> Vec<DialOpts> {
        if peers > 0 {
            self.wait = self.wait_min;
            self.next = None;
            return Vec::new();
        }
        if self.next.is_some_and(|next| now < next) {
            return Vec::new();
        }
        self.next = Some(now + self.wait);
        self.wait = (self.wait * 2).min(WAIT_MAX);
        let round = self.targets.len().min(ROUND_MAX);
        let start = self.at;
        self.at += round;
        (start..start + round).map(|index| self.targets[index % self.targets.len()].dial()).collect()
    }
}

impl Target {
    fn dial(&self) -> DialOpts {
        match self {
            Self::Peer(peer, addresses) => dial_peer(*peer, addresses.clone()),
            Self::Address(address) => dial_address(address.clone()),
        }
    }
}

/// Dials a peer, unless it is connected or being dialed, at these addresses and those that Kademlia knows.
///
/// From a new port: two nodes that dial each other at once from the ports they listen on meet in one TCP connection
/// (RFC 9293, section 3.5, "simultaneous open") in which both are the dialer, and neither handshake succeeds.
pub(crate) fn dial_peer(peer: PeerId, addresses: Vec<Multiaddr>) -> DialOpts {
    let peer = DialOpts::peer_id(peer).addresses(addresses).extend_addresses_through_behaviour();
    peer.allocate_new_port().build()
}

/// Dials an address, whoever answers there. From a new port, as [`dial_peer`].
pub(crate) fn dial_address(address: Multiaddr) -> DialOpts {
    DialOpts::unknown_peer_id().address(address).allocate_new_port().build()
}

/// The peer that an address ends in.
pub(crate) fn peer_in(address: &Multiaddr) -> Option<PeerId> {
    if let Some(Protocol::P2p(peer)) = address.iter().last() { Some(peer) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn waits_grow_to_a_bound_and_start_over_once_there_are_peers() {
        let address: Multiaddr = "/ip4/192.0.2.1/tcp/4001".parse().expect("an address");
        let mut bootstrap = Bootstrap::new(&[address], Duration::from_secs(1));
        let mut now = clock::now();
        let mut waits = Vec::new();
        let mut last = now;
        assert_eq!(bootstrap.due(0, now).len(), 1, "at once");
        while waits.len() < 8 {
            now += Duration::from_secs(1);
            if !bootstrap.due(0, now).is_empty() {
                waits.push((now - last).as_secs());
                last = now;
            }
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert!(bootstrap.due(1, now + WAIT_MAX * 2).is_empty());
        assert_eq!(bootstrap.due(0, now).len(), 1, "the last peer left: at once again");
    }

    #[test]
    fn addresses_of_one_peer_are_one_dial_and_every_target_gets_its_turn() {
        let peer = PeerId::random();
        let of_peer = ["tcp/1", "udp/1/quic-v1"].map(|tail| format!("/ip4/192.0.2.1/{tail}/p2p/{peer}"));
        let addresses: Vec<_> = of_peer.iter().map(|text| text.parse().expect("an address")).collect();
        let mut bootstrap = Bootstrap::new(&addresses, Duration::from_secs(1));
        let dials = bootstrap.due(0, clock::now());
        assert_eq!(dials.iter().map(DialOpts::get_peer_id).collect::<Vec<_>>(), [Some(peer)]);
        let many: Vec<_> =
            (0..12).map(|host| format!("/ip4/192.0.2.{host}/tcp/1").parse().expect("an address")).collect();
        let mut bootstrap = Bootstrap::new(&many, Duration::from_secs(1));
        assert_eq!(bootstrap.due(0, clock::now()).len(), ROUND_MAX);
        assert_eq!(bootstrap.at, ROUND_MAX);
    }
}
