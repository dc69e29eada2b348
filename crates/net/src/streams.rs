use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{AsyncWriteExt, FutureExt, StreamExt};
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId, Stream};

use crate::StreamKind;
use crate::names::Names;
use handler::{Ask, Handler, Protocol, Told};

pub(crate) mod handler;

/// Busy replies being written at a time; beyond, streams close without one.
const REPLIES_MAX: usize = 32;
/// How long writing one may take.
const REPLY_MAX: Duration = Duration::from_secs(2);

/// Streams that others drive, each on a connection of the caller's choice. libp2p's own behaviour for this drops inbound streams
/// without a word when they come faster than they are taken, opens one at a time, and does not choose between connections.
///
/// It decides nothing: what arrives is an event, whatever its number, and the handler of a connection that has more to tell
/// waits for its turn.
pub(crate) struct Streams {
    protocols: Arc<[Protocol]>,
    offered: Arc<[Protocol]>,
    asks: VecDeque<(PeerId, ConnectionId, Ask)>,
    /// One at most: the swarm asks for it before it takes anything else from a connection.
    told: VecDeque<StreamEvent>,
    replies: FuturesUnordered<BoxFuture<'static, ()>>,
}

/// What happened on a connection.
#[derive(Debug)]
pub(crate) struct StreamEvent {
    pub(crate) peer: PeerId,
    pub(crate) connection: ConnectionId,
    pub(crate) told: Told,
}

impl Streams {
    /// Without `offers`, streams can be opened and none comes in.
    pub(crate) fn new(names: &Names, offers: bool) -> Self {
        let protocols: Arc<[Protocol]> =
            StreamKind::ALL.map(|kind| Protocol { kind, name: names.stream(kind) }).into();
        Self {
            offered: if offers { Arc::clone(&protocols) } else { Arc::new([]) },
            protocols,
            asks: VecDeque::new(),
            told: VecDeque::new(),
            replies: FuturesUnordered::new(),
        }
    }

    /// Opens a stream on a connection. An event with this number follows, unless the connection closes before. The caller
    /// bounds how many.
    pub(crate) fn open(&mut self, peer: PeerId, connection: ConnectionId, number: u64, kind: StreamKind) {
        let wanted = self.protocols.iter().find(|protocol| protocol.kind == kind).cloned();
        let protocol = wanted.expect("every kind has a protocol");
        self.asks.push_back((peer, connection, Ask { number, protocol }));
    }

    /// Says that there is no room, and closes the stream. Returns whether that will be said.
    pub(crate) fn refuse(&mut self, mut stream: Stream, kind: StreamKind) -> bool {
        let room = self.replies.len() < REPLIES_MAX;
        if room {
            let say = async move {
                // Who does not listen finds the stream closed.
                let _ = stream.write_all(kind.busy_reply()).await;
                let _ = stream.close().await;
            };
            self.replies.push(tokio::time::timeout(REPLY_MAX, say).map(|_| ()).boxed());
        }
        room
    }
}

impl NetworkBehaviour for Streams {
    type ConnectionHandler = Handler;
    type ToSwarm = StreamEvent;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::new(Arc::clone(&self.offered)))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::new(Arc::clone(&self.offered)))
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        told: THandlerOutEvent<Self>,
    ) {
        self.told.push_back(StreamEvent { peer, connection, told });
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<StreamEvent, THandlerInEvent<Self>>> {
        if let Some(event) = self.told.pop_front() {
            return Poll::Ready(ToSwarm::GenerateEvent(event));
        }
        if let Some((peer_id, connection, event)) = self.asks.pop_front() {
            let handler = NotifyHandler::One(connection);
            return Poll::Ready(ToSwarm::NotifyHandler { peer_id, handler, event });
        }
        while let Poll::Ready(Some(())) = self.replies.poll_next_unpin(cx) {}
        Poll::Pending
    }
}
