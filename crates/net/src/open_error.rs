/// Why no stream was opened. Nothing was said on one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum OpenError {
    /// There is no connection, and no address could be dialed.
    #[error("the node cannot be reached")]
    Unreachable,
    /// The peer does not speak the protocol.
    #[error("the peer does not speak the protocol of this stream")]
    Unsupported,
    /// This node has as many streams to the peer, or dials, or commands under way, as it may have. Our fault.
    #[error("this node has too much under way already")]
    Busy,
    /// It took too long to dial or to agree on the protocol.
    #[error("no stream in time")]
    Timeout,
    /// Each connection broke before the peer had agreed.
    #[error("the connection broke")]
    Broken,
    /// The swarm has shut down.
    #[error("the swarm no longer runs")]
    Stopped,
}

impl OpenError {
    /// The word in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Unsupported => "unsupported",
            Self::Busy => "busy",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::Stopped => "stopped",
        }
    }
}
