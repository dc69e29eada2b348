use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::channel::oneshot;
use futures::future::FutureExt;
use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p::swarm::handler::{
    ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound,
};
use libp2p::swarm::{ConnectionHandler, ConnectionHandlerEvent, StreamUpgradeError, SubstreamProtocol};
use libp2p::{Stream, StreamProtocol};

use crate::channel::{Closing, Ends};
use crate::{OpenError, StreamKind};

/// A kind of stream, and the name that it is negotiated by.
#[derive(Clone, Debug)]
pub(crate) struct Protocol {
    pub(crate) kind: StreamKind,
    pub(crate) name: StreamProtocol,
}

impl AsRef<str> for Protocol {
    fn as_ref(&self) -> &str {
        self.name.as_ref()
    }
}

/// A stream to be opened.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) number: u64,
    pub(crate) protocol: Protocol,
}

/// What became of one, or of one that the peer opened.
#[derive(Debug)]
pub(crate) enum Told {
    Opened {
        number: u64,
        ends: Ends,
    },
    /// [`OpenError::Broken`] may have another connection's chance.
    Failed {
        number: u64,
        cause: OpenError,
    },
    Inbound {
        kind: StreamKind,
        ends: Ends,
    },
}

/// The streams of one connection until they are handed over.
pub(crate) struct Handler {
    offered: Arc<[Protocol]>,
    asks: VecDeque<Ask>,
    /// No more than the connection has streams: the muxer bounds them.
    told: VecDeque<Told>,
    /// Goes with the connection, which is what the other end is for.
    open: Option<oneshot::Sender<Infallible>>,
    closing: Closing,
}

impl Handler {
    pub(crate) fn new(offered: Arc<[Protocol]>) -> Self {
        let (open, closing) = oneshot::channel();
        Self {
            offered,
            asks: VecDeque::new(),
            told: VecDeque::new(),
            open: Some(open),
            closing: closing.shared(),
        }
    }

    fn ends(&self, stream: Stream) -> Ends {
        Ends { stream, closing: self.closing.clone() }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Ask;
    type ToBehaviour = Told;
    type InboundProtocol = Offer;
    type OutboundProtocol = Offer;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = u64;

    fn listen_protocol(&self) -> SubstreamProtocol<Offer, ()> {
        SubstreamProtocol::new(Offer(Arc::clone(&self.offered)), ())
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<Offer, u64, Told>> {
        if let Some(told) = self.told.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(told));
        }
        if let Some(Ask { number, protocol }) = self.asks.pop_front() {
            let protocol = SubstreamProtocol::new(Offer(Arc::new([protocol])), number);
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        Poll::Pending
    }

    fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<Option<Told>> {
        self.open = None;
        Poll::Ready(None)
    }

    fn on_behaviour_event(&mut self, ask: Ask) {
        self.asks.push_back(ask);
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "libp2p's event enum grows; what is not named is no stream"
    )]
    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Offer, Offer, (), u64>) {
        let told = match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, .. }) => {
                let (stream, kind) = protocol;
                Told::Inbound { kind, ends: self.ends(stream) }
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, info }) => {
                Told::Opened { number: info, ends: self.ends(protocol.0) }
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info, error }) => {
                let cause = match error {
                    StreamUpgradeError::Timeout => OpenError::Timeout,
                    StreamUpgradeError::NegotiationFailed => OpenError::Unsupported,
                    StreamUpgradeError::Io(_) => OpenError::Broken,
                    StreamUpgradeError::Apply(never) => match never {},
                };
                Told::Failed { number: info, cause }
            }
            _ => return,
        };
        self.told.push_back(told);
    }
}

/// Agrees on one of these protocols and says nothing more.
#[derive(Debug)]
pub(crate) struct Offer(Arc<[Protocol]>);

impl UpgradeInfo for Offer {
    type Info = Protocol;
    type InfoIter = Vec<Protocol>;

    fn protocol_info(&self) -> Vec<Protocol> {
        self.0.to_vec()
    }
}

impl InboundUpgrade<Stream> for Offer {
    type Output = (Stream, StreamKind);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, protocol: Protocol) -> Self::Future {
        ready(Ok((stream, protocol.kind)))
    }
}

impl OutboundUpgrade<Stream> for Offer {
    type Output = (Stream, StreamKind);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, protocol: Protocol) -> Self::Future {
        ready(Ok((stream, protocol.kind)))
    }
}
