//! Options that go at once: whoever wins when they go one by one wins then too.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::collections::BTreeSet;

use althing_tally::{
    Decision, Duplicates, Irv, Mark, OptionId, Overvotes, Profile, Ranking, Reading, Round, Skips, Stop, Stv,
    StvStyle, Threshold, TieBreak, TieRule, TieStep,
};
use common::{letters, option, profile, tallies, winners};
use proptest::prelude::*;

const OPTIONS: usize = 5;

fn at_once(rules: &Irv) -> Irv {
    Irv { batch: true, ..rules.clone() }
}

fn minneapolis(batch: bool, seats: usize) -> Stv {
    Stv {
        style: StvStyle::Minneapolis { batch, out_first: BTreeSet::new() },
        seats,
        reading: Reading::default(),
        ties: TieRule::rounds_then_order(),
        withdrawn: BTreeSet::new(),
    }
}

#[test]
fn all_go_who_cannot_get_past_the_next_one() {
    let ballots = profile("9A 8B 3CB 2DC 1ED");
    let outcome = at_once(&Irv::default()).count(OPTIONS, &ballots);
    assert_eq!(tallies(&outcome), ["9 8 3 2 1", "9 11 - - - x3"]);
    assert_eq!(letters(&outcome.rounds[0].eliminated), "CDE");
    assert_eq!(winners(&outcome), winners(&Irv::default().count(OPTIONS, &ballots)));
    // C, D and E have together as many as B.
    let outcome = at_once(&Irv::default()).count(OPTIONS, &profile("9A 6B 3CB 2DC 1ED"));
    assert_eq!(letters(&outcome.rounds[0].eliminated), "E");
}

/// B, C and E have 4 of 14 votes, and then A and D have 7 each. In the first round they had 5 each; in the rounds that a
/// batch leaves out A has 5 and D 6.
#[test]
fn options_go_one_by_one_if_a_tie_depends_on_it() {
    let ballots = profile("5A 5D 1CBA 1BCED 1BA 1ED");
    let outcome = at_once(&Irv::default()).count(OPTIONS, &ballots);
    assert_eq!(tallies(&outcome), ["5 2 1 5 1", "5 2 1 6 -", "5 3 - 6 -", "7 - - 7 -", "- - - 7 - x7"]);
    assert_eq!((winners(&outcome), outcome.rounds[3].ties[0].by), ("D".to_owned(), TieBreak::Round(3)));
    // Without a look at earlier rounds nothing depends on it.
    let rules = Irv { ties: TieRule(vec![TieStep::OptionOrder]), ..Irv::default() };
    let outcome = at_once(&rules).count(OPTIONS, &ballots);
    assert_eq!(tallies(&outcome), ["5 2 1 5 1", "7 - - 7 -", "7 - - - - x7"]);
    assert_eq!(
        (winners(&outcome), winners(&rules.count(OPTIONS, &ballots))),
        ("A".to_owned(), "A".to_owned())
    );
}

/// When C goes, A and B are both left, so its ballots count for none. If A went with it, they would count for B.
#[test]
fn options_go_one_by_one_if_an_overvote_depends_on_it() {
    let ballots = profile("3A 6B 2C(AB) 7D");
    let with = |overvotes| {
        let rules = Irv { reading: Reading { overvotes, ..Reading::default() }, ..Irv::default() };
        at_once(&rules).count(4, &ballots)
    };
    let outcome = with(Overvotes::ExhaustIfSeveral);
    assert_eq!(tallies(&outcome), ["3 6 2 7", "3 6 - 7 x2", "- 6 - 7 x5"]);
    assert_eq!(winners(&outcome), "D");
    assert_eq!(tallies(&with(Overvotes::Exhaust)), ["3 6 2 7", "- 6 - 7 x5"]);
}

#[test]
fn a_tie_among_options_that_go_together_need_not_be_broken() {
    let ballots = profile("5A 4B 1C 1D");
    let rules = Irv { ties: TieRule::default(), ..Irv::default() };
    assert_eq!(rules.count(4, &ballots).decision, Decision::Tied(vec![option('C'), option('D')]));
    assert_eq!(winners(&at_once(&rules).count(4, &ballots)), "A");
}

/// With several seats the value at which votes move depends on the order in which they do. A and D go while B, at the
/// threshold, still takes votes, so B has a surplus for E; one by one B's surplus of nothing moves first.
#[test]
fn with_several_seats_batches_may_elect_others() {
    let ballots = profile("1AB 3BE 2C 2E");
    let batched = minneapolis(true, 2).count(OPTIONS, &ballots);
    assert_eq!(letters(&batched.rounds[0].eliminated), "AD");
    assert_eq!(
        tallies(&batched),
        [
            "1.0000 3.0000 2.0000 0.0000 2.0000",
            "- 4.0000 2.0000 - 2.0000",
            "- 3.0000 2.0000 - 2.7500 x0.2500"
        ]
    );
    assert_eq!(winners(&batched), "BE");
    assert_eq!(winners(&minneapolis(false, 2).count(OPTIONS, &ballots)), "BC");
}

