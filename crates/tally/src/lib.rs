//! Counting rules: who wins, round by round.
//!
//! Ballots are put together in a [`Profile`]; a rule ([`Choice`], [`Approval`], [`Irv`], [`Stv`], [`Schulze`],
//! [`Star`]) counts it and gives an [`Outcome`]: every round with each option's tally, who was elected or eliminated,
//! and how ties were broken. [`delegated`] says first whose ballot speaks for whom.
//!
//! Numbers are integers: weights are `u64`, sums `u128`, and fractions are compared by multiplying. The same ballots in
//! any order, split or merged in any way, give the same outcome. This crate deliberately does not know voters'
//! identities, signatures or files, and draws no lots: a tie that the rules do not break is an outcome.
//!
//! ```
//! use althing_tally::{Decision, Irv, OptionId, Profile, Ranking};
//!
//! let [a, b, c] = [0, 1, 2].map(|place| OptionId::new(place).unwrap());
//! let ballots = [(Ranking::of(&[a, b]), 4), (Ranking::of(&[b, c]), 3), (Ranking::of(&[c, b]), 2)];
//! let outcome = Irv::default().count(3, &Profile::new(ballots)?);
//!
//! assert_eq!(outcome.rounds[0].tally, [Some(4), Some(3), Some(2)]);
//! assert_eq!(outcome.rounds[1].tally, [Some(4), Some(5), None]);
//! assert_eq!(outcome.decision, Decision::Elected(vec![b]));
//! # Ok::<(), althing_tally::PileError>(())
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod approval;
mod choice;
mod count;
mod delegation;
mod irv;
mod minneapolis;
mod option_id;
mod outcome;
mod pairwise;
mod profile;
mod quorum;
mod ranking;
mod reading;
mod schulze;
mod scottish;
mod star;
mod stv;
mod tie;

pub use approval::{Approval, Approvals};
pub use choice::{Base, Choice, ChoiceBallot, ChoiceRule};
pub use delegation::{DEPTH_MAX, Silence, Voice, delegated};
pub use irv::{Irv, Stop, Threshold};
pub use option_id::{OPTIONS_MAX, OptionId};
pub use outcome::{Decision, Outcome, Round};
pub use pairwise::Pairwise;
pub use profile::{KINDS_MAX, Pile, PileError, Profile, WEIGHT_MAX};
pub use quorum::Quorum;
pub use ranking::{Mark, RANKS_MAX, Ranking, TooManyRanks};
pub use reading::{Duplicates, Overvotes, Reading, Skips};
pub use schulze::Schulze;
pub use star::{SCORE_MAX, Scores, ScoresError, Star};
pub use stv::{Stv, StvStyle};
pub use tie::{Tie, TieBreak, TiePurpose, TieRule, TieStep};
