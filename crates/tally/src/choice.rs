use std::collections::BTreeSet;
use std::num::NonZeroU32;

use crate::fraction::part;
use crate::tie::End;
use crate::{Decision, OptionId, Outcome, Profile, Round, TiePurpose, TieRule};

/// A ballot for one option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChoiceBallot {
    /// It takes part and is for none.
    Abstain,
    /// It is for this one.
    Option(OptionId),
}

/// What an option needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChoiceRule {
    /// More than any other.
    Plurality,
    /// More than half.
    Majority,
    /// At least `num/den`.
    SuperMajority {
        /// Numerator.
        num: u32,
        /// Denominator.
        den: NonZeroU32,
    },
    /// All.
    Unanimous,
}

/// Of what an option needs a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Base {
    /// Of the weight that is for an option.
    #[default]
    Cast,
    /// Of that and of abstentions.
    Participating,
    /// Of the weight of all who may vote.
    Electorate(u128),
}

/// A vote in which each ballot is for one option: simple majority, super-majority, unanimity. Weights are the ballots'.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What an option needs.
    pub rule: ChoiceRule,
    /// Of what.
    pub base: Base,
    /// How a tie between the best is broken. By default it is not, and nothing is decided.
    pub ties: TieRule,
    /// Options that do not stand; ballots for them abstain.
    pub withdrawn: BTreeSet<OptionId>,
}

impl Choice {
    /// A rule about the votes cast, with which ties decide nothing.
    #[must_use]
    pub fn new(rule: ChoiceRule) -> Self {
        Self { rule, base: Base::Cast, ties: TieRule::default(), withdrawn: BTreeSet::new() }
    }

    /// Counts ballots for `options` options; ballots name no others. The one round has abstentions as exhausted.
    #[must_use]
    pub fn count(&self, options: usize, profile: &Profile<ChoiceBallot>) -> Outcome {
        let mut tally: Vec<Option<u128>> =
            OptionId::first(options).map(|option| (!self.withdrawn.contains(&option)).then_some(0)).collect();
        let mut exhausted = 0;
        for (ballot, weight) in profile.kinds() {
            match ballot {
                ChoiceBallot::Option(option) if tally[option.place()].is_some() => {
                    *tally[option.place()].get_or_insert(0) += weight;
                }
                ChoiceBallot::Abstain | ChoiceBallot::Option(_) => exhausted += weight,
            }
        }
        let cast: u128 = tally.iter().flatten().sum();
        let base = match self.base {
            Base::Cast => cast,
            Base::Participating => profile.weight(),
            Base::Electorate(weight) => weight,
        };
        let needed = match self.rule {
            ChoiceRule::Plurality => 1,
            ChoiceRule::Majority => base / 2 + 1,
            ChoiceRule::SuperMajority { num, den } => part(base, num, den).max(1),
            ChoiceRule::Unanimous => base.max(1),
        };
        let threshold = (self.rule != ChoiceRule::Plurality).then_some(needed);
        let best = tally.iter().flatten().max().copied().unwrap_or(0);
        let leaders: Vec<OptionId> =
            OptionId::first(options).filter(|option| tally[option.place()] == Some(best)).collect();
        let mut round = Round { tally, exhausted, threshold, ..Round::default() };
        let decision = if cast == 0 {
            Decision::NoVotes
        } else if best < needed {
            Decision::Rejected
        } else if let [winner] = leaders[..] {
            Decision::Elected(vec![winner])
        } else {
            let tie = self.ties.pick(End::Best, TiePurpose::Elect, &leaders, &[]);
            let decision = match tie.chosen.first() {
                Some(winner) => Decision::Elected(vec![*winner]),
                None => Decision::Tied(leaders),
            };
            round.ties.push(tie);
            decision
        };
        if let Decision::Elected(winners) = &decision {
            round.elected.clone_from(winners);
        }
        Outcome::whole(decision, vec![round])
    }
}
