//! What counts nothing at a checkpoint's rating epoch can be dropped: no score of that rating epoch or a later one shows it.

use althing_trust::{Counts, Ledger, Rating, RatingEpoch, Scores};
use proptest::prelude::*;

use crate::drawn::{Attested, Draw, agent, anchored, ledger_of, record};

const AGENTS: u64 = 24;

/// Attestations over so many rating epochs, of which some have rows that are struck out.
fn drawn(draw: &mut Draw, epochs: u64) -> (Vec<Attested>, Vec<(usize, u32)>) {
    let row = |draw: &mut Draw| {
        let count = 1 + draw.below(1 << 20);
        let ok = draw.below(count + 1);
        let counts = Counts::new(count, ok, draw.below(100 * count + 1), draw.below(count + 1));
        Rating { target: agent(draw.below(AGENTS)), counts: counts.unwrap() }
    };
    let all: Vec<_> = (0..160)
        .map(|id| {
            let rows = (0..1 + draw.below(4)).map(|_| row(draw)).collect();
            Attested { id, rater: draw.below(AGENTS), epoch: draw.below(epochs), rows }
        })
        .collect();
    let struck = (0..all.len()).filter(|at| at % 9 == 0).map(|at| (at, 0)).collect();
    (all, struck)
}

fn strike(ledger: &mut Ledger, all: &[Attested], struck: &[(usize, u32)], kept_from: RatingEpoch) {
    for (at, row) in struck {
        let one = &all[*at];
        let epoch = RatingEpoch(one.epoch);
        if epoch >= kept_from {
            let rating = &one.rows[*row as usize];
            ledger.withdraw(record(one.id), agent(one.rater), epoch, (*row, rating));
        }
    }
}

fn scores(ledger: &mut Ledger, epoch: RatingEpoch) -> (Scores, Scores, Scores) {
    let params = anchored([0, 1]);
    let view = ledger.view(epoch);
    let network = view.scores(&params).unwrap();
    let mixed = view.with_experience_of(agent(7), &network);
    (network, view.seen_by(agent(5), &params), mixed)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_score_at_a_checkpoint_or_later_shows_what_was_dropped(
        seed: u64,
        newest in 0..20_000_u64,
        later in prop::collection::vec(0..6_000_u64, 3),
    ) {
        let mut draw = Draw(seed);
        let (all, struck) = drawn(&mut draw, newest + 1);
        let newest = RatingEpoch(newest);
        let horizon = Ledger::horizon(newest);
        let is_kept = |one: &&Attested| RatingEpoch(one.epoch) >= horizon;
        let mut kept: Vec<_> = all.iter().filter(is_kept).cloned().collect();

        let mut whole = ledger_of(&all);
        strike(&mut whole, &all, &struck, RatingEpoch(0));
        draw.shuffle(&mut kept);
        let mut pruned = Ledger::default();
        strike(&mut pruned, &all, &struck, horizon);
        kept.iter().for_each(|one| assert!(one.apply(&mut pruned)));
        // One that held all and forgot, to which some of it comes again.
        let mut forgetful = ledger_of(&all);
        strike(&mut forgetful, &all, &struck, RatingEpoch(0));
        forgetful.forget(newest);
        for one in &all {
            one.apply(&mut forgetful);
        }

        for epoch in [0].into_iter().chain(later).map(|after| RatingEpoch(newest.0 + after)) {
            let expected = scores(&mut whole, epoch);
            for ledger in [&mut pruned, &mut forgetful] {
                let found = scores(ledger, epoch);
                prop_assert_eq!(found.0.root(), expected.0.root());
                prop_assert_eq!(&found, &expected);
            }
        }
    }
}

#[test]
fn what_is_a_few_half_lives_old_would_be_missed() {
    let newest = RatingEpoch(4_000);
    let old = Attested::call(0, 0, 3, newest.0 - 112 * 3, false);
    let last = Attested::call(1, 0, 4, newest.0, true);
    let with = scores(&mut ledger_of(&[old, last.clone()]), newest);
    let without = scores(&mut ledger_of(&[last]), newest);
    assert_ne!(with.0.root(), without.0.root());
}
