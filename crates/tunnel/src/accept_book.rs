//! Which index the next Accept has. Two Accepts with one index would be evidence against the callee, so an index is used
//! only when the disk says that none up to it will be used again.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use althing_record::AgentId;
use althing_trust::{INDEX_MAX, RatingEpoch};
use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;

/// Most pairs of callee and caller, in the rating epochs that count, whose calls are numbered.
const PAIRS_MAX: usize = 65_536;

/// Indices that are set aside at first with one write, and at most: each time twice as many.
const BLOCK: (u64, u64) = (64, 4_096);

/// Requests that wait for the disk.
const WAITING_MAX: usize = 1_024;

/// One row: callee, caller, rating epoch, highest index set aside, and the first bytes of a hash over all that.
const ROW: usize = 32 + 32 + 8 + 8 + 8;

/// Between which agents, in which rating epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pair {
    pub(crate) epoch: RatingEpoch,
    pub(crate) callee: AgentId,
    pub(crate) caller: AgentId,
}

#[derive(Clone, Copy, Debug)]
struct Indices {
    /// The next index.
    next: u64,
    /// The highest that may be used.
    until: u64,
    block: u64,
}

/// Why a call has no index, and so no Accept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BookError {
    #[error("more than {PAIRS_MAX} pairs of agents in one rating epoch")]
    Full,
    #[error("this clock went back behind an earlier rating epoch")]
    Past,
    #[error(
        "this home was restored or its book of Accepts is gone: none is signed before the next rating epoch"
    )]
    Forgotten,
    #[error("too many calls wait for the disk")]
    Busy,
    #[error("the book of Accepts cannot be written: {0}")]
    Disk(String),
}

/// The indices of this node's Accepts, in a file of its own that no backup holds.
#[derive(Clone, Debug)]
pub(crate) struct AcceptBook {
    open: Arc<Mutex<Open>>,
    writer: mpsc::SyncSender<(Pair, oneshot::Sender<Result<(), String>>)>,
}

#[derive(Debug)]
struct Open {
    pairs: BTreeMap<Pair, Indices>,
    /// Nothing is known of this rating epoch and those before it.
    blind: Option<RatingEpoch>,
}

impl AcceptBook {
    /// Opens or makes the book. `is_new` says that none of the keys here has accepted anything yet; otherwise a missing
    /// book means that the present rating epoch must pass first.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub(crate) fn open(path: &Path, now: RatingEpoch, is_new: bool) -> io::Result<Self> {
        let (mut pairs, blind) = match read(path)? {
            Found::Whole(pairs, blind) => (pairs, blind),
            Found::Damaged => (BTreeMap::new(), Some(now)),
            Found::Nothing => (BTreeMap::new(), (!is_new).then_some(now)),
        };
        pairs.retain(|pair, _| pair.epoch.0 + 1 >= now.0);
        let file = rewrite(path, &pairs, blind)?;
        let open = Arc::new(Mutex::new(Open {
            pairs: pairs
                .into_iter()
                .map(|(pair, until)| (pair, Indices { next: until + 1, until, block: BLOCK.0 }))
                .collect(),
            blind,
        }));
        let (writer, waiting) = mpsc::sync_channel(WAITING_MAX);
        let shared = Arc::clone(&open);
        std::thread::Builder::new()
            .name("accepts".to_owned())
            .spawn(move || write_on(file, &waiting, &shared))?;
        Ok(Self { open, writer })
    }

    /// The next index of a pair, never given before.
    pub(crate) async fn next(&self, pair: Pair) -> Result<u64, BookError> {
        for _ in 0..64 {
            if let Some(index) = self.take(pair)? {
                return Ok(index);
            }
            let (tell, told) = oneshot::channel();
            self.writer.try_send((pair, tell)).map_err(|_| BookError::Busy)?;
            match told.await {
                Ok(Ok(())) => {}
                Ok(Err(cause)) => return Err(BookError::Disk(cause)),
                Err(_) => return Err(BookError::Disk("its thread ended".to_owned())),
            }
        }
        Err(BookError::Busy)
    }

    fn take(&self, pair: Pair) -> Result<Option<u64>, BookError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.blind.is_some_and(|blind| pair.epoch <= blind) {
            return Err(BookError::Forgotten);
        }
        let newest = open.pairs.last_key_value().map_or(0, |(pair, _)| pair.epoch.0);
        if pair.epoch.0 + 1 < newest {
            return Err(BookError::Past);
        }
        if let Some(indices) = open.pairs.get_mut(&pair) {
            if indices.next > indices.until {
                return Ok(None);
            }
            indices.next += 1;
            return Ok(Some(indices.next - 1));
        }
        if open.pairs.len() >= PAIRS_MAX {
            open.pairs.retain(|other, _| other.epoch.0 + 1 >= pair.epoch.0);
            if open.pairs.len() >= PAIRS_MAX {
                return Err(BookError::Full);
            }
        }
        open.pairs.insert(pair, Indices { next: 1, until: 0, block: BLOCK.0 });
        Ok(None)
    }
}

