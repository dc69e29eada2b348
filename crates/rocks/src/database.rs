use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use althing_store::{Batch, CommitNo, Op, Table};
use rocksdb::{
    BlockBasedOptions, BottommostLevelCompaction, Cache, ColumnFamily, CompactOptions, DB, DBCompressionType,
    DBRecoveryMode, ErrorKind, LogLevel, ReadOptions, WriteBatch, WriteOptions, properties,
};

use crate::fault::Fault;
use crate::lock::Lock;
use crate::schema::SCHEMA;
use crate::{OpenError, Options};

/// Rows of [`Table::Meta`] that belong to this crate; the core keeps clear of the prefix `store/`.
const SCHEMA_ROW: &[u8] = b"store/schema";
const COMMIT_ROW: &[u8] = b"store/commit";
const GUARD_ROW: &[u8] = b"store/guard";

const TABLE_CACHE_FILES: i32 = 64;
/// How many times as large a file of [`Table::Calls`] is as those that other tables begin with.
const CALLS_BUFFERS: usize = 4;
const WAL_BYTES_MAX: u64 = 16 << 20;
/// How often a write is tried while RocksDB has to write tables first and that has failed before; and how long between two
/// tries.
const STALLED_TRIES_MAX: u32 = 1_000;
const STALL_LOOK: Duration = Duration::from_millis(1);

/// A row of a table that no commit depends on; one without a value is removed.
pub type Aside = (Table, Vec<u8>, Option<Vec<u8>>);

/// An open RocksDB and the hold on its directory. The order of the fields is the order in which they are given back.
pub(crate) struct Database {
    db: DB,
    dir: PathBuf,
    _lock: Arc<Lock>,
}

/// How the files of a database are opened.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Write,
    /// Leaves every file as it is, and looks at every table file at once.
    Read,
}

/// The directory of RocksDB's own files.
pub(crate) fn db_dir(dir: &Path) -> PathBuf {
    dir.join("db")
}

impl Database {
    pub(crate) fn open(
        dir: &Path,
        options: &Options,
        access: Access,
        lock: Arc<Lock>,
    ) -> Result<Self, OpenError> {
        let store = dir;
        let dir = db_dir(dir);
        let failed = |error: rocksdb::Error| named(&dir, error);
        let db_options = db_options(options, access);
        let mut names: Vec<_> = Table::ALL.iter().map(|table| table.name()).chain(["default"]).collect();
        if dir.join("CURRENT").exists() {
            let found = DB::list_cf(&db_options, &dir).map_err(failed)?;
            let unknown = found.iter().find(|name| !names.contains(&name.as_str())).cloned();
            let lacks = |name: &&str| !found.iter().any(|found| found == name);
            if unknown.is_some() || names.iter().any(lacks) {
                // Another version made it: which one is asked before anything is changed.
                refuse_newer(&dir, &found)?;
            }
            if let Some(name) = unknown {
                return Err(OpenError::UnknownTable { name });
            }
            if access == Access::Read {
                // An older version's tables; what it lacks is empty.
                names.retain(|name| !lacks(name));
            }
        }
        let table_options = |name: &str| match name == Table::Calls.name() {
            true => calls_options(&db_options, options),
            false => db_options.clone(),
        };
        let tables: Vec<_> = names.iter().map(|name| (*name, table_options(name))).collect();
        let db = match access {
            Access::Write => DB::open_cf_with_opts(&db_options, &dir, tables),
            Access::Read => DB::open_cf_with_opts_for_read_only(&db_options, &dir, tables, false),
        };
        Ok(Self { db: db.map_err(failed)?, dir: store.to_owned(), _lock: lock })
    }

    pub(crate) fn raw(&self) -> &DB {
        &self.db
    }

