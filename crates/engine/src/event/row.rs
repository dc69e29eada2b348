//! Events as rows of the journal.

use althing_record::cbor::{self, Limits, List, Text};
use althing_record::{AgentId, GroupId, Millis, NodeId, RecordId, cbor_map};

use super::{CardNews, EVENT_TEXT_BYTES_MAX, Event, EventKind, TEXTS_MAX};

cbor_map! {
    /// An event as it stands in a row: its number, and what that kind has of the rest.
    struct Row {
        0 => pub code: u64,
        1 => pub agent: Option<AgentId>,
        2 => pub record: Option<RecordId>,
        3 => pub other: Option<RecordId>,
        4 => pub key: Option<[u8; 32]>,
        5 => pub number: Option<u64>,
        6 => pub text: Option<Text<EVENT_TEXT_BYTES_MAX>>,
        7 => pub texts: Option<List<Text<EVENT_TEXT_BYTES_MAX>, TEXTS_MAX>>,
        8 => pub numbers: Option<List<u64, 4>>,
    }
}

impl Row {
    /// A row of this number that has nothing else.
    fn of(code: u64) -> Self {
        Self {
            code,
            agent: None,
            record: None,
            other: None,
            key: None,
            number: None,
            text: None,
            texts: None,
            numbers: None,
        }
    }
}

