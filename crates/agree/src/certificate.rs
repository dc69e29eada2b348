use std::fmt;
use std::sync::Arc;

use althing_record::cbor::{self, DecodeError, Limits, List};
use althing_record::{AgentId, Digest, NetworkId, SIGNATURE_LEN, SignatureError, cbor_map};

use crate::instance::Seat;
use crate::statement::{Keys, Said, SignedStatement, Slot, Step};
use crate::{CLOSERS_MAX, Instance, InstanceId, ROUND_MAX, Value};

/// Longest certificate in bytes: 31 signatures and what they are for.
pub const CERTIFICATE_BYTES_MAX: usize = 3_584;

const LIMITS: Limits = Limits { depth: 3, items: 20 + 4 * CLOSERS_MAX };

cbor_map! {
    /// A certificate's bytes.
    pub(crate) struct Body: version 1 {
        1 => pub network: NetworkId,
        2 => pub instance: InstanceId,
        3 => pub step: Step,
        4 => pub round: u32,
        5 => pub value: Digest,
        6 => pub signatures: List<SeatSignature, CLOSERS_MAX>,
    }
}

/// Who signed, by the closer's position, the signature, and the key unless it is the closer's first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SeatSignature {
    seat: u8,
    signature: [u8; SIGNATURE_LEN],
    key: Option<[u8; 32]>,
}

impl cbor::Encode for SeatSignature {
    fn encode(&self, to: &mut cbor::Writer) {
        to.array(if self.key.is_some() { 3 } else { 2 });
        self.seat.encode(to);
        self.signature.encode(to);
        if let Some(key) = &self.key {
            key.encode(to);
        }
    }
}

impl cbor::Decode for SeatSignature {
    fn decode(from: &mut cbor::Reader<'_>) -> Result<Self, DecodeError> {
        let len = from.array()?;
        if !matches!(len, 2 | 3) {
            let (what, value) = ("signature length", len as u64);
            return Err(DecodeError::OutOfBounds { what, value, expected: "2 or 3".into() });
        }
        let (seat, signature) = (cbor::Decode::decode(from)?, cbor::Decode::decode(from)?);
        let key = if len == 3 { Some(cbor::Decode::decode(from)?) } else { None };
        Ok(Self { seat, signature, key })
    }
}

/// Why bytes are no certificate of this decision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Too long.
    #[error("certificate has {found} bytes, at most {CERTIFICATE_BYTES_MAX} are allowed")]
    TooLarge {
        /// How long it is.
        found: usize,
    },
    /// Not deterministic CBOR of the right shape.
    #[error("certificate is malformed: {0}")]
    Malformed(#[from] DecodeError),
    /// Made for another network.
    #[error("certificate is for network {found}, this is {expected}")]
    ForeignNetwork {
        /// Its network.
        found: NetworkId,
        /// This network.
        expected: NetworkId,
    },
    /// Made for another decision.
    #[error("certificate is for decision {found}, this is {expected}")]
    ForeignInstance {
        /// Its decision.
        found: InstanceId,
        /// This decision.
        expected: InstanceId,
    },
    /// Made of votes of another kind.
    #[error("certificate consists of {found:?} statements, not of {expected:?}")]
    WrongStep {
        /// What they are.
        found: Step,
        /// What they must be.
        expected: Step,
    },
    /// A round that does not exist.
    #[error("round {found} is beyond {ROUND_MAX}")]
    RoundOutOfBounds {
        /// Which.
        found: u32,
    },
    /// For another value than the one beside it.
    #[error("certificate is for value {found}, this is {expected}")]
    OtherValue {
        /// Its value.
        found: Digest,
        /// The value beside it.
        expected: Digest,
    },
    /// Too few closers signed.
    #[error("{found} closers signed, {needed} must")]
    TooFew {
        /// How many did.
        found: usize,
        /// How many must.
        needed: usize,
    },
    /// Somebody signed who is not a closer.
    #[error("signer {seat} is not a closer: there are {closers}")]
    ForeignSigner {
        /// Which position.
        seat: u8,
        /// How many positions there are.
        closers: usize,
    },
    /// One closer's signature stands there twice.
    #[error("signer {seat} is named twice")]
    Duplicate {
        /// Which position.
        seat: u8,
    },
    /// Signers do not stand in order.
    #[error("signer {seat} stands behind a later one")]
    Unordered {
        /// Which position.
        seat: u8,
    },
    /// A signature is wrong.
    #[error("signature of signer {seat}: {error}")]
    Signature {
        /// Which position.
        seat: u8,
        /// What is wrong.
        error: SignatureError,
    },
    /// The first key of a closer stands beside its signature.
    #[error("signer {seat} names its first key")]
    NamesFirstKey {
        /// Which position.
        seat: u8,
    },
    /// The key that signed is not, or not yet, known to be the closer's.
    #[error("the key of signer {seat} is not known to be one of {agent}")]
    UnknownKey {
        /// Which position.
        seat: u8,
        /// Who has it.
        agent: AgentId,
    },
}

