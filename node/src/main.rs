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

fn main() -> ExitCode {
    cli::main()
}