    /// The data directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn table(&self, table: Table) -> &ColumnFamily {
        self.known(table).expect("every table was opened")
    }

    /// A table; none if an older version made the database, which is open for reading only.
    pub(crate) fn known(&self, table: Table) -> Option<&ColumnFamily> {
        self.db.cf_handle(table.name())
    }

    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        match self.known(table) {
            Some(table) => Ok(self.db.get_cf(table, key)?),
            None => Ok(None),
        }
    }

    /// The schema version; `None` in a database whose making was interrupted.
    pub(crate) fn schema(&self) -> Result<Option<u32>, Fault> {
        self.number(SCHEMA_ROW).map(|number| number.map(|number| u32::try_from(number).unwrap_or(u32::MAX)))
    }

    /// Writes a schema version and what belongs to it, synced, all or nothing.
    pub(crate) fn write_schema(&self, mut batch: WriteBatch, version: u32) -> Result<(), Fault> {
        batch.put_cf(self.table(Table::Meta), SCHEMA_ROW, u64::from(version).to_be_bytes());
        self.write(batch, true)
    }

    /// Makes a copy into a database that nothing was signed from: the rows of `batch`, and no guard that it has seen.
    pub(crate) fn adopt(&self, batch: &Batch) -> Result<(), Fault> {
        let no = self.commit_no()?;
        self.commit([batch].into_iter(), no, Some(0), true)
    }

    /// The last commit.
    pub(crate) fn commit_no(&self) -> Result<CommitNo, Fault> {
        Ok(CommitNo(self.number(COMMIT_ROW)?.unwrap_or(0)))
    }

    /// The counter of the guard that preceded the last guarded commit.
    pub(crate) fn guard_counter(&self) -> Result<u64, Fault> {
        Ok(self.number(GUARD_ROW)?.unwrap_or(0))
    }

    /// Writes batches, the number of the last of them, and the guard's counter, all or nothing.
    pub(crate) fn commit<'a>(
        &self,
        batches: impl Iterator<Item = &'a Batch>,
        no: CommitNo,
        guard_counter: Option<u64>,
        sync: bool,
    ) -> Result<(), Fault> {
        let mut write = WriteBatch::default();
        for op in batches.flat_map(Batch::ops) {
            match op {
                Op::Put { table, key, value } => write.put_cf(self.table(*table), key, value),
                Op::Delete { table, key } => write.delete_cf(self.table(*table), key),
            }
        }
        let meta = self.table(Table::Meta);
        write.put_cf(meta, COMMIT_ROW, no.0.to_be_bytes());
        if let Some(counter) = guard_counter {
            write.put_cf(meta, GUARD_ROW, counter.to_be_bytes());
        }
        self.write(write, sync)
    }

    /// Writes rows that no commit depends on, unsynced, all or nothing.
    pub(crate) fn put_aside(&self, rows: impl IntoIterator<Item = Aside>) -> Result<(), Fault> {
        let mut write = WriteBatch::default();
        for (table, key, value) in rows {
            let table = self.table(table);
            match value {
                Some(value) => write.put_cf(table, key, value),
                None => write.delete_cf(table, key),
            }
        }
        self.write(write, false)
    }

    /// Drops the files of a table that have only rows up to this key.
    pub(crate) fn drop_files(&self, table: Table, through: &[u8]) -> Result<(), Fault> {
        Ok(self.db.delete_file_in_range_cf(self.table(table), &[][..], through)?)
    }

    /// Syncs what was written without.
    pub(crate) fn sync(&self) -> Result<(), Fault> {
        Ok(self.db.flush_wal(true)?)
    }

    /// The size of its table files in bytes.
    pub(crate) fn size(&self) -> Result<u64, Fault> {
        Ok(self.db.live_files()?.iter().map(|file| file.size as u64).sum())
    }

    /// What RocksDB holds in memory, in bytes: rows that are in no table file yet, readers of table files, and blocks.
    pub(crate) fn memory(&self) -> Result<u64, Fault> {
        let mut bytes = 0;
        let mut cached = 0;
        for table in Table::ALL {
            let Some(rows) = self.known(table) else { continue };
            let value = |name| self.db.property_int_value_cf(rows, name).map(Option::unwrap_or_default);
            bytes +=
                value(properties::CUR_SIZE_ALL_MEM_TABLES)? + value(properties::ESTIMATE_TABLE_READERS_MEM)?;
            // One cache for all tables.
            cached = value(properties::BLOCK_CACHE_USAGE)?;
        }
        Ok(bytes + cached)
    }

    /// Writes what is in memory into table files.
    pub(crate) fn flush(&self) -> Result<(), Fault> {
        for table in Table::ALL {
            self.db.flush_cf(self.table(table))?;
        }
        Ok(())
    }

    /// Writes every table anew, without what was replaced or removed. Takes as long as reading and writing all of it.
    pub(crate) fn compact(&self, progress: &mut dyn FnMut(Table)) -> Result<(), Fault> {
        let mut how = CompactOptions::default();
        how.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
        // Compactions that keep the database in shape go on beside it.
        how.set_exclusive_manual_compaction(false);
        for table in Table::ALL {
            progress(table);
            self.db.compact_range_cf_opt(self.table(table), None::<&[u8]>, None::<&[u8]>, &how);
        }
        Ok(())
    }

    fn write(&self, batch: WriteBatch, sync: bool) -> Result<(), Fault> {
        let mut how = WriteOptions::default();
        how.set_sync(sync);
        // Where a table cannot be written for want of space, RocksDB would have writes wait until there is some.
        how.set_no_slowdown(true);
        let bytes = batch.data().to_vec();
        let (mut tries, mut batch) = (0, batch);
        loop {
            let Err(error) = self.db.write_opt(batch, &how) else { return Ok(()) };
            if error.kind() != ErrorKind::Incomplete {
                return Err(error.into());
            }
            let errors = self.db.property_int_value(properties::BACKGROUND_ERRORS)?.unwrap_or(0);
            if errors > 0 && tries >= STALLED_TRIES_MAX {
                let cause = "tables could not be written, and no more fits into memory";
                return Err(Fault::DiskFull(cause.to_owned()));
            }
            tries += 1;
            #[expect(clippy::disallowed_methods, reason = "RocksDB tells nobody when it takes writes again")]
            std::thread::sleep(STALL_LOOK);
            batch = WriteBatch::from_data(&bytes);
        }
    }

    fn number(&self, row: &[u8]) -> Result<Option<u64>, Fault> {
        let Some(bytes) = self.get(Table::Meta, row)? else { return Ok(None) };
        let number = bytes.as_slice().try_into().map(u64::from_be_bytes).map_err(|_| {
            let row = String::from_utf8_lossy(row);
            Fault::Corrupt(format!("row {row}: expected 8 bytes, found {}", bytes.len()))
        })?;
        Ok(Some(number))
    }
}

