use super::*;
use crate::{GuardState, OpenError};

const ACCEPTING: Options = Options { accept_rollback: true, ..SMALL };

/// A directory at commit 20 with its database as it was at commit 10.
fn rolled_back(root: &Path) -> PathBuf {
    let dir = root.join("data");
    filled(&dir, 10);
    copy_dir(&dir.join("db"), &root.join("backup"));
    filled(&dir, 20);
    fs::remove_dir_all(dir.join("db")).unwrap();
    copy_dir(&root.join("backup"), &dir.join("db"));
    dir
}

#[test]
fn an_older_copy_of_the_database_is_refused_by_name() {
    let root = tempfile::tempdir().unwrap();
    let dir = rolled_back(root.path());
    let behind = (CommitNo(20), CommitNo(10));
    let refused = Rocks::open(&dir, SMALL).unwrap_err();
    assert!(
        matches!(refused, OpenError::DatabaseBehind { guard, database } if (guard, database) == behind),
        "{refused}"
    );
    assert!(refused.hint().unwrap().contains("without voting"));
    assert!(!crate::check(&dir).unwrap().is_sound());
}

#[test]
fn an_accepted_rollback_runs_without_voting_and_stays_known() {
    let root = tempfile::tempdir().unwrap();
    let dir = rolled_back(root.path());
    let expected = GuardState::DatabaseBehind { guard: CommitNo(20), database: CommitNo(10) };
    let opened = Rocks::open(&dir, ACCEPTING).unwrap();
    assert_eq!(opened.guard, expected);
    assert!(!opened.guard.is_trusted());
    let mut batch = Batch::default();
    batch.put(Table::Slot, b"k", b"v");
    batch.require_sync();
    assert_eq!(commit(&opened, 11, batch).no, CommitNo(11));
    drop(opened);
    // Working on does not turn an untrusted guard into a trusted one.
    let opened = Rocks::open(&dir, ACCEPTING).unwrap();
    assert_eq!(opened.guard, GuardState::DatabaseBehind { guard: CommitNo(20), database: CommitNo(11) });
}

#[test]
fn a_deleted_database_is_a_rollback_too() {
    let root = tempfile::tempdir().unwrap();
    filled(root.path(), 5);
    fs::remove_dir_all(root.path().join("db")).unwrap();
    let refused = Rocks::open(root.path(), SMALL).unwrap_err();
    assert!(matches!(refused, OpenError::DatabaseBehind { database: CommitNo(0), .. }), "{refused}");
}

#[test]
fn an_interrupted_first_start_is_still_fresh() {
    let root = tempfile::tempdir().unwrap();
    drop(open(root.path()));
    fs::remove_dir_all(root.path().join("db")).unwrap();
    assert_eq!(open(root.path()).guard, GuardState::Fresh);
}

#[test]
fn missing_guard_files_mean_no_voting() {
    let root = tempfile::tempdir().unwrap();
    filled(root.path(), 5);
    for slot in ["safety.0", "safety.1"] {
        fs::remove_file(root.path().join(slot)).unwrap();
    }
    for _ in 0..2 {
        let opened = open(root.path());
        assert_eq!(opened.guard, GuardState::Missing);
        assert!(opened.guard.to_string().contains("no voting"));
        let next = opened.commit.0 + 1;
        let mut batch = Batch::default();
        batch.require_sync();
        assert_eq!(commit(&opened, next, batch).no, CommitNo(next));
    }
}

#[test]
fn one_damaged_guard_file_is_survived_and_two_are_not() {
    for slot in ["safety.0", "safety.1"] {
        let root = tempfile::tempdir().unwrap();
        filled(root.path(), 5);
        flip(&root.path().join(slot), 40);
        let opened = open(root.path());
        let GuardState::Intact(guard) = &opened.guard else { panic!("{slot}: {}", opened.guard) };
        assert_eq!(guard.heads[0].seq, 5, "{slot}");
    }
    let root = tempfile::tempdir().unwrap();
    filled(root.path(), 5);
    for slot in ["safety.0", "safety.1"] {
        flip(&root.path().join(slot), 40);
    }
    let opened = open(root.path());
    let GuardState::Unreadable { cause } = &opened.guard else { panic!("{}", opened.guard) };
    assert!(cause.contains("safety.0") && cause.contains("safety.1"), "{cause}");
}

#[test]
fn older_guard_files_than_the_database_saw_mean_no_voting() {
    let root = tempfile::tempdir().unwrap();
    filled(root.path(), 5);
    let old: Vec<_> = ["safety.0", "safety.1"].map(|slot| root.path().join(slot)).to_vec();
    let saved: Vec<_> = old.iter().map(|path| fs::read(path).unwrap()).collect();
    filled(root.path(), 9);
    for (path, bytes) in old.iter().zip(saved) {
        fs::write(path, bytes).unwrap();
    }
    let opened = open(root.path());
    assert!(matches!(opened.guard, GuardState::Unreadable { .. }), "{}", opened.guard);
}

#[test]
fn a_new_guard_after_a_lost_one_is_trusted_again() {
    let root = tempfile::tempdir().unwrap();
    filled(root.path(), 5);
    for slot in ["safety.0", "safety.1"] {
        fs::remove_file(root.path().join(slot)).unwrap();
    }
    let opened = open(root.path());
    assert_eq!(commit(&opened, 6, signed(6)).no, CommitNo(6));
    drop(opened);
    assert!(matches!(open(root.path()).guard, GuardState::Intact(guard) if guard.heads[0].seq == 6));
}
