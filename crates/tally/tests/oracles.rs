//! Every rule against a plain one written for this test: no piles, no packed ballots, one voter at a time.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use althing_tally::{
    Approval, Approvals, Choice, ChoiceBallot, ChoiceRule, Decision, Irv, Mark, OptionId, Outcome, Profile,
    Ranking, Reading, Schulze, Scores, Star, Stv, StvStyle, TieRule, TieStep,
};
use proptest::prelude::*;

/// Ballots of one voter each: places of options, best first.
type Ballots = Vec<Vec<usize>>;

const OPTIONS: usize = 5;

fn id(place: usize) -> OptionId {
    OptionId::new(place).unwrap()
}

fn some_ballots() -> impl Strategy<Value = Ballots> {
    let order: Vec<usize> = (0..OPTIONS).collect();
    let ballot = (Just(order).prop_shuffle(), 0..=OPTIONS).prop_map(|(mut order, len)| {
        order.truncate(len);
        order
    });
    proptest::collection::vec(ballot, 1..24)
}

fn ranking(ballot: &[usize]) -> Ranking {
    Ranking::of(&ballot.iter().copied().map(id).collect::<Vec<_>>())
}

fn profile(ballots: &Ballots) -> Profile<Ranking> {
    Profile::new(ballots.iter().map(|ballot| (ranking(ballot), 1))).unwrap()
}

fn elected(outcome: &Outcome) -> Vec<usize> {
    if let Decision::Elected(winners) = &outcome.decision {
        winners.iter().map(|winner| winner.place()).collect()
    } else {
        Vec::new()
    }
}

fn stv(style: StvStyle, seats: usize) -> Stv {
    let ties = TieRule::rounds_then_order();
    Stv { style, seats, reading: Reading::default(), ties, withdrawn: BTreeSet::new() }
}

/// Round by round: the votes of who is left; then the winner. The weakest by votes, then by the rounds before from the
/// last one on, then the later one goes.
fn irv(ballots: &Ballots) -> (Vec<BTreeMap<usize, u128>>, Option<usize>) {
    let mut left: BTreeSet<usize> = (0..OPTIONS).collect();
    let mut tallies: Vec<BTreeMap<usize, u128>> = Vec::new();
    loop {
        let votes = |option: usize| {
            let first =
                |ballot: &&Vec<usize>| ballot.iter().find(|named| left.contains(named)) == Some(&option);
            ballots.iter().filter(first).count() as u128
        };
        tallies.push(left.iter().map(|option| (*option, votes(*option))).collect());
        let now = &tallies[tallies.len() - 1];
        let active: u128 = now.values().sum();
        if active == 0 {
            return (tallies, None);
        }
        if let Some((&winner, _)) = now.iter().find(|(_, votes)| **votes * 2 > active) {
            return (tallies, Some(winner));
        }
        let key = |option: &usize| {
            (tallies.iter().rev().map(|tally| tally[option]).collect::<Vec<_>>(), usize::MAX - option)
        };
        let weakest = left.iter().copied().min_by_key(key).unwrap();
        left.remove(&weakest);
    }
}

