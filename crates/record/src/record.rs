use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::cbor::{self, DecodeError, Limits, Reader, Writer, scan, scan_sequence};
use crate::{
    AgentId, Companion, Digest, GroupId, Header, Kind, Millis, Network, NetworkId, Placement, PlacementRule,
    RecordId, SIGNATURE_LEN, SignatureError, Verdict, cbor_map, merkle, verify_signature,
};

/// What the signature of a record covers besides its bytes.
pub const EXTERNAL_AAD: &[u8] = b"althing/record/1";

/// Most leaves under one root.
pub const LEAVES_MAX: usize = 1_024;

/// A companion is scanned with room for every leaf.
const COMPANION_LIMITS: Limits = Limits { depth: 2, items: LEAVES_MAX + 1 };

cbor_map! {
    /// The payload of a kind whose companion is leaves: a commitment to them (RFC 9162 tree hash).
    pub struct Leaves: version 1 {
        /// The root over the leaves.
        1 => pub root: Digest,
        /// How many there are, 1 to 1,024.
        2 => pub count: u32,
    }
}

/// A verified record. There is no other way to one than [`Record::verify`], and no way to change it.
///
/// What was checked: the form, the bounds, the network, the kind's placement, the key and the signature, and that a
/// companion is the one that was signed. What was not, because it depends on state or time: whether a rotated key is
/// authorised ([`crate::KeyHistory`]), whether it is too early or expired ([`crate::deadline`]), and what the body says.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    id: RecordId,
    kind: Kind,
    header: Header,
    /// The carried form: the envelope, then the companion if it is there.
    bytes: Arc<[u8]>,
    envelope_len: usize,
    payload: Range<usize>,
}

/// Why bytes are not a record of this network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// Longer than any record.
    #[error("record has {found} bytes, at most {max} are allowed")]
    TooLarge {
        /// How long.
        found: usize,
        /// The bound.
        max: usize,
    },
    /// Longer than its kind allows.
    #[error("{kind} record has {found} bytes, at most {max} are allowed")]
    TooLargeForKind {
        /// The kind's name.
        kind: &'static str,
        /// How long.
        found: usize,
        /// The bound.
        max: usize,
    },
    /// Not deterministic CBOR of the right shape.
    #[error("record is malformed: {part}: {error}")]
    Malformed {
        /// Which part.
        part: &'static str,
        /// What is wrong.
        error: DecodeError,
    },
    /// Made for another network.
    #[error("record is for network {found}, this is {expected}")]
    ForeignNetwork {
        /// The record's network.
        found: NetworkId,
        /// This network.
        expected: NetworkId,
    },
    /// A kind that this version does not know.
    #[error("kind {0} is unknown to this version")]
    UnknownKind(u16),
    /// The header contradicts the rules of the kind.
    #[error("{kind} record breaks its kind's rule: {rule}")]
    Rule {
        /// The kind's name.
        kind: &'static str,
        /// Which rule.
        rule: &'static str,
    },
    /// The companion is not the one that was signed.
    #[error("companion does not match the signed commitment")]
    Companion,
    /// The key or the signature is wrong.
    #[error("{0}")]
    Signature(#[from] SignatureError),
}

impl VerifyError {
    /// What gossip does with such bytes.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::UnknownKind(_) => Verdict::Ignore,
            Self::Malformed { error, .. } if error.is_newer() => Verdict::Ignore,
            Self::TooLarge { .. }
            | Self::TooLargeForKind { .. }
            | Self::Malformed { .. }
            | Self::ForeignNetwork { .. }
            | Self::Rule { .. }
            | Self::Companion
            | Self::Signature(_) => Verdict::Reject,
        }
    }

    /// A short name for metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } | Self::TooLargeForKind { .. } => "too_large",
            Self::Malformed { error, .. } if error.is_newer() => "newer",
            Self::Malformed { .. } => "malformed",
            Self::ForeignNetwork { .. } => "foreign_network",
            Self::UnknownKind(_) => "unknown_kind",
            Self::Rule { .. } => "rule",
            Self::Companion => "companion",
            Self::Signature(SignatureError::WeakKey | SignatureError::NotAKey) => "weak_key",
            Self::Signature(SignatureError::Mismatch) => "signature",
        }
    }
}

