//! Counting rules: who wins, round by round.
//!
//! Options are numbered from 0 in the order in which they stand ([`OptionId`]). Ballots are put together in a
//! [`Profile`], or one by one in a [`Pile`]; a rule counts it and gives an [`Outcome`]: every round with each option's
//! tally, who was elected or eliminated, and how ties were broken.
//!
//! | rule | counts |
//! | --- | --- |
//! | [`Choice`] with a [`ChoiceRule`] | [`ChoiceBallot`]: plurality, simple majority, super-majority, unanimity |
//! | [`Approval`] | [`Approvals`] |
//! | [`Irv`], [`Stv`], [`Schulze`] | [`Ranking`] |
//! | [`Star`] | [`Scores`] |
//!
//! [`delegated`] says before a count whose ballot speaks for whom; [`Quorum::hold`] says after it whether enough took
//! part. A [`TieRule`] lists what breaks a tie, and an empty one breaks none.
//!
//! Numbers are integers: weights are `u64`, sums `u128` and at most [`WEIGHT_MAX`], and fractions are never rounded in
//! anybody's favour. The same ballots in any order, split or merged in any way, give the same outcome. This crate
//! deliberately does not know voters' identities, signatures or files, and draws no lots: a tie that the rules do not
//! break is an outcome.
//!
//! Five voters rank three options; Eve has delegated to Dan, and two thirds of the weight have to take part:
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::num::NonZeroU32;
//!
//! use althing_tally::{
//!     Decision, Irv, OptionId, Pile, PileError, Quorum, Ranking, TieRule, TieStep, Voice, delegated,
//! };
//!
//! let [red, green, blue] = [0, 1, 2].map(|place| OptionId::new(place).unwrap());
//! let ranks = |options: &[OptionId]| Voice { ballot: Some(Ranking::of(options)), delegate: None };
//! let voices = BTreeMap::from([
//!     ("Ann", ranks(&[red, green])),
//!     ("Bob", ranks(&[green, blue])),
//!     ("Cyd", ranks(&[blue, green])),
//!     ("Dan", ranks(&[red])),
//!     ("Eve", Voice { ballot: None, delegate: Some("Dan") }),
//! ]);
//! let weights = BTreeMap::from([("Ann", 10), ("Bob", 12), ("Cyd", 11), ("Dan", 1), ("Eve", 1)]);
//!
//! let mut pile = Pile::default();
//! for (voter, said) in delegated(&voices) {
//!     // Who is silent takes part and abstains: an empty ballot.
//!     pile.add(said.cloned().unwrap_or(Ranking::of(&[])), weights[voter])?;
//! }
//! let profile = pile.profile()?;
//!
//! let rules = Irv { ties: TieRule(vec![TieStep::PreviousRounds, TieStep::OptionOrder]), ..Irv::default() };
//! let two_thirds = Quorum::Share { num: 2, den: NonZeroU32::new(3).unwrap(), electorate: 40 };
//! let outcome = two_thirds.hold(profile.weight(), rules.count(3, &profile));
//!
//! assert_eq!(outcome.rounds[0].tally, [Some(12), Some(12), Some(11)]);
//! assert_eq!(outcome.rounds[1].tally, [Some(12), Some(23), None]);
//! assert_eq!(outcome.decision, Decision::Elected(vec![green]));
//! # Ok::<(), PileError>(())
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod approval;
mod choice;
mod count;
mod delegation;
mod fraction;
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
