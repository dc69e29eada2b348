//! The rows of [`Table::VoteView`] about sealed ballots:
//!
//! - `k` ‖ proposal ‖ trustee ‖ key → the lowest record that says so;
//! - `x` ‖ proposal ‖ trustee ‖ key → the lowest record that opens it;
//! - `s` ‖ proposal → empty: a sealed proposal that some trustee has not opened.

use althing_record::{AgentId, RecordId};
use althing_store::{Batch, ReadError, Snapshot, Table};

use crate::{Opening, Sealing, TrusteeKey};

/// Most keys of one trustee for one proposal that are looked at: an honest one has one.
const KEYS_MAX: usize = 4_096;

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
        if openings_of(store, proposal, Some(*trustee))?.is_empty() {
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

/// The keys that a trustee published for a proposal, the one of the lowest record first: voters use that.
///
/// # Errors
/// When the store cannot be read.
pub fn keys_of(
    store: &impl Snapshot,
    proposal: RecordId,
    trustee: AgentId,
) -> Result<Vec<([u8; 32], RecordId)>, ReadError> {
    let rows = store.scan_prefix(Table::VoteView, &prefix(b'k', proposal, Some(trustee)), KEYS_MAX)?;
    let mut keys: Vec<_> =
        rows.iter().filter_map(|(key, id)| row(key, id).map(|(_, public, id)| (public, id))).collect();
    keys.sort_unstable_by_key(|(_, id)| *id);
    Ok(keys)
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

/// The openings of a proposal, of one trustee or of all: trustees and records, ascending by trustee and key.
///
/// # Errors
/// When the store cannot be read.
pub fn openings_of(
    store: &impl Snapshot,
    proposal: RecordId,
    trustee: Option<AgentId>,
) -> Result<Vec<(AgentId, RecordId)>, ReadError> {
    let rows = store.scan_prefix(Table::VoteView, &prefix(b'x', proposal, trustee), KEYS_MAX)?;
    Ok(rows.iter().filter_map(|(key, id)| row(key, id).map(|(trustee, _, id)| (trustee, id))).collect())
}

fn prefix(tag: u8, proposal: RecordId, trustee: Option<AgentId>) -> Vec<u8> {
    [&[tag][..], &proposal.0, trustee.as_ref().map_or(&[][..], |trustee| &trustee.0)].concat()
}

fn key(tag: u8, proposal: RecordId, trustee: AgentId, public: &[u8; 32]) -> Vec<u8> {
    [&prefix(tag, proposal, Some(trustee))[..], public].concat()
}

fn row(key: &[u8], id: &[u8]) -> Option<(AgentId, [u8; 32], RecordId)> {
    let (trustee, public) = key.get(33..)?.split_first_chunk::<32>()?;
    Some((AgentId(*trustee), public.try_into().ok()?, RecordId::try_from(id).ok()?))
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
