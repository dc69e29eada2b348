use althing_record::cbor::{self, Limits};
use althing_record::{AgentId, Kind, LEAVES_MAX, Record, RecordId};

use crate::docket::ItemAnswer;
use crate::{BallotError, Choice};

/// Most ballots of one batch.
pub const BALLOTS_MAX: usize = LEAVES_MAX;

/// Longest leaf in bytes: the proposal and a choice that is sealed for as many trustees as there may be.
pub(crate) const LEAF_BYTES_MAX: usize = 1_536;

const _: () = assert!(32 + 5 + crate::SEALED_BYTES_MAX <= LEAF_BYTES_MAX);

/// One voter's answer to one proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ballot {
    /// Which proposal.
    pub proposal: RecordId,
    /// Who answers.
    pub voter: AgentId,
    /// What.
    pub choice: Choice,
    /// The position among the leaves of its batch.
    pub index: u32,
}

/// The leaf of a ballot: the proposal's id, then the choice.
#[must_use]
pub fn leaf(proposal: RecordId, choice: &Choice) -> Vec<u8> {
    [&proposal.0[..], &cbor::to_vec(choice)].concat()
}

/// Reads a leaf: the proposal, the question's number if the proposal is a docket, and the choice.
pub(crate) fn parse_any_leaf(leaf: &[u8]) -> Result<(RecordId, Option<u16>, Choice), BallotError> {
    match ItemAnswer::read(leaf) {
        Ok(answer) => Ok((answer.docket, Some(answer.item), answer.choice)),
        Err(_) => parse_leaf(leaf).map(|(proposal, choice)| (proposal, None, choice)),
    }
}

/// Reads the leaf of a proposal that stands alone.
pub(crate) fn parse_leaf(leaf: &[u8]) -> Result<(RecordId, Choice), BallotError> {
    let malformed = || cbor::DecodeError::Truncated { at: leaf.len() };
    let (proposal, choice) = leaf.split_first_chunk::<32>().ok_or_else(malformed)?;
    Ok((RecordId(*proposal), cbor::from_slice(choice, Limits { depth: 4, items: 128 })?))
}

/// The ballots of a batch.
///
/// # Errors
/// When the record is not a batch of ballots, its leaves did not travel along, one of them is not a ballot, or two of
/// them answer one proposal.
pub fn ballots_of(record: &Record) -> Result<Vec<Ballot>, BallotError> {
    if record.kind() != Kind::BallotBatch {
        return Err(BallotError::Kind { expected: "BallotBatch", found: record.kind().name() });
    }
    let leaves = record.leaves().ok_or(BallotError::NoLeaves)?;
    let mut seen = std::collections::BTreeSet::new();
    (0..)
        .zip(leaves)
        .map(|(index, leaf)| {
            let (proposal, choice) = parse_leaf(leaf)?;
            if !seen.insert(proposal) {
                return Err(BallotError::Options(format!("the batch answers {proposal} twice")));
            }
            Ok(Ballot { proposal, voter: record.agent(), choice, index })
        })
        .collect()
}
