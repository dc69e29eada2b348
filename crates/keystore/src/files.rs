//! Private files: read only when nobody else could, made whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::KeystoreError;

/// Most bytes that a file of this crate has.
const FILE_BYTES_MAX: usize = 4_096;
/// Mode of every directory.
const DIR_MODE: u32 = 0o700;
/// Mode of every file.
const FILE_MODE: u32 = 0o600;
/// Permission bits that let others in.
const OTHERS: u32 = 0o077;

/// Random bytes from the operating system.
#[expect(clippy::disallowed_methods, reason = "keys are made of the operating system's entropy")]
pub(crate) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, KeystoreError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(&mut bytes[..])
        .map_err(|cause| KeystoreError::Internal { step: "entropy", cause: cause.to_string() })?;
    Ok(bytes)
}

/// Makes a private directory, or checks that the one which exists is private.
pub(crate) fn private_dir(path: &Path) -> Result<(), KeystoreError> {
    let unwritable = |cause| KeystoreError::Unwritable { path: path.to_owned(), cause };
    match fs::symlink_metadata(path) {
        Ok(_) => {}
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(DIR_MODE).create(path).map_err(unwritable)?;
            if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                sync_dir(parent)?;
            }
        }
        Err(cause) => return Err(KeystoreError::Unreadable { path: path.to_owned(), cause }),
    }
    let expected = "a directory";
    let meta = fs::symlink_metadata(path)
        .map_err(|cause| KeystoreError::Unreadable { path: path.to_owned(), cause })?;
    if meta.is_symlink() {
        return Err(KeystoreError::Symlink { path: path.to_owned(), expected });
    }
    if !meta.is_dir() {
        return Err(KeystoreError::NotExpected { path: path.to_owned(), expected });
    }
    admit_mode(path, meta.mode(), DIR_MODE)
}

/// Reads a private file whole; `None` when there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, KeystoreError> {
    read_up_to(path, FILE_BYTES_MAX, "at most 4096 bytes")
}

/// The same for a file that may have `bytes_max` bytes, which `expected_bytes` says.
pub(crate) fn read_up_to(
    path: &Path,
    bytes_max: usize,
    expected_bytes: &'static str,
) -> Result<Option<Zeroizing<Vec<u8>>>, KeystoreError> {
    let unreadable = |cause| KeystoreError::Unreadable { path: path.to_owned(), cause };
    let expected = "a regular file";
    let link = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(unreadable(cause)),
    };
    if link.is_symlink() {
        return Err(KeystoreError::Symlink { path: path.to_owned(), expected });
    }
    if !link.is_file() {
        return Err(KeystoreError::NotExpected { path: path.to_owned(), expected });
    }
    let file = File::open(path).map_err(unreadable)?;
    let meta = file.metadata().map_err(unreadable)?;
    // Someone may have put a link there between the look and the open.
    if (meta.dev(), meta.ino()) != (link.dev(), link.ino()) {
        return Err(KeystoreError::Symlink { path: path.to_owned(), expected });
    }
    admit_mode(path, meta.mode(), FILE_MODE)?;
    // One allocation of the full size: a growing buffer would leave copies of a secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(bytes_max + 1));
    file.take(bytes_max as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > bytes_max {
        return Err(KeystoreError::Malformed { path: path.to_owned(), expected: expected_bytes });
    }
    Ok(Some(bytes))
}

/// Makes a private file with these contents, whole and on disk when it returns. Never overwrites.
pub(crate) fn create(path: &Path, contents: &[u8]) -> Result<(), KeystoreError> {
    let unwritable = |cause| KeystoreError::Unwritable { path: path.to_owned(), cause };
    let dir = path.parent().unwrap_or(Path::new("."));
    let aside = aside(path)?;
    let written = write_aside(&aside, contents).and_then(|()| fs::hard_link(&aside, path));
    let removed = fs::remove_file(&aside);
    match written {
        Ok(()) => removed.map_err(unwritable)?,
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
            return Err(KeystoreError::Exists { path: path.to_owned() });
        }
        Err(cause) => return Err(unwritable(cause)),
    }
    sync_dir(dir)
}

/// Makes a private file with these contents in place of one that may be there: after a crash there is the one or the other.
pub(crate) fn replace(path: &Path, contents: &[u8]) -> Result<(), KeystoreError> {
    let aside = aside(path)?;
    if let Err(cause) = write_aside(&aside, contents) {
        // What is left of it is swept away at the next start.
        let _ = fs::remove_file(&aside);
        return Err(KeystoreError::Unwritable { path: path.to_owned(), cause });
    }
    rename(&aside, path)
}

/// Puts a file in place of another of the same directory: after a crash there is the one or the other.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), KeystoreError> {
    fs::rename(from, to).map_err(|cause| KeystoreError::Unwritable { path: to.to_owned(), cause })?;
    sync_dir(to.parent().unwrap_or(Path::new(".")))
}

/// Removes what a crash inside [`create`] left behind.
pub(crate) fn sweep(dir: &Path) -> Result<(), KeystoreError> {
    for name in names(dir)? {
        if name.starts_with('.') && name.ends_with(".tmp") {
            let path = dir.join(name);
            match fs::remove_file(&path) {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                    return Err(KeystoreError::Unwritable { path, cause });
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// The names in a directory, in order; those that are not UTF-8 are left out, being none of ours.
pub(crate) fn names(dir: &Path) -> Result<Vec<String>, KeystoreError> {
    let unreadable = |cause| KeystoreError::Unreadable { path: dir.to_owned(), cause };
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        names.extend(entry.map_err(unreadable)?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

/// A new name beside a file, which [`sweep`] knows.
fn aside(path: &Path) -> Result<PathBuf, KeystoreError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(path.with_file_name(format!(".{name}.{}.tmp", hex::encode(random::<8>()?.as_slice()))))
}

fn write_aside(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path)?;
    file.write_all(contents)?;
    file.sync_all()
}

fn sync_dir(dir: &Path) -> Result<(), KeystoreError> {
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(|cause| KeystoreError::Unwritable { path: dir.to_owned(), cause })
}

fn admit_mode(path: &Path, mode: u32, wanted: u32) -> Result<(), KeystoreError> {
    let found = mode & 0o7777;
    if found & OTHERS == 0 {
        Ok(())
    } else {
        Err(KeystoreError::TooOpen { path: path.to_owned(), found, wanted })
    }
}
