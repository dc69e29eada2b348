use std::collections::{BTreeMap, VecDeque};

use crate::{Batch, CommitNo, MAX_SCAN, Op, ReadError, Row, Snapshot, Table};

/// A row of a table.
type Place = (Table, Vec<u8>);

/// The commit that wrote a row, and the value or the deletion.
type Change = (CommitNo, Option<Vec<u8>>);

/// A snapshot with the batches that are not yet committed laid over it, so that a reader sees its own writes at once.
#[derive(Debug)]
pub struct Overlay<S> {
    base: S,
    rows: BTreeMap<Place, Change>,
    /// Where each commit wrote, oldest first.
    written: VecDeque<(CommitNo, Vec<Place>)>,
}

impl<S: Snapshot> Overlay<S> {
    /// An overlay with nothing on it yet.
    pub fn new(base: S) -> Self {
        Self { base, rows: BTreeMap::new(), written: VecDeque::new() }
    }

    /// Lays one change of commit `no` over the base. Commits arrive in ascending order.
    pub fn write(&mut self, no: CommitNo, op: &Op) {
        let (table, key, value) = match op {
            Op::Put { table, key, value } => (*table, key, Some(value.clone())),
            Op::Delete { table, key } => (*table, key, None),
        };
        self.rows.insert((table, key.clone()), (no, value));
        if self.written.back().is_none_or(|(last, _)| *last != no) {
            self.written.push_back((no, Vec::new()));
        }
        if let Some((_, keys)) = self.written.back_mut() {
            keys.push((table, key.clone()));
        }
    }

    /// Lays a whole batch over the base.
    pub fn write_all(&mut self, no: CommitNo, batch: &Batch) {
        for op in batch.ops() {
            self.write(no, op);
        }
    }

    /// Forgets what the base now holds itself: every change of commits up to `no`.
    pub fn committed(&mut self, no: CommitNo) {
        while self.written.front().is_some_and(|(first, _)| *first <= no) {
            let Some((_, keys)) = self.written.pop_front() else { return };
            for key in keys {
                if self.rows.get(&key).is_some_and(|(by, _)| *by <= no) {
                    self.rows.remove(&key);
                }
            }
        }
    }

    /// Forgets every change that is not in the base: their commits will never be written.
    pub fn abandon(&mut self) {
        self.rows.clear();
        self.written.clear();
    }

    /// How many rows differ from the base.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether everything is committed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl<S: Snapshot> Snapshot for Overlay<S> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        match self.rows.get(&(table, key.to_vec())) {
            Some((_, value)) => Ok(value.clone()),
            None => self.base.get(table, key),
        }
    }

    fn scan(&self, table: Table, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, ReadError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let limit = limit.min(MAX_SCAN);
        let changed: Vec<_> = self.rows.range((table, from.to_vec())..(table, to.to_vec())).collect();
        // Each deletion above the base can hide one of its rows.
        let hidden = changed.iter().filter(|(_, (_, value))| value.is_none()).count();
        let below = self.base.scan(table, from, to, limit.saturating_add(hidden))?;
        if changed.is_empty() {
            return Ok(below);
        }
        let mut rows: BTreeMap<Vec<u8>, Vec<u8>> = below.into_iter().collect();
        for ((_, key), (_, value)) in changed {
            match value {
                Some(value) => rows.insert(key.clone(), value.clone()),
                None => rows.remove(key),
            };
        }
        Ok(rows.into_iter().take(limit).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Memory;

    fn put(key: &[u8], value: &[u8]) -> Batch {
        let mut batch = Batch::default();
        batch.put(Table::Meta, key, value);
        batch
    }

    #[test]
    fn own_writes_are_seen_before_they_are_committed_and_after() {
        let base = Memory::default();
        let mut overlay = Overlay::new(base.clone());
        let (first, second) = (put(b"a", b"1"), put(b"a", b"2"));
        overlay.write_all(CommitNo(1), &first);
        overlay.write_all(CommitNo(2), &second);
        base.apply(&first);
        overlay.committed(CommitNo(1));
        assert_eq!(overlay.get(Table::Meta, b"a").unwrap().unwrap(), b"2");
        base.apply(&second);
        overlay.committed(CommitNo(2));
        assert!(overlay.is_empty());
        assert_eq!(overlay.get(Table::Meta, b"a").unwrap().unwrap(), b"2");
    }

    #[test]
    fn scan_merges_and_hides_deleted_rows_within_its_limit() {
        let base = Memory::default();
        for key in [b"a", b"b", b"c", b"d"] {
            base.apply(&put(key, b"old"));
        }
        let mut overlay = Overlay::new(base);
        let mut batch = Batch::default();
        batch.delete(Table::Meta, b"a");
        batch.put(Table::Meta, b"bb", b"new");
        overlay.write_all(CommitNo(1), &batch);
        let keys: Vec<_> =
            overlay.scan_prefix(Table::Meta, b"", 3).unwrap().into_iter().map(|row| row.0).collect();
        assert_eq!(keys, [b"b".to_vec(), b"bb".to_vec(), b"c".to_vec()]);
    }

    #[test]
    fn overlay_passes_the_conformance_suite() {
        struct Shared(std::rc::Rc<std::cell::RefCell<(Overlay<Memory>, CommitNo)>>);
        impl Snapshot for Shared {
            fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
                self.0.borrow().0.get(table, key)
            }
            fn scan(
                &self,
                table: Table,
                from: &[u8],
                to: &[u8],
                limit: usize,
            ) -> Result<Vec<Row>, ReadError> {
                self.0.borrow().0.scan(table, from, to, limit)
            }
        }
        crate::conformance::check(|| {
            let inner =
                std::rc::Rc::new(std::cell::RefCell::new((Overlay::new(Memory::default()), CommitNo(0))));
            let writer = inner.clone();
            (Shared(inner), move |batch: &Batch| {
                let mut inner = writer.borrow_mut();
                inner.1 = inner.1.next();
                let no = inner.1;
                inner.0.write_all(no, batch);
            })
        });
    }
}
