use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::mem;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

/// Most bytes of lines that are kept before the file is known; further ones are dropped.
const EARLY_BYTES_MAX: usize = 64 << 10;

/// How large a log may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Most bytes in one file, unless a single line is longer.
    pub bytes_max: u64,
    /// Most files, the current one included.
    pub files_max: u32,
}

impl Default for Rotation {
    fn default() -> Self {
        Self { bytes_max: 10 << 20, files_max: 3 }
    }
}

/// A log on disk: `node.log`, before it `node.log.1`, and so on. Lines that come before [`attach`](Self::attach) are
/// kept and written then. A line that cannot be written is lost: a log never stops a node, and a full disk is the
/// store's to complain about. Cloning is cheap and gives the same log.
#[derive(Clone, Debug)]
pub struct LogFile(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    rotation: Rotation,
    early: Vec<u8>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    path: PathBuf,
    file: File,
    bytes: u64,
    /// The last line was cut off.
    torn: bool,
    /// Standard error is this file too, for what does not come through the log: an abort's last words.
    stderr: bool,
}

impl LogFile {
    /// A log without a file yet.
    #[must_use]
    pub fn new(rotation: Rotation) -> Self {
        Self(Arc::new(Mutex::new(State { rotation, early: Vec::new(), open: None })))
    }

    /// The file of this age: 0 is the current one.
    #[must_use]
    pub fn path(current: &Path, age: u32) -> PathBuf {
        if age == 0 {
            return current.to_owned();
        }
        let mut name = current.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{age}"));
        current.with_file_name(name)
    }

    /// Opens the file, with mode 0600, and writes what came before. With `stderr` it takes standard error's place.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn attach(&self, path: &Path, stderr: bool) -> io::Result<()> {
        let mut state = self.state();
        let mut open = Open::new(path.to_owned(), stderr)?;
        open.write(&mem::take(&mut state.early), state.rotation);
        state.open = Some(open);
        Ok(())
    }

    /// Opens the file by its name again, for those who move logs away themselves.
    ///
    /// # Errors
    /// When it cannot be opened; the one that was open stays so.
    pub fn reopen(&self) -> io::Result<()> {
        let mut state = self.state();
        if let Some(open) = &mut state.open {
            *open = Open::new(open.path.clone(), open.stderr)?;
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let State { rotation, early, open } = &mut *self.state();
        match open {
            Some(open) => open.write(line, *rotation),
            None if early.len() + line.len() <= EARLY_BYTES_MAX => early.extend_from_slice(line),
            None => {}
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for LogFile {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Open {
    fn new(path: PathBuf, stderr: bool) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
        if stderr {
            rustix::stdio::dup2_stderr(&file)?;
        }
        let bytes = file.metadata()?.len();
        Ok(Self { path, file, bytes, torn: false, stderr })
    }

    fn write(&mut self, line: &[u8], rotation: Rotation) {
        let bytes = line.len() as u64;
        if self.bytes > 0 && self.bytes + bytes > rotation.bytes_max && self.rotate(rotation).is_err() {
            // The bound holds even where files cannot be renamed.
            return;
        }
        if mem::take(&mut self.torn) && self.file.write_all(b"\n").is_err() {
            self.torn = true;
            return;
        }
        match self.file.write_all(line) {
            Ok(()) => self.bytes += bytes,
            Err(_) => self.torn = true,
        }
    }

    fn rotate(&mut self, rotation: Rotation) -> io::Result<()> {
        if rotation.files_max < 2 {
            fs::remove_file(&self.path)?;
        }
        for age in (1..rotation.files_max).rev() {
            let (from, to) = (LogFile::path(&self.path, age - 1), LogFile::path(&self.path, age));
            match fs::rename(from, to) {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
                _ => {}
            }
        }
        *self = Self::new(self.path.clone(), self.stderr)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn logged(rotation: Rotation, lines: &[&str]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.log");
        let mut log = LogFile::new(rotation);
        log.attach(&path, false).unwrap();
        for line in lines {
            log.write_all(line.as_bytes()).unwrap();
        }
        (dir, path)
    }

    fn text(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn files_are_rotated_by_size_and_the_oldest_vanishes() {
        let rotation = Rotation { bytes_max: 8, files_max: 3 };
        let (dir, path) =
            logged(rotation, &["one\n", "two\n", "three\n", "a long line\n", "five\n", "six\n"]);
        assert_eq!(text(&path), "six\n");
        assert_eq!(text(&LogFile::path(&path, 1)), "five\n");
        assert_eq!(text(&LogFile::path(&path, 2)), "a long line\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);

        let (dir, path) = logged(Rotation { bytes_max: 8, files_max: 1 }, &["one\n", "two\n", "three\n"]);
        assert_eq!(text(&path), "three\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn where_files_cannot_be_renamed_the_bound_still_holds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.log");
        fs::create_dir_all(LogFile::path(&path, 1).join("in the way")).unwrap();
        let mut log = LogFile::new(Rotation { bytes_max: 8, files_max: 2 });
        log.attach(&path, false).unwrap();
        for line in ["one\n", "two\n", "three\n"] {
            log.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(text(&path), "one\ntwo\n");
    }

    #[test]
    fn early_lines_are_kept_up_to_a_bound() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.log");
        let mut log = LogFile::new(Rotation::default());
        log.write_all(b"first\n").unwrap();
        log.write_all(&vec![b'x'; EARLY_BYTES_MAX]).unwrap();
        log.write_all(b"second\n").unwrap();
        log.attach(&path, false).unwrap();
        log.write_all(b"third\n").unwrap();
        assert_eq!(text(&path), "first\nsecond\nthird\n");
    }

    #[test]
    fn a_file_that_was_moved_away_is_made_again() {
        let (dir, path) = logged(Rotation::default(), &[]);
        let mut log = LogFile::new(Rotation::default());
        log.attach(&path, false).unwrap();
        let moved = dir.path().join("moved");
        fs::rename(&path, &moved).unwrap();
        log.write_all(b"one\n").unwrap();
        log.reopen().unwrap();
        log.write_all(b"two\n").unwrap();
        assert_eq!((text(&moved), text(&path)), ("one\n".to_owned(), "two\n".to_owned()));
    }
}
