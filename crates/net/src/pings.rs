use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::request_response::{self, OutboundFailure, OutboundRequestId, ProtocolSupport};
use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId, StreamProtocol};
use tokio::sync::oneshot;

use crate::clock;
use crate::paths::Path;

/// Pings under way at a time.
const PINGS_MAX: usize = 16;
/// How long one may take, dialing included.
const PING_MAX: Duration = Duration::from_secs(10);
/// The payload of libp2p's ping.
const PAYLOAD: [u8; 32] = *b"althing: are you there, friend? ";

/// libp2p's ping, when it is asked for: one payload there and back.
pub(crate) type Pinger = request_response::Behaviour<Echo>;

/// A round trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pong {
    /// How long the payload took there and back.
    pub round_trip: Duration,
    /// Which way it went.
    pub path: Path,
}

/// Why a ping brought no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PingFailure {
    /// No address is known, or nobody answered at any.
    #[error("the node cannot be reached")]
    Unreachable,
    /// It is connected and silent.
    #[error("no answer within {} s", PING_MAX.as_secs())]
    Timeout,
    /// The connection closed, or what came back was something else.
    #[error("the connection broke")]
    Broken,
    /// It does not speak libp2p's ping.
    #[error("the peer does not answer pings")]
    Unsupported,
    /// Too many pings are under way.
    #[error("{PINGS_MAX} pings are under way already")]
    Overloaded,
}

/// Where an answer goes.
pub(crate) type PongSender = oneshot::Sender<Result<Pong, PingFailure>>;

/// Pings that wait for their answer.
#[derive(Default)]
pub(crate) struct Pings(BTreeMap<OutboundRequestId, (PongSender, Instant)>);

pub(crate) fn pinger() -> Pinger {
    let config = request_response::Config::default().with_request_timeout(PING_MAX);
    Pinger::with_codec(Echo::default(), [(libp2p::ping::PROTOCOL_NAME, ProtocolSupport::Outbound)], config)
}

impl Pings {
    pub(crate) fn ping(
        &mut self,
        pinger: &mut Pinger,
        (peer, addresses): (PeerId, Vec<Multiaddr>),
        answer: PongSender,
        now: Instant,
    ) {
        if self.0.len() >= PINGS_MAX {
            // Who asked may have given up.
            let _ = answer.send(Err(PingFailure::Overloaded));
            return;
        }
        let id = pinger.send_request_with_addresses(&peer, (), addresses);
        self.0.insert(id, (answer, now + PING_MAX));
    }

    /// What became of a ping; `path` knows connections.
    pub(crate) fn on_event(
        &mut self,
        event: request_response::Event<(), Duration>,
        path: impl Fn(&PeerId, ConnectionId) -> Option<Path>,
    ) {
        let (id, result) = match event {
            request_response::Event::Message {
                peer,
                connection_id,
                message: request_response::Message::Response { request_id, response },
            } => {
                let path = path(&peer, connection_id).ok_or(PingFailure::Broken);
                (request_id, path.map(|path| Pong { round_trip: response, path }))
            }
            request_response::Event::OutboundFailure { request_id, error, .. } => {
                let cause = match error {
                    OutboundFailure::DialFailure => PingFailure::Unreachable,
                    OutboundFailure::Timeout => PingFailure::Timeout,
                    OutboundFailure::ConnectionClosed | OutboundFailure::Io(_) => PingFailure::Broken,
                    OutboundFailure::UnsupportedProtocols => PingFailure::Unsupported,
                };
                (request_id, Err(cause))
            }
            request_response::Event::Message { .. }
            | request_response::Event::InboundFailure { .. }
            | request_response::Event::ResponseSent { .. } => return,
        };
        if let Some((answer, _)) = self.0.remove(&id) {
            let _ = answer.send(result);
        }
    }

    /// Fails what is over its time.
    pub(crate) fn sweep(&mut self, now: Instant) {
        let late: Vec<_> = self.0.iter().filter(|(_, (_, until))| *until <= now).map(|(id, _)| *id).collect();
        for id in late {
            if let Some((answer, _)) = self.0.remove(&id) {
                let _ = answer.send(Err(PingFailure::Timeout));
            }
        }
    }
}

/// One payload out, the same one back; the answer is how long that took.
#[derive(Clone, Debug, Default)]
pub(crate) struct Echo {
    sent: Option<Instant>,
}

impl request_response::Codec for Echo {
    type Protocol = StreamProtocol;
    type Request = ();
    type Response = Duration;

    async fn read_request<T>(&mut self, _: &StreamProtocol, _: &mut T) -> io::Result<()>
    where
        T: futures::AsyncRead + Unpin + Send,
    {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Duration>
    where
        T: futures::AsyncRead + Unpin + Send,
    {
        let mut back = [0; PAYLOAD.len()];
        io.read_exact(&mut back).await?;
        let sent = self.sent.filter(|_| back == PAYLOAD).ok_or(io::ErrorKind::InvalidData)?;
        Ok(clock::now().saturating_duration_since(sent))
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, io: &mut T, (): ()) -> io::Result<()>
    where
        T: futures::AsyncWrite + Unpin + Send,
    {
        self.sent = Some(clock::now());
        io.write_all(&PAYLOAD).await
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, _: &mut T, _: Duration) -> io::Result<()>
    where
        T: futures::AsyncWrite + Unpin + Send,
    {
        Err(io::ErrorKind::Unsupported.into())
    }
}
