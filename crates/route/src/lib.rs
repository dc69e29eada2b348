//! Whom a call to a skill goes to, when it is made again, and how often calls may come.
//!
//! A [`Router`] knows how calls to each agent went and chooses among candidates; a [`Breaker`] keeps it from those that
//! fail; [`Backoff`] and [`may_retry`] say when and whether a call is made again; [`Buckets`] bound rates.
//!
//! Time and chance are arguments, numbers are integers, and everything has a bound. This crate deliberately knows no
//! agents, networks or protocols: keys are whatever the caller has.
//!
//! ```
//! use althing_route::{Candidate, Choice, Outcome, Router, Strategy, Ticks};
//!
//! let mut router = Router::default();
//! let candidates = ["babel", "rosetta"].map(Candidate::unknown);
//! let choice = router.choose(&candidates, Strategy::RoundRobin, Ticks(0), 7)?;
//! assert_eq!(choice.agent, "babel");
//!
//! let ticket = router.began(choice, Ticks(0));
//! router.ended(ticket, Outcome::Success, Ticks(25), 7);
//! assert_eq!(router.standing(&"babel", Ticks(25)).latency_ms, Some(25));
//! # Ok::<(), althing_route::Unavailable>(())
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod backoff;
mod breaker;
mod bucket;
mod buckets;
mod candidate;
mod chance;
mod reason;
mod retry;
mod router;
mod score;
mod standing;
mod strategy;
mod ticks;

pub use backoff::Backoff;
pub use breaker::{Breaker, BreakerLimits, BreakerState, Gate, Pass};
pub use bucket::{Bucket, Rate};
pub use buckets::Buckets;
pub use candidate::{Candidate, Choice, EVIDENCE_MIN, Reputation, Unavailable};
pub use reason::{Reason, Weighed};
pub use retry::{Progress, Repeat, may_retry};
pub use router::{AGENTS_MAX, CANDIDATES_MAX, Outcome, Router, SCORE_MIN, Ticket};
pub use score::Score;
pub use standing::Standing;
pub use strategy::{Strategy, UnknownStrategy};
pub use ticks::Ticks;
