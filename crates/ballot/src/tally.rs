use std::collections::{BTreeMap, BTreeSet};

use althing_record::AgentId;

use crate::{Choice, Proposal};

/// How a proposal stands, given a set of ballots. The order of the ballots and repetitions do not matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// The weight of the ballots for each option, in the proposal's order; of rankings, of those that name it first. Scores,
    /// delegations and sealed ballots are not in it.
    pub weights: Vec<u64>,
    /// The weight that abstains.
    pub abstaining: u64,
    /// What each voter chose; more than one choice is an equivocation, and each counts for what it names.
    pub choices: BTreeMap<AgentId, BTreeSet<Choice>>,
}

/// What a tally decides. There is no outcome "rejected": an option that leaves things as they are is never certified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No option has its votes yet.
    Undecided,
    /// This option, by index, has its votes.
    Decided(u32),
    /// More voters cheated than the rule tolerates: all these have their votes.
    Conflicting(Vec<u32>),
    /// A Closed decision: no option won, and none will.
    Rejected(Rejection),
}

/// Why a Closed decision chose no option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// Several are equally good, and nothing breaks the tie.
    Tied,
    /// None has what the rule asks for.
    TooFew,
    /// Too little weight took part.
    NoQuorum,
    /// No ballot is for any option.
    NoVotes,
}

impl Rejection {
    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tied => "tied",
            Self::TooFew => "no option has enough votes",
            Self::NoQuorum => "no quorum",
            Self::NoVotes => "no votes",
        }
    }
}

impl Tally {
    /// Counts ballots: those of voters, for options that exist.
    #[must_use]
    pub fn count(proposal: &Proposal, ballots: impl IntoIterator<Item = (AgentId, Choice)>) -> Self {
        let mut choices: BTreeMap<AgentId, BTreeSet<Choice>> = BTreeMap::new();
        for (voter, choice) in ballots {
            if choice.fits(proposal) && proposal.electorate.weight(voter).is_some() {
                choices.entry(voter).or_default().insert(choice);
            }
        }
        let mut tally = Self { weights: vec![0; proposal.options.len()], abstaining: 0, choices };
        for (voter, chosen) in &tally.choices {
            let weight = proposal.electorate.weight(*voter).unwrap_or(0);
            for choice in chosen {
                // Each sum is at most the electorate's total, which fits.
                match choice {
                    Choice::Abstain => tally.abstaining += weight,
                    Choice::Option(index) => tally.weights[*index as usize] += weight,
                    Choice::Approval(options) => {
                        options.iter().for_each(|index| tally.weights[usize::from(*index)] += weight);
                    }
                    Choice::Ranking(options) => {
                        options
                            .first()
                            .into_iter()
                            .for_each(|index| tally.weights[usize::from(*index)] += weight);
                    }
                    Choice::Scores(_) | Choice::Delegate(_) | Choice::Sealed(_) => {}
                }
            }
        }
        tally
    }

    /// What the ballots decide in a Direct decision; a Closed one is decided by its [`Manifest`](crate::Manifest).
    #[must_use]
    pub fn outcome(&self, proposal: &Proposal) -> Outcome {
        let Some(threshold) = proposal.threshold() else { return Outcome::Undecided };
        let reached: Vec<u32> = (0..)
            .zip(&self.weights)
            .filter(|(index, weight)| **weight >= threshold && proposal.against != Some(*index))
            .map(|(index, _)| index)
            .collect();
        match reached.as_slice() {
            [] => Outcome::Undecided,
            [only] => Outcome::Decided(*only),
            _ => Outcome::Conflicting(reached),
        }
    }
}
