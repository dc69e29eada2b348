use std::path::{Path, PathBuf};
use std::sync::Arc;

use althing_store::{Batch, CommitNo, Op, Table};
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, DB, DBCompressionType, DBRecoveryMode, LogLevel, ReadOptions,
    WriteBatch, WriteOptions,
};

use crate::fault::Fault;
use crate::lock::Lock;
use crate::{OpenError, Options};

/// The newest schema that this version reads, and the one that it writes.
pub(crate) const SCHEMA: u32 = 1;

/// Rows of [`Table::Meta`] that belong to this crate; the core keeps clear of the prefix `store/`.
const SCHEMA_ROW: &[u8] = b"store/schema";
const COMMIT_ROW: &[u8] = b"store/commit";
const GUARD_ROW: &[u8] = b"store/guard";

const TABLE_CACHE_FILES: i32 = 64;
const WAL_BYTES_MAX: u64 = 16 << 20;

/// An open RocksDB and the hold on its directory. The order of the fields is the order in which they are given back.
pub(crate) struct Database {
    db: DB,
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
        let dir = db_dir(dir);
        let failed = |error: rocksdb::Error| named(&dir, error);
        let db_options = db_options(options, access);
        // A table that is younger than the database is made when it is opened for writing.
        let mut missing = Vec::new();
        if dir.join("CURRENT").exists() {
            let known =
                |name: &String| name == "default" || Table::ALL.iter().any(|table| table.name() == name);
            let found = DB::list_cf(&db_options, &dir).map_err(failed)?;
            if let Some(name) = found.iter().find(|name| !known(name)) {
                return Err(OpenError::UnknownTable { name: name.clone() });
            }
            if access == Access::Read {
                missing
                    .extend(Table::ALL.iter().filter(|table| !found.iter().any(|name| name == table.name())));
            }
        }
        let present = Table::ALL.iter().filter(|table| !missing.contains(table));
        let names = present.map(|table| table.name()).chain(["default"]);
        let tables: Vec<_> = names.map(|name| (name, db_options.clone())).collect();
        let db = match access {
            Access::Write => DB::open_cf_with_opts(&db_options, &dir, tables),
            Access::Read => DB::open_cf_with_opts_for_read_only(&db_options, &dir, tables, false),
        };
        Ok(Self { db: db.map_err(failed)?, _lock: lock })
    }

    pub(crate) fn raw(&self) -> &DB {
        &self.db
    }

    pub(crate) fn table(&self, table: Table) -> &ColumnFamily {
        self.db.cf_handle(table.name()).expect("a table that was opened")
    }

    /// Whether the table is there: in a database opened for reading a younger one may not be.
    pub(crate) fn has(&self, table: Table) -> bool {
        self.db.cf_handle(table.name()).is_some()
    }

    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.db.get_cf(self.table(table), key)?)
    }

    /// The schema version; `None` in a database whose making was interrupted.
    pub(crate) fn schema(&self) -> Result<Option<u32>, Fault> {
        self.number(SCHEMA_ROW).map(|number| number.map(|number| u32::try_from(number).unwrap_or(u32::MAX)))
    }

    pub(crate) fn write_schema(&self) -> Result<(), Fault> {
        let mut batch = WriteBatch::default();
        batch.put_cf(self.table(Table::Meta), SCHEMA_ROW, u64::from(SCHEMA).to_be_bytes());
        self.write(batch, true)
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

    /// Syncs what was written without.
    pub(crate) fn sync(&self) -> Result<(), Fault> {
        Ok(self.db.flush_wal(true)?)
    }

    fn write(&self, batch: WriteBatch, sync: bool) -> Result<(), Fault> {
        let mut how = WriteOptions::default();
        how.set_sync(sync);
        Ok(self.db.write_opt(batch, &how)?)
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
