//! End-to-end tests: real processes, used as a user uses them.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests: real processes, real time")]

mod background;
mod bad_input;
mod bench;
mod calls_again;
mod calls_bad_input;
mod calls_door;
mod calls_outside;
mod calls_pin;
mod calls_rotation;
mod cheats;
mod checkpoints;
mod clocks;
mod closed;
mod closed_bad_input;
mod closed_crashes;
mod commands;
mod config;
mod count;
mod demands;
mod discovery;
mod disk;
mod dockets;
mod endings;
mod events;
mod fake_node;
mod group_votes;
mod groups;
mod holders;
mod keys;
mod lan;
mod leaks;
mod mesh;
mod nat;
mod pardons;
mod refusals;
mod reputation;
mod restarts;
mod sealed;
mod service;
mod shells;
mod store;
mod testnet;
mod votes;
mod waiting;
