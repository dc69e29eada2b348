//! The rows of [`Table::VoteView`] about Closed decisions:
//!
//! - `a` ‖ proposal ‖ closer ‖ voter's place ‖ batch → empty: an acknowledgement;
//! - `r` ‖ proposal ‖ closer ‖ report → empty;
//! - `v` ‖ proposal ‖ step ‖ round ‖ value ‖ closer → the lowest record of the agreement that says so;
//! - `w` ‖ proposal ‖ closer ‖ round ‖ step ‖ value → the same record, to find two that contradict each other;
//! - `o` ‖ proposal ‖ record → empty: a statement whose proposal or keys are not known yet;
//! - `c` ‖ proposal → empty: a Closed proposal that is not decided;
//! - `d` ‖ proposal → the value that was decided.

use std::collections::BTreeSet;

use althing_agree::{Statement, Step};
use althing_record::{AgentId, Digest, RecordId};
use althing_store::{Batch, ReadError, Snapshot, Table, prefix_end};

use crate::{Ack, CloseReport};

/// Most rows of one question to the view: what honest closers say is far less.
const ROWS_MAX: usize = 65_536;

fn step_byte(step: Step) -> u8 {
    match step {
        Step::Proposal => 0,
        Step::Prevote => 1,
        Step::Precommit => 2,
    }
}

/// A vote without a value stands as zeros, which are no value's hash.
fn value_bytes(value: Option<Digest>) -> [u8; 32] {
    value.map_or([0; 32], |value| value.0)
}

/// Adds acknowledgements of a closer to the view.
pub fn index_acks(closer: AgentId, acks: &[Ack], batch: &mut Batch) {
    for ack in acks {
        let key = [b"a", &ack.proposal.0[..], &closer.0, &ack.voter.to_be_bytes(), &ack.batch.0].concat();
        batch.put(Table::VoteView, key, Vec::new());
    }
}

/// Adds a close report to the view.
pub fn index_report(report: &CloseReport, batch: &mut Batch) {
    let key = [b"r", &report.proposal.0[..], &report.closer.0, &report.id.0].concat();
    batch.put(Table::VoteView, key, Vec::new());
}

/// Adds a statement of the agreement to the view.
///
/// # Errors
/// When the store cannot be read.
pub fn index_statement(
    store: &impl Snapshot,
    proposal: RecordId,
    statement: &Statement,
    record: RecordId,
    batch: &mut Batch,
) -> Result<(), ReadError> {
    let (round, step) = (statement.round.to_be_bytes(), [step_byte(statement.step)]);
    let (value, closer) = (value_bytes(statement.value), statement.closer.0);
    let vote = [b"v", &proposal.0[..], &step, &round, &value, &closer].concat();
    let place = [b"w", &proposal.0[..], &closer, &round, &step, &value].concat();
    if store.get(Table::VoteView, &vote)?.is_none_or(|row| record.0[..] < row[..]) {
        batch.put(Table::VoteView, vote, record.0.to_vec());
        batch.put(Table::VoteView, place, record.0.to_vec());
    }
    Ok(())
}

/// What a closer acknowledged for a proposal: voters' places and batches.
///
/// # Errors
/// When the store cannot be read.
pub fn acks_of(
    store: &impl Snapshot,
    proposal: RecordId,
    closer: Option<AgentId>,
) -> Result<Vec<(AgentId, u16, RecordId)>, ReadError> {
    let prefix =
        [&b"a"[..], &proposal.0[..], closer.as_ref().map_or(&[][..], |closer| &closer.0[..])].concat();
    let rows = store.scan_prefix(Table::VoteView, &prefix, ROWS_MAX)?;
    let ack = |key: &[u8]| {
        let (closer, rest) = key.get(33..)?.split_first_chunk::<32>()?;
        let (voter, batch) = rest.split_first_chunk::<2>()?;
        Some((AgentId(*closer), u16::from_be_bytes(*voter), RecordId::try_from(batch).ok()?))
    };
    Ok(rows.iter().filter_map(|(key, _)| ack(key)).collect())
}

