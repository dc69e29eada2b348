use std::collections::BTreeSet;

use crate::{Decision, OptionId, Outcome, Pairwise, Profile, Ranking, Round, Tie, TieBreak, TiePurpose};

/// The Schulze method on winning votes: an option beats another if the strongest path of victories from it to the other
/// is stronger than the one back (M. Schulze, A new monotonic, clone-independent, reversal symmetric, and
/// condorcet-consistent single-winner election method, 2011). What is still equal is in the order of the options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schulze {
    /// Options that ballots name and that do not stand.
    pub withdrawn: BTreeSet<OptionId>,
}

impl Schulze {
    /// Counts ballots that rank `options` options; ballots name no others. Skipped ranks, overvotes and repetitions are
    /// no fault here: an overvote's options are equal, and the first of several ranks counts.
    ///
    /// The one round has how many others each option beats.
    #[must_use]
    pub fn count(&self, options: usize, profile: &Profile<Ranking>) -> Outcome {
        let standing: BTreeSet<OptionId> =
            OptionId::first(options).filter(|option| !self.withdrawn.contains(option)).collect();
        let mut pairwise = Pairwise::new(options, profile);
        pairwise.find_paths(&standing);
        let beats =
            |one: OptionId, other: OptionId| pairwise.strength(one, other) > pairwise.strength(other, one);
        let mut round = Round {
            tally: OptionId::first(options)
                .map(|option| {
                    let beaten = standing.iter().filter(|other| beats(option, **other)).count();
                    standing.contains(&option).then_some(beaten as u128)
                })
                .collect(),
            ..Round::default()
        };
        // Beating is transitive, so somebody among those left is unbeaten.
        let (mut left, mut ranking) = (standing.clone(), Vec::new());
        while !left.is_empty() {
            let unbeaten: Vec<OptionId> = left
                .iter()
                .copied()
                .filter(|option| !left.iter().any(|other| beats(*other, *option)))
                .collect();
            let best = unbeaten[0];
            if unbeaten.len() > 1 {
                let chosen = vec![best];
                let by = TieBreak::OptionOrder;
                round.ties.push(Tie { purpose: TiePurpose::Rank, among: unbeaten, chosen, by });
            }
            left.remove(&best);
            ranking.push(best);
        }
        let names_any =
            |(ranking, _): &(Ranking, u128)| ranking.mentions().any(|named| standing.contains(&named));
        let decision = match ranking.first() {
            Some(best) if profile.kinds().iter().any(names_any) => Decision::Elected(vec![*best]),
            Some(_) | None => Decision::NoVotes,
        };
        round.elected.extend(match &decision {
            Decision::Elected(winners) => winners.as_slice(),
            Decision::Tied(_) | Decision::Rejected | Decision::NoQuorum | Decision::NoVotes => &[],
        });
        Outcome { ranking, pairwise: Some(pairwise), ..Outcome::whole(decision, vec![round]) }
    }
}
