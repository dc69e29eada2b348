//! Scores: equality with the reference program, laws of the ledger, bounds of what attackers gain.

#![allow(clippy::unwrap_used, reason = "tests")]

mod attacks;
mod drawn;
mod laws;
mod pruning;
mod reference;
