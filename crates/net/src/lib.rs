//! The libp2p shell: one swarm behind a cloneable handle.
//!
//! It connects nodes of one network (TCP and QUIC), finds those on the local network (multicast DNS), gossips on two topics, finds providers of keys through Kademlia and
//! carries requests, responses and streams. It deals in bytes and small ids; what the bytes mean is the engine's business.
//!
//! # What it deliberately does not do
//! - It does not decode or verify records: every gossip message waits for a verdict from outside.
//! - It does not sign messages (records are signed already) and stores nothing on disk.
//! - It does not retry what a peer may have read: a request fails once, with a reason. It does send a request again when
//!   the connection was refused before the peer could read it, dials bootstrap addresses again, and announces own
//!   provider records again, because nobody else would.
//!
//! # One task
//! ```text
//!   Net (handle, cloned freely)                  the node's event loop
//!     │ try_send: Ok or Busy                          ▲ recv
//!     ▼                                               │
//!   commands (bounded) ──► ┌──────────────────┐ ──► events (bounded)
//!                          │  the swarm task  │     gossip, requests: only if there is room to spare
//!   stop ────────────────► │  owns the Swarm  │     the rest: backlog (bounded), then dropped and counted
//!                          └──────────────────┘ ──► state (watch: the latest, never a queue)
//!                             ▲            │
//!                             └─ network ──┘
//! ```
//! The task waits only in one place, for whatever comes first. It never waits for the node: a node that does not keep up
//! loses gossip and inbound requests, both of which others repeat, and later everything else, all of it counted.
//!
//! # Example
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use althing_net::{Config, Event, Limits, Profile, Topic};
//! use althing_record::{NetworkId, NodeKey, Verdict};
//!
//! let (events, mut received) = tokio::sync::mpsc::channel(1024);
//! let config = Config {
//!     key: NodeKey::from_seed(&[1; 32]),
//!     network: NetworkId([7; 32]),
//!     listen: vec!["/ip4/127.0.0.1/tcp/0".parse()?],
//!     bootstrap: Vec::new(),
//!     mdns: false,
//!     reachability: althing_net::ReachMode::Auto,
//!     relay: true,
//!     upnp: false,
//!     profile: Profile::Testnet,
//!     shelf: None,
//!     streams: None,
//!     limits: Limits::default(),
//! };
//! let net = althing_net::start(config, &mut Default::default(), events).await?;
//! net.publish(Topic::Directory, b"a record".to_vec())?;
//! while let Some(event) = received.recv().await {
//!     if let Event::Gossip { message, .. } = event {
//!         net.verdict(message, Verdict::Accept)?;
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod addresses;
mod behaviour;
mod bootstrap;
mod bucket;
mod busy;
mod channel;
mod clock;
mod codec;
mod command;
mod conduct;
mod config;
mod counters;
mod directory;
mod duplicates;
mod event;
mod gate;
mod gossip_desk;
mod limits;
mod mdns;
mod message_ref;
mod muxer;
mod names;
mod neighbours;
mod net;
mod open_error;
mod outbox;
mod paths;
mod peers;
mod pings;
mod places;
mod probes;
mod profile;
mod providers;
mod punch;
mod range;
mod reach;
mod relay_desk;
mod relays;
mod reply_to;
mod request_desk;
mod request_failure;
mod request_forms;
mod score;
mod shelf;
mod start;
mod state;
mod stream_desk;
mod stream_kind;
mod streams;
mod suspects;
mod task;
mod topic;
mod versions;

#[cfg(test)]
#[expect(clippy::wildcard_enum_match_arm, reason = "a test waits for one kind of event")]
mod tests;

pub use busy::Busy;
pub use channel::Channel;
pub use config::Config;
pub use event::Event;
pub use libp2p::Multiaddr;
pub use limits::Limits;
pub use message_ref::MessageRef;
pub use net::Net;
pub use open_error::OpenError;
pub use paths::{Path, Transport};
pub use pings::{PingFailure, Pong};
pub use profile::Profile;
pub use providers::second_key;
pub use reach::{Learnt, ReachMode, Reachability, Tests};
pub use reply_to::ReplyTo;
pub use request_failure::RequestFailure;
pub use request_forms::RequestForms;
pub use shelf::{Shelf, ShelfRow};
pub use start::{StartError, start};
pub use state::{Membership, NetState, PeerState, ReachState, Relaying, Upnp};
pub use stream_kind::StreamKind;
pub use topic::Topic;
