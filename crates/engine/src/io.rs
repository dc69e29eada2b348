use althing_record::{AgentId, Domain, Kind, Millis, NodeId, Record, RecordId, Verdict};
use althing_store::{Batch, CommitNo};

use crate::{
    Answer, Ask, CheckedRow, ProofCheck, RatingEpoch, ReceiptsDemanded, Request, Response, ScoreJob,
    ScoreTable,
};

/// The two clocks of the shell at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Wall-clock time: for what is signed and shown.
    pub wall: Millis,
    /// Milliseconds of a clock that never goes back: for timers.
    pub ticks: u64,
}

/// When, on the clock of [`Now::ticks`], the engine wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(pub u64);

macro_rules! number {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);
    )*};
}

number! {
    /// A gossip message that waits for its verdict; chosen by the shell.
    MessageNo;
    /// A request that this node sent; chosen by the engine.
    RequestNo;
    /// A request that a peer sent; chosen by the shell.
    ReplyNo;
    /// A Kademlia lookup; chosen by the engine.
    QueryNo;
    /// A local client's ask; chosen by the shell.
    AskNo;
    /// A job; chosen by the engine.
    JobNo;
}

/// A Kademlia key: the 32 bytes inside the multihash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub [u8; 32]);

/// What the shell tells the engine.
#[derive(Clone, Debug)]
pub enum Input {
    /// A peer of this network is connected.
    Connected(NodeId),
    /// A peer's last connection closed.
    Disconnected(NodeId),
    /// Where this node listens now, as multiaddrs.
    Addresses(Vec<String>),
    /// A verified record came by gossip and waits for its verdict.
    Gossip {
        /// The message.
        message: MessageNo,
        /// Who forwarded it.
        from: NodeId,
        /// The record.
        record: Record,
    },
    /// A peer asks something.
    Request {
        /// To answer it.
        reply: ReplyNo,
        /// Who asks.
        from: NodeId,
        /// What.
        request: Request,
    },
    /// A peer answered a request.
    Response {
        /// Which request.
        request: RequestNo,
        /// The answer.
        response: Response,
    },
    /// A request was not answered.
    RequestFailed(RequestNo),
    /// A lookup found providers.
    LookupFound {
        /// Which lookup.
        query: QueryNo,
        /// Providers, some of them perhaps again.
        providers: Vec<NodeId>,
        /// How the lookup ended, if it has.
        end: Option<LookupEnd>,
    },
    /// Everything up to this commit is as durable as it asked to be.
    Committed(CommitNo),
    /// Commits are taken again. Telling it again changes nothing.
    Writable,
    /// The disk is full: a commit could not be written, and none after it was.
    CommitFailed {
        /// The first that failed.
        no: CommitNo,
        /// Why.
        cause: String,
    },
    /// A job is done.
    JobDone(JobNo, ScoreTable),
    /// What a rater shows was checked.
    Checked(JobNo, Vec<CheckedRow>),
    /// A deadline passed.
    Wake,
    /// A local client wants something.
    Ask {
        /// To answer it.
        no: AskNo,
        /// What.
        ask: Ask,
    },
}

/// How a lookup ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupEnd {
    /// At least one of the nodes that store the key answered.
    Answered,
    /// None did, or none was asked.
    Unanswered,
}

/// What the engine wants done, and after which commit.
#[derive(Clone, Debug)]
pub struct Output {
    /// The effect is released only when this commit is durable.
    pub after: Option<CommitNo>,
    /// What to do.
    pub effect: Effect,
}

