//! The rows of [`Table::VoteView`]: `p` ‖ proposal → empty, `n` ‖ 2^64 − 1 − made ‖ proposal → empty, and `b` ‖ proposal ‖ voter ‖ signing key ‖ choice → the lowest
//! batch that says so, and the ballot's index in it. A voter who repeats a choice adds no row. Ballots are indexed whether
//! or not their proposal is known yet; whether they count is asked when they are tallied.

use althing_record::cbor::{self, Limits};
use althing_record::{AgentId, Record, RecordId};
use althing_store::{Batch, ReadError, Snapshot, Table, prefix_end};

use crate::{Ballot, Choice, PutAt};

/// A ballot and the batch that carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CastBallot {
    /// The ballot.
    pub ballot: Ballot,
    /// The record of the batch.
    pub batch: RecordId,
    /// The key that signed it.
    pub key: [u8; 32],
}

/// Adds a proposal to the view.
pub fn index_proposal(proposal: &Record, batch: &mut Batch) {
    batch.put(Table::VoteView, [b"p", &proposal.id().0[..]].concat(), Vec::new());
    batch.put(Table::VoteView, PutAt::of(proposal).key(b'n'), Vec::new());
}

/// Adds the ballots of the batch `record` to the view.
///
/// # Errors
/// When the store cannot be read.
pub fn index_ballots(
    store: &impl Snapshot,
    record: &Record,
    ballots: &[Ballot],
    batch: &mut Batch,
) -> Result<(), ReadError> {
    for ballot in ballots {
        let choice = cbor::to_vec(&ballot.choice);
        let key = [b"b", &ballot.proposal.0[..], &ballot.voter.0, record.signing_key(), &choice].concat();
        let lower = store.get(Table::VoteView, &key)?.is_some_and(|row| row[..] < record.id().0[..]);
        if !lower {
            batch.put(Table::VoteView, key, [&record.id().0[..], &ballot.index.to_be_bytes()].concat());
        }
    }
    Ok(())
}

/// Whether a proposal is in the view.
///
/// # Errors
/// When the store cannot be read.
pub fn has_proposal(store: &impl Snapshot, proposal: RecordId) -> Result<bool, ReadError> {
    Ok(store.get(Table::VoteView, &[b"p", &proposal.0[..]].concat())?.is_some())
}

/// The known proposals that come after a place in the list, at most `limit`; from the beginning if there is none.
///
/// # Errors
/// When the store cannot be read.
pub fn proposals(store: &impl Snapshot, after: Option<PutAt>, limit: usize) -> Result<Vec<PutAt>, ReadError> {
    PutAt::scan(store, b'n', after, limit)
}

/// Whether a voter has a ballot for a proposal; with a key and a choice, whether one that says just this.
///
/// # Errors
/// When the store cannot be read.
pub fn has_voted(
    store: &impl Snapshot,
    proposal: RecordId,
    voter: AgentId,
    same: Option<(&[u8; 32], &Choice)>,
) -> Result<bool, ReadError> {
    let said = same.map_or(Vec::new(), |(key, choice)| [&key[..], &cbor::to_vec(choice)].concat());
    let prefix = [b"b", &proposal.0[..], &voter.0, &said].concat();
    Ok(!store.scan_prefix(Table::VoteView, &prefix, 1)?.is_empty())
}

/// The ballots for a proposal, of one voter or of all, ascending by (voter, signing key, choice).
///
/// # Errors
/// When the store cannot be read.
pub fn ballots_for(
    store: &impl Snapshot,
    proposal: RecordId,
    voter: Option<AgentId>,
) -> Result<Vec<CastBallot>, ReadError> {
    let voter = voter.map_or(Vec::new(), |voter| voter.0.to_vec());
    let prefix = [b"b", &proposal.0[..], &voter].concat();
    let (mut from, to) = (prefix.clone(), prefix_end(&prefix));
    let mut ballots = Vec::new();
    loop {
        let rows = store.scan(Table::VoteView, &from, &to, 4_096)?;
        let Some((last, _)) = rows.last() else { return Ok(ballots) };
        from = [last, &[0][..]].concat();
        ballots.extend(rows.iter().filter_map(|(key, value)| cast_ballot(key, value)));
    }
}

fn cast_ballot(key: &[u8], value: &[u8]) -> Option<CastBallot> {
    let (proposal, rest) = key.get(1..)?.split_first_chunk::<32>()?;
    let (voter, rest) = rest.split_first_chunk::<32>()?;
    let (signing_key, choice) = rest.split_first_chunk::<32>()?;
    let (batch, index) = value.split_first_chunk::<32>()?;
    let choice: Choice = cbor::from_slice(choice, Limits { depth: 4, items: 128 }).ok()?;
    Some(CastBallot {
        ballot: Ballot {
            proposal: RecordId(*proposal),
            voter: AgentId(*voter),
            choice,
            index: u32::from_be_bytes(index.try_into().ok()?),
        },
        batch: RecordId(*batch),
        key: *signing_key,
    })
}
