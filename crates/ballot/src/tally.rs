use std::collections::{BTreeMap, BTreeSet};

use althing_record::AgentId;

use crate::{Choice, Proposal};

/// How a proposal stands, given a set of ballots. The order of the ballots and repetitions do not matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// The weight for each option, in the proposal's order.
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
}

impl Tally {
    /// Counts ballots: those of voters, for options that exist.
    #[must_use]
    pub fn count(proposal: &Proposal, ballots: impl IntoIterator<Item = (AgentId, Choice)>) -> Self {
        let mut choices: BTreeMap<AgentId, BTreeSet<Choice>> = BTreeMap::new();
        for (voter, choice) in ballots {
            let exists = match choice {
                Choice::Abstain => true,
                Choice::Option(index) => (index as usize) < proposal.options.len(),
            };
            if exists && proposal.electorate.weight(voter).is_some() {
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
                }
            }
        }
        tally
    }

    /// What the counted ballots decide.
    #[must_use]
    pub fn outcome(&self, proposal: &Proposal) -> Outcome {
        let reached: Vec<u32> = (0..)
            .zip(&self.weights)
            .filter(|(index, weight)| **weight >= proposal.threshold && proposal.against != Some(*index))
            .map(|(index, _)| index)
            .collect();
        match reached.as_slice() {
            [] => Outcome::Undecided,
            [only] => Outcome::Decided(*only),
            _ => Outcome::Conflicting(reached),
        }
    }
}
