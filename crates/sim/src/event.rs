use std::sync::Arc;

use althing_engine::{JobNo, LookupEnd, ProofCheck, QueryNo, RequestNo, ScoreJob};
use althing_record::{Domain, NodeId};

/// A gossip message on its way.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) id: [u8; 32],
    pub(crate) domain: Domain,
    pub(crate) bytes: Arc<[u8]>,
}

/// Something that will happen. `run` counts a node's starts: what was meant for an earlier life is dropped.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A gossip message arrives.
    Gossip { to: usize, from: NodeId, message: Message },
    /// A request arrives.
    Request { to: usize, from: usize, from_run: u64, no: RequestNo, bytes: Vec<u8> },
    /// A response arrives.
    Response { to: usize, run: u64, no: RequestNo, bytes: Vec<u8> },
    /// A request was waited for long enough.
    Timeout { node: usize, run: u64, no: RequestNo },
    /// A lookup is over.
    Found { node: usize, run: u64, query: QueryNo, providers: Vec<NodeId>, end: LookupEnd },
    /// The disk takes what is queued.
    Commit { node: usize, run: u64 },
    /// A job is done.
    Job { node: usize, run: u64, no: JobNo, job: ScoreJob },
    /// What a rater shows is checked.
    Checked { node: usize, run: u64, no: JobNo, check: Box<ProofCheck> },
    /// A deadline.
    Wake { node: usize, run: u64, at: u64 },
}
