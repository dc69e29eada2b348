//! Frozen copies, what is restored from them, other versions' tables, and compaction.

use rocksdb::DB;

use super::*;
use crate::{FreezeError, Frozen, GuardState, OpenError, Restore, RestoreError};

fn copy_files(frozen: &Frozen, to: &Path) {
    for file in frozen.files() {
        let bytes = frozen.read(&file.name, 0, usize::MAX).unwrap();
        assert_eq!(bytes.len() as u64, file.bytes, "{}", file.name);
        fs::write(to.join(&file.name), bytes).unwrap();
    }
}

/// What makes a copy a directory of its own, as the core says it.
fn anew() -> Batch {
    let mut batch = Batch::default();
    batch.delete(Table::Meta, b"incarnation");
    batch.put(Table::Meta, b"restored", b"1");
    batch
}

fn restore(frozen: &Frozen, target: &Path, commit: u64) -> Result<(), RestoreError> {
    let restore = Restore::begin(target)?;
    copy_files(frozen, &restore.db_dir());
    restore.finish(CommitNo(commit), &anew())
}

#[test]
fn a_copy_under_writes_never_holds_half_a_commit() {
    let root = tempfile::tempdir().unwrap();
    let opened = open(&root.path().join("live"));
    let rocks = opened.rocks.clone();
    let mut last = 0;
    for round in 0..6 {
        let target = root.path().join(format!("copy{round}"));
        let writing = std::thread::scope(|scope| {
            let freezing = scope.spawn(|| {
                let restore = Restore::begin(&target).unwrap();
                let frozen = rocks.freeze().unwrap();
                copy_files(&frozen, &restore.db_dir());
                restore
            });
            while !freezing.is_finished() {
                last += 1;
                let mut batch = Batch::default();
                Table::ALL.iter().for_each(|table| batch.put(*table, key(last), vec![7; 500]));
                commit(&opened, last, batch);
            }
            freezing.join().unwrap()
        });
        let db = writing.db_dir();
        let copied = Rocks::open_to_read(db.parent().unwrap());
        // The directory is still locked by the restore: so it is read as a copy of its own.
        assert!(matches!(copied, Err(OpenError::Locked { .. })));
        let aside = root.path().join(format!("aside{round}"));
        copy_dir(&db, &aside.join("db"));
        let copy = Rocks::open_to_read(&aside).unwrap();
        let commit = copy.commit_no().unwrap();
        assert!(commit.0 <= last);
        for no in 1..=last {
            let held = Table::ALL.iter().filter(|table| copy.get(**table, &key(no)).unwrap().is_some());
            let expected = if no <= commit.0 { Table::ALL.len() } else { 0 };
            assert_eq!(held.count(), expected, "commit {no} of a copy that ends at {}", commit.0);
        }
    }
}

#[test]
fn a_restored_directory_has_the_rows_a_guard_of_its_own_and_no_memory_of_the_old_one() {
    let root = tempfile::tempdir().unwrap();
    let (live, target) = (root.path().join("live"), root.path().join("restored"));
    filled(&live, 20);
    let mut batch = Batch::default();
    batch.put(Table::Meta, b"incarnation", b"former--");
    commit(&open(&live), 21, batch);
    restore(&Frozen::closed(&live).unwrap(), &target, 21).unwrap();
    assert!(!root.path().join("restored.restoring").exists());

    let opened = open(&target);
    assert_eq!(opened.commit, CommitNo(21));
    let GuardState::Intact(guard) = &opened.guard else { panic!("{}", opened.guard) };
    assert!(guard.heads.is_empty() && guard.pending.is_empty(), "{guard:?}");
    assert_eq!(opened.rocks.get(Table::Meta, b"incarnation").unwrap(), None);
    assert_eq!(opened.rocks.get(Table::Meta, b"restored").unwrap().unwrap(), b"1");
    assert!(holds_all(&opened.rocks, 20));
    assert_eq!(commit(&opened, 22, signed(22)).no, CommitNo(22));
    drop(opened);
    assert!(matches!(open(&target).guard, GuardState::Intact(_)));
    // A guard that is lost later is a lost guard, as everywhere.
    fs::remove_file(target.join("safety.0")).unwrap();
    fs::remove_file(target.join("safety.1")).unwrap();
    assert_eq!(open(&target).guard, GuardState::Missing);
}

