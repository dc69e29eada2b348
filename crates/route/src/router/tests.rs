use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{BreakerState, Reputation, Score, Strategy};

fn rated(agent: u32, per_mille: u32, evidence: u32) -> Candidate<u32> {
    let score = Score::from_per_mille(per_mille);
    Candidate { agent, reputation: Some(Reputation { score, evidence }) }
}

fn unknown(agents: u32) -> Vec<Candidate<u32>> {
    (0..agents).map(Candidate::unknown).collect()
}

/// How often each was chosen, where every call ends well at once.
fn chosen(candidates: &[Candidate<u32>], strategy: Strategy, calls: u64) -> BTreeMap<u32, u64> {
    let mut router = Router::default();
    let mut counts = BTreeMap::new();
    for draw in 0..calls {
        let choice = router.choose(candidates, strategy, Ticks(0), draw).unwrap();
        *counts.entry(choice.agent).or_default() += 1;
        let ticket = router.began(choice, Ticks(0));
        router.ended(ticket, Outcome::Success, Ticks(0), draw);
    }
    counts
}

fn call(router: &mut Router<u32>, agent: u32, outcome: Outcome, ms: u64, now: Ticks) {
    let ticket = router.began(Choice::only(agent), now);
    router.ended(ticket, outcome, now.plus(ms), 7);
}

fn choice(router: &mut Router<u32>, candidates: &[Candidate<u32>], strategy: Strategy, now: Ticks) -> u32 {
    router.choose(candidates, strategy, now, 7).unwrap().agent
}

#[test]
fn round_robin_goes_round() {
    let mut router = Router::default();
    let order: Vec<_> =
        (0..7).map(|_| choice(&mut router, &unknown(3), Strategy::RoundRobin, Ticks(0))).collect();
    assert_eq!(order, [0, 1, 2, 0, 1, 2, 0]);
    // Who comes later is next.
    assert_eq!(choice(&mut router, &unknown(4), Strategy::RoundRobin, Ticks(0)), 3);
}

#[test]
fn the_fewest_connections_the_least_load_and_the_shortest_latency_are_found() {
    let (mut router, now) = (Router::default(), Ticks(0));
    let candidates = unknown(3);
    let _open = [0, 0, 1, 2, 2].map(|agent| router.began(Choice::only(agent), now));
    assert_eq!(choice(&mut router, &candidates, Strategy::LeastConnections, now), 1);
    for (agent, load) in [(0, 900), (1, 600), (2, 501)] {
        router.reported(&agent, load, now);
    }
    assert_eq!(choice(&mut router, &candidates, Strategy::LeastLoad, now), 2);
    let stale = now.plus(LOAD_LIFETIME_MS);
    assert_eq!(router.standing(&2, stale).load_per_mille, None);
    assert_eq!(choice(&mut router, &candidates, Strategy::LeastLoad, stale), 1, "then by connections");
    for (agent, ms) in [(0, 30), (1, 20), (2, 40)] {
        call(&mut router, agent, Outcome::Success, ms, now);
    }
    assert_eq!(choice(&mut router, &candidates, Strategy::Fastest, now), 1);
    // Who is not known, or not any more, is tried.
    assert_eq!(choice(&mut router, &unknown(4), Strategy::Fastest, now), 3);
    let stale = now.plus(LATENCY_LIFETIME_MS + 40);
    assert_eq!(router.standing(&1, stale).latency_ms, None);
}

#[test]
fn latencies_are_averaged_over_the_last_calls() {
    let mut router = Router::default();
    call(&mut router, 1, Outcome::Success, 80, Ticks(0));
    assert_eq!(router.standing(&1, Ticks(80)).latency_ms, Some(80));
    call(&mut router, 1, Outcome::Success, 160, Ticks(100));
    assert_eq!(router.standing(&1, Ticks(260)).latency_ms, Some(90));
    for at in 0..100 {
        call(&mut router, 1, Outcome::Success, 10, Ticks(300 + at));
    }
    let standing = router.standing(&1, Ticks(500));
    assert!((10..=11).contains(&standing.latency_ms.unwrap()));
    assert_eq!((standing.successes, standing.failures, standing.in_flight), (102, 0, 0));
    // A failure says nothing about how long an answer takes.
    call(&mut router, 1, Outcome::Failure, 9_000, Ticks(500));
    assert_eq!(router.standing(&1, Ticks(9_500)).latency_ms, standing.latency_ms);
}

