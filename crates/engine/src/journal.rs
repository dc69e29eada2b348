//! What happened here, in the order in which this node came to know it: rows that are written with the change that they
//! tell of, read page by page, and trimmed from the oldest. Local: no view, digest or peer ever sees them.

use althing_record::{Millis, NodeId};
use althing_store::{ReadError, Snapshot, Table};
use rand_core::Rng;

use crate::engine::Engine;
use crate::{Answer, AskNo, Effect, Event, EventId, EventKind, Start};

/// Most events that the journal holds. With every further one up to two of the oldest go.
pub const JOURNAL_EVENTS_MAX: u64 = 100_000;

/// Most events in one answer to [`crate::Ask::Events`].
pub const EVENTS_PAGE_MAX: usize = 256;

/// Most rows that one ask for later events looks at, whatever it filters out.
const ROWS_MAX: usize = 1_024;

/// Most rows, the newest, in which an ask for the last few events looks for them.
pub const NEWEST_ROWS_MAX: u64 = 8_192;

/// Most old rows that one new event removes: more than it adds, so that a journal that is too long shrinks.
const TRIM_ROWS_MAX: usize = 2;

/// The row of `meta` that says how far the journal goes.
const JOURNAL: &[u8] = b"journal";

/// Where the keys of events begin in [`Table::Journal`].
const EVENT: u8 = b'e';

/// From where events are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventsFrom {
    /// After the one that a reader saw last, perhaps long ago.
    After(EventId),
    /// From this sequence number on: where an earlier page of this run of the node ended.
    Seq(u64),
    /// The last so many of the wanted kinds, among the newest [`NEWEST_ROWS_MAX`].
    Newest(usize),
}

/// A part of the journal: the answer to [`crate::Ask::Events`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventsPage {
    /// The node whose journal it is.
    pub node: NodeId,
    /// What could not be shown before the first event, if anything.
    pub lost: Option<Lost>,
    /// The events, oldest first.
    pub events: Vec<JournalEvent>,
    /// Where the next page begins.
    pub next: u64,
    /// The id after which a reader of this page resumes, whatever was filtered out.
    pub resume: EventId,
    /// The sequence number that the next new event gets.
    pub end: u64,
}

/// An event in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEvent {
    /// Its name.
    pub id: EventId,
    /// When this node wrote it, by its own clock.
    pub time: Millis,
    /// What happened.
    pub event: Event,
}

/// Why events are missing between what a reader saw last and what it is shown next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// So many are no longer in the journal.
    Trimmed(u64),
    /// The id is from another journal: of another node, or of a store that is gone.
    OtherJournal,
    /// The journal was taken back to before the id, by a power cut or a backup: nobody knows what came after.
    RolledBack,
}

/// Where the journal stands, uncommitted events included.
#[derive(Debug)]
pub(crate) struct Journal {
    id: [u8; 8],
    start: Start,
    first: u64,
    next: u64,
    /// The wall clock of the current input.
    pub(crate) now: Millis,
    grew: bool,
    /// Since when the disk is full, and why.
    full: Option<(Millis, String)>,
    /// The start of the last event in the store, as it was read.
    stored: u32,
}

impl Journal {
    /// The journal in a store, at a new start of the node; a new one if there is none.
    pub(crate) fn open(store: &impl Snapshot, random: &mut impl Rng, now: Millis) -> Result<Self, ReadError> {
        let mut fresh = [0; 8];
        random.fill_bytes(&mut fresh);
        let mut tag = [0; 4];
        random.fill_bytes(&mut tag);
        let start = Start { count: 1, tag };
        let mut journal =
            Self { id: fresh, start, first: 1, next: 1, now, grew: false, full: None, stored: 0 };
        if let Some(head) = journal.read_head(store)? {
            journal.id = head;
            journal.start.count = journal.stored.saturating_add(1);
        }
        Ok(journal)
    }

    /// Goes back to what the store holds: the rest was never written.
    fn fall_back(&mut self, store: &impl Snapshot) -> Result<(), ReadError> {
        (self.first, self.next, self.stored, self.grew) = (1, 1, 0, false);
        self.read_head(store).map(drop)
    }

