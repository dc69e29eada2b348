mod cursor;
mod labels;
mod posting;

use std::collections::BTreeSet;

use althing_record::{AgentId, Millis, NodeId};
use althing_store::{Batch, ReadError, Snapshot, Table, prefix_end};

use self::cursor::Cursor;
use self::labels::{AGENT, Label, SERVED};
use self::posting::{insert, remove, short};
use crate::{Card, Query};

/// The version of the rows: a store with others is emptied, and filled again from its records.
pub const INDEX_VERSION: u8 = 2;

/// Most leases of one agent that are noted: those that count longest.
const LEASES_MAX: usize = 64;

/// An agent that the local index found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// The agent.
    pub agent: AgentId,
    /// When its card stops counting here.
    pub deadline: Millis,
    /// When its last lease stops counting here.
    pub served_until: Millis,
}

/// Changes an agent's card in the index: `before` is what the index has of it, `after` what it shall have and until
/// when that counts. Labels that stay cost nothing.
///
/// # Errors
/// When the store cannot be read.
pub fn index(
    store: &impl Snapshot,
    agent: AgentId,
    before: Option<&Card>,
    after: Option<(&Card, Millis)>,
    batch: &mut Batch,
) -> Result<(), ReadError> {
    let old = before.map(Label::of_card).unwrap_or_default();
    let new = after.map(|(card, _)| Label::of_card(card)).unwrap_or_default();
    for label in old.difference(&new) {
        remove(store, label, short(agent), batch)?;
    }
    for label in new.difference(&old) {
        insert(store, label, short(agent), batch)?;
    }
    Entry::change(store, agent, batch, |entry| entry.card = after.map(|(_, deadline)| deadline))
}

/// Notes that a node serves an agent until then, in place of what was noted of the two.
///
/// # Errors
/// When the store cannot be read.
pub fn serve(
    store: &impl Snapshot,
    agent: AgentId,
    node: NodeId,
    until: Millis,
    batch: &mut Batch,
) -> Result<(), ReadError> {
    Entry::change(store, agent, batch, |entry| {
        entry.leases.retain(|(_, other)| *other != node);
        entry.leases.insert((until, node));
        if entry.leases.len() > LEASES_MAX {
            entry.leases.pop_first();
        }
    })
}

/// Notes that a node does not serve an agent any more.
///
/// # Errors
/// When the store cannot be read.
pub fn unserve(
    store: &impl Snapshot,
    agent: AgentId,
    node: NodeId,
    batch: &mut Batch,
) -> Result<(), ReadError> {
    Entry::change(store, agent, batch, |entry| entry.leases.retain(|(_, other)| *other != node))
}

/// The agents after `after` that match, and whose card and at least one lease still count at `now`: ascending, at most
/// `limit`.
///
/// # Errors
/// When the store cannot be read.
pub fn find(
    store: &impl Snapshot,
    query: &Query,
    now: Millis,
    after: Option<AgentId>,
    limit: usize,
) -> Result<Vec<Hit>, ReadError> {
    let mut cursor = Cursor::of(store, query.node())?;
    let (mut hits, mut from) = (Vec::new(), after.map(short));
    while hits.len() < limit
        && let Some(found) = cursor.seek(from.unwrap_or_default())?
    {
        let prefix = [&[AGENT][..], &found.to_be_bytes()].concat();
        for (key, row) in store.scan_prefix(Table::CardView, &prefix, usize::MAX)? {
            let Some(agent) = key.get(1..).and_then(|id| AgentId::try_from(id).ok()) else { continue };
            let entry = Entry::read(&row);
            let last = entry.leases.last().map(|(until, _)| *until);
            if let (Some(deadline), Some(served_until)) = (entry.card, last)
                && deadline > now
                && served_until > now
                && after.is_none_or(|after| agent > after)
                && hits.len() < limit
            {
                hits.push(Hit { agent, deadline, served_until });
            }
        }
        match found.checked_add(1) {
            Some(next) => from = Some(next),
            None => break,
        }
    }
    Ok(hits)
}

