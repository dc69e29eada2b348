use std::sync::Arc;

use althing_record::cbor::{DecodeError, Reader, Writer};
use althing_record::{AgentId, Digest};

use crate::certificate::{Certificate, CommitCertificate, Polka};
use crate::statement::{Keys, SignedStatement, StatementError, Step};
use crate::{CERTIFICATE_BYTES_MAX, CertificateError, Instance, VALUE_BYTES_MAX, Value, ValueTooLong};

/// Longest message in bytes.
pub const MESSAGE_BYTES_MAX: usize = VALUE_BYTES_MAX + CERTIFICATE_BYTES_MAX + 512;

/// A verified message with its exact bytes. Cheap to clone.
///
/// What was checked: the form, the bounds, the network, the decision, that every signer is a closer and every
/// signature is right and by one of its keys, that a proposal is its round's leader's, and that a value is the one that
/// is signed.
#[derive(Clone, Debug)]
pub struct Message {
    pub(crate) content: Arc<Content>,
    bytes: Arc<[u8]>,
}

/// What a message says.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// A leader's proposal, with what shows that the value was prevoted in its valid round.
    Proposal { signed: SignedStatement, polka: Option<Polka>, value: Value },
    /// A prevote or precommit.
    Vote(SignedStatement),
    /// A value that a quorum prevoted.
    Polka { polka: Polka, value: Value },
    /// A value that was decided.
    Decision { certificate: CommitCertificate, value: Value },
}

/// Why bytes are not a message of this decision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Too long.
    #[error("message has {found} bytes, at most {MESSAGE_BYTES_MAX} are allowed")]
    TooLarge {
        /// How long it is.
        found: usize,
    },
    /// Not deterministic CBOR of the right shape.
    #[error("message is malformed: {0}")]
    Malformed(#[from] DecodeError),
    /// The value is too long.
    #[error(transparent)]
    Value(#[from] ValueTooLong),
    /// The signed part is wrong.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// A certificate in it is wrong.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A statement in another kind's frame.
    #[error("a {found:?} statement stands where another kind belongs")]
    WrongStep {
        /// What it is.
        found: Step,
    },
    /// The value is not the one that is signed.
    #[error("proposal names value {expected}, beside it is {found}")]
    OtherValue {
        /// What is beside it.
        found: Digest,
        /// What it names.
        expected: Digest,
    },
    /// A proposal without the prevotes that its valid round needs, or with others.
    #[error("prevotes beside a proposal are not those of its valid round")]
    OtherPolka,
}

impl MessageError {
    /// Whether nothing is wrong with it once the identity record comes that introduces a key.
    #[must_use]
    pub fn is_unknown_key(&self) -> bool {
        match self {
            Self::Statement(error) => error.is_unknown_key(),
            Self::Certificate(error) => error.is_unknown_key(),
            Self::TooLarge { .. }
            | Self::Malformed(_)
            | Self::Value(_)
            | Self::WrongStep { .. }
            | Self::OtherValue { .. }
            | Self::OtherPolka => false,
        }
    }
}

const PROPOSAL: u64 = 1;
const VOTE: u64 = 2;
const POLKA: u64 = 3;
const DECISION: u64 = 4;

impl Message {
    pub(crate) fn new(content: Content) -> Self {
        let bytes = content.encode().into();
        Self { content: Arc::new(content), bytes }
    }

    /// Checks a message as it was received.
    ///
    /// # Errors
    /// When the bytes are not a valid message of `instance`.
    pub fn verify(bytes: &[u8], instance: &Instance, keys: Keys<'_>) -> Result<Self, MessageError> {
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(MessageError::TooLarge { found: bytes.len() });
        }
        let mut reader = Reader::new(bytes);
        let len = reader.array()?;
        let kind = reader.uint()?;
        let content = match (kind, len) {
            (PROPOSAL, 5) => proposal(&mut reader, instance, keys)?,
            (VOTE, 3) => {
                let signed = SignedStatement::decode(&mut reader, instance, keys)?;
                if signed.statement().step == Step::Proposal {
                    return Err(MessageError::WrongStep { found: Step::Proposal });
                }
                Content::Vote(signed)
            }
            (POLKA, 3) => {
                let polka = Polka::verify(reader.bytes()?, instance, keys)?;
                let value = Value::new(reader.bytes()?)?;
                polka.0.names(&value)?;
                Content::Polka { polka, value }
            }
            (DECISION, 3) => {
                let certificate = Certificate::verify(reader.bytes()?, instance, keys, Step::Precommit)?;
                let value = Value::new(reader.bytes()?)?;
                certificate.names(&value)?;
                Content::Decision { certificate: CommitCertificate(Arc::new(certificate)), value }
            }
            (value, _) => {
                let expected = "a kind from 1 to 4 with as many parts as it has".into();
                return Err(DecodeError::OutOfBounds { what: "message", value, expected }.into());
            }
        };
        reader.end()?;
        Ok(Self { content: Arc::new(content), bytes: bytes.into() })
    }

    /// The exact bytes, as they travel.
    #[must_use]
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// Who signed it: none for what a quorum signed.
    #[must_use]
    pub fn closer(&self) -> Option<AgentId> {
        self.signed().map(|signed| signed.statement().closer)
    }

    /// What its one signer said: none for what a quorum signed.
    #[must_use]
    pub fn signed(&self) -> Option<&SignedStatement> {
        match &*self.content {
            Content::Proposal { signed, .. } | Content::Vote(signed) => Some(signed),
            Content::Polka { .. } | Content::Decision { .. } => None,
        }
    }
}

fn proposal(reader: &mut Reader<'_>, instance: &Instance, keys: Keys<'_>) -> Result<Content, MessageError> {
    let signed = SignedStatement::decode(reader, instance, keys)?;
    let found = signed.statement().step;
    if found != Step::Proposal {
        return Err(MessageError::WrongStep { found });
    }
    let polka = match reader.bytes()? {
        [] => None,
        bytes => Some(Polka::verify(bytes, instance, keys)?),
    };
    let value = Value::new(reader.bytes()?)?;
    let expected = signed.statement().value.expect("a proposal names a value");
    if value.id() != expected {
        return Err(MessageError::OtherValue { found: value.id(), expected });
    }
    let shown = polka.as_ref().map(|polka| (polka.0.round(), polka.0.value()));
    if shown != signed.statement().valid_round.map(|round| (round, expected)) {
        return Err(MessageError::OtherPolka);
    }
    Ok(Content::Proposal { signed, polka, value })
}

impl Content {
    fn encode(&self) -> Vec<u8> {
        let mut to = Writer::default();
        match self {
            Self::Proposal { signed, polka, value } => {
                to.array(5);
                to.uint(PROPOSAL);
                signed.encode(&mut to);
                to.bytes(polka.as_ref().map_or(&[][..], |polka| polka.0.bytes()));
                to.bytes(value.bytes());
            }
            Self::Vote(signed) => {
                to.array(3);
                to.uint(VOTE);
                signed.encode(&mut to);
            }
            Self::Polka { polka, value } => {
                to.array(3);
                to.uint(POLKA);
                to.bytes(polka.0.bytes());
                to.bytes(value.bytes());
            }
            Self::Decision { certificate, value } => {
                to.array(3);
                to.uint(DECISION);
                to.bytes(certificate.bytes());
                to.bytes(value.bytes());
            }
        }
        to.into_bytes()
    }
}

#[cfg(test)]
mod tests;