    /// Reads how far the journal goes, and gives its id.
    fn read_head(&mut self, store: &impl Snapshot) -> Result<Option<[u8; 8]>, ReadError> {
        let Some(row) = store.get(Table::Meta, JOURNAL)? else { return Ok(None) };
        let damaged =
            || ReadError { table: Table::Meta.name(), cause: format!("row journal has {} bytes", row.len()) };
        let row: &[u8; 28] = row.as_slice().try_into().map_err(|_| damaged())?;
        let word = |at: usize| u64::from_be_bytes(std::array::from_fn(|index| row[at + index]));
        (self.first, self.next) = (word(12), word(20));
        self.stored = u32::from_be_bytes(std::array::from_fn(|index| row[8 + index]));
        Ok(Some(word(0).to_be_bytes()))
    }

    fn head(&self) -> Vec<u8> {
        let (first, next) = (self.first.to_be_bytes(), self.next.to_be_bytes());
        [&self.id[..], &self.start.count.to_be_bytes(), &first, &next].concat()
    }

    fn id(&self, start: Start, seq: u64) -> EventId {
        EventId { journal: self.id, start, seq }
    }
}

/// The key of an event's row.
fn event_key(seq: u64) -> Vec<u8> {
    [&[EVENT][..], &seq.to_be_bytes()].concat()
}

/// An event's row: start's number 4 ‖ start's tag 4 ‖ time 8 ‖ the event as CBOR.
fn read_row(row: &[u8]) -> Option<(Start, Millis, &[u8])> {
    let (count, row) = row.split_first_chunk()?;
    let (tag, row) = row.split_first_chunk()?;
    let (time, event) = row.split_first_chunk()?;
    let start = Start { count: u32::from_be_bytes(*count), tag: *tag };
    Some((start, Millis(u64::from_be_bytes(*time)), event))
}

impl<S: Snapshot> Engine<S> {
    /// Writes an event into the commit of the current input.
    pub(crate) fn tell(&mut self, event: &Event) {
        let journal = &mut self.journal;
        let seq = journal.next;
        let row = [
            &journal.start.count.to_be_bytes()[..],
            &journal.start.tag,
            &journal.now.0.to_be_bytes(),
            &event.to_bytes(),
        ]
        .concat();
        (journal.next, journal.grew) = (seq + 1, true);
        self.put(Table::Journal, event_key(seq), row);
        for _ in 0..TRIM_ROWS_MAX {
            if self.journal.next - self.journal.first > JOURNAL_EVENTS_MAX {
                self.delete(Table::Journal, event_key(self.journal.first));
                self.journal.first += 1;
            }
        }
    }

    /// Ends the events of the current input: readers hear of them when they are durable.
    pub(crate) fn close_journal(&mut self) {
        if std::mem::take(&mut self.journal.grew) {
            self.put(Table::Meta, JOURNAL.to_vec(), self.journal.head());
            self.effect_when_durable(Effect::Journaled(self.journal.next));
        }
    }

    pub(crate) fn tell_start(&mut self) {
        let signing_stopped = self.signing_stopped.clone();
        self.tell(&Event::NodeStarted { start: self.journal.start.count, signing_stopped });
    }

    /// The disk is full: what was not written will not be.
    pub(crate) fn journal_falls_back(&mut self, cause: &str) -> Result<(), ReadError> {
        let now = self.journal.now;
        self.journal.full.get_or_insert_with(|| (now, cause.to_owned()));
        self.journal.fall_back(&self.store)
    }

    /// The disk takes writes again: what could not be told is told now.
    pub(crate) fn journal_resumes(&mut self) {
        if self.journal.stored != self.journal.start.count {
            self.tell_start();
        }
        if let Some((full_since, cause)) = self.journal.full.take() {
            self.tell(&Event::DiskWritable { full_since, cause });
        }
    }

