use std::fmt;

use althing_record::NodeId;
use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};

/// A stream of bytes between two nodes.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A boxed [`Io`].
pub type BoxIo = Box<dyn Io>;

/// What is spoken on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Many calls.
    Calls,
    /// One call.
    Call,
}

/// Where a node may be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The node.
    pub node: NodeId,
    /// Its addresses, as multiaddrs; those that are known otherwise are tried too.
    pub addresses: Vec<String>,
}

/// Opens streams to other nodes.
pub trait Dial: fmt::Debug + Send + Sync + 'static {
    /// Opens one stream, and connects first if need be.
    fn dial(&self, place: Place, line: Line) -> BoxFuture<'static, Result<BoxIo, DialError>>;
}

/// Why no stream was opened. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// The node cannot be reached.
    #[error("node {node} cannot be reached: {cause}")]
    Unreachable {
        /// The node.
        node: NodeId,
        /// Why.
        cause: String,
    },
    /// The node does not take calls of this kind.
    #[error("node {node} does not take calls")]
    Unsupported {
        /// The node.
        node: NodeId,
    },
    /// Too much at once, there or here.
    #[error("node {node} is busy: {cause}")]
    Busy {
        /// The node.
        node: NodeId,
        /// With what.
        cause: String,
    },
    /// It took too long.
    #[error("node {node} did not answer in time")]
    Timeout {
        /// The node.
        node: NodeId,
    },
    /// This node is about to stop.
    #[error("this node is stopping")]
    Stopping,
}