impl Event {
    /// The event as deterministic CBOR.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut row = Row::of(self.kind() as u64);
        match self {
            Self::NodeStarted { start, signing_stopped } => {
                row.number = Some(u64::from(*start));
                row.text = signing_stopped.as_deref().map(cut);
            }
            Self::AgentKnown { agent, record } => (row.agent, row.record) = (Some(*agent), Some(*record)),
            Self::AgentKeyChanged { agent, record, key } => {
                (row.agent, row.record, row.key) = (Some(*agent), Some(*record), Some(*key));
            }
            Self::CardPublished(news) | Self::CardUpdated(news) => {
                (row.agent, row.record) = (Some(news.agent), Some(news.card));
                (row.number, row.text) = (Some(news.revision), Some(cut(&news.name)));
                row.texts = (!news.changed.is_empty()).then(|| texts(&news.changed)).flatten();
            }
            Self::CardRetracted { agent, card, revision } => {
                (row.agent, row.record, row.number) = (Some(*agent), Some(*card), Some(*revision));
            }
            Self::LeaseBegan { agent, record, node } | Self::LeaseEnded { agent, record, node } => {
                (row.agent, row.record, row.key) = (Some(*agent), Some(*record), Some(node.0));
            }
            Self::LeaseMoved { agent, record, node, from } => {
                (row.agent, row.record, row.key) = (Some(*agent), Some(*record), Some(node.0));
                row.other = Some(RecordId(from.0));
            }
            Self::CardExpired { agent, card } | Self::CardWithdrawn { agent, card } => {
                (row.agent, row.record) = (Some(*agent), Some(*card))
            }
            Self::VoteProposed { proposal, proposer, question } => {
                (row.agent, row.record, row.text) = (Some(*proposer), Some(*proposal), Some(cut(question)));
            }
            Self::VoteCast { proposal, voter, ballot, choice } => {
                (row.agent, row.record) = (Some(*voter), Some(*proposal));
                (row.other, row.text) = (Some(*ballot), Some(cut(choice)));
            }
            Self::VoteDecided { proposal, option } => {
                (row.record, row.text) = (Some(*proposal), Some(cut(option)));
            }
            Self::VoteRejected { proposal, cause } => {
                (row.record, row.text) = (Some(*proposal), Some(cut(cause)));
            }
            Self::VoteOpened { proposal, trustee, record } => {
                (row.record, row.agent, row.other) = (Some(*proposal), Some(*trustee), Some(*record));
            }
            Self::ElectorateDiffers { proposal, differing, too_low } => {
                row.record = Some(*proposal);
                row.numbers = List::try_from(vec![*differing, *too_low]).ok();
            }
            Self::VoteConflicting { proposal, options } => {
                (row.record, row.texts) = (Some(*proposal), texts(options));
            }
            Self::DocketProposed { docket, proposer, title, questions } => {
                (row.agent, row.record) = (Some(*proposer), Some(*docket));
                (row.text, row.number) = (Some(cut(title)), Some(*questions));
            }
            Self::DocketAnswered { docket, voter, ballot } => {
                (row.agent, row.record, row.other) = (Some(*voter), Some(*docket), Some(*ballot));
            }
            Self::DocketDecided { docket, decided, rejected, questions } => {
                (row.record, row.number) = (Some(*docket), Some(*questions));
                row.numbers = List::try_from(vec![*decided, *rejected]).ok();
            }
            Self::GroupChanged { group, record, agent, change, height } => {
                (row.agent, row.record, row.other) = (Some(*agent), Some(*record), Some(RecordId(group.0)));
                (row.number, row.text) = (Some(u64::from(*height)), Some(cut(change)));
            }
            Self::EvidenceFound { agent, offence, records } => {
                (row.agent, row.text) = (Some(*agent), Some(cut(offence)));
                (row.record, row.other) = (records.first().copied(), records.get(1).copied());
            }
            Self::RatingUnproved { rater, record, rows } => {
                (row.agent, row.record, row.number) = (Some(*rater), Some(*record), Some(*rows));
            }
            Self::AgentPardoned { agent, proposal, cases } => {
                (row.agent, row.record, row.number) = (Some(*agent), Some(*proposal), Some(*cases));
            }
            Self::SigningStopped { cause } => row.text = Some(cut(cause)),
            Self::DiskWritable { full_since, cause } => {
                (row.number, row.text) = (Some(full_since.0), Some(cut(cause)));
            }
            Self::Unknown { code } => row.code = *code,
        }
        cbor::to_vec(&row)
    }

    /// Reads an event. What this version does not understand is [`Event::Unknown`]: a row was written whole, so it is a
    /// later version's.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        match cbor::from_slice::<Row>(bytes, Limits { depth: 4, items: 256 }) {
            Ok(row) => {
                let code = row.code;
                Self::of(row).unwrap_or(Self::Unknown { code })
            }
            Err(_) => Self::Unknown { code: 0 },
        }
    }

    fn of(row: Row) -> Option<Self> {
        let kind = EventKind::ALL.iter().find(|kind| **kind as u64 == row.code)?;
        let text = row.text.map(Text::into_inner);
        let texts = row.texts.map(|texts| texts.iter().map(ToString::to_string).collect::<Vec<_>>());
        let node = row.key.map(NodeId);
        Some(match kind {
            EventKind::Unknown => return None,
            EventKind::NodeStarted => {
                Self::NodeStarted { start: row.number?.try_into().ok()?, signing_stopped: text }
            }
            EventKind::AgentKnown => Self::AgentKnown { agent: row.agent?, record: row.record? },
            EventKind::AgentKeyChanged => {
                Self::AgentKeyChanged { agent: row.agent?, record: row.record?, key: row.key? }
            }
            EventKind::CardPublished | EventKind::CardUpdated => {
                let (agent, card) = (row.agent?, row.record?);
                let changed = texts.unwrap_or_default();
                let news = CardNews { agent, card, revision: row.number?, name: text?, changed };
                if *kind == EventKind::CardPublished {
                    Self::CardPublished(news)
                } else {
                    Self::CardUpdated(news)
                }
            }
            EventKind::CardRetracted => {
                let revision = row.number.unwrap_or_default();
                Self::CardRetracted { agent: row.agent?, card: row.record?, revision }
            }
            EventKind::LeaseBegan => Self::LeaseBegan { agent: row.agent?, record: row.record?, node: node? },
            EventKind::LeaseMoved => {
                let from = NodeId(row.other?.0);
                Self::LeaseMoved { agent: row.agent?, record: row.record?, node: node?, from }
            }
            EventKind::LeaseEnded => Self::LeaseEnded { agent: row.agent?, record: row.record?, node: node? },
            EventKind::CardExpired => Self::CardExpired { agent: row.agent?, card: row.record? },
            EventKind::CardWithdrawn => Self::CardWithdrawn { agent: row.agent?, card: row.record? },
            EventKind::VoteProposed => {
                Self::VoteProposed { proposal: row.record?, proposer: row.agent?, question: text? }
            }
            EventKind::VoteCast => {
                let (proposal, voter, ballot) = (row.record?, row.agent?, row.other?);
                Self::VoteCast { proposal, voter, ballot, choice: text? }
            }
            EventKind::VoteDecided => Self::VoteDecided { proposal: row.record?, option: text? },
            EventKind::VoteRejected => Self::VoteRejected { proposal: row.record?, cause: text? },
            EventKind::VoteOpened => {
                Self::VoteOpened { proposal: row.record?, trustee: row.agent?, record: row.other? }
            }
            EventKind::ElectorateDiffers => {
                let numbers = row.numbers?;
                let (differing, too_low) = (*numbers.first()?, *numbers.get(1)?);
                Self::ElectorateDiffers { proposal: row.record?, differing, too_low }
            }
            EventKind::VoteConflicting => Self::VoteConflicting { proposal: row.record?, options: texts? },
            EventKind::DocketProposed => {
                let (docket, proposer) = (row.record?, row.agent?);
                Self::DocketProposed { docket, proposer, title: text?, questions: row.number? }
            }
            EventKind::DocketAnswered => {
                Self::DocketAnswered { docket: row.record?, voter: row.agent?, ballot: row.other? }
            }
            EventKind::DocketDecided => {
                let numbers = row.numbers?;
                let (decided, rejected) = (*numbers.first()?, *numbers.get(1)?);
                Self::DocketDecided { docket: row.record?, decided, rejected, questions: row.number? }
            }
            EventKind::GroupChanged => Self::GroupChanged {
                group: GroupId(row.other?.0),
                record: row.record?,
                agent: row.agent?,
                change: text?,
                height: row.number?.try_into().ok()?,
            },
            EventKind::EvidenceFound => {
                let records = [row.record, row.other].into_iter().flatten().collect();
                Self::EvidenceFound { agent: row.agent?, offence: text?, records }
            }
            EventKind::RatingUnproved => {
                Self::RatingUnproved { rater: row.agent?, record: row.record?, rows: row.number? }
            }
            EventKind::AgentPardoned => {
                Self::AgentPardoned { agent: row.agent?, proposal: row.record?, cases: row.number? }
            }
            EventKind::SigningStopped => Self::SigningStopped { cause: text? },
            EventKind::DiskWritable => Self::DiskWritable { full_since: Millis(row.number?), cause: text? },
        })
    }
}

