use althing_record::cbor::{self, Blob, DecodeError, Limits};
use althing_record::{AgentId, KeyHistory, Network, Record, VerifyError, cbor_map};

use crate::{Accept, Attestations, AttestationsError, StatementError};

/// Two statements of one agent of which it may make one: proof that it counts falsely.
///
/// From the bytes alone this proves that whoever holds the *signing* keys made both; nobody may be blamed before
/// [`Contradiction::binds`] holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contradiction {
    /// Two Accepts of one callee to one caller with one index in one rating epoch.
    Accepts(Box<[Accept; 2]>),
    /// Two attestations of one rater on one rating epoch.
    Attestations(Box<[Record; 2]>),
}

cbor_map! {
    /// The form of a [`Contradiction`] on the wire and on disk.
    pub struct ContradictionBytes: version 1 {
        /// 0: Accepts, 1: attestations.
        1 => pub form: u8,
        /// The statement with the lower id.
        2 => pub first: Blob<65_536>,
        /// The statement with the higher id.
        3 => pub second: Blob<65_536>,
    }
}

/// Why two statements do not prove a contradiction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContradictionError {
    /// The bytes are not a pair of statements.
    #[error("evidence is malformed: {0}")]
    Malformed(#[from] DecodeError),
    /// One of the Accepts is not valid.
    #[error("evidence holds an invalid accept: {0}")]
    Accept(#[from] StatementError),
    /// One of the records is not valid.
    #[error("evidence holds an invalid record: {0}")]
    Record(#[from] VerifyError),
    /// One of the records is no attestation.
    #[error("evidence holds a record that is none: {0}")]
    Attestations(#[from] AttestationsError),
    /// They do not contradict each other.
    #[error("the statements do not contradict each other")]
    NoConflict,
}

impl Contradiction {
    /// The proof that two Accepts give, if they contradict each other.
    #[must_use]
    pub fn of_accepts(one: &Accept, other: &Accept, network: &Network) -> Option<Self> {
        let conflict = one.conflicts_with(other, network.genesis());
        let (first, second) = if one.id() < other.id() { (one, other) } else { (other, one) };
        conflict.then(|| Self::Accepts(Box::new([first.clone(), second.clone()])))
    }

    /// The proof that two attestations give, if they contradict each other.
    #[must_use]
    pub fn of_attestations(one: &Record, other: &Record, network: &Network) -> Option<Self> {
        let place = |record: &Record| {
            Attestations::from_record(record, network.genesis()).ok().map(|of| (of.rater, of.epoch))
        };
        let conflict = one.id() != other.id() && place(one).is_some() && place(one) == place(other);
        let (first, second) = if one.id() < other.id() { (one, other) } else { (other, one) };
        conflict.then(|| Self::Attestations(Box::new([first.clone(), second.clone()])))
    }

    /// Reads and checks a proof.
    ///
    /// # Errors
    /// When it is not one.
    pub fn verify(bytes: &[u8], network: &Network) -> Result<Self, ContradictionError> {
        let pair: ContradictionBytes = cbor::from_slice(bytes, Limits::RECORD)?;
        let proof = match pair.form {
            0 => {
                let accept = |bytes: &[u8]| Accept::verify(bytes, network.id());
                Self::of_accepts(&accept(&pair.first)?, &accept(&pair.second)?, network)
            }
            1 => {
                let attestations = |bytes: &[u8]| -> Result<Record, ContradictionError> {
                    let record = Record::verify(bytes, network)?;
                    Attestations::from_record(&record, network.genesis())?;
                    Ok(record)
                };
                Self::of_attestations(&attestations(&pair.first)?, &attestations(&pair.second)?, network)
            }
            form => {
                let newer = DecodeError::Newer { of: "ContradictionBytes", what: "form", value: form.into() };
                return Err(newer.into());
            }
        };
        let proof = proof.ok_or(ContradictionError::NoConflict)?;
        // The other order would be a further encoding of the same proof.
        if proof.to_bytes() == bytes { Ok(proof) } else { Err(DecodeError::NotDeterministic.into()) }
    }

    /// The proof as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let blob = |bytes: &[u8]| Blob::try_from(bytes.to_vec()).unwrap_or_default();
        let (form, [first, second]) = match self {
            Self::Accepts(two) => (0, two.each_ref().map(|accept| blob(accept.bytes()))),
            Self::Attestations(two) => (1, two.each_ref().map(|record| blob(record.envelope()))),
        };
        cbor::to_vec(&ContradictionBytes { form, first, second })
    }

    /// Whether both were signed by keys that speak, or spoke, for the agent.
    #[must_use]
    pub fn binds(&self, keys: &KeyHistory) -> bool {
        match self {
            Self::Accepts(two) => two.iter().all(|accept| keys.speaks(&accept.signing_key())),
            Self::Attestations(two) => two.iter().all(|record| keys.rank(record).is_some()),
        }
    }

    /// Who contradicts itself.
    #[must_use]
    pub fn agent(&self) -> AgentId {
        match self {
            Self::Accepts(two) => two[0].callee,
            Self::Attestations(two) => two[0].agent(),
        }
    }
}
