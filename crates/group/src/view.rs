//! The rows of [`Table::GroupView`]: `f` ‖ group → founder ‖ signing key; `g` ‖ 2^64 − 1 − made ‖ group → empty; `a` ‖
//! agent ‖ group → empty, of everybody whom some record of the group names; `c` ‖ change → [`Step`]; `n` ‖ record before ‖
//! change → empty; and `j` ‖ group ‖ agent ‖ what it answers ‖ 1 if it leaves ‖ signing key → the lowest joining that says
//! so. Only changes that follow from the state before them are indexed, which is so or not so for good.

use althing_record::{AgentId, Change, GroupId, Joining, Membership, Record, RecordId};
use althing_store::{Batch, ReadError, Snapshot, Table};

use crate::{Right, State};

/// What stands behind the row of a change that the members decided on.
const VOTED: u8 = 1;

/// A change to a group, without its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Of which group.
    pub group: GroupId,
    /// The record before.
    pub prev: RecordId,
    /// Who made the change.
    pub author: AgentId,
    /// The key that signed it.
    pub key: [u8; 32],
    /// What changes.
    pub change: Change,
    /// By what right.
    pub right: Right,
}

impl Step {
    fn to_row(&self) -> Vec<u8> {
        let (code, agent) = self.change.parts();
        let code = u8::try_from(code).unwrap_or(u8::MAX);
        let row = [&self.group.0[..], &self.prev.0, &self.author.0, &self.key, &agent.0, &[code]].concat();
        match self.right {
            Right::Admin => row,
            Right::Vote => [&row[..], &[VOTED]].concat(),
        }
    }

    fn read(row: &[u8]) -> Option<Self> {
        let part = |at: usize| row.get(32 * at..32 * (at + 1))?.try_into().ok();
        Some(Self {
            group: GroupId(part(0)?),
            prev: RecordId(part(1)?),
            author: AgentId(part(2)?),
            key: part(3)?,
            change: Change::from_parts(u64::from(*row.get(160)?), AgentId(part(4)?))?,
            right: if row.get(161) == Some(&VOTED) { Right::Vote } else { Right::Admin },
        })
    }
}

/// Adds a group to the view.
pub fn index_founding(record: &Record, state: &State, batch: &mut Batch) {
    let (group, age) = (state.group(), u64::MAX - record.made().0);
    let row = [&state.founder().0[..], record.signing_key()].concat();
    batch.put(Table::GroupView, [b"f", &group.0[..]].concat(), row);
    batch.put(Table::GroupView, [b"g", &age.to_be_bytes()[..], &group.0].concat(), Vec::new());
    for (agent, _) in state.members() {
        batch.put(Table::GroupView, named(agent, group), Vec::new());
    }
}

/// Adds a change to the view that follows from the state before it.
pub fn index_step(record: &Record, group: GroupId, body: &Membership, batch: &mut Batch) {
    let step = Step {
        group,
        prev: body.prev,
        author: record.agent(),
        key: *record.signing_key(),
        change: body.change.clone(),
        right: if body.decision.is_some() { Right::Vote } else { Right::Admin },
    };
    let (_, agent) = step.change.parts();
    batch.put(Table::GroupView, [b"c", &record.id().0[..]].concat(), step.to_row());
    batch.put(Table::GroupView, [b"n", &step.prev.0[..], &record.id().0].concat(), Vec::new());
    batch.put(Table::GroupView, named(agent, group), Vec::new());
}

/// Adds what an agent says for itself.
///
/// # Errors
/// When the store cannot be read.
pub fn index_joining(
    store: &impl Snapshot,
    record: &Record,
    group: GroupId,
    body: &Joining,
    batch: &mut Batch,
) -> Result<(), ReadError> {
    let mut key = joining(group, record.agent(), body.answers, body.leaves.is_some());
    key.extend_from_slice(record.signing_key());
    let lower = store.get(Table::GroupView, &key)?.is_some_and(|row| row[..] < record.id().0[..]);
    if !lower {
        batch.put(Table::GroupView, key, record.id().0.to_vec());
    }
    Ok(())
}

