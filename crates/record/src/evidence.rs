use crate::cbor::{self, DecodeError, Limits};
use crate::{AgentId, KeyHistory, Network, Placement, Record, VerifyError, cbor_map};

/// Two records of one agent at one position of one chain: proof that the chain forked.
///
/// From the bytes alone this proves that whoever holds the *signing* keys wrote both. Anyone can sign a record in
/// another's name with a key that no rotation authorises, so nobody may be blamed before [`Fork::binds`] holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fork {
    first: Record,
    second: Record,
}

cbor_map! {
    /// The form of a [`Fork`] on the wire and on disk.
    pub struct ForkBytes: version 1 {
        /// The envelope with the lower id.
        1 => pub first: cbor::Blob<65_536>,
        /// The envelope with the higher id.
        2 => pub second: cbor::Blob<65_536>,
    }
}

/// Why two records do not prove a fork.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForkError {
    /// The bytes are not a pair of records.
    #[error("evidence is malformed: {0}")]
    Malformed(#[from] DecodeError),
    /// One of the records is not valid.
    #[error("evidence holds an invalid record: {0}")]
    Record(#[from] VerifyError),
    /// They do not contradict each other.
    #[error("the records do not stand at one position of one chain")]
    NoConflict,
}

impl Fork {
    /// The proof that two different records give, if they stand at one position of one chain.
    #[must_use]
    pub fn prove(one: &Record, other: &Record) -> Option<Self> {
        let (Placement::Chain { .. }, false) = (&one.header().placement, one.id() == other.id()) else {
            return None;
        };
        let position = |record: &Record| match &record.header().placement {
            Placement::Chain { stream, incarnation, seq, .. } => {
                Some((record.agent(), stream.clone(), *incarnation, *seq))
            }
            Placement::Slot { .. } | Placement::Pair { .. } | Placement::Round { .. } => None,
        };
        if position(one) != position(other) {
            return None;
        }
        let (first, second) = if one.id() < other.id() { (one, other) } else { (other, one) };
        Some(Self { first: first.without_companion(), second: second.without_companion() })
    }

    /// Reads and checks a proof.
    ///
    /// # Errors
    /// When it is not one.
    pub fn verify(bytes: &[u8], network: &Network) -> Result<Self, ForkError> {
        let pair: ForkBytes = cbor::from_slice(bytes, Limits::RECORD)?;
        let (first, second) = (Record::verify(&pair.first, network)?, Record::verify(&pair.second, network)?);
        let fork = Self::prove(&first, &second).ok_or(ForkError::NoConflict)?;
        // The other order, or companions along, would be further encodings of the same proof.
        if fork.to_bytes() == bytes { Ok(fork) } else { Err(DecodeError::NotDeterministic.into()) }
    }

    /// The proof as bytes: envelopes only, without companions.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let blob = |record: &Record| cbor::Blob::try_from(record.envelope().to_vec()).unwrap_or_default();
        cbor::to_vec(&ForkBytes { first: blob(&self.first), second: blob(&self.second) })
    }

    /// Whether both records were signed by keys that speak, or spoke, for the agent.
    #[must_use]
    pub fn binds(&self, keys: &KeyHistory) -> bool {
        self.records().iter().all(|record| keys.rank(record).is_some())
    }

    /// Whose chain forked.
    #[must_use]
    pub fn agent(&self) -> AgentId {
        self.first.agent()
    }

    /// The two records, by id.
    #[must_use]
    pub fn records(&self) -> [&Record; 2] {
        [&self.first, &self.second]
    }
}
