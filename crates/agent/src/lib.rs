//! Small A2A agents that a node runs itself, without a port.
//!
//! ```text
//!   tunnel ─► BuiltinAgent (Origin) ─► JSON-RPC or HTTP+JSON ─► operation ─► echo, or one process per message
//! ```
//! [`BuiltinAgent::echo`] answers with what it is sent. [`BuiltinAgent::exec`] runs a [`Command`] for each message: the
//! text is its standard input, and what it writes is the artifact. Both serve A2A 1.0 (sections 9 and 11 of its
//! specification) at `/` and at the paths of HTTP+JSON, with tasks in memory, each seen by the agent that sent its message
//! and by nobody else.
//!
//! There is no shell. A caller's text reaches a command's standard input and nothing else of it; the environment holds
//! `PATH`, `HOME`, `LANG` and [`CALLER_VARIABLE`]. No process is left when its task has ended, but for one that made itself
//! a process group of its own. A task goes on when its client goes away, as A2A has it, and ends with the agent.
//!
//! This crate deliberately opens no port, takes no part in discovery, serves no A2A before 1.0 and sends no push
//! notifications.
//!
//! ```
//! use althing_agent::{BuiltinAgent, Command};
//!
//! let agent = BuiltinAgent::exec("tr a-z A-Z".parse::<Command>()?);
//! let card = agent.card("upper", "Writes text in capitals", &["text/upper"]);
//! assert_eq!(card["skills"][0]["id"], "text/upper");
//! # Ok::<(), althing_agent::CommandError>(())
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod agent;
mod caller;
mod card;
mod command;
mod events;
mod fault;
mod limits;
mod operation;
mod output;
mod rest;
mod rpc;
mod run;
mod task_log;
mod tasks;
#[cfg(test)]
mod tests;
mod weight;
mod work;

pub use agent::BuiltinAgent;
pub use card::BUILTIN_URL;
pub use command::{Command, CommandError};
pub use limits::{Limits, PARTS_MAX, REQUEST_BYTES_MAX};
pub use run::CALLER_VARIABLE;
