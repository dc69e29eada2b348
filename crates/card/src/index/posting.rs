//! Which agents have a label, as rows of blocks. docs/spec/store.md has the layout.
//!
//! A row per agent and label would cost a read of ten thousand rows to find that two popular labels share nobody. So a
//! row is a block of up to [`BLOCK_MAX`] agents, in ascending order, and its key ends with the highest agent that
//! belongs into it. The last block's key ends with the highest number there is, so every agent has its block, and it is
//! the first at or after the agent's own place.

use althing_record::AgentId;
use althing_store::{Batch, ReadError, Snapshot, Table};

/// Most agents of one block. What one card more or less costs is a block for each of its labels.
const BLOCK_MAX: usize = 64;

/// A block with fewer agents joins the next one where both have room.
const BLOCK_MIN: usize = BLOCK_MAX / 4;

/// Most blocks read at once.
const READ_AHEAD_MAX: usize = 64;

/// The first 16 bytes of an agent's id, which stand for it: ids are public keys, and two that are alike so far cost
/// their owner 2^64 keys and hurt only each other.
pub(super) type Short = u128;

pub(super) fn short(agent: AgentId) -> Short {
    let mut half = [0; 16];
    half.copy_from_slice(&agent.0[..16]);
    Short::from_be_bytes(half)
}

pub(super) fn insert(
    store: &impl Snapshot,
    label: &[u8],
    agent: Short,
    batch: &mut Batch,
) -> Result<(), ReadError> {
    let found = store.scan(Table::CardView, &key(label, agent), &end(label), 1)?.pop();
    let (key_of_block, block) = found.unwrap_or_else(|| (key(label, Short::MAX), Vec::new()));
    let mut agents = read(&block);
    let Err(at) = agents.binary_search(&agent) else { return Ok(()) };
    agents.insert(at, agent);
    if agents.len() > BLOCK_MAX {
        let upper = agents.split_off(agents.len() / 2);
        if let Some(highest) = agents.last() {
            batch.put(Table::CardView, key(label, *highest), write(&agents));
        }
        agents = upper;
    }
    batch.put(Table::CardView, key_of_block, write(&agents));
    Ok(())
}

pub(super) fn remove(
    store: &impl Snapshot,
    label: &[u8],
    agent: Short,
    batch: &mut Batch,
) -> Result<(), ReadError> {
    let mut rows = store.scan(Table::CardView, &key(label, agent), &end(label), 2)?.into_iter();
    let Some((key_of_block, block)) = rows.next() else { return Ok(()) };
    let mut agents = read(&block);
    let Ok(at) = agents.binary_search(&agent) else { return Ok(()) };
    agents.remove(at);
    if agents.len() < BLOCK_MIN
        && let Some((key_of_next, next)) = rows.next()
        && agents.len() + next.len() / 16 <= BLOCK_MAX - BLOCK_MIN
    {
        batch.delete(Table::CardView, key_of_block);
        agents.extend(read(&next));
        batch.put(Table::CardView, key_of_next, write(&agents));
    } else if agents.is_empty() {
        batch.delete(Table::CardView, key_of_block);
    } else {
        batch.put(Table::CardView, key_of_block, write(&agents));
    }
    Ok(())
}

/// Everyone who has a label that begins like this.
pub(super) fn beginning(store: &impl Snapshot, label: &[u8]) -> Result<Vec<Short>, ReadError> {
    let (mut from, to) = (label.to_vec(), althing_store::prefix_end(label));
    let mut agents = Vec::new();
    loop {
        let rows = store.scan(Table::CardView, &from, &to, 1_024)?;
        let Some((last, _)) = rows.last() else { break };
        from = [last, &[0][..]].concat();
        rows.iter().for_each(|(_, block)| agents.extend(read(block)));
    }
    agents.sort_unstable();
    agents.dedup();
    Ok(agents)
}

/// Reads the agents with one label, in ascending order.
#[derive(Debug)]
pub(super) struct Posting<'s, S> {
    store: &'s S,
    label: Vec<u8>,
    /// What was read last, and up to where that is all.
    agents: Vec<Short>,
    read_to: Option<Short>,
    at: usize,
    /// How many blocks to read next, and how often something of the last ones was asked for.
    ahead: usize,
    asked: usize,
}

impl<'s, S: Snapshot> Posting<'s, S> {
    pub(super) fn new(store: &'s S, label: Vec<u8>) -> Self {
        Self { store, label, agents: Vec::new(), read_to: None, at: 0, ahead: 1, asked: 0 }
    }

    /// The first agent at or after `from`. Each call's `from` is at least the last one's.
    pub(super) fn seek(&mut self, mut from: Short) -> Result<Option<Short>, ReadError> {
        self.asked += 1;
        loop {
            if self.read_to.is_some_and(|to| from <= to) {
                self.skip_to(from);
                if let Some(found) = self.agents.get(self.at) {
                    return Ok(Some(*found));
                }
                match self.read_to.and_then(|to| to.checked_add(1)) {
                    Some(next) => from = next,
                    None => return Ok(None),
                }
            }
            if !self.read(from)? {
                return Ok(None);
            }
        }
    }

