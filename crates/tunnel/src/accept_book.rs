//! Which index the next Accept has. Two Accepts with one index would be evidence against the callee, so an index is used
//! only when the disk says that none up to it will be used again, and only for agents of which the book knows all: those
//! whose keys were made here, and others from the rating epoch on that follows the one in which they were first here.

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

/// Most agents that are known to the book.
const AGENTS_MAX: usize = 4_096;

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
        "this agent came from elsewhere, or the book of its Accepts is gone: none is signed before the next rating epoch"
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
    /// Up to which rating epoch nothing is known of an agent; none: its key was made here.
    agents: BTreeMap<AgentId, Option<RatingEpoch>>,
}

/// The agents of a home when its book is opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeysHere<'a> {
    /// Whose keys are here.
    pub all: &'a [AgentId],
    /// Those of them whose keys were made just now: they have accepted nothing yet, here or elsewhere.
    pub made: &'a [AgentId],
}

impl AcceptBook {
    /// Opens or makes the book. Nothing is known before the next rating epoch of agents that it does not name, unless their
    /// keys were made just now.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub(crate) fn open(path: &Path, now: RatingEpoch, keys: KeysHere<'_>) -> io::Result<Self> {
        let (mut pairs, mut agents, made) = match read(path)? {
            Found::Whole(pairs, agents) => (pairs, agents, keys.made),
            Found::Nothing => (BTreeMap::new(), BTreeMap::new(), keys.made),
            Found::Damaged => (BTreeMap::new(), BTreeMap::new(), &[][..]),
        };
        for agent in keys.all {
            agents.entry(*agent).or_insert_with(|| (!made.contains(agent)).then_some(now));
        }
        pairs.retain(|pair, _| pair.epoch.0 + 1 >= now.0);
        let file = rewrite(path, &pairs, &agents)?;
        let open = Arc::new(Mutex::new(Open {
            pairs: pairs
                .into_iter()
                .map(|(pair, until)| (pair, Indices { next: until + 1, until, block: BLOCK.0 }))
                .collect(),
            agents,
        }));
        let (writer, waiting) = mpsc::sync_channel(WAITING_MAX);
        let shared = Arc::clone(&open);
        std::thread::Builder::new()
            .name("accepts".to_owned())
            .spawn(move || write_on(file, &waiting, &shared))?;
        Ok(Self { open, writer })
    }

    /// The key of an agent was made here just now.
    pub(crate) fn made(&self, agent: AgentId) {
        self.know(agent, None);
    }

    /// An agent was served elsewhere in a rating epoch: other Accepts of it may have indices that are not known here.
    pub(crate) fn served_elsewhere(&self, agent: AgentId, epoch: RatingEpoch) {
        self.know(agent, Some(epoch));
    }

    fn know(&self, agent: AgentId, until: Option<RatingEpoch>) {
        {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            if !open.know(agent, until) {
                return;
            }
        }
        // What a crash or a full queue takes is only waited for once more.
        let (tell, _) = oneshot::channel();
        let _ = self.writer.try_send((mark(agent, until).0, tell));
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
        match open.agents.get(&pair.callee) {
            Some(None) => {}
            Some(Some(until)) if pair.epoch > *until => {}
            Some(Some(_)) => return Err(BookError::Forgotten),
            None => {
                drop(open);
                self.know(pair.callee, Some(pair.epoch));
                return Err(BookError::Forgotten);
            }
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

impl Open {
    /// Notes what is known of an agent; gives whether that is new.
    fn know(&mut self, agent: AgentId, until: Option<RatingEpoch>) -> bool {
        let known = self.agents.get(&agent).copied();
        // Who is not noted is not known.
        let is_new = known.map_or(self.agents.len() < AGENTS_MAX, |known| known < until);
        if is_new {
            self.agents.insert(agent, until);
        }
        is_new
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
                if pair.caller == NOBODY {
                    let until = open.agents.get(&pair.callee).copied().flatten();
                    let (pair, flag) = mark(pair.callee, until);
                    rows.insert(pair, flag);
                } else if let Some(indices) =
                    open.pairs.get(pair).filter(|indices| indices.next > indices.until)
                {
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

/// The agent that no pair has. A row with it as caller says what is known of the callee, and with it as both, in older
/// books, of all.
const NOBODY: AgentId = AgentId([0; 32]);

/// A row that says up to which rating epoch nothing is known of an agent, or that its key was made here.
fn mark(agent: AgentId, until: Option<RatingEpoch>) -> (Pair, u64) {
    let pair = Pair { epoch: until.unwrap_or_default(), callee: agent, caller: NOBODY };
    (pair, u64::from(until.is_none()))
}

/// What was found where the book should be.
enum Found {
    /// All that was acknowledged.
    Whole(BTreeMap<Pair, u64>, BTreeMap<AgentId, Option<RatingEpoch>>),
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
    let (mut pairs, mut agents, mut blind) = (BTreeMap::new(), BTreeMap::new(), None);
    let mut rows = bytes.chunks_exact(ROW).peekable();
    while let Some(bytes) = rows.next() {
        match parse(bytes) {
            Some((pair, _)) if pair.callee == NOBODY => blind = blind.max(Some(pair.epoch)),
            Some((pair, flag)) if pair.caller == NOBODY => {
                let until = (flag == 0).then_some(pair.epoch);
                let known = agents.entry(pair.callee).or_insert(until);
                *known = until.max(*known);
            }
            Some((pair, until)) => {
                let highest = pairs.entry(pair).or_insert(until);
                *highest = until.max(*highest);
            }
            // A last row that was cut off by a crash was never acknowledged.
            None if rows.peek().is_none() => {}
            None => return Ok(Found::Damaged),
        }
    }
    // An older book names agents by their pairs alone.
    for pair in pairs.keys() {
        agents.entry(pair.callee).or_insert(blind);
    }
    Ok(Found::Whole(pairs, agents))
}

/// Writes the rows that still count into a new file, and goes on with that.
fn rewrite(
    path: &Path,
    pairs: &BTreeMap<Pair, u64>,
    agents: &BTreeMap<AgentId, Option<RatingEpoch>>,
) -> io::Result<File> {
    let new: PathBuf = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    let agents = agents.iter().map(|(agent, until)| mark(*agent, *until));
    let all = pairs.iter().map(|(pair, until)| (*pair, *until)).chain(agents);
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

    const CALLEE: AgentId = AgentId([1; 32]);

    fn pair(epoch: u64, caller: u8) -> Pair {
        Pair { epoch: RatingEpoch(epoch), callee: CALLEE, caller: AgentId([caller; 32]) }
    }

    /// The book of a home with one agent's key, which was made just now or not.
    fn open(path: &Path, epoch: u64, is_made: bool) -> AcceptBook {
        let made = if is_made { &[CALLEE][..] } else { &[] };
        AcceptBook::open(path, RatingEpoch(epoch), KeysHere { all: &[CALLEE], made }).unwrap()
    }

    #[tokio::test]
    async fn no_index_is_given_twice_across_restarts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("accepts");
        let mut last = 0;
        for _ in 0..4 {
            let book = open(&path, 7, true);
            for _ in 0..100 {
                let index = book.next(pair(7, 2)).await.unwrap();
                assert!(index > last, "{index} after {last}");
                last = index;
            }
        }
        let book = open(&path, 7, true);
        assert_eq!(book.next(pair(7, 3)).await.unwrap(), 1, "each pair is numbered by itself");
        assert_eq!(book.next(pair(8, 2)).await.unwrap(), 1, "and so is each epoch");
        assert_eq!(book.next(pair(5, 2)).await, Err(BookError::Past));
    }

    #[tokio::test]
    async fn calls_at_once_have_different_indices() {
        let dir = tempfile::tempdir().unwrap();
        let book = open(&dir.path().join("accepts"), 0, true);
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
        blind(open(&path, 7, false)).await;
        // And it stays so when it is opened again.
        let book = open(&path, 7, false);
        assert_eq!(book.next(pair(7, 2)).await, Err(BookError::Forgotten));
        drop(book);
        let mut bytes = [row(pair(7, 2), 64), row(pair(7, 3), 64)].concat();
        bytes[70] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        blind(open(&path, 7, true)).await;
    }

    #[tokio::test]
    async fn a_key_from_elsewhere_waits_for_the_next_epoch_and_one_made_here_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("accepts");
        let of = |agent: u8, epoch: u64| Pair { callee: AgentId([agent; 32]), ..pair(epoch, 2) };
        let book = open(&path, 7, true);
        assert_eq!(book.next(of(1, 7)).await, Ok(1));
        // Two keys come beside it: one is made here, one is put there.
        book.made(AgentId([3; 32]));
        assert_eq!(book.next(of(3, 7)).await, Ok(1));
        assert_eq!(book.next(of(4, 7)).await, Err(BookError::Forgotten));
        drop(book);
        // A restart changes nothing, and neither does the key that is there by now.
        let all = [1, 3, 4, 5].map(|agent| AgentId([agent; 32]));
        let book = AcceptBook::open(&path, RatingEpoch(7), KeysHere { all: &all, made: &[] }).unwrap();
        assert!(book.next(of(1, 7)).await.is_ok_and(|index| index > 1));
        assert!(book.next(of(3, 7)).await.is_ok_and(|index| index > 1));
        for agent in [4, 5] {
            assert_eq!(book.next(of(agent, 7)).await, Err(BookError::Forgotten));
            assert_eq!(book.next(of(agent, 8)).await, Ok(1));
        }
        drop(book);
        let book = AcceptBook::open(&path, RatingEpoch(8), KeysHere { all: &all, made: &[] }).unwrap();
        assert!(book.next(of(5, 8)).await.is_ok_and(|index| index > 1));
    }

    #[tokio::test]
    async fn an_agent_that_was_served_elsewhere_waits_for_the_epoch_after() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("accepts");
        let book = open(&path, 7, true);
        assert_eq!(book.next(pair(7, 2)).await, Ok(1));
        book.served_elsewhere(CALLEE, RatingEpoch(7));
        book.served_elsewhere(CALLEE, RatingEpoch(6));
        book.made(CALLEE);
        assert_eq!(book.next(pair(7, 2)).await, Err(BookError::Forgotten));
        assert_eq!(book.next(pair(8, 2)).await, Ok(1));
    }

    #[tokio::test]
    async fn an_older_book_knows_the_agents_that_it_numbers_and_what_it_was_blind_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("accepts");
        std::fs::write(&path, row(pair(7, 2), 64)).unwrap();
        assert_eq!(open(&path, 7, false).next(pair(7, 2)).await, Ok(65));
        let blind = Pair { epoch: RatingEpoch(7), callee: NOBODY, caller: NOBODY };
        std::fs::write(&path, [row(pair(8, 2), 64), row(blind, 0)].concat()).unwrap();
        let book = open(&path, 8, false);
        assert_eq!(book.next(pair(7, 2)).await, Err(BookError::Forgotten));
        assert_eq!(book.next(pair(8, 2)).await, Ok(65));
    }

    #[tokio::test]
    async fn a_row_that_a_crash_cut_off_is_no_damage() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("accepts");
        let bytes = [row(pair(7, 2), 64).as_slice(), &row(pair(7, 2), 128)[..50]].concat();
        std::fs::write(&path, &bytes).unwrap();
        let book = open(&path, 7, true);
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
