use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use althing_store::{CommitNo, Guard};

use crate::database::{Access, Database, db_dir};
use crate::guard_file::{Found, GuardFiles};
use crate::lock::Lock;
use crate::reserve::Reserve;
use crate::worker::Worker;
use crate::{Committer, GuardState, OpenError, Options, Rocks, frozen, schema};

/// An open data directory.
#[derive(Debug)]
pub struct Opened {
    /// To read with.
    pub rocks: Rocks,
    /// To write with. Dropping it commits what is queued.
    pub committer: Committer,
    /// Whether this directory still knows all that was signed from it.
    pub guard: GuardState,
    /// The last commit in the database; the next one submitted is the one after it.
    pub commit: CommitNo,
}

pub(crate) fn open(dir: &Path, options: &Options) -> Result<Opened, OpenError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|cause| OpenError::Unusable { path: dir.to_owned(), cause })?;
    let lock = Arc::new(Lock::take(dir)?);
    frozen::thaw(dir);
    let existed = exists(dir)?;
    let (mut files, found) = GuardFiles::open(dir);
    let reserve = Reserve::new(dir, options);
    let space = reserve.restore();
    if let Err(cause) = &space {
        tracing::warn!(%cause, "disk nearly full; opened for reading until there is space");
        reserve.release();
    }
    if !existed {
        refuse_rollback(&found, CommitNo(0), options)?;
        // Before the database: one without a guard must mean that the guard was lost.
        if matches!(found, Found::Nothing) {
            files
                .write(&Guard::default())
                .map_err(|cause| OpenError::Unusable { path: dir.to_owned(), cause })?;
        }
    }
    let database = Arc::new(Database::open(dir, options, Access::Write, lock)?);
    let commit = schema::admit(dir, &database)?;
    refuse_rollback(&found, commit, options)?;
    let counter = database.guard_counter().map_err(|fault| OpenError::new(db_dir(dir), fault))?;
    files.skip_to(counter);
    let guard = judge(found, existed, commit, counter);
    if guard.is_trusted() {
        tracing::debug!(commit = commit.0, "{guard}");
    } else {
        tracing::warn!(commit = commit.0, "{guard}");
    }
    let worker = Worker::new(Arc::clone(&database), files, &guard, reserve, commit, space.is_ok());
    let committer = Committer::start(worker, commit, options.queue_max)?;
    Ok(Opened { rocks: Rocks::new(database), committer, guard, commit })
}

/// Whether there is a database.
pub(crate) fn exists(dir: &Path) -> Result<bool, OpenError> {
    let dir = db_dir(dir);
    if dir.join("CURRENT").exists() {
        return Ok(true);
    }
    // Without CURRENT RocksDB would begin a new database over the tables of the old one.
    let tables = fs::read_dir(&dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| Path::new(&entry.file_name()).extension().is_some_and(|kind| kind == "sst"));
    match tables.count() {
        0 => Ok(false),
        tables => Err(OpenError::Corrupt {
            dir,
            file: Some("CURRENT".to_owned()),
            cause: format!("missing, though {tables} table files exist"),
        }),
    }
}

/// What the guard files and the database say together. `counter` is that of the guard before the last guarded commit.
pub(crate) fn judge(found: Found, existed: bool, commit: CommitNo, counter: u64) -> GuardState {
    match found {
        Found::Nothing if existed => GuardState::Missing,
        Found::Nothing => GuardState::Fresh,
        Found::Damaged(cause) => GuardState::Unreadable { cause },
        Found::Guard { guard, .. } if guard.acknowledged > commit => {
            GuardState::DatabaseBehind { guard: guard.acknowledged, database: commit }
        }
        Found::Guard { counter: found, damage, .. } if found < counter => GuardState::Unreadable {
            cause: format!(
                "expected the guard numbered {counter}, which the database saw, found only {found}{}",
                damage.map_or_else(String::new, |damage| format!(" ({damage})"))
            ),
        },
        Found::Guard { guard, .. } if !existed && guard == Guard::default() => GuardState::Fresh,
        Found::Guard { guard, damage, .. } => {
            if let Some(damage) = damage {
                tracing::warn!(%damage, "a vote guard file is damaged; the other one is newer");
            }
            GuardState::Intact(guard)
        }
    }
}

fn refuse_rollback(found: &Found, database: CommitNo, options: &Options) -> Result<(), OpenError> {
    match found {
        Found::Guard { guard, .. } if guard.acknowledged > database && !options.accept_rollback => {
            Err(OpenError::DatabaseBehind { guard: guard.acknowledged, database })
        }
        Found::Guard { .. } | Found::Nothing | Found::Damaged(_) => Ok(()),
    }
}
