use std::fmt;
use std::ops::Deref;

use althing_record::cbor::{self, Decode, DecodeError, Encode, Limits, Reader, Writer};
use althing_record::{AgentId, AgentKey, Digest, NetworkId, SignatureError, admit_key, verify_signature};
use sha2::{Digest as _, Sha256};

use crate::signature::{self, with_domain};
use crate::{Claim, Signature};

/// Longest signed statement in bytes.
pub const SIGNED_BYTES_MAX: usize = 1_024;

/// Bytes before a domain string that say how long it is.
const DOMAIN_LEN_BYTES: usize = 2;

/// Bytes of a carried statement that say how long its parts are, at most.
const HEADS_BYTES: usize = 7;

/// Nesting and items of a statement: a flat map.
const LIMITS: Limits = Limits { depth: 2, items: 64 };

/// What an agent can sign that is not a record.
pub trait Statement: Encode + Decode + Clone {
    /// What its signatures begin with, so that none fits anything else: `althing/<name>/<version>`.
    const DOMAIN: &'static str;

    /// Its name in errors.
    const NAME: &'static str;

    /// In which network it counts.
    fn network(&self) -> NetworkId;

    /// Who says it.
    fn agent(&self) -> AgentId;

    /// The signing key, absent when it is the agent's first.
    fn key(&self) -> Option<[u8; 32]>;

    /// The same, signed with another key.
    #[must_use]
    fn with_key(self, key: Option<[u8; 32]>) -> Self;

    /// Which rule the content breaks, if it breaks one.
    fn fault(&self) -> Option<&'static str>;
}

/// A verified statement with its exact bytes. It reads like the statement and cannot be changed.
///
/// What was checked: the form, the bounds, the network, the statement's own rules, the key and the signature. What was
/// not, because it depends on state or time: whether a rotated key speaks for the agent, and whether it is timely.
#[derive(Clone, PartialEq, Eq)]
pub struct Signed<S> {
    statement: S,
    id: Digest,
    bytes: Vec<u8>,
}

/// Why bytes are not a statement of this network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// Too long.
    #[error("{name} has {found} bytes, at most {SIGNED_BYTES_MAX} are allowed")]
    TooLarge {
        /// The statement's name.
        name: &'static str,
        /// How long it is.
        found: usize,
    },
    /// Not deterministic CBOR of the right shape.
    #[error("{name} is malformed: {error}")]
    Malformed {
        /// The statement's name.
        name: &'static str,
        /// What is wrong.
        error: DecodeError,
    },
    /// Made for another network.
    #[error("{name} is for network {found}, this is {expected}")]
    ForeignNetwork {
        /// The statement's name.
        name: &'static str,
        /// Its network.
        found: NetworkId,
        /// This network.
        expected: NetworkId,
    },
    /// The content contradicts itself.
    #[error("{name} breaks a rule: {rule}")]
    Rule {
        /// The statement's name.
        name: &'static str,
        /// Which rule.
        rule: &'static str,
    },
    /// The key or the signature is wrong.
    #[error("{name} is not signed by its agent: {error}")]
    Signature {
        /// The statement's name.
        name: &'static str,
        /// What is wrong.
        error: SignatureError,
    },
}

impl StatementError {
    /// Whether a newer node might accept the bytes: then nobody is at fault.
    #[must_use]
    pub fn is_newer(&self) -> bool {
        matches!(self, Self::Malformed { error, .. } if error.is_newer())
    }
}

/// A statement that lacks nothing but its signature.
#[derive(Clone, Debug)]
pub struct Unsigned<S> {
    statement: S,
    message: Vec<u8>,
}

impl<S: Statement> Unsigned<S> {
    /// A statement that is about to be signed with this key; its `key` is set to that.
    ///
    /// # Errors
    /// When it would not be valid.
    pub fn new(statement: S, public: [u8; 32]) -> Result<Self, StatementError> {
        let name = S::NAME;
        let agent = statement.agent();
        let other = (public != agent.0).then_some(public);
        let statement = statement.with_key(other);
        if let Some(rule) = statement.fault() {
            return Err(StatementError::Rule { name, rule });
        }
        // Of a rotated key's agent it is not known yet whether it can have signed anything.
        if other.is_some() {
            admit_key(&agent.0).map_err(|error| StatementError::Signature { name, error })?;
        }
        let message = message::<S>(&cbor::to_vec(&statement));
        Ok(Self { statement, message })
    }