fn malformed(part: &'static str) -> impl Fn(DecodeError) -> VerifyError {
    move |error| VerifyError::Malformed { part, error }
}

impl Record {
    /// Checks a record in its carried form: the envelope, followed by its companion if that travels along.
    ///
    /// # Errors
    /// When the bytes are not a valid record of `network`; [`VerifyError::verdict`] says whether the sender is at
    /// fault.
    pub fn verify(bytes: &[u8], network: &Network) -> Result<Self, VerifyError> {
        let limits = &network.genesis().limits;
        let max = limits.record_bytes as usize;
        if bytes.len() > max {
            return Err(VerifyError::TooLarge { found: bytes.len(), max });
        }
        let items =
            Limits { depth: Limits::RECORD.depth, items: Limits::RECORD.items + COMPANION_LIMITS.items };
        let ends = scan_sequence(bytes, 1, 2, items).map_err(malformed("envelope"))?;
        let envelope_len = ends[0];
        let parts = Parts::read(&bytes[..envelope_len]).map_err(malformed("envelope"))?;
        let header: Header =
            cbor::from_slice(parts.protected, Limits::RECORD).map_err(malformed("protected header"))?;
        if header.network != network.id() {
            return Err(VerifyError::ForeignNetwork { found: header.network, expected: network.id() });
        }
        let kind = Kind::from_code(header.kind).ok_or(VerifyError::UnknownKind(header.kind))?;
        let max = match kind {
            Kind::Card => kind.envelope_bytes_max().min(limits.card_bytes as usize),
            Kind::BallotBatch => kind.envelope_bytes_max().min(limits.ballot_bytes as usize),
            _ => kind.envelope_bytes_max(),
        };
        if envelope_len > max {
            return Err(VerifyError::TooLargeForKind { kind: kind.name(), found: envelope_len, max });
        }
        check_rules(kind, &header)?;
        check_companion(kind, &header, parts.payload, &bytes[envelope_len..])?;

        let message = sig_structure(parts.protected, parts.payload);
        verify_signature(header.key.as_ref().unwrap_or(&header.agent.0), &message, parts.signature)?;
        let start = parts.payload.as_ptr() as usize - bytes.as_ptr() as usize;
        Ok(Self {
            id: RecordId(Sha256::digest(&message).into()),
            kind,
            header,
            bytes: bytes.into(),
            envelope_len,
            payload: start..start + parts.payload.len(),
        })
    }

    /// SHA-256 of the Sig_structure.
    #[must_use]
    pub fn id(&self) -> RecordId {
        self.id
    }

    /// What it is about.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The protected header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Who says it.
    #[must_use]
    pub fn agent(&self) -> AgentId {
        self.header.agent
    }

    /// The key that signed it.
    #[must_use]
    pub fn signing_key(&self) -> &[u8; 32] {
        self.header.key.as_ref().unwrap_or(&self.header.agent.0)
    }

    /// In which group, if in one.
    #[must_use]
    pub fn group(&self) -> Option<GroupId> {
        self.header.group
    }

    /// When it was made, by its author's clock.
    #[must_use]
    pub fn made(&self) -> Millis {
        self.header.made
    }

    /// When it stops counting.
    #[must_use]
    pub fn expires(&self) -> Option<Millis> {
        self.header.expires
    }

    /// The carried form: what is gossiped, synced and stored.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The envelope alone: an untagged COSE_Sign1.
    #[must_use]
    pub fn envelope(&self) -> &[u8] {
        &self.bytes[..self.envelope_len]
    }

