use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::cbor::{self, DecodeError, Limits, Reader, Writer, scan};
use crate::{
    AgentId, Companion, Digest, GroupId, Header, Kind, Millis, Network, NetworkId, Placement, PlacementRule,
    RecordId, SIGNATURE_LEN, SignatureError, Verdict, admit_key, cbor_map, merkle, verify_signature,
};

/// What the signature of a record covers besides its bytes.
pub const EXTERNAL_AAD: &[u8] = b"althing/record/1";

/// The last position of an identity chain.
pub const IDENTITY_SEQ_MAX: u64 = 255;

/// Most leaves under one root.
pub const LEAVES_MAX: usize = 1_024;

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
        let parts = Parts::read(bytes).map_err(malformed("envelope"))?;
        let (envelope_len, companion) = (bytes.len() - parts.companion.len(), parts.companion);
        let header: Header =
            cbor::from_slice(parts.protected, Limits::RECORD).map_err(malformed("protected header"))?;
        if header.network != network.id() {
            return Err(VerifyError::ForeignNetwork { found: header.network, expected: network.id() });
        }
        let kind = Kind::from_code(header.kind).ok_or(VerifyError::UnknownKind(header.kind))?;
        let of_network = match kind {
            Kind::Card => limits.card_bytes,
            Kind::BallotBatch => limits.ballot_bytes,
            Kind::Inception
            | Kind::Rotation
            | Kind::Founding
            | Kind::Membership
            | Kind::Joining
            | Kind::Lease
            | Kind::Proposal
            | Kind::ProposalBatch
            | Kind::BallotAck
            | Kind::CloseReport
            | Kind::Agreement
            | Kind::TrusteeKey
            | Kind::Opening
            | Kind::Attestations
            | Kind::Evidence
            | Kind::Checkpoint
            | Kind::Message => limits.record_bytes,
        };
        let max = kind.envelope_bytes_max().min(of_network as usize);
        if envelope_len > max {
            return Err(VerifyError::TooLargeForKind { kind: kind.name(), found: envelope_len, max });
        }
        check_rules(kind, &header)?;
        check_content(kind, &header, parts.payload, companion, envelope_len)?;

        admit_key(&header.agent.0)?;
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

    /// The same record as if its companion had not travelled along.
    #[must_use]
    pub fn without_companion(&self) -> Self {
        Self { bytes: self.envelope().into(), ..self.clone() }
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

/// The parts of a COSE_Sign1 (RFC 9052, section 4.2), and what follows it, unread: only the kind says what that may be,
/// and a later kind may say otherwise than those of today.
struct Parts<'a> {
    protected: &'a [u8],
    payload: &'a [u8],
    signature: &'a [u8; SIGNATURE_LEN],
    companion: &'a [u8],
}

impl<'a> Parts<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
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
        Ok(Self { protected, payload, signature, companion: &bytes[reader.position()..] })
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
    let grouped = match kind {
        Kind::Inception | Kind::Rotation | Kind::Founding => header.group.is_none(),
        Kind::Membership | Kind::Joining => header.group.is_some(),
        Kind::Card
        | Kind::Lease
        | Kind::Proposal
        | Kind::BallotBatch
        | Kind::ProposalBatch
        | Kind::BallotAck
        | Kind::CloseReport
        | Kind::Agreement
        | Kind::TrusteeKey
        | Kind::Opening
        | Kind::Attestations
        | Kind::Evidence
        | Kind::Checkpoint
        | Kind::Message => true,
    };
    rule(grouped, "identities and foundings stand outside groups, memberships and joinings inside one")?;
    rule(kind != Kind::Inception || header.key.is_none(), "the inception is signed by the inception key")?;
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    match (&header.placement, kind.placement()) {
        (Placement::Slot { name, revision }, PlacementRule::Slot { lifetime_ms_max }) => {
            rule(plain(name), "a slot's name is printable ASCII")?;
            rule(*revision < u64::MAX, "a slot has room for one more revision")?;
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
            rule(prev.is_some() == (*seq > 0), "every link but the first names the one before")?;
            rule(*seq < u64::MAX, "a chain has room for one more link")?;
            // What was folded from a chain (keys, ballots) is never taken out again.
            rule(header.expires.is_none(), "a link of a chain does not expire")?;
            rule(per_incarnation || *seq <= IDENTITY_SEQ_MAX, "an identity chain has at most 256 links")?;
            rule(
                per_incarnation || (kind == Kind::Inception) == (*seq == 0),
                "an identity chain begins with its one inception",
            )
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

/// Checks the payload, and the companion if one follows the envelope of `envelope_len` bytes.
fn check_content(
    kind: Kind,
    header: &Header,
    payload: &[u8],
    companion: &[u8],
    envelope_len: usize,
) -> Result<(), VerifyError> {
    let absent = companion.is_empty();
    let matches = match kind.companion() {
        Companion::None => {
            scan(payload, Limits::RECORD).map_err(malformed("payload"))?;
            let trailing = DecodeError::Trailing { at: envelope_len };
            return if absent { Ok(()) } else { Err(malformed("envelope")(trailing)) };
        }
        Companion::Body => {
            let rule = "a detached body leaves the payload empty";
            if !payload.is_empty() {
                return Err(VerifyError::Rule { kind: kind.name(), rule });
            }
            let body = |bytes| {
                let mut reader = Reader::new(bytes);
                let body = reader.bytes()?;
                reader.end().map(|()| body)
            };
            absent || {
                let body = body(companion).map_err(malformed("detached body"))?;
                header.body_hash == Some(Digest(Sha256::digest(body).into()))
            }
        }
        Companion::Leaves => {
            let signed: Leaves = cbor::from_slice(payload, Limits::RECORD).map_err(malformed("payload"))?;
            leaf_count(u64::from(signed.count)).map_err(malformed("payload"))?;
            absent || {
                let leaves = read_leaves(companion).map_err(malformed("leaves"))?;
                signed.count as usize == leaves.len() && signed.root == merkle::root(&leaves)
            }
        }
    };
    if matches { Ok(()) } else { Err(VerifyError::Companion) }
}

fn read_leaves(companion: &[u8]) -> Result<Vec<&[u8]>, DecodeError> {
    let mut reader = Reader::new(companion);
    let count = reader.array()?;
    leaf_count(count as u64)?;
    let leaves = (0..count).map(|_| reader.bytes()).collect::<Result<_, _>>()?;
    reader.end().map(|()| leaves)
}

fn leaf_count(count: u64) -> Result<(), DecodeError> {
    if (1..=LEAVES_MAX as u64).contains(&count) {
        return Ok(());
    }
    Err(DecodeError::OutOfBounds { what: "leaf count", value: count, expected: format!("1 to {LEAVES_MAX}") })
}

#[cfg(test)]
mod tests;