impl CertificateError {
    /// Whether nothing is wrong with it once the identity record comes that introduces the key.
    #[must_use]
    pub fn is_unknown_key(&self) -> bool {
        matches!(self, Self::UnknownKey { .. })
    }
}

/// A quorum's votes of one kind for one value in one round.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Certificate {
    round: u32,
    value: Digest,
    votes: Vec<SignedStatement>,
    bytes: Vec<u8>,
}

impl Certificate {
    /// Puts one together from verified votes of one slot for one value, of which there are enough.
    pub(crate) fn new(
        instance: &Instance,
        slot: Slot,
        value: Digest,
        mut votes: Vec<SignedStatement>,
    ) -> Self {
        votes.sort_unstable_by_key(SignedStatement::seat);
        let signature = |vote: &SignedStatement| SeatSignature {
            seat: vote.seat().0,
            signature: vote.signature(),
            key: vote.statement().key,
        };
        let signatures: Vec<_> = votes.iter().map(signature).collect();
        let body = Body {
            network: instance.network(),
            instance: instance.id(),
            step: slot.step,
            round: slot.round,
            value,
            signatures: signatures.try_into().expect("no more votes than closers"),
        };
        Self { round: slot.round, value, votes, bytes: cbor::to_vec(&body) }
    }

    pub(crate) fn verify(
        bytes: &[u8],
        instance: &Instance,
        keys: Keys<'_>,
        expected: Step,
    ) -> Result<Self, CertificateError> {
        if bytes.len() > CERTIFICATE_BYTES_MAX {
            return Err(CertificateError::TooLarge { found: bytes.len() });
        }
        let body: Body = cbor::from_slice(bytes, LIMITS)?;
        body.check(instance, expected)?;
        let said = Said::vote(body.step, body.round, Some(body.value));
        let votes = body.signatures.iter().map(|SeatSignature { seat, signature, key }| {
            SignedStatement::recover(instance, Seat(*seat), said, (*key, *signature))
                .map_err(|error| CertificateError::Signature { seat: *seat, error })
        });
        let votes: Vec<_> = votes.collect::<Result<_, _>>()?;
        for vote in &votes {
            if !vote.statement().has_known_key(keys) {
                let (seat, agent) = (vote.seat().0, vote.statement().closer);
                return Err(CertificateError::UnknownKey { seat, agent });
            }
        }
        Ok(Self { round: body.round, value: body.value, votes, bytes: bytes.to_vec() })
    }

    pub(crate) fn round(&self) -> u32 {
        self.round
    }

    pub(crate) fn value(&self) -> Digest {
        self.value
    }

