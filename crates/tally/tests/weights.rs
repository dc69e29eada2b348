//! Weights: how ballots are grouped and ordered, and how large they are, shows in no rule.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::num::NonZeroU32;

use althing_tally::{
    Approval, Approvals, Base, Choice, ChoiceBallot, ChoiceRule, Irv, OptionId, Outcome, Profile, Quorum,
    Ranking, Round, Schulze, Scores, Star, TieRule, TieStep,
};
use proptest::prelude::*;

const OPTIONS: usize = 4;

/// Scores of each option; the other kinds of ballots follow from them.
type Given = [u8; OPTIONS];

fn order(given: &Given) -> Vec<OptionId> {
    let mut options: Vec<OptionId> =
        OptionId::first(OPTIONS).filter(|option| given[option.place()] > 0).collect();
    options.sort_by_key(|option| u8::MAX - given[option.place()]);
    options
}

fn choice(given: &Given) -> ChoiceBallot {
    order(given).first().map_or(ChoiceBallot::Abstain, |best| ChoiceBallot::Option(*best))
}

/// The same ballots by every rule.
fn count(ballots: &[(Given, u64)]) -> Vec<Outcome> {
    fn profile<B: Ord>(ballots: &[(Given, u64)], read: impl Fn(&Given) -> B) -> Profile<B> {
        Profile::new(ballots.iter().map(|(given, weight)| (read(given), *weight))).unwrap()
    }
    let choices = profile(ballots, choice);
    let approvals = profile(ballots, |given| Approvals::new(order(given)));
    let rankings = profile(ballots, |given| Ranking::of(&order(given)));
    let scores = profile(ballots, |given| Scores::new(given).unwrap());
    let ties = || TieRule(vec![TieStep::OptionOrder]);
    let two_thirds = ChoiceRule::SuperMajority { num: 2, den: NonZeroU32::new(3).unwrap() };
    let mut outcomes: Vec<Outcome> =
        [ChoiceRule::Plurality, ChoiceRule::Majority, two_thirds, ChoiceRule::Unanimous]
            .into_iter()
            .map(|rule| Choice { base: Base::Participating, ..Choice::new(rule) }.count(OPTIONS, &choices))
            .collect();
    outcomes.push(Approval { seats: 2, ties: ties(), ..Approval::default() }.count(OPTIONS, &approvals));
    outcomes.push(Irv::default().count(OPTIONS, &rankings));
    outcomes.push(Schulze::default().count(OPTIONS, &rankings));
    outcomes.push(Star { ties: ties(), ..Star::default() }.count(OPTIONS, &scores));
    outcomes
}

fn some_ballots() -> impl Strategy<Value = Vec<(Given, u64)>> {
    proptest::collection::vec((proptest::array::uniform4(0..=5_u8), 1..4_u64), 1..16)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn order_and_grouping_do_not_show_in_any_rule(
        (ballots, single) in some_ballots().prop_flat_map(|ballots| {
            let single: Vec<(Given, u64)> = ballots
                .iter()
                .flat_map(|(given, weight)| (0..*weight).map(|_| (*given, 1)))
                .collect();
            (Just(ballots), Just(single).prop_shuffle())
        })
    ) {
        prop_assert_eq!(count(&ballots), count(&single));
    }

    #[test]
    fn the_largest_weights_decide_as_small_ones_do(ballots in some_ballots()) {
        let heavy: Vec<(Given, u64)> = ballots
            .iter()
            .flat_map(|(given, weight)| (0..*weight).map(|_| (*given, u64::MAX)))
            .collect();
        let most = u128::from(u64::MAX);
        for (one, other) in count(&ballots).into_iter().zip(count(&heavy)) {
            prop_assert_eq!(&one.decision, &other.decision);
            prop_assert_eq!(&one.ranking, &other.ranking);
            // Schulze's tally has how many each option beats.
            let factor = if one.pairwise.is_some() { 1 } else { most };
            let scaled = |round: &Round| -> Vec<_> {
                round.tally.iter().map(|votes| votes.map(|votes| votes * factor)).collect()
            };
            let expected: Vec<_> = one.rounds.iter().map(scaled).collect();
            prop_assert_eq!(expected, other.rounds.iter().map(|round| round.tally.clone()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_quorum_is_met_by_a_part_or_more(weights in proptest::collection::vec(1..=u64::MAX, 1..9), took_part in 0..9_usize) {
        let electorate: u128 = weights.iter().copied().map(u128::from).sum();
        let participating: u128 = weights.iter().take(took_part).copied().map(u128::from).sum();
        let half = Quorum::Share { num: 1, den: NonZeroU32::new(2).unwrap(), electorate };
        prop_assert_eq!(half.is_met(participating), participating * 2 >= electorate);
        let all = Quorum::Share { num: 1, den: NonZeroU32::MIN, electorate };
        prop_assert_eq!(all.is_met(participating), participating == electorate);
    }
}
