//! The rows of [`Table::VoteView`] about dockets:
//!
//! - `p` ‖ docket → a byte, as for proposals that stand alone, whose rows are empty;
//! - `m` ‖ 2^64 − 1 − made ‖ docket → empty;
//! - `q` ‖ docket ‖ voter ‖ signing key ‖ batch → empty: a batch that answers it.
//!
//! What a batch says is read from its record: a row for each answer would cost more than the answers.

use althing_record::{AgentId, Record, RecordId};
use althing_store::{Batch, ReadError, Snapshot, Table};

use crate::Answers;

/// Adds a docket to the view.
pub fn index_docket(docket: &Record, batch: &mut Batch) {
    let (id, age) = (docket.id(), u64::MAX - docket.made().0);
    batch.put(Table::VoteView, [b"p", &id.0[..]].concat(), vec![1]);
    batch.put(Table::VoteView, [b"m", &age.to_be_bytes()[..], &id.0].concat(), Vec::new());
}

/// Adds the answers that a record holds to the view.
pub fn index_answers(record: &Record, answers: &Answers, batch: &mut Batch) {
    let key = [b"q", &answers.docket.0[..], &answers.voter.0, record.signing_key(), &record.id().0].concat();
    batch.put(Table::VoteView, key, Vec::new());
}

/// Whether a docket is in the view.
///
/// # Errors
/// When the store cannot be read.
pub fn has_docket(store: &impl Snapshot, docket: RecordId) -> Result<bool, ReadError> {
    let row = store.get(Table::VoteView, &[b"p", &docket.0[..]].concat())?;
    Ok(row.is_some_and(|row| !row.is_empty()))
}

/// The known dockets, those made last first, at most `limit`.
///
/// # Errors
/// When the store cannot be read.
pub fn dockets(store: &impl Snapshot, limit: usize) -> Result<Vec<RecordId>, ReadError> {
    let rows = store.scan_prefix(Table::VoteView, b"m", limit)?;
    Ok(rows.iter().filter_map(|(key, _)| RecordId::try_from(key.get(9..)?).ok()).collect())
}

/// A batch that answers a docket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AnsweredBy {
    /// Who answers.
    pub voter: AgentId,
    /// The key that signed it.
    pub key: [u8; 32],
    /// The record.
    pub batch: RecordId,
}

/// The batches that answer a docket, of one voter or of all, ascending by (voter, signing key, batch), at most `limit`.
///
/// # Errors
/// When the store cannot be read.
pub fn answers_to(
    store: &impl Snapshot,
    docket: RecordId,
    voter: Option<AgentId>,
    limit: usize,
) -> Result<Vec<AnsweredBy>, ReadError> {
    let voter = voter.map_or(Vec::new(), |voter| voter.0.to_vec());
    let rows = store.scan_prefix(Table::VoteView, &[b"q", &docket.0[..], &voter].concat(), limit)?;
    let read = |key: &[u8]| {
        let (voter, rest) = key.get(33..)?.split_first_chunk::<32>()?;
        let (key, batch) = rest.split_first_chunk::<32>()?;
        Some(AnsweredBy { voter: AgentId(*voter), key: *key, batch: RecordId::try_from(batch).ok()? })
    };
    Ok(rows.iter().filter_map(|(key, _)| read(key)).collect())
}
