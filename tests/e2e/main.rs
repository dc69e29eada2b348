//! End-to-end tests: real processes, used as a user uses them.

#![allow(clippy::unwrap_used, reason = "tests")]

mod bench;
mod commands;
mod config;
mod disk;
mod lan;
mod mesh;
mod refusals;
mod store;
mod testnet;
mod votes;
