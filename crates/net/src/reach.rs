use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Instant;

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};

use crate::bucket::Buckets;
use crate::paths::is_circuit;
use crate::range::{dialable, ip_of};

/// Addresses that peers saw this node at which are remembered; no more are tested after that.
const CANDIDATES_MAX: usize = 256;
/// New ones that one peer may bring at once, and per second after that.
const CANDIDATES_OF_PEER: (f64, f64) = (4.0, 1.0 / 600.0);
/// Tests that have to fail, and none succeed, before a node takes itself for private.
const FAILURES_MIN: usize = 2;
/// Confirmed addresses that are kept; more are not noted.
const EXTERNAL_MAX: usize = 16;

/// What the operator says about whether peers can dial this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReachMode {
    /// Find out.
    #[default]
    Auto,
    /// They can: Kademlia serves, and the relay if it is not switched off.
    Server,
    /// They cannot: Kademlia only asks, and others' relays are used.
    Client,
}

/// Whether peers can dial this node, as far as is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reachability {
    /// Not known yet.
    #[default]
    Unknown,
    /// All addresses, its own and those to join by, are loopback or private: there is no NAT to speak of.
    Local,
    /// Peers tried and could not.
    Private,
    /// An address is confirmed.
    Public,
}

/// How an address of this node was learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learnt {
    /// A peer dialed it back (AutoNAT).
    AutoNat,
    /// The router maps it here (UPnP).
    Upnp,
    /// A peer from another network came in at it.
    Inbound,
    /// The operator says that it can be dialed.
    Operator,
}

/// What is known about an address that peers saw this node at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tests {
    /// Peers that could dial it.
    pub succeeded: usize,
    /// Peers that could not.
    pub failed: usize,
}

/// Decides from what peers, router and operator say whether this node can be dialed.
pub(crate) struct Reach {
    mode: ReachMode,
    bootstrap: Vec<Multiaddr>,
    /// Whether everything around is loopback or private.
    near: bool,
    external: BTreeMap<Multiaddr, Learnt>,
    candidates: BTreeMap<Multiaddr, Tests>,
    buckets: Buckets,
    failures: usize,
}

impl Reach {
    pub(crate) fn new(mode: ReachMode, bootstrap: &[Multiaddr]) -> Self {
        let (burst, rate) = CANDIDATES_OF_PEER;
        Self {
            mode,
            bootstrap: bootstrap.to_vec(),
            near: false,
            external: BTreeMap::new(),
            candidates: BTreeMap::new(),
            buckets: Buckets::new(rate, burst),
            failures: 0,
        }
    }

    pub(crate) fn mode(&self) -> ReachMode {
        self.mode
    }

    pub(crate) fn reachability(&self) -> Reachability {
        if !self.external.is_empty() || self.mode == ReachMode::Server {
            Reachability::Public
        } else if self.mode == ReachMode::Client || self.failures >= FAILURES_MIN {
            Reachability::Private
        } else if self.near {
            Reachability::Local
        } else {
            Reachability::Unknown
        }
    }

    /// Whether Kademlia answers others.
    pub(crate) fn serves(&self) -> bool {
        match self.mode {
            ReachMode::Server => true,
            ReachMode::Client => false,
            ReachMode::Auto => matches!(self.reachability(), Reachability::Local | Reachability::Public),
        }
    }

    /// Whether this node may offer itself as a relay.
    pub(crate) fn relays(&self) -> bool {
        self.mode != ReachMode::Client && self.reachability() == Reachability::Public
    }

    /// Whether this node needs relays.
    pub(crate) fn needs_relays(&self) -> bool {
        self.mode != ReachMode::Server && self.reachability() == Reachability::Private
    }

    pub(crate) fn external(&self) -> impl Iterator<Item = (&Multiaddr, Learnt)> {
        self.external.iter().map(|(address, learnt)| (address, *learnt))
    }

    pub(crate) fn candidates(&self) -> impl Iterator<Item = (&Multiaddr, Tests)> {
        self.candidates.iter().map(|(address, tests)| (address, *tests))
    }

