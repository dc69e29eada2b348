use std::fmt;

use futures::future::BoxFuture;
use http::{Request, Response};

use crate::Body;

/// The agent behind an exposed card: what takes the requests that came through the tunnel.
pub trait Origin: fmt::Debug + Send + Sync + 'static {
    /// Asks it. The target is the origin's own, and headers of hops are gone. Dropped before the response is whole, the
    /// request is cancelled there.
    fn ask(&self, request: Request<Body>) -> BoxFuture<'static, Result<Response<Body>, OriginError>>;
}

/// Why the agent behind a card did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// Nobody listens there, or the connection broke before an answer. Whether the request arrived is said.
    #[error("{origin} cannot be reached: {cause}")]
    Unreachable {
        /// Its address.
        origin: String,
        /// Why.
        cause: String,
        /// Whether the request may have reached it.
        delivered: bool,
    },
    /// What listens there now has another card. Nothing was sent to it.
    #[error("{origin} serves another card than the one that was exposed")]
    OtherCard {
        /// Its address.
        origin: String,
    },
    /// It took longer than it may.
    #[error("{origin} did not answer within {limit_ms} ms")]
    Timeout {
        /// Its address.
        origin: String,
        /// The limit.
        limit_ms: u64,
    },
    /// It has as many requests as it may have.
    #[error("{origin} has {limit} calls under way already")]
    Busy {
        /// Its address.
        origin: String,
        /// The limit.
        limit: usize,
    },
}
