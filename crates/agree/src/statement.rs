use std::fmt;

use althing_record::cbor::{self, Decode, DecodeError, Encode, Limits, Reader, Writer};
use althing_record::{
    AgentId, AgentKey, Digest, NetworkId, SIGNATURE_LEN, SignatureError, cbor_map, verify_signature,
};

use crate::instance::Seat;
use crate::{Instance, InstanceId, ROUND_MAX};

/// The key that speaks for a closer now. It is given for a call and not kept.
pub type Signer<'a> = &'a AgentKey;

/// Whether a key is, or was, an agent's, besides the first one: by the agent's identity records, on any valid branch, so
/// that what is once so stays so.
pub type Keys<'a> = &'a dyn Fn(AgentId, &[u8; 32]) -> bool;

/// Where no agent has another key than its first one.
pub const FIRST_KEYS: Keys<'static> = &|_, _| false;

/// What the signatures of this crate begin with.
const DOMAIN: &str = "althing/agree/1";

/// A flat map.
const LIMITS: Limits = Limits { depth: 1, items: 32 };

/// Longest content in bytes.
const CONTENT_BYTES_MAX: usize = 256;

/// Which of the three things a closer says once per round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The leader names a value.
    Proposal,
    /// The first vote.
    Prevote,
    /// The second vote. Enough of them for one value decide.
    Precommit,
}

cbor_map! {
    /// What a closer signs.
    pub struct Statement: version 1 {
        /// In which network.
        1 => pub network: NetworkId,
        /// For which decision.
        2 => pub instance: InstanceId,
        /// Who says it.
        3 => pub closer: AgentId,
        /// What.
        4 => pub step: Step,
        /// In which round.
        5 => pub round: u32,
        /// The value's id. Absent in a vote that no value be chosen in this round.
        6 => pub value: Option<Digest>,
        /// In a proposal: the earlier round in which a quorum prevoted the value, if one did.
        7 => pub valid_round: Option<u32>,
        /// The key that signs. Absent if it is the closer's first one.
        8 => pub key: Option<[u8; 32]>,
    }
}

/// Why a signed statement is none of this decision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// Too long.
    #[error("statement has {found} bytes, at most {CONTENT_BYTES_MAX} are allowed")]
    TooLarge {
        /// How long it is.
        found: usize,
    },
    /// Not deterministic CBOR of the right shape.
    #[error("statement is malformed: {0}")]
    Malformed(#[from] DecodeError),
    /// Made for another network.
    #[error("statement is for network {found}, this is {expected}")]
    ForeignNetwork {
        /// Its network.
        found: NetworkId,
        /// This network.
        expected: NetworkId,
    },
    /// Made for another decision.
    #[error("statement is for decision {found}, this is {expected}")]
    ForeignInstance {
        /// Its decision.
        found: InstanceId,
        /// This decision.
        expected: InstanceId,
    },
    /// Nobody who has a vote.
    #[error("{agent} is not a closer of this decision")]
    NotACloser {
        /// Who.
        agent: AgentId,
    },
    /// A proposal by one whose turn it is not.
    #[error("{found} does not lead round {round}, {expected} does")]
    WrongLeader {
        /// Which round.
        round: u32,
        /// Who proposed.
        found: AgentId,
        /// Whose turn it is.
        expected: AgentId,
    },
    /// A round that does not exist.
    #[error("round {found} is beyond {ROUND_MAX}")]
    RoundOutOfBounds {
        /// Which.
        found: u32,
    },
    /// The content contradicts itself.
    #[error("statement breaks a rule: {0}")]
    Rule(&'static str),
    /// The signature is wrong.
    #[error("statement is not signed by its closer: {0}")]
    Signature(#[from] SignatureError),
    /// The key that signed it is not, or not yet, known to be its closer's.
    #[error("the key that signed the statement is not known to be one of {agent}")]
    UnknownKey {
        /// Who says it.
        agent: AgentId,
    },
}

impl StatementError {
    /// Whether nothing is wrong with it once the identity record comes that introduces the key.
    #[must_use]
    pub fn is_unknown_key(&self) -> bool {
        matches!(self, Self::UnknownKey { .. })
    }
}

/// A statement with a signature that was checked. It reads like the statement and cannot be changed.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedStatement {
    statement: Statement,
    seat: Seat,
    signature: [u8; SIGNATURE_LEN],
}

impl SignedStatement {
    pub(crate) fn sign(instance: &Instance, seat: Seat, said: Said, signer: Signer<'_>) -> Self {
        let closer = instance.closers()[seat.index()];
        let key = Some(signer.public()).filter(|key| *key != closer.0);
        let statement = statement(instance, seat, said, key);
        let signature = signer.sign(&message(&cbor::to_vec(&statement)));
        Self { statement, seat, signature }
    }

    /// Checks what a certificate says that `seat` signed, but for whose `key` it is.
    pub(crate) fn recover(
        instance: &Instance,
        seat: Seat,
        said: Said,
        (key, signature): (Option<[u8; 32]>, [u8; SIGNATURE_LEN]),
    ) -> Result<Self, SignatureError> {
        let statement = statement(instance, seat, said, key);
        verify_signature(&statement.signing_key(), &message(&cbor::to_vec(&statement)), &signature)?;
        Ok(Self { statement, seat, signature })
    }

    pub(crate) fn verify(
        content: &[u8],
        signature: [u8; SIGNATURE_LEN],
        instance: &Instance,
        keys: Keys<'_>,
    ) -> Result<Self, StatementError> {
        if content.len() > CONTENT_BYTES_MAX {
            return Err(StatementError::TooLarge { found: content.len() });
        }
        let statement: Statement = cbor::from_slice(content, LIMITS)?;
        let seat = statement.check(instance)?;
        verify_signature(&statement.signing_key(), &message(content), &signature)?;
        if !statement.has_known_key(keys) {
            return Err(StatementError::UnknownKey { agent: statement.closer });
        }
        Ok(Self { statement, seat, signature })
    }

    /// What was said.
    #[must_use]
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    pub(crate) fn seat(&self) -> Seat {
        self.seat
    }

    pub(crate) fn signature(&self) -> [u8; SIGNATURE_LEN] {
        self.signature
    }

    pub(crate) fn slot(&self) -> Slot {
        Slot { round: self.statement.round, step: self.statement.step }
    }

    /// The bytes of the statement alone, an array of content and signature, for one who asks what was signed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut to = Writer::default();
        to.array(2);
        self.encode(&mut to);
        to.into_bytes()
    }

    /// Checks the bytes of a statement alone.
    ///
    /// # Errors
    /// When they are not one of `instance`.
    pub fn from_bytes(bytes: &[u8], instance: &Instance, keys: Keys<'_>) -> Result<Self, StatementError> {
        let mut reader = Reader::new(bytes);
        reader.array_of(2)?;
        let signed = Self::decode(&mut reader, instance, keys)?;
        reader.end()?;
        Ok(signed)
    }

    /// Appends content and signature: two items.
    pub(crate) fn encode(&self, to: &mut Writer) {
        to.bytes(&cbor::to_vec(&self.statement));
        to.bytes(&self.signature);
    }

    pub(crate) fn decode(
        reader: &mut Reader<'_>,
        instance: &Instance,
        keys: Keys<'_>,
    ) -> Result<Self, StatementError> {
        let content = reader.bytes()?;
        let signature = Decode::decode(reader)?;
        Self::verify(content, signature, instance, keys)
    }
}

