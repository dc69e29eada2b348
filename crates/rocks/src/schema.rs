//! The version of what the rows look like, and the way from an older one to the present one.
//!
//! A new version is a new [`Step`] at the end of [`STEPS`] and one more in [`SCHEMA`]. A step sees the database as the
//! step before it left it; its changes and the new version number are one synced write, so an interrupted start goes
//! on where it was. An added table needs a step too, if only an empty one: the number is what tells an older program
//! that it must not open the database.

use std::collections::BTreeSet;
use std::path::Path;

use althing_store::{CommitNo, Table};
use rocksdb::{Direction, IteratorMode, WriteBatch};

use crate::database::{Database, db_dir, verifying};
use crate::fault::Fault;
use crate::{Aside, OpenError};

/// The newest schema that this version reads, and the one that it writes.
pub const SCHEMA: u32 = 11;

/// The steps from version 1 to [`SCHEMA`], in order and without gaps.
pub(crate) const STEPS: &[Step] = &[
    // The journal, which begins empty.
    Step { to: 2, rewrite: |_, _| Ok(()) },
    // Provider records, of which an older version kept none.
    Step { to: 3, rewrite: |_, _| Ok(()) },
    // The index of cards, whose rows the engine writes anew: what they say follows from records, which nothing here can
    // read.
    Step { to: 4, rewrite: |_, _| Ok(()) },
    // Calls, of which an older version had none.
    Step { to: 5, rewrite: |_, _| Ok(()) },
    // What closers of votes say: kinds of records that an older version takes for damage.
    Step { to: 6, rewrite: |_, _| Ok(()) },
    // Groups, whose records an older version did not keep.
    Step { to: 7, rewrite: |_, _| Ok(()) },
    // What raters publish, whose records an older version did not keep.
    Step { to: 8, rewrite: |_, _| Ok(()) },
    // Evidence about Accepts, whose records an older version did not keep, and what receipts proved.
    Step { to: 9, rewrite: |_, _| Ok(()) },
    // A domain of reconciliation for what raters publish, which was in that of the ledger.
    Step { to: 10, rewrite: part_ratings },
    // A table for what is kept beside calls, which was among them.
    Step { to: 11, rewrite: part_calls },
];

/// What comes behind the keys of calls, which begin with the letter before.
const CALL_END: &[u8] = b"d";

/// Rows that one write of a step moves.
const MOVED_AT_ONCE: usize = 4_096;

/// One step from the version before to `to`.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    pub(crate) to: u32,
    /// Adds the changes to the batch. It may read the whole database; nobody else has it open.
    pub(crate) rewrite: fn(&Database, &mut WriteBatch) -> Result<(), Fault>,
}

/// Brings a database to the present schema, or writes that into a new one; gives the last commit.
pub(crate) fn admit(dir: &Path, database: &Database) -> Result<CommitNo, OpenError> {
    admit_with(dir, database, STEPS, SCHEMA)
}

/// Requires a schema that this version reads, and changes nothing.
pub(crate) fn check(dir: &Path, database: &Database) -> Result<(), OpenError> {
    match database.schema().map_err(|fault| OpenError::new(db_dir(dir), fault))? {
        Some(found) if found > SCHEMA => Err(OpenError::NewerSchema { found, newest: SCHEMA }),
        Some(_) | None => Ok(()),
    }
}

fn admit_with(dir: &Path, database: &Database, steps: &[Step], newest: u32) -> Result<CommitNo, OpenError> {
    let failed = |fault| OpenError::new(db_dir(dir), fault);
    let corrupt = |cause| OpenError::Corrupt { dir: db_dir(dir), file: None, cause };
    let commit = database.commit_no().map_err(failed)?;
    let mut version = match database.schema().map_err(failed)? {
        Some(found) if found > newest => return Err(OpenError::NewerSchema { found, newest }),
        Some(found) => found,
        None if commit == CommitNo(0) => {
            database.write_schema(WriteBatch::default(), newest).map_err(failed)?;
            newest
        }
        None => return Err(corrupt(format!("the schema version is missing at commit {}", commit.0))),
    };
    while version < newest {
        let next = version + 1;
        let step = steps.iter().find(|step| step.to == next);
        let step = step.ok_or_else(|| corrupt(format!("no step leads from schema {version} to {next}")))?;
        tracing::info!(from = version, to = next, "bringing the store to a newer schema");
        let mut batch = WriteBatch::default();
        (step.rewrite)(database, &mut batch).map_err(failed)?;
        database.write_schema(batch, next).map_err(failed)?;
        version = next;
    }
    Ok(commit)
}

