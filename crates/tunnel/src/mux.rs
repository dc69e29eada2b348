//! Many calls on one stream between two nodes. The frames are HTTP/2's (RFC 9113), used for nothing but carrying byte
//! streams: each HTTP/2 stream is one call, its request body is what the caller writes and its response body what the
//! callee writes.
//!
//! Streams of libp2p are bounded to a few dozen per connection, since each may hold 256 KiB. Here all calls of a session
//! share one receive window, however many they are.

mod client;
mod server;
mod stream;
mod turn;

pub(crate) use self::client::Client;
pub(crate) use self::server::serve;
pub(crate) use self::stream::MuxStream;

/// What one call may have sent and not yet been read, in bytes.
const STREAM_WINDOW: u32 = 256 * 1_024;

/// What all calls of one session together may have sent and not yet been read, in bytes.
const SESSION_WINDOW: u32 = 16 * 1_024 * 1_024;

/// Bytes that wait to be written, for each call.
const SEND_BUFFER: usize = 128 * 1_024;

/// Longest list of headers; a call has only those that HTTP/2 itself needs.
const HEADERS_BYTES_MAX: u32 = 1_024;

/// A session on which nothing came for this long is asked whether it is alive.
const PING_AFTER: std::time::Duration = std::time::Duration::from_secs(2);

/// And given up when the answer takes longer than this.
const PONG_WITHIN: std::time::Duration = std::time::Duration::from_secs(4);

/// So many calls given up here are remembered, each for so long: their last frames may still be on the way. What comes on one
/// that is not is an error, and a session ends with the thousandth of its life.
const GIVEN_UP_MAX: usize = 8_192;
const GIVEN_UP_FOR: std::time::Duration = std::time::Duration::from_secs(2);
