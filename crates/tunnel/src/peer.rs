use std::sync::Arc;

use althing_record::NodeId;
use http::HeaderValue;
use tokio::sync::Semaphore;

use crate::lingering::LINGERING_PER_SESSION_MAX;
use crate::roots::Roots;

/// Another node, for as long as a session with it lasts.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) node: NodeId,
    /// Its id as agents read it.
    pub(crate) name: HeaderValue,
    /// Its batches that were verified.
    pub(crate) roots: Roots,
    /// Places for answered calls that it has not ended.
    pub(crate) lingering: Arc<Semaphore>,
}

impl Peer {
    pub(crate) fn new(node: NodeId) -> Self {
        let lingering = Arc::new(Semaphore::new(LINGERING_PER_SESSION_MAX));
        Self { node, name: name_of(&node), roots: Roots::default(), lingering }
    }
}

/// An id as a header says it. Writing one takes long enough to do it once.
pub(crate) fn name_of(id: &impl ToString) -> HeaderValue {
    HeaderValue::from_str(&id.to_string()).expect("ids are visible ASCII")
}
