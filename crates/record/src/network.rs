use sha2::{Digest as _, Sha256};

use crate::cbor::{self, DecodeError, Limits, List, Text};
use crate::{AgentId, Millis, NetworkId, cbor_map};

/// Longest genesis file in bytes.
pub const GENESIS_BYTES_MAX: usize = 64 * 1_024;

cbor_map! {
    /// What a network is: its id is the SHA-256 of this map. Bootstrap addresses are configuration and not part of it.
    pub struct Genesis: version 1 {
        /// The network's name, for people.
        1 => pub name: Text<64>,
        /// When rating epoch 0 begins.
        2 => pub created: Millis,
        /// The length of a rating epoch in milliseconds.
        3 => pub rating_epoch_ms: u64,
        /// Agents where trust starts; none: only personal scores exist.
        4 => pub anchors: List<AgentId, 256>,
        /// Agents who close large votes and checkpoints.
        5 => pub committee: List<AgentId, 100>,
        /// Bounds that this network sets.
        6 => pub limits: NetworkLimits,
        /// Formats that this network speaks.
        7 => pub versions: Versions,
    }
}

cbor_map! {
    /// Bounds of a network, each at most what every node allows.
    pub struct NetworkLimits {
        /// Longest record in bytes, companion included; 1,024 to 65,536.
        1 => pub record_bytes: u32,
        /// Longest card envelope in bytes; 1,024 to 16,384.
        2 => pub card_bytes: u32,
        /// Longest ballot envelope in bytes; 512 to 2,048.
        3 => pub ballot_bytes: u32,
    }
}

cbor_map! {
    /// Versions of the formats that a network speaks.
    pub struct Versions {
        /// The envelope of docs/spec/records.md.
        1 => pub record: u32,
        /// The protocols of docs/spec/wire.md.
        2 => pub wire: u32,
    }
}

/// Why a genesis was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// It is too long.
    #[error("genesis has {found} bytes, at most {GENESIS_BYTES_MAX} are allowed")]
    TooLong {
        /// How long it is.
        found: usize,
    },
    /// It does not decode.
    #[error("genesis is malformed: {0}")]
    Malformed(#[from] DecodeError),
    /// A value is outside its bounds.
    #[error("genesis has {what} = {value}, expected {expected}")]
    OutOfBounds {
        /// Which value.
        what: &'static str,
        /// What it is.
        value: u64,
        /// What it may be.
        expected: &'static str,
    },
    /// An agent is listed twice.
    #[error("genesis lists {0} twice")]
    Twice(AgentId),
    /// It has no name.
    #[error("genesis has an empty name")]
    Unnamed,
}

/// A network: a checked genesis and its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    id: NetworkId,
    genesis: Genesis,
}

impl Network {
    /// Reads a genesis file.
    ///
    /// # Errors
    /// When it is not a genesis, or a value is out of bounds.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, GenesisError> {
        if bytes.len() > GENESIS_BYTES_MAX {
            return Err(GenesisError::TooLong { found: bytes.len() });
        }
        Self::new(cbor::from_slice(bytes, Limits::RECORD)?)
    }

    /// Checks a genesis.
    ///
    /// # Errors
    /// When a value is out of bounds.
    pub fn new(genesis: Genesis) -> Result<Self, GenesisError> {
        let within = |what, value: u64, min, max, expected| {
            if (min..=max).contains(&value) {
                Ok(())
            } else {
                Err(GenesisError::OutOfBounds { what, value, expected })
            }
        };
        if genesis.name.trim().is_empty() {
            return Err(GenesisError::Unnamed);
        }
        let (limits, versions) = (&genesis.limits, &genesis.versions);
        within("rating_epoch_ms", genesis.rating_epoch_ms, 1_000, 31_536_000_000, "one second to one year")?;
        within("limits.record_bytes", limits.record_bytes.into(), 1_024, 65_536, "1,024 to 65,536")?;
        within("limits.card_bytes", limits.card_bytes.into(), 1_024, 16_384, "1,024 to 16,384")?;
        within("limits.ballot_bytes", limits.ballot_bytes.into(), 512, 2_048, "512 to 2,048")?;
        within("versions.record", versions.record.into(), 1, 1, "1")?;
        within("versions.wire", versions.wire.into(), 1, 1, "1")?;
        for list in [&genesis.anchors[..], &genesis.committee[..]] {
            for (index, agent) in list.iter().enumerate() {
                if list[..index].contains(agent) {
                    return Err(GenesisError::Twice(*agent));
                }
            }
        }
        let id = NetworkId(Sha256::digest(cbor::to_vec(&genesis)).into());
        Ok(Self { id, genesis })
    }

    /// The network that nodes join when they are told of no other: no anchors, no committee.
    #[must_use]
    pub fn builtin() -> Self {
        let name = Text::try_from("althing").unwrap_or_default();
        // 2026-11-20T00:00:00Z
        let genesis = Genesis::plain(name, Millis(1_795_132_800_000));
        Self { id: NetworkId(Sha256::digest(cbor::to_vec(&genesis)).into()), genesis }
    }

    /// The network's id.
    #[must_use]
    pub fn id(&self) -> NetworkId {
        self.id
    }

    /// What the network is.
    #[must_use]
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The bytes of the genesis file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        cbor::to_vec(&self.genesis)
    }
}

impl Genesis {
    /// A genesis with the default bounds, rating epochs of one day, no anchors and no committee.
    #[must_use]
    pub fn plain(name: Text<64>, created: Millis) -> Self {
        Self {
            name,
            created,
            rating_epoch_ms: 24 * 60 * Millis::MINUTE,
            anchors: List::default(),
            committee: List::default(),
            limits: NetworkLimits { record_bytes: 65_536, card_bytes: 16_384, ballot_bytes: 2_048 },
            versions: Versions { record: 1, wire: 1 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builtin_network_is_a_valid_genesis_with_a_fixed_id() {
        let network = Network::builtin();
        assert_eq!(Network::from_bytes(&network.to_bytes()), Ok(network.clone()));
        assert_eq!(network.id().to_string(), include_str!("../fixtures/builtin-network.id").trim());
    }

    #[test]
    fn a_genesis_out_of_bounds_is_refused_by_name() {
        let name = |text: &str| Text::try_from(text).unwrap();
        let mut genesis = Genesis::plain(name("x"), Millis(0));
        genesis.limits.card_bytes = 20_000;
        assert!(Network::new(genesis).unwrap_err().to_string().contains("limits.card_bytes = 20000"));
        let mut genesis = Genesis::plain(name("x"), Millis(0));
        genesis.anchors = vec![AgentId([1; 32]), AgentId([1; 32])].try_into().unwrap();
        assert_eq!(Network::new(genesis), Err(GenesisError::Twice(AgentId([1; 32]))));
        assert_eq!(Network::new(Genesis::plain(name(" "), Millis(0))), Err(GenesisError::Unnamed));
        assert!(matches!(Network::from_bytes(&[0; 70_000]), Err(GenesisError::TooLong { found: 70_000 })));
        assert!(matches!(Network::from_bytes(b"{\"name\":\"x\"}"), Err(GenesisError::Malformed(_))));
    }
}
