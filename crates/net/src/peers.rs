use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use althing_record::NodeId;
use libp2p::core::ConnectedPoint;
use libp2p::kad::ProviderRecord;
use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId};

use crate::paths::{Path, hop_of, is_circuit, relay_of};
use crate::{Membership, PeerState, clock};

/// Announcements that wait until Identify has said who announces.
const ANNOUNCED_MAX: usize = 64;

/// The connected peers.
#[derive(Debug, Default)]
pub(crate) struct Peers(BTreeMap<PeerId, Peer>);

/// One connected peer.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Its Ed25519 identity, if it has one.
    pub(crate) node: Option<NodeId>,
    /// Its connections, the oldest first. There is at least one.
    connections: Vec<Connection>,
    pub(crate) membership: Membership,
    pub(crate) agent: Option<String>,
    /// Why it and this node do not understand each other in full.
    pub(crate) mismatch: Option<String>,
    /// Where it says it listens, as far as that can be dialed.
    pub(crate) listens: Vec<Multiaddr>,
    pub(crate) announced: Vec<ProviderRecord>,
    pub(crate) rtt: Option<Duration>,
    /// Whether it offers to relay.
    pub(crate) hop: bool,
    /// Whether it speaks a version of the engine's protocol that this node speaks.
    pub(crate) understood: Option<bool>,
    since: SystemTime,
}

#[derive(Debug)]
struct Connection {
    id: ConnectionId,
    endpoint: ConnectedPoint,
    /// Whether Identify was answered on it, so that the peer has admitted it too.
    identified: bool,
    /// Whether hole punching opened it.
    punched: bool,
}

impl Connection {
    fn path(&self) -> Path {
        Path::of(&self.endpoint, self.punched)
    }
}

/// What a closed connection leaves behind.
pub(crate) struct Closed {
    /// The peer, if it was the last one.
    pub(crate) gone: Option<Peer>,
    /// Whether the peer ever answered on it.
    pub(crate) identified: bool,
}

impl Peer {
    /// Notes that Identify was answered on a connection. Returns whether that is news.
    pub(crate) fn identified(&mut self, connection: ConnectionId) -> bool {
        let open = self.connections.iter_mut().find(|open| open.id == connection && !open.identified);
        open.map(|open| open.identified = true).is_some()
    }

    /// The oldest direct connection, or else the oldest one.
    fn first(&self) -> &Connection {
        let direct = self.connections.iter().find(|open| open.path().is_direct());
        direct.or(self.connections.first()).expect("a peer leaves with its last connection")
    }

    /// The remote's address on the oldest connection, a direct one if there is one.
    pub(crate) fn address(&self) -> &Multiaddr {
        self.first().endpoint.get_remote_address()
    }

    /// Whether this node dialed that connection.
    pub(crate) fn outbound(&self) -> bool {
        self.first().endpoint.is_dialer()
    }

    /// How that connection runs.
    pub(crate) fn path(&self) -> Path {
        self.first().path()
    }

    /// Where it was seen, or the relay that it came through; it can choose neither freely.
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        hop_of(&self.first().endpoint)
    }

    /// Whether it is of this network, offers to relay, and is connected without a relay itself.
    pub(crate) fn relays(&self) -> bool {
        self.hop && self.membership == Membership::Member && self.path().is_direct()
    }

    /// Where it came in, and from where, if this node did not dial it.
    pub(crate) fn came_in(&self) -> Option<(&Multiaddr, &Multiaddr)> {
        match &self.first().endpoint {
            ConnectedPoint::Listener { local_addr, send_back_addr } => Some((local_addr, send_back_addr)),
            ConnectedPoint::Dialer { .. } => None,
        }
    }

    /// Where this node dialed it directly, so that the address is known to work.
    pub(crate) fn dialed(&self) -> Option<&Multiaddr> {
        let direct = self.connections.iter().filter(|open| open.path() == Path::of(&open.endpoint, false));
        let address = |open: &'_ Connection| open.endpoint.is_dialer() && relay_of(&open.endpoint).is_none();
        direct.filter(|open| address(open)).map(|open| open.endpoint.get_remote_address()).next()
    }

    /// Keeps an announcement until Identify has answered. Returns whether there was room.
    pub(crate) fn hold(&mut self, record: ProviderRecord) -> bool {
        let room = self.announced.len() < ANNOUNCED_MAX;
        if room {
            self.announced.push(record);
        }
        room
    }
}

impl Peers {
    pub(crate) fn opened(&mut self, peer: PeerId, connection: ConnectionId, endpoint: ConnectedPoint) {
        let new = || Peer {
            node: node_of(&peer),
            connections: Vec::new(),
            membership: Membership::Unknown,
            agent: None,
            mismatch: None,
            listens: Vec::new(),
            announced: Vec::new(),
            rtt: None,
            hop: false,
            understood: None,
            since: clock::wall(),
        };
        let open = &mut self.0.entry(peer).or_insert_with(new).connections;
        // Of two attempts at once, either side's may win, so the event of the one that was tried says less.
        let punched = open.iter().any(|open| !open.path().is_direct());
        open.push(Connection { id: connection, endpoint, identified: false, punched });
    }

    /// Forgets a connection.
    pub(crate) fn closed(&mut self, peer: &PeerId, connection: ConnectionId) -> Closed {
        let Some(entry) = self.0.get_mut(peer) else { return Closed { gone: None, identified: true } };
        let identified = entry.connections.iter().any(|open| open.id == connection && open.identified);
        entry.connections.retain(|open| open.id != connection);
        let gone = if entry.connections.is_empty() { self.0.remove(peer) } else { None };
        Closed { gone, identified }
    }

