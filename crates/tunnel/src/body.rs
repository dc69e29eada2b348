use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};

/// Why a body came to an end before it was whole.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a request or a response, as it comes.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

/// A body without content.
#[must_use]
pub fn empty() -> Body {
    Empty::new().map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// A body of these bytes.
#[must_use]
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}