/// Sets blocks aside: all that wait with one sync.
fn write_on(
    mut file: File,
    waiting: &mpsc::Receiver<(Pair, oneshot::Sender<Result<(), String>>)>,
    open: &Mutex<Open>,
) {
    while let Ok(first) = waiting.recv() {
        let mut batch = vec![first];
        batch.extend(waiting.try_iter().take(WAITING_MAX));
        let mut rows = BTreeMap::new();
        {
            let open = open.lock().unwrap_or_else(PoisonError::into_inner);
            for (pair, _) in &batch {
                if let Some(indices) = open.pairs.get(pair).filter(|indices| indices.next > indices.until) {
                    rows.insert(*pair, (indices.until + indices.block).min(INDEX_MAX));
                }
            }
        }
        let bytes: Vec<u8> = rows.iter().flat_map(|(pair, until)| row(*pair, *until)).collect();
        let written =
            file.write_all(&bytes).and_then(|()| file.sync_data()).map_err(|error| error.to_string());
        if written.is_ok() {
            let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
            for (pair, until) in rows {
                if let Some(indices) = open.pairs.get_mut(&pair) {
                    indices.until = until;
                    indices.block = (indices.block * 2).min(BLOCK.1);
                }
            }
        }
        let failed = written.is_err();
        for (_, tell) in batch {
            // The call may have gone.
            let _ = tell.send(written.clone());
        }
        if failed {
            // What a failed sync left on the disk is not known, so nothing is written after it.
            return;
        }
    }
}

fn row(pair: Pair, until: u64) -> [u8; ROW] {
    let mut row = [0; ROW];
    row[..32].copy_from_slice(&pair.callee.0);
    row[32..64].copy_from_slice(&pair.caller.0);
    row[64..72].copy_from_slice(&pair.epoch.0.to_be_bytes());
    row[72..80].copy_from_slice(&until.to_be_bytes());
    let sum: [u8; 32] = Sha256::digest(&row[..80]).into();
    row[80..].copy_from_slice(&sum[..8]);
    row
}

/// Which pair and index a row stands for; none if it was not written whole.
fn parse(bytes: &[u8]) -> Option<(Pair, u64)> {
    let number = |at: usize| u64::from_be_bytes(std::array::from_fn(|byte| bytes[at + byte]));
    let id = |at: usize| AgentId(std::array::from_fn(|byte| bytes[at + byte]));
    let pair = Pair { epoch: RatingEpoch(number(64)), callee: id(0), caller: id(32) };
    (row(pair, number(72)) == bytes).then_some((pair, number(72)))
}

/// The agent that no pair has: its row says up to which epoch nothing is known.
const NOBODY: AgentId = AgentId([0; 32]);

/// What was found where the book should be.
enum Found {
    /// All that was acknowledged.
    Whole(BTreeMap<Pair, u64>, Option<RatingEpoch>),
    /// A row in its middle is not as it was written.
    Damaged,
    Nothing,
}

fn read(path: &Path) -> io::Result<Found> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(mut file) => file.read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error),
    };
    let (mut pairs, mut blind) = (BTreeMap::new(), None);
    let mut rows = bytes.chunks_exact(ROW).peekable();
    while let Some(bytes) = rows.next() {
        match parse(bytes) {
            Some((pair, _)) if pair.callee == NOBODY => blind = blind.max(Some(pair.epoch)),
            Some((pair, until)) => {
                let highest = pairs.entry(pair).or_insert(until);
                *highest = until.max(*highest);
            }
            // A last row that was cut off by a crash was never acknowledged.
            None if rows.peek().is_none() => {}
            None => return Ok(Found::Damaged),
        }
    }
    Ok(Found::Whole(pairs, blind))
}

