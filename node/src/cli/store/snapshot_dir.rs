//! The form of a snapshot: a directory of `manifest.json`, `genesis.cbor`, perhaps `join`, the database's files in
//! `db/`, and `SHA256SUMS` over all of them. docs/spec/store.md has it for others.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use althing_rocks::is_part;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::super::failure::{Exit, Failure};

/// What the manifest's first field says.
pub(super) const SCHEMA: &str = "althing.snapshot/v1";
pub(super) const MANIFEST: &str = "manifest.json";
pub(super) const GENESIS: &str = "genesis.cbor";
pub(super) const JOIN: &str = "join";
pub(super) const DB: &str = "db";
pub(super) const SUMS: &str = "SHA256SUMS";

/// Largest file of a snapshot beside those of the database.
const SMALL_BYTES_MAX: u64 = 16 << 20;

/// What a snapshot says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) schema: String,
    /// The version of what the rows look like.
    pub(super) store_schema: u32,
    pub(super) network: String,
    pub(super) network_name: String,
    /// The node that it was taken of; none if it never ran with a version that notes it.
    pub(super) node: Option<String>,
    /// The last commit in it.
    pub(super) commit: u64,
    pub(super) made: String,
    pub(super) made_ms: u64,
    pub(super) program: String,
}

impl Manifest {
    /// Reads a manifest whose bytes are known to be whole.
    pub(super) fn read(bytes: &[u8], at: &Path) -> Result<Self, Failure> {
        #[derive(Deserialize)]
        struct Named {
            schema: String,
        }
        let wrong = |cause: String| {
            Failure::new(Exit::Failed, format!("{}: {cause}", at.display()))
                .hint("the directory is no snapshot of a store".to_owned())
        };
        let named: Named = serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
        if named.schema != SCHEMA {
            let found: String = named.schema.chars().take(80).collect();
            let cause = format!("{}: expected the format {SCHEMA}, found \"{found}\"", at.display());
            return Err(Failure::new(Exit::Failed, cause)
                .hint("use the version of althing that wrote it, or a newer one".to_owned()));
        }
        serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))
    }
}

/// The SHA-256 of each file of a snapshot by its path in it, in the form that `sha256sum -c` reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums(pub(super) BTreeMap<String, [u8; 32]>);

impl Sums {
    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        for (path, sum) in &self.0 {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}  {path}", hex::encode(sum));
        }
        text
    }

    /// Reads the one form that [`Sums::to_text`] writes, so that no byte of it can change unseen.
    fn parse(text: &str) -> Option<Self> {
        let mut sums = BTreeMap::new();
        for line in text.lines() {
            let (sum, path) = line.split_once("  ")?;
            let mut bytes = [0; 32];
            hex::decode_to_slice(sum, &mut bytes).ok()?;
            is_known(path).then_some(())?;
            sums.insert(path.to_owned(), bytes);
        }
        let sums = Self(sums);
        (sums.to_text() == text).then_some(sums)
    }
}

/// Whether a snapshot may have a file of this path. No other path is ever read or written.
fn is_known(path: &str) -> bool {
    match path.strip_prefix("db/") {
        Some(name) => is_part(name),
        None => [MANIFEST, GENESIS, JOIN].contains(&path),
    }
}

/// A snapshot that somebody brings.
pub(super) struct SnapshotDir {
    dir: PathBuf,
    sums: Sums,
}

impl SnapshotDir {
    /// Reads which files it has, and requires that it has those and no others.
    pub(super) fn open(dir: &Path) -> Result<Self, Failure> {
        let sums_at = dir.join(SUMS);
        if !dir.is_dir() {
            let cause = format!("{} is no directory", dir.display());
            return Err(Failure::new(Exit::Failed, cause)
                .hint("`althing store snapshot` writes a directory; name that".to_owned()));
        }
        let text = read_small(&sums_at)?;
        let sums = std::str::from_utf8(&text).ok().and_then(Sums::parse);
        let sums = sums.ok_or_else(|| damaged(&sums_at, "it is no list of the files of a snapshot"))?;
        for path in found(dir)? {
            if !sums.0.contains_key(&path) && path != SUMS {
                return Err(damaged(&dir.join(&path), "it is not in the list of files"));
            }
        }
        for path in [MANIFEST, GENESIS] {
            if !sums.0.contains_key(path) {
                return Err(damaged(&sums_at, &format!("it does not list {path}")));
            }
        }
        Ok(Self { dir: dir.to_owned(), sums })
    }