    /// Whether the peer has admitted every connection to it, and there is one.
    pub(crate) fn settled(&self, peer: &PeerId) -> bool {
        self.0.get(peer).is_some_and(|peer| peer.connections.iter().all(|open| open.identified))
    }

    /// How a connection runs.
    pub(crate) fn path(&self, peer: &PeerId, connection: ConnectionId) -> Option<Path> {
        let open = self.0.get(peer)?.connections.iter().find(|open| open.id == connection);
        open.map(Connection::path)
    }

    /// The connection to open a stream on: no test of an address if there is another, direct if there is one, admitted by the
    /// peer if one is, and then the newest, since it replaces the others.
    pub(crate) fn best(&self, peer: &PeerId, is_test: impl Fn(ConnectionId) -> bool) -> Option<ConnectionId> {
        let open = self.0.get(peer)?.connections.iter();
        let rank = |open: &&Connection| (!is_test(open.id), open.path().is_direct(), open.identified);
        open.max_by_key(rank).map(|open| open.id)
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&PeerId, &Peer)> {
        self.0.iter()
    }

    pub(crate) fn peer(&self, peer: &PeerId) -> Option<&Peer> {
        self.0.get(peer)
    }

    pub(crate) fn peer_mut(&mut self, peer: &PeerId) -> Option<&mut Peer> {
        self.0.get_mut(peer)
    }

    pub(crate) fn membership(&self, peer: &PeerId) -> Membership {
        self.0.get(peer).map_or(Membership::Unknown, |peer| peer.membership)
    }

    pub(crate) fn members(&self) -> usize {
        self.0.values().filter(|peer| peer.membership == Membership::Member).count()
    }

    /// The median of the peers' last round trips, if there is any.
    pub(crate) fn usual_rtt(&self) -> Option<Duration> {
        let mut rtts: Vec<_> = self.0.values().filter_map(|peer| peer.rtt).collect();
        rtts.sort_unstable();
        rtts.get(rtts.len() / 2).copied()
    }

    /// Peers without an Ed25519 identity.
    pub(crate) fn nameless(&self) -> usize {
        self.0.values().filter(|peer| peer.node.is_none()).count()
    }

    pub(crate) fn ids(&self) -> Vec<PeerId> {
        self.0.keys().copied().collect()
    }

    pub(crate) fn states(&self, score: impl Fn(&PeerId) -> Option<f64>) -> Vec<PeerState> {
        let state = |(id, peer): (&PeerId, &Peer)| {
            Some(PeerState {
                node: peer.node?,
                address: peer.address().clone(),
                listens: peer.listens.clone(),
                outbound: peer.outbound(),
                agent: peer.agent.clone(),
                mismatch: peer.mismatch.clone(),
                membership: peer.membership,
                since: peer.since,
                rtt: peer.rtt,
                score: score(id),
                path: peer.path(),
                understood: peer.understood,
            })
        };
        self.0.iter().filter_map(state).collect()
    }
}

/// A peer's addresses without its own id, which those through relays end in.
pub(crate) fn without_id(mut addresses: Vec<Multiaddr>, peer: &PeerId) -> Vec<Multiaddr> {
    for address in addresses.iter_mut().filter(|address| is_circuit(address)) {
        if address.iter().last() == Some(libp2p::multiaddr::Protocol::P2p(*peer)) {
            address.pop();
        }
    }
    addresses
}

/// The node behind a PeerId. Connections with weak keys are refused, so they need no second look here.
pub(crate) fn node_of(peer: &PeerId) -> Option<NodeId> {
    NodeId::from_peer_id_bytes(&peer.to_bytes()).ok()
}

/// The PeerId of a node.
pub(crate) fn peer_of(node: &NodeId) -> PeerId {
    PeerId::from_bytes(&node.to_peer_id_bytes()).expect("an identity multihash of 36 bytes is a PeerId")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_opened_on_the_best_connection() {
        let id = ConnectionId::new_unchecked;
        let peer = PeerId::random();
        let direct: Multiaddr = "/ip4/192.0.2.1/tcp/1".parse().expect("an address");
        let relayed = format!("/ip4/192.0.2.2/tcp/1/p2p/{}/p2p-circuit", PeerId::random());
        let relayed: Multiaddr = relayed.parse().expect("an address");
        let mut peers = Peers::default();
        let mut add = |number, local: &Multiaddr, identified| {
            let endpoint =
                ConnectedPoint::Listener { local_addr: local.clone(), send_back_addr: direct.clone() };
            peers.opened(peer, id(number), endpoint);
            if identified {
                peers.peer_mut(&peer).expect("connected").identified(id(number));
            }
            [peers.best(&peer, |_| false), peers.best(&peer, |test| test == id(number))]
        };
        assert_eq!(add(1, &relayed, true), [Some(id(1)); 2], "better than none");
        assert_eq!(add(2, &direct, false), [Some(id(2)), Some(id(1))], "direct, unless it is a test");
        assert_eq!(add(3, &direct, true), [Some(id(3)), Some(id(2))], "one that the peer has admitted");
        assert_eq!(add(4, &direct, true), [Some(id(4)), Some(id(3))], "the newest");
        assert_eq!(add(5, &direct, false), [Some(id(4)); 2]);
        assert_eq!(peers.best(&PeerId::random(), |_| false), None);
    }
}
