//! Agent cards, leases and the skill index.
//!
//! A card is an A2A AgentCard, byte for byte as its owner wrote it, inside a signed record, with the skill paths that
//! can be derived from it. A lease says which node serves the agent now, signed by both. The index answers "which
//! agents have this skill" from the local store.
//!
//! This crate deliberately does not fetch, sign or spread anything, and believes no label that the card's own JSON does
//! not contain.
//!
//! ```
//! use althing_card::{Card, SkillPath};
//!
//! let json = br#"{"name":"Babel","skills":[{"id":"text/translate/fr","name":"French"}]}"#;
//! let card = Card::new(json.to_vec())?;
//! let wanted: SkillPath = "text/translate".parse()?;
//! assert!(card.skills().iter().any(|skill| wanted.covers(skill)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod attribute;
mod card;
mod descent;
mod facts;
mod index;
mod key;
mod lease;
mod page;
mod placement;
mod query;
mod skill;
mod tag;
mod term;

pub use attribute::{Attribute, VALUE_BYTES_MAX, VALUES_MAX};
pub use card::{CARD_LIFETIME_MS, Card, CardBody, CardError, JSON_BYTES_MAX, SKILLS_MAX};
pub use descent::{DESCEND_MIN, Descent};
pub use facts::Facts;
pub use index::{Hit, INDEX_VERSION, find, index, index_contents, serve, unserve};
pub use key::{agent_key, term_key};
pub use lease::{LEASE_LIFETIME_MS, LEASE_RENEWAL_MS, Lease, LeaseBody, LeaseError};
pub use page::Page;
pub use placement::{FULL, MERGE_MIN, Place, Placement, REFILL_MIN, RENEWAL_MS, STAY_MAX};
pub use query::{BYTES_MAX as QUERY_BYTES_MAX, DEPTH_MAX, Plan, Query, QueryError, QueryFault, TERMS_MAX};
pub use skill::{SkillError, SkillPath};
pub use tag::{TAGS_MAX, Tag, TagError};
pub use term::Term;