    pub(crate) fn votes(&self) -> &[SignedStatement] {
        &self.votes
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Checks that it is for the value beside it.
    pub(crate) fn names(&self, value: &Value) -> Result<(), CertificateError> {
        let (found, expected) = (self.value, value.id());
        if found == expected { Ok(()) } else { Err(CertificateError::OtherValue { found, expected }) }
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate(round {}, {}, {} votes)", self.round, self.value.short(), self.votes.len())
    }
}

impl Body {
    /// Checks all but the signatures.
    fn check(&self, instance: &Instance, expected: Step) -> Result<(), CertificateError> {
        if self.network != instance.network() {
            let (found, expected) = (self.network, instance.network());
            return Err(CertificateError::ForeignNetwork { found, expected });
        }
        if self.instance != instance.id() {
            let (found, expected) = (self.instance, instance.id());
            return Err(CertificateError::ForeignInstance { found, expected });
        }
        if self.step != expected {
            return Err(CertificateError::WrongStep { found: self.step, expected });
        }
        if self.round > ROUND_MAX {
            return Err(CertificateError::RoundOutOfBounds { found: self.round });
        }
        let mut last = None;
        for SeatSignature { seat, key, .. } in self.signatures.iter() {
            let closers = instance.closers().len();
            let Some(closer) = instance.closer(Seat(*seat)) else {
                return Err(CertificateError::ForeignSigner { seat: *seat, closers });
            };
            if *key == Some(closer.0) {
                return Err(CertificateError::NamesFirstKey { seat: *seat });
            }
            match last {
                Some(last) if last == *seat => return Err(CertificateError::Duplicate { seat: *seat }),
                Some(last) if last > *seat => return Err(CertificateError::Unordered { seat: *seat }),
                Some(_) | None => last = Some(*seat),
            }
        }
        let (found, needed) = (self.signatures.len(), instance.quorum());
        if found < needed { Err(CertificateError::TooFew { found, needed }) } else { Ok(()) }
    }
}

/// Proof that a value was decided: precommits of a quorum. Anyone who knows the network, the decision's id and its
/// closers, and of those who signed with another key than their first the identity records, can check it.
#[derive(Clone, PartialEq, Eq)]
pub struct CommitCertificate(pub(crate) Arc<Certificate>);

impl CommitCertificate {
    /// Checks that the closers of `instance` decided `value`.
    ///
    /// # Errors
    /// When the bytes are not a certificate for it.
    pub fn verify(
        bytes: &[u8],
        instance: &Instance,
        keys: Keys<'_>,
        value: &Value,
    ) -> Result<Self, CertificateError> {
        let certificate = Certificate::verify(bytes, instance, keys, Step::Precommit)?;
        certificate.names(value)?;
        Ok(Self(Arc::new(certificate)))
    }

    /// The closers who signed with another key than their first, by the bytes of a certificate of `instance`; `None` if they
    /// are none. Nothing else is checked.
    #[must_use]
    pub fn rotated(bytes: &[u8], instance: &Instance) -> Option<Vec<AgentId>> {
        let body: Body = cbor::from_slice(bytes, LIMITS).ok()?;
        let rotated = body.signatures.iter().filter(|signature| signature.key.is_some());
        rotated.map(|signature| instance.closer(Seat(signature.seat))).collect()
    }

    /// Puts one together from statements, of which the precommits for `value` in `round` are taken; `None` if they are
    /// not of a quorum.
    #[must_use]
    pub fn gather<'s>(
        instance: &Instance,
        round: u32,
        value: &Value,
        statements: impl IntoIterator<Item = &'s SignedStatement>,
    ) -> Option<Self> {
        let slot = Slot { round, step: Step::Precommit };
        let votes: std::collections::BTreeMap<Seat, SignedStatement> = statements
            .into_iter()
            .filter(|vote| vote.slot() == slot && vote.statement().value == Some(value.id()))
            .map(|vote| (vote.seat(), vote.clone()))
            .collect();
        (votes.len() >= instance.quorum()).then(|| {
            Self(Arc::new(Certificate::new(instance, slot, value.id(), votes.into_values().collect())))
        })
    }

    /// In which round it was decided.
    #[must_use]
    pub fn round(&self) -> u32 {
        self.0.round
    }

    /// The id of the value that was decided.
    #[must_use]
    pub fn value(&self) -> Digest {
        self.0.value
    }

    /// The precommits, in the order of closers.
    #[must_use]
    pub fn votes(&self) -> &[SignedStatement] {
        &self.0.votes
    }

    /// The bytes, as they are kept and travel.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }
}

impl fmt::Debug for CommitCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Proof that a value may be proposed again: prevotes of a quorum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Polka(pub(crate) Arc<Certificate>);

impl Polka {
    pub(crate) fn verify(
        bytes: &[u8],
        instance: &Instance,
        keys: Keys<'_>,
    ) -> Result<Self, CertificateError> {
        Certificate::verify(bytes, instance, keys, Step::Prevote)
            .map(|certificate| Self(Arc::new(certificate)))
    }
}

#[cfg(test)]
mod tests;
