//! Calls of agents by A2A: through the doors of the node, or directly where a card outside of the mesh is named.
//!
//! Everything here speaks of requests and answers in the form of A2A 1.0; `old` translates for agents of 0.3, and `wire`
//! knows the two bindings. Answers stay JSON values, because the types of A2A drop members that they do not know.

mod agent;
mod answer;
mod direct;
mod envelope;
mod interface;
mod old;
mod operation;
mod progress;
mod reply;
mod request;
mod show;
mod stream;
mod target;
mod wait;
mod wire;

pub(crate) use self::agent::Agent;
pub(crate) use self::envelope::Envelope;
pub(crate) use self::operation::Operation;
pub(crate) use self::progress::{Progress, Standing};
pub(crate) use self::reply::invalid;
pub(crate) use self::show::{Shown, show_history, show_message, show_task, show_tasks};
pub(crate) use self::stream::{Following, Stream, follow};
pub(crate) use self::target::{CardAt, OutsideAgent, Target};
pub(crate) use self::wait::{Limit, going_on, wait};
