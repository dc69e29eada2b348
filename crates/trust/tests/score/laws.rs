use althing_trust::{
    Counts, Ledger, Params, Q32, Rating, RatingEpoch, ScoreProof, ScoreProofError, Scores, Slash,
};
use proptest::prelude::*;

use crate::drawn::{Attested, Draw, agent, anchored, ledger_of, record};

/// Attestations with several rows each, over some rating epochs.
fn attested(draw: &mut Draw, agents: u64, count: u64, epochs: u64) -> Vec<Attested> {
    let mut row = |_| {
        let count = 1 + draw.below(30);
        let ok = count - draw.below(count + 1) / (1 + draw.below(10));
        let (quality, in_time) = (draw.below(100 * count + 1), draw.below(count + 1));
        Rating {
            target: agent(draw.below(agents)),
            counts: Counts::new(count, ok, quality, in_time).unwrap(),
        }
    };
    let rows: Vec<Vec<Rating>> = (0..count).map(|id| (0..=id % 7).map(&mut row).collect()).collect();
    let mut one = |(id, rows)| Attested { id, rater: draw.below(agents), epoch: draw.below(epochs), rows };
    (0..count).zip(rows).map(&mut one).collect()
}

fn scores(ledger: &mut Ledger, epoch: u64) -> (Scores, Scores) {
    let params = anchored([0, 1]);
    let view = ledger.view(RatingEpoch(epoch));
    (view.scores(&params).unwrap(), view.seen_by(agent(5), &params))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn order_repetition_and_views_in_between_change_no_score(seed: u64, epochs in 1..400_u64) {
        let mut draw = Draw(seed);
        let all = attested(&mut draw, 40, 200, epochs);
        let expected = scores(&mut ledger_of(&all), epochs);

        let mut other = all.clone();
        other.extend_from_slice(&all[..60]);
        draw.shuffle(&mut other);
        let mut ledger = Ledger::default();
        let mut new = 0;
        for (at, one) in other.iter().enumerate() {
            new += usize::from(one.apply(&mut ledger));
            if at % 50 == 0 {
                ledger.view(RatingEpoch(epochs));
            }
        }
        prop_assert_eq!(new, all.len());
        let found = scores(&mut ledger, epochs);
        prop_assert_eq!(found.0.root(), expected.0.root());
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn rows_taken_out_before_or_after_they_came_leave_nothing(seed: u64) {
        let mut draw = Draw(seed);
        let all = attested(&mut draw, 20, 80, 300);
        let lost: Vec<_> = all.iter().map(|one| draw.below(one.rows.len() as u64 * 3)).collect();
        let mut without = all.clone();
        for (one, lost) in without.iter_mut().zip(&lost) {
            let lost = usize::try_from(*lost).unwrap();
            if lost < one.rows.len() {
                one.rows.remove(lost);
            }
        }
        let take_out = |ledger: &mut Ledger| {
            for (one, lost) in all.iter().zip(&lost) {
                if let Some(row) = one.rows.get(usize::try_from(*lost).unwrap()) {
                    let place = (u32::try_from(*lost).unwrap(), row);
                    let (rater, epoch) = (agent(one.rater), RatingEpoch(one.epoch));
                    assert!(ledger.withdraw(record(one.id), rater, epoch, place));
                    assert!(!ledger.withdraw(record(one.id), rater, epoch, place));
                }
            }
        };
        let expected = scores(&mut ledger_of(&without), 300);
        let mut after = ledger_of(&all);
        take_out(&mut after);
        prop_assert_eq!(&scores(&mut after, 300), &expected);
        let mut before = Ledger::default();
        take_out(&mut before);
        all.iter().for_each(|one| assert!(one.apply(&mut before)));
        prop_assert_eq!(&scores(&mut before, 300), &expected);
    }

    #[test]
    fn a_ledger_without_what_came_later_is_what_it_was(seed: u64, then in 0..300_u64) {
        let mut draw = Draw(seed);
        let all = attested(&mut draw, 20, 80, 300);
        let (before, after): (Vec<_>, Vec<_>) = all.iter().cloned().partition(|one| one.epoch <= then);
        let mut ledger = ledger_of(&all);
        let mut expected: Vec<_> = after.iter().map(|one| record(one.id)).collect();
        let mut later: Vec<_> = ledger.after(RatingEpoch(then)).collect();
        expected.sort_unstable();
        later.sort_unstable();
        prop_assert_eq!(later, expected);
        for one in &after {
            for (at, row) in (0..).zip(&one.rows) {
                ledger.withdraw(record(one.id), agent(one.rater), RatingEpoch(one.epoch), (at, row));
            }
        }
        prop_assert_eq!(scores(&mut ledger, then), scores(&mut ledger_of(&before), then));
    }

    #[test]
    fn what_is_forgotten_counts_nothing(seed: u64) {
        let mut draw = Draw(seed);
        let all = attested(&mut draw, 20, 200, 9_000);
        let mut ledger = ledger_of(&all);
        let expected = scores(&mut ledger, 9_000);
        let before = (ledger.relations(), ledger.buckets());
        ledger.forget(RatingEpoch(9_000));
        prop_assert_eq!(scores(&mut ledger, 9_000), expected);
        prop_assert!(ledger.relations() < before.0);
        prop_assert!(ledger.buckets() < before.1);
        // What is older than the horizon is not taken any more.
        let [old, new] = [(5_000, 1_000), (8_000, 1_001)].map(|(epoch, id)| {
            Attested { epoch, id, ..all[0].clone() }.apply(&mut ledger)
        });
        prop_assert_eq!((old, new), (false, true));
    }
}

#[test]
fn ten_thousand_epochs_of_the_largest_counts_do_not_overflow() {
    let most = 1 << 32;
    let counts = [Counts::new(most, most, 100 * most, most), Counts::new(most, 0, 0, 0)].map(Result::unwrap);
    let mut ledger = Ledger::default();
    for epoch in 0..10_000 {
        for (rater, counts) in (0_u64..).zip(counts) {
            let rows: Vec<_> = (2..5).map(|target| Rating { target: agent(target), counts }).collect();
            Attested { id: 2 * epoch + rater, rater, epoch, rows }.apply(&mut ledger);
        }
    }
    let (network, seen) = scores(&mut ledger, 10_000);
    let [best, worst] = [0, 1].map(|rater| {
        let mut ledger = ledger.clone();
        ledger.view(RatingEpoch(10_000)).seen_by(agent(rater), &Params::default()).of(agent(3)).unwrap()
    });
    assert!(best.reliability.score > Q32(Q32::ONE.0 * 9 / 10), "{best:?}");
    assert!(worst.reliability.score < Q32(Q32::ONE.0 / 100), "{worst:?}");
    assert_eq!(network.iter().len(), 5);
    assert_eq!(seen.iter().len(), 6);
}

#[test]
fn a_rater_says_nothing_of_itself() {
    let all: Vec<_> = (0..50).map(|id| Attested::call(id, 0, 0, 3, true)).collect();
    let mut ledger = ledger_of(&all);
    assert_eq!(ledger.relations(), 0);
    let scores = ledger.view(RatingEpoch(3)).scores(&anchored([1])).unwrap();
    assert_eq!(scores.of(agent(0)), None);
}

#[test]
fn without_anchors_there_is_only_what_one_agent_sees() {
    let all: Vec<_> = (0..20).map(|id| Attested::call(id, 3, 4, 0, true)).collect();
    let mut ledger = ledger_of(&all);
    let view = ledger.view(RatingEpoch(1));
    assert_eq!(view.scores(&Params::default()), None);
    let seen = view.seen_by(agent(3), &Params::default());
    assert!(seen.of(agent(4)).unwrap().reliability.score > Q32(Q32::ONE.0 * 8 / 10));
    let stranger = view.seen_by(agent(9), &Params::default());
    assert!(stranger.of(agent(4)).unwrap().reliability.score < Q32(Q32::ONE.0 / 10));
}

#[test]
fn factors_are_rated_apart_and_misbehaviour_costs_all_of_them() {
    let counts = Counts::new(40, 40, 400, 0).unwrap();
    let one = |id, rater| Attested { id, rater, epoch: 2, rows: vec![Rating { target: agent(9), counts }] };
    let mut ledger = ledger_of(&[one(1, 0), one(2, 1)]);
    let mut params = anchored([0, 1]);
    let view = ledger.view(RatingEpoch(2));
    let standing = view.scores(&params).unwrap().of(agent(9)).unwrap();
    let half = Q32(Q32::ONE.0 / 2);
    assert!(standing.reliability.score > half, "{standing:?}");
    assert!(standing.quality.score < half && standing.responsiveness.score < standing.quality.score);
    assert!(standing.service() > standing.composite());
    assert_eq!(standing.honesty, Q32(Q32::ONE.0 / 6));
    let parts = standing.reliability.score.0 / 2 + standing.quality.score.0 / 10 * 3;
    let service = parts + standing.responsiveness.score.0 / 5;
    assert!(standing.service().0.abs_diff(service) < 10);

    params.slash.insert(agent(9), Slash::Halved(1));
    let halved = view.scores(&params).unwrap().of(agent(9)).unwrap();
    assert_eq!(halved.service().0, standing.service().0 / 2);
    params.slash.insert(agent(9), Slash::Zero);
    let nothing = view.scores(&params).unwrap().of(agent(9)).unwrap();
    assert_eq!((nothing.service(), nothing.composite()), (Q32(0), Q32(0)));
}

#[test]
fn a_score_is_proved_by_its_path_and_no_other_is() {
    let all = attested(&mut Draw(4), 30, 60, 20);
    let (scores, _) = scores(&mut ledger_of(&all), 20);
    let root = scores.root();
    for (agent, standing) in scores.iter() {
        let proof = scores.proof(agent).unwrap();
        assert!(proof.proves(agent, standing, root));
        let mut better = *standing;
        better.quality.score.0 += 1;
        assert!(!proof.proves(agent, &better, root));
        assert!(!proof.proves(crate::drawn::agent(99), standing, root));
    }
    assert!(scores.proof(agent(99)).is_none());
}

#[test]
fn what_a_proof_says_is_read_and_each_fault_has_its_name() {
    let all = attested(&mut Draw(4), 30, 60, 20);
    let (scores, _) = scores(&mut ledger_of(&all), 20);
    let (tree, root, count) = (scores.tree(), scores.root(), scores.iter().len() as u64);
    assert_eq!(tree.root(), root);
    for (agent, standing) in scores.iter() {
        let proof = scores.proof_in(&tree, agent).unwrap();
        assert_eq!(Some(&proof), scores.proof(agent).as_ref());
        assert_eq!(proof.read(agent, root, count), Ok(*standing));
    }
    let (first, _) = scores.iter().next().unwrap();
    let proof = scores.proof_in(&tree, first).unwrap();
    let other = crate::drawn::agent(99);
    assert_eq!(proof.read(other, root, count), Err(ScoreProofError::OtherAgent(first)));
    let (expected, found) = (count + 1, count);
    assert_eq!(proof.read(first, root, count + 1), Err(ScoreProofError::Count { expected, found }));
    let bent = ScoreProof { path: proof.path[1..].to_vec(), ..proof.clone() };
    assert_eq!(bent.read(first, root, count), Err(ScoreProofError::Path));
    assert_eq!(proof.read(first, althing_record::Digest([1; 32]), count), Err(ScoreProofError::Path));
    let cut = ScoreProof { leaf: proof.leaf[..proof.leaf.len() - 1].to_vec(), ..proof.clone() };
    assert_eq!(cut.read(first, root, count), Err(ScoreProofError::Leaf));
    // A factor above 1: the last nine bytes of the largest leaf.
    let mut leaf = vec![0x8f, 0x58, 0x20];
    leaf.extend(first.0);
    (0..14).for_each(|_| leaf.extend([0x1b, 255, 255, 255, 255, 255, 255, 255, 255]));
    let large = ScoreProof { leaf, ..proof };
    assert_eq!(large.read(first, root, count), Err(ScoreProofError::Leaf));
}

#[test]
fn raters_are_named_the_weightiest_first() {
    let mut all: Vec<_> = (0..30).map(|id| Attested::call(id, id % 3, 9, 0, id % 5 > 0)).collect();
    all.extend((30..40).map(|id| Attested::call(id, 7, 9, 0, false)));
    let mut ledger = ledger_of(&all);
    let view = ledger.view(RatingEpoch(0));
    let scores = view.scores(&anchored([1])).unwrap();
    let raters = view.raters_of(agent(9), &scores);
    assert_eq!(raters.len(), 4);
    assert_eq!(raters[0].rater, agent(1));
    assert!(raters.windows(2).all(|two| two[0].weight >= two[1].weight));
    let stranger = raters.iter().find(|one| one.rater == agent(7)).unwrap();
    assert!(stranger.share < Q32(Q32::ONE.0 / 10) && stranger.weight == Q32(0));
}

/// One rater may publish as many records on one rating epoch as it likes; all count, until their sums begin anew at 0.
#[test]
fn more_records_than_sums_have_room_for_break_nothing() {
    let most = 1 << 18;
    let row = |ok| Rating { target: agent(1), counts: Counts::new(most, ok, 0, 0).unwrap() };
    let mut ledger = Ledger::default();
    // 2²² rows of 2¹⁸ calls with the weight 2²⁴ are 2⁶⁴ in all, and one call went well.
    let (rows, mut first) = (vec![row(0); 1 << 16], vec![row(0); 1 << 16]);
    first[0] = row(1);
    for id in 0..64 {
        let rows = if id == 0 { &first } else { &rows };
        assert!(Attested { id, rater: 0, epoch: 0, rows: rows.clone() }.apply(&mut ledger));
    }
    for epoch in [0, 6, 7, 126, 140, 200, 3_000] {
        let (network, seen) = scores(&mut ledger, epoch);
        for scores in [network, seen] {
            let of = scores.of(agent(1)).unwrap();
            assert!(of.service() <= Q32::ONE && of.trust <= Q32::ONE, "{of:?}");
        }
    }
}
