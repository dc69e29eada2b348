//! Calls between agents: HTTP/1.1 in streams between nodes.
//!
//! ```text
//!   client ─► Caller ══ Call, request ══════════════════► Callee ─► Origin (the exposed agent)
//!                    ◄═ Accept (before the agent is asked), response ═
//! ```
//! The caller's agent signs a [`althing_trust::Call`] that names the request's head, the callee's agent answers with a
//! signed [`althing_trust::Accept`] before the agent behind it is asked, and then the bytes of HTTP pass unchanged but for
//! the headers of hops. Calls of one pair of nodes share one stream of libp2p (see `mux`); a peer that does not offer that
//! is called with a stream for each call. `docs/spec/calls.md` is the protocol for people.
//!
//! What may be reached is an [`Exposure`] and nothing else: two doors and a card. Nothing is sent to an origin whose card is
//! not the pinned one, nor a request that would have it send push notifications into its own network. This crate deliberately knows no libp2p ([`Dial`] opens streams), finds nobody, chooses nobody, and
//! never sends a request again.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod accept_book;
mod body;
mod call_stream;
mod callee;
mod caller;
mod dial;
mod driver;
mod evidence;
mod exposure;
mod http_origin;
mod identity;
mod kept;
mod keys;
mod limits;
mod lingering;
mod log;
mod meter;
mod mux;
mod operation;
mod origin;
mod peer;
mod plain;
mod prefixed;
mod roots;
mod serve;
mod sessions;
mod signer;
mod signing;
mod taken;
#[cfg(test)]
mod tests;
mod turn;
mod verify;
mod webhooks;

pub use accept_book::KeysHere;
pub use body::{Body, BodyError, ReadError, empty, full, read};
pub use callee::Callee;
pub use caller::{CallError, Caller};
pub use dial::{BoxIo, Dial, DialError, Io, Line, Place};
pub use evidence::{Evidence, Outcome, Side};
pub use exposure::{Doors, Exposure, Exposures, Pace};
pub use http_origin::{CARD_BYTES_MAX, FetchError, HttpOrigin, Pin, Site};
pub use identity::Identity;
pub use keys::{KeyBook, Learn, ReadIdentity};
pub use limits::Limits;
pub use log::{CallLine, CallLog};
pub use meter::{Ending, Meter};
pub use origin::{Origin, OriginError};
pub use serve::{CALLER_HEADER, CALLER_NODE_HEADER, ERROR_HEADER, strip};
pub use signer::Signer;