/// Something that only the shell can do.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Write a batch; answered by [`Input::Committed`].
    Commit(CommitNo, Batch),
    /// Ask a peer; answered by [`Input::Response`] or [`Input::RequestFailed`].
    Request(RequestNo, NodeId, Request),
    /// Answer a peer with a [`Response`] in its form as bytes.
    Respond(ReplyNo, Vec<u8>),
    /// Gossip a record to a domain's topic.
    Publish(Domain, Record),
    /// Say what to do with a gossip message.
    Verdict(MessageNo, Verdict),
    /// Announce this node as provider of a key.
    Provide(Key),
    /// Stop announcing it.
    StopProviding(Key),
    /// Look up the providers of a key; answered by [`Input::LookupFound`].
    Lookup(QueryNo, Key),
    /// Answer a local client.
    Reply(AskNo, Answer),
    /// Run a job, elsewhere if there are threads; answered by [`Input::JobDone`]. There is one at a time.
    Job(JobNo, ScoreJob),
    /// Show a peer receipts that are kept beside the commits, in a [`Response::Proofs`].
    Prove(ReplyNo, Box<ReceiptsDemanded>),
    /// Check what a rater shows, elsewhere if there are threads; answered by [`Input::Checked`]. At most
    /// [`crate::PROOFS_RUNNING_MAX`] at a time.
    Check(JobNo, Box<ProofCheck>),
    /// Let a peer pay for what it sent: it is wrong from its bytes alone.
    Blame(NodeId),
    /// Wake the engine then; replaces an earlier deadline.
    Wake(Deadline),
    /// The journal holds every event below this sequence number: whoever waits for events may ask for them.
    Journaled(u64),
    /// Something worth a log line or a metric.
    Note(Note),
    /// The engine cannot go on.
    Halt(String),
}

/// Something that happened inside, for logs and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A record was taken in.
    Admitted {
        /// Of which kind.
        kind: Kind,
        /// From where.
        source: Source,
    },
    /// A record was not taken in.
    NotAdmitted {
        /// Of which kind.
        kind: Kind,
        /// From where.
        source: Source,
        /// What gossip does with it.
        verdict: Verdict,
        /// Why.
        cause: String,
    },
    /// A round of reconciliation ended.
    Synced {
        /// With whom.
        peer: NodeId,
        /// In which domain.
        domain: Domain,
        /// How many records it brought.
        admitted: u64,
    },
    /// A round of reconciliation was given up.
    SyncFailed {
        /// With whom.
        peer: NodeId,
        /// In which domain.
        domain: Domain,
        /// Why.
        cause: String,
    },
    /// An agent of this node could not say its part in the closing of a vote; it tries again.
    NotClosed {
        /// Why.
        cause: String,
    },
    /// A receipt, an attestation or evidence about an Accept was refused.
    RatingRefused {
        /// For what.
        reason: &'static str,
    },
    /// Attestations were dropped that count nothing any more.
    RatingsPruned {
        /// How many.
        records: u64,
        /// Of which rating epochs: those before this one.
        before: RatingEpoch,
    },
    /// A checkpoint says something else than this node: a member of the committee here votes against it, or it was decided
    /// all the same.
    CheckpointDoubted {
        /// Which.
        checkpoint: RecordId,
        /// What is wrong with it.
        cause: String,
    },
    /// A peer's answer does not prove the scores that it was asked for.
    ScoreRefused {
        /// Who.
        peer: NodeId,
        /// What is wrong with it.
        cause: String,
    },
    /// A proposal has an outcome.
    Decided {
        /// Which.
        proposal: RecordId,
        /// Text of the option, or of all that conflict.
        option: String,
    },
    /// Another node says that it serves an agent of this node.
    ServedElsewhere {
        /// The agent.
        agent: AgentId,
        /// The other node.
        node: NodeId,
        /// When, by that node's clock.
        made: Millis,
    },
    /// Misbehaviour was proved.
    Misbehaviour {
        /// Whose and what.
        offence: String,
    },
    /// This node signs no more ballots.
    SigningStopped {
        /// Why.
        cause: String,
    },
    /// The disk is full; nothing is written until there is space.
    DiskFull {
        /// What the disk said.
        cause: String,
    },
    /// A peer's clock was seen.
    Clock {
        /// The median of the peers' clocks minus ours, in milliseconds.
        offset_ms: i64,
        /// Whether that is now more than a minute and was not before.
        off: bool,
    },
}

/// Where a record came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// Signed here.
    Own,
    /// Gossip.
    Gossip,
    /// Reconciliation.
    Sync,
    /// An answer to a search.
    Search,
    /// The vote guard, after a crash.
    Guard,
    /// A file, through a local client.
    Import,
}

impl Source {
    /// A short name for metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Gossip => "gossip",
            Self::Sync => "sync",
            Self::Search => "search",
            Self::Guard => "guard",
            Self::Import => "import",
        }
    }
}
