use std::collections::BTreeMap;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::{Batch, MAX_SCAN, Op, ReadError, Row, Snapshot, Table};

type Rows = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

/// A store in memory. Clones share the same rows.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    rows: Arc<RwLock<Rows>>,
}

impl Memory {
    /// Applies a batch at once.
    pub fn apply(&self, batch: &Batch) {
        let mut rows = self.write();
        for op in batch.ops() {
            match op {
                Op::Put { table, key, value } => {
                    rows.insert((*table, key.clone()), value.clone());
                }
                Op::Delete { table, key } => {
                    rows.remove(&(*table, key.clone()));
                }
            }
        }
    }

    /// How many rows there are in all tables.
    #[must_use]
    pub fn len(&self) -> usize {
        self.read().len()
    }

    /// Whether there is no row at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    // A panic elsewhere cannot leave a BTreeMap insert half done, so a poisoned lock still guards whole rows.
    fn read(&self) -> RwLockReadGuard<'_, Rows> {
        self.rows.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Rows> {
        self.rows.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Snapshot for Memory {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(self.read().get(&(table, key.to_vec())).cloned())
    }

    fn scan(&self, table: Table, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, ReadError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let rows = self.read();
        let range = rows.range((table, from.to_vec())..(table, to.to_vec()));
        Ok(range.take(limit.min(MAX_SCAN)).map(|((_, key), value)| (key.clone(), value.clone())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_passes_the_conformance_suite() {
        crate::conformance::check(|| {
            let store = Memory::default();
            let writer = store.clone();
            (store, move |batch: &Batch| writer.apply(batch))
        });
    }
}
