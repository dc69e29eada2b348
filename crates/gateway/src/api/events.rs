mod query;

use althing_engine::{CardNews, Event, EventsPage, JournalEvent, Lost};
use althing_record::{AgentId, NodeId, RecordId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use self::query::{EventsQuery, parse_event_types};
use super::rfc3339;

/// What every event type begins with.
pub const EVENT_TYPE_PREFIX: &str = "io.althing.";

/// The type of the event that says that others are missing.
pub const EVENTS_LOST: &str = "io.althing.events.lost";

/// Most events that a stream begins with: as many as a journal holds.
pub const MAX_LAST: u32 = 100_000;

/// An event as a CloudEvent 1.0 in the JSON format: what `GET /v1/events` sends in each `data:` line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "specversion": "1.0",
    "id": "5f0c9a1122334455-000000029a11ffee-57",
    "source": "urn:althing:node:12D3KooWHCJbJKGDfCgHSoCuK9q4STyRnVveqLoXAPBbXHTZx9Cv",
    "type": "io.althing.vote.cast",
    "subject": "172b29a16fb6c75fd3b0da4c0733db5e172b29a16fb6c75fd3b0da4c0733db5e",
    "time": "2026-11-20T14:38:38.557Z",
    "datacontenttype": "application/json",
    "data": {
        "proposal": "172b29a16fb6c75fd3b0da4c0733db5e172b29a16fb6c75fd3b0da4c0733db5e",
        "voter": "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp",
        "ballot": "d3b0da4c0733db5e172b29a16fb6c75fd3b0da4c0733db5e172b29a16fb6c75f",
        "choice": "yes",
    },
}))]
pub struct CloudEvent {
    /// Always `1.0`.
    pub specversion: String,
    /// Unique in the source. Of an event in the journal it is also the stream's `id:`, and what `after` takes.
    pub id: String,
    /// The node whose journal it is.
    pub source: String,
    /// What happened: `io.althing.`, a subject and a verb.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is about: an agent's did, a proposal's or a group's id, or the node.
    pub subject: String,
    /// When this node wrote it down, by its own clock; absent in `io.althing.events.lost`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Always `application/json`.
    pub datacontenttype: String,
    /// The rest, by type.
    #[schema(value_type = EventData)]
    pub data: serde_json::Value,
}

