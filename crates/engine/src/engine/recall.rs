//! What is read back from the store, through what is not committed yet.

use std::sync::Arc;

use althing_ballot::Proposal;
use althing_record::{Record, RecordId};
use althing_store::{ReadError, Snapshot, Table};

use super::PROPOSALS_CACHED;
use crate::engine::Engine;
use crate::rows::StoredRecord;

impl<S: Snapshot> Engine<S> {
    /// Loads a stored record; none if it is not here or its time is over.
    pub(crate) fn record(&self, id: RecordId) -> Result<Option<Record>, ReadError> {
        let Some(row) = self.store.get(Table::Records, &id.0)? else { return Ok(None) };
        let damaged = |cause: String| ReadError { table: Table::Records.name(), cause };
        let stored = StoredRecord::read(&row).ok_or_else(|| damaged(format!("row of {id} is too short")))?;
        if stored.bytes.is_empty() {
            return Ok(None);
        }
        let record = Record::verify(stored.bytes, &self.network)
            .map_err(|error| damaged(format!("record {id} is damaged: {error}")))?;
        Ok(Some(record))
    }

    /// A known proposal, or the terms of a docket.
    pub(crate) fn proposal(&mut self, id: RecordId) -> Result<Option<Arc<Proposal>>, ReadError> {
        if let Some(proposal) = self.proposals.get(&id) {
            return Ok(Some(proposal.clone()));
        }
        if !althing_ballot::has_proposal(&self.store, id)? {
            return Ok(None);
        }
        let proposal = match self.docket(id)? {
            Some(docket) => docket.terms.clone(),
            None => {
                let Some(record) = self.record(id)? else { return Ok(None) };
                let Ok(proposal) = Proposal::from_record(&record) else { return Ok(None) };
                proposal
            }
        };
        if self.proposals.len() >= PROPOSALS_CACHED {
            self.proposals.clear();
        }
        let proposal = Arc::new(proposal);
        self.proposals.insert(id, proposal.clone());
        Ok(Some(proposal))
    }
}
