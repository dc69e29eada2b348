//! A2A documents: an agent's card in its three forms, its signatures, and what the tunnel lets through to an agent.
//!
//! | card | whose | what |
//! | --- | --- | --- |
//! | [`OriginCard`] | the owner's | read and pinned by its hash, never written anew |
//! | [`mesh_card`] | ours | what the network spreads: the libp2p binding, the owner's card by its hash |
//! | [`local_view`] | ours | the owner's card with URLs of this machine, for a stock client |
//!
//! This crate deliberately fetches nothing, resolves no names and knows nothing of records: what comes out is JSON.
//!
//! ```
//! use althing_a2a::{MeshCard, OriginCard, Outcome, mesh_card, sign, verify};
//! use althing_record::{AgentKey, Network};
//!
//! let card = br#"{"name":"Babel","url":"http://localhost:9999/","skills":[{"id":"text/translate"}]}"#;
//! let origin = OriginCard::parse(card)?;
//! let key = AgentKey::from_seed(&[7; 32]);
//!
//! let mesh = sign(&mesh_card(&origin, key.agent(), Network::builtin().id())?, &key)?;
//! let bytes = serde_json::to_vec(&mesh)?;
//! assert_eq!(MeshCard::parse(&bytes)?.origin, origin.digest());
//! assert!(matches!(verify(&bytes)?[0].outcome, Outcome::Valid { by, .. } if by == key.agent()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod address;
mod catalog;
mod ending;
mod fault;
mod header;
mod interface;
mod json;
mod jws;
mod mesh;
mod operator_url;
mod origin;
mod portable;
mod reading;
mod remote_url;
mod schema;
mod target;
mod view;

pub use address::{AddressError, public_unicast};
pub use catalog::{CARD_MEDIA_TYPE, CATALOG_ENTRIES_MAX, CATALOG_MEDIA_TYPE, CatalogEntry, catalog};
pub use ending::{Ending, EndingReader};
pub use fault::{FAULTS_MAX, Fault, Faults, Problem};
pub use header::{PassedHeaders, is_own_header};
pub use interface::{Binding, Interface, Protocol};
pub use jws::{Outcome, SIGNATURES_MAX, SIGNED_CARD_BYTES_MAX, SignatureReport, sign, verify};
pub use mesh::{BINDING_URI, IDEMPOTENT_EXTENSION_URI, MeshCard, ORIGIN_EXTENSION_URI, mesh_card};
pub use operator_url::{OperatorUrl, URL_BYTES_MAX, UrlError};
pub use origin::{CARD_BYTES_MAX, Form, OriginCard};
pub use portable::check_portable;
pub use reading::Reading;
pub use remote_url::RemoteUrl;
pub use target::{BasePath, TARGET_BYTES_MAX, TargetError, join_queries};
pub use view::local_view;