impl fmt::Debug for SignedStatement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Statement { step, round, value, .. } = &self.statement;
        let value = value.map_or_else(|| "nil".to_owned(), |value| value.short());
        write!(f, "{} {step:?} {round} {value}", self.seat)
    }
}

/// What a closer may say only one thing in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot {
    pub(crate) round: u32,
    pub(crate) step: Step,
}

/// A statement without what is the same in all of one closer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) slot: Slot,
    pub(crate) value: Option<Digest>,
    pub(crate) valid_round: Option<u32>,
}

impl Said {
    pub(crate) fn vote(step: Step, round: u32, value: Option<Digest>) -> Self {
        Self { slot: Slot { round, step }, value, valid_round: None }
    }
}

fn statement(instance: &Instance, seat: Seat, said: Said, key: Option<[u8; 32]>) -> Statement {
    let Said { slot, value, valid_round } = said;
    Statement {
        network: instance.network(),
        instance: instance.id(),
        closer: instance.closers()[seat.index()],
        step: slot.step,
        round: slot.round,
        value,
        valid_round,
        key,
    }
}

impl Statement {
    /// The key that signs it.
    #[must_use]
    pub fn signing_key(&self) -> [u8; 32] {
        self.key.unwrap_or(self.closer.0)
    }

    /// Whether two statements are the same, whichever of the closer's keys signed each: saying it again with another key is
    /// no contradiction.
    #[must_use]
    pub fn says_as(&self, other: &Self) -> bool {
        Self { key: None, ..self.clone() } == Self { key: None, ..other.clone() }
    }

    pub(crate) fn has_known_key(&self, keys: Keys<'_>) -> bool {
        self.key.is_none_or(|key| keys(self.closer, &key))
    }

    /// Checks all but the signature.
    fn check(&self, instance: &Instance) -> Result<Seat, StatementError> {
        let (found, expected) = (self.network, instance.network());
        if found != expected {
            return Err(StatementError::ForeignNetwork { found, expected });
        }
        let (found, expected) = (self.instance, instance.id());
        if found != expected {
            return Err(StatementError::ForeignInstance { found, expected });
        }
        let seat = instance.seat(self.closer).ok_or(StatementError::NotACloser { agent: self.closer })?;
        if self.key == Some(self.closer.0) {
            return Err(StatementError::Rule("a closer's first key is not named"));
        }
        if self.round > ROUND_MAX {
            return Err(StatementError::RoundOutOfBounds { found: self.round });
        }
        if self.step != Step::Proposal {
            return match self.valid_round {
                None => Ok(seat),
                Some(_) => Err(StatementError::Rule("a vote names no valid round")),
            };
        }
        if self.value.is_none() {
            return Err(StatementError::Rule("a proposal names a value"));
        }
        if self.valid_round.is_some_and(|valid| valid >= self.round) {
            return Err(StatementError::Rule("a proposal's valid round is an earlier one"));
        }
        let expected = instance.leader(self.round);
        if self.closer != expected {
            let (round, found) = (self.round, self.closer);
            return Err(StatementError::WrongLeader { round, found, expected });
        }
        Ok(seat)
    }
}

impl Encode for Step {
    fn encode(&self, to: &mut Writer) {
        to.uint(match self {
            Self::Proposal => 1,
            Self::Prevote => 2,
            Self::Precommit => 3,
        });
    }
}

impl Decode for Step {
    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match from.uint()? {
            1 => Ok(Self::Proposal),
            2 => Ok(Self::Prevote),
            3 => Ok(Self::Precommit),
            value => Err(DecodeError::OutOfBounds { what: "step", value, expected: "1 to 3".into() }),
        }
    }
}

/// What is signed: the length of the domain string as uint16, big-endian, the string, the content.
fn message(content: &[u8]) -> Vec<u8> {
    let len = u16::try_from(DOMAIN.len()).expect("the domain string is short");
    let mut message = len.to_be_bytes().to_vec();
    message.extend_from_slice(DOMAIN.as_bytes());
    message.extend_from_slice(content);
    message
}
