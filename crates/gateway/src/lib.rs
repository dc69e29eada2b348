//! The local API: HTTP on loopback and a Unix socket, and its client.
//!
//! The gateway turns requests into [`Ask`](althing_engine::Ask)s and the node's answers into the JSON of [`api`]. It
//! keeps three files in the node's home, which must be a directory of mode 0700:
//!
//! | file | holds |
//! | --- | --- |
//! | `api.token` | the token of 256 bits in hex, mode 0600; kept over restarts |
//! | `api.sock` | the Unix socket, mode 0600; gone when the gateway stops |
//! | `api.addr` | the TCP address; gone when the gateway stops |
//!
//! Every request must name this API in its Host header and come from no foreign web page; everything under `/v1` needs
//! the token. `/livez`, `/readyz`, `/healthz`, `/metrics`, `/openapi.json` and `/docs` need none, so every user of this machine
//! can read them: they say how the node is doing, never for whom. `GET /openapi.json` describes all of it
//! for programs, and `GET /docs` for people. `GET /v1/events` is a stream: it tells what happens at the node.
//!
//! It refuses addresses beyond loopback unless it is given a certificate to serve TLS with. It deliberately sets no CORS
//! headers and keeps no state of the node. Other doors (A2A, MCP, WebSocket) are not in this version.
//!
//! *Invariant*: nothing here decides; what the engine refuses, the gateway refuses with the same words.
//!
//! ```no_run
//! # async fn example(backend: althing_gateway::Backend) -> Result<(), Box<dyn std::error::Error>> {
//! use althing_gateway::{Config, Gateway};
//!
//! let running = Gateway::start(Config::new("/home/me/.althing"), backend).await?;
//! println!("listening on {} and {}", running.address(), running.socket().display());
//! running.stop().await;
//! # Ok(())
//! # }
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

pub mod api;
mod app;
mod awaited;
mod backend;
mod body;
mod call_desk;
mod client;
mod config;
mod docs;
mod door;
mod edge;
mod event_stream;
mod explain;
mod files;
mod gateway;
mod guard;
mod life;
mod listener;
mod query;
mod record_list;
mod refused;
mod routes;
mod scope;
mod start_error;
mod store_desk;
mod tls;
mod token;

pub use backend::{Asked, Backend, PeerInfo, Pinged};
pub use call_desk::{CallDesk, Calls, Doing, Hold};
pub use client::{
    CallReader, Client, ClientError, DOOR_EVENT_BYTES_MAX, DoorAnswer, DoorEvents, DoorRequest, EventReader,
    Exchange, SseError, SseEvent, SseReader, Tell, path_of, percent_encoded,
};
pub use config::Config;
pub use gateway::{Gateway, Running};
pub use record_list::RecordBytes;
pub use start_error::StartError;
pub use store_desk::StoreDesk;
pub use tls::Tls;
pub use token::TokenError;