#[test]
fn an_unfinished_restore_leaves_nothing_to_open() {
    let root = tempfile::tempdir().unwrap();
    let (live, target) = (root.path().join("live"), root.path().join("restored"));
    filled(&live, 3);
    let frozen = Frozen::closed(&live).unwrap();
    let unfinished = Restore::begin(&target).unwrap();
    copy_files(&frozen, &unfinished.db_dir());
    assert!(matches!(Restore::begin(&target), Err(RestoreError::Open(OpenError::Locked { .. }))));
    assert!(!target.exists());
    drop(unfinished);
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1, "only the live one");

    // A killed process removes nothing; the next restore does.
    let left = root.path().join("restored.restoring/db");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("000099.sst"), b"half").unwrap();
    let other = restore(&frozen, &target, 4);
    assert!(matches!(other, Err(RestoreError::OtherCommit { found: CommitNo(3), .. })), "{other:?}");
    restore(&frozen, &target, 3).unwrap();
    assert!(!target.join("db/000099.sst").exists());
    assert!(matches!(restore(&frozen, &target, 3), Err(RestoreError::Exists(_))));
    assert!(holds_all(&open(&target).rocks, 3));
}

#[test]
fn what_is_no_whole_database_is_not_restored() {
    let root = tempfile::tempdir().unwrap();
    let (live, target) = (root.path().join("live"), root.path().join("restored"));
    filled(&live, 9);
    let frozen = Frozen::closed(&live).unwrap();
    for file in frozen.files() {
        let restore = Restore::begin(&target).unwrap();
        copy_files(&frozen, &restore.db_dir());
        fs::remove_file(restore.db_dir().join(&file.name)).unwrap();
        assert!(restore.finish(CommitNo(9), &anew()).is_err(), "without {}", file.name);
        assert!(!target.exists());
    }
}

#[test]
fn one_copy_at_a_time_and_a_start_removes_what_a_dead_process_left() {
    let root = tempfile::tempdir().unwrap();
    filled(root.path(), 2);
    let opened = open(root.path());
    let frozen = opened.rocks.freeze().unwrap();
    assert!(matches!(opened.rocks.freeze(), Err(FreezeError::Open(OpenError::Locked { .. }))));
    assert!(
        matches!(frozen.read("../lock", 0, 10), Err(error) if error.kind() == std::io::ErrorKind::NotFound)
    );
    std::mem::forget(frozen);
    drop(opened);
    assert!(root.path().join("checkpoint").exists());
    drop(open(root.path()));
    assert!(!root.path().join("checkpoint").exists());
    assert!(matches!(Frozen::closed(&root.path().join("none")), Err(FreezeError::NoDatabase(_))));
}

/// What an older version left: one table fewer.
fn without_table(dir: &Path, table: Table) {
    let mut db = raw(dir);
    db.drop_cf(table.name()).unwrap();
}

fn raw(dir: &Path) -> DB {
    let options = rocksdb::Options::default();
    let names = DB::list_cf(&options, dir.join("db")).unwrap();
    DB::open_cf(&options, dir.join("db"), names).unwrap()
}

#[test]
fn a_directory_of_a_version_with_fewer_tables_opens_and_the_new_table_is_empty() {
    let root = tempfile::tempdir().unwrap();
    filled(root.path(), 5);
    without_table(root.path(), Table::EvidenceView);
    let report = crate::check(root.path()).unwrap();
    assert!(report.is_sound(), "{report}");
    let read = Rocks::open_to_read(root.path()).unwrap();
    assert_eq!(read.get(Table::EvidenceView, b"k").unwrap(), None);
    assert!(read.scan_prefix(Table::EvidenceView, &[], 9).unwrap().is_empty());
    drop(read);

    let opened = open(root.path());
    assert!(opened.rocks.scan_prefix(Table::EvidenceView, &[], 9).unwrap().is_empty());
    assert!(holds_all(&opened.rocks, 5));
    let mut batch = Batch::default();
    batch.put(Table::EvidenceView, b"k", b"v");
    commit(&opened, 6, batch);
    drop(opened);
    assert_eq!(open(root.path()).rocks.get(Table::EvidenceView, b"k").unwrap().unwrap(), b"v");
}