    /// What is to be signed.
    #[must_use]
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// The statement with its signature, which is believed.
    ///
    /// # Errors
    /// When it is too long.
    pub fn signed(self, signature: &Signature) -> Result<Signed<S>, StatementError> {
        let content = &self.message[DOMAIN_LEN_BYTES + S::DOMAIN.len()..];
        let mut to = Writer::with_capacity(HEADS_BYTES + content.len() + signature.bytes().len());
        to.array(2);
        to.bytes(content);
        to.bytes(signature.bytes());
        let bytes = to.into_bytes();
        if bytes.len() > SIGNED_BYTES_MAX {
            return Err(StatementError::TooLarge { name: S::NAME, found: bytes.len() });
        }
        Ok(Signed { id: Digest(Sha256::digest(&self.message).into()), statement: self.statement, bytes })
    }
}

impl<S: Statement> Signed<S> {
    /// Signs a statement; its `key` is set to what signs. All was checked that is of others, but for the signature, which
    /// was made here.
    ///
    /// # Errors
    /// When it would not be valid.
    pub fn sign(statement: S, key: &AgentKey) -> Result<Self, StatementError> {
        let unsigned = Unsigned::new(statement, key.public())?;
        let signature = Signature::alone(key.sign(unsigned.message()));
        unsigned.signed(&signature)
    }

    /// Reads a statement without checking its signature: for bytes that were verified before they were kept.
    ///
    /// # Errors
    /// When they are no statement.
    pub fn said(bytes: &[u8]) -> Result<S, StatementError> {
        let malformed = |error| StatementError::Malformed { name: S::NAME, error };
        let (content, _) = parts(bytes).map_err(malformed)?;
        cbor::from_slice(content, LIMITS).map_err(malformed)
    }

    /// Checks a statement as it was received.
    ///
    /// # Errors
    /// When the bytes are not a valid statement of `network`.
    pub fn verify(bytes: &[u8], network: NetworkId) -> Result<Self, StatementError> {
        Self::verify_with(bytes, network, |claim| verify_signature(claim.key, claim.message, claim.signature))
    }

    /// The same with whatever checks a signature by a key. It has to refuse all that [`verify_signature`] refuses.
    ///
    /// # Errors
    /// When the bytes are not a valid statement of `network`.
    pub fn verify_with(
        bytes: &[u8],
        network: NetworkId,
        check: impl FnOnce(&Claim<'_>) -> Result<(), SignatureError>,
    ) -> Result<Self, StatementError> {
        let name = S::NAME;
        if bytes.len() > SIGNED_BYTES_MAX {
            return Err(StatementError::TooLarge { name, found: bytes.len() });
        }
        let malformed = |error| StatementError::Malformed { name, error };
        let (content, signature) = parts(bytes).map_err(malformed)?;
        let signature = signature::Parts::of(signature).map_err(malformed)?;
        let statement: S = cbor::from_slice(content, LIMITS).map_err(malformed)?;
        let found = statement.network();
        if found != network {
            return Err(StatementError::ForeignNetwork { name, found, expected: network });
        }
        if statement.key() == Some(statement.agent().0) {
            return Err(StatementError::Rule { name, rule: "key repeats the agent" });
        }
        if let Some(rule) = statement.fault() {
            return Err(StatementError::Rule { name, rule });
        }
        let message = message::<S>(content);
        let id = Digest(Sha256::digest(&message).into());
        let shared = signature.shared(id).map_err(|rule| StatementError::Rule { name, rule })?;
        let agent = statement.agent().0;
        let key = statement.key();
        let claim = Claim {
            key: key.as_ref().unwrap_or(&agent),
            message: shared.as_deref().unwrap_or(&message),
            signature: signature.signature,
            is_shared: shared.is_some(),
        };
        let admitted = key.map_or(Ok(()), |_| admit_key(&agent).map(|_| ()));
        let checked = admitted.and_then(|()| check(&claim));
        checked.map_err(|error| StatementError::Signature { name, error })?;
        Ok(Self { statement, id, bytes: bytes.to_vec() })
    }

    /// SHA-256 of what the statement's own signature is over, whether it has one or shares one. The signature is no part of
    /// it, because one signer can make many for one message.
    #[must_use]
    pub fn id(&self) -> Digest {
        self.id
    }

    /// The exact bytes, as they travel.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The key that signed it. If it is not the agent's first, the agent's key history must know it.
    #[must_use]
    pub fn signing_key(&self) -> [u8; 32] {
        self.statement.key().unwrap_or(self.statement.agent().0)
    }
}

impl<S> Deref for Signed<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.statement
    }
}

impl<S: fmt::Debug> fmt::Debug for Signed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signed").field("id", &self.id).field("statement", &self.statement).finish()
    }
}

fn parts(bytes: &[u8]) -> Result<(&[u8], &[u8]), DecodeError> {
    let mut reader = Reader::new(bytes);
    reader.array_of(2)?;
    let content = reader.bytes()?;
    let signature = reader.bytes()?;
    reader.end()?;
    Ok((content, signature))
}

/// What a statement's own signature is over: the domain, and the content.
fn message<S: Statement>(content: &[u8]) -> Vec<u8> {
    with_domain(S::DOMAIN, &[content])
}
