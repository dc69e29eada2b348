//! Many records at a time: out of a store for whoever keeps them elsewhere, and into a node from there.

use althing_record::{Kind, Millis, Network, Record, RecordId};
use althing_store::{ReadError, Snapshot, Table, prefix_end};

use crate::admit::Admission;
use crate::engine::Engine;
use crate::rows::StoredRecord;
use crate::{Answer, AskNo, Now, RefusalKind, Source};

/// Most records that one [`crate::Ask::Import`] takes.
pub const IMPORT_MAX: usize = 128;

/// Most rows that one page looks at.
const PAGE_ROWS_MAX: usize = 1_024;

/// A page ends with the record that reaches so many bytes.
const PAGE_BYTES: usize = 512 * 1_024;

/// Some of the live records of a store.
#[derive(Clone, Debug, Default)]
pub struct RecordPage {
    /// The records.
    pub records: Vec<Record>,
    /// Where the next page begins; none when this was the last.
    pub next: Option<Vec<u8>>,
}

/// What became of an imported record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is new and stored.
    New,
    /// It was here already.
    Known,
    /// Not now: something that it depends on is not here yet.
    Early(String),
    /// Not here; nobody is at fault.
    Unwanted(String),
    /// It is wrong.
    Wrong(String),
}

/// A page of the records whose time is not over: those of the directory first, then those of the ledger, then
/// attestations, each by the time when they were made. `from` is empty or the `next` of the page before. A record that comes while pages are read
/// may or may not be in one of them. Bounded, however large the store is.
///
/// # Errors
/// When the store cannot be read, or holds a record that does not verify.
pub fn live_records(
    store: &impl Snapshot,
    network: &Network,
    kind: Option<Kind>,
    from: &[u8],
    now: Millis,
) -> Result<RecordPage, ReadError> {
    let rows = store.scan(Table::SyncView, from, &prefix_end(&[]), PAGE_ROWS_MAX)?;
    let mut page = RecordPage::default();
    let mut bytes = 0;
    let is_last = rows.len() < PAGE_ROWS_MAX;
    for (key, deadline) in rows {
        page.next = Some([&key[..], &[0]].concat());
        let deadline = deadline.as_slice().try_into().map_or(0, u64::from_be_bytes);
        let Ok(id) = RecordId::try_from(key.get(9..).unwrap_or(&[])) else { continue };
        if deadline <= now.0 {
            continue;
        }
        // A newer revision may have replaced it since the rows were read.
        let Some(row) = store.get(Table::Records, &id.0)? else { continue };
        let Some(stored) = StoredRecord::read(&row).filter(|stored| !stored.bytes.is_empty()) else {
            continue;
        };
        let record = Record::verify(stored.bytes, network).map_err(|error| ReadError {
            table: Table::Records.name(),
            cause: format!("record {id} is damaged: {error}"),
        })?;
        if kind.is_some_and(|kind| kind != record.kind()) {
            continue;
        }
        bytes += record.bytes().len();
        page.records.push(record);
        if bytes >= PAGE_BYTES {
            return Ok(page);
        }
    }
    if is_last {
        page.next = None;
    }
    Ok(page)
}

impl<S: Snapshot> Engine<S> {
    /// Takes records in as if a peer had sent them: a file can do nothing that a peer could not.
    pub(crate) fn on_import(&mut self, no: AskNo, records: &[Record], now: Now) -> Result<(), ReadError> {
        if records.len() > IMPORT_MAX {
            let cause = format!("expected at most {IMPORT_MAX} records, found {}", records.len());
            self.refuse(no, RefusalKind::Invalid, cause, None);
            return Ok(());
        }
        let mut taken = Vec::with_capacity(records.len());
        for record in records {
            taken.push(match self.admit(record, Source::Import, now)? {
                Admission::New => Taken::New,
                Admission::Known => Taken::Known,
                Admission::Early(cause) => Taken::Early(cause.to_owned()),
                Admission::Unwanted(cause) => Taken::Unwanted(cause),
                Admission::Wrong(cause) => Taken::Wrong(cause),
            });
        }
        self.answer(no, Answer::Imported(taken));
        Ok(())
    }
}
