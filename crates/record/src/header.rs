use crate::cbor::{Decode, DecodeError, Encode, Reader, Text, Writer};
use crate::{AgentId, Digest, GroupId, Incarnation, Millis, NetworkId, RecordId, cbor_map};

/// COSE algorithm identifier of Ed25519 signatures: EdDSA, −8 (RFC 9053). See docs/adr/001.
const EDDSA: i64 = -8;

cbor_map! {
    /// The protected header of a record. Labels below −70,000 are ours (COSE's private range); −70,128 and below may be
    /// added later without a new network.
    pub struct Header {
        /// Always EdDSA.
        1 => pub algorithm: Algorithm,
        /// Who says it: the agent's inception key.
        -70001 => pub agent: AgentId,
        /// The signing key, absent when it is the inception key.
        -70002 => pub key: Option<[u8; 32]>,
        /// The rotation record that authorises `key`, or the inception for the recovery key.
        -70003 => pub key_event: Option<RecordId>,
        /// In which network.
        -70004 => pub network: NetworkId,
        /// In which group, if in one.
        -70005 => pub group: Option<GroupId>,
        /// The number of the kind.
        -70006 => pub kind: u16,
        /// Where it belongs.
        -70007 => pub placement: Placement,
        /// When it was made, by its author's clock.
        -70008 => pub made: Millis,
        /// When it stops counting; required in slots.
        -70009 => pub expires: Option<Millis>,
        /// SHA-256 of a body that travels beside the envelope.
        -70010 => pub body_hash: Option<Digest>,
    }
}

/// The one signature algorithm: EdDSA over Ed25519.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Algorithm;

impl Encode for Algorithm {
    fn encode(&self, to: &mut Writer) {
        to.int(EDDSA);
    }
}

impl Decode for Algorithm {
    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match from.int()? {
            EDDSA => Ok(Self),
            other => Err(DecodeError::Invalid(format!("expected algorithm EdDSA (-8), found {other}"))),
        }
    }
}

/// Where a record belongs, and its order there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// One of (agent, kind, name), of which the highest (revision, id) wins.
    Slot {
        /// Which slot of this agent and kind.
        name: Text<64>,
        /// max(last + 1, made).
        revision: u64,
    },
    /// A link of the chain (agent, stream, incarnation).
    Chain {
        /// The chain's subject.
        stream: Text<32>,
        /// The data directory's incarnation; absent in the identity chain.
        incarnation: Option<Incarnation>,
        /// Position from 0.
        seq: u64,
        /// The record before; absent at 0.
        prev: Option<RecordId>,
    },
    /// From the agent to one other.
    Pair {
        /// The other.
        to: AgentId,
    },
    /// One round of agreement on a subject.
    Round {
        /// What is agreed on.
        subject: Digest,
        /// The height.
        height: u64,
        /// The round at that height.
        round: u32,
    },
}

const SLOT: u64 = 0;
const CHAIN: u64 = 1;
const PAIR: u64 = 2;
const ROUND: u64 = 3;

impl Encode for Placement {
    fn encode(&self, to: &mut Writer) {
        match self {
            Self::Slot { name, revision } => {
                to.map(3);
                to.entry(0, &SLOT);
                to.entry(1, name);
                to.entry(2, revision);
            }
            Self::Chain { stream, incarnation, seq, prev } => {
                to.map(3 + usize::from(incarnation.is_some()) + usize::from(prev.is_some()));
                to.entry(0, &CHAIN);
                to.entry(1, stream);
                to.entry(2, incarnation);
                to.entry(3, seq);
                to.entry(4, prev);
            }
            Self::Pair { to: other } => {
                to.map(2);
                to.entry(0, &PAIR);
                to.entry(1, other);
            }
            Self::Round { subject, height, round } => {
                to.map(4);
                to.entry(0, &ROUND);
                to.entry(1, subject);
                to.entry(2, height);
                to.entry(3, round);
            }
        }
    }
}

impl Decode for Placement {
    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut entries = from.entries("Placement")?;
        let placement = match entries.take(0, "placement")? {
            SLOT => Self::Slot { name: entries.take(1, "name")?, revision: entries.take(2, "revision")? },
            CHAIN => Self::Chain {
                stream: entries.take(1, "stream")?,
                incarnation: entries.take(2, "incarnation")?,
                seq: entries.take(3, "seq")?,
                prev: entries.take(4, "prev")?,
            },
            PAIR => Self::Pair { to: entries.take(1, "to")? },
            ROUND => Self::Round {
                subject: entries.take(1, "subject")?,
                height: entries.take(2, "height")?,
                round: entries.take(3, "round")?,
            },
            other => return Err(DecodeError::Newer { of: "Placement", what: "placement", value: other }),
        };
        entries.end()?;
        Ok(placement)
    }
}