/// Whether a closer acknowledged a ballot of the voter at a place.
///
/// # Errors
/// When the store cannot be read.
pub fn has_acked(
    store: &impl Snapshot,
    proposal: RecordId,
    closer: AgentId,
    voter: u16,
) -> Result<bool, ReadError> {
    let prefix = [b"a", &proposal.0[..], &closer.0, &voter.to_be_bytes()].concat();
    Ok(!store.scan_prefix(Table::VoteView, &prefix, 1)?.is_empty())
}

/// The close reports for a proposal: closers and records, ascending.
///
/// # Errors
/// When the store cannot be read.
pub fn reports_for(store: &impl Snapshot, proposal: RecordId) -> Result<Vec<(AgentId, RecordId)>, ReadError> {
    let rows = store.scan_prefix(Table::VoteView, &[b"r", &proposal.0[..]].concat(), ROWS_MAX)?;
    let report = |key: &[u8]| {
        let (closer, id) = key.get(33..)?.split_first_chunk::<32>()?;
        Some((AgentId(*closer), RecordId::try_from(id).ok()?))
    };
    Ok(rows.iter().filter_map(|(key, _)| report(key)).collect())
}

/// The lowest close reports of one closer for a proposal, at most `limit`: more than one contradict each other.
///
/// # Errors
/// When the store cannot be read.
pub fn reports_of(
    store: &impl Snapshot,
    proposal: RecordId,
    closer: AgentId,
    limit: usize,
) -> Result<Vec<RecordId>, ReadError> {
    let rows = store.scan_prefix(Table::VoteView, &[b"r", &proposal.0[..], &closer.0].concat(), limit)?;
    Ok(rows.iter().filter_map(|(key, _)| RecordId::try_from(key.get(65..)?).ok()).collect())
}

/// The records of the agreement on a proposal, of one closer or of all.
///
/// # Errors
/// When the store cannot be read.
pub fn statements_of(
    store: &impl Snapshot,
    proposal: RecordId,
    closer: Option<AgentId>,
) -> Result<Vec<RecordId>, ReadError> {
    let prefix =
        [&b"w"[..], &proposal.0[..], closer.as_ref().map_or(&[][..], |closer| &closer.0[..])].concat();
    let rows = store.scan_prefix(Table::VoteView, &prefix, ROWS_MAX)?;
    Ok(rows.iter().filter_map(|(_, id)| RecordId::try_from(&id[..]).ok()).collect())
}

/// The records in which a closer says something at one place of the agreement: more than one are a contradiction.
///
/// # Errors
/// When the store cannot be read.
pub fn statements_at(
    store: &impl Snapshot,
    proposal: RecordId,
    statement: &Statement,
) -> Result<Vec<RecordId>, ReadError> {
    let (round, step) = (statement.round.to_be_bytes(), [step_byte(statement.step)]);
    let prefix = [b"w", &proposal.0[..], &statement.closer.0, &round, &step].concat();
    let rows = store.scan_prefix(Table::VoteView, &prefix, ROWS_MAX)?;
    Ok(rows.iter().filter_map(|(_, id)| RecordId::try_from(&id[..]).ok()).collect())
}

/// Who precommitted a value in a round.
///
/// # Errors
/// When the store cannot be read.
pub fn precommits(
    store: &impl Snapshot,
    proposal: RecordId,
    round: u32,
    value: Digest,
) -> Result<BTreeSet<AgentId>, ReadError> {
    let step = [step_byte(Step::Precommit)];
    let prefix = [b"v", &proposal.0[..], &step, &round.to_be_bytes(), &value.0].concat();
    let rows = store.scan(Table::VoteView, &prefix, &prefix_end(&prefix), ROWS_MAX)?;
    Ok(rows.iter().filter_map(|(key, _)| AgentId::try_from(key.get(prefix.len()..)?).ok()).collect())
}

