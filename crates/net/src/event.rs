use althing_record::NodeId;
use libp2p::Multiaddr;

use crate::{MessageRef, ReplyTo, RequestFailure, Topic};

/// What the swarm tells the node.
///
/// When the channel is full, gossip is ignored and requests are dropped, both counted; everything else waits in a bounded
/// backlog and keeps its order. A dropped [`Connected`](Self::Connected) or [`Disconnected`](Self::Disconnected) can be
/// made up for from [`Net::state`](crate::Net::state).
#[derive(Debug)]
pub enum Event {
    /// The swarm listens on this address.
    Listening(Multiaddr),
    /// Where others can reach this node changed; [`Net::state`](crate::Net::state) says to what.
    Addresses,
    /// A connection to a peer of this network, after Identify said so. Seen again for a peer that is connected already
    /// when it connects anew: it may have restarted without the old connection's noticing.
    Connected {
        /// Who.
        node: NodeId,
        /// The remote's address on this connection.
        address: Multiaddr,
        /// Whether this node dialed.
        outbound: bool,
    },
    /// The last connection to a peer that was reported as connected has closed.
    Disconnected {
        /// Who.
        node: NodeId,
    },
    /// A gossip message. It is passed on only after [`Net::verdict`](crate::Net::verdict) accepts it.
    Gossip {
        /// What the verdict has to name.
        message: MessageRef,
        /// Who forwarded it; not necessarily its author.
        from: NodeId,
        /// Where it was published.
        topic: Topic,
        /// The message.
        bytes: Vec<u8>,
    },
    /// A request that waits for [`Net::respond`](crate::Net::respond).
    Request {
        /// What the response has to name.
        reply: ReplyTo,
        /// Who asks.
        from: NodeId,
        /// The request.
        bytes: Vec<u8>,
    },
    /// The response to a request of ours.
    Response {
        /// The number given to [`Net::request`](crate::Net::request).
        request: u64,
        /// Who answered.
        from: NodeId,
        /// The response.
        bytes: Vec<u8>,
    },
    /// A request of ours that brought no response.
    RequestFailed {
        /// The number given to [`Net::request`](crate::Net::request).
        request: u64,
        /// Who was asked.
        node: NodeId,
        /// Why.
        cause: RequestFailure,
    },
    /// Providers of a key, each at most once per lookup.
    Providers {
        /// The number given to [`Net::lookup`](crate::Net::lookup).
        query: u64,
        /// Providers not reported before.
        providers: Vec<NodeId>,
        /// Whether this is the lookup's last event. Exactly one is.
        last: bool,
        /// With the last event: whether any other node answered.
        answered: bool,
    },
    /// The outcome of [`Net::provide`](crate::Net::provide). Later renewals are silent.
    Provided {
        /// The key.
        key: [u8; 32],
        /// Whether any peer was asked to store it; the text says why not. The key stays provided either way, and is
        /// announced again when peers appear.
        result: Result<(), String>,
    },
}

impl Event {
    /// The bytes it carries, for bounds.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Gossip { bytes, .. } | Self::Request { bytes, .. } | Self::Response { bytes, .. } => {
                bytes.len()
            }
            Self::Providers { providers, .. } => providers.len() * 32,
            Self::Listening(_)
            | Self::Addresses
            | Self::Connected { .. }
            | Self::Disconnected { .. }
            | Self::RequestFailed { .. }
            | Self::Provided { .. } => 0,
        }
    }
}
