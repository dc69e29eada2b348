use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rocksdb::checkpoint::Checkpoint;

use crate::database::{Database, db_dir};
use crate::fault::Fault;
use crate::lock::Lock;
use crate::{OpenError, SpaceError, open, require_space};

/// What a running database is frozen in, beside it: hard links need the same file system.
const CHECKPOINT_DIR: &str = "checkpoint";

/// Bytes that freezing may write by itself: rows that are flushed first, and a copy of the log.
const FREEZING_BYTES: u64 = 32 << 20;

/// Why a database was not frozen.
#[derive(Debug, thiserror::Error)]
pub enum FreezeError {
    /// There is no database.
    #[error("{}: no database here", .0.display())]
    NoDatabase(PathBuf),
    /// The directory is in use or cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is too little space to begin.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// A file cannot be used.
    #[error("{}: {cause}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
}

/// The files of a database at one moment, which do not change while this is held.
#[derive(Debug)]
pub struct Frozen {
    db: PathBuf,
    files: Vec<FrozenFile>,
    /// The directory that was made for it.
    made: Option<PathBuf>,
    _lock: Arc<Lock>,
}

/// One file of a frozen database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrozenFile {
    /// Its name, without a directory.
    pub name: String,
    /// Its length.
    pub bytes: u64,
}

impl Frozen {
    /// Freezes the database of a data directory that nobody has open, by locking it.
    ///
    /// # Errors
    /// When there is no database, or the directory is in use.
    pub fn closed(dir: &Path) -> Result<Self, FreezeError> {
        if !open::exists(dir)? {
            return Err(FreezeError::NoDatabase(dir.to_owned()));
        }
        let lock = Arc::new(Lock::take(dir)?);
        Self::new(db_dir(dir), None, lock)
    }

    /// Freezes an open database: flushes it and links its files into a directory of their own.
    pub(crate) fn running(database: &Database) -> Result<Self, FreezeError> {
        let store = database.dir();
        require_space(store, FREEZING_BYTES)?;
        let dir = store.join(CHECKPOINT_DIR);
        let file = |cause| FreezeError::File { path: dir.clone(), cause };
        DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(file)?;
        // Also tells a second one that the first is not done.
        let lock = Arc::new(Lock::take(&dir)?);
        let db = db_dir(&dir);
        remove(&db).map_err(file)?;
        let failed = |error: rocksdb::Error| OpenError::new(db_dir(store), Fault::from(error));
        Checkpoint::new(database.raw()).and_then(|raw| raw.create_checkpoint(&db)).map_err(failed)?;
        Self::new(db, Some(dir), lock)
    }

    fn new(db: PathBuf, made: Option<PathBuf>, lock: Arc<Lock>) -> Result<Self, FreezeError> {
        let files = list(&db).map_err(|cause| FreezeError::File { path: db.clone(), cause });
        let mut frozen = Self { db, files: Vec::new(), made, _lock: lock };
        frozen.files = files?;
        Ok(frozen)
    }

    /// Its files, by name.
    #[must_use]
    pub fn files(&self) -> &[FrozenFile] {
        &self.files
    }

    /// Bytes of a file from an offset on, at most `bytes_max`; empty at its end.
    ///
    /// # Errors
    /// When it is not one of the files, or cannot be read.
    pub fn read(&self, name: &str, offset: u64, bytes_max: usize) -> io::Result<Vec<u8>> {
        if !self.files.iter().any(|file| file.name == name) {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("no file {name:?} in the database")));
        }
        let mut file = File::open(self.db.join(name))?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.take(bytes_max as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        if let Some(dir) = &self.made
            && let Err(cause) = remove(dir)
        {
            tracing::warn!(path = %dir.display(), %cause, "frozen files not removed; the next start does it");
        }
    }
}

/// Removes what an ended process left frozen.
pub(crate) fn thaw(dir: &Path) {
    let dir = dir.join(CHECKPOINT_DIR);
    if let Err(cause) = remove(&dir) {
        tracing::warn!(path = %dir.display(), %cause, "frozen files not removed");
    }
}

pub(crate) fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
        _ => Ok(()),
    }
}

/// The files that make up a database. RocksDB's own log, lock and options are not among them.
fn list(db: &Path) -> io::Result<Vec<FrozenFile>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(db)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if is_part(&name) {
            files.push(FrozenFile { name, bytes: entry.metadata()?.len() });
        }
    }
    files.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(files)
}

/// Whether a name is that of a file which holds a part of a database.
#[must_use]
pub fn is_part(name: &str) -> bool {
    let numbered = |digits: &str| digits.len() >= 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
    name == "CURRENT"
        || name.strip_prefix("MANIFEST-").is_some_and(numbered)
        || name.strip_suffix(".sst").or_else(|| name.strip_suffix(".log")).is_some_and(numbered)
}
