use std::cell::RefCell;

use super::*;
use crate::{CommitFailure, GuardState, OpenError, SubmitError};

#[test]
fn rocks_passes_the_conformance_suite() {
    let root = tempfile::tempdir().unwrap();
    let count = RefCell::new(0);
    althing_store::conformance::check(|| {
        *count.borrow_mut() += 1;
        let opened = open(&root.path().join(count.borrow().to_string()));
        let rocks = opened.rocks.clone();
        let mut no = 0;
        (rocks, move |batch: &Batch| {
            no += 1;
            assert_eq!(commit(&opened, no, batch.clone()).no, CommitNo(no));
        })
    });
}

#[test]
fn commits_and_their_numbers_survive_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open(dir.path());
    assert_eq!((opened.commit, &opened.guard), (CommitNo(0), &GuardState::Fresh));
    let mut batch = Batch::default();
    batch.put(Table::Slot, b"k", b"unsynced");
    assert_eq!(commit(&opened, 1, batch).no, CommitNo(1));
    assert_eq!(commit(&opened, 2, signed(2)).no, CommitNo(2));
    let last = opened.committer.close();
    assert_eq!(last, Durable { no: CommitNo(2), failed: None, failures: 0, writable: true });
    drop(opened.rocks);

    let opened = open(dir.path());
    assert_eq!(opened.commit, CommitNo(2));
    assert_eq!(opened.rocks.get(Table::Slot, b"k").unwrap().unwrap(), b"unsynced");
    let GuardState::Intact(guard) = opened.guard else { panic!("{}", opened.guard) };
    // Closing in order brings the number up to date; what was pending is in the database.
    assert_eq!((guard.acknowledged, guard.heads[0].seq, guard.pending.len()), (CommitNo(2), 2, 0));
}

#[test]
fn batches_that_wait_are_committed_in_order_and_none_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open(dir.path());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        for no in 1..=2_000 {
            opened.committer.submit(CommitNo(no), signed(no)).await.unwrap();
        }
    });
    assert_eq!(opened.committer.close().no, CommitNo(2_000));
    assert!(holds_all(&opened.rocks, 2_000));
}

#[test]
fn a_full_queue_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let opened = Rocks::open(dir.path(), Options { queue_max: 1, ..SMALL }).unwrap();
    let mut no = 0;
    let refused = loop {
        match opened.committer.try_submit(CommitNo(no + 1), signed(no + 1)) {
            Ok(()) => no += 1,
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused, SubmitError::Full);
    assert_eq!(opened.committer.close().no, CommitNo(no));
}

#[test]
fn a_gap_is_refused_and_the_submitter_begins_again_at_it() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open(dir.path());
    let state = commit(&opened, 2, signed(2));
    let Some((no, CommitFailure::Refused { cause })) = state.failed else { panic!("{:?}", state.failed) };
    assert_eq!((no, state.no, state.writable), (CommitNo(2), CommitNo(0), true));
    assert!(cause.contains("expected commit 1, found 2"), "{cause}");
    assert_eq!(
        commit(&opened, 1, signed(1)),
        Durable { no: CommitNo(1), failed: None, failures: 1, writable: true }
    );
}

#[test]
fn a_directory_is_opened_once() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open(dir.path());
    let refused = Rocks::open(dir.path(), SMALL).unwrap_err();
    assert!(
        matches!(refused, OpenError::Locked { holder: Some(ref holder), .. } if holder.pid == std::process::id()),
        "{refused}"
    );
    assert!(crate::check(dir.path()).is_err());
    let rocks = opened.rocks.clone();
    drop(opened);
    assert!(
        matches!(Rocks::open(dir.path(), SMALL), Err(OpenError::Locked { .. })),
        "a reader holds it open"
    );
    drop(rocks);
    open(dir.path());
}

#[test]
fn a_newer_schema_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open(dir.path());
    let mut batch = Batch::default();
    batch.put(Table::Meta, b"store/schema", 12_u64.to_be_bytes());
    commit(&opened, 1, batch);
    drop(opened);
    assert!(matches!(Rocks::open(dir.path(), SMALL), Err(OpenError::NewerSchema { found: 12, newest: 11 })));
}

#[test]
fn an_unknown_table_is_named() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let options = rocksdb::Options::default();
    let path = dir.path().join("db");
    let names = rocksdb::DB::list_cf(&options, &path).unwrap();
    let mut db = rocksdb::DB::open_cf(&options, &path, names).unwrap();
    db.create_cf("view/next", &options).unwrap();
    drop(db);
    let refused = Rocks::open(dir.path(), SMALL).unwrap_err();
    assert!(matches!(&refused, OpenError::UnknownTable { name } if name == "view/next"), "{refused}");
}

#[test]
fn an_idle_node_stays_small() {
    let Some(before) = resident_kib() else { return };
    let dir = tempfile::tempdir().unwrap();
    let opened = Rocks::open(dir.path(), Options::default()).unwrap();
    for no in 1..=100 {
        commit(&opened, no, signed(no));
    }
    let grown = resident_kib().unwrap().saturating_sub(before);
    assert!(grown < 30_000, "{grown} KiB");
}

fn resident_kib() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix(" kB")?.parse().ok()
}