#[test]
fn without_reputations_the_best_is_the_one_with_the_shortest_wait() {
    let (mut router, now) = (Router::default(), Ticks(0));
    for (agent, ms) in [(0, 100), (1, 30), (2, 40)] {
        call(&mut router, agent, Outcome::Success, ms, now);
    }
    let candidates = unknown(3);
    assert_eq!(choice(&mut router, &candidates, Strategy::Best, now), 1);
    let _open = router.began(Choice::only(1), now);
    assert_eq!(choice(&mut router, &candidates, Strategy::Best, now), 2, "the first has a call before");
    router.reported(&2, 1_000, now);
    router.reported(&1, 0, now);
    let _second = router.began(Choice::only(2), now);
    assert_eq!(choice(&mut router, &candidates, Strategy::Best, now), 1);
}

#[test]
fn reputations_are_drawn_by_their_squares_within_a_band() {
    // 0.9 and 0.8 are in the band of 0.15, 0.7 is not, and 0.3 is below 0.4.
    let candidates = [rated(0, 900, 50), rated(1, 800, 50), rated(2, 700, 50), rated(3, 300, 50)];
    let counts = chosen(&candidates, Strategy::Best, 20_000);
    assert_eq!(counts.len(), 2);
    let share = counts[&0] as f64 / 20_000.0;
    assert!((share - 0.81 / (0.81 + 0.64)).abs() < 0.02, "{share}");
    // Of the bad, the least bad.
    let bad = [rated(0, 100, 50), rated(1, 300, 50)];
    assert_eq!(chosen(&bad, Strategy::Best, 100), BTreeMap::from([(1, 100)]));
    assert_eq!(chosen(&[rated(0, 0, 50)], Strategy::Best, 10), BTreeMap::from([(0, 10)]));
}

#[test]
fn newcomers_are_tried_now_and_then_and_less_if_they_fail() {
    let candidates = [rated(0, 900, 50), rated(1, 0, 2), Candidate::unknown(2)];
    let counts = chosen(&candidates, Strategy::Best, 20_000);
    let share = (counts[&1] + counts[&2]) as f64 / 20_000.0;
    assert!((share - 0.1).abs() < 0.01, "{share}");
    assert!(counts[&1].abs_diff(counts[&2]) < 200);

    let mut router = Router::default();
    let mut tried = 0;
    for draw in 0..20_000 {
        let choice = router.choose(&candidates[..2], Strategy::Best, Ticks(draw * 100), draw).unwrap();
        assert_eq!(choice.is_trial, choice.agent == 1);
        tried += u64::from(choice.is_trial);
        let outcome = if choice.is_trial { Outcome::Failure } else { Outcome::Success };
        let ticket = router.began(choice, Ticks(draw * 100));
        router.ended(ticket, outcome, Ticks(draw * 100), draw);
    }
    assert!(tried < 200, "{tried} of 20,000");
    // Not again after an answer that turned out to be useless.
    let mut router = Router::default();
    let mut tried = 0;
    for draw in 0..20_000 {
        let choice = router.choose(&candidates[..2], Strategy::Best, Ticks(draw * 100), draw).unwrap();
        let is_trial = choice.is_trial;
        tried += u64::from(is_trial);
        let ticket = router.began(choice, Ticks(draw * 100));
        router.ended(ticket, Outcome::Success, Ticks(draw * 100), draw);
        if is_trial {
            router.disappointed(&1);
        }
    }
    assert_eq!(tried, 1);
    // But again if it was taken back, and as seldom as trials went well.
    router.reconciled(&1);
    let after = (0..20_000).filter(|draw| {
        let choice = router.choose(&candidates[..2], Strategy::Best, Ticks(0), *draw).unwrap();
        choice.is_trial
    });
    assert!((500..1_500).contains(&after.count()));
    // If all others are bad, a newcomer is better.
    let counts = chosen(&[rated(0, 300, 50), rated(1, 0, 0)], Strategy::Best, 100);
    assert_eq!(counts, BTreeMap::from([(1, 100)]));
}