/// What an event says, by its type. Texts have at most 256 bytes; longer ones are cut. Types, and members of `data`, may
/// be added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum EventData {
    /// `io.althing.events.lost`: events are missing before the next one.
    #[schema(title = "events.lost")]
    Lost {
        /// Why.
        reason: LostReason,
        /// How many, if that is known.
        count: Option<u64>,
    },
    /// `io.althing.node.started`.
    #[schema(title = "node.started")]
    NodeStarted {
        /// Which start of this data directory it was, from 1.
        start: u32,
        /// Why the node signs no votes, if so.
        signing_stopped: Option<String>,
    },
    /// `io.althing.agent.known`: the first record of an agent's identity came.
    #[schema(title = "agent.known")]
    AgentKnown {
        /// Who.
        agent: String,
        /// The record.
        record: String,
    },
    /// `io.althing.agent.key-changed`: another key speaks for an agent now.
    #[schema(title = "agent.key-changed")]
    AgentKeyChanged {
        /// Who.
        agent: String,
        /// The record that did it.
        record: String,
        /// The key, in hex.
        key: String,
    },
    /// `io.althing.card.published` and `io.althing.card.updated`.
    #[schema(title = "card.published, card.updated")]
    Card {
        /// Whose.
        agent: String,
        /// The card's record.
        card: String,
        /// The revision.
        revision: u64,
        /// The name in the card.
        name: String,
        /// Which members of its JSON are not the same as before; none if there was no card before.
        changed: Vec<String>,
    },
    /// `io.althing.card.retracted`, `io.althing.card.expired`, and `io.althing.card.withdrawn`, when its key was
    /// replaced.
    #[schema(title = "card.retracted, card.expired, card.withdrawn")]
    CardGone {
        /// Whose.
        agent: String,
        /// The card's record; of a retraction the record that retracts.
        card: String,
        /// The revision of a retraction.
        revision: Option<u64>,
    },
    /// `io.althing.lease.began`, `io.althing.lease.moved`, when another node serves the agent or did so last, and
    /// `io.althing.lease.ended`.
    #[schema(title = "lease.began, lease.moved, lease.ended")]
    Lease {
        /// Who is or was served.
        agent: String,
        /// The lease's record, or the one that ended it.
        record: String,
        /// Where.
        node: String,
        /// Of a move: where else, or where before.
        from: Option<String>,
    },
    /// `io.althing.vote.proposed`.
    #[schema(title = "vote.proposed")]
    VoteProposed {
        /// The proposal.
        proposal: String,
        /// Who put it.
        proposer: String,
        /// The question.
        question: String,
    },
    /// `io.althing.vote.cast`: a voter's ballot came. Ballots are public.
    #[schema(title = "vote.cast")]
    VoteCast {
        /// The proposal.
        proposal: String,
        /// Who.
        voter: String,
        /// The record that carries the ballot.
        ballot: String,
        /// An option, or `abstain`.
        choice: String,
    },
    /// `io.althing.vote.decided`, once for each outcome of a proposal.
    #[schema(title = "vote.decided")]
    VoteDecided {
        /// The proposal.
        proposal: String,
        /// The option that won.
        option: String,
    },
    /// `io.althing.vote.conflicting`: more voters cheated than the rule tolerates.
    #[schema(title = "vote.conflicting")]
    VoteConflicting {
        /// The proposal.
        proposal: String,
        /// The options that all have their votes.
        options: Vec<String>,
    },
    /// `io.althing.vote.electorate-differs`: this node, whose agents vote by reputation, computes other masses.
    #[schema(title = "vote.electorate-differs")]
    ElectorateDiffers {
        /// The proposal.
        proposal: String,
        /// How many voters have another mass here.
        differing: u64,
        /// How many have too low a score here.
        too_low: u64,
    },
    /// `io.althing.docket.proposed`: many questions were put at once.
    #[schema(title = "docket.proposed")]
    DocketProposed {
        /// The docket.
        docket: String,
        /// Who put it.
        proposer: String,
        /// Its title.
        title: String,
        /// How many questions it has.
        questions: u64,
    },
    /// `io.althing.docket.answered`: a voter's answers came.
    #[schema(title = "docket.answered")]
    DocketAnswered {
        /// The docket.
        docket: String,
        /// Who.
        voter: String,
        /// The record that carries the answers.
        ballot: String,
    },
    /// `io.althing.docket.decided`: questions have their outcomes; told again when more do.
    #[schema(title = "docket.decided")]
    DocketDecided {
        /// The docket.
        docket: String,
        /// On how many questions an option is decided.
        decided: u64,
        /// On how many it is decided that no option won.
        rejected: u64,
        /// How many there are.
        questions: u64,
    },
    /// `io.althing.vote.rejected`: a closed decision chose no option.
    #[schema(title = "vote.rejected")]
    VoteRejected {
        /// The proposal.
        proposal: String,
        /// Why.
        cause: String,
    },
    /// `io.althing.group.changed`: a group was founded, or who is in it changed.
    #[schema(title = "group.changed")]
    GroupChanged {
        /// The group.
        group: String,
        /// The record that did it.
        record: String,
        /// Whom it is about; of a founding the founder.
        agent: String,
        /// `founded`, `invited`, `added`, `removed`, `promoted` or `demoted`.
        change: String,
        /// How many changes there were up to this one.
        height: u32,
    },
    /// `io.althing.vote.opened`: a trustee of sealed ballots published its secret.
    #[schema(title = "vote.opened")]
    VoteOpened {
        /// The proposal.
        proposal: String,
        /// Who.
        trustee: String,
        /// The record with the secret.
        record: String,
    },
    /// `io.althing.evidence.found`: misbehaviour was proved.
    #[schema(title = "evidence.found")]
    EvidenceFound {
        /// Whose.
        agent: String,
        /// `double ballot`, `double report`, `double statement`, `double trustee key`, `double attestation`, `double
        /// accept` or `chain fork`.
        offence: String,
        /// What proves it: two records, or one that holds two statements.
        records: Vec<String>,
    },
    /// `io.althing.rating.unproved`: a rater did not show receipts that were demanded of it. Only nodes of the committee tell.
    #[schema(title = "rating.unproved")]
    RatingUnproved {
        /// Who.
        rater: String,
        /// Under which attestation.
        record: String,
        /// How many of its rows that are.
        rows: u64,
    },
    /// `io.althing.agent.pardoned`: proven misbehaviour was forgiven.
    #[schema(title = "agent.pardoned")]
    AgentPardoned {
        /// Whose.
        agent: String,
        /// By which decided proposal.
        proposal: String,
        /// How many cases it names.
        cases: u64,
    },
    /// `io.althing.signing.stopped`: this node signs no more votes.
    #[schema(title = "signing.stopped")]
    SigningStopped {
        /// Why.
        cause: String,
    },
    /// `io.althing.disk.writable`: the disk was full and is not any more.
    #[schema(title = "disk.writable")]
    DiskWritable {
        /// Since when it was full.
        full_since: String,
        /// The same in milliseconds since 1970.
        full_since_ms: u64,
        /// What the disk said then.
        cause: String,
    },
    /// `io.althing.event.unknown`: written by a later version of the program.
    #[schema(title = "event.unknown")]
    Unknown {
        /// Its number there.
        code: u64,
    },
}