/// Refuses a database of a newer schema, whatever tables it has. Reads two of them and changes nothing.
fn refuse_newer(dir: &Path, found: &[String]) -> Result<(), OpenError> {
    let names: Vec<_> = ["default", Table::Meta.name()]
        .into_iter()
        .filter(|name| found.iter().any(|found| found == name))
        .collect();
    let mut options = rocksdb::Options::default();
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    let db = DB::open_cf_for_read_only(&options, dir, names, false).map_err(|error| named(dir, error))?;
    let Some(meta) = db.cf_handle(Table::Meta.name()) else { return Ok(()) };
    let row = db.get_cf(meta, SCHEMA_ROW).map_err(|error| named(dir, error))?;
    let number = row.and_then(|row| Some(u64::from_be_bytes(row.as_slice().try_into().ok()?)));
    match number.map(|number| u32::try_from(number).unwrap_or(u32::MAX)) {
        Some(found) if found > SCHEMA => Err(OpenError::NewerSchema { found, newest: SCHEMA }),
        Some(_) | None => Ok(()),
    }
}

/// Read options that check every block and do not push others out of the cache.
pub(crate) fn verifying() -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_verify_checksums(true);
    options.fill_cache(false);
    options
}

/// A missing or unreadable file of the database is damage too, whatever RocksDB calls it.
fn named(dir: &Path, error: rocksdb::Error) -> OpenError {
    let fault = match Fault::from(error) {
        Fault::Io(cause) if cause.contains("No such file") => Fault::Corrupt(cause),
        fault @ (Fault::DiskFull(_) | Fault::Io(_) | Fault::Corrupt(_)) => fault,
    };
    OpenError::new(dir.to_owned(), fault)
}

fn db_options(options: &Options, access: Access) -> rocksdb::Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(&Cache::new_lru_cache(options.cache_bytes));
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    blocks.set_bloom_filter(10.0, false);
    blocks.set_format_version(5);

    let mut db = rocksdb::Options::default();
    db.create_if_missing(access == Access::Write);
    db.create_missing_column_families(access == Access::Write);
    db.set_block_based_table_factory(&blocks);
    db.set_compression_type(DBCompressionType::Lz4);

    // The default, point-in-time recovery, answers a flipped byte with a silently shorter history.
    db.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    db.set_track_and_verify_wals_in_manifest(true);
    db.set_paranoid_checks(true);

    db.set_write_buffer_size(options.write_buffer_bytes);
    db.set_db_write_buffer_size(options.write_buffer_bytes * 8);
    db.set_max_write_buffer_number(2);
    db.set_max_total_wal_size(WAL_BYTES_MAX);
    db.set_target_file_size_base(8 << 20);
    db.set_max_bytes_for_level_base(32 << 20);
    db.set_level_compaction_dynamic_level_bytes(true);
    db.set_max_open_files(if access == Access::Write { TABLE_CACHE_FILES } else { -1 });
    db.set_max_background_jobs(2);
    db.set_max_file_opening_threads(1);
    db.set_manifest_preallocation_size(64 << 10);
    db.set_stats_dump_period_sec(0);
    db.set_stats_persist_period_sec(0);
    db.set_log_level(LogLevel::Warn);
    db.set_max_log_file_size(1 << 20);
    db.set_keep_log_file_num(2);
    db
}

/// Rows of signatures and hashes under rising numbers: there is nothing to compress, and the files of different times do not
/// overlap, so that they move down the levels without being written again.
fn calls_options(db: &rocksdb::Options, options: &Options) -> rocksdb::Options {
    let mut calls = db.clone();
    calls.set_compression_type(DBCompressionType::None);
    calls.set_write_buffer_size(options.write_buffer_bytes * CALLS_BUFFERS);
    calls
}
