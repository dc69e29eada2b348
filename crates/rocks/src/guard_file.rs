//! The vote guard on disk: two files written in turn, so that a torn write leaves the other one whole.
//!
//! ```text
//! "althgrd" 0x0a | version u32 | counter u64 | length u32 | body | SHA-256 of all before it
//! body: acknowledged u64 | heads u32 | { chain u16 + bytes | seq u64 | id 32 }* | pending u32 | { u32 + bytes }*
//! ```
//! Integers are big-endian. Bytes after the checksum are remains of a longer guard and mean nothing.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use althing_store::{CommitNo, Guard, Head, MAX_HEADS, MAX_PENDING};
use sha2::{Digest, Sha256};

const MAGIC: &[u8; 8] = b"althgrd\n";
const VERSION: u32 = 1;
const SUM_LEN: usize = 32;
/// Most bytes of a guard file.
pub(crate) const GUARD_BYTES_MAX: usize = 32 << 20;

/// What the two files said when they were read.
#[derive(Debug)]
pub(crate) enum Found {
    /// Neither file exists.
    Nothing,
    /// At least one file is whole; this is the newer of the whole ones.
    Guard { counter: u64, guard: Guard, damage: Option<String> },
    /// Files exist, and none is whole.
    Damaged(String),
}

/// The two files of one data directory.
#[derive(Debug)]
pub(crate) struct GuardFiles {
    paths: [PathBuf; 2],
    /// The file that holds the newest whole guard; the next write goes to the other one.
    newest: usize,
    counter: u64,
}

impl GuardFiles {
    /// Reads both files.
    pub(crate) fn open(dir: &Path) -> (Self, Found) {
        let paths = [dir.join("safety.0"), dir.join("safety.1")];
        let read = [read(&paths[0]), read(&paths[1])];
        let mut damage = Vec::new();
        let mut best: Option<(usize, u64, Guard)> = None;
        for (slot, file) in read.into_iter().enumerate() {
            match file {
                Ok(None) => {}
                Ok(Some((counter, guard))) => {
                    if best.as_ref().is_none_or(|(_, other, _)| counter > *other) {
                        best = Some((slot, counter, guard));
                    }
                }
                Err(cause) => damage.push(format!("safety.{slot}: {cause}")),
            }
        }
        let damage = (!damage.is_empty()).then(|| damage.join("; "));
        match (best, damage) {
            (Some((newest, counter, guard)), damage) => {
                (Self { paths, newest, counter }, Found::Guard { counter, guard, damage })
            }
            (None, Some(damage)) => (Self { paths, newest: 1, counter: 0 }, Found::Damaged(damage)),
            (None, None) => (Self { paths, newest: 1, counter: 0 }, Found::Nothing),
        }
    }

    /// The counter of the last guard that was written or read.
    pub(crate) fn counter(&self) -> u64 {
        self.counter
    }

    /// Counts on from at least this number, so that a new guard outranks one that was lost.
    pub(crate) fn skip_to(&mut self, counter: u64) {
        self.counter = self.counter.max(counter);
    }

    /// Writes and syncs a guard over the older of the two files. When it fails, the newest whole guard is untouched.
    pub(crate) fn write(&mut self, guard: &Guard) -> io::Result<()> {
        let slot = 1 - self.newest;
        let bytes = encode(self.counter + 1, guard);
        let path = &self.paths[slot];
        let fresh = !path.exists();
        // Not truncated first: on a full disk the blocks that the file has may be the only ones to be had.
        let mut file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        if fresh {
            File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
        }
        self.newest = slot;
        self.counter += 1;
        Ok(())
    }
}

/// Why a guard does not fit into its file; `None` when it does.
pub(crate) fn excess(guard: &Guard) -> Option<String> {
    let chain_max = usize::from(u16::MAX);
    if guard.heads.len() > MAX_HEADS {
        Some(format!("vote guard: expected at most {MAX_HEADS} heads, found {}", guard.heads.len()))
    } else if guard.pending.len() > MAX_PENDING {
        Some(format!(
            "vote guard: expected at most {MAX_PENDING} pending records, found {}",
            guard.pending.len()
        ))
    } else if let Some(head) = guard.heads.iter().find(|head| head.chain.len() > chain_max) {
        Some(format!(
            "vote guard: expected chain keys of at most {chain_max} bytes, found {}",
            head.chain.len()
        ))
    } else {
        let bytes = bytes(guard);
        (bytes > GUARD_BYTES_MAX)
            .then(|| format!("vote guard: expected at most {GUARD_BYTES_MAX} bytes, found {bytes}"))
    }
}

/// About how many bytes a guard takes on disk, never fewer than it does.
pub(crate) fn bytes(guard: &Guard) -> usize {
    let heads: usize = guard.heads.iter().map(|head| head.chain.len() + 42).sum();
    let pending: usize = guard.pending.iter().map(|record| record.len() + 4).sum();
    128 + heads + pending
}

fn read(path: &Path) -> Result<Option<(u64, Guard)>, String> {
    let found = match fs::metadata(path) {
        Ok(meta) => meta.len(),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(cause.to_string()),
    };
    if found > GUARD_BYTES_MAX as u64 {
        return Err(format!("expected at most {GUARD_BYTES_MAX} bytes, found {found}"));
    }
    let bytes = fs::read(path).map_err(|cause| cause.to_string())?;
    decode(&bytes).map(Some)
}