/// Why events are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LostReason {
    /// They are no longer in the journal.
    Trimmed,
    /// The id is from another journal: of another node, or of a store that is gone.
    OtherJournal,
    /// The journal was taken back to before the id, by a power cut or a backup.
    RolledBack,
}

impl CloudEvent {
    /// An event of a node's journal.
    #[must_use]
    pub fn new(node: NodeId, told: &JournalEvent) -> Self {
        let (subject, data) = data_of(node, &told.event);
        let kind = format!("{EVENT_TYPE_PREFIX}{}", told.event.kind().name());
        Self::of(node, told.id.to_string(), kind, subject, Some(rfc3339(told.time)), &data)
    }

    /// That events are missing before a page.
    #[must_use]
    pub fn lost(page: &EventsPage, lost: Lost) -> Self {
        let (reason, count) = match lost {
            Lost::Trimmed(count) => (LostReason::Trimmed, Some(count)),
            Lost::OtherJournal => (LostReason::OtherJournal, None),
            Lost::RolledBack => (LostReason::RolledBack, None),
        };
        let id = format!("lost-before-{}", page.resume);
        let data = EventData::Lost { reason, count };
        Self::of(page.node, id, EVENTS_LOST.to_owned(), page.node.to_string(), None, &data)
    }

    fn of(
        node: NodeId,
        id: String,
        kind: String,
        subject: String,
        time: Option<String>,
        data: &EventData,
    ) -> Self {
        Self {
            specversion: "1.0".to_owned(),
            id,
            source: format!("urn:althing:node:{node}"),
            kind,
            subject,
            time,
            datacontenttype: "application/json".to_owned(),
            data: serde_json::to_value(data).unwrap_or_default(),
        }
    }
}

