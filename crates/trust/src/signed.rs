use std::fmt;
use std::ops::Deref;

use althing_record::cbor::{self, Decode, DecodeError, Encode, Limits, Reader, Writer};
use althing_record::{
    AgentId, AgentKey, Digest, NetworkId, SIGNATURE_LEN, SignatureError, admit_key, verify_signature,
};
use sha2::{Digest as _, Sha256};

/// Longest signed statement in bytes.
pub const SIGNED_BYTES_MAX: usize = 1_024;

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

impl<S: Statement> Signed<S> {
    /// Signs a statement; its `key` is set to what signs. The result was read like any other, but for the signature,
    /// which was made here.
    ///
    /// # Errors
    /// When it would not be valid.
    pub fn sign(statement: S, key: &AgentKey) -> Result<Self, StatementError> {
        Self::sign_with(statement, key.public(), |message| key.sign(message))
    }

    /// The same with whatever signs for the public key.
    ///
    /// # Errors
    /// When it would not be valid.
    pub fn sign_with(
        statement: S,
        public: [u8; 32],
        sign: impl FnOnce(&[u8]) -> [u8; SIGNATURE_LEN],
    ) -> Result<Self, StatementError> {
        let other = (public != statement.agent().0).then_some(public);
        let statement = statement.with_key(other);
        let network = statement.network();
        let content = cbor::to_vec(&statement);
        let signature = sign(&message::<S>(&content));
        let mut to = Writer::default();
        to.array(2);
        to.bytes(&content);
        to.bytes(&signature);
        // Of a rotated key's agent it is not known yet whether it can have signed anything.
        let check = |statement: &S, _: &[u8], _: &[u8; SIGNATURE_LEN]| {
            statement.key().map_or(Ok(()), |_| admit_key(&statement.agent().0).map(|_| ()))
        };
        Self::read(&to.into_bytes(), network, check)
    }

    /// Checks a statement as it was received.
    ///
    /// # Errors
    /// When the bytes are not a valid statement of `network`.
    pub fn verify(bytes: &[u8], network: NetworkId) -> Result<Self, StatementError> {
        Self::verify_with(bytes, network, verify_signature)
    }

    /// The same with whatever checks a signature by a key. It has to refuse all that [`verify_signature`] refuses.
    ///
    /// # Errors
    /// When the bytes are not a valid statement of `network`.
    pub fn verify_with(
        bytes: &[u8],
        network: NetworkId,
        check: impl FnOnce(&[u8; 32], &[u8], &[u8; SIGNATURE_LEN]) -> Result<(), SignatureError>,
    ) -> Result<Self, StatementError> {
        Self::read(bytes, network, |statement, message, signature| {
            let agent = statement.agent().0;
            match statement.key() {
                None => check(&agent, message, signature),
                Some(key) => admit_key(&agent).and_then(|_| check(&key, message, signature)),
            }
        })
    }

    fn read(
        bytes: &[u8],
        network: NetworkId,
        check: impl FnOnce(&S, &[u8], &[u8; SIGNATURE_LEN]) -> Result<(), SignatureError>,
    ) -> Result<Self, StatementError> {
        let name = S::NAME;
        if bytes.len() > SIGNED_BYTES_MAX {
            return Err(StatementError::TooLarge { name, found: bytes.len() });
        }
        let (content, signature) = parts(bytes).map_err(|error| StatementError::Malformed { name, error })?;
        let statement: S =
            cbor::from_slice(content, LIMITS).map_err(|error| StatementError::Malformed { name, error })?;
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
        check(&statement, &message, &signature).map_err(|error| StatementError::Signature { name, error })?;
        Ok(Self { statement, id: Digest(Sha256::digest(&message).into()), bytes: bytes.to_vec() })
    }

    /// SHA-256 of what is signed. The signature is no part of it, because one signer can make many for one message.
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

fn parts(bytes: &[u8]) -> Result<(&[u8], [u8; SIGNATURE_LEN]), DecodeError> {
    let mut reader = Reader::new(bytes);
    reader.array_of(2)?;
    let content = reader.bytes()?;
    let signature = Decode::decode(&mut reader)?;
    reader.end()?;
    Ok((content, signature))
}

/// What is signed: the length of the domain string as uint16, big-endian, the string, the content. It begins with a
/// zero byte, which nothing else that agents sign does.
fn message<S: Statement>(content: &[u8]) -> Vec<u8> {
    let len = u16::try_from(S::DOMAIN.len()).expect("domain strings are short");
    let mut message = len.to_be_bytes().to_vec();
    message.extend_from_slice(S::DOMAIN.as_bytes());
    message.extend_from_slice(content);
    message
}
