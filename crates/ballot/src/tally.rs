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
            // However many choices name an option, it has the voter's weight once, so each sum is at most the electorate's
            // total, which fits.
            let mut named: BTreeSet<usize> = BTreeSet::new();
            for choice in chosen {
                match choice {
                    Choice::Abstain => tally.abstaining += weight,
                    Choice::Option(index) => named.extend([*index as usize]),
                    Choice::Approval(options) => {
                        named.extend(options.iter().map(|index| usize::from(*index)))
                    }
                    Choice::Ranking(options) => {
                        named.extend(options.first().map(|index| usize::from(*index)))
                    }
                    Choice::Scores(_) | Choice::Delegate(_) | Choice::Sealed(_) => {}
                }
            }
            for index in named {
                tally.weights[index] += weight;
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

#[cfg(test)]
mod tests {
    use althing_record::{Kind, cbor};
    use althing_testkit::{agent, chain, sign};

    use super::*;
    use crate::{ClosedTerms, Electorate, ProposalBody, Question, Rule, Voter};

    #[test]
    fn whoever_approves_twice_counts_once_for_each_option_whatever_the_weight() {
        let weights = [(1, u64::MAX - 1), (2, 1)];
        let voters =
            weights.map(|(n, weight)| Voter { agent: agent(n).agent(), weight }).into_iter().collect();
        let electorate = Electorate::weighted(voters).unwrap();
        let options = ["a", "b"].map(String::from);
        let question = Question {
            text: "?",
            options: &options,
            rule: Rule::Approval,
            electorate: &electorate,
            window_ms: 1,
            nonce: [0; 8],
        };
        let body = ProposalBody::closed(&question, &ClosedTerms::default()).unwrap();
        let record = sign(chain(&agent(1), Kind::Proposal, None, cbor::to_vec(&body)), &agent(1));
        let proposal = Proposal::from_record(&record).unwrap();
        let said = [[0].into(), [0, 1].into(), [1].into()].map(Choice::Approval);
        let tally = Tally::count(&proposal, said.map(|choice| (agent(1).agent(), choice)));
        assert_eq!(tally.weights, [u64::MAX - 1; 2]);
    }
}