/// A record of each closer that precommitted a value in a round.
///
/// # Errors
/// When the store cannot be read.
pub fn precommit_records(
    store: &impl Snapshot,
    proposal: RecordId,
    round: u32,
    value: Digest,
) -> Result<Vec<RecordId>, ReadError> {
    let step = [step_byte(Step::Precommit)];
    let prefix = [b"v", &proposal.0[..], &step, &round.to_be_bytes(), &value.0].concat();
    let rows = store.scan_prefix(Table::VoteView, &prefix, ROWS_MAX)?;
    Ok(rows.iter().filter_map(|(_, id)| RecordId::try_from(&id[..]).ok()).collect())
}

/// Notes a statement whose proposal, or one of whose keys, is not known yet, so that it cannot be checked.
pub fn index_early_statement(proposal: RecordId, record: RecordId, batch: &mut Batch) {
    batch.put(Table::VoteView, [b"o", &proposal.0[..], &record.0].concat(), Vec::new());
}

/// The statements that came before they could be checked.
///
/// # Errors
/// When the store cannot be read.
pub fn early_statements(store: &impl Snapshot, proposal: RecordId) -> Result<Vec<RecordId>, ReadError> {
    let rows = store.scan_prefix(Table::VoteView, &[b"o", &proposal.0[..]].concat(), ROWS_MAX)?;
    Ok(rows.iter().filter_map(|(key, _)| RecordId::try_from(key.get(33..)?).ok()).collect())
}

/// The decisions of which statements came before they could be checked.
///
/// # Errors
/// When the store cannot be read.
pub fn early_decisions(store: &impl Snapshot) -> Result<BTreeSet<RecordId>, ReadError> {
    let rows = store.scan_prefix(Table::VoteView, b"o", ROWS_MAX)?;
    Ok(rows.iter().filter_map(|(key, _)| RecordId::try_from(key.get(1..33)?).ok()).collect())
}

/// Forgets that a statement came before it could be checked.
pub fn forget_early_statement(proposal: RecordId, record: RecordId, batch: &mut Batch) {
    batch.delete(Table::VoteView, [b"o", &proposal.0[..], &record.0].concat());
}

/// The records in which something is said in a round of the agreement.
///
/// # Errors
/// When the store cannot be read.
pub fn statements_in(
    store: &impl Snapshot,
    proposal: RecordId,
    round: u32,
) -> Result<Vec<RecordId>, ReadError> {
    let mut found = Vec::new();
    for step in 0..3_u8 {
        let prefix = [b"v", &proposal.0[..], &[step], &round.to_be_bytes()].concat();
        let rows = store.scan_prefix(Table::VoteView, &prefix, 256)?;
        found.extend(rows.iter().filter_map(|(_, id)| RecordId::try_from(&id[..]).ok()));
    }
    Ok(found)
}

/// Adds a Closed proposal to those that are not decided.
pub fn index_closing(proposal: RecordId, batch: &mut Batch) {
    batch.put(Table::VoteView, [b"c", &proposal.0[..]].concat(), Vec::new());
}

/// Closed proposals that are not decided, at most `limit`.
///
/// # Errors
/// When the store cannot be read.
pub fn open_closings(store: &impl Snapshot, limit: usize) -> Result<Vec<RecordId>, ReadError> {
    let rows = store.scan_prefix(Table::VoteView, b"c", limit)?;
    Ok(rows.iter().filter_map(|(key, _)| RecordId::try_from(key.get(1..)?).ok()).collect())
}

/// Notes what was decided.
pub fn index_decision(proposal: RecordId, value: &[u8], batch: &mut Batch) {
    batch.delete(Table::VoteView, [b"c", &proposal.0[..]].concat());
    batch.put(Table::VoteView, [b"d", &proposal.0[..]].concat(), value.to_vec());
}

/// What was decided on a proposal.
///
/// # Errors
/// When the store cannot be read.
pub fn decision_of(store: &impl Snapshot, proposal: RecordId) -> Result<Option<Vec<u8>>, ReadError> {
    Ok(store.get(Table::VoteView, &[b"d", &proposal.0[..]].concat())?.map(|row| row.to_vec()))
}
