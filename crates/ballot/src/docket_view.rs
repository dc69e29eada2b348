//! The rows of [`Table::VoteView`] about dockets:
//!
//! - `p` ‖ docket → a byte, as for proposals that stand alone, whose rows are empty;
//! - `m` ‖ 2^64 − 1 − made ‖ docket → empty;
//! - `q` ‖ docket ‖ voter ‖ signing key ‖ Merkle root of the answers → the lowest batch that answers it so.
//!
//! What a batch says is read from its record: a row for each answer would cost more than the answers.

use althing_record::{AgentId, Digest, Leaves, Record, RecordId};
use althing_store::{Batch, ReadError, Snapshot, Table};

use crate::{Answers, PutAt};

/// Adds a docket to the view.
pub fn index_docket(docket: &Record, batch: &mut Batch) {
    batch.put(Table::VoteView, [b"p", &docket.id().0[..]].concat(), vec![1]);
    batch.put(Table::VoteView, PutAt::of(docket).key(b'm'), Vec::new());
}

/// Adds the answers that a record holds to the view; says whether the voter has not said the same before, with the same
/// key.
///
/// # Errors
/// When the store cannot be read.
pub fn index_answers(
    store: &impl Snapshot,
    record: &Record,
    answers: &Answers,
    batch: &mut Batch,
) -> Result<bool, ReadError> {
    let Some(root) = root_of(record) else { return Ok(false) };
    let key = [b"q", &answers.docket.0[..], &answers.voter.0, record.signing_key(), &root.0].concat();
    let said = store.get(Table::VoteView, &key)?;
    if said.as_ref().is_none_or(|row| record.id().0[..] < row[..]) {
        batch.put(Table::VoteView, key, record.id().0.to_vec());
    }
    Ok(said.is_none())
}

/// The Merkle root of a batch's leaves: two batches that answer a docket say the same if and only if it is the same.
#[must_use]
pub fn root_of(batch: &Record) -> Option<Digest> {
    batch.body::<Leaves>().ok().map(|leaves| leaves.root)
}

/// Whether a docket is in the view.
///
/// # Errors
/// When the store cannot be read.
pub fn has_docket(store: &impl Snapshot, docket: RecordId) -> Result<bool, ReadError> {
    let row = store.get(Table::VoteView, &[b"p", &docket.0[..]].concat())?;
    Ok(row.is_some_and(|row| !row.is_empty()))
}

/// The known dockets that come after a place in the list, at most `limit`; from the beginning if there is none.
///
/// # Errors
/// When the store cannot be read.
pub fn dockets(store: &impl Snapshot, after: Option<PutAt>, limit: usize) -> Result<Vec<PutAt>, ReadError> {
    PutAt::scan(store, b'm', after, limit)
}

/// A batch that answers a docket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AnsweredBy {
    /// Who answers.
    pub voter: AgentId,
    /// The key that signed it.
    pub key: [u8; 32],
    /// The Merkle root of the answers.
    pub root: Digest,
    /// The lowest record that answers so.
    pub batch: RecordId,
}

/// Whether a voter has answered a docket.
///
/// # Errors
/// When the store cannot be read.
pub fn has_answered(store: &impl Snapshot, docket: RecordId, voter: AgentId) -> Result<bool, ReadError> {
    let prefix = [b"q", &docket.0[..], &voter.0].concat();
    Ok(!store.scan_prefix(Table::VoteView, &prefix, 1)?.is_empty())
}

/// The batches that answer a docket, of one voter or of all, ascending by (voter, signing key, root). Of equal ones by one
/// voter and key the lowest is named.
///
/// # Errors
/// When the store cannot be read.
pub fn answers_to(
    store: &impl Snapshot,
    docket: RecordId,
    voter: Option<AgentId>,
) -> Result<Vec<AnsweredBy>, ReadError> {
    let voter = voter.map_or(Vec::new(), |voter| voter.0.to_vec());
    let rows = store.scan_prefix(Table::VoteView, &[b"q", &docket.0[..], &voter].concat(), usize::MAX)?;
    let read = |key: &[u8], row: &[u8]| {
        let (voter, rest) = key.get(33..)?.split_first_chunk::<32>()?;
        let (key, root) = rest.split_first_chunk::<32>()?;
        let (root, batch) = (Digest(root.try_into().ok()?), RecordId::try_from(row).ok()?);
        Some(AnsweredBy { voter: AgentId(*voter), key: *key, root, batch })
    };
    Ok(rows.iter().filter_map(|(key, row)| read(key, row)).collect())
}