/// The key that signed a group's Founding, and the founder; `None` if the group is not known.
///
/// # Errors
/// When the store cannot be read.
pub fn founding_key(store: &impl Snapshot, group: GroupId) -> Result<Option<(AgentId, [u8; 32])>, ReadError> {
    let row = store.get(Table::GroupView, &[b"f", &group.0[..]].concat())?;
    Ok(row.as_deref().and_then(|row| {
        let (founder, key) = row.split_first_chunk::<32>()?;
        Some((AgentId(*founder), key.try_into().ok()?))
    }))
}

/// A change that is in the view.
///
/// # Errors
/// When the store cannot be read.
pub fn step(store: &impl Snapshot, id: RecordId) -> Result<Option<Step>, ReadError> {
    let row = store.get(Table::GroupView, &[b"c", &id.0[..]].concat())?;
    Ok(row.as_deref().and_then(Step::read))
}

/// The changes right after a record, ascending by id, at most `limit`.
///
/// # Errors
/// When the store cannot be read.
pub fn children(store: &impl Snapshot, prev: RecordId, limit: usize) -> Result<Vec<RecordId>, ReadError> {
    let rows = store.scan_prefix(Table::GroupView, &[b"n", &prev.0[..]].concat(), limit)?;
    Ok(rows.iter().filter_map(|(key, _)| RecordId::try_from(key.get(33..)?).ok()).collect())
}

/// The keys that signed that an agent joins by an invitation, or leaves; each with the lowest record that says so.
///
/// # Errors
/// When the store cannot be read.
pub fn joinings(
    store: &impl Snapshot,
    group: GroupId,
    agent: AgentId,
    answers: RecordId,
    leaves: bool,
) -> Result<Vec<([u8; 32], RecordId)>, ReadError> {
    let prefix = joining(group, agent, answers, leaves);
    let rows = store.scan_prefix(Table::GroupView, &prefix, usize::MAX)?;
    let read = |key: &[u8], row: &[u8]| {
        Some((key.get(prefix.len()..)?.try_into().ok()?, RecordId::try_from(row).ok()?))
    };
    Ok(rows.iter().filter_map(|(key, row)| read(key, row)).collect())
}

/// The known groups, those founded last first, at most `limit`.
///
/// # Errors
/// When the store cannot be read.
pub fn groups(store: &impl Snapshot, limit: usize) -> Result<Vec<GroupId>, ReadError> {
    let rows = store.scan_prefix(Table::GroupView, b"g", limit)?;
    Ok(rows.iter().filter_map(|(key, _)| GroupId::try_from(key.get(9..)?).ok()).collect())
}

/// The groups of which some record names an agent, whatever became of that, ascending by id, at most `limit`.
///
/// # Errors
/// When the store cannot be read.
pub fn groups_of(store: &impl Snapshot, agent: AgentId, limit: usize) -> Result<Vec<GroupId>, ReadError> {
    let rows = store.scan_prefix(Table::GroupView, &[b"a", &agent.0[..]].concat(), limit)?;
    Ok(rows.iter().filter_map(|(key, _)| GroupId::try_from(key.get(33..)?).ok()).collect())
}

/// Whether some record of a group names an agent.
///
/// # Errors
/// When the store cannot be read.
pub fn is_named(store: &impl Snapshot, agent: AgentId, group: GroupId) -> Result<bool, ReadError> {
    Ok(store.get(Table::GroupView, &named(agent, group))?.is_some())
}

fn named(agent: AgentId, group: GroupId) -> Vec<u8> {
    [b"a", &agent.0[..], &group.0].concat()
}

fn joining(group: GroupId, agent: AgentId, answers: RecordId, leaves: bool) -> Vec<u8> {
    [b"j", &group.0[..], &agent.0, &answers.0, &[u8::from(leaves)]].concat()
}
