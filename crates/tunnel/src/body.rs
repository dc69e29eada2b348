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

/// Why a body was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It is longer than it may be.
    #[error("has more than {0} bytes")]
    TooLarge(
        /// The most.
        usize,
    ),
    /// It broke off.
    #[error("broke off: {0}")]
    Broken(String),
}

/// Reads a body of at most `bytes_max` bytes to its end.
///
/// # Errors
/// When it is longer, or breaks off.
pub async fn read<B: hyper::body::Body<Data = Bytes> + Unpin>(
    mut body: B,
    bytes_max: usize,
) -> Result<Vec<u8>, ReadError>
where
    B::Error: std::fmt::Display,
{
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| ReadError::Broken(error.to_string()))?;
        read.extend_from_slice(frame.data_ref().map_or(&[], |part| part));
        if read.len() > bytes_max {
            return Err(ReadError::TooLarge(bytes_max));
        }
    }
    Ok(read)
}
