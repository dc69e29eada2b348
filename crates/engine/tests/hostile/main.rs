//! The engine against peers, voters, disks and clocks that are not as they should be.

#![allow(clippy::unwrap_used, reason = "tests")]

mod attacks;
mod bare;
mod bounds;
mod dockets;
mod evidence;
mod forgotten;
mod forks;
mod groups;
mod lab;
mod surplus;
mod verdicts;
