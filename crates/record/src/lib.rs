//! The one signed envelope that everything shared is carried in: ids, keys, deterministic CBOR, limits, evidence.
//!
//! A [`Record`] is an untagged COSE_Sign1 (RFC 9052) over Ed25519 whose protected header says who, in which network,
//! what kind, where it belongs ([`Placement`]) and when. `docs/spec/records.md` is the format for people.
//!
//! Verification is parsing: [`Record::verify`] is the only way to a `Record`, so code that holds one need not ask
//! again. This crate deliberately knows nothing of what bodies say beyond identity and groups, holds no state, and has
//! no clock, no entropy and no IO.
//!
//! ```
//! use althing_record::{AgentKey, Content, Draft, Inception, Kind, Millis, Network, Placement, Record, cbor};
//!
//! let network = Network::builtin();
//! let key = AgentKey::from_seed(&[7; 32]);
//! let body = Inception { recovery_key_hash: althing_record::recovery_key_hash(&[8; 32]) };
//! let record = Draft {
//!     agent: key.agent(),
//!     key_event: None,
//!     group: None,
//!     kind: Kind::Inception,
//!     placement: Placement::Chain { stream: "identity".try_into()?, incarnation: None, seq: 0, prev: None },
//!     made: Millis(1_795_132_800_000),
//!     expires: None,
//!     content: Content::Body(cbor::to_vec(&body)),
//! }
//! .sign(&key, &network)?;
//!
//! let mut bytes = record.bytes().to_vec();
//! assert_eq!(Record::verify(&bytes, &network)?, record);
//! *bytes.last_mut().unwrap() ^= 1;
//! assert_eq!(Record::verify(&bytes, &network).unwrap_err().to_string(), "signature does not match");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

pub mod cbor;
mod deadline;
mod draft;
mod evidence;
mod group;
mod header;
mod identity;
mod ids;
mod key;
mod kind;
pub mod merkle;
mod network;
mod record;
mod time;
mod verdict;

pub use deadline::{TimeError, deadline};
pub use draft::{Content, Draft};
pub use evidence::{Fork, ForkBytes, ForkError};
pub use group::{Change, Founding, Joining, Membership};
pub use header::{Algorithm, Header, Placement};
pub use identity::{Inception, KeyHistory, Rotation, recovery_key_hash};
pub use ids::{AgentId, Digest, GroupId, IdError, Incarnation, NetworkId, NodeId, RecordId};
pub use key::{AgentKey, NodeKey, SIGNATURE_LEN, SignatureError, admit_key, verify_signature};
pub use kind::{Companion, Domain, Kind, PlacementRule};
pub use network::{GENESIS_BYTES_MAX, Genesis, GenesisError, Network, NetworkLimits, Versions};
pub use record::{EXTERNAL_AAD, IDENTITY_SEQ_MAX, LEAVES_MAX, Leaves, Record, VerifyError};
pub use time::Millis;
pub use verdict::Verdict;
