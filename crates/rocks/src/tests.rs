//! Tests on real directories. Every test binary that links RocksDB is large, so they are all in this one.

use std::fs;
use std::path::{Path, PathBuf};

use althing_store::{Batch, CommitNo, Guard, Head, Snapshot, Table};

use crate::{Durable, Opened, Options, Rocks};

mod backup;
mod commits;
mod crash;
mod damage;
mod disk_full;
mod rollback;
mod tables;

/// Small enough for any temporary directory.
const SMALL: Options = Options {
    accept_rollback: false,
    reserve_bytes: 256 << 10,
    headroom_bytes: 1 << 20,
    queue_max: 64,
    cache_bytes: 1 << 20,
    write_buffer_bytes: 1 << 20,
};

fn open(dir: &Path) -> Opened {
    Rocks::open(dir, SMALL).unwrap()
}

/// A synced commit of one row and a guard with one head, as one's own signed record makes.
fn signed(no: u64) -> Batch {
    let mut batch = Batch::default();
    batch.put(Table::Records, key(no), vec![no as u8; 200]);
    let head = Head { chain: b"chain".to_vec(), seq: no, id: [no as u8; 32] };
    batch.set_guard(Guard { acknowledged: CommitNo(0), heads: vec![head], pending: vec![key(no)] });
    batch
}

fn key(no: u64) -> Vec<u8> {
    no.to_be_bytes().to_vec()
}

/// Submits a batch and waits for its fate.
fn commit(opened: &Opened, no: u64, batch: Batch) -> Durable {
    let mut durable = opened.committer.durable();
    durable.mark_unchanged();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        opened.committer.submit(CommitNo(no), batch).await.unwrap();
        loop {
            durable.changed().await.unwrap();
            let state = durable.borrow_and_update().clone();
            if state.no >= CommitNo(no) || state.failed.is_some() {
                return state;
            }
        }
    })
}

/// A directory with the signed commits 1 to `last`, closed in order.
fn filled(dir: &Path, last: u64) {
    let opened = open(dir);
    let first = opened.commit.0 + 1;
    for no in first..=last {
        assert_eq!(commit(&opened, no, signed(no)).no, CommitNo(no));
    }
}

fn holds_all(rocks: &Rocks, last: u64) -> bool {
    (1..=last).all(|no| rocks.get(Table::Records, &key(no)).unwrap().is_some())
}

fn db_files(dir: &Path, kind: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.join("db")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|found| found == kind)).collect();
    files.sort();
    files
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target)
        } else {
            fs::copy(entry.path(), target).map(drop).unwrap()
        }
    }
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x40;
    fs::write(path, bytes).unwrap();
}
