//! Calls between agents: the tunnel's streams are the swarm's, and those that come in are served here.

use std::path::Path;
use std::sync::Arc;

use althing_engine::Ask;
use althing_gateway::Asked;
use althing_net::{Channel, Multiaddr, Net, OpenError, StreamKind};
use althing_record::{Millis, Network, NodeId};
use althing_rocks::Rocks;
use althing_tunnel::{
    BoxIo, CallLog, Callee, Caller, Dial, DialError, Evidence, Exposures, KeyBook, KeysHere, Limits, Line,
    Meter, Place,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsConnector;

use super::{Clock, RunError};
use crate::site;

/// Inbound streams that may wait to be served.
pub(super) const STREAMS_MAX: usize = 256;

/// Proofs of calls that may wait to be kept.
const EVIDENCE_MAX: usize = 4_096;

/// Bytes on their way between a caller and a callee of one node.
const PIPE_BYTES: usize = 64 * 1_024;

/// Opens streams over the swarm. Calls to this node itself do not leave it.
#[derive(Debug)]
pub(super) struct SwarmDial {
    net: Net,
    callee: Callee,
}

impl Dial for SwarmDial {
    fn dial(&self, place: Place, line: Line) -> BoxFuture<'static, Result<BoxIo, DialError>> {
        let (net, node) = (self.net.clone(), place.node);
        if node == net.id() {
            let (near, far) = tokio::io::duplex(PIPE_BYTES);
            let callee = self.callee.clone();
            tokio::spawn(async move {
                match line {
                    Line::Calls => callee.serve_session(Box::new(far), node).await,
                    Line::Call => callee.serve_call(Box::new(far), node).await,
                }
            });
            return async move { Ok(Box::new(near) as BoxIo) }.boxed();
        }
        async move {
            let addresses: Vec<Multiaddr> =
                place.addresses.iter().filter_map(|address| address.parse().ok()).collect();
            let kind = match line {
                Line::Calls => StreamKind::Calls,
                Line::Call => StreamKind::Call,
            };
            match net.open(node, addresses, kind).await {
                Ok(channel) => Ok(Box::new(channel) as BoxIo),
                Err(error) => Err(dial_error(node, error)),
            }
        }
        .boxed()
    }
}

fn dial_error(node: NodeId, error: OpenError) -> DialError {
    match error {
        OpenError::Unreachable | OpenError::Broken => {
            DialError::Unreachable { node, cause: error.to_string() }
        }
        OpenError::Unsupported => DialError::Unsupported { node },
        OpenError::Busy => DialError::Busy { node, cause: error.to_string() },
        OpenError::Timeout => DialError::Timeout { node },
        OpenError::Stopped => DialError::Stopping,
    }
}

/// Serves what other nodes open, until the swarm ends.
pub(super) async fn serve(callee: Callee, mut streams: mpsc::Receiver<Channel>) {
    while let Some(channel) = streams.recv().await {
        let callee = callee.clone();
        tokio::spawn(async move {
            let (from, kind) = (channel.node(), channel.kind());
            let io: BoxIo = Box::new(channel);
            match kind {
                StreamKind::Calls => callee.serve_session(io, from).await,
                StreamKind::Call => callee.serve_call(io, from).await,
                StreamKind::Http => callee.serve_http(io, from).await,
            }
        });
    }
}

/// Both sides of the tunnel, and what they share.
pub(super) struct Tunnel {
    pub(super) callee: Callee,
    pub(super) caller: Caller,
    pub(super) exposures: Exposures,
    pub(super) log: CallLog,
    pub(super) limits: Limits,
    pub(super) tls: TlsConnector,
    pub(super) evidence: mpsc::Receiver<Evidence>,
}

impl Tunnel {
    pub(super) fn open(
        (keys, home): (KeyBook, &Path),
        agents: KeysHere<'_>,
        net: &Net,
        meter: Meter,
        limits: Limits,
        clock: Clock,
    ) -> Result<Self, RunError> {
        let (exposures, log) = (Exposures::default(), CallLog::default());
        let (keep, evidence) = mpsc::channel(EVIDENCE_MAX);
        let now: Arc<dyn Fn() -> Millis + Send + Sync> = Arc::new(move || clock.now().wall);
        let book = super::accepts_file(home);
        let callee = Callee::open(
            keys.clone(),
            &book,
            agents,
            Arc::clone(&now),
            exposures.clone(),
            limits.clone(),
            (log.clone(), meter.clone(), keep.clone()),
        )
        .map_err(|cause| RunError::File { path: book, cause })?;
        let dial = Arc::new(SwarmDial { net: net.clone(), callee: callee.clone() });
        let caller = Caller::new(dial, keys, net.id(), now, &limits, (meter, keep));
        Ok(Self { callee, caller, exposures, log, limits, tls: site::tls(), evidence })
    }
}

/// The keys of agents, as the store has them. What others show of them goes there, too.
pub(super) fn key_book(rocks: Rocks, network: Network, asks: mpsc::Sender<Asked>) -> KeyBook {
    let of = network.clone();
    let read =
        move |agent| althing_engine::identity_records(&rocks, &of, agent).map_err(|error| error.to_string());
    let learn = move |records| {
        // Where there is no room the news comes by reconciliation, or with the next call. Nobody waits for the answer.
        if asks.try_send((Ask::Import { records }, oneshot::channel().0)).is_err() {
            tracing::debug!("identity records that were shown are not kept now");
        }
    };
    KeyBook::new(network, Arc::new(read), Arc::new(learn))
}
