use libp2p::request_response::InboundRequestId;

/// One inbound request that waits for its response. Only the first response counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplyTo(pub(crate) InboundRequestId);
