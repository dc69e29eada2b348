use althing_record::cbor::{Blob, DecodeError};
use althing_record::{AgentId, Kind, Millis, Network, Record, RecordId, cbor_map};

use crate::{Accept, CLOCK_ERROR_MS_MAX, Contradiction, ContradictionError, RatingEpoch, SIGNED_BYTES_MAX};

/// Longest proof: two Accepts, and how long they are.
const PROOF_BYTES_MAX: usize = 2 * SIGNED_BYTES_MAX + 16;

cbor_map! {
    /// The body of an Evidence record: a contradiction that its author has seen.
    pub struct EvidenceBody: version 1 {
        /// [`Contradiction::to_bytes`] of two Accepts.
        1 => pub proof: Blob<PROOF_BYTES_MAX>,
    }
}

/// Two Accepts of one callee with one place: caller, rating epoch and index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoubleAccept {
    epoch: RatingEpoch,
    accepts: Box<[Accept; 2]>,
}

/// A [`DoubleAccept`] that somebody who holds both publishes. It proves itself: who publishes it is not believed in
/// anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accusation {
    /// The record's id.
    pub id: RecordId,
    /// Who publishes it.
    pub accuser: AgentId,
    /// What it proves.
    pub case: DoubleAccept,
}

/// Why a record is no evidence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccusationError {
    /// It is of another kind.
    #[error("expected Evidence, found {0}")]
    Kind(&'static str),
    /// Its body does not decode.
    #[error("evidence is malformed: {0}")]
    Malformed(#[from] DecodeError),
    /// It proves nothing.
    #[error(transparent)]
    Contradiction(#[from] ContradictionError),
    /// It is about attestations, which are records and need no record about them.
    #[error("evidence is about records, which speak for themselves")]
    Attestations,
    /// One of the Accepts was made after the record.
    #[error(
        "evidence holds an accept that comes from the future: it was made at {made}, the record at {record}"
    )]
    Future {
        /// When the later Accept was made, by its callee's clock.
        made: Millis,
        /// When the record was made, by its author's clock.
        record: Millis,
    },
}

impl AccusationError {
    /// Whether a newer node might accept the record: then nobody is at fault.
    #[must_use]
    pub fn is_newer(&self) -> bool {
        match self {
            Self::Malformed(error) | Self::Contradiction(ContradictionError::Malformed(error)) => {
                error.is_newer()
            }
            Self::Contradiction(ContradictionError::Accept(error)) => error.is_newer(),
            Self::Kind(_) | Self::Contradiction(_) | Self::Attestations | Self::Future { .. } => false,
        }
    }

    /// A short name for metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Kind(_) | Self::Attestations => "other_kind",
            Self::Contradiction(ContradictionError::Accept(_)) => "forged",
            Self::Contradiction(ContradictionError::NoConflict) => "no_conflict",
            Self::Malformed(_) | Self::Contradiction(_) => "malformed",
            Self::Future { .. } => "future",
        }
    }
}

impl DoubleAccept {
    /// What two Accepts prove, if they contradict each other.
    #[must_use]
    pub fn new(one: &Accept, other: &Accept, network: &Network) -> Option<Self> {
        match Contradiction::of_accepts(one, other, network)? {
            Contradiction::Accepts(accepts) => Some(Self::of(accepts, network)),
            Contradiction::Attestations(_) => None,
        }
    }

    fn of(accepts: Box<[Accept; 2]>, network: &Network) -> Self {
        Self { epoch: RatingEpoch::of(accepts[0].made, network.genesis()), accepts }
    }

    /// The body of the record that publishes it.
    #[must_use]
    pub fn body(&self) -> EvidenceBody {
        let proof = Contradiction::Accepts(self.accepts.clone()).to_bytes();
        EvidenceBody { proof: proof.try_into().expect("two statements are within the bound") }
    }

    /// Who contradicts itself.
    #[must_use]
    pub fn callee(&self) -> AgentId {
        self.accepts[0].callee
    }

    /// The place that the two share: rating epoch, caller and index, so that later places sort after earlier ones.
    #[must_use]
    pub fn place(&self) -> Vec<u8> {
        let accept = &self.accepts[0];
        [&self.epoch.0.to_be_bytes()[..], &accept.caller.0, &accept.index.to_be_bytes()].concat()
    }

    /// The keys that signed the two, the lower first.
    #[must_use]
    pub fn keys(&self) -> [[u8; 32]; 2] {
        let mut keys = self.accepts.each_ref().map(Accept::signing_key);
        keys.sort_unstable();
        keys
    }
}

impl Accusation {
    /// Reads a record and verifies both Accepts. Whether [`DoubleAccept::keys`] speak for the callee is another question.
    ///
    /// # Errors
    /// When it proves no contradiction of two Accepts.
    pub fn from_record(record: &Record, network: &Network) -> Result<Self, AccusationError> {
        if record.kind() != Kind::Evidence {
            return Err(AccusationError::Kind(record.kind().name()));
        }
        let body: EvidenceBody = record.body()?;
        let Contradiction::Accepts(accepts) = Contradiction::verify(&body.proof, network)? else {
            return Err(AccusationError::Attestations);
        };
        let made = accepts[0].made.max(accepts[1].made);
        if made > record.made().plus(CLOCK_ERROR_MS_MAX) {
            return Err(AccusationError::Future { made, record: record.made() });
        }
        Ok(Self { id: record.id(), accuser: record.agent(), case: DoubleAccept::of(accepts, network) })
    }
}