#[test]
fn a_trial_that_was_declined_did_not_go_well_and_is_no_disappointment() {
    let candidates = [rated(0, 900, 50), rated(1, 0, 2)];
    let trial = || Choice { agent: 1, is_trial: true };
    let mut router = Router::default();
    let ticket = router.began(trial(), Ticks(0));
    assert!(ticket.is_trial());
    router.ended(ticket, Outcome::Success, Ticks(1), 0);
    assert_eq!(router.weigh(&candidates, Ticks(1)).trial_per_million, 100_000);
    router.declined(&1);
    assert_eq!(router.weigh(&candidates, Ticks(1)).trial_per_million, 50_000);
    assert_eq!(router.standing(&1, Ticks(1)).useless, 0);
    // A trial is taken back once.
    router.declined(&1);
    router.disappointed(&1);
    assert_eq!(router.weigh(&candidates[..1], Ticks(1)).trial_per_million, 0);
    let ticket = router.began(trial(), Ticks(2));
    router.ended(ticket, Outcome::Success, Ticks(3), 0);
    router.declined(&7);
    assert_eq!(router.standing(&1, Ticks(3)).useless, 1);
}

#[test]
fn each_candidate_has_the_reason_that_it_is_chosen_or_passed_over_for() {
    let mut router = Router::default();
    for _ in 0..5 {
        call(&mut router, 5, Outcome::Failure, 1, Ticks(0));
    }
    let candidates = [
        rated(0, 900, 50),
        rated(1, 750, 3),
        rated(2, 749, 50),
        rated(3, 399, 50),
        rated(4, 1_000, 2),
        rated(5, 1_000, 50),
        Candidate::unknown(6),
    ];
    let weighed = router.weigh(&candidates, Ticks(1));
    let Reason::Shut(until) = weighed.reasons[5] else { panic!("{weighed:?}") };
    let expected = [
        Reason::Good,
        Reason::Good,
        Reason::Behind,
        Reason::Low,
        Reason::Newcomer,
        Reason::Shut(until),
        Reason::Newcomer,
    ];
    assert_eq!(weighed, Weighed { reasons: expected.to_vec(), trial_per_million: 100_000 });
    assert_eq!(router.weigh(&candidates, until).reasons[5], Reason::Back);
    let weighed = |candidates: &[Candidate<u32>]| router.weigh(candidates, Ticks(1));
    assert_eq!(weighed(&[rated(2, 300, 9), rated(3, 390, 9)]).reasons, [Reason::Low, Reason::LeastBad]);
    let tried = weighed(&[rated(2, 300, 9), Candidate::unknown(3)]);
    assert_eq!((tried.reasons, tried.trial_per_million), (vec![Reason::Low, Reason::Newcomer], 1_000_000));
    assert_eq!(weighed(&unknown(1)).reasons, [Reason::Unrated]);
    assert_eq!(weighed(&[]), Weighed { reasons: Vec::new(), trial_per_million: 0 });
}

#[test]
fn of_two_with_a_good_reputation_the_much_faster_one_is_called_more() {
    let mut router = Router::default();
    call(&mut router, 0, Outcome::Success, 500, Ticks(0));
    call(&mut router, 1, Outcome::Success, 20, Ticks(0));
    let candidates = [rated(0, 900, 50), rated(1, 900, 50)];
    let slow = (0..10_000)
        .filter(|draw| router.choose(&candidates, Strategy::Best, Ticks(500), *draw).unwrap().agent == 0);
    let slow = slow.count();
    assert!((2_200..2_800).contains(&slow), "both draws must fall on it: {slow}");
}

#[test]
fn who_fails_is_not_called_until_its_time_and_then_tried() {
    for strategy in Strategy::ALL {
        let mut router = Router::default();
        for _ in 0..5 {
            call(&mut router, 0, Outcome::Failure, 1, Ticks(0));
        }
        assert_eq!(router.standing(&0, Ticks(1)).breaker, BreakerState::Open);
        let candidates = unknown(2);
        for draw in 0..200 {
            assert_eq!(router.choose(&candidates, strategy, Ticks(1), draw).unwrap().agent, 1, "{strategy}");
        }
        let Err(Unavailable { soonest: Some(soonest) }) =
            router.choose(&candidates[..1], strategy, Ticks(1), 0)
        else {
            panic!("{strategy}: nobody is left")
        };
        assert_eq!(router.may_call(&0, Ticks(1)), Err(Unavailable { soonest: Some(soonest) }));
        let tried = (0..1_000)
            .filter(|draw| router.choose(&candidates, strategy, soonest, *draw).unwrap().agent == 0);
        let tried = tried.count();
        assert!((80..180).contains(&tried), "{strategy}: one in eight, {tried}");
        assert_eq!(router.may_call(&0, soonest), Ok(()));
        // Two that go well bring it back.
        call(&mut router, 0, Outcome::Success, 1, soonest);
        call(&mut router, 0, Outcome::Success, 1, soonest);
        assert_eq!(router.standing(&0, soonest).breaker, BreakerState::Closed);
    }
}

