//! What end-to-end tests need: the real binary, homes that vanish, nodes that end with their test.
//!
//! Tests are in `e2e/`. They start real processes and use the command line as a user does; nothing here links the
//! workspace's other crates. The binary is `ALTHING_BIN`, or else cargo builds it.

#![allow(clippy::disallowed_methods, reason = "real processes, real time")]

mod background;
mod binary;
mod home;
mod http;
mod internet;
mod keys;
mod lan;
mod node;
mod origin;
mod poll;
mod run;
mod skip;
mod small_disk;

pub use background::Background;
pub use binary::binary;
pub use home::Home;
pub use http::{Reply, get, send};
pub use internet::{Internet, Nat, Place, Router};
pub use keys::keys;
pub use lan::Lan;
pub use node::Node;
pub use origin::{Answer, Asked, Flood, Origin, card, reply};
pub use poll::{poll, poll_or_say};
pub use run::{Run, althing, run};
pub use skip::skip;
pub use small_disk::SmallDisk;