    /// The signed payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.bytes[self.payload.clone()]
    }

    /// Decodes the payload as the kind's body.
    ///
    /// # Errors
    /// When it is not the deterministic encoding of such a body.
    pub fn body<T: cbor::Encode + cbor::Decode>(&self) -> Result<T, DecodeError> {
        cbor::from_slice(self.payload(), Limits::RECORD)
    }

    /// The detached body, for kinds that have one, if it travelled along.
    #[must_use]
    pub fn detached_body(&self) -> Option<&[u8]> {
        match self.kind.companion() {
            Companion::Body => Reader::new(self.companion()).bytes().ok(),
            Companion::None | Companion::Leaves => None,
        }
    }

    /// The leaves, for kinds that have them, if they travelled along.
    #[must_use]
    pub fn leaves(&self) -> Option<Vec<&[u8]>> {
        match self.kind.companion() {
            Companion::Leaves if !self.companion().is_empty() => read_leaves(self.companion()).ok(),
            Companion::None | Companion::Body | Companion::Leaves => None,
        }
    }

    /// Whether everything that the kind carries travelled along.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.kind.companion() == Companion::None || !self.companion().is_empty()
    }

    fn companion(&self) -> &[u8] {
        &self.bytes[self.envelope_len..]
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} of {}", self.kind.name(), self.id.short(), self.header.agent)
    }
}

/// The parts of a COSE_Sign1 (RFC 9052, section 4.2).
struct Parts<'a> {
    protected: &'a [u8],
    payload: &'a [u8],
    signature: &'a [u8; SIGNATURE_LEN],
}

impl<'a> Parts<'a> {
    fn read(envelope: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(envelope);
        reader.array_of(4)?;
        let protected = reader.bytes()?;
        if reader.map()? != 0 {
            return Err(DecodeError::Invalid("unprotected header is not empty".into()));
        }
        let payload = reader.bytes()?;
        let signature = reader.bytes()?;
        let signature = signature.try_into().map_err(|_| DecodeError::OutOfBounds {
            what: "signature length",
            value: signature.len() as u64,
            expected: SIGNATURE_LEN.to_string(),
        })?;
        Ok(Self { protected, payload, signature })
    }
}

/// What is signed: Sig_structure of RFC 9052, section 4.4.
pub(crate) fn sig_structure(protected: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut to = Writer::default();
    to.array(4);
    to.text("Signature1");
    to.bytes(protected);
    to.bytes(EXTERNAL_AAD);
    to.bytes(payload);
    to.into_bytes()
}

fn check_rules(kind: Kind, header: &Header) -> Result<(), VerifyError> {
    let rule =
        |holds: bool, rule| if holds { Ok(()) } else { Err(VerifyError::Rule { kind: kind.name(), rule }) };
    rule(header.key.is_some() == header.key_event.is_some(), "a signing key and its event come together")?;
    rule(header.key != Some(header.agent.0), "the inception key is not repeated as signing key")?;
    rule(header.expires.is_none_or(|expires| expires > header.made), "it expires after it was made")?;
    rule(
        header.body_hash.is_some() == (kind.companion() == Companion::Body),
        "a body hash is for detached bodies",
    )?;
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    match (&header.placement, kind.placement()) {
        (Placement::Slot { name, .. }, PlacementRule::Slot { lifetime_ms_max }) => {
            rule(plain(name), "a slot's name is printable ASCII")?;
            let lifetime = header.expires.map(|expires| expires.since(header.made));
            rule(lifetime.is_some(), "a slot needs an expiry")?;
            rule(
                lifetime.is_some_and(|lifetime| lifetime <= lifetime_ms_max),
                "it outlives its kind's longest lifetime",
            )
        }
        (
            Placement::Chain { stream, incarnation, seq, prev },
            PlacementRule::Chain { stream: expected, per_incarnation },
        ) => {
            rule(&**stream == expected, "its stream is its kind's")?;
            rule(incarnation.is_some() == per_incarnation, "an incarnation is for every chain but identity")?;
            rule(prev.is_some() == (*seq > 0), "every link but the first names the one before")
        }
        (Placement::Pair { to }, PlacementRule::Pair) => {
            rule(*to != header.agent, "the two of a pair differ")
        }
        (Placement::Round { .. }, PlacementRule::Round) => Ok(()),
        (
            Placement::Slot { .. }
            | Placement::Chain { .. }
            | Placement::Pair { .. }
            | Placement::Round { .. },
            PlacementRule::Slot { .. }
            | PlacementRule::Chain { .. }
            | PlacementRule::Pair
            | PlacementRule::Round,
        ) => rule(false, "its placement is its kind's"),
    }
}