fn encode(counter: u64, guard: &Guard) -> Vec<u8> {
    let mut body = guard.acknowledged.0.to_be_bytes().to_vec();
    body.extend((guard.heads.len() as u32).to_be_bytes());
    for head in &guard.heads {
        body.extend((head.chain.len() as u16).to_be_bytes());
        body.extend(&head.chain);
        body.extend(head.seq.to_be_bytes());
        body.extend(head.id);
    }
    body.extend((guard.pending.len() as u32).to_be_bytes());
    for record in &guard.pending {
        body.extend((record.len() as u32).to_be_bytes());
        body.extend(record);
    }
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_be_bytes());
    bytes.extend(counter.to_be_bytes());
    bytes.extend((body.len() as u32).to_be_bytes());
    bytes.extend(body);
    let sum = Sha256::digest(&bytes);
    bytes.extend_from_slice(&sum);
    bytes
}

fn decode(bytes: &[u8]) -> Result<(u64, Guard), String> {
    let mut reader = Reader { rest: bytes };
    if reader.take(MAGIC.len())? != MAGIC {
        return Err("not a vote guard".to_owned());
    }
    let version = reader.u32()?;
    let counter = reader.u64()?;
    let len = reader.u32()? as usize;
    let body = reader.take(len)?;
    let sum = reader.take(SUM_LEN)?;
    if Sha256::digest(&bytes[..MAGIC.len() + 16 + len])[..] != *sum {
        return Err("checksum does not match".to_owned());
    }
    if version != VERSION {
        return Err(format!("expected version {VERSION}, found {version}"));
    }
    let mut reader = Reader { rest: body };
    let acknowledged = CommitNo(reader.u64()?);
    let mut heads = Vec::new();
    for _ in 0..reader.count(MAX_HEADS)? {
        let len = reader.u16()?.into();
        let chain = reader.take(len)?.to_vec();
        heads.push(Head { chain, seq: reader.u64()?, id: reader.array()? });
    }
    let mut pending = Vec::new();
    for _ in 0..reader.count(MAX_PENDING)? {
        let len = reader.u32()? as usize;
        pending.push(reader.take(len)?.to_vec());
    }
    if !reader.rest.is_empty() {
        return Err(format!("{} bytes too many", reader.rest.len()));
    }
    Ok((counter, Guard { acknowledged, heads, pending }))
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or_else(|| format!("cut off: expected {len} more bytes, found {}", self.rest.len()))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn u16(&mut self) -> Result<u16, String> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, String> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, String> {
        self.array().map(u64::from_be_bytes)
    }

    fn count(&mut self, max: usize) -> Result<usize, String> {
        let count = self.u32()? as usize;
        if count <= max { Ok(count) } else { Err(format!("expected at most {max} entries, found {count}")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(seq: u64) -> Guard {
        Guard {
            acknowledged: CommitNo(seq),
            heads: vec![Head { chain: b"chain".to_vec(), seq, id: [seq as u8; 32] }],
            pending: vec![vec![seq as u8; 100], Vec::new()],
        }
    }

    fn found(dir: &Path) -> (u64, Guard, Option<String>) {
        match GuardFiles::open(dir).1 {
            Found::Guard { counter, guard, damage } => (counter, guard, damage),
            Found::Nothing | Found::Damaged(_) => panic!("no whole guard"),
        }
    }

    #[test]
    fn guards_round_trip_and_every_flip_and_cut_is_seen() {
        let bytes = encode(7, &guard(3));
        assert_eq!(decode(&bytes), Ok((7, guard(3))));
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            assert!(decode(&flipped).is_err(), "flip at {at}");
            assert!(decode(&bytes[..at]).is_err(), "cut at {at}");
        }
        assert!(super::bytes(&guard(3)) >= bytes.len());
    }

    #[test]
    fn the_newest_whole_file_counts() {
        let dir = tempfile::tempdir().unwrap();
        let (mut files, nothing) = GuardFiles::open(dir.path());
        assert!(matches!(nothing, Found::Nothing));
        for seq in 1..=3 {
            files.write(&guard(seq)).unwrap();
            assert_eq!(found(dir.path()), (seq, guard(seq), None));
        }
        // The third guard lies in safety.0; without it the second counts, and the damage is told.
        let newest = dir.path().join("safety.0");
        let whole = fs::read(&newest).unwrap();
        fs::write(&newest, &whole[..whole.len() / 2]).unwrap();
        let (counter, left, damage) = found(dir.path());
        assert_eq!((counter, left), (2, guard(2)));
        assert!(damage.unwrap().contains("safety.0"));
        // Written next: the damaged one, never the only whole one.
        let (mut files, _) = GuardFiles::open(dir.path());
        files.write(&guard(9)).unwrap();
        assert_eq!(found(dir.path()), (3, guard(9), None));
        for slot in ["safety.0", "safety.1"] {
            fs::write(dir.path().join(slot), b"noise").unwrap();
        }
        assert!(matches!(GuardFiles::open(dir.path()).1, Found::Damaged(_)));
    }

    #[test]
    fn a_shorter_guard_over_a_longer_one_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let (mut files, _) = GuardFiles::open(dir.path());
        for _ in 0..2 {
            files.write(&guard(1)).unwrap();
        }
        files.write(&Guard::default()).unwrap();
        assert_eq!(found(dir.path()), (3, Guard::default(), None));
    }

    #[test]
    fn a_guard_beyond_its_bounds_is_named() {
        let mut large = guard(1);
        large.pending = vec![Vec::new(); MAX_PENDING + 1];
        assert!(excess(&large).unwrap().contains("257"));
        large.pending = vec![vec![0; GUARD_BYTES_MAX]];
        assert!(excess(&large).unwrap().contains("bytes"));
        assert_eq!(excess(&guard(1)), None);
    }
}