fn some_ballots(codes: usize) -> impl Strategy<Value = Profile<Ranking>> {
    let mark = |code: usize| match code {
        OPTIONS => Mark::Skipped,
        place if place > OPTIONS => {
            Mark::Overvote(vec![option('A'), option('D'), option('E')][place % 2..].to_vec())
        }
        place => Mark::Option(OptionId::new(place).unwrap()),
    };
    let ballot = proptest::collection::vec((0..codes).prop_map(mark), 0..7);
    proptest::collection::vec((ballot, 1..4_u64), 1..20).prop_map(|ballots| {
        let ballots = ballots.into_iter().map(|(marks, weight)| (Ranking::new(&marks).unwrap(), weight));
        Profile::new(ballots).unwrap()
    })
}

fn some_rules() -> impl Strategy<Value = Irv> {
    let reading = (
        prop_oneof![Just(Overvotes::Exhaust), Just(Overvotes::Pass), Just(Overvotes::ExhaustIfSeveral)],
        prop_oneof![Just(Skips::Pass), Just(Skips::ExhaustAfterOne), Just(Skips::ExhaustAfterTwo)],
        prop_oneof![Just(Duplicates::Pass), Just(Duplicates::Exhaust)],
    );
    let ties = prop_oneof![
        Just(TieRule::rounds_then_order()),
        Just(TieRule(vec![TieStep::PreviousRounds])),
        Just(TieRule(vec![TieStep::Order(common::options("DAEBC"))])),
        Just(TieRule::default()),
    ];
    let threshold = prop_oneof![Just(Threshold::Active), Just(Threshold::Valid)];
    let stop = prop_oneof![Just(Stop::Majority), Just(Stop::UntilTwo)];
    (reading, ties, threshold, stop, 0..3_u128, 0..3_u128).prop_map(
        |((overvotes, skips, duplicates), ties, threshold, stop, minimum_votes, minimum_mentions)| Irv {
            reading: Reading { overvotes, skips, duplicates },
            ties,
            threshold,
            stop,
            minimum_votes,
            minimum_mentions,
            ..Irv::default()
        },
    )
}

/// The largest group of at least two, of the weakest in this round, that have together fewer votes than the next one;
/// two stay.
fn hopeless(round: &Round) -> BTreeSet<usize> {
    let mut votes: Vec<(u128, usize)> =
        round.tally.iter().enumerate().filter_map(|(at, votes)| Some(((*votes)?, at))).collect();
    votes.sort_unstable();
    (2..votes.len().saturating_sub(1))
        .rev()
        .find(|count| votes[..*count].iter().map(|(votes, _)| votes).sum::<u128>() < votes[*count].0)
        .map(|count| votes[..count].iter().map(|(_, at)| *at).collect())
        .unwrap_or_default()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn batches_never_change_who_is_elected(ballots in some_ballots(OPTIONS + 3), rules in some_rules()) {
        let (single, batched) = (rules.count(OPTIONS, &ballots), at_once(&rules).count(OPTIONS, &ballots));
        if single.decision != batched.decision {
            // Only a tie that need not be broken.
            let Decision::Tied(tied) = &single.decision else { panic!("{single:?}\n{batched:?}") };
            let is_batch = |round: &Round| tied.iter().all(|option| round.eliminated.contains(option));
            prop_assert!(batched.rounds.iter().any(is_batch), "{:?}\n{:?}", single, batched);
        }
    }

    /// So the rule above is not kept by never making a batch.
    #[test]
    fn batches_are_made_where_neither_ties_nor_overvotes_look_at_rounds(ballots in some_ballots(OPTIONS + 1)) {
        let rules = Irv { ties: TieRule(vec![TieStep::OptionOrder]), ..Irv::default() };
        let outcome = at_once(&rules).count(OPTIONS, &ballots);
        for round in outcome.rounds.iter().filter(|round| !round.eliminated.is_empty()) {
            let group = hopeless(round);
            let gone: BTreeSet<usize> = round.eliminated.iter().map(|option| option.place()).collect();
            prop_assert!(if group.is_empty() { gone.len() == 1 } else { gone == group }, "{:?}", outcome);
        }
    }

    /// What holds with several seats: those who go at once would not be elected in any case.
    #[test]
    fn who_goes_first_at_once_is_not_elected_one_by_one(ballots in some_ballots(OPTIONS), seats in 1..4_usize) {
        let batched = minneapolis(true, seats).count(OPTIONS, &ballots);
        let single = minneapolis(false, seats).count(OPTIONS, &ballots);
        let first = batched.rounds.iter().find(|round| !round.eliminated.is_empty());
        let Decision::Elected(elected) = &single.decision else { return Ok(()) };
        for gone in first.iter().flat_map(|round| &round.eliminated) {
            prop_assert!(!elected.contains(gone), "{:?}\n{:?}", batched, single);
        }
    }
}
