use althing_record::cbor::{Blob, DecodeError};
use althing_record::{AgentId, Digest, Kind, Millis, Record, RecordId, cbor_map};

use crate::RatingEpoch;

/// Most attestations that one checkpoint takes; what is left is for the next one, which may be of the same rating epoch.
pub const TAKEN_MAX: usize = 1_400;

/// Most agents of each kind, and most rows, whose account one checkpoint changes.
pub const CHANGES_MAX: usize = 64;

/// A rating epoch and a record.
const TAKEN_BYTES: usize = 8 + 32;

/// A rater, a rating epoch and the place of a row.
const UNPROVED_BYTES: usize = 32 + 8 + 4;

cbor_map! {
    /// The body of a checkpoint: which attestations count up to a rating epoch, and the scores that follow from them. It
    /// says what is new since the checkpoint before it. It counts if a Closed decision of the network's committee says so.
    pub struct CheckpointBody: version 1 {
        /// The last rating epoch whose attestations are in it.
        1 => pub epoch: u64,
        /// The checkpoint before it; none: it is the first.
        2 => pub prev: Option<RecordId>,
        /// Attestations that it takes and none before it did: the rating epoch in 8 bytes and the record, ascending.
        3 => pub taken: Blob<{ TAKEN_MAX * TAKEN_BYTES }>,
        /// [`crate::Scores::root`] of the network-wide scores at the epoch.
        4 => pub score_root: Digest,
        /// [`crate::Params::hash`] of what they were computed with.
        5 => pub params_hash: Digest,
        /// How many agents have scores.
        6 => pub agents: u32,
        /// Agents whose misbehaviour is proved and was not before, ascending.
        7 => pub slashed: Blob<{ CHANGES_MAX * 32 }>,
        /// Agents against whom nothing stands any more, ascending.
        8 => pub cleared: Blob<{ CHANGES_MAX * 32 }>,
        /// Rows that count nothing from now on, for a demanded receipt was not shown: the rater, the rating epoch in 8 bytes
        /// and the row's place in 4, ascending.
        9 => pub unproved: Blob<{ CHANGES_MAX * UNPROVED_BYTES }>,
    }
}

/// A row of which a demanded receipt was not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unproved {
    /// Who counted it.
    pub rater: AgentId,
    /// For which rating epoch.
    pub epoch: RatingEpoch,
    /// Its place among the rows of the attestation, from 0.
    pub row: u32,
}

/// What a checkpoint changes: everything in it but the scores that follow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckpointChanges {
    /// Attestations that it takes, by rating epoch and record.
    pub taken: Vec<(RatingEpoch, RecordId)>,
    /// Whose misbehaviour is newly proved.
    pub slashed: Vec<AgentId>,
    /// Against whom nothing stands any more.
    pub cleared: Vec<AgentId>,
    /// Rows that count nothing from now on.
    pub unproved: Vec<Unproved>,
}

/// A checkpoint that somebody proposed. Whether it counts is said by a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The record's id.
    pub id: RecordId,
    /// Who proposed it.
    pub author: AgentId,
    /// When, by the author's clock.
    pub made: Millis,
    /// The last rating epoch whose attestations are in it.
    pub epoch: RatingEpoch,
    /// The checkpoint before it.
    pub prev: Option<RecordId>,
    /// What is new since then.
    pub changes: CheckpointChanges,
    /// The root over the scores of all agents.
    pub score_root: Digest,
    /// How many agents have scores.
    pub agents: u32,
    /// The hash of what they were computed with.
    pub params_hash: Digest,
}