#[test]
fn a_newer_directory_is_refused_by_version_even_if_its_tables_are_unknown_and_stays_as_it_is() {
    let root = tempfile::tempdir().unwrap();
    filled(root.path(), 5);
    without_table(root.path(), Table::EvidenceView);
    let mut db = raw(root.path());
    db.create_cf("view/next", &rocksdb::Options::default()).unwrap();
    let meta = db.cf_handle("meta").unwrap();
    db.put_cf(meta, b"store/schema", 12_u64.to_be_bytes()).unwrap();
    drop(db);
    let refused = Rocks::open(root.path(), SMALL).unwrap_err();
    assert!(matches!(refused, OpenError::NewerSchema { found: 12, .. }), "{refused}");
    assert!(refused.hint().unwrap().contains("newer version"));
    assert!(matches!(Rocks::open_to_read(root.path()), Err(OpenError::NewerSchema { found: 12, .. })));
    let names = DB::list_cf(&rocksdb::Options::default(), root.path().join("db")).unwrap();
    assert!(!names.iter().any(|name| name == Table::EvidenceView.name()), "nothing was added: {names:?}");
}

/// Bytes that nothing makes smaller.
fn noise() -> impl Iterator<Item = u8> {
    let mut state = 1_u64;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as u8
    })
}

#[test]
fn compaction_gives_space_back_and_keeps_every_row() {
    let root = tempfile::tempdir().unwrap();
    let opened = open(root.path());
    let mut noise = noise();
    for no in 1..=60 {
        let mut batch = Batch::default();
        for row in 0..40 {
            batch.put(Table::Records, key(row), noise.by_ref().take(1_000).collect::<Vec<_>>());
        }
        commit(&opened, no, batch);
    }
    opened.rocks.compact(|_| {}).unwrap();
    let mut seen = Vec::new();
    let before = opened.rocks.size().unwrap();
    let mut batch = Batch::default();
    (10..40).for_each(|row| batch.delete(Table::Records, key(row)));
    commit(&opened, 61, batch);
    opened.rocks.compact(|table| seen.push(table)).unwrap();
    let after = opened.rocks.size().unwrap();
    assert_eq!(seen, Table::ALL);
    assert!(after < before / 2, "{before} bytes before, {after} after");
    assert_eq!(opened.rocks.scan_prefix(Table::Records, &[], usize::MAX).unwrap().len(), 10);
    opened.rocks.stop_compacting();
    drop(opened);
    assert_eq!(open(root.path()).commit, CommitNo(61));
}

#[test]
fn calls_that_are_forgotten_give_their_space_back_and_the_others_stay() {
    let root = tempfile::tempdir().unwrap();
    let opened = open(root.path());
    let mut noise = noise();
    let mut keep = |numbers: std::ops::Range<u64>| {
        for first in numbers.step_by(100) {
            let value = || noise.by_ref().take(1_000).collect::<Vec<_>>();
            let values = std::iter::repeat_with(value);
            let rows =
                (first..first + 100).zip(values).map(|(no, value)| (Table::Calls, key(no), Some(value)));
            opened.rocks.keep_calls(rows).unwrap();
        }
    };
    keep(0..60_000);
    opened.rocks.forget_calls(&key(44_999)).unwrap();
    keep(60_000..61_000);
    // Files that are new or on the move stay until the next time.
    opened.rocks.compact(|_| {}).unwrap();
    opened.rocks.forget_calls(&key(44_999)).unwrap();
    let size = opened.rocks.size().unwrap();
    assert!(size < 36_000_000, "{size} bytes for 16,000 calls of 1,000 bytes");
    assert!((45_000..61_000).all(|no| opened.rocks.get(Table::Calls, &key(no)).unwrap().is_some()));
    assert_eq!(opened.rocks.get(Table::Calls, &key(0)).unwrap(), None);
}
