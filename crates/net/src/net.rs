use std::sync::Arc;
use std::time::Duration;

use althing_record::{NodeId, Verdict};
use libp2p::Multiaddr;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};

use crate::command::Command;
use crate::counters::Counters;
use crate::stream_desk::Wish;
use crate::{
    Busy, Channel, MessageRef, NetState, OpenError, PingFailure, Pong, ReplyTo, RequestForms, StreamKind,
    Topic,
};

/// How long [`Net::shutdown`] waits for the swarm task.
const SHUTDOWN_MAX: Duration = Duration::from_secs(5);

/// A cloneable handle to one running swarm. No method but [`open`](Self::open) waits for the network. The swarm ends with its last handle, with
/// [`shutdown`](Self::shutdown), or when the receiver of its events is dropped.
#[derive(Clone, Debug)]
pub struct Net {
    pub(crate) id: NodeId,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) state: watch::Receiver<NetState>,
    pub(crate) stop: Arc<watch::Sender<bool>>,
    pub(crate) counters: Counters,
}

impl Net {
    /// Publishes to every peer that listens to the topic. With no such peer the message is lost: gossip is a hint.
    ///
    /// # Errors
    /// When the command was not taken.
    pub fn publish(&self, topic: Topic, bytes: Vec<u8>) -> Result<(), Busy> {
        self.send(Command::Publish { topic, bytes })
    }

    /// Decides about a gossip message. Only the first verdict counts, and one that comes 20 seconds late is lost.
    ///
    /// # Errors
    /// When the command was not taken.
    pub fn verdict(&self, message: MessageRef, verdict: Verdict) -> Result<(), Busy> {
        self.send(Command::Verdict { message, verdict })
    }

    /// Sends a request and dials first if need be, in the version that both speak. Exactly one [`Response`](crate::Event::Response) or
    /// [`RequestFailed`](crate::Event::RequestFailed) with this number follows.
    ///
    /// # Errors
    /// When the command was not taken.
    pub fn request(&self, request: u64, to: NodeId, forms: impl Into<RequestForms>) -> Result<(), Busy> {
        self.send(Command::Request { request, to, forms: forms.into() })
    }

    /// Answers an inbound request. An answer larger than a response may be closes the stream instead.
    ///
    /// # Errors
    /// When the command was not taken.
    pub fn respond(&self, reply: ReplyTo, bytes: Vec<u8>) -> Result<(), Busy> {
        self.send(Command::Respond { reply, bytes })
    }

    /// Announces this node as a provider of the key, and again before the announcement expires. One
    /// [`Provided`](crate::Event::Provided) follows.
    ///
    /// # Errors
    /// When the command was not taken.
    pub fn provide(&self, key: [u8; 32]) -> Result<(), Busy> {
        self.send(Command::Provide { key })
    }

    /// No longer announces the key. Other nodes forget it when the last announcement expires.
    ///
    /// # Errors
    /// When the command was not taken.
    pub fn stop_providing(&self, key: [u8; 32]) -> Result<(), Busy> {
        self.send(Command::StopProviding { key })
    }

    /// Looks providers up, this node included. [`Providers`](crate::Event::Providers) events with this number follow, the
    /// last one marked.
    ///
    /// # Errors
    /// When the command was not taken.
    pub fn lookup(&self, query: u64, key: [u8; 32]) -> Result<(), Busy> {
        self.send(Command::Lookup { query, key })
    }

    /// Says that a peer sent something of its own that is wrong from the bytes alone: never for what it passed on, or what
    /// a newer version may mean. It costs the peer score; who goes on is disconnected and kept out for a while.
    ///
    /// # Errors
    /// When the command was not taken.
    pub fn blame(&self, node: NodeId) -> Result<(), Busy> {
        self.send(Command::Blame { node })
    }

    /// Dials an address, which may end in `/p2p/…`.
    ///
    /// # Errors
    /// When the command was not taken.
    pub fn dial(&self, address: Multiaddr) -> Result<(), Busy> {
        self.send(Command::Dial { address })
    }

    /// Dials a node unless it is connected, at these addresses and those that Kademlia knows.
    ///
    /// # Errors
    /// When the command was not taken.
    pub fn dial_node(&self, node: NodeId, addresses: Vec<Multiaddr>) -> Result<(), Busy> {
        self.send(Command::DialNode { node, addresses })
    }

    /// Sends a ping, at these addresses and those that are known if the node is not connected. The receiver gets one
    /// answer.
    ///
    /// # Errors
    /// When the command was not taken.
    pub fn ping(
        &self,
        node: NodeId,
        addresses: Vec<Multiaddr>,
    ) -> Result<oneshot::Receiver<Result<Pong, PingFailure>>, Busy> {
        let (answer, answered) = oneshot::channel();
        self.send(Command::Ping { node, addresses, answer })?;
        Ok(answered)
    }

    /// Opens a stream, on a direct connection if there is one. If the node is not connected it is dialed first, at these
    /// addresses and those that are known. Several may be opened at once, to one node too.
    ///
    /// # Errors
    /// After ten seconds, or sooner, with the reason. That the *peer* is busy is what it says on the stream
    /// ([`StreamKind::busy_reply`]).
    pub async fn open(
        &self,
        node: NodeId,
        addresses: Vec<Multiaddr>,
        kind: StreamKind,
    ) -> Result<Channel, OpenError> {
        let (answer, answered) = oneshot::channel();
        self.send(Command::Open(Wish { node, addresses, kind, answer })).map_err(|busy| match busy {
            Busy::Full { .. } => OpenError::Busy,
            Busy::Stopped { .. } => OpenError::Stopped,
        })?;
        answered.await.unwrap_or(Err(OpenError::Stopped))
    }

    /// This node's id.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// The swarm as it was a moment ago.
    #[must_use]
    pub fn state(&self) -> NetState {
        self.state.borrow().clone()
    }

    /// A receiver that wakes when [`state`](Self::state) changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<NetState> {
        self.state.clone()
    }

    /// Closes every connection and listener, and returns when that is done or after five seconds.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        let ended = async { while self.state.changed().await.is_ok() {} };
        if tokio::time::timeout(SHUTDOWN_MAX, ended).await.is_err() {
            tracing::warn!("the swarm did not shut down in time");
        }
    }

    fn send(&self, command: Command) -> Result<(), Busy> {
        self.commands.try_send(command).map_err(|refused| match refused {
            TrySendError::Full(command) => {
                self.counters.dropped("commands");
                Busy::Full { command: command.name() }
            }
            TrySendError::Closed(command) => Busy::Stopped { command: command.name() },
        })
    }
}
