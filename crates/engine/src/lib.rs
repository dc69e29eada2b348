//! The whole node as one state machine.
mod ask;
pub use ask::*;
