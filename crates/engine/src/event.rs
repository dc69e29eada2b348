mod row;

use althing_record::{AgentId, GroupId, Millis, NodeId, RecordId};

/// Longest text in an event, in bytes: what is longer is cut.
pub const EVENT_TEXT_BYTES_MAX: usize = 256;

/// Most texts in an event: the options of a conflict.
const TEXTS_MAX: usize = 64;

/// Something that happened here and will stay so: told once its change is durable. Texts are cut to
/// [`EVENT_TEXT_BYTES_MAX`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The node started.
    NodeStarted {
        /// Which start of this data directory that was, from 1.
        start: u32,
        /// Why it signs no votes, if so.
        signing_stopped: Option<String>,
    },
    /// The first record of an agent's identity chain came.
    AgentKnown {
        /// Who.
        agent: AgentId,
        /// The record.
        record: RecordId,
    },
    /// Another key speaks for an agent now.
    AgentKeyChanged {
        /// Who.
        agent: AgentId,
        /// The record that did it.
        record: RecordId,
        /// The key.
        key: [u8; 32],
    },
    /// An agent that had no card has one.
    CardPublished(CardNews),
    /// An agent's card says something else.
    CardUpdated(CardNews),
    /// An agent took its card back.
    CardRetracted {
        /// Who.
        agent: AgentId,
        /// The record that says so.
        card: RecordId,
        /// Its revision; of events that an older version wrote zero.
        revision: u64,
    },
    /// A card's time is over.
    CardExpired {
        /// Whose.
        agent: AgentId,
        /// The card.
        card: RecordId,
    },
    /// A card went because its key no longer speaks for the agent.
    CardWithdrawn {
        /// Whose.
        agent: AgentId,
        /// The card.
        card: RecordId,
    },
    /// A node began to serve an agent that no other node serves.
    LeaseBegan {
        /// Who is served.
        agent: AgentId,
        /// The lease's record.
        record: RecordId,
        /// Where.
        node: NodeId,
    },
    /// A node began to serve an agent that another serves, or served last.
    LeaseMoved {
        /// Who is served.
        agent: AgentId,
        /// The lease's record.
        record: RecordId,
        /// Where.
        node: NodeId,
        /// Where else, or where before.
        from: NodeId,
    },
    /// A node does not serve an agent any more: the lease was ended, was not renewed, or its key was replaced.
    LeaseEnded {
        /// Who was served.
        agent: AgentId,
        /// The record of the lease, or the one that ended it.
        record: RecordId,
        /// Where.
        node: NodeId,
    },
    /// A question was put.
    VoteProposed {
        /// The proposal.
        proposal: RecordId,
        /// Who put it.
        proposer: AgentId,
        /// The question.
        question: String,
    },
    /// A voter's ballot came.
    VoteCast {
        /// The proposal.
        proposal: RecordId,
        /// Who.
        voter: AgentId,
        /// The record that carries the ballot.
        ballot: RecordId,
        /// An option, or "abstain".
        choice: String,
    },
    /// A proposal has its outcome.
    VoteDecided {
        /// The proposal.
        proposal: RecordId,
        /// The option.
        option: String,
    },
    /// This node computes other masses of voters than a proposal has, in which agents of it vote by reputation.
    ElectorateDiffers {
        /// The proposal.
        proposal: RecordId,
        /// How many voters have another mass here.
        differing: u64,
        /// How many have too low a score here.
        too_low: u64,
    },
    /// More voters cheated than the rule tolerates: several options have their votes.
    VoteConflicting {
        /// The proposal.
        proposal: RecordId,
        /// The options.
        options: Vec<String>,
    },
    /// A Closed vote was decided, and no option won.
    VoteRejected {
        /// The proposal.
        proposal: RecordId,
        /// Why.
        cause: String,
    },
    /// Many questions were put at once.
    DocketProposed {
        /// The docket.
        docket: RecordId,
        /// Who put it.
        proposer: AgentId,
        /// Its title.
        title: String,
        /// How many questions it has.
        questions: u64,
    },
    /// A voter's answers to a docket came.
    DocketAnswered {
        /// The docket.
        docket: RecordId,
        /// Who.
        voter: AgentId,
        /// The record that carries the answers.
        ballot: RecordId,
    },
    /// Questions of a docket have their outcomes; told again when more do.
    DocketDecided {
        /// The docket.
        docket: RecordId,
        /// On how many questions an option is decided.
        decided: u64,
        /// On how many it is decided that no option won.
        rejected: u64,
        /// How many there are.
        questions: u64,
    },
    /// A group was founded, or who is in it changed.
    GroupChanged {
        /// The group.
        group: GroupId,
        /// The record that did it.
        record: RecordId,
        /// Whom the change is about; of a founding the founder.
        agent: AgentId,
        /// `founded`, `invited`, `added`, `removed`, `promoted` or `demoted`.
        change: String,
        /// How many changes there were up to this one.
        height: u32,
    },
    /// A trustee of a sealed vote published its secret.
    VoteOpened {
        /// The proposal.
        proposal: RecordId,
        /// Who.
        trustee: AgentId,
        /// The record.
        record: RecordId,
    },
    /// Misbehaviour was proved.
    EvidenceFound {
        /// Whose.
        agent: AgentId,
        /// What.
        offence: String,
        /// What proves it: two records, or one that holds two statements.
        records: Vec<RecordId>,
    },
    /// A rater did not show receipts that were demanded of it.
    RatingUnproved {
        /// Who.
        rater: AgentId,
        /// Under which attestation.
        record: RecordId,
        /// How many of its rows that are.
        rows: u64,
    },
    /// Proven misbehaviour was forgiven.
    AgentPardoned {
        /// Whose.
        agent: AgentId,
        /// By which decided proposal.
        proposal: RecordId,
        /// How many cases it names.
        cases: u64,
    },
    /// This node signs no more votes.
    SigningStopped {
        /// Why.
        cause: String,
    },
    /// The disk was full and is not any more.
    DiskWritable {
        /// Since when it was full.
        full_since: Millis,
        /// What the disk said then.
        cause: String,
    },
    /// An event that this version does not understand, written by a later one.
    Unknown {
        /// Its number.
        code: u64,
    },
}

