//! The one signed envelope.
mod ids;
mod key;
mod time;
mod verdict;
pub use ids::{AgentId, Digest, GroupId, IdError, Incarnation, NetworkId, NodeId, RecordId};
pub use key::{AgentKey, NodeKey, SIGNATURE_LEN, SignatureError, admit_key, verify_signature};
pub use time::Millis;
pub use verdict::Verdict;
