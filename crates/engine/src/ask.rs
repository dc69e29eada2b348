use althing_ballot::{ClosedTerms, Rule};
use althing_record::{AgentId, GroupId, Record, RecordId};
use althing_trust::{Accept, AttestationsBody, RatingEpoch};

mod answer;
mod checkpoint;
mod docket;
mod grounds;
mod holders;
mod list;
mod reputation;
mod vote;

pub use self::answer::*;
pub use self::checkpoint::*;
pub use self::docket::*;
pub use self::grounds::*;
pub use self::holders::*;
pub use self::list::*;
pub use self::reputation::*;
pub use self::vote::*;
use crate::{EventKind, EventsFrom, EventsPage, Find, Found, Group, GroupAsk, HostedAgent, Rotate, Rotated};

/// Something that a local client wants of the node. Each gets exactly one [`Answer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// What the node holds and how it is doing. Reads every live record.
    Status,
    /// The hosted agents, the default one first.
    Hosts,
    /// Host one more agent from now on. Hosting one again changes nothing.
    Host(Box<HostedAgent>),
    /// Have another key speak for a hosted agent, and sign its card and lease anew.
    Rotate(Box<Rotate>),
    /// Sign the card of a hosted agent and publish it with a lease.
    PublishCard {
        /// A hosted agent.
        agent: AgentId,
        /// The exact A2A AgentCard JSON.
        json: Vec<u8>,
    },
    /// Take the card of a hosted agent back and end its leases.
    RetractCard {
        /// A hosted agent.
        agent: AgentId,
    },
    /// The newest card of an agent, from the local store or, failing that, from peers.
    Card {
        /// Any agent.
        agent: AgentId,
    },
    /// How many connected peers have an agent's newest card; at most [`crate::SPREAD_PEERS_MAX`] are asked.
    Spread {
        /// Any agent whose card is known here.
        agent: AgentId,
    },
    /// Which agents match a query.
    Find(Find),
    /// Put a question to an electorate.
    Propose {
        /// A hosted agent.
        agent: AgentId,
        /// The question.
        draft: ProposalDraft,
    },
    /// Sign and publish one ballot.
    Cast {
        /// A hosted agent.
        agent: AgentId,
        /// The proposal's id.
        proposal: RecordId,
        /// What the voter says.
        choice: Said,
    },
    /// One proposal with its tally, or one question of a docket.
    Vote {
        /// The id of the proposal or the docket.
        proposal: RecordId,
        /// The question's number, from 1; none for a proposal that stands alone.
        question: Option<u16>,
    },
    /// The known proposals, newest first, a page at a time.
    Votes {
        /// The proposal after which the page begins; none: from the newest on.
        after: Option<RecordId>,
        /// Only those of a group's members.
        group: Option<GroupId>,
        /// Most proposals, at most [`crate::VOTES_MAX`].
        limit: usize,
    },
    /// What was decided on proposals and on questions of dockets, a page at a time: what was put last comes first, and of a
    /// docket the first question.
    Decisions {
        /// After what the page begins; none: from the newest on.
        after: Option<Decided>,
        /// Only what a group's members decided.
        group: Option<GroupId>,
        /// Most decisions, at most [`crate::VOTES_MAX`].
        limit: usize,
    },
    /// The certificate of a decided proposal.
    Certificate {
        /// The id of the proposal or the docket.
        proposal: RecordId,
        /// The question's number, from 1; none for a proposal that stands alone.
        question: Option<u16>,
    },
    /// Put many questions to an electorate at once.
    ProposeDocket {
        /// A hosted agent.
        agent: AgentId,
        /// The questions and their common terms.
        draft: DocketDraft,
    },
    /// Sign and publish one agent's answers to all questions of a docket.
    AnswerDocket {
        /// A hosted agent.
        agent: AgentId,
        /// The docket's id.
        docket: RecordId,
        /// What the voter says.
        answers: AnswersDraft,
    },
    /// One docket with the tallies of some of its questions.
    Docket {
        /// The docket's id.
        docket: RecordId,
        /// The first question to tell of, from 1.
        from: u16,
        /// Most questions to tell of.
        limit: u16,
    },
    /// The known dockets, newest first, a page at a time.
    Dockets {
        /// The docket after which the page begins; none: from the newest on.
        after: Option<RecordId>,
        /// Most dockets, at most [`crate::DOCKETS_MAX`].
        limit: usize,
    },
    /// Something about groups.
    Group(GroupAsk),
    /// Sign and publish how an agent's calls of a rating epoch went. It is done once for each.
    Attest {
        /// A hosted agent.
        agent: AgentId,
        /// What it says.
        body: Box<AttestationsBody>,
    },
    /// Publish that a callee contradicts itself, in the name of an agent that holds both Accepts.
    Accuse {
        /// A hosted agent.
        agent: AgentId,
        /// What the callee signed.
        accepts: Box<[Accept; 2]>,
    },
    /// Something about reputations.
    Reputation(ReputationAsk),
    /// Proven misbehaviour, by agent.
    Evidence,
    /// Take records in as if a peer had sent them; at most [`crate::IMPORT_MAX`].
    Import {
        /// The records, verified.
        records: Vec<Record>,
    },
    /// A part of the journal.
    Events {
        /// From where.
        from: EventsFrom,
        /// Only of these kinds; empty: of all.
        kinds: Vec<EventKind>,
        /// Most events to return, at most [`crate::EVENTS_PAGE_MAX`].
        limit: usize,
    },
}

