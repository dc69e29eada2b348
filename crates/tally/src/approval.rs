use std::collections::BTreeSet;

use crate::tie::End;
use crate::{Decision, OptionId, Outcome, Profile, Round, TiePurpose, TieRule};

/// A ballot that approves of options; of none: it abstains.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Approvals(Box<[OptionId]>);

impl Approvals {
    /// The approval of these options; order and repetition say nothing.
    pub fn new(options: impl IntoIterator<Item = OptionId>) -> Self {
        Self(options.into_iter().collect::<BTreeSet<_>>().into_iter().collect())
    }

    /// The options, in order.
    #[must_use]
    pub fn options(&self) -> &[OptionId] {
        &self.0
    }
}

/// Approval: each ballot approves of any options, and those with the most approvals win.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// How many are elected.
    pub seats: usize,
    /// How a tie about the last seat is broken. By default it is not, and nothing is decided.
    pub ties: TieRule,
    /// Options that do not stand.
    pub withdrawn: BTreeSet<OptionId>,
}

impl Default for Approval {
    fn default() -> Self {
        Self { seats: 1, ties: TieRule::default(), withdrawn: BTreeSet::new() }
    }
}

impl Approval {
    /// Counts ballots about `options` options; ballots name no others. The one round has abstentions as exhausted.
    /// Nobody wins without an approval.
    #[must_use]
    pub fn count(&self, options: usize, profile: &Profile<Approvals>) -> Outcome {
        let mut tally: Vec<Option<u128>> =
            OptionId::first(options).map(|option| (!self.withdrawn.contains(&option)).then_some(0)).collect();
        let mut exhausted = 0;
        for (ballot, weight) in profile.kinds() {
            let standing = ballot.options().iter().filter(|option| !self.withdrawn.contains(option));
            let mut approves = false;
            for option in standing {
                approves = true;
                *tally[option.place()].get_or_insert(0) += weight;
            }
            exhausted += if approves { 0 } else { *weight };
        }
        let mut left: Vec<OptionId> =
            OptionId::first(options).filter(|option| tally[option.place()] > Some(0)).collect();
        let mut round = Round { tally, exhausted, ..Round::default() };
        while round.elected.len() < self.seats {
            let best = left.iter().map(|option| round.tally[option.place()]).max().flatten();
            let leaders: Vec<OptionId> =
                left.iter().copied().filter(|option| round.tally[option.place()] == best).collect();
            let next = match leaders[..] {
                [] => break,
                _ if leaders.len() <= self.seats - round.elected.len() => leaders,
                _ => {
                    let tie = self.ties.pick(End::Best, TiePurpose::Elect, &leaders, &[]);
                    let chosen = tie.chosen.clone();
                    round.ties.push(tie);
                    if chosen.is_empty() {
                        return Outcome::whole(Decision::Tied(leaders), vec![round]);
                    }
                    chosen
                }
            };
            left.retain(|option| !next.contains(option));
            round.elected.extend(next);
        }
        let decision = if round.elected.is_empty() {
            Decision::NoVotes
        } else {
            Decision::Elected(round.elected.clone())
        };
        Outcome::whole(decision, vec![round])
    }
}