fn check_companion(kind: Kind, header: &Header, payload: &[u8], companion: &[u8]) -> Result<(), VerifyError> {
    match kind.companion() {
        Companion::None | Companion::Leaves => scan(payload, Limits::RECORD).map_err(malformed("payload"))?,
        Companion::Body if payload.is_empty() => {}
        Companion::Body => {
            return Err(VerifyError::Rule {
                kind: kind.name(),
                rule: "a detached body leaves the payload empty",
            });
        }
    }
    if companion.is_empty() {
        return Ok(());
    }
    let matches = match kind.companion() {
        Companion::None => {
            return Err(VerifyError::Malformed { part: "envelope", error: DecodeError::Trailing { at: 0 } });
        }
        Companion::Body => {
            let body = Reader::new(companion).bytes().map_err(malformed("detached body"))?;
            header.body_hash == Some(Digest(Sha256::digest(body).into()))
        }
        Companion::Leaves => {
            scan(companion, COMPANION_LIMITS).map_err(malformed("leaves"))?;
            let leaves = read_leaves(companion).map_err(malformed("leaves"))?;
            let signed: Leaves = cbor::from_slice(payload, Limits::RECORD).map_err(malformed("payload"))?;
            signed.count as usize == leaves.len() && signed.root == merkle::root(&leaves)
        }
    };
    if matches { Ok(()) } else { Err(VerifyError::Companion) }
}

fn read_leaves(companion: &[u8]) -> Result<Vec<&[u8]>, DecodeError> {
    let mut reader = Reader::new(companion);
    let count = reader.array()?;
    if count == 0 || count > LEAVES_MAX {
        let expected = format!("1 to {LEAVES_MAX}");
        return Err(DecodeError::OutOfBounds { what: "leaf count", value: count as u64, expected });
    }
    (0..count).map(|_| reader.bytes()).collect()
}

/// Until when a record that arrives at `now` is kept, or why it is not taken at all.
///
/// The deadline of an expiring record is min(expires + 10 min, now + (expires − made)), fixed when the record is first
/// seen; so ten minutes of clock error neither unlist an agent nor revive a dead one, and neither do relays or replays.
/// `None` means that it is kept for good.
///
/// # Errors
/// When the record is more than 11 minutes ahead of `now`, or past its deadline.
pub fn deadline(header: &Header, now: Millis) -> Result<Option<Millis>, TimeError> {
    const EARLY: u64 = 11 * Millis::MINUTE;
    const LATE: u64 = 10 * Millis::MINUTE;
    if header.made > now.plus(EARLY) {
        return Err(TimeError::Early { by_ms: header.made.since(now) });
    }
    let Some(expires) = header.expires else { return Ok(None) };
    let last = expires.plus(LATE);
    if last <= now {
        return Err(TimeError::Expired { by_ms: now.since(expires) });
    }
    Ok(Some(last.min(now.plus(expires.since(header.made)))))
}

/// Why a record is not taken now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Made in the future.
    #[error("made {by_ms} ms in the future; at most 11 minutes of clock error are allowed")]
    Early {
        /// How far ahead.
        by_ms: u64,
    },
    /// No longer valid.
    #[error("expired {by_ms} ms ago")]
    Expired {
        /// How long ago.
        by_ms: u64,
    },
}

#[cfg(test)]
mod tests;
