//! The version of what the rows look like, and the way from an older one to the present one.
//!
//! A new version is a new [`Step`] at the end of [`STEPS`] and one more in [`SCHEMA`]. A step sees the database as the
//! step before it left it; its changes and the new version number are one synced write, so an interrupted start goes
//! on where it was. An added table needs a step too, if only an empty one: the number is what tells an older program
//! that it must not open the database.

use std::path::Path;

use althing_store::CommitNo;
use rocksdb::WriteBatch;

use crate::OpenError;
use crate::database::{Database, db_dir};
use crate::fault::Fault;

/// The newest schema that this version reads, and the one that it writes.
pub const SCHEMA: u32 = 9;

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
];

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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use althing_store::Table;

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
    fn a_newer_database_is_refused_with_both_versions() {
        let root = tempfile::tempdir().unwrap();
        let database = database(root.path());
        admit_with(root.path(), &database, TWO_STEPS, 3).unwrap();
        let refused = admit_with(root.path(), &database, &TWO_STEPS[..1], 2).unwrap_err();
        assert_eq!(refused.to_string(), "schema: expected version 2 or older, found 3");
        assert_eq!(database.schema(), Ok(Some(3)));
    }
}
