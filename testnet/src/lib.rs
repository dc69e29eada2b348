//! Local networks of real nodes: processes of the `althing` binary on loopback, each with a home of its own.
//!
//! [`Testnet`] launches nodes and stops them again; [`up`], [`status`] and [`down`] do that for a network that outlives
//! the command which started it; [`demo`] plays the main job of a mesh and checks every step. Everything here talks to
//! nodes through their local API alone. This crate deliberately does not disturb the network between nodes and does not
//! parse their logs. It runs on Linux: processes are told apart by `/proc`.
//!
//! ```no_run
//! # async fn example() -> Result<(), althing_testnet::TestnetError> {
//! use althing_testnet::{Plan, down, status, up};
//!
//! let plan = Plan { program: "target/release/althing".into(), dir: "net".into(), nodes: 5 };
//! up(&plan, std::time::Duration::from_secs(60), &mut |line| eprintln!("{line}")).await?;
//! assert!(status("net".as_ref()).await?.agree);
//! down("net".as_ref()).await?;
//! # Ok(())
//! # }
//! ```

#![allow(clippy::disallowed_methods, reason = "the shell: real processes, real time")]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod commands;
mod demo;
mod dir;
mod ending;
mod error;
mod interrupt;
mod process;
mod report;
mod state;
mod testnet;
mod wait;

pub use commands::{down, status, up};
pub use demo::{Demo, DemoFailure, DemoNode, DemoPlan, DemoStep, demo};
pub use ending::{Ended, How};
pub use error::{TestnetError, log_tail};
pub use interrupt::interrupted;
pub use process::{ProcessId, Signal};
pub use report::{NodeRow, Report, Stopped};
pub use state::NodeState;
pub use testnet::{Plan, Testnet};
pub use wait::{Look, until};
