use proptest::prelude::*;

use super::*;

const LIMITS: BreakerLimits = BreakerLimits {
    failures_in_a_row: 3,
    failures_percent: 50,
    window: 10,
    open_ms: 1_000,
    open_ms_max: 4_000,
    probes: 2,
    probe_ms: 500,
};

fn call(breaker: &mut Breaker, failed: bool, now: Ticks) {
    let pass = breaker.began(now);
    breaker.ended(pass, failed, now, 7);
}

/// A breaker that opened at 0, and when it may be tried.
fn opened() -> (Breaker, Ticks) {
    let mut breaker = Breaker::new(LIMITS);
    for _ in 0..3 {
        call(&mut breaker, true, Ticks(0));
    }
    let Gate::Shut(until) = breaker.gate(Ticks(0)) else { panic!("{breaker:?}") };
    (breaker, until)
}

#[test]
fn failures_in_a_row_open_it() {
    let mut breaker = Breaker::new(LIMITS);
    for failed in [true, true, false, true, true, false] {
        call(&mut breaker, failed, Ticks(0));
        assert_eq!(breaker.gate(Ticks(0)), Gate::Pass);
    }
    let (breaker, until) = opened();
    assert_eq!(breaker.state(Ticks(0)), BreakerState::Open);
    assert!((500..=1_000).contains(&until.0), "{until:?}");
    assert_eq!(breaker.gate(Ticks(until.0 - 1)), Gate::Shut(until));
    assert_eq!((breaker.gate(until), breaker.state(until)), (Gate::Probe, BreakerState::HalfOpen));
}

#[test]
fn half_of_a_full_window_opens_it() {
    let mut breaker = Breaker::new(LIMITS);
    for at in 0..9 {
        call(&mut breaker, at % 2 == 1, Ticks(0));
    }
    assert_eq!(breaker.gate(Ticks(0)), Gate::Pass, "four of nine, and the window is not full");
    call(&mut breaker, true, Ticks(0));
    assert_eq!(breaker.state(Ticks(0)), BreakerState::Open, "five of ten");
    let mut breaker = Breaker::new(LIMITS);
    for at in 0..1_000 {
        call(&mut breaker, at % 3 == 1, Ticks(0));
    }
    assert_eq!(breaker.state(Ticks(0)), BreakerState::Closed, "a third fails");
}

#[test]
fn probes_close_it_and_one_failure_opens_it_for_longer() {
    let (mut breaker, until) = opened();
    let [one, other] = [breaker.began(until), breaker.began(until)];
    assert!(matches!(breaker.gate(until), Gate::Shut(_)), "two try, no third");
    breaker.ended(one, false, until, 7);
    assert_eq!(breaker.state(until), BreakerState::HalfOpen);
    breaker.ended(other, false, until, 7);
    assert_eq!(breaker.state(until), BreakerState::Closed);

    let (mut breaker, mut until) = opened();
    for longest in [2_000, 4_000, 4_000, 4_000] {
        let probe = breaker.began(until);
        breaker.ended(probe, true, until, 7);
        let Gate::Shut(next) = breaker.gate(until) else { panic!("{breaker:?}") };
        assert!((longest / 2..=longest).contains(&next.since(until)), "{longest} {next:?}");
        until = next;
    }
}

#[test]
fn it_forgets_that_it_opened_after_a_window_of_successes_only() {
    let (mut breaker, until) = opened();
    call(&mut breaker, false, until);
    call(&mut breaker, false, until);
    let reopen = |breaker: &mut Breaker| {
        for _ in 0..3 {
            call(breaker, true, until);
        }
        let Gate::Shut(next) = breaker.gate(until) else { panic!("{breaker:?}") };
        next.since(until)
    };
    assert!(reopen(&mut breaker.clone()) >= 1_000, "the second time in a row");
    for _ in 0..10 {
        call(&mut breaker, false, until);
    }
    assert!(reopen(&mut breaker) <= 1_000, "as at first");
}

#[test]
fn what_began_in_another_state_says_nothing() {
    let mut breaker = Breaker::new(LIMITS);
    let early: Vec<_> = (0..20).map(|_| breaker.began(Ticks(0))).collect();
    for _ in 0..3 {
        call(&mut breaker, true, Ticks(0));
    }
    let before = breaker.clone();
    for (at, pass) in early.into_iter().enumerate() {
        breaker.ended(pass, at % 2 == 0, Ticks(10), 7);
    }
    assert_eq!(breaker, before);
}

#[test]
fn probes_that_are_dropped_or_lost_make_room() {
    let (mut breaker, until) = opened();
    let [one, other] = [breaker.began(until), breaker.began(until)];
    breaker.dropped(one);
    assert_eq!(breaker.gate(until), Gate::Probe);
    let _lost = [breaker.began(until)];
    let lost = until.plus(LIMITS.probe_ms);
    assert_eq!(breaker.gate(until), Gate::Shut(lost));
    assert_eq!(breaker.gate(lost), Gate::Probe);
    let late = breaker.began(lost);
    breaker.ended(other, true, lost, 7);
    assert_eq!(breaker.state(lost), BreakerState::HalfOpen, "it counted as lost");
    breaker.ended(late, true, lost, 7);
    assert_eq!(breaker.state(lost), BreakerState::Open);
}

#[test]
fn limits_without_sense_do_not_panic() {
    let zero = BreakerLimits {
        failures_in_a_row: 0,
        failures_percent: 0,
        window: 0,
        open_ms: 0,
        open_ms_max: 0,
        probes: 0,
        probe_ms: 0,
    };
    let huge = BreakerLimits {
        failures_in_a_row: u32::MAX,
        failures_percent: u32::MAX,
        window: u32::MAX,
        open_ms: u64::MAX,
        open_ms_max: u64::MAX,
        probes: u32::MAX,
        probe_ms: u64::MAX,
    };
    for limits in [zero, huge] {
        let mut breaker = Breaker::new(limits);
        for at in 0..200 {
            call(&mut breaker, at % 2 == 0, Ticks(at));
        }
    }
}

proptest! {
    /// A gate that is shut opens at the time that it names and not before.
    #[test]
    fn a_shut_gate_opens_on_time(steps in prop::collection::vec((any::<bool>(), 0_u64..400, any::<u64>()), 1..300)) {
        let (mut breaker, mut now) = (Breaker::new(LIMITS), Ticks(0));
        for (failed, ms, draw) in steps {
            now = now.plus(ms);
            match breaker.gate(now) {
                Gate::Shut(until) => {
                    prop_assert!(until > now && until.since(now) <= LIMITS.open_ms_max);
                    prop_assert!(matches!(breaker.gate(Ticks(until.0 - 1)), Gate::Shut(_)));
                    prop_assert_eq!(breaker.gate(until), Gate::Probe);
                }
                Gate::Pass | Gate::Probe => {
                    let pass = breaker.began(now);
                    breaker.ended(pass, failed, now, draw);
                }
            }
        }
    }
}
