use std::fmt;
use std::str::FromStr;

/// A text that is not the id it was taken for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text does not begin as this kind of id does.
    #[error("expected {expected}, found \"{found}\"")]
    Form {
        /// What the text should look like.
        expected: &'static str,
        /// What it was, cut to 80 characters.
        found: String,
    },
    /// The id decodes to the wrong number of bytes.
    #[error("expected {expected} bytes, found {found}")]
    Length {
        /// How many bytes the id has.
        expected: usize,
        /// How many there were.
        found: usize,
    },
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// The bytes of the id.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// The first eight bytes in hex, for logs and tables.
            #[must_use]
            pub fn short(&self) -> String {
                hex::encode(&self.0[..8.min($len)])
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = IdError;

            fn try_from(bytes: &[u8]) -> Result<Self, IdError> {
                bytes.try_into().map(Self).map_err(|_| IdError::Length { expected: $len, found: bytes.len() })
            }
        }
    };
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        id!($(#[$doc])* $name, $len);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let form = || IdError::Form {
                    expected: concat!(stringify!($len), " bytes in hex"),
                    found: text.chars().take(80).collect(),
                };
                Self::try_from(hex::decode(text).map_err(|_| form())?.as_slice())
            }
        }
    };
}

hex_id!(
    /// SHA-256 of a record's Sig_structure: protected header and payload, never the signature.
    RecordId,
    32
);
hex_id!(
    /// SHA-256 of a genesis: which mesh.
    NetworkId,
    32
);
hex_id!(
    /// The id of the `Founding` record of a group.
    GroupId,
    32
);
hex_id!(
    /// Random bytes chosen once per data directory, so that a restored copy starts a new chain.
    Incarnation,
    8
);
hex_id!(
    /// A SHA-256 digest of anything that is not a record.
    Digest,
    32
);
id!(
    /// An agent: the Ed25519 public key of its inception, kept through key rotation. Written `did:key:z6Mk…`.
    AgentId,
    32
);
id!(
    /// A node: its Ed25519 network key. Written as a libp2p PeerId, `12D3KooW…`.
    NodeId,
    32
);

impl NetworkId {
    /// The 16 hex digits that stand in protocol ids and topics.
    #[must_use]
    pub fn tag(&self) -> String {
        self.short()
    }
}

/// Multicodec prefix of an Ed25519 public key (varint 0xed).
const ED25519_MULTICODEC: [u8; 2] = [0xed, 0x01];

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = ED25519_MULTICODEC.to_vec();
        bytes.extend_from_slice(&self.0);
        write!(f, "did:key:z{}", bs58::encode(bytes).into_string())
    }
}

impl FromStr for AgentId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let form = || IdError::Form {
            expected: "an Ed25519 did:key (did:key:z6Mk…)",
            found: text.chars().take(80).collect(),
        };
        let encoded = text.strip_prefix("did:key:z").filter(|rest| rest.len() <= 64).ok_or_else(form)?;
        let bytes = bs58::decode(encoded).into_vec().map_err(|_| form())?;
        let key = bytes.strip_prefix(&ED25519_MULTICODEC).ok_or_else(form)?;
        Self::try_from(key)
    }
}

/// A PeerId of an Ed25519 key is an identity multihash over its protobuf: these bytes, then the key.
const PEER_ID_PREFIX: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];

impl NodeId {
    /// The bytes of the libp2p PeerId.
    #[must_use]
    pub fn to_peer_id_bytes(&self) -> [u8; 38] {
        let mut bytes = [0; 38];
        bytes[..6].copy_from_slice(&PEER_ID_PREFIX);
        bytes[6..].copy_from_slice(&self.0);
        bytes
    }

    /// The node behind a PeerId.
    ///
    /// # Errors
    /// When the PeerId is not that of an Ed25519 key.
    pub fn from_peer_id_bytes(bytes: &[u8]) -> Result<Self, IdError> {
        let key = bytes.strip_prefix(&PEER_ID_PREFIX).ok_or_else(|| IdError::Form {
            expected: "the PeerId of an Ed25519 key",
            found: hex::encode(&bytes[..bytes.len().min(40)]),
        })?;
        Self::try_from(key)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bs58::encode(self.to_peer_id_bytes()).into_string())
    }
}

impl FromStr for NodeId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let form =
            || IdError::Form { expected: "a PeerId (12D3KooW…)", found: text.chars().take(80).collect() };
        if text.len() > 64 {
            return Err(form());
        }
        Self::from_peer_id_bytes(&bs58::decode(text).into_vec().map_err(|_| form())?)
    }
}

impl fmt::Debug for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example of the did:key specification, "Ed25519 with X25519".
    #[test]
    fn did_key_matches_the_specification() {
        let did = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";
        let agent: AgentId = did.parse().unwrap();
        assert_eq!(hex::encode(agent.0), "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29");
        assert_eq!(agent.to_string(), did);
    }

    #[test]
    fn ids_refuse_other_forms_by_name() {
        assert!("did:web:example.org".parse::<AgentId>().unwrap_err().to_string().contains("did:key"));
        assert!("zz".parse::<RecordId>().unwrap_err().to_string().contains("hex"));
        assert_eq!("00".parse::<RecordId>(), Err(IdError::Length { expected: 32, found: 1 }));
        assert!("QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG".parse::<NodeId>().is_err());
    }

    #[test]
    fn node_ids_round_trip_as_peer_ids() {
        let node = NodeId([7; 32]);
        let text = node.to_string();
        assert!(text.starts_with("12D3KooW"));
        assert_eq!(text.parse::<NodeId>().unwrap(), node);
    }
}