/// Votes of each stage in steps of 1/100,000, and the winners in order: every ballot has a value and a place of its own.
fn scottish(ballots: &Ballots, seats: usize) -> (Vec<Vec<u128>>, Vec<usize>) {
    let one = 100_000_u128;
    let mut values = vec![one; ballots.len()];
    let mut at: Vec<Option<usize>> = ballots.iter().map(|ballot| ballot.first().copied()).collect();
    let quota = (at.iter().flatten().count() / (seats + 1) + 1) as u128 * one;
    let (mut elected, mut out, mut pending) = (Vec::new(), Vec::new(), Vec::new());
    let mut fixed: BTreeMap<usize, u128> = BTreeMap::new();
    let mut stages: Vec<Vec<u128>> = Vec::new();
    loop {
        let held = |option: usize| {
            (0..ballots.len()).filter(|voter| at[*voter] == Some(option)).map(|voter| values[voter]).sum()
        };
        let votes: Vec<u128> =
            (0..OPTIONS).map(|option| fixed.get(&option).copied().unwrap_or_else(|| held(option))).collect();
        stages.push(votes.clone());
        let mut hopeful: Vec<usize> =
            (0..OPTIONS).filter(|option| !elected.contains(option) && !out.contains(option)).collect();
        hopeful.sort_by_key(|option| (u128::MAX - votes[*option], *option));
        for option in hopeful.clone() {
            if votes[option] >= quota {
                elected.push(option);
                hopeful.retain(|other| *other != option);
                pending.extend((votes[option] > quota).then_some(option));
            }
        }
        if elected.len() >= seats || hopeful.len() <= seats - elected.len() {
            let left = seats.saturating_sub(elected.len());
            elected.extend(hopeful.into_iter().take(left));
            return (stages, elected);
        }
        let key = |option: &usize| {
            (stages.iter().rev().map(|stage| stage[*option]).collect::<Vec<_>>(), usize::MAX - option)
        };
        let from = if pending.is_empty() {
            let gone = hopeful.iter().copied().min_by_key(key).unwrap();
            out.push(gone);
            gone
        } else {
            let first = pending.iter().copied().max_by_key(key).unwrap();
            pending.retain(|option| *option != first);
            fixed.insert(first, quota);
            first
        };
        for voter in (0..ballots.len()).filter(|voter| at[*voter] == Some(from)).collect::<Vec<_>>() {
            if elected.contains(&from) {
                values[voter] = values[voter] * (votes[from] - quota) / votes[from];
            }
            let stands = |option: &usize| !elected.contains(option) && !out.contains(option);
            at[voter] = ballots[voter].iter().copied().find(stands);
        }
    }
}

/// The strongest path, by walking every one without repetition.
fn strongest(votes: &[Vec<u128>], from: usize, to: usize, passed: &mut Vec<usize>) -> u128 {
    let mut best = 0;
    for next in 0..OPTIONS {
        if passed.contains(&next) || votes[from][next] <= votes[next][from] {
            continue;
        }
        let mut rest = u128::MAX;
        if next != to {
            passed.push(next);
            rest = strongest(votes, next, to, passed);
            passed.pop();
        }
        best = best.max(votes[from][next].min(rest));
    }
    best
}

fn schulze(ballots: &Ballots) -> Vec<usize> {
    let rank = |ballot: &[usize], option| ballot.iter().position(|named| *named == option).unwrap_or(OPTIONS);
    let prefer =
        |one, other| ballots.iter().filter(|ballot| rank(ballot, one) < rank(ballot, other)).count() as u128;
    let votes: Vec<Vec<u128>> =
        (0..OPTIONS).map(|one| (0..OPTIONS).map(|other| prefer(one, other)).collect()).collect();
    let beats = |one, other| {
        strongest(&votes, one, other, &mut vec![one]) > strongest(&votes, other, one, &mut vec![other])
    };
    let (mut left, mut ranking): (Vec<usize>, Vec<usize>) = ((0..OPTIONS).collect(), Vec::new());
    while let Some(best) = left.iter().copied().find(|one| !left.iter().any(|other| beats(*other, *one))) {
        left.retain(|option| *option != best);
        ranking.push(best);
    }
    ranking
}