    /// A small file of it, checked; none if it does not have one of that name.
    pub(super) fn small(&self, path: &str) -> Result<Option<Vec<u8>>, Failure> {
        let Some(sum) = self.sums.0.get(path) else { return Ok(None) };
        let at = self.path(path);
        let bytes = read_small(&at)?;
        let found: [u8; 32] = Sha256::digest(&bytes).into();
        if found == *sum { Ok(Some(bytes)) } else { Err(differs(&at)) }
    }

    /// The files of the database: names, and what their bytes have to hash to.
    pub(super) fn database(&self) -> impl Iterator<Item = (&str, &[u8; 32])> {
        self.sums.0.iter().filter_map(|(path, sum)| Some((path.strip_prefix("db/")?, sum)))
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.dir.join(path)
    }

    /// The size of the database's files.
    pub(super) fn bytes(&self) -> Result<u64, Failure> {
        let mut bytes = 0_u64;
        for (name, _) in self.database() {
            let at = self.path(DB).join(name);
            bytes += fs::metadata(&at).map_err(|error| Failure::file("read", &at, &error))?.len();
        }
        Ok(bytes)
    }
}

pub(super) fn damaged(path: &Path, cause: &str) -> Failure {
    Failure::new(Exit::Invalid, format!("{} is damaged: {cause}", path.display()))
        .hint("take another copy of the snapshot, or another snapshot".to_owned())
}

pub(super) fn differs(path: &Path) -> Failure {
    damaged(path, "its SHA-256 is not the one in SHA256SUMS")
}

/// The paths of all files, of the directory and of `db/`.
fn found(dir: &Path) -> Result<Vec<String>, Failure> {
    let mut paths = Vec::new();
    for (at, prefix) in [(dir.to_owned(), ""), (dir.join(DB), "db/")] {
        let entries = fs::read_dir(&at).map_err(|error| Failure::file("read", &at, &error))?;
        for entry in entries {
            let name = entry.map_err(|error| Failure::file("read", &at, &error))?.file_name();
            if !(prefix.is_empty() && name == DB) {
                paths.push(format!("{prefix}{}", name.to_string_lossy()));
            }
        }
    }
    Ok(paths)
}

/// Opens a file of a snapshot, which has to be a plain one: a link may lead anywhere, and a pipe is waited for.
pub(super) fn open_plain(path: &Path) -> Result<File, Failure> {
    let failed = |error| Failure::file("read", path, &error);
    let is_plain = fs::symlink_metadata(path).map_err(failed)?.is_file();
    // What lies there may be another by now.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let open = || OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = if is_plain { Some(open().map_err(failed)?) } else { None };
    match file {
        Some(file) if file.metadata().map_err(failed)?.is_file() => Ok(file),
        Some(_) | None => Err(damaged(path, "it is no plain file")),
    }
}

fn read_small(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error| Failure::file("read", path, &error);
    let mut bytes = Vec::new();
    open_plain(path)?.take(SMALL_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > SMALL_BYTES_MAX {
        return Err(damaged(path, &format!("it has more than {SMALL_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_byte_of_the_sums_can_change_unseen() {
        let sums =
            Sums(BTreeMap::from([("db/000012.sst".to_owned(), [0xab; 32]), (MANIFEST.to_owned(), [7; 32])]));
        let text = sums.to_text();
        assert_eq!(Sums::parse(&text), Some(sums.clone()));
        for at in 0..text.len() {
            for bit in 0..7 {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let Ok(changed) = String::from_utf8(bytes) else { continue };
                assert_ne!(Sums::parse(&changed), Some(sums.clone()), "byte {at}, bit {bit}");
            }
        }
        assert_eq!(Sums::parse(text.trim_end()), None);
    }

    #[test]
    fn no_other_paths_are_listed() {
        for path in
            ["../keys/node.key", "db/../x", "db/LOCK", "/etc/passwd", "safety.0", "db/000001.sst/x", ""]
        {
            let line = format!("{}  {path}\n", "0".repeat(64));
            assert_eq!(Sums::parse(&line), None, "{path}");
        }
    }
}
