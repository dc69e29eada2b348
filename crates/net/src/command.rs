use althing_record::{NodeId, Verdict};
use libp2p::Multiaddr;

use crate::pings::PongSender;
use crate::stream_desk::Wish;
use crate::{MessageRef, ReplyTo, RequestForms, Topic};

/// What a handle asks of the swarm task.
#[derive(Debug)]
pub(crate) enum Command {
    Publish { topic: Topic, bytes: Vec<u8> },
    Verdict { message: MessageRef, verdict: Verdict },
    Request { request: u64, to: NodeId, forms: RequestForms },
    Respond { reply: ReplyTo, bytes: Vec<u8> },
    Provide { key: [u8; 32] },
    StopProviding { key: [u8; 32] },
    Lookup { query: u64, key: [u8; 32] },
    Dial { address: Multiaddr },
    Blame { node: NodeId },
    DialNode { node: NodeId, addresses: Vec<Multiaddr> },
    Ping { node: NodeId, addresses: Vec<Multiaddr>, answer: PongSender },
    Open(Wish),
}

impl Command {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Publish { .. } => "publish",
            Self::Verdict { .. } => "verdict",
            Self::Request { .. } => "request",
            Self::Respond { .. } => "respond",
            Self::Provide { .. } => "provide",
            Self::StopProviding { .. } => "stop providing",
            Self::Lookup { .. } => "look up",
            Self::Ping { .. } => "ping",
            Self::Open(_) => "open a stream",
            Self::Blame { .. } => "blame",
            Self::Dial { .. } | Self::DialNode { .. } => "dial",
        }
    }
}
