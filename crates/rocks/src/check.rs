use std::fmt;
use std::path::Path;
use std::sync::Arc;

use althing_store::{CommitNo, Table};

use crate::database::{Access, Database, SCHEMA, verifying};
use crate::fault::{Fault, named_file};
use crate::guard_file::GuardFiles;
use crate::lock::Lock;
use crate::{GuardState, OpenError, Options, open};

/// A file that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The table that was being read, if it was one.
    pub table: Option<&'static str>,
    /// The damaged or missing file, where RocksDB named it.
    pub file: Option<String>,
    /// What was said.
    pub cause: String,
}

/// What [`check`] found in a data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The last commit in the database, if that could be read.
    pub commit: Option<CommitNo>,
    /// What the guard files and the database say together.
    pub guard: GuardState,
    /// Rows per table that could be read; the last one before the damage stands with what was counted up to there.
    pub rows: Vec<(Table, u64)>,
    /// Table files of the database.
    pub files: usize,
    /// Their size in bytes.
    pub bytes: u64,
    /// The first damage, if any.
    pub damage: Option<Damage>,
}

impl Report {
    /// Whether everything is whole and the directory knows what it signed.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.damage.is_none() && self.guard.is_trusted()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.commit {
            Some(commit) => writeln!(f, "commit {}, {} files, {} bytes", commit.0, self.files, self.bytes)?,
            None => writeln!(f, "commit unknown")?,
        }
        for (table, rows) in &self.rows {
            writeln!(f, "{}: {rows} rows", table.name())?;
        }
        write!(f, "{}", self.guard)?;
        match &self.damage {
            Some(Damage { table, file, cause }) => {
                let mut place =
                    [*table, file.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(", ");
                if place.is_empty() {
                    place = "the database (RocksDB names no file)".to_owned();
                }
                write!(f, "\ndamaged: {place}: {cause}")
            }
            None => Ok(()),
        }
    }
}

/// Why a data directory could not be checked at all. Damage is not an error but in the [`Report`].
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// There is no database.
    #[error("{0}: no database here")]
    NoDatabase(String),
    /// The directory could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// Reads every block of every table file and checks its checksum, and the log, the guard and the commit numbers with it.
/// Changes nothing. The directory must not be in use.
///
/// # Errors
/// When there is no database, or the directory is in use or cannot be read.
pub fn check(dir: &Path) -> Result<Report, CheckError> {
    let existed = match open::exists(dir) {
        Err(OpenError::Corrupt { .. }) | Ok(true) => true,
        Ok(false) => false,
        Err(error) => return Err(error.into()),
    };
    if !existed {
        return Err(CheckError::NoDatabase(dir.display().to_string()));
    }
    let lock = Arc::new(Lock::take(dir)?);
    let (_, found) = GuardFiles::open(dir);
    let mut report = Report {
        commit: None,
        guard: GuardState::Missing,
        rows: Vec::new(),
        files: 0,
        bytes: 0,
        damage: None,
    };
    let options = Options::default();
    let opened = open::exists(dir).and_then(|_| Database::open(dir, &options, Access::Read, lock));
    let mut counter = 0;
    match opened {
        Ok(database) => {
            report.damage = read(&database, &mut report).err();
            counter = database.guard_counter().unwrap_or(0);
        }
        Err(OpenError::Corrupt { file, cause, .. }) => {
            report.damage = Some(Damage { table: None, file, cause });
        }
        Err(error) => return Err(error.into()),
    }
    // Without a commit number the guard is judged by itself.
    report.guard = open::judge(found, true, report.commit.unwrap_or(CommitNo(u64::MAX)), counter);
    Ok(report)
}

fn read(database: &Database, report: &mut Report) -> Result<(), Damage> {
    let damage = |table: Option<Table>, fault: Fault| {
        let (Fault::DiskFull(cause) | Fault::Io(cause) | Fault::Corrupt(cause)) = fault;
        Damage { table: table.map(Table::name), file: named_file(&cause), cause }
    };
    report.commit = Some(database.commit_no().map_err(|fault| damage(Some(Table::Meta), fault))?);
    match database.schema().map_err(|fault| damage(Some(Table::Meta), fault))? {
        Some(SCHEMA) => {}
        schema => {
            let found = schema.map_or("none".to_owned(), |found| found.to_string());
            let cause = format!("schema: expected version {SCHEMA}, found {found}");
            return Err(Damage { table: Some(Table::Meta.name()), file: None, cause });
        }
    }
    let live = database.raw().live_files().map_err(|error| damage(None, error.into()))?;
    report.files = live.len();
    report.bytes = live.iter().map(|file| file.size as u64).sum();
    for table in Table::ALL.into_iter().filter(|table| database.has(*table)) {
        let mut iter = database.raw().raw_iterator_cf_opt(database.table(table), verifying());
        let mut rows = 0;
        iter.seek_to_first();
        while iter.valid() {
            rows += 1;
            iter.next();
        }
        report.rows.push((table, rows));
        iter.status().map_err(|error| {
            let mut damage = damage(Some(table), error.into());
            // Some block errors come without the name; with a single file there is no doubt.
            let mut files = live.iter().filter(|file| file.column_family_name == table.name());
            if let (None, Some(only), None) = (&damage.file, files.next(), files.next()) {
                damage.file = Some(only.name.trim_start_matches('/').to_owned());
            }
            damage
        })?;
    }
    Ok(())
}
