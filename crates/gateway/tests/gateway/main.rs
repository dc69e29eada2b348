//! The gateway and its client against a scripted node.
#![allow(clippy::unwrap_used, reason = "tests")]

mod client;
mod docs;
mod documented;
mod doors;
mod events;
mod journal;
mod lifecycle;
mod limits;
mod raw;
mod samples;
mod scripted;
mod security;
mod tls;
mod uncalled;
mod waiting;
