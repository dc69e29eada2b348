//! The end of records whose time is over.

use althing_card::Card;
use althing_record::{Millis, RecordId};
use althing_store::{ReadError, Snapshot, Table};

use crate::engine::Engine;
use crate::rows::{Expiring, StoredRecord, sync_key};
use crate::{Event, Now};

/// When a sweep that did not come to its end goes on, in milliseconds.
const SWEEP_AGAIN_MS: u64 = 50;

impl<S: Snapshot> Engine<S> {
    /// Ends what has expired, a bounded number of rows at a time.
    pub(crate) fn sweep(&mut self, now: Now) -> Result<(), ReadError> {
        const ROWS_MAX: usize = 1_024;
        let rows = self.store.scan(Table::Expiry, &[], &now.wall.plus(1).0.to_be_bytes(), ROWS_MAX)?;
        if rows.len() == ROWS_MAX {
            self.due.sweep = now.ticks + SWEEP_AGAIN_MS;
        }
        for (key, _) in rows {
            match Expiring::read(&key) {
                Some(Expiring::Record(id)) => self.end_record(id, now)?,
                Some(Expiring::Trace(id)) => self.delete(Table::Records, id.0.to_vec()),
                Some(Expiring::Slot(slot)) => self.delete(Table::Slot, slot),
                None => {}
            }
            self.delete(Table::Expiry, key);
        }
        Ok(())
    }

    /// Ends a record whose time is over. Its id is remembered until no clock within bounds could accept it again.
    fn end_record(&mut self, id: RecordId, now: Now) -> Result<(), ReadError> {
        let Some(record) = self.record(id)? else { return Ok(()) };
        self.unindex(&record)?;
        self.tell_over(id)?;
        if matches!(Card::from_record(&record), Ok(Some(_))) {
            self.tell(&Event::CardExpired { agent: record.agent(), card: id });
        }
        if let Some(domain) = record.kind().domain() {
            self.delete(Table::SyncView, sync_key(domain, record.made(), id));
            self.reconciler.changed(domain);
        }
        let forget = record.expires().unwrap_or(now.wall).plus(21 * Millis::MINUTE);
        self.put(Table::Records, id.0.to_vec(), StoredRecord { deadline: now.wall, bytes: &[] }.to_row());
        self.put(Table::Expiry, Expiring::Trace(id).key(forget.max(now.wall.plus(1))), Vec::new());
        Ok(())
    }
}