    pub(crate) fn on_events(
        &mut self,
        no: AskNo,
        from: EventsFrom,
        kinds: &[EventKind],
        limit: usize,
    ) -> Result<(), ReadError> {
        let (mut next, lost) = self.locate(from, kinds)?;
        let limit = limit.clamp(1, EVENTS_PAGE_MAX);
        let mut events = Vec::new();
        for (key, row) in self.event_rows(next, self.journal.next, ROWS_MAX)? {
            if events.len() == limit {
                break;
            }
            let seq = key.get(1..).and_then(|seq| seq.try_into().ok()).map(u64::from_be_bytes);
            let Some((seq, (start, time, event))) = seq.zip(read_row(&row)) else { continue };
            next = seq + 1;
            let event = Event::read(event);
            if kinds.is_empty() || kinds.contains(&event.kind()) {
                events.push(JournalEvent { id: self.journal.id(start, seq), time, event });
            }
        }
        let start = self.start_of(next - 1)?.unwrap_or(self.journal.start);
        let resume = self.journal.id(start, next - 1);
        let page = EventsPage { node: self.node(), lost, events, next, resume, end: self.journal.next };
        // Not before all of it is durable, so that nothing is shown that a crash can still undo.
        self.answer(no, Answer::Events(Box::new(page)));
        Ok(())
    }

    /// Where the events that a reader wants begin, and what is missing before them.
    fn locate(&self, from: EventsFrom, kinds: &[EventKind]) -> Result<(u64, Option<Lost>), ReadError> {
        let Journal { id: journal, first, next, .. } = self.journal;
        let id = match from {
            EventsFrom::Seq(seq) if seq < first => return Ok((first, Some(Lost::Trimmed(first - seq)))),
            EventsFrom::Seq(seq) => return Ok((seq.min(next), None)),
            EventsFrom::Newest(count) => return Ok((self.newest(count, kinds)?, None)),
            EventsFrom::After(id) if id.journal != journal => return Ok((first, Some(Lost::OtherJournal))),
            EventsFrom::After(id) => id,
        };
        let after = id.seq.saturating_add(1);
        if after < first {
            return Ok((first, Some(Lost::Trimmed(first - after))));
        }
        if after == first || self.start_of(id.seq)? == Some(id.start) {
            return Ok((after, None));
        }
        // Starts stand in the order of their numbers: the first row that the id's start did not write and none before it.
        let (mut low, mut high) = (first, next);
        while low < high {
            let middle = u64::midpoint(low, high);
            let start = self.start_of(middle)?;
            let later = start.is_none_or(|start| start.count >= id.start.count && start != id.start);
            if later { high = middle } else { low = middle + 1 }
        }
        Ok((low, Some(Lost::RolledBack)))
    }

    /// Where the last `count` events of these kinds begin.
    fn newest(&self, count: usize, kinds: &[EventKind]) -> Result<u64, ReadError> {
        const WINDOW: u64 = 256;
        let Journal { first, next, .. } = self.journal;
        if kinds.is_empty() {
            return Ok(next.saturating_sub(count as u64).max(first));
        }
        let (mut at, mut left) = (next, count);
        while left > 0 && at > first && next - at < NEWEST_ROWS_MAX {
            let from = at.saturating_sub(WINDOW).max(first);
            for (key, row) in self.event_rows(from, at, ROWS_MAX)?.into_iter().rev() {
                let wanted = read_row(&row).is_some_and(|row| kinds.contains(&Event::read(row.2).kind()));
                left -= usize::from(wanted);
                if left == 0 {
                    let seq = key.get(1..).and_then(|seq| seq.try_into().ok()).map(u64::from_be_bytes);
                    return Ok(seq.unwrap_or(from));
                }
            }
            at = from;
        }
        Ok(at)
    }

    fn event_rows(&self, from: u64, to: u64, limit: usize) -> Result<Vec<althing_store::Row>, ReadError> {
        self.store.scan(Table::Journal, &event_key(from), &event_key(to), limit)
    }

    /// The start that wrote an event, if it is in the journal.
    fn start_of(&self, seq: u64) -> Result<Option<Start>, ReadError> {
        if seq < self.journal.first || seq >= self.journal.next {
            return Ok(None);
        }
        let row = self.store.get(Table::Journal, &event_key(seq))?;
        Ok(row.as_deref().and_then(read_row).map(|(start, ..)| start))
    }
}

#[cfg(test)]
mod tests;
