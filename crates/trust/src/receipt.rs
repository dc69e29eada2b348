use althing_record::cbor::{Blob, Decode, DecodeError, Encode, Limits, Reader, Writer};
use althing_record::{AgentId, Digest, Millis, NetworkId, cbor, cbor_map};

use crate::{Accept, QUALITY_MAX, SIGNED_BYTES_MAX, Signed, Statement, StatementError};

/// How a call ended, as its caller says. The numbers travel and are never given to another outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Well.
    Ok,
    /// With an answer that the caller finds bad.
    Bad,
    /// Without an answer in time.
    Timeout,
    /// With an answer that breaks the protocol of the call.
    Invalid,
}

cbor_map! {
    /// What a caller says when a call has ended: this is how it went.
    pub struct ReceiptBody: version 1 {
        /// In which network.
        1 => pub network: NetworkId,
        /// Who called.
        2 => pub caller: AgentId,
        /// The id of the Accept that opened it.
        3 => pub accept: Digest,
        /// How it went.
        4 => pub outcome: Outcome,
        /// How good the answer was: 0 to 100.
        5 => pub quality: u8,
        /// From the call to the end of the response, in milliseconds.
        6 => pub latency_ms: u32,
        /// SHA-256 of the response's body, if it came whole.
        7 => pub response_hash: Option<Digest>,
        /// When, by the caller's clock.
        8 => pub made: Millis,
        /// The signing key, absent when it is the caller's first.
        9 => pub key: Option<[u8; 32]>,
    }
}

/// A receipt that its caller signed.
pub type Receipt = Signed<ReceiptBody>;

cbor_map! {
    /// An Accept and the receipt that goes with it: a leaf under the root of an attestation.
    pub struct ReceiptLeaf: version 1 {
        /// What the callee signed.
        1 => pub accept: Blob<SIGNED_BYTES_MAX>,
        /// What the caller signed.
        2 => pub receipt: Blob<SIGNED_BYTES_MAX>,
    }
}

/// A receipt with its Accept; both signatures hold, and they belong to one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenReceipt {
    accept: Accept,
    receipt: Receipt,
}

/// Why bytes are no receipt that counts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// They are not an Accept and a receipt.
    #[error("receipt is malformed: {0}")]
    Malformed(#[from] DecodeError),
    /// One of the two is not signed by whom it names, or not as it should be.
    #[error("receipt is forged: {0}")]
    Forged(StatementError),
    /// The agent called itself.
    #[error("receipt is for a call of the agent to itself")]
    SelfCall,
    /// The quality is out of range.
    #[error("receipt has a quality above {QUALITY_MAX}")]
    Quality,
    /// The Accept belongs to another call: this one had none.
    #[error("receipt names accept {named}, found {found}")]
    NoAccept {
        /// The one named.
        named: Digest,
        /// The one at hand.
        found: Digest,
    },
    /// Somebody else made the call.
    #[error("receipt is by {found}, the call by {expected}")]
    Caller {
        /// Who called.
        expected: AgentId,
        /// Who signed the receipt.
        found: AgentId,
    },
}

impl ReceiptError {
    /// A short name for metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Forged(_) => "forged",
            Self::SelfCall => "self_call",
            Self::Quality => "quality",
            Self::NoAccept { .. } => "no_accept",
            Self::Caller { .. } => "other_caller",
        }
    }
}

const QUALITY_RULE: &str = "quality is not between 0 and 100";
const SELF_RULE: &str = "caller and callee are one agent";

impl From<StatementError> for ReceiptError {
    fn from(error: StatementError) -> Self {
        match error {
            StatementError::Rule { rule, .. } if rule == QUALITY_RULE => Self::Quality,
            StatementError::Rule { rule, .. } if rule == SELF_RULE => Self::SelfCall,
            StatementError::TooLarge { .. }
            | StatementError::Malformed { .. }
            | StatementError::ForeignNetwork { .. }
            | StatementError::Rule { .. }
            | StatementError::Signature { .. } => Self::Forged(error),
        }
    }
}

impl Outcome {
    /// Its number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Bad => 1,
            Self::Timeout => 2,
            Self::Invalid => 3,
        }
    }

    /// The outcome with this number.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::Ok, Self::Bad, Self::Timeout, Self::Invalid].into_iter().find(|known| known.code() == code)
    }
}

impl Encode for Outcome {
    fn encode(&self, to: &mut Writer) {
        self.code().encode(to);
    }
}

impl Decode for Outcome {
    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let code = u8::decode(from)?;
        let newer = DecodeError::Newer { of: "ReceiptBody", what: "outcome", value: code.into() };
        Self::from_code(code).ok_or(newer)
    }
}

impl Statement for ReceiptBody {
    const DOMAIN: &'static str = "althing/receipt/1";
    const NAME: &'static str = "receipt";

    fn network(&self) -> NetworkId {
        self.network
    }

    fn agent(&self) -> AgentId {
        self.caller
    }

    fn key(&self) -> Option<[u8; 32]> {
        self.key
    }

    fn with_key(self, key: Option<[u8; 32]>) -> Self {
        Self { key, ..self }
    }

    fn fault(&self) -> Option<&'static str> {
        (self.quality > QUALITY_MAX).then_some(QUALITY_RULE)
    }
}

impl ReceiptBody {
    /// The receipt of a call that ended without an answer: nothing of it was good.
    #[must_use]
    pub fn timeout(accept: &Accept, latency_ms: u32, made: Millis) -> Self {
        Self {
            network: accept.network,
            caller: accept.caller,
            accept: accept.id(),
            outcome: Outcome::Timeout,
            quality: 0,
            latency_ms,
            response_hash: None,
            made,
            key: None,
        }
    }
}

impl ProvenReceipt {
    /// Puts two statements together.
    ///
    /// # Errors
    /// When they belong to different calls.
    pub fn new(accept: Accept, receipt: Receipt) -> Result<Self, ReceiptError> {
        if receipt.accept != accept.id() {
            return Err(ReceiptError::NoAccept { named: receipt.accept, found: accept.id() });
        }
        if receipt.caller != accept.caller {
            return Err(ReceiptError::Caller { expected: accept.caller, found: receipt.caller });
        }
        Ok(Self { accept, receipt })
    }

    /// Reads and checks a leaf. Whether rotated keys speak for their agents is another question.
    ///
    /// # Errors
    /// When it is none of this network.
    pub fn verify(leaf: &[u8], network: NetworkId) -> Result<Self, ReceiptError> {
        let leaf: ReceiptLeaf = cbor::from_slice(leaf, Limits::RECORD)?;
        let accept = Accept::verify(&leaf.accept, network)?;
        Self::new(accept, Receipt::verify(&leaf.receipt, network)?)
    }

    /// The leaf that it is under the root of an attestation.
    #[must_use]
    pub fn leaf(&self) -> Vec<u8> {
        let blob = |bytes: &[u8]| Blob::try_from(bytes.to_vec()).expect("a statement is within its bound");
        cbor::to_vec(&ReceiptLeaf { accept: blob(self.accept.bytes()), receipt: blob(self.receipt.bytes()) })
    }

    /// What the callee signed.
    #[must_use]
    pub fn accept(&self) -> &Accept {
        &self.accept
    }

    /// What the caller signed.
    #[must_use]
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// Whether the answer came within the promised time. Without a promise any answer does.
    #[must_use]
    pub fn is_in_time(&self) -> bool {
        let promised = if self.accept.sla_ms == 0 { u32::MAX } else { self.accept.sla_ms };
        self.receipt.outcome != Outcome::Timeout && self.receipt.latency_ms <= promised
    }
}
