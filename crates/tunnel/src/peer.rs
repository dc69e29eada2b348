use althing_record::NodeId;
use http::HeaderValue;

use crate::roots::Roots;

/// Another node, for as long as a session with it lasts.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) node: NodeId,
    /// Its id as agents read it.
    pub(crate) name: HeaderValue,
    /// Its batches that were verified.
    pub(crate) roots: Roots,
}

impl Peer {
    pub(crate) fn new(node: NodeId) -> Self {
        Self { node, name: name_of(&node), roots: Roots::default() }
    }
}

/// An id as a header says it. Writing one takes long enough to do it once.
pub(crate) fn name_of(id: &impl ToString) -> HeaderValue {
    HeaderValue::from_str(&id.to_string()).expect("ids are visible ASCII")
}