fn texts(all: &[String]) -> Option<List<Text<EVENT_TEXT_BYTES_MAX>, TEXTS_MAX>> {
    let fitting: Vec<_> = all.iter().take(TEXTS_MAX).map(|text| cut(text)).collect();
    List::try_from(fitting).ok()
}

/// The beginning of a text, as much as an event holds.
fn cut(text: &str) -> Text<EVENT_TEXT_BYTES_MAX> {
    let fits = (0..=EVENT_TEXT_BYTES_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    Text::try_from(&text[..fits.unwrap_or(0)]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGENT: AgentId = AgentId([1; 32]);
    const ID: RecordId = RecordId([2; 32]);

    fn one_of_each() -> Vec<Event> {
        let news =
            CardNews { agent: AGENT, card: ID, revision: 3, name: "Tölk".into(), changed: Vec::new() };
        let updated = CardNews { changed: vec!["version".into()], ..news.clone() };
        let (node, from) = (NodeId([6; 32]), NodeId([7; 32]));
        vec![
            Event::NodeStarted { start: 7, signing_stopped: None },
            Event::NodeStarted { start: 8, signing_stopped: Some("why".into()) },
            Event::AgentKnown { agent: AGENT, record: ID },
            Event::AgentKeyChanged { agent: AGENT, record: ID, key: [4; 32] },
            Event::CardPublished(news),
            Event::CardUpdated(updated),
            Event::CardRetracted { agent: AGENT, card: ID, revision: 9 },
            Event::LeaseBegan { agent: AGENT, record: ID, node },
            Event::LeaseMoved { agent: AGENT, record: ID, node, from },
            Event::LeaseEnded { agent: AGENT, record: ID, node },
            Event::CardExpired { agent: AGENT, card: ID },
            Event::CardWithdrawn { agent: AGENT, card: ID },
            Event::VoteProposed { proposal: ID, proposer: AGENT, question: "a?".into() },
            Event::VoteCast {
                proposal: ID,
                voter: AGENT,
                ballot: RecordId([5; 32]),
                choice: "abstain".into(),
            },
            Event::VoteDecided { proposal: ID, option: "yes".into() },
            Event::ElectorateDiffers { proposal: ID, differing: 3, too_low: 1 },
            Event::VoteConflicting { proposal: ID, options: vec!["a".into(), "b".into()] },
            Event::VoteRejected { proposal: ID, cause: "tied".into() },
            Event::DocketProposed { docket: ID, proposer: AGENT, title: "June".into(), questions: 3 },
            Event::DocketAnswered { docket: ID, voter: AGENT, ballot: RecordId([5; 32]) },
            Event::DocketDecided { docket: ID, decided: 2, rejected: 1, questions: 3 },
            Event::GroupChanged {
                group: GroupId([8; 32]),
                record: ID,
                agent: AGENT,
                change: "invited".into(),
                height: 3,
            },
            Event::VoteOpened { proposal: ID, trustee: AGENT, record: RecordId([8; 32]) },
            Event::EvidenceFound { agent: AGENT, offence: "chain fork".into(), records: vec![ID; 2] },
            Event::EvidenceFound { agent: AGENT, offence: "double accept".into(), records: vec![ID] },
            Event::RatingUnproved { rater: AGENT, record: ID, rows: 2 },
            Event::AgentPardoned { agent: AGENT, proposal: ID, cases: 2 },
            Event::SigningStopped { cause: "copied".into() },
            Event::DiskWritable { full_since: Millis(9), cause: "full".into() },
        ]
    }

    #[test]
    fn every_event_reads_back() {
        let events = one_of_each();
        for event in &events {
            assert_eq!(Event::read(&event.to_bytes()), *event);
        }
        let kinds: std::collections::BTreeSet<_> = events.iter().map(Event::kind).collect();
        assert_eq!(kinds.len() + 1, EventKind::ALL.len(), "a kind has no sample");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let event = Event::SigningStopped { cause: "é".repeat(200) };
        let Event::SigningStopped { cause } = Event::read(&event.to_bytes()) else { panic!() };
        assert_eq!(cause, "é".repeat(128));
        let event = Event::SigningStopped { cause: format!("x{}", "é".repeat(200)) };
        let Event::SigningStopped { cause } = Event::read(&event.to_bytes()) else { panic!() };
        assert_eq!(cause.len(), 255);
    }

    #[test]
    fn what_a_later_version_wrote_is_unknown_and_not_skipped() {
        assert_eq!(Event::read(&Event::Unknown { code: 99 }.to_bytes()), Event::Unknown { code: 99 });
        assert_eq!(Event::read(b"\xff"), Event::Unknown { code: 0 });
        let incomplete = Row { agent: Some(AGENT), ..Row::of(EventKind::CardExpired as u64) };
        assert_eq!(Event::read(&cbor::to_vec(&incomplete)), Event::Unknown { code: 7 });
    }
}
