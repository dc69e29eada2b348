use althing_record::AgentId;
use althing_record::cbor::{DecodeError, Reader, Writer};

use crate::Instance;
use crate::statement::{Keys, SignedStatement, StatementError};

/// Longest evidence in bytes.
pub const EVIDENCE_BYTES_MAX: usize = 768;

/// Proof that a closer signed two different statements where it may sign one, with one of its keys or with two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence(Box<[SignedStatement; 2]>);

/// Why bytes prove nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// Too long.
    #[error("evidence has {found} bytes, at most {EVIDENCE_BYTES_MAX} are allowed")]
    TooLarge {
        /// How long it is.
        found: usize,
    },
    /// Not deterministic CBOR of the right shape.
    #[error("evidence is malformed: {0}")]
    Malformed(#[from] DecodeError),
    /// A statement is not one of this decision.
    #[error("evidence: {0}")]
    Statement(#[from] StatementError),
    /// The statements do not contradict each other, or do not stand in order.
    #[error("evidence does not show two different statements of one closer in one place, the lesser first")]
    NoConflict,
}

impl Evidence {
    /// Proves that two statements contradict each other, if they do.
    #[must_use]
    pub fn prove(one: &SignedStatement, other: &SignedStatement) -> Option<Self> {
        let is_same_place = one.seat() == other.seat() && one.slot() == other.slot();
        let conflict = is_same_place && !one.statement().says_as(other.statement());
        let key = |signed: &SignedStatement| {
            let statement = signed.statement();
            (statement.value.map(|value| value.0), statement.valid_round)
        };
        let (one, other) = if key(one) <= key(other) { (one, other) } else { (other, one) };
        conflict.then(|| Self(Box::new([one.clone(), other.clone()])))
    }

    /// Checks a proof as it was received.
    ///
    /// # Errors
    /// When the bytes prove nothing about a closer of `instance`.
    pub fn verify(bytes: &[u8], instance: &Instance, keys: Keys<'_>) -> Result<Self, EvidenceError> {
        if bytes.len() > EVIDENCE_BYTES_MAX {
            return Err(EvidenceError::TooLarge { found: bytes.len() });
        }
        let mut reader = Reader::new(bytes);
        reader.array_of(4)?;
        let one = SignedStatement::decode(&mut reader, instance, keys)?;
        let other = SignedStatement::decode(&mut reader, instance, keys)?;
        reader.end()?;
        let evidence = Self::prove(&one, &other).ok_or(EvidenceError::NoConflict)?;
        if evidence.0[0] == one { Ok(evidence) } else { Err(EvidenceError::NoConflict) }
    }

    /// Who signed both.
    #[must_use]
    pub fn closer(&self) -> AgentId {
        self.0[0].statement().closer
    }

    /// The two statements.
    #[must_use]
    pub fn statements(&self) -> &[SignedStatement; 2] {
        &self.0
    }

    /// The bytes, as they are kept and travel.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut to = Writer::default();
        to.array(4);
        self.0.iter().for_each(|signed| signed.encode(&mut to));
        to.into_bytes()
    }
}
