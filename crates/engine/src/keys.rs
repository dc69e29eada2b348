//! Which keys speak for agents, and what goes when one is replaced.

use std::cell::Cell;
use std::sync::Arc;

use althing_agree::Keys;
use althing_record::{AgentId, KeyHistory, RecordId};
use althing_store::{ReadError, Snapshot, Table, prefix_end};

use crate::engine::Engine;
use crate::rows::{Expiring, SlotHead};

/// Most key histories that are kept in memory.
const HISTORIES_CACHED: usize = 4_096;

impl<S: Snapshot> Engine<S> {
    /// The fold of an agent's identity chain, kept until the chain grows.
    pub(crate) fn key_history(&self, agent: AgentId) -> Result<Arc<KeyHistory>, ReadError> {
        if let Some(history) = self.histories.borrow().get(&agent) {
            return Ok(history.clone());
        }
        let rows = self.store.scan_prefix(Table::IdentityView, &agent.0, usize::MAX)?;
        let mut records = Vec::with_capacity(rows.len());
        for (key, _) in rows {
            if let Ok(id) = RecordId::try_from(&key[32..])
                && let Some(record) = self.record(id)?
            {
                records.push(record);
            }
        }
        let history = Arc::new(KeyHistory::fold(agent, &records));
        let mut histories = self.histories.borrow_mut();
        if histories.len() >= HISTORIES_CACHED {
            histories.clear();
        }
        histories.insert(agent, history.clone());
        Ok(history)
    }

    /// Does something that asks which keys are, or were, an agent's: on whichever branch, so that an answer of yes stays so.
    pub(crate) fn with_keys<T>(&self, work: impl FnOnce(Keys<'_>) -> T) -> Result<T, ReadError> {
        let fault = Cell::new(None);
        let done = work(&|agent, key| match self.key_history(agent) {
            Ok(history) => history.has(key),
            Err(error) => {
                fault.set(Some(error));
                false
            }
        });
        fault.into_inner().map_or(Ok(done), Err)
    }

    /// Removes slot records that were signed with a key that no longer speaks for the agent.
    pub(crate) fn purge_replaced_keys(&mut self, agent: AgentId) -> Result<(), ReadError> {
        let current = self.key_history(agent)?.current_key();
        for (key, row) in self.store.scan(Table::Slot, &agent.0, &prefix_end(&agent.0), usize::MAX)? {
            let Some(head) = SlotHead::read(&row) else { continue };
            if head.key != current {
                self.tell_withdrawn(head)?;
                if let Some(record) = self.record(head.id)? {
                    self.unindex(&record)?;
                }
                self.drop_slot_record(head)?;
                self.delete(Table::Slot, key.clone());
                self.delete(Table::Expiry, Expiring::Slot(key).key(head.keep_until));
            }
        }
        Ok(())
    }
}