    /// The addresses that this node listens on changed.
    pub(crate) fn listens(&mut self, listens: &[Multiaddr]) {
        let far = |address: &Multiaddr| !ip_of(address).is_some_and(is_near);
        self.near = !listens.is_empty() && !listens.iter().chain(&self.bootstrap).any(far);
        if self.mode == ReachMode::Server {
            self.external.retain(|_, learnt| *learnt != Learnt::Operator);
            let loopback = |address: &Multiaddr| ip_of(address).is_some_and(|ip| ip.is_loopback());
            let only_loopback = listens.iter().all(loopback);
            for address in listens.iter().filter(|address| only_loopback || !loopback(address)) {
                self.confirm(address.clone(), Learnt::Operator);
            }
        }
    }

    /// A peer says where it saw this node. Returns the addresses that are worth a test: those not thought of before,
    /// public ones, each also in a form with this node's id, so that a second peer is asked.
    pub(crate) fn observed(
        &mut self,
        (local, listens): (PeerId, &[Multiaddr]),
        (by, seen): (PeerId, &Multiaddr),
        now: Instant,
    ) -> Vec<Multiaddr> {
        let Some(ip) = ip_of(seen).filter(|ip| is_public(*ip)) else { return Vec::new() };
        if is_circuit(seen) {
            return Vec::new();
        }
        let mut fresh = Vec::new();
        // Dials come from other ports than those that this node listens on, and by one transport of two. A NAT that keeps
        // ports, as most do, shows the rest.
        for listen in listens {
            let Some(address) = with_ip(listen, ip) else { continue };
            let room = self.candidates.len() < CANDIDATES_MAX;
            if room && !self.candidates.contains_key(&address) && self.buckets.take(by, now) {
                self.candidates.insert(address.clone(), Tests::default());
                fresh.extend([address.clone(), address.with(Protocol::P2p(local))]);
            }
        }
        fresh
    }

    /// A peer tried to dial an address of this node.
    pub(crate) fn tested(&mut self, address: &Multiaddr, reached: bool) {
        let address = bare(address);
        let Some(tests) = self.candidates.get_mut(&address) else { return };
        if reached {
            tests.succeeded += 1;
            self.confirm(address, Learnt::AutoNat);
        } else {
            tests.failed += 1;
            self.failures += 1;
            // What the router promised does not hold.
            if self.external.get(&address) == Some(&Learnt::Upnp) {
                self.external.remove(&address);
            }
        }
    }

    /// The router maps an address here, which a peer may test.
    pub(crate) fn mapped(&mut self, address: &Multiaddr) -> Option<Multiaddr> {
        let address = bare(address);
        if !ip_of(&address).is_some_and(is_public) {
            return None;
        }
        self.confirm(address.clone(), Learnt::Upnp);
        let is_new = self.candidates.len() < CANDIDATES_MAX && !self.candidates.contains_key(&address);
        is_new.then(|| self.candidates.insert(address.clone(), Tests::default()));
        is_new.then_some(address)
    }

    /// The router no longer maps an address here.
    pub(crate) fn unmapped(&mut self, address: &Multiaddr) {
        let address = bare(address);
        if self.external.get(&address) == Some(&Learnt::Upnp) {
            self.external.remove(&address);
        }
    }

    /// A peer came in. If it comes from far to a public address of this machine itself, that address is no secret of a
    /// NAT's or firewall's.
    pub(crate) fn came_in(&mut self, at: &Multiaddr, from: &Multiaddr) {
        let public = |address| ip_of(address).is_some_and(is_public);
        if public(at) && public(from) && ip_of(at) != ip_of(from) && !is_circuit(at) {
            self.confirm(bare(at), Learnt::Inbound);
        }
    }

    fn confirm(&mut self, address: Multiaddr, learnt: Learnt) {
        if self.external.len() < EXTERNAL_MAX || self.external.contains_key(&address) {
            let known = self.external.entry(address).or_insert(learnt);
            if *known == Learnt::Upnp {
                *known = learnt;
            }
        }
    }

    pub(crate) fn sweep(&mut self, now: Instant) {
        self.buckets.sweep(now);
    }
}

