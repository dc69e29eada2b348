use std::collections::BTreeSet;

use crate::{Mark, OptionId, Profile, Ranking};

/// Numbers for each ordered pair of options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pairwise {
    options: usize,
    /// Who prefers the row's option to the column's, row by row.
    votes: Vec<u128>,
    /// The strength of the strongest path from the row's option to the column's.
    strengths: Vec<u128>,
}

impl Pairwise {
    /// Compares all options on each ballot. A named option is better than one at a later rank and than one that is not
    /// named; options at one rank are equal; the first of several ranks of an option counts.
    pub(crate) fn new(options: usize, profile: &Profile<Ranking>) -> Self {
        let mut votes = vec![0; options * options];
        for (ranking, weight) in profile.kinds() {
            let mut above = vec![false; options];
            for mark in ranking.marks() {
                let mut group = match mark {
                    Mark::Skipped => continue,
                    Mark::Option(option) => vec![option.place()],
                    Mark::Overvote(group) => group.into_iter().map(OptionId::place).collect(),
                };
                group.retain(|option| !above[*option]);
                group.iter().for_each(|option| above[*option] = true);
                for better in group {
                    for worse in (0..options).filter(|worse| !above[*worse]) {
                        votes[better * options + worse] += weight;
                    }
                }
            }
        }
        Self { options, votes, strengths: Vec::new() }
    }

    /// Finds the strongest paths by winning votes. A path may go through those that stand alone.
    pub(crate) fn find_paths(&mut self, standing: &BTreeSet<OptionId>) {
        let standing: Vec<usize> = standing.iter().map(|option| option.place()).collect();
        let mut strengths = vec![0; self.votes.len()];
        let at = |row: usize, column: usize| row * self.options + column;
        for &row in &standing {
            for &column in &standing {
                if self.votes[at(row, column)] > self.votes[at(column, row)] {
                    strengths[at(row, column)] = self.votes[at(row, column)];
                }
            }
        }
        for &middle in &standing {
            for &row in standing.iter().filter(|row| **row != middle) {
                for &column in standing.iter().filter(|column| **column != middle && **column != row) {
                    let through = strengths[at(row, middle)].min(strengths[at(middle, column)]);
                    strengths[at(row, column)] = strengths[at(row, column)].max(through);
                }
            }
        }
        self.strengths = strengths;
    }

    /// How much weight prefers one option to another.
    #[must_use]
    pub fn votes(&self, better: OptionId, worse: OptionId) -> u128 {
        self.votes[better.place() * self.options + worse.place()]
    }

    /// The strength of the strongest path from one option to another, in winning votes; 0 if there is none.
    #[must_use]
    pub fn strength(&self, from: OptionId, to: OptionId) -> u128 {
        self.strengths[from.place() * self.options + to.place()]
    }
}
