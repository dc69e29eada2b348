use std::collections::{BTreeMap, BTreeSet};

use althing_engine::{AskNo, Engine, Gate, HostedAgent, Key, RequestNo};
use althing_record::{AgentId, AgentKey, Millis, NodeId, NodeKey, RecordId};
use althing_store::Memory;
use althing_trust::{Demand, RatingEpoch, RowProof};

use crate::disk::Disk;

/// A node: its directory, its identity, and its engine while it runs.
pub(crate) struct Node {
    pub(crate) key: NodeKey,
    pub(crate) agents: Vec<HostedAgent>,
    /// Keys that were made to replace theirs.
    pub(crate) keys: Vec<AgentKey>,
    pub(crate) disk: Disk,
    /// How far its wall clock is off, in milliseconds.
    pub(crate) skew_ms: i64,
    /// The running engine; none while the node is down.
    pub(crate) life: Option<Life>,
    /// How often it was started.
    pub(crate) run: u64,
    /// Whether the next commit that carries the guard ends with it.
    pub(crate) crashes_after_guard: bool,
    /// Whether nothing can be written to its disk.
    pub(crate) disk_is_full: bool,
    /// Whether its responses are damaged on the way.
    pub(crate) garbles: bool,
    /// Whether the paths of the scores that it proves are wrong.
    pub(crate) falsifies_scores: bool,
    /// The side of the partition that it is on.
    pub(crate) side: usize,
    /// Nodes that it stays connected to while it can.
    pub(crate) neighbours: BTreeSet<usize>,
    /// Whether its directory runs twice: what it signs may contradict itself.
    pub(crate) is_copied: bool,
    /// What it shows of the receipts under its agents' attestations.
    pub(crate) receipts: BTreeMap<RecordId, Shown>,
    /// How many demands it has no room for.
    pub(crate) busy: u32,
    /// To whom alone it shows those under a record.
    pub(crate) shown_to: BTreeMap<RecordId, Vec<usize>>,
    /// Whether it holds nothing of what raters publish.
    pub(crate) lacks_ledger: bool,
    /// What its clients were told is done.
    pub(crate) promises: Vec<Promise>,
}

/// What is shown for a demand.
pub(crate) type Shown = Box<dyn Fn(&Demand) -> Option<RowProof>>;

/// What ends with a crash.
pub(crate) struct Life {
    pub(crate) engine: Engine<Memory>,
    pub(crate) gate: Gate,
    pub(crate) commit_is_due: bool,
    pub(crate) wake_at: u64,
    /// Message id → when it came: gossip's duplicate cache.
    pub(crate) seen: BTreeMap<[u8; 32], u64>,
    pub(crate) waiting: BTreeSet<RequestNo>,
    pub(crate) asks: BTreeSet<AskNo>,
    pub(crate) connected: BTreeSet<usize>,
    /// Keys that it announces.
    pub(crate) provided: BTreeSet<Key>,
    /// Requests that it answered.
    pub(crate) served: u64,
}

/// What a client was told is done, and what must therefore be there after every crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// A record that is kept for good.
    Record(RecordId),
    /// A record that is kept until it counts nothing any more.
    Attestation(RecordId, RatingEpoch),
    /// The card of the node's agent, at least in this revision.
    Card { agent: AgentId, revision: u64 },
    /// The retraction of the node's agent, or a later revision, until then.
    Retracted { agent: AgentId, revision: u64, until: Millis },
}

impl Node {
    pub(crate) fn id(&self) -> NodeId {
        self.key.node()
    }
}
