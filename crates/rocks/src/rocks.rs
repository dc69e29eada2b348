use std::fmt;
use std::path::Path;
use std::sync::Arc;

use althing_store::{CommitNo, MAX_SCAN, ReadError, Row, Snapshot, Table};
use rocksdb::ReadOptions;

use crate::database::Database;
use crate::fault::Fault;
use crate::{OpenError, Opened, Options, open};

/// Read access to the database of an open data directory. Clones share it; the directory stays locked until the last
/// one and the [`Committer`](crate::Committer) are gone.
#[derive(Clone)]
pub struct Rocks {
    database: Arc<Database>,
}

impl Rocks {
    /// Opens a data directory, or makes one (mode 0700).
    ///
    /// # Errors
    /// When another process has it open, the database is damaged, newer than this program or behind its guard, or the
    /// disk is full or broken.
    pub fn open(dir: &Path, options: Options) -> Result<Opened, OpenError> {
        open::open(dir, &options)
    }

    /// The number of the last commit in the database.
    ///
    /// # Errors
    /// When the database is damaged.
    pub fn commit_no(&self) -> Result<CommitNo, ReadError> {
        self.database.commit_no().map_err(|fault| refused(Table::Meta, fault))
    }

    pub(crate) fn new(database: Arc<Database>) -> Self {
        Self { database }
    }
}

impl fmt::Debug for Rocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rocks").field("dir", &self.database.raw().path()).finish()
    }
}

impl Snapshot for Rocks {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        self.database.get(table, key).map_err(|fault| refused(table, fault))
    }

    fn scan(&self, table: Table, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, ReadError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let limit = limit.min(MAX_SCAN);
        let mut options = ReadOptions::default();
        options.set_iterate_range(from..to);
        let mut iter = self.database.raw().raw_iterator_cf_opt(self.database.table(table), options);
        let mut rows = Vec::new();
        iter.seek(from);
        while rows.len() < limit {
            let Some((key, value)) = iter.item() else { break };
            rows.push((key.to_vec(), value.to_vec()));
            iter.next();
        }
        // An iterator that hits damage just ends; only its status tells that from the end of the range.
        iter.status().map_err(|error| refused(table, error.into()))?;
        Ok(rows)
    }
}

fn refused(table: Table, fault: Fault) -> ReadError {
    let (Fault::DiskFull(cause) | Fault::Io(cause) | Fault::Corrupt(cause)) = fault;
    ReadError { table: table.name(), cause }
}