impl Ask {
    /// Whether the node has to write in order to do it.
    #[must_use]
    pub fn writes(&self) -> bool {
        match self {
            Self::Host(_)
            | Self::Rotate(_)
            | Self::PublishCard { .. }
            | Self::RetractCard { .. }
            | Self::Propose { .. }
            | Self::Cast { .. }
            | Self::ProposeDocket { .. }
            | Self::AnswerDocket { .. }
            | Self::Attest { .. }
            | Self::Accuse { .. }
            | Self::Import { .. } => true,
            Self::Group(ask) => ask.writes(),
            Self::Status
            | Self::Hosts
            | Self::Card { .. }
            | Self::Spread { .. }
            | Self::Find(_)
            | Self::Vote { .. }
            | Self::Votes { .. }
            | Self::Decisions { .. }
            | Self::Certificate { .. }
            | Self::Docket { .. }
            | Self::Dockets { .. }
            | Self::Reputation(_)
            | Self::Evidence
            | Self::Events { .. } => false,
        }
    }
}

/// What a proposal says before it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposalDraft {
    /// The question, at most 1,024 bytes.
    pub question: String,
    /// The options, 2 to 64. Empty: a motion, that is "yes" and "no", of which only "yes" can be certified.
    pub options: Vec<String>,
    /// The voters, and how much each ballot counts. None if a group votes, or holders of a skill.
    pub voters: Vec<althing_ballot::Voter>,
    /// The group whose members vote, as it is when the question is put.
    pub group: Option<GroupId>,
    /// Holders of a skill that vote, weighed by reputation; not with a group.
    pub holders: Option<HoldersDraft>,
    /// The rule.
    pub rule: Rule,
    /// What it decides about, and the decision on it that stands so far.
    pub subject: Option<(String, Option<RecordId>)>,
    /// Whose proven misbehaviour it forgives, as far as it is known here; then the voters follow from the genesis, and may be
    /// left out.
    pub pardon: Option<AgentId>,
    /// The terms of a Closed decision; none: a Direct one.
    pub closed: Option<ClosedTerms>,
    /// How long clients should treat the vote as open, in milliseconds. Never decides an outcome.
    pub window_ms: u64,
}

/// What a voter says, in the words of the proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// One of the options, or "abstain".
    Option(String),
    /// Options, the best first.
    Ranking(Vec<String>),
    /// All options that are approved of.
    Approval(Vec<String>),
    /// Scores from 0 to 5 of options.
    Scores(Vec<(String, u8)>),
    /// Whatever this voter says.
    Delegate(AgentId),
}