/// Why a record is no checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// It is of another kind.
    #[error("expected Checkpoint, found {0}")]
    Kind(&'static str),
    /// Its body does not decode.
    #[error("checkpoint is malformed: {0}")]
    Malformed(#[from] DecodeError),
    /// A list is not one of whole entries, ascending, each there once.
    #[error("what a checkpoint {0} is not in order")]
    Order(&'static str),
    /// It takes an attestation of a rating epoch that comes after its own.
    #[error("checkpoint of rating epoch {of} takes an attestation of rating epoch {found}")]
    Future {
        /// The checkpoint's.
        of: RatingEpoch,
        /// The attestation's.
        found: RatingEpoch,
    },
}

impl CheckpointError {
    /// Whether a newer node might accept the record: then nobody is at fault.
    #[must_use]
    pub fn is_newer(&self) -> bool {
        matches!(self, Self::Malformed(error) if error.is_newer())
    }
}

impl Checkpoint {
    /// Reads a record.
    ///
    /// # Errors
    /// When it is none, or a list in it breaks its rule.
    pub fn from_record(record: &Record) -> Result<Self, CheckpointError> {
        if record.kind() != Kind::Checkpoint {
            return Err(CheckpointError::Kind(record.kind().name()));
        }
        let body: CheckpointBody = record.body()?;
        let epoch = RatingEpoch(body.epoch);
        let changes = CheckpointChanges {
            taken: entries(&body.taken, "takes", read_taken)?,
            slashed: entries(&body.slashed, "slashes", |bytes: &[u8; 32]| AgentId(*bytes))?,
            cleared: entries(&body.cleared, "clears", |bytes: &[u8; 32]| AgentId(*bytes))?,
            unproved: entries(&body.unproved, "strikes out", read_unproved)?,
        };
        if let Some((found, _)) = changes.taken.last().filter(|(last, _)| *last > epoch) {
            return Err(CheckpointError::Future { of: epoch, found: *found });
        }
        Ok(Self {
            id: record.id(),
            author: record.agent(),
            made: record.made(),
            epoch,
            prev: body.prev,
            changes,
            score_root: body.score_root,
            agents: body.agents,
            params_hash: body.params_hash,
        })
    }

    /// Whether one of its lists has no more room, so that another of the same rating epoch may follow.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let changes = &self.changes;
        let lists = [changes.slashed.len(), changes.cleared.len(), changes.unproved.len()];
        changes.taken.len() == TAKEN_MAX || lists.contains(&CHANGES_MAX)
    }
}

impl CheckpointChanges {
    /// Whether there is nothing new.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The body of a checkpoint that changes this. `None` if there is more than one can hold.
    #[must_use]
    pub fn body(
        &self,
        epoch: RatingEpoch,
        prev: Option<RecordId>,
        scores: (Digest, u32),
        params_hash: Digest,
    ) -> Option<CheckpointBody> {
        let agents =
            |agents: &[AgentId]| Blob::try_from(agents.iter().flat_map(|agent| agent.0).collect::<Vec<_>>());
        let taken = self.taken.iter().flat_map(|(epoch, id)| [&epoch.0.to_be_bytes()[..], &id.0].concat());
        let unproved = self
            .unproved
            .iter()
            .flat_map(|row| [&row.rater.0[..], &row.epoch.0.to_be_bytes(), &row.row.to_be_bytes()].concat());
        Some(CheckpointBody {
            epoch: epoch.0,
            prev,
            taken: Blob::try_from(taken.collect::<Vec<_>>()).ok()?,
            score_root: scores.0,
            params_hash,
            agents: scores.1,
            slashed: agents(&self.slashed).ok()?,
            cleared: agents(&self.cleared).ok()?,
            unproved: Blob::try_from(unproved.collect::<Vec<_>>()).ok()?,
        })
    }
}

/// Entries of equal length, ascending.
fn entries<T: Ord, const BYTES: usize>(
    bytes: &[u8],
    what: &'static str,
    read: impl Fn(&[u8; BYTES]) -> T,
) -> Result<Vec<T>, CheckpointError> {
    let (whole, rest) = bytes.as_chunks::<BYTES>();
    let entries: Vec<T> = whole.iter().map(read).collect();
    let in_order = rest.is_empty() && entries.windows(2).all(|pair| pair[0] < pair[1]);
    if in_order { Ok(entries) } else { Err(CheckpointError::Order(what)) }
}

fn read_taken(bytes: &[u8; TAKEN_BYTES]) -> (RatingEpoch, RecordId) {
    let (mut epoch, mut id) = ([0; 8], [0; 32]);
    epoch.copy_from_slice(&bytes[..8]);
    id.copy_from_slice(&bytes[8..]);
    (RatingEpoch(u64::from_be_bytes(epoch)), RecordId(id))
}

fn read_unproved(bytes: &[u8; UNPROVED_BYTES]) -> Unproved {
    let (mut rater, mut epoch, mut row) = ([0; 32], [0; 8], [0; 4]);
    rater.copy_from_slice(&bytes[..32]);
    epoch.copy_from_slice(&bytes[32..40]);
    row.copy_from_slice(&bytes[40..]);
    Unproved {
        rater: AgentId(rater),
        epoch: RatingEpoch(u64::from_be_bytes(epoch)),
        row: u32::from_be_bytes(row),
    }
}