/// Rows of calls that are no calls, all of them behind those, move to the table beside it. They may be many, so they are written
/// some at a time, and removed where they were when all are there.
fn part_calls(database: &Database, batch: &mut WriteBatch) -> Result<(), Fault> {
    let calls = database.table(Table::Calls);
    let mut moved: Vec<Aside> = Vec::new();
    let mode = IteratorMode::From(CALL_END, Direction::Forward);
    for row in database.raw().iterator_cf_opt(calls, verifying(), mode) {
        let (key, value) = row?;
        moved.push((Table::CallIndex, key.into_vec(), Some(value.into_vec())));
        if moved.len() == MOVED_AT_ONCE {
            database.put_aside(std::mem::take(&mut moved))?;
        }
    }
    database.put_aside(moved)?;
    batch.delete_range_cf(calls, CALL_END, &[0xff][..]);
    Ok(())
}

/// Rows of the ledger's domain (1) that name attestations become rows of the ratings' (2).
fn part_ratings(database: &Database, batch: &mut WriteBatch) -> Result<(), Fault> {
    let rows = |table, from: &'static [u8]| {
        let mode = IteratorMode::From(from, Direction::Forward);
        database.raw().iterator_cf_opt(database.table(table), verifying(), mode)
    };
    let mut ratings = BTreeSet::new();
    for row in rows(Table::TrustView, &[]) {
        ratings.extend(row?.0.get(40..).map(<[u8]>::to_vec));
    }
    let sync = database.table(Table::SyncView);
    for row in rows(Table::SyncView, &[1]) {
        let (key, value) = row?;
        if key.first() != Some(&1) {
            break;
        }
        if key.get(9..).is_some_and(|id| ratings.contains(id)) {
            batch.delete_cf(sync, &key);
            batch.put_cf(sync, [&[2], &key[1..]].concat(), value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::Options;
    use crate::database::Access;
    use crate::lock::Lock;

    fn database(dir: &Path) -> Database {
        let lock = Arc::new(Lock::take(dir).unwrap());
        Database::open(dir, &Options::default(), Access::Write, lock).unwrap()
    }

    fn add(key: &'static [u8], database: &Database, batch: &mut WriteBatch) -> Result<(), Fault> {
        let seen = database.get(Table::Meta, b"one")?.is_some();
        batch.put_cf(database.table(Table::Meta), key, if seen { b"second" } else { b"first-" });
        Ok(())
    }

    const TWO_STEPS: &[Step] = &[
        Step { to: 2, rewrite: |database, batch| add(b"one", database, batch) },
        Step { to: 3, rewrite: |database, batch| add(b"two", database, batch) },
    ];

    #[test]
    fn the_steps_lead_to_the_present_schema_without_gaps() {
        let mut version = 1;
        for step in STEPS {
            version += 1;
            assert_eq!(step.to, version);
        }
        assert_eq!(version, SCHEMA);
    }

    #[test]
    fn an_older_database_takes_every_step_once() {
        let root = tempfile::tempdir().unwrap();
        let database = database(root.path());
        admit_with(root.path(), &database, &[], 1).unwrap();
        admit_with(root.path(), &database, TWO_STEPS, 3).unwrap();
        assert_eq!(database.schema(), Ok(Some(3)));
        assert_eq!(database.get(Table::Meta, b"one"), Ok(Some(b"first-".to_vec())));
        assert_eq!(database.get(Table::Meta, b"two"), Ok(Some(b"second".to_vec())), "it saw the step before");
        admit_with(root.path(), &database, TWO_STEPS, 3).unwrap();
        assert_eq!(database.get(Table::Meta, b"one"), Ok(Some(b"first-".to_vec())), "no step ran twice");
    }

    #[test]
    fn a_failed_step_leaves_the_version_before_it() {
        let root = tempfile::tempdir().unwrap();
        let database = database(root.path());
        admit_with(root.path(), &database, &[], 1).unwrap();
        let broken = Step {
            to: 3,
            rewrite: |database, batch| {
                add(b"half", database, batch)?;
                Err(Fault::Corrupt("a row makes no sense".to_owned()))
            },
        };
        let refused = admit_with(root.path(), &database, &[TWO_STEPS[0], broken], 3).unwrap_err();
        assert!(refused.to_string().contains("makes no sense"), "{refused}");
        assert_eq!(database.schema(), Ok(Some(2)));
        assert_eq!(database.get(Table::Meta, b"half"), Ok(None));
        admit_with(root.path(), &database, TWO_STEPS, 3).unwrap();
        assert_eq!(database.schema(), Ok(Some(3)));
    }

    #[test]
    fn what_raters_publish_gets_a_domain_of_its_own_and_nothing_else_does() {
        let root = tempfile::tempdir().unwrap();
        let database = database(root.path());
        admit_with(root.path(), &database, &[], 9).unwrap();
        let sync = |domain: u8, id: u8| [&[domain][..], &[5; 8], &[id; 32]].concat();
        let mut batch = WriteBatch::default();
        for key in [sync(0, 1), sync(1, 1), sync(1, 2), sync(1, 3)] {
            batch.put_cf(database.table(Table::SyncView), key, [7; 8]);
        }
        for id in [1, 3] {
            batch.put_cf(database.table(Table::TrustView), [&[9; 40][..], &[id; 32]].concat(), []);
        }
        database.write_schema(batch, 9).unwrap();
        admit(root.path(), &database).unwrap();
        let holds = |key: Vec<u8>| database.get(Table::SyncView, &key).unwrap() == Some(vec![7; 8]);
        assert!(holds(sync(0, 1)) && holds(sync(1, 2)), "a card and a ballot stay");
        assert!(holds(sync(2, 1)) && holds(sync(2, 3)));
        assert!(!holds(sync(1, 1)) && !holds(sync(1, 3)));
        assert_eq!(database.schema(), Ok(Some(SCHEMA)));
    }

    #[test]
    fn what_is_kept_beside_calls_leaves_their_table_and_calls_stay() {
        let root = tempfile::tempdir().unwrap();
        let database = database(root.path());
        admit_with(root.path(), &database, &[], 10).unwrap();
        let place = |number: usize| [&[b'i'; 80][..], &number.to_be_bytes()].concat();
        let mut rows: Vec<Aside> =
            (0..MOVED_AT_ONCE + 5).map(|number| (Table::Calls, place(number), Some(vec![1]))).collect();
        let calls = [&b"c\x00\x00\x00\x00\x00\x00\x00\x01"[..], b"c\xff\xff\xff\xff\xff\xff\xff\xff"];
        let others = [&b"h"[..], b"l\x00", b"t\x00"];
        rows.extend(calls.iter().chain(&others).map(|key| (Table::Calls, key.to_vec(), Some(key.to_vec()))));
        database.put_aside(rows).unwrap();
        // A start that was interrupted before its last write.
        part_calls(&database, &mut WriteBatch::default()).unwrap();
        assert_eq!(database.schema(), Ok(Some(10)));
        assert!(calls.iter().chain(&others).all(|key| database.get(Table::Calls, key).unwrap().is_some()));
        admit(root.path(), &database).unwrap();
        let holds = |table, key: &[u8]| database.get(table, key).unwrap().is_some();
        for call in calls {
            assert!(holds(Table::Calls, call) && !holds(Table::CallIndex, call));
        }
        let places: Vec<_> = (0..MOVED_AT_ONCE + 5).map(place).collect();
        for other in others.into_iter().chain(places.iter().map(Vec::as_slice)) {
            assert!(holds(Table::CallIndex, other) && !holds(Table::Calls, other), "{other:?}");
        }
    }

    #[test]
    fn a_newer_database_is_refused_with_both_versions() {
        let root = tempfile::tempdir().unwrap();
        let database = database(root.path());
        admit_with(root.path(), &database, TWO_STEPS, 3).unwrap();
        let refused = admit_with(root.path(), &database, &TWO_STEPS[..1], 2).unwrap_err();
        assert_eq!(refused.to_string(), "schema: expected version 2 or older, found 3");
        assert_eq!(database.schema(), Ok(Some(3)));
    }
}