/// What the index says, without how it is laid out: for each agent whose card counts at `now` its labels and the nodes
/// that serve it. Equal for equal sets of records, in whatever order they came. For tests.
///
/// # Errors
/// When the store cannot be read.
pub fn index_contents(store: &impl Snapshot, now: Millis) -> Result<BTreeSet<Vec<u8>>, ReadError> {
    let mut agents = BTreeSet::new();
    let mut labelled = BTreeSet::new();
    let mut contents = BTreeSet::new();
    let (mut from, to) = (Vec::new(), prefix_end(&[]));
    loop {
        let rows = store.scan(Table::CardView, &from, &to, 1_024)?;
        let Some((last, _)) = rows.last() else { break };
        from = [last, &[0][..]].concat();
        for (key, value) in &rows {
            if let Some(agent) = key.strip_prefix(&[AGENT]) {
                let entry = Entry::read(value);
                if entry.card.is_some_and(|deadline| deadline > now) {
                    agents.insert(agent[..16].to_vec());
                    contents.insert(key.clone());
                    let served = entry.leases.iter().filter(|(until, _)| *until > now);
                    contents.extend(served.map(|(_, node)| [key, &node.0[..]].concat()));
                }
            } else if let Some(label) = key.len().checked_sub(16).map(|end| &key[..end])
                && !label.starts_with(SERVED)
            {
                // Whether somebody is in this list is settled when a sweep comes, so it says nothing of its own.
                labelled
                    .extend(posting::read(value).iter().map(|agent| (label.to_vec(), agent.to_be_bytes())));
            }
        }
    }
    let live = labelled.into_iter().filter(|(_, agent)| agents.contains(&agent[..]));
    contents.extend(live.map(|(label, agent)| [&label[..], &agent].concat()));
    Ok(contents)
}

/// What is noted of one agent.
#[derive(Debug, Default)]
struct Entry {
    /// Until when its card counts.
    card: Option<Millis>,
    /// Until when which node serves it.
    leases: BTreeSet<(Millis, NodeId)>,
}

impl Entry {
    fn change(
        store: &impl Snapshot,
        agent: AgentId,
        batch: &mut Batch,
        change: impl FnOnce(&mut Self),
    ) -> Result<(), ReadError> {
        let key = [&[AGENT][..], &agent.0].concat();
        let mut entry = store.get(Table::CardView, &key)?.map(|row| Self::read(&row)).unwrap_or_default();
        let was_served = entry.is_served();
        change(&mut entry);
        match (was_served, entry.is_served()) {
            (false, true) => insert(store, SERVED, short(agent), batch)?,
            (true, false) => remove(store, SERVED, short(agent), batch)?,
            (true, true) | (false, false) => {}
        }
        if entry.card.is_none() && entry.leases.is_empty() {
            batch.delete(Table::CardView, key);
        } else {
            batch.put(Table::CardView, key, entry.to_row());
        }
        Ok(())
    }

    fn is_served(&self) -> bool {
        self.card.is_some() && !self.leases.is_empty()
    }

    /// The card's deadline, zero for none, then for each lease its deadline and its node.
    fn read(row: &[u8]) -> Self {
        let Some((card, leases)) = row.split_first_chunk::<8>() else { return Self::default() };
        let card = Some(Millis(u64::from_be_bytes(*card))).filter(|deadline| deadline.0 > 0);
        let leases = leases.as_chunks::<40>().0.iter().filter_map(|lease| {
            let (until, node) = lease.split_first_chunk::<8>()?;
            Some((Millis(u64::from_be_bytes(*until)), NodeId::try_from(node).ok()?))
        });
        Self { card, leases: leases.collect() }
    }

    fn to_row(&self) -> Vec<u8> {
        let mut row = self.card.unwrap_or_default().0.to_be_bytes().to_vec();
        for (until, node) in &self.leases {
            row.extend(until.0.to_be_bytes());
            row.extend(node.0);
        }
        row
    }
}

#[cfg(test)]
mod tests;
