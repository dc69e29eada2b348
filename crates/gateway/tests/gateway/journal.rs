//! A journal that tests write and the scripted node reads.

use althing_engine::{Event, EventId, EventKind, EventsFrom, EventsPage, JournalEvent, Lost, Start};
use althing_record::NodeId;
use tokio::sync::watch;

use crate::samples::{HOSTED, NOON, OTHER, PROPOSAL};

/// Events with the numbers from `first` on.
#[derive(Debug)]
pub(crate) struct Journal {
    first: u64,
    events: Vec<Event>,
    pub(crate) journaled: watch::Sender<u64>,
}

impl Journal {
    pub(crate) fn new() -> Self {
        let mut journal = Self { first: 1, events: Vec::new(), journaled: watch::Sender::new(1) };
        journal.push(Event::NodeStarted { start: 2, signing_stopped: None });
        journal
    }

    pub(crate) fn push(&mut self, event: Event) {
        self.events.push(event);
        self.journaled.send_replace(self.end());
    }

    /// The oldest go, until number `first`.
    pub(crate) fn trim(&mut self, first: u64) {
        self.events.drain(..usize::try_from(first - self.first).unwrap());
        self.first = first;
    }

    pub(crate) fn end(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    pub(crate) fn id(seq: u64) -> EventId {
        EventId { journal: [5; 8], start: Start { count: 2, tag: [6; 4] }, seq }
    }

    pub(crate) fn page(&self, from: EventsFrom, kinds: &[EventKind], limit: usize) -> EventsPage {
        let (mut next, mut lost) = match from {
            EventsFrom::After(id) if id.journal != Self::id(1).journal => {
                (self.first, Some(Lost::OtherJournal))
            }
            EventsFrom::After(id) => (id.seq + 1, None),
            EventsFrom::Seq(seq) => (seq, None),
            EventsFrom::Newest(count) => (self.end().saturating_sub(count as u64).max(self.first), None),
        };
        if next < self.first {
            (lost, next) = (Some(Lost::Trimmed(self.first - next)), self.first);
        }
        let mut events = Vec::new();
        while next < self.end() && events.len() < limit {
            let event = self.events[usize::try_from(next - self.first).unwrap()].clone();
            if kinds.is_empty() || kinds.contains(&event.kind()) {
                events.push(JournalEvent { id: Self::id(next), time: NOON, event });
            }
            next += 1;
        }
        let (node, resume) = (NodeId([9; 32]), Self::id(next - 1));
        EventsPage { node, lost, events, next, resume, end: self.end() }
    }
}

/// A ballot, different for each `n`.
pub(crate) fn ballot(n: u64) -> Event {
    let voter = if n.is_multiple_of(2) { HOSTED } else { OTHER };
    let ballot = althing_record::RecordId([7; 32]);
    Event::VoteCast { proposal: PROPOSAL, voter, ballot, choice: format!("option {n}") }
}