/// What an event is about, and what it says.
fn data_of(node: NodeId, event: &Event) -> (String, EventData) {
    let gone = |agent: &AgentId, card: &RecordId, revision| {
        let (agent, card) = (agent.to_string(), card.to_string());
        (agent.clone(), EventData::CardGone { agent, card, revision })
    };
    let lease = |agent: &AgentId, record: &RecordId, node: &NodeId, from: Option<&NodeId>| {
        let (agent, record, node) = (agent.to_string(), record.to_string(), node.to_string());
        (agent.clone(), EventData::Lease { agent, record, node, from: from.map(ToString::to_string) })
    };
    match event {
        Event::NodeStarted { start, signing_stopped } => {
            let signing_stopped = signing_stopped.clone();
            (node.to_string(), EventData::NodeStarted { start: *start, signing_stopped })
        }
        Event::AgentKnown { agent, record } => {
            let (agent, record) = (agent.to_string(), record.to_string());
            (agent.clone(), EventData::AgentKnown { agent, record })
        }
        Event::AgentKeyChanged { agent, record, key } => {
            let (agent, record, key) = (agent.to_string(), record.to_string(), hex::encode(key));
            (agent.clone(), EventData::AgentKeyChanged { agent, record, key })
        }
        Event::CardPublished(CardNews { agent, card, revision, name, changed })
        | Event::CardUpdated(CardNews { agent, card, revision, name, changed }) => {
            let (agent, card, name) = (agent.to_string(), card.to_string(), name.clone());
            let changed = changed.clone();
            (agent.clone(), EventData::Card { agent, card, revision: *revision, name, changed })
        }
        Event::CardRetracted { agent, card, revision } => {
            gone(agent, card, Some(*revision).filter(|revision| *revision > 0))
        }
        Event::CardExpired { agent, card } | Event::CardWithdrawn { agent, card } => gone(agent, card, None),
        Event::LeaseBegan { agent, record, node } | Event::LeaseEnded { agent, record, node } => {
            lease(agent, record, node, None)
        }
        Event::LeaseMoved { agent, record, node, from } => lease(agent, record, node, Some(from)),
        Event::VoteProposed { proposal, proposer, question } => {
            let (proposal, proposer) = (proposal.to_string(), proposer.to_string());
            (proposal.clone(), EventData::VoteProposed { proposal, proposer, question: question.clone() })
        }
        Event::VoteCast { proposal, voter, ballot, choice } => {
            let (proposal, voter, ballot) = (proposal.to_string(), voter.to_string(), ballot.to_string());
            (proposal.clone(), EventData::VoteCast { proposal, voter, ballot, choice: choice.clone() })
        }
        Event::VoteDecided { proposal, option } => {
            let (proposal, option) = (proposal.to_string(), option.clone());
            (proposal.clone(), EventData::VoteDecided { proposal, option })
        }
        Event::VoteConflicting { proposal, options } => {
            let (proposal, options) = (proposal.to_string(), options.clone());
            (proposal.clone(), EventData::VoteConflicting { proposal, options })
        }
        Event::ElectorateDiffers { proposal, differing, too_low } => {
            let (proposal, differing, too_low) = (proposal.to_string(), *differing, *too_low);
            (proposal.clone(), EventData::ElectorateDiffers { proposal, differing, too_low })
        }
        Event::DocketProposed { docket, proposer, title, questions } => {
            let (docket, proposer) = (docket.to_string(), proposer.to_string());
            (
                docket.clone(),
                EventData::DocketProposed { docket, proposer, title: title.clone(), questions: *questions },
            )
        }
        Event::DocketAnswered { docket, voter, ballot } => {
            let (docket, voter, ballot) = (docket.to_string(), voter.to_string(), ballot.to_string());
            (docket.clone(), EventData::DocketAnswered { docket, voter, ballot })
        }
        Event::DocketDecided { docket, decided, rejected, questions } => {
            let docket = docket.to_string();
            (
                docket.clone(),
                EventData::DocketDecided {
                    docket,
                    decided: *decided,
                    rejected: *rejected,
                    questions: *questions,
                },
            )
        }
        Event::VoteRejected { proposal, cause } => {
            let (proposal, cause) = (proposal.to_string(), cause.clone());
            (proposal.clone(), EventData::VoteRejected { proposal, cause })
        }
        Event::GroupChanged { group, record, agent, change, height } => {
            let (group, record, agent) = (group.to_string(), record.to_string(), agent.to_string());
            let (change, height) = (change.clone(), *height);
            (group.clone(), EventData::GroupChanged { group, record, agent, change, height })
        }
        Event::VoteOpened { proposal, trustee, record } => {
            let (proposal, trustee) = (proposal.to_string(), trustee.to_string());
            (proposal.clone(), EventData::VoteOpened { proposal, trustee, record: record.to_string() })
        }
        Event::EvidenceFound { agent, offence, records } => {
            let (agent, records) = (agent.to_string(), records.iter().map(ToString::to_string).collect());
            (agent.clone(), EventData::EvidenceFound { agent, offence: offence.clone(), records })
        }
        Event::RatingUnproved { rater, record, rows } => {
            let (rater, record, rows) = (rater.to_string(), record.to_string(), *rows);
            (rater.clone(), EventData::RatingUnproved { rater, record, rows })
        }
        Event::AgentPardoned { agent, proposal, cases } => {
            let (agent, proposal, cases) = (agent.to_string(), proposal.to_string(), *cases);
            (agent.clone(), EventData::AgentPardoned { agent, proposal, cases })
        }
        Event::SigningStopped { cause } => {
            (node.to_string(), EventData::SigningStopped { cause: cause.clone() })
        }
        Event::DiskWritable { full_since, cause } => {
            let (cause, since) = (cause.clone(), rfc3339(*full_since));
            let data = EventData::DiskWritable { full_since: since, full_since_ms: full_since.0, cause };
            (node.to_string(), data)
        }
        Event::Unknown { code } => (node.to_string(), EventData::Unknown { code: *code }),
    }
}