/// The one answer to an [`Ask`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To [`Ask::Status`].
    Status(Box<Status>),
    /// To [`ReputationAsk::Experience`].
    Experienced,
    /// To [`Ask::Hosts`].
    Hosts(Vec<AgentId>),
    /// To [`Ask::Host`]: the agent's identity is durable here.
    Hosted(AgentId),
    /// To [`Ask::Rotate`]: durable here and offered to the network.
    Rotated(Box<Rotated>),
    /// To [`Ask::PublishCard`]: durable here and offered to the network.
    Published(Published),
    /// To [`Ask::RetractCard`]: durable here and offered to the network.
    Retracted(Retracted),
    /// To [`Ask::Card`].
    Card(Box<CardAnswer>),
    /// To [`Ask::Spread`].
    Spread {
        /// Peers that were asked.
        asked: u64,
        /// Those of them that have the card.
        found: u64,
    },
    /// To [`Ask::Find`].
    Found(Found),
    /// To [`Ask::Propose`]: durable here and offered to the network.
    Proposed {
        /// The proposal's id.
        proposal: RecordId,
        /// Votes that one option needs in a Direct decision.
        threshold: Option<u64>,
        /// How many cheating voters, or closers of a Closed decision, it survives.
        tolerates: u64,
    },
    /// To [`Ask::Cast`]: the ballot is on disk and offered to the network.
    Cast {
        /// The record that carries the ballot.
        ballot: RecordId,
        /// Whether this very ballot had been cast before.
        repeated: bool,
    },
    /// To [`Ask::Vote`].
    Vote(Box<Vote>),
    /// To [`Ask::Votes`].
    Votes(VotesPage),
    /// To [`Ask::Decisions`].
    Decisions(DecisionsPage),
    /// To [`Ask::Docket`].
    Docket(Box<DocketState>),
    /// To [`Ask::Dockets`].
    Dockets(DocketsPage),
    /// To [`Ask::Certificate`]: the certificate file.
    Certificate(Vec<u8>),
    /// To [`GroupAsk::Show`], and to those that change something.
    Group {
        /// The group afterwards.
        group: Box<Group>,
        /// What was signed: durable here and offered to the network. None if nothing had to be.
        record: Option<RecordId>,
    },
    /// To [`GroupAsk::Resolve`]: there is a vote, durable here and offered to the network if it is new. Nothing is cast yet.
    Resolving {
        /// The proposal.
        proposal: RecordId,
        /// Its option for the branch.
        option: String,
        /// Whether it was put just now.
        is_new: bool,
    },
    /// To [`GroupAsk::Vote`], where members have not decided yet: there is a vote, durable here and offered to the network if it
    /// is new. Nothing is cast yet.
    ChangeVote {
        /// The proposal.
        proposal: RecordId,
        /// Who put it, and makes the change once it is decided.
        proposer: AgentId,
        /// Whether it was put just now.
        is_new: bool,
    },
    /// To [`GroupAsk::List`].
    Groups(Vec<Group>),
    /// To [`Ask::Attest`]: the record is durable here and offered to the network.
    Attested(RecordId),
    /// To [`Ask::Accuse`]: everybody will know. None if the case, or as many later ones as are kept, is known already.
    Accused(Option<RecordId>),
    /// To [`ReputationAsk::Show`].
    Reputation(Box<Reputation>),
    /// To [`ReputationAsk::Grounds`].
    Grounds(Box<Grounds>),
    /// To [`ReputationAsk::Top`].
    Ranking {
        /// At the end of which rating epoch; none if no scores were computed.
        epoch: Option<RatingEpoch>,
        /// The agents, the best first.
        agents: Vec<Ranked>,
    },
    /// To [`ReputationAsk::Rows`].
    Ratings {
        /// The rows, by rater and rating epoch.
        rows: Vec<RatingRow>,
        /// What to give as `after` to go on; none when this was the last page.
        next: Option<Vec<u8>>,
    },
    /// To [`ReputationAsk::Checkpoints`], the newest first, and to [`ReputationAsk::Checkpoint`].
    Checkpoints(Vec<CheckpointShown>),
    /// To [`Ask::Evidence`].
    Evidence(Vec<EvidenceRow>),
    /// To [`Ask::Import`]: what became of each record, in the same order; on disk here.
    Imported(Vec<crate::Taken>),
    /// To [`Ask::Events`]: all of it is durable.
    Events(Box<EventsPage>),
    /// To any ask: it was not done, and why.
    Refused(Refusal),
}

/// Why an [`Ask`] was not done. The text names the cause and the value; `hint` the next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of refusal, for exit codes and HTTP statuses.
    pub kind: RefusalKind,
    /// A lowercase sentence fragment.
    pub cause: String,
    /// What to do about it, where something can be done.
    pub hint: Option<String>,
}

/// The kinds of [`Refusal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// The request itself is wrong.
    Invalid,
    /// There is no such agent, card or proposal here.
    NotFound,
    /// It contradicts something that was already done (a second ballot).
    Conflict,
    /// Not decided yet, or not possible in this state.
    NotReady,
    /// This node does not sign at the moment (vote guard, disk).
    SigningStopped,
    /// Too much at once.
    Busy,
    /// Nobody answered in time.
    Timeout,
    /// The store failed.
    Internal,
}