#[test]
fn without_candidates_there_is_no_choice_and_no_time() {
    let mut router: Router<u32> = Router::default();
    assert_eq!(router.choose(&[], Strategy::Best, Ticks(0), 0), Err(Unavailable { soonest: None }));
    assert!(router.is_empty());
}

#[test]
fn the_bounds_of_agents_and_candidates_hold() {
    let mut router = Router::default();
    let last = u32::try_from(AGENTS_MAX).unwrap();
    let first = router.began(Choice::only(0), Ticks(0));
    for agent in 1..=last {
        call(&mut router, agent, Outcome::Success, 1, Ticks(0));
    }
    assert_eq!(router.len(), AGENTS_MAX);
    assert_eq!(router.standing(&0, Ticks(0)), Standing::UNKNOWN, "the first made room");
    // It is met again; what was under way before says nothing about it.
    let again = router.began(Choice::only(0), Ticks(0));
    router.ended(first, Outcome::Failure, Ticks(0), 0);
    assert_eq!((router.standing(&0, Ticks(0)).in_flight, router.standing(&0, Ticks(0)).failures), (1, 0));
    router.ended(again, Outcome::Dropped, Ticks(0), 0);
    assert_eq!(router.standing(&0, Ticks(0)).in_flight, 0);
    let many = unknown(u32::try_from(CANDIDATES_MAX).unwrap() + 10);
    let chosen = (0..3_000).map(|_| choice(&mut router, &many, Strategy::RoundRobin, Ticks(0))).max();
    assert!((chosen.unwrap() as usize) < CANDIDATES_MAX);
}