/// Writes the rows that still count into a new file, and goes on with that.
fn rewrite(path: &Path, pairs: &BTreeMap<Pair, u64>, blind: Option<RatingEpoch>) -> io::Result<File> {
    let new: PathBuf = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    let blind = blind.map(|epoch| (Pair { epoch, callee: NOBODY, caller: NOBODY }, 0));
    let all = pairs.iter().map(|(pair, until)| (*pair, *until)).chain(blind);
    let bytes: Vec<u8> = all.flat_map(|(pair, until)| row(pair, until)).collect();
    file.write_all(&bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    File::open(path.parent().unwrap_or(path))?.sync_all()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(epoch: u64, caller: u8) -> Pair {
        Pair { epoch: RatingEpoch(epoch), callee: AgentId([1; 32]), caller: AgentId([caller; 32]) }
    }

    #[tokio::test]
    async fn no_index_is_given_twice_across_restarts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("accepts");
        let mut last = 0;
        for _ in 0..4 {
            let book = AcceptBook::open(&path, RatingEpoch(7), true).unwrap();
            for _ in 0..100 {
                let index = book.next(pair(7, 2)).await.unwrap();
                assert!(index > last, "{index} after {last}");
                last = index;
            }
        }
        let book = AcceptBook::open(&path, RatingEpoch(7), true).unwrap();
        assert_eq!(book.next(pair(7, 3)).await.unwrap(), 1, "each pair is numbered by itself");
        assert_eq!(book.next(pair(8, 2)).await.unwrap(), 1, "and so is each epoch");
        assert_eq!(book.next(pair(5, 2)).await, Err(BookError::Past));
    }

    #[tokio::test]
    async fn calls_at_once_have_different_indices() {
        let dir = tempfile::tempdir().unwrap();
        let book = AcceptBook::open(&dir.path().join("accepts"), RatingEpoch(0), true).unwrap();
        let calls = (0..500).map(|_| {
            let book = book.clone();
            tokio::spawn(async move { book.next(pair(0, 2)).await.unwrap() })
        });
        let mut indices = Vec::new();
        for call in calls.collect::<Vec<_>>() {
            indices.push(call.await.unwrap());
        }
        indices.sort_unstable();
        assert_eq!(indices, (1..=500).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_book_that_is_gone_or_damaged_is_blind_until_the_next_epoch() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("accepts");
        let blind = |book: AcceptBook| async move {
            assert_eq!(book.next(pair(7, 2)).await, Err(BookError::Forgotten));
            assert_eq!(book.next(pair(8, 2)).await, Ok(1));
        };
        blind(AcceptBook::open(&path, RatingEpoch(7), false).unwrap()).await;
        // And it stays so when it is opened again.
        let book = AcceptBook::open(&path, RatingEpoch(7), false).unwrap();
        assert_eq!(book.next(pair(7, 2)).await, Err(BookError::Forgotten));
        drop(book);
        let mut bytes = [row(pair(7, 2), 64), row(pair(7, 3), 64)].concat();
        bytes[70] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        blind(AcceptBook::open(&path, RatingEpoch(7), true).unwrap()).await;
    }

    #[tokio::test]
    async fn a_row_that_a_crash_cut_off_is_no_damage() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("accepts");
        let bytes = [row(pair(7, 2), 64).as_slice(), &row(pair(7, 2), 128)[..50]].concat();
        std::fs::write(&path, &bytes).unwrap();
        let book = AcceptBook::open(&path, RatingEpoch(7), true).unwrap();
        assert_eq!(book.next(pair(7, 2)).await, Ok(65));
    }

    #[test]
    fn rows_read_back_and_no_changed_byte_does() {
        let bytes = row(pair(9, 4), 640);
        assert_eq!(parse(&bytes), Some((pair(9, 4), 640)));
        for at in 0..ROW {
            let mut other = bytes;
            other[at] ^= 0x10;
            assert_eq!(parse(&other), None);
        }
    }
}