/// Where a node can be reached: what is confirmed, then the circuits, then where it listens, as far as that helps others.
pub(crate) fn published(
    external: impl Iterator<Item = Multiaddr>,
    circuits: &[Multiaddr],
    listens: &[Multiaddr],
) -> Vec<Multiaddr> {
    let (mut seen, mut published) = (BTreeSet::new(), Vec::new());
    let loopback = |address: &Multiaddr| ip_of(address).is_some_and(|ip| ip.is_loopback());
    let only_loopback = listens.iter().all(loopback);
    let listens = listens.iter().filter(|address| only_loopback || !loopback(address)).cloned();
    for address in external.chain(circuits.iter().cloned()).chain(listens) {
        if !dialable(std::slice::from_ref(&address), None).is_empty() && seen.insert(address.clone()) {
            published.push(address);
        }
    }
    published
}

/// An address without the id that it ends in.
fn bare(address: &Multiaddr) -> Multiaddr {
    let mut address = address.clone();
    if let Some(Protocol::P2p(_)) = address.iter().last() {
        address.pop();
    }
    address
}

fn with_ip(listen: &Multiaddr, ip: IpAddr) -> Option<Multiaddr> {
    listen.replace(0, |part| match (part, ip) {
        (Protocol::Ip4(_), IpAddr::V4(ip)) => Some(Protocol::Ip4(ip)),
        (Protocol::Ip6(_), IpAddr::V6(ip)) => Some(Protocol::Ip6(ip)),
        _ => None,
    })
}

