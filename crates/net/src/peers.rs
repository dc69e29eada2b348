use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use althing_record::NodeId;
use libp2p::core::ConnectedPoint;
use libp2p::kad::ProviderRecord;
use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId};

use crate::range::ip_of;
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
    since: SystemTime,
}

#[derive(Debug)]
struct Connection {
    id: ConnectionId,
    endpoint: ConnectedPoint,
    /// Whether Identify was answered on it, so that the peer has admitted it too.
    identified: bool,
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

    /// The remote's address on the oldest connection.
    pub(crate) fn address(&self) -> &Multiaddr {
        self.connections
            .first()
            .expect("a peer leaves with its last connection")
            .endpoint
            .get_remote_address()
    }

    /// Whether this node dialed the oldest connection.
    pub(crate) fn outbound(&self) -> bool {
        self.connections.first().is_some_and(|open| open.endpoint.is_dialer())
    }

    /// Where it was seen, which it cannot choose freely.
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        ip_of(self.address())
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
            since: clock::wall(),
        };
        self.0.entry(peer).or_insert_with(new).connections.push(Connection {
            id: connection,
            endpoint,
            identified: false,
        });
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
            })
        };
        self.0.iter().filter_map(state).collect()
    }
}

/// The node behind a PeerId. Connections with weak keys are refused, so they need no second look here.
pub(crate) fn node_of(peer: &PeerId) -> Option<NodeId> {
    NodeId::from_peer_id_bytes(&peer.to_bytes()).ok()
}

/// The PeerId of a node.
pub(crate) fn peer_of(node: &NodeId) -> PeerId {
    PeerId::from_bytes(&node.to_peer_id_bytes()).expect("an identity multihash of 36 bytes is a PeerId")
}
