use std::fmt;
use std::path::Path;
use std::sync::Arc;

use althing_store::{CommitNo, MAX_SCAN, ReadError, Row, Snapshot, Table};
use rocksdb::ReadOptions;

use crate::database::{Access, Database, db_dir};
use crate::fault::Fault;
use crate::lock::Lock;
use crate::{
    Aside, FreezeError, Frozen, OpenError, Opened, Options, SpaceError, open, require_space, schema,
};

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

    /// Opens a data directory that nobody has open, to read and for nothing else. Its vote guard is not looked at.
    ///
    /// # Errors
    /// As [`Rocks::open`], the guard apart; also when there is no database.
    pub fn open_to_read(dir: &Path) -> Result<Self, OpenError> {
        let lock = Arc::new(Lock::take(dir)?);
        let database = Database::open(dir, &Options::default(), Access::Read, lock)?;
        schema::check(dir, &database)?;
        Ok(Self::new(Arc::new(database)))
    }

    /// The files of the database as they are now, held until dropped.
    ///
    /// # Errors
    /// When another one is held, there is too little space, or the disk fails.
    pub fn freeze(&self) -> Result<Frozen, FreezeError> {
        Frozen::running(&self.database)
    }

    /// Writes rows of [`Table::Providers`], and removes those without a value. No commit depends on them: they are not
    /// synced, and a crash may take the last ones.
    ///
    /// # Errors
    /// When the disk is full or fails. Nothing was written then.
    pub fn keep_providers(
        &self,
        rows: impl IntoIterator<Item = (Vec<u8>, Option<Vec<u8>>)>,
    ) -> Result<(), ReadError> {
        let rows = rows.into_iter().map(|(key, value)| (Table::Providers, key, value));
        let written = self.database.put_aside(rows);
        written.map_err(|fault| refused(Table::Providers, fault))
    }

    /// Writes rows of [`Table::Calls`] and [`Table::CallIndex`], and removes those without a value, as
    /// [`Rocks::keep_providers`] does.
    ///
    /// # Errors
    /// When the disk is full or fails. Nothing was written then.
    pub fn keep_calls(&self, rows: impl IntoIterator<Item = Aside>) -> Result<(), ReadError> {
        self.database.put_aside(rows).map_err(|fault| refused(Table::Calls, fault))
    }

    /// Gives back the space of the rows of [`Table::Calls`] up to this key, which are read no more. Removing them one by one
    /// would write all others again; so a row stays for as long as one in its file does that is still read.
    ///
    /// # Errors
    /// When the disk is full or fails.
    pub fn forget_calls(&self, through: &[u8]) -> Result<(), ReadError> {
        // What says that they are read no more must not be lost after them.
        let dropped = self.database.sync().and_then(|()| self.database.drop_files(Table::Calls, through));
        dropped.map_err(|fault| refused(Table::Calls, fault))
    }

    /// The size of the table files in bytes.
    ///
    /// # Errors
    /// When the database is damaged.
    pub fn size(&self) -> Result<u64, ReadError> {
        self.database.size().map_err(|fault| refused(Table::Meta, fault))
    }

    /// The memory that RocksDB holds in bytes.
    ///
    /// # Errors
    /// When RocksDB does not tell.
    pub fn memory(&self) -> Result<u64, ReadError> {
        self.database.memory().map_err(|fault| refused(Table::Meta, fault))
    }

    /// Writes every table anew without what was replaced or removed. Commits go on meanwhile; it blocks for as long as
    /// reading and writing everything takes, or until [`Rocks::stop_compacting`]. `progress` hears of each table
    /// before it is begun. Gives the size of the table files before and after.
    ///
    /// # Errors
    /// When there is no space for a second copy of everything, or the disk fails.
    pub fn compact(&self, mut progress: impl FnMut(Table)) -> Result<[u64; 2], CompactError> {
        let failed = |fault| OpenError::new(db_dir(self.database.dir()), fault);
        self.database.flush().map_err(failed)?;
        let before = self.database.size().map_err(failed)?;
        require_space(self.database.dir(), before)?;
        self.database.compact(&mut progress).map_err(failed)?;
        Ok([before, self.database.size().map_err(failed)?])
    }

    /// Ends a compaction that is under way, and all further work in the background: for a node that stops.
    pub fn stop_compacting(&self) {
        self.database.raw().cancel_all_background_work(false);
    }

    pub(crate) fn new(database: Arc<Database>) -> Self {
        Self { database }
    }
}

/// Why a database was not compacted.
#[derive(Debug, thiserror::Error)]
pub enum CompactError {
    /// There is too little space to begin.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] OpenError),
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
        let Some(rows) = self.database.known(table) else { return Ok(Vec::new()) };
        let mut iter = self.database.raw().raw_iterator_cf_opt(rows, options);
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
