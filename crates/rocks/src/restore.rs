use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use althing_store::{Batch, CommitNo, Guard};

use crate::database::{Access, Database, db_dir};
use crate::frozen::remove;
use crate::guard_file::GuardFiles;
use crate::lock::Lock;
use crate::{OpenError, Options, open, schema};

/// Why a data directory was not restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// There is something already.
    #[error("{} exists", .0.display())]
    Exists(PathBuf),
    /// A file cannot be used.
    #[error("{}: {cause}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// The files are no database that this version opens, or another restore is under way.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database is another than was said.
    #[error("commit: expected {}, found {}", expected.0, found.0)]
    OtherCommit {
        /// What was said.
        expected: CommitNo,
        /// The last commit in the database.
        found: CommitNo,
    },
}

/// A data directory that is made from copied files. Until [`Restore::finish`] nothing has its name, and dropping it
/// removes what there is.
#[derive(Debug)]
pub struct Restore {
    target: PathBuf,
    dir: PathBuf,
    lock: Option<Arc<Lock>>,
}

impl Restore {
    /// Begins to restore the data directory `target`, in a directory beside it.
    ///
    /// # Errors
    /// When `target` exists, or another restore into it is under way.
    pub fn begin(target: &Path) -> Result<Self, RestoreError> {
        if target.symlink_metadata().is_ok() {
            return Err(RestoreError::Exists(target.to_owned()));
        }
        let mut dir = target.as_os_str().to_owned();
        dir.push(".restoring");
        let dir = PathBuf::from(dir);
        let file = |cause| RestoreError::File { path: dir.clone(), cause };
        DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(file)?;
        let lock = Arc::new(Lock::take(&dir)?);
        let restore = Self { target: target.to_owned(), dir, lock: Some(lock) };
        // What an interrupted one left.
        remove(&restore.db_dir())
            .and_then(|()| DirBuilder::new().mode(0o700).create(restore.db_dir()))
            .map_err(|cause| RestoreError::File { path: restore.db_dir(), cause })?;
        Ok(restore)
    }

    /// Where the files of the database go; whoever puts them there syncs them.
    #[must_use]
    pub fn db_dir(&self) -> PathBuf {
        db_dir(&self.dir)
    }

    /// Makes the files a data directory that nothing was signed from: brings them to this version's schema, writes the
    /// rows of `batch`, makes an empty vote guard, syncs all of it, and only then gives it its name.
    ///
    /// # Errors
    /// When the files are no whole database, or one of another commit than `commit`.
    pub fn finish(mut self, commit: CommitNo, batch: &Batch) -> Result<(), RestoreError> {
        let lock = self.lock.clone().expect("held until here");
        if !open::exists(&self.dir)? {
            let cause = "missing: there is no database".to_owned();
            let file = Some("CURRENT".to_owned());
            return Err(OpenError::Corrupt { dir: self.db_dir(), file, cause }.into());
        }
        let database = Database::open(&self.dir, &Options::default(), Access::Write, lock)?;
        let found = schema::admit(&self.dir, &database)?;
        if found != commit {
            return Err(RestoreError::OtherCommit { expected: commit, found });
        }
        database.adopt(batch).map_err(|fault| OpenError::new(self.db_dir(), fault))?;
        drop(database);
        // A guard that is there from the beginning: one that is missing later was lost.
        let (mut files, _) = GuardFiles::open(&self.dir);
        let guard = Guard { acknowledged: commit, ..Guard::default() };
        files.write(&guard).map_err(|cause| self.file(&self.dir, cause))?;
        for dir in [self.db_dir(), self.dir.clone()] {
            sync_dir(&dir).map_err(|cause| self.file(&dir, cause))?;
        }
        fs::rename(&self.dir, &self.target).map_err(|cause| self.file(&self.target, cause))?;
        self.lock = None;
        let parent = self.target.parent().unwrap_or(Path::new("."));
        sync_dir(parent).map_err(|cause| self.file(parent, cause))
    }

    fn file(&self, path: &Path, cause: io::Error) -> RestoreError {
        RestoreError::File { path: path.to_owned(), cause }
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        // Unlocked last: nobody may begin in what is being removed.
        if self.lock.is_some()
            && let Err(cause) = remove(&self.dir)
        {
            tracing::warn!(path = %self.dir.display(), %cause, "an unfinished restore was not removed");
        }
    }
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
