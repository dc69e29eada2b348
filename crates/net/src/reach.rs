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