#[test]
fn equal_inputs_give_equal_choices() {
    let run = || {
        let mut router = Router::default();
        let candidates = [rated(0, 900, 9), rated(1, 850, 9), rated(2, 0, 0), Candidate::unknown(3)];
        (0..2_000_u64)
            .map(|draw| {
                let strategy = Strategy::ALL[usize::try_from(draw % 5).unwrap()];
                let choice = router.choose(&candidates, strategy, Ticks(draw), draw);
                let ticket = router.began(choice.unwrap(), Ticks(draw));
                let agent = ticket.agent;
                let outcome = if draw % 7 < 3 { Outcome::Failure } else { Outcome::Success };
                router.ended(ticket, outcome, Ticks(draw + 5), draw);
                agent
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}

#[test]
fn everything_holds_over_100_000_operations_by_chance() {
    let mut chance = Chance::of(0x5eed);
    let mut router: Router<u32> = Router::default();
    let mut open: Vec<Ticket<u32>> = Vec::new();
    let (mut in_flight, mut now) = (BTreeMap::<(u32, u64), u32>::new(), Ticks(0));
    let mut number = |end: u128| u64::try_from(chance.below(end)).unwrap();
    for _ in 0..100_000 {
        now = now.plus(number(50));
        match number(10) {
            0..=4 => {
                let from = u32::try_from(number(6_000)).unwrap();
                let candidates: Vec<_> = (from..from + 8)
                    .map(|agent| match agent % 3 {
                        0 => Candidate::unknown(agent),
                        _ => rated(agent, agent * 7 % 1_000, agent % 9),
                    })
                    .collect();
                let strategy = Strategy::ALL[usize::try_from(number(5)).unwrap()];
                let shut = |router: &Router<u32>, agent: u32| router.may_call(&agent, now).is_err();
                match router.choose(&candidates, strategy, now, number(1 << 64)) {
                    Ok(choice) => {
                        assert!(!shut(&router, choice.agent), "{strategy} chose one whose breaker is open");
                        let ticket = router.began(choice, now);
                        *in_flight.entry((ticket.agent, ticket.born)).or_default() += 1;
                        open.push(ticket);
                    }
                    Err(Unavailable { soonest }) => {
                        assert!(candidates.iter().all(|candidate| shut(&router, candidate.agent)));
                        let soonest = soonest.unwrap();
                        assert!(soonest > now);
                        let any = |at: Ticks| {
                            candidates.iter().any(|candidate| router.may_call(&candidate.agent, at).is_ok())
                        };
                        assert!(any(soonest) && !any(Ticks(soonest.0 - 1)), "the soonest time");
                    }
                }
            }
            5..=8 if !open.is_empty() => {
                let at = usize::try_from(number(open.len() as u128)).unwrap();
                let ticket = open.swap_remove(at);
                let count = in_flight.get_mut(&(ticket.agent, ticket.born)).unwrap();
                *count -= 1;
                let outcome = match (ticket.agent % 4, number(4)) {
                    (0, 0) | (1, 1..) => Outcome::Failure,
                    (2, 0) => Outcome::Dropped,
                    _ => Outcome::Success,
                };
                router.ended(ticket, outcome, now, number(1 << 64));
            }
            _ => router.reported(&u32::try_from(number(6_000)).unwrap(), 700, now),
        }
        assert!(router.len() <= AGENTS_MAX && router.order.len() == router.len());
    }
    let mut seen = 0;
    for (agent, state) in &router.agents {
        let expected = in_flight.get(&(*agent, state.born)).copied().unwrap_or(0);
        assert_eq!(state.in_flight, expected, "calls under way");
        seen += u64::from(expected > 0);
    }
    assert!(seen > 10 && router.len() > 1_000, "{seen} {}", router.len());
}

proptest! {
    #[test]
    fn round_robin_is_fair(agents in 1_u32..20, calls in 1_u64..500, draws in any::<u64>()) {
        let mut router = Router::default();
        let candidates = unknown(agents);
        let mut counts = vec![0_u64; agents as usize];
        for call in 0..calls {
            let draw = draws.wrapping_add(call);
            let choice = router.choose(&candidates, Strategy::RoundRobin, Ticks(call), draw).unwrap();
            counts[choice.agent as usize] += 1;
            let ticket = router.began(choice, Ticks(call));
            router.ended(ticket, Outcome::Success, Ticks(call + draw % 100), draw);
        }
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        prop_assert!(most - least <= 1, "{:?}", counts);
    }

    #[test]
    fn whoever_is_chosen_has_a_reason_to_be(
        of in proptest::collection::vec((0_u32..1_001, 0_u32..6, any::<bool>(), 0_u32..7), 1..12),
        trials in proptest::collection::vec(any::<bool>(), 0..20),
        draws in proptest::collection::vec(any::<u64>(), 1..60),
        now in 0_u64..90_000,
    ) {
        let mut router = Router::default();
        for succeeded in trials {
            router.trials.count(succeeded);
        }
        let mut candidates = Vec::new();
        for (agent, (per_mille, evidence, is_known, failures)) in (0_u32..).zip(of) {
            let known = rated(agent, per_mille, evidence);
            candidates.push(if is_known { known } else { Candidate::unknown(agent) });
            for _ in 0..failures {
                call(&mut router, agent, Outcome::Failure, 1, Ticks(0));
            }
        }
        let now = Ticks(now);
        let weighed = router.weigh(&candidates, now);
        for draw in draws {
            let Ok(choice) = router.choose(&candidates, Strategy::Best, now, draw) else {
                let is_shut = |reason: &Reason| matches!(reason, Reason::Shut(_));
                prop_assert!(weighed.reasons.iter().all(is_shut), "{:?}", weighed);
                break;
            };
            let reason = weighed.reasons[choice.agent as usize];
            prop_assert!(reason.may_be_chosen(), "{:?}", reason);
            prop_assert!(!choice.is_trial || matches!(reason, Reason::Newcomer | Reason::Back));
            prop_assert!(choice.is_trial || reason != Reason::Newcomer);
            prop_assert!(!choice.is_trial || reason == Reason::Back || weighed.trial_per_million > 0);
        }
    }
}
