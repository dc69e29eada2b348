//! The rows of [`Table::VoteView`] about sealed ballots:
//!
//! - `k` ‖ proposal ‖ trustee ‖ key → the lowest record that says so;
//! - `x` ‖ proposal ‖ trustee ‖ key → the lowest record that opens it;
//! - `s` ‖ proposal → empty: a sealed proposal that some trustee has not opened.

use althing_record::{AgentId, RecordId};
use althing_store::{Batch, ReadError, Snapshot, Table};

use crate::{Opening, Sealing, TrusteeKey};

/// Adds a sealed proposal to those that some trustee has not opened, or takes it out.
///
/// # Errors
/// When the store cannot be read.
pub fn settle_sealed(
    store: &impl Snapshot,
    proposal: RecordId,
    sealing: &Sealing,
    batch: &mut Batch,
) -> Result<(), ReadError> {
    let key = [b"s", &proposal.0[..]].concat();
    for trustee in sealing.trustees() {
        if !has_opened(store, proposal, *trustee)? {
            batch.put(Table::VoteView, key, Vec::new());
            return Ok(());
        }
    }
    batch.delete(Table::VoteView, key);
    Ok(())
}

/// Sealed proposals that some trustee has not opened, at most `limit`.
///
/// # Errors
/// When the store cannot be read.
pub fn unopened(store: &impl Snapshot, limit: usize) -> Result<Vec<RecordId>, ReadError> {
    let rows = store.scan_prefix(Table::VoteView, b"s", limit)?;
    Ok(rows.iter().filter_map(|(key, _)| RecordId::try_from(key.get(1..)?).ok()).collect())
}

/// Adds a trustee's key to the view.
///
/// # Errors
/// When the store cannot be read.
pub fn index_trustee_key(
    store: &impl Snapshot,
    said: &TrusteeKey,
    record: RecordId,
    batch: &mut Batch,
) -> Result<(), ReadError> {
    put_lowest(store, key(b'k', said.proposal, said.trustee, &said.key), record, batch)
}

/// Adds an opening to the view.
///
/// # Errors
/// When the store cannot be read.
pub fn index_opening(
    store: &impl Snapshot,
    opening: &Opening,
    record: RecordId,
    batch: &mut Batch,
) -> Result<(), ReadError> {
    let (proposal, opened) = (opening.proposal, opening.secret.public());
    put_lowest(store, key(b'x', proposal, opening.trustee, &opened), record, batch)
}

/// The keys that a trustee published for a proposal, ascending, at most `limit`, each with the lowest record that says so.
///
/// # Errors
/// When the store cannot be read.
pub fn keys_of(
    store: &impl Snapshot,
    proposal: RecordId,
    trustee: AgentId,
    limit: usize,
) -> Result<Vec<([u8; 32], RecordId)>, ReadError> {
    let prefix = prefix(b'k', proposal, trustee);
    let rows = store.scan_prefix(Table::VoteView, &prefix, limit)?;
    let read = |key: &[u8], row: &[u8]| {
        Some((key.get(prefix.len()..)?.try_into().ok()?, RecordId::try_from(row).ok()?))
    };
    Ok(rows.iter().filter_map(|(key, row)| read(key, row)).collect())
}

/// Whether a trustee published this key for a proposal.
///
/// # Errors
/// When the store cannot be read.
pub fn has_key(
    store: &impl Snapshot,
    proposal: RecordId,
    trustee: AgentId,
    public: &[u8; 32],
) -> Result<bool, ReadError> {
    Ok(store.get(Table::VoteView, &key(b'k', proposal, trustee, public))?.is_some())
}

/// The lowest record that opens a trustee's key, if one does.
///
/// # Errors
/// When the store cannot be read.
pub fn opening_of(
    store: &impl Snapshot,
    proposal: RecordId,
    trustee: AgentId,
    public: &[u8; 32],
) -> Result<Option<RecordId>, ReadError> {
    let row = store.get(Table::VoteView, &key(b'x', proposal, trustee, public))?;
    Ok(row.and_then(|row| RecordId::try_from(&row[..]).ok()))
}

/// Whether a trustee has opened any of its keys.
///
/// # Errors
/// When the store cannot be read.
pub fn has_opened(store: &impl Snapshot, proposal: RecordId, trustee: AgentId) -> Result<bool, ReadError> {
    Ok(!store.scan_prefix(Table::VoteView, &prefix(b'x', proposal, trustee), 1)?.is_empty())
}

fn prefix(tag: u8, proposal: RecordId, trustee: AgentId) -> Vec<u8> {
    [&[tag][..], &proposal.0, &trustee.0].concat()
}

fn key(tag: u8, proposal: RecordId, trustee: AgentId, public: &[u8; 32]) -> Vec<u8> {
    [&prefix(tag, proposal, trustee)[..], public].concat()
}

fn put_lowest(
    store: &impl Snapshot,
    key: Vec<u8>,
    record: RecordId,
    batch: &mut Batch,
) -> Result<(), ReadError> {
    if store.get(Table::VoteView, &key)?.is_none_or(|row| record.0[..] < row[..]) {
        batch.put(Table::VoteView, key, record.0.to_vec());
    }
    Ok(())
}
