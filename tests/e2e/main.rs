//! End-to-end tests: real processes, used as a user uses them.

#![allow(clippy::unwrap_used, reason = "tests")]

mod bench;
mod commands;
mod config;
mod disk;
mod events;
mod lan;
mod mesh;
mod refusals;
mod testnet;
mod votes;