fn star(ballots: &[[u8; OPTIONS]]) -> Option<usize> {
    let total = |option: usize| ballots.iter().map(|ballot| u32::from(ballot[option])).sum::<u32>();
    let fives = |option: usize| ballots.iter().filter(|ballot| ballot[option] == 5).count();
    let prefer =
        |one: usize, other: usize| ballots.iter().filter(|ballot| ballot[one] > ballot[other]).count();
    if (0..OPTIONS).all(|option| total(option) == 0) {
        return None;
    }
    let mut finalists: Vec<usize> = Vec::new();
    while finalists.len() < 2 {
        let left: Vec<usize> = (0..OPTIONS).filter(|option| !finalists.contains(option)).collect();
        let most = left.iter().map(|option| total(*option)).max().unwrap();
        let tied: Vec<usize> = left.into_iter().filter(|option| total(*option) == most).collect();
        let wins =
            |one: usize| tied.iter().filter(|other| prefer(one, **other) > prefer(**other, one)).count();
        if finalists.len() + tied.len() <= 2 {
            finalists.extend(&tied);
        } else {
            finalists.extend(
                tied.iter().max_by_key(|option| (wins(**option), fives(**option), OPTIONS - **option)),
            );
        }
    }
    finalists.sort_unstable();
    let (one, other) = (finalists[0], finalists[1]);
    let key = |option: usize, against: usize| (prefer(option, against), total(option), fives(option));
    Some(if key(one, other) >= key(other, one) { one } else { other })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn instant_runoff_round_by_round(ballots in some_ballots()) {
        let outcome = Irv::default().count(OPTIONS, &profile(&ballots));
        let (tallies, winner) = irv(&ballots);
        let found: Vec<BTreeMap<usize, u128>> = outcome
            .rounds
            .iter()
            .map(|round| (0..).zip(&round.tally).filter_map(|(at, votes)| votes.map(|votes| (at, votes))).collect())
            .collect();
        prop_assert_eq!(found, tallies);
        prop_assert_eq!(elected(&outcome), winner.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn batches_elect_the_same(ballots in some_ballots()) {
        let batched = Irv { batch: true, ..Irv::default() }.count(OPTIONS, &profile(&ballots));
        prop_assert_eq!(elected(&batched), irv(&ballots).1.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn scottish_stage_by_stage(ballots in some_ballots(), seats in 1..4_usize) {
        let outcome = stv(StvStyle::Scottish, seats).count(OPTIONS, &profile(&ballots));
        let (stages, winners) = scottish(&ballots, seats);
        let found: Vec<Vec<u128>> = outcome
            .rounds
            .iter()
            .map(|round| round.tally.iter().map(|votes| votes.unwrap_or(0)).collect())
            .collect();
        prop_assert_eq!(found, stages);
        prop_assert_eq!(elected(&outcome), winners);
    }

    #[test]
    fn minneapolis_fills_the_seats_and_loses_no_vote(ballots in some_ballots(), seats in 1..4_usize, batch: bool) {
        let style = StvStyle::Minneapolis { batch, out_first: BTreeSet::new() };
        let outcome = stv(style, seats).count(OPTIONS, &profile(&ballots));
        prop_assert_eq!(elected(&outcome).len(), seats);
        for round in &outcome.rounds {
            let votes: u128 = round.tally.iter().flatten().sum();
            prop_assert_eq!(votes + round.exhausted + round.lost, ballots.len() as u128 * 10_000);
            // Values are cut twice: of each ballot at most two steps are lost in a round.
            prop_assert!(round.lost <= (ballots.len() * outcome.rounds.len() * 2) as u128);
        }
    }

    #[test]
    fn schulze_ranking(ballots in some_ballots()) {
        let outcome = Schulze::default().count(OPTIONS, &profile(&ballots));
        let ranking: Vec<usize> = outcome.ranking.iter().map(|option| option.place()).collect();
        prop_assert_eq!(ranking, schulze(&ballots));
    }

    #[test]
    fn star_winner(ballots in proptest::collection::vec(proptest::array::uniform5(0..=5_u8), 1..8)) {
        let profile = Profile::new(ballots.iter().map(|ballot| (Scores::new(ballot).unwrap(), 1))).unwrap();
        let rules = Star { ties: TieRule(vec![TieStep::OptionOrder]), ..Star::default() };
        prop_assert_eq!(elected(&rules.count(OPTIONS, &profile)).first().copied(), star(&ballots));
    }

    #[test]
    fn approval_winners(ballots in some_ballots(), seats in 1..4_usize) {
        let approved = |ballot: &Vec<usize>| Approvals::new(ballot.iter().copied().map(id));
        let profile = Profile::new(ballots.iter().map(|ballot| (approved(ballot), 1))).unwrap();
        let rules = Approval { seats, ties: TieRule(vec![TieStep::OptionOrder]), ..Approval::default() };
        let votes = |option: usize| ballots.iter().filter(|ballot| ballot.contains(&option)).count();
        let mut order: Vec<usize> = (0..OPTIONS).filter(|option| votes(*option) > 0).collect();
        order.sort_by_key(|option| (usize::MAX - votes(*option), *option));
        order.truncate(seats);
        let mut found = elected(&rules.count(OPTIONS, &profile));
        found.sort_by_key(|option| (usize::MAX - votes(*option), *option));
        prop_assert_eq!(found, order);
    }

    #[test]
    fn majorities(
        votes in proptest::collection::vec((0..4_usize, 1..6_u64), 1..12), num in 1..8_u32, den in 1..8_u32,
    ) {
        // Option 3 stands for abstaining.
        let ballot = |option: usize| if option == 3 { ChoiceBallot::Abstain } else { ChoiceBallot::Option(id(option)) };
        let profile = Profile::new(votes.iter().map(|(option, weight)| (ballot(*option), *weight))).unwrap();
        let sum = |option: usize| -> u64 {
            votes.iter().filter(|(chosen, _)| *chosen == option).map(|(_, weight)| weight).sum()
        };
        let cast: u64 = (0..3).map(sum).sum();
        let leads = |option: usize| sum(option) > 0 && (0..3).all(|other| other == option || sum(other) < sum(option));
        let winner = |needs: &dyn Fn(u64) -> bool| (0..3).find(|option| leads(*option) && needs(sum(*option)));
        let count = |rule| elected(&Choice::new(rule).count(3, &profile)).first().copied();
        prop_assert_eq!(count(ChoiceRule::Plurality), winner(&|_| true));
        prop_assert_eq!(count(ChoiceRule::Majority), winner(&|votes| votes * 2 > cast));
        prop_assert_eq!(count(ChoiceRule::Unanimous), winner(&|votes| votes == cast));
        let rule = ChoiceRule::SuperMajority { num, den: NonZeroU32::new(den).unwrap() };
        prop_assert_eq!(count(rule), winner(&|votes| votes * u64::from(den) >= cast * u64::from(num)));
    }

    #[test]
    fn order_and_grouping_of_ballots_do_not_show(
        ballots in proptest::collection::vec((proptest::collection::vec(0..OPTIONS + 2, 0..6), 1..4_u64), 1..20),
        turn in 0..20_usize,
    ) {
        let mark = |mark: &usize| match *mark {
            OPTIONS => Mark::Skipped,
            place if place > OPTIONS => Mark::Overvote(vec![id(0), id(3)]),
            place => Mark::Option(id(place)),
        };
        let ranking = |marks: &[usize]| Ranking::new(&marks.iter().map(mark).collect::<Vec<_>>()).unwrap();
        let one = Profile::new(ballots.iter().map(|(marks, weight)| (ranking(marks), *weight))).unwrap();
        let mut single: Vec<_> =
            ballots.iter().flat_map(|(marks, weight)| (0..*weight).map(|_| (ranking(marks), 1))).collect();
        let turn = turn % single.len();
        single.rotate_left(turn);
        single.reverse();
        let other = Profile::new(single).unwrap();
        prop_assert_eq!(Irv::default().count(OPTIONS, &one), Irv::default().count(OPTIONS, &other));
        prop_assert_eq!(Schulze::default().count(OPTIONS, &one), Schulze::default().count(OPTIONS, &other));
        for style in [StvStyle::Scottish, StvStyle::Minneapolis { batch: true, out_first: BTreeSet::new() }] {
            prop_assert_eq!(stv(style.clone(), 2).count(OPTIONS, &one), stv(style, 2).count(OPTIONS, &other));
        }
    }

    #[test]
    fn the_largest_weights_count_as_small_ones_do(ballots in some_ballots()) {
        let heavy = |ballot: &Vec<usize>| std::iter::repeat_n((ranking(ballot), u64::MAX), 1_000);
        let heavy = Profile::new(ballots.iter().flat_map(heavy)).unwrap();
        let many = u128::from(u64::MAX) * 1_000;
        let (one, other) =
            (Irv::default().count(OPTIONS, &profile(&ballots)), Irv::default().count(OPTIONS, &heavy));
        prop_assert_eq!(&one.decision, &other.decision);
        for (round, scaled) in one.rounds.iter().zip(&other.rounds) {
            let expected: Vec<_> = round.tally.iter().map(|votes| votes.map(|votes| votes * many)).collect();
            prop_assert_eq!(&scaled.tally, &expected);
        }
    }
}