/// What an event says about a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardNews {
    /// Whose.
    pub agent: AgentId,
    /// The card's record.
    pub card: RecordId,
    /// The revision.
    pub revision: u64,
    /// The name in the card.
    pub name: String,
    /// Which members of its JSON are not the same as before, if there was a card before.
    pub changed: Vec<String>,
}

macro_rules! kinds {
    ($($name:ident $code:literal $text:literal,)*) => {
        /// The kinds of [`Event`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum EventKind {
            $(#[doc = concat!("`", $text, "`")] $name = $code,)*
        }

        impl EventKind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name by which programs know it: a subject and a verb.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }

        impl Event {
            /// Which kind it is.
            #[must_use]
            pub fn kind(&self) -> EventKind {
                match self { $(Self::$name { .. } => EventKind::$name,)* }
            }
        }
    };
}

kinds! {
    Unknown 0 "event.unknown",
    NodeStarted 1 "node.started",
    AgentKnown 2 "agent.known",
    AgentKeyChanged 3 "agent.key-changed",
    CardPublished 4 "card.published",
    CardUpdated 5 "card.updated",
    CardRetracted 6 "card.retracted",
    CardExpired 7 "card.expired",
    CardWithdrawn 8 "card.withdrawn",
    VoteProposed 9 "vote.proposed",
    VoteCast 10 "vote.cast",
    VoteDecided 11 "vote.decided",
    VoteConflicting 12 "vote.conflicting",
    EvidenceFound 13 "evidence.found",
    SigningStopped 14 "signing.stopped",
    DiskWritable 15 "disk.writable",
    LeaseBegan 16 "lease.began",
    LeaseMoved 17 "lease.moved",
    LeaseEnded 18 "lease.ended",
    VoteRejected 19 "vote.rejected",
    DocketProposed 31 "docket.proposed",
    DocketAnswered 32 "docket.answered",
    DocketDecided 33 "docket.decided",
    GroupChanged 24 "group.changed",
    VoteOpened 30 "vote.opened",
    AgentPardoned 34 "agent.pardoned",
    ElectorateDiffers 38 "vote.electorate-differs",
    RatingUnproved 35 "rating.unproved",
}
