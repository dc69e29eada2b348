use althing_trust::{Q32, RatingEpoch, Scores};
use proptest::prelude::*;

use crate::drawn::{Attested, Draw, agent, anchored, ledger_of};

/// Calls of honest agents among each other: 19 of 20 go well.
fn honest(draw: &mut Draw, agents: u64, calls: u64) -> Vec<Attested> {
    let call = |id| Attested::call(id, draw.below(agents), draw.below(agents), 0, draw.below(20) > 0);
    (0..calls).map(call).collect()
}

fn scores(all: &[Attested], anchors: u64) -> Scores {
    ledger_of(all).view(RatingEpoch(0)).scores(&anchored(0..anchors)).unwrap()
}

fn reliability(scores: &Scores, number: u64) -> u64 {
    scores.of(agent(number)).map_or(0, |standing| standing.reliability.score.0)
}

/// How much trust a region holds.
fn mass(scores: &Scores, numbers: std::ops::Range<u64>) -> u64 {
    numbers.filter_map(|number| scores.of(agent(number))).map(|standing| standing.trust.0).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Trust enters a region only along edges into it, of which 0.7 passes in each step, and 0.7 of what is in stays in:
    /// at most 0.7 / 0.3 of the mass on those edges, however many Sybils share it.
    #[test]
    fn a_region_of_sybils_holds_no_more_than_the_bound(
        seed: u64, sybils in 1..120_u64, attack in 0..40_u64, honest_agents in 10..40_u64,
    ) {
        let mut draw = Draw(seed);
        let mut all = honest(&mut draw, honest_agents, 1_500);
        let first = honest_agents;
        let mut id = 10_000;
        let mut call = |rater, target, all: &mut Vec<Attested>| {
            id += 1;
            all.push(Attested::call(id, rater, target, 0, true));
        };
        for _ in 0..attack {
            let (rater, target) = (draw.below(honest_agents), first + draw.below(sybils));
            for _ in 0..20 {
                call(rater, target, &mut all);
            }
        }
        for _ in 0..sybils * 12 {
            call(first + draw.below(sybils), first + draw.below(sybils), &mut all);
        }
        let mut ledger = ledger_of(&all);
        let view = ledger.view(RatingEpoch(0));
        let scores = view.scores(&anchored(0..3)).unwrap();
        let standing = |number| scores.of(agent(number)).unwrap_or_default();
        // Mass on attack edges: what each honest rater holds, by the part of its edges that lead into the region.
        let mut on_edges = 0.0;
        for rater in 0..honest_agents {
            let (mut into, mut whole) = (0.0, 0.0);
            for target in 0..honest_agents + sybils {
                let raters = view.raters_of(agent(target), &scores);
                if let Some(one) = raters.iter().find(|one| one.rater == agent(rater)) {
                    let real = |value: Q32| value.0 as f64 / Q32::ONE.0 as f64;
                    let edge = real(one.sureness) * ((real(one.share) - 0.6) / 0.4).max(0.0);
                    whole += edge;
                    into += if target >= honest_agents { edge } else { 0.0 };
                }
            }
            if whole > 0.0 {
                on_edges += standing(rater).trust.0 as f64 * into / whole;
            }
        }
        let held = mass(&scores, first..first + sybils) as f64;
        // 24 steps leave 0.7²⁴ < 0.0002 of the difference between the steps and their limit.
        let slack = 0.002 * Q32::ONE.0 as f64;
        prop_assert!(held <= 0.7 / 0.3 * on_edges + slack, "{held} of {on_edges}");
        let all: u64 = scores.iter().map(|(_, standing)| standing.trust.0).sum();
        prop_assert_eq!(all, Q32::ONE.0);
    }
}

#[test]
fn a_hundred_sybils_that_praise_one_agent_gain_it_nothing() {
    let mut all = honest(&mut Draw(1), 30, 3_000);
    // One bad agent, whom honest ones know as such.
    all.extend((0..60).map(|at| Attested::call(5_000 + at, at % 30, 30, 0, at % 4 == 0)));
    let before = reliability(&scores(&all, 3), 30);
    for sybil in 100..200 {
        all.extend((0..20).map(|at| Attested::call(sybil * 100 + at, sybil, 30, 0, true)));
    }
    let after = scores(&all, 3);
    assert_eq!(reliability(&after, 30), before, "no honest agent ever called a Sybil");
    assert_eq!(mass(&after, 100..200), 0);

    // Each Sybil serves one honest agent well, and so gets an edge.
    for sybil in 100..200 {
        all.extend((50..70).map(|at| Attested::call(sybil * 100 + at, sybil % 30, sybil, 0, true)));
    }
    let bought = scores(&all, 3);
    assert!(mass(&bought, 100..200) > 0);
    assert!(
        reliability(&bought, 30) < Q32::ONE.0 * 4 / 10,
        "it is not chosen: {}",
        bought.of(agent(30)).unwrap().reliability.score
    );
}

#[test]
fn slander_by_strangers_changes_nothing_and_by_insiders_little() {
    let mut all = honest(&mut Draw(2), 40, 6_000);
    let before = scores(&all, 3);
    let slandered = |rater: u64, all: &mut Vec<Attested>| {
        for target in 0..10 {
            all.extend((0..20).map(|at| {
                Attested::call(100_000 + rater * 1_000 + target * 20 + at, rater, target, 0, false)
            }));
        }
    };
    (1_000..1_100).for_each(|rater| slandered(rater, &mut all));
    let after = scores(&all, 3);
    assert!((0..40).all(|target| reliability(&after, target) == reliability(&before, target)));
    (30..40).for_each(|rater| slandered(rater, &mut all));
    let after = scores(&all, 3);
    for target in 0..10 {
        let lost = reliability(&before, target).saturating_sub(reliability(&after, target));
        assert!(lost < Q32::ONE.0 / 10, "{target} lost {}", Q32(lost));
    }
    for rater in 30..40 {
        let standing = after.of(agent(rater)).unwrap();
        assert!(standing.honesty < before.of(agent(rater)).unwrap().honesty);
        assert!(standing.weight < Q32(Q32::ONE.0 / 10), "{rater}: {}", standing.weight);
    }
}

#[test]
fn colluders_who_praise_each_other_stay_where_their_service_puts_them() {
    let mut all = honest(&mut Draw(3), 40, 6_000);
    let mut id = 100_000;
    let mut call = |rater, target, is_ok, all: &mut Vec<Attested>| {
        id += 1;
        all.push(Attested::call(id, rater, target, 0, is_ok));
    };
    for at in 0..400 {
        call(at % 40, 40 + at % 20, at % 3 == 0, &mut all);
    }
    for at in 0..20 * 20 * 10 {
        call(40 + at % 20, 40 + at / 20 % 20, true, &mut all);
    }
    let scores = scores(&all, 3);
    let worst_good = (0..40).map(|number| reliability(&scores, number)).min().unwrap();
    let best_bad = (40..60).map(|number| reliability(&scores, number)).max().unwrap();
    assert!(best_bad < Q32::ONE.0 * 4 / 10, "{}", Q32(best_bad));
    assert!(worst_good > best_bad + Q32::ONE.0 / 4, "{} {}", Q32(worst_good), Q32(best_bad));
}
