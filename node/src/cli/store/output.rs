use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::super::failure::{Exit, Failure};
use super::parent;

/// A file or directory that is made under another name and gets its own when it is whole and on disk. Dropped before
/// that, it is removed.
pub(super) struct Output {
    target: PathBuf,
    partial: PathBuf,
    is_done: bool,
}

impl Output {
    /// A directory, mode 0700.
    pub(super) fn dir(target: &Path) -> Result<Self, Failure> {
        let output = Self::place(target)?;
        let made = DirBuilder::new().mode(0o700).create(&output.partial);
        made.map_err(|error| Failure::file("make", &output.partial, &error))?;
        Ok(output)
    }

    /// A file, mode 0600.
    pub(super) fn file(target: &Path) -> Result<(Self, File), Failure> {
        let output = Self::place(target)?;
        let file = private_file(&output.partial);
        let file = file.map_err(|error| Failure::file("make", &output.partial, &error))?;
        Ok((output, file))
    }

    fn place(target: &Path) -> Result<Self, Failure> {
        let Some(name) = target.file_name() else {
            return Err(Failure::new(Exit::Usage, format!("{} is no name for a file", target.display())));
        };
        if target.symlink_metadata().is_ok() {
            let cause = format!("{} exists already", target.display());
            return Err(Failure::new(Exit::Failed, cause).hint("choose a name that is free".to_owned()));
        }
        let mut partial = OsString::from(".");
        partial.push(name);
        partial.push(format!(".{}.partial", std::process::id()));
        Ok(Self { target: target.to_owned(), partial: parent(target).join(partial), is_done: false })
    }

    /// Where it is made.
    pub(super) fn path(&self) -> &Path {
        &self.partial
    }

    /// Gives it its name. What is in it has to be synced already.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        let failed = |error| Failure::file("write", &self.target, &error);
        if self.partial.is_dir() {
            sync_dir(&self.partial).map_err(failed)?;
        }
        // A rename would replace a file that came in the meantime.
        if self.target.symlink_metadata().is_ok() {
            return Err(failed(io::ErrorKind::AlreadyExists.into()));
        }
        fs::rename(&self.partial, &self.target).map_err(failed)?;
        self.is_done = true;
        sync_dir(&parent(&self.target)).map_err(failed)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if !self.is_done {
            // Whichever it is; a failure leaves a file whose name says what it is.
            let _ = fs::remove_dir_all(&self.partial).or_else(|_| fs::remove_file(&self.partial));
        }
    }
}

pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Writes a file that must not exist, mode 0600, synced; gives the SHA-256 of its bytes.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<[u8; 32], Failure> {
    let mut file = Hashed::create(path)?;
    file.write(bytes)?;
    file.finish()
}

/// A file that is hashed while it is written.
pub(super) struct Hashed {
    path: PathBuf,
    file: File,
    hash: Sha256,
}

impl Hashed {
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        let file = private_file(path).map_err(|error| Failure::file("make", path, &error))?;
        Ok(Self { path: path.to_owned(), file, hash: Sha256::new() })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.hash.update(bytes);
        self.file.write_all(bytes).map_err(|error| unwritten(&self.path, &error))
    }

    /// Syncs it and gives the SHA-256 of its bytes.
    pub(super) fn finish(self) -> Result<[u8; 32], Failure> {
        self.file.sync_all().map_err(|error| unwritten(&self.path, &error))?;
        Ok(self.hash.finalize().into())
    }
}

/// A write that failed; a full disk has its own next step.
pub(super) fn unwritten(path: &Path, error: &io::Error) -> Failure {
    let failure = Failure::file("write", path, error);
    let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    if full { failure.hint("free some space there, or choose another place".to_owned()) } else { failure }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_has_the_name_before_it_is_whole_and_nothing_is_left_of_what_is_not() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("out");
        let output = Output::dir(&target).unwrap();
        write_new(&output.path().join("a"), b"x").unwrap();
        assert!(!target.exists());
        drop(output);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        let (output, _) = Output::file(&target).unwrap();
        drop(output);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);

        Output::dir(&target).unwrap().finish().unwrap();
        assert!(target.is_dir());
        let refused = Output::file(&target).err().unwrap();
        assert!(refused.cause().contains("exists already"), "{}", refused.cause());
    }
}
