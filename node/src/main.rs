//! The `althing` binary: a peer-to-peer node for AI agents, and the commands that talk to one.
//!
//! `cli` reads the command line and prints; every command that concerns a running node uses its local API and nothing
//! else. `settings` says how a node is set up, and where each setting comes from. `daemon` is the node itself; `bench`
//! measures it; `site` finds agents at addresses that the operator names, for both.

#![allow(clippy::disallowed_methods, reason = "the shell: a clock, a terminal, files")]
// They panic when nobody reads any more; `cli::page` does not.
#![deny(clippy::print_stdout, clippy::print_stderr)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod bench;
mod cli;
mod daemon;
mod settings;
mod site;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What jemalloc goes by (its manual, "tuning"): two arenas, and a thread that gives back
/// what was free for a second.
#[expect(unsafe_code, reason = "jemalloc looks for a symbol of this name, which nothing else may have")]
#[unsafe(export_name = "_rjem_malloc_conf")]
static ALLOCATOR_OPTIONS: &[u8; 70] =
    b"narenas:2,background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0\0";

fn main() -> ExitCode {
    cli::main()
}
