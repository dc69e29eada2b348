use libp2p::PeerId;
use libp2p::gossipsub::MessageId;

/// One gossip message that waits for its verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRef {
    pub(crate) id: MessageId,
    pub(crate) source: PeerId,
}
