use std::sync::Arc;

use althing_record::cbor::{DecodeError, Reader, Writer};

use crate::certificate::{CertificateError, Polka};
use crate::message::{Message, MessageError};
use crate::statement::{Keys, SignedStatement, Statement, Step};
use crate::{CERTIFICATE_BYTES_MAX, Instance, MESSAGE_BYTES_MAX, VALUE_BYTES_MAX, Value, ValueTooLong};

/// Longest entry in bytes.
pub const ENTRY_BYTES_MAX: usize = MESSAGE_BYTES_MAX + CERTIFICATE_BYTES_MAX + VALUE_BYTES_MAX + 32;

/// What must be on disk before an own message is sent: the message, and with a precommit for a value all that the lock
/// consists of, which is the value and the prevotes that allowed it.
#[derive(Clone, Debug)]
pub struct Entry {
    message: Message,
    signed: SignedStatement,
    pub(crate) lock: Option<(Polka, Value)>,
    bytes: Arc<[u8]>,
}

/// Why bytes are not a kept message of this decision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Too long.
    #[error("entry has {found} bytes, at most {ENTRY_BYTES_MAX} are allowed")]
    TooLarge {
        /// How long it is.
        found: usize,
    },
    /// Not deterministic CBOR of the right shape.
    #[error("entry is malformed: {0}")]
    Malformed(#[from] DecodeError),
    /// The message is wrong.
    #[error("entry: {0}")]
    Message(#[from] MessageError),
    /// The prevotes are wrong.
    #[error("entry: {0}")]
    Certificate(#[from] CertificateError),
    /// The value is too long.
    #[error("entry: {0}")]
    Value(#[from] ValueTooLong),
    /// Not one closer's proposal or vote.
    #[error("entry holds something else than a proposal or a vote")]
    NotOwn,
    /// A precommit for a value without what the lock needs, or another message with it.
    #[error("entry holds a lock that does not belong to its message")]
    OtherLock,
}

impl EntryError {
    /// Whether nothing is wrong with it once the identity record comes that introduces a key.
    #[must_use]
    pub fn is_unknown_key(&self) -> bool {
        match self {
            Self::Message(error) => error.is_unknown_key(),
            Self::Certificate(error) => error.is_unknown_key(),
            Self::TooLarge { .. } | Self::Malformed(_) | Self::Value(_) | Self::NotOwn | Self::OtherLock => {
                false
            }
        }
    }
}

impl Entry {
    pub(crate) fn new(message: Message, signed: SignedStatement, lock: Option<(Polka, Value)>) -> Self {
        let mut to = Writer::default();
        to.array(if lock.is_some() { 3 } else { 1 });
        to.bytes(message.bytes());
        if let Some((polka, value)) = &lock {
            to.bytes(polka.0.bytes());
            to.bytes(value.bytes());
        }
        Self { message, signed, lock, bytes: to.into_bytes().into() }
    }

    /// Reads an entry back.
    ///
    /// # Errors
    /// When the bytes are not an entry of `instance`.
    pub fn verify(bytes: &[u8], instance: &Instance, keys: Keys<'_>) -> Result<Self, EntryError> {
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(EntryError::TooLarge { found: bytes.len() });
        }
        let mut reader = Reader::new(bytes);
        let len = reader.array()?;
        let message = Message::verify(reader.bytes()?, instance, keys)?;
        let lock = if len == 3 {
            let polka = Polka::verify(reader.bytes()?, instance, keys)?;
            let value = Value::new(reader.bytes()?)?;
            polka.0.names(&value)?;
            Some((polka, value))
        } else if len == 1 {
            None
        } else {
            let (what, value) = ("entry length", len as u64);
            return Err(DecodeError::OutOfBounds { what, value, expected: "1 or 3".into() }.into());
        };
        reader.end()?;
        let signed = message.signed().ok_or(EntryError::NotOwn)?.clone();
        let statement = signed.statement();
        let needed = statement.value.filter(|_| statement.step == Step::Precommit);
        let needed = needed.map(|value| (statement.round, value));
        if lock.as_ref().map(|(polka, _)| (polka.0.round(), polka.0.value())) != needed {
            return Err(EntryError::OtherLock);
        }
        Ok(Self { message, signed, lock, bytes: bytes.into() })
    }

    /// The bytes to keep.
    #[must_use]
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// The message to send once the bytes are on disk.
    #[must_use]
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// The round and the step of the message: a key under which there is at most one entry of a decision and closer.
    #[must_use]
    pub fn slot(&self) -> (u32, Step) {
        let slot = self.signed.slot();
        (slot.round, slot.step)
    }

    /// What is said.
    #[must_use]
    pub fn statement(&self) -> &Statement {
        self.signed.statement()
    }

    /// The value that a precommit is for.
    #[must_use]
    pub fn locked(&self) -> Option<&Value> {
        self.lock.as_ref().map(|(_, value)| value)
    }

    pub(crate) fn signed(&self) -> &SignedStatement {
        &self.signed
    }
}