/// Whether an address is one of this machine or of a private network: loopback, link-local, RFC 1918, RFC 6598, RFC 4193.
pub(crate) fn is_near(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_loopback() || ip.is_private() || ip.is_link_local() || (a == 100 && b & 0xc0 == 64)
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

fn is_public(ip: IpAddr) -> bool {
    !is_near(ip) && !ip.is_unspecified() && !ip.is_multicast()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn address(text: &str) -> Multiaddr {
        text.parse().expect("an address")
    }

    fn addresses(list: &[&str]) -> Vec<Multiaddr> {
        list.iter().map(|text| address(text)).collect()
    }

    const LAN: &str = "/ip4/192.168.1.7/tcp/4001";
    const SEEN: &str = "/ip4/203.0.113.9/tcp/50123";
    const MAPPED: &str = "/ip4/203.0.113.9/tcp/4001";
    const FAR: &str = "/ip4/198.51.100.1/tcp/4001";

    /// A node in a private network that joins by a far one.
    fn behind(mode: ReachMode) -> Reach {
        let mut reach = Reach::new(mode, &addresses(&[FAR]));
        reach.listens(&addresses(&[LAN]));
        reach
    }

    fn observe(reach: &mut Reach, by: PeerId, seen: &str) -> Vec<Multiaddr> {
        let listens = addresses(&[LAN]);
        reach.observed((PeerId::random(), &listens), (by, &address(seen)), clock::now())
    }

    #[test]
    fn kademlia_serves_at_once_where_all_is_near_and_nowhere_else() {
        let near = |listens: &[&str], bootstrap: &[&str]| {
            let mut reach = Reach::new(ReachMode::Auto, &addresses(bootstrap));
            reach.listens(&addresses(listens));
            (reach.serves(), reach.reachability())
        };
        assert_eq!(
            near(&["/ip4/127.0.0.1/tcp/1", LAN], &["/ip4/10.0.0.1/tcp/1"]),
            (true, Reachability::Local)
        );
        assert_eq!(near(&["/ip6/fd00::1/tcp/1"], &[]), (true, Reachability::Local));
        for far in [near(&[LAN], &[FAR]), near(&[FAR], &[]), near(&[LAN], &["/dns/example.org/tcp/1"])] {
            assert_eq!(far, (false, Reachability::Unknown));
        }
        assert_eq!(near(&[], &[]), (false, Reachability::Unknown));
    }

    #[test]
    fn what_the_operator_says_holds() {
        let (server, client) = (behind(ReachMode::Server), behind(ReachMode::Client));
        assert!(server.serves() && server.relays() && !server.needs_relays());
        assert!(!client.serves() && !client.relays() && client.needs_relays());
        assert_eq!(server.external().collect::<Vec<_>>(), [(&address(LAN), Learnt::Operator)]);
    }

    #[test]
    fn an_address_that_a_peer_dialed_is_public_and_two_failures_are_private() {
        let mut reach = behind(ReachMode::Auto);
        let tests = observe(&mut reach, PeerId::random(), SEEN);
        assert_eq!((tests.len(), &tests[0]), (2, &address(MAPPED)), "the port that it listens on, two forms");
        reach.tested(&tests[0], false);
        assert_eq!(reach.reachability(), Reachability::Unknown, "one peer may be wrong");
        reach.tested(&tests[1], false);
        assert!(reach.needs_relays() && !reach.serves());
        reach.tested(&tests[0], true);
        assert!(reach.serves() && reach.relays() && !reach.needs_relays());
        assert_eq!(reach.external().collect::<Vec<_>>(), [(&address(MAPPED), Learnt::AutoNat)]);
        reach.tested(&address("/ip4/203.0.113.200/tcp/1"), true);
        assert_eq!(reach.external().count(), 1, "an address that was never asked about");
    }

    #[test]
    fn made_up_addresses_cost_few_tests() {
        let mut reach = behind(ReachMode::Auto);
        for seen in ["/ip4/10.9.9.9/tcp/1", "/ip4/127.0.0.1/tcp/1", "/ip4/100.64.0.1/tcp/1", "/dns/a.b/tcp/1"]
        {
            assert!(observe(&mut reach, PeerId::random(), seen).is_empty(), "{seen}");
        }
        let (liar, burst) = (PeerId::random(), 4);
        let by_one =
            (0..100).filter(|n| !observe(&mut reach, liar, &format!("/ip4/203.0.113.{n}/tcp/1")).is_empty());
        assert_eq!(by_one.count(), burst);
        let mut lie = |n: usize| {
            let seen = format!("/ip4/203.0.{}.{}/tcp/1", n / 250, n % 250);
            observe(&mut reach, PeerId::random(), &seen);
        };
        (0..2 * CANDIDATES_MAX).for_each(&mut lie);
        assert_eq!(reach.candidates.len(), CANDIDATES_MAX);
        reach.candidates.keys().cloned().collect::<Vec<_>>().iter().for_each(|a| reach.tested(a, true));
        assert_eq!(reach.external().count(), EXTERNAL_MAX);
    }

    #[test]
    fn what_the_router_promises_holds_until_a_peer_shows_otherwise() {
        let mut reach = behind(ReachMode::Auto);
        assert_eq!(reach.mapped(&address(MAPPED)), Some(address(MAPPED)), "to be tested");
        assert!(reach.relays());
        reach.tested(&address(MAPPED), false);
        assert_eq!(reach.external().count(), 0);
        assert_eq!(reach.mapped(&address(LAN)), None, "a router behind another one");
        reach.mapped(&address(MAPPED));
        reach.unmapped(&address(MAPPED));
        assert_eq!(reach.external().count(), 0);
    }

    #[test]
    fn a_peer_from_far_at_a_public_address_of_this_machine_shows_that_it_can_be_dialed() {
        let mut reach = Reach::new(ReachMode::Auto, &[]);
        let public = address("/ip4/203.0.113.9/tcp/4001");
        reach.listens(std::slice::from_ref(&public));
        for (at, from) in [(LAN, FAR), (MAPPED, LAN), (MAPPED, "/ip4/203.0.113.9/tcp/1")] {
            reach.came_in(&address(at), &address(from));
            assert!(!reach.serves(), "{from} at {at}");
        }
        reach.came_in(&public, &address(FAR));
        assert!(reach.serves() && reach.relays());
    }

    #[test]
    fn others_are_told_what_is_confirmed_first_and_loopback_only_if_there_is_nothing_else() {
        let loopback = address("/ip4/127.0.0.1/tcp/1");
        let listens = [loopback.clone(), address(LAN), address(MAPPED)];
        let told = published([address(MAPPED)].into_iter(), &[], &listens);
        assert_eq!(told, addresses(&[MAPPED, LAN]));
        assert_eq!(published(std::iter::empty(), &[], &listens[..1]), [loopback]);
    }
}