    fn skip_to(&mut self, from: Short) {
        // Doubling steps: in a merge the next one is near, in a search for few among many it is far.
        let (mut low, mut step) = (self.at, 1);
        while self.agents.get(low + step).is_some_and(|agent| *agent < from) {
            low += step;
            step *= 2;
        }
        let high = (low + step).min(self.agents.len());
        self.at = low + self.agents[low..high].partition_point(|agent| *agent < from);
    }

    fn read(&mut self, from: Short) -> Result<bool, ReadError> {
        // Whoever asked for much of the last blocks will ask for much of the next.
        let busy = self.read_to.is_some() && 8 * self.asked >= self.agents.len();
        self.ahead = if busy { (2 * self.ahead).min(READ_AHEAD_MAX) } else { (self.ahead / 2).max(1) };
        let (first, end) = (key(&self.label, from), end(&self.label));
        let rows = self.store.scan(Table::CardView, &first, &end, self.ahead)?;
        self.agents.clear();
        (self.at, self.asked) = (0, 0);
        self.read_to = match rows.last() {
            // There may be more; only what was read is known.
            Some((key, _)) if rows.len() == self.ahead => highest(key),
            Some(_) | None => Some(Short::MAX),
        };
        rows.iter().for_each(|(_, block)| self.agents.extend(read(block)));
        Ok(!rows.is_empty())
    }
}

/// No label has a zero byte, so the blocks of one are a range of their own.
fn key(label: &[u8], highest: Short) -> Vec<u8> {
    [label, &[0], &highest.to_be_bytes()].concat()
}

fn end(label: &[u8]) -> Vec<u8> {
    [label, &[1]].concat()
}

fn highest(key: &[u8]) -> Option<Short> {
    key.last_chunk::<16>().map(|bytes| Short::from_be_bytes(*bytes))
}

pub(super) fn read(block: &[u8]) -> Vec<Short> {
    block.as_chunks::<16>().0.iter().map(|bytes| Short::from_be_bytes(*bytes)).collect()
}

fn write(agents: &[Short]) -> Vec<u8> {
    agents.iter().flat_map(|agent| agent.to_be_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use althing_store::Memory;

    use super::*;

    fn all(store: &Memory) -> Vec<Short> {
        let (mut posting, mut from, mut all) = (Posting::new(store, b"tx".to_vec()), 0, Vec::new());
        while let Some(found) = posting.seek(from).unwrap() {
            all.push(found);
            match found.checked_add(1) {
                Some(next) => from = next,
                None => break,
            }
        }
        all
    }

    fn change(store: &Memory, agent: Short, is_there: bool) {
        let mut batch = Batch::default();
        let done = if is_there {
            insert(store, b"tx", agent, &mut batch)
        } else {
            remove(store, b"tx", agent, &mut batch)
        };
        done.unwrap();
        store.apply(&batch);
    }

    #[test]
    fn blocks_split_and_join_and_lose_nobody() {
        let store = Memory::default();
        let mut there: BTreeSet<Short> = BTreeSet::new();
        // A fixed sequence that looks like chance; both ends are in it.
        let number = |n: u128| match n {
            0 => 0,
            1 => Short::MAX,
            n => n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835),
        };
        for n in 0..1_000 {
            change(&store, number(n), true);
            there.insert(number(n));
        }
        assert_eq!(all(&store), there.iter().copied().collect::<Vec<_>>());
        let full = store.len();
        assert!((1_000 / BLOCK_MAX..1_000 / BLOCK_MIN).contains(&full), "{full} blocks");
        for n in (0..1_000).filter(|n| n % 20 != 7) {
            change(&store, number(n), false);
            there.remove(&number(n));
        }
        assert_eq!(all(&store), there.iter().copied().collect::<Vec<_>>());
        assert!(store.len() < full / 3, "{} blocks are left of {full} for {}", store.len(), there.len());
        for agent in there {
            change(&store, agent, false);
        }
        assert!(store.is_empty());
        change(&store, Short::MAX, true);
        assert_eq!(all(&store), [Short::MAX]);
    }

    #[test]
    fn another_label_that_begins_alike_is_not_touched() {
        let store = Memory::default();
        let mut batch = Batch::default();
        insert(&store, b"tx/", 5, &mut batch).unwrap();
        insert(&store, b"txy", 5, &mut batch).unwrap();
        store.apply(&batch);
        assert_eq!(all(&store), [0; 0]);
        change(&store, 7, true);
        assert_eq!(all(&store), [7]);
        assert_eq!(beginning(&store, b"tx").unwrap(), [5, 7]);
    }
}
