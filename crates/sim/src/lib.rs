//! A seeded network of engines on one thread.
//!
//! [`Sim`] runs many [`althing_engine::Engine`]s over [`althing_store::Memory`] and plays everything around them: a
//! clock for each node, a disk that commits late, links that lose, delay, reorder and duplicate, partitions, crashes
//! (also between the vote guard and the batch that it guards), gossip, request and response, and Kademlia as "the k
//! closest by XOR". Events are ordered by (time, number), all chance comes from one seed, so the same seed gives the
//! same run: [`Sim::trace`] says whether it did.
//!
//! What must hold whatever happens is checked by [`Sim::check`]; what must hold once everybody heard everything, by
//! [`Sim::check_converged`]. [`campaign`] plays one random life of a network and asks both.
//!
//! It deliberately does not model libp2p: no handshakes, no peer scores, no attacks on Kademlia's routing. Those are
//! tested on real connections. Byzantine authors ([`Villain`]) speak through gossip with records of any content.
//!
//! ```
//! use althing_sim::{Sim, card};
//!
//! let mut net = Sim::seed(7).nodes(5);
//! net.partition(&[0, 1], &[2, 3, 4]);
//! net.node(0).publish(card("translate"));
//! net.heal();
//! net.run_until_quiet();
//! assert!(net.digests_agree());
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod build;
pub mod campaign;
mod client;
mod disk;
mod event;
mod kademlia;
mod links;
mod load;
mod memo;
mod node;
mod oracle;
mod receipts;
mod rotation;
mod shell;
mod sim;
mod snapshot;
mod terms;
mod villain;
mod voting;

pub use build::{agent_key, card, closed, motion, option, red_or_blue, sealed};
pub use client::Client;
pub use links::Links;
pub use load::{Load, Traffic};
pub use oracle::Views;
pub use sim::{Sim, WALL_START};
pub use snapshot::Snapshot;
pub use villain::Villain;
