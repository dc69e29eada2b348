use super::villain::{KINDS, Kind};
use super::world::{DECISION_MS_MAX, Disk, Report, Setup, run};

/// How many runs: `ALTHING_AGREE_SEEDS`, else 2,000 over all sizes.
fn seeds() -> u64 {
    std::env::var("ALTHING_AGREE_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000)
}

fn check(setup: Setup, report: &Report) {
    assert!(!report.conflict(), "{setup:?}: two decisions: {report:?}");
    assert_eq!(report.contradictions, 0, "{setup:?}: an honest closer contradicted itself: {report:?}");
    assert_eq!(report.decided.len(), report.honest, "{setup:?}: not all decided: {report:?}");
    assert!(latest_ms(report) <= DECISION_MS_MAX, "{setup:?}: too late: {report:?}");
}

fn latest_ms(report: &Report) -> u64 {
    report.decided.values().map(|(_, at)| at.since(report.healed)).max().unwrap_or(0)
}

/// A quarter of the runs, with up to the number of faulty closers that can be borne.
fn holds(closers: u8) {
    let (mut late, mut rounds, mut evidence, mut restarts) = (0, 0, 0, 0);
    for seed in 0..seeds() / 4 {
        let bearable = usize::from(closers - 1) / 3;
        let villains = if seed % 8 == 0 { 0 } else { bearable };
        let setup = Setup { seed, closers, villains, disk: Disk::Kept };
        let report = run(setup, &KINDS);
        check(setup, &report);
        late = late.max(latest_ms(&report));
        rounds = rounds.max(report.rounds);
        evidence += report.evidence;
        restarts += report.restarts;
    }
    println!(
        "{closers} closers: {late} ms after healing at most, {rounds} rounds, {evidence} proofs, {restarts} restarts"
    );
    assert!(evidence > 0 && restarts > 0 && rounds > 0, "the runs tried nothing");
}

#[test]
fn four_closers_never_decide_differently_and_always_decide() {
    holds(4);
}

#[test]
fn five_closers_never_decide_differently_and_always_decide() {
    holds(5);
}

#[test]
fn seven_closers_never_decide_differently_and_always_decide() {
    holds(7);
}

#[test]
fn ten_closers_never_decide_differently_and_always_decide() {
    holds(10);
}

#[test]
fn so_few_closers_that_none_may_fail_bear_crashes_and_partitions() {
    for closers in 1..=3 {
        for seed in 0..100 {
            let setup = Setup { seed, closers, villains: 0, disk: Disk::Kept };
            check(setup, &run(setup, &KINDS));
        }
    }
}

#[test]
fn as_many_closers_as_there_may_be_decide() {
    let setup = Setup { seed: 1, closers: 31, villains: 3, disk: Disk::Kept };
    check(setup, &run(setup, &KINDS));
}

/// The harness has teeth: with enough faulty closers that two quorums may share none but them, it finds what must not
/// be. These are n − 2f: one too many of 4, 7 and 10, and two too many of 5.
#[test]
fn one_villain_too_many_makes_closers_decide_differently() {
    let two_faced = [4, 5, 7, 10].map(|closers| (closers, Kind::TwoFaced));
    let equivocate = [4, 5, 7].map(|closers| (closers, Kind::Equivocates));
    for (closers, kind) in two_faced.into_iter().chain(equivocate) {
        let villains = usize::from(closers) - 2 * (usize::from(closers - 1) / 3);
        let setup = |seed| Setup { seed, closers, villains, disk: Disk::Kept };
        let found = (0..200).any(|seed| run(setup(seed), &[kind]).conflict());
        assert!(found, "{closers} closers, {villains} of them {kind:?}");
    }
}

/// The crashes have teeth: without what was kept, closers sign two things in one place.
#[test]
fn closers_that_lose_their_disks_contradict_themselves() {
    let setup = |seed| Setup { seed, closers: 4, villains: 0, disk: Disk::Lost };
    assert!((0..50).any(|seed| run(setup(seed), &KINDS).contradictions > 0));
}

#[test]
fn closers_that_lose_their_disks_and_are_told_so_do_not() {
    for seed in 0..100 {
        let report = run(Setup { seed, closers: 4, villains: 0, disk: Disk::Restored }, &KINDS);
        assert_eq!(report.contradictions, 0, "seed {seed}");
        assert!(!report.conflict(), "seed {seed}");
    }
}
