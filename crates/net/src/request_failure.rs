/// Why a request brought no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RequestFailure {
    /// There is no connection, and no address could be dialed.
    #[error("peer is unreachable")]
    Unreachable,
    /// No response came in time. The peer may have handled the request.
    #[error("no response in time")]
    Timeout,
    /// The peer closed the stream or the connection without a response: overloaded, rate-limited, or gone.
    #[error("peer closed the stream without a response")]
    Closed,
    /// The peer does not speak this network's engine protocol.
    #[error("peer does not speak the engine protocol of this network")]
    Unsupported,
    /// The peer speaks an older version of the engine protocol, which has no such request.
    #[error("peer speaks an older version of the engine protocol, which has no such request")]
    TooOld,
    /// The request is larger than a request may be. Our fault.
    #[error("request exceeds the size limit")]
    TooLarge,
    /// Too many requests are on their way already. Our fault.
    #[error("too many requests on their way")]
    Overloaded,
}

impl RequestFailure {
    /// The word in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::Unsupported => "unsupported",
            Self::TooOld => "too_old",
            Self::TooLarge => "too_large",
            Self::Overloaded => "overloaded",
        }
    }
}
