//! Keys at rest: one file per key in a private directory, sealed with a passphrase or with a secret of this machine; and
//! shares of them in other hands.
//!
//! A node has one network key (`node.key`) and one key per hosted agent (`agents/<name>.key`); they are never the same.
//! Every file is written to the side, synced and linked into place without overwriting, so a crash leaves a whole key
//! or none. [`Dealer`] splits an agent's key into signed Shamir shares and [`restore`] puts it together again. A key is never
//! overwritten but by its successor. This crate deliberately signs no identity records and never shows a key in a message.
//!
//! ```
//! use althing_keystore::{Keystore, Unlock};
//!
//! let home = tempfile::tempdir()?;
//! let keys = Keystore::open_or_create(&home.path().join("keys"), Unlock::Machine)?;
//! let node = keys.node_key().node();
//! let agent = keys.agent_key("default")?.agent();
//! assert_ne!(node.0, agent.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod envelope;
mod error;
mod files;
mod kdf;
mod keystore;
mod shares;
mod token;
mod unlock;

pub use error::KeystoreError;
pub use kdf::Stretch;
pub use keystore::{DEFAULT_AGENT, KeptIdentity, Keystore};
pub use shares::{
    Deal, DealError, Dealer, Misfit, MisfitKind, Part, RestoreError, Restored, SHARES_MAX, SetId, Share,
    ShareError, THRESHOLD_MIN, restore,
};
pub use token::ApiToken;
pub use unlock::Unlock;
