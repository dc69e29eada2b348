//! A store that is restored from an old copy, while the network remembers what its agent said since.

#![allow(clippy::unwrap_used, reason = "tests")]

use althing_engine::{Answer, Ask, Refusal, RefusalKind, Status};
use althing_record::{Kind, RecordId};
use althing_sim::{Sim, Snapshot, card, motion};

/// Nodes whose agents have cards, and so leases, and a proposal to all of them.
fn network(seed: u64, nodes: usize) -> (Sim, RecordId) {
    let mut net = Sim::seed(seed).nodes(nodes);
    net.run_for(1_000);
    for node in 0..nodes {
        let published = net.node(node).publish(card("translate"));
        assert!(matches!(net.answer(published), Answer::Published(_)));
    }
    let voters = net.agents(0..nodes);
    let proposal = net.node(0).proposes(motion("merge?", &voters));
    net.run_for(5_000);
    (net, proposal)
}

fn cast(net: &mut Sim, node: usize, proposal: RecordId, choice: &str) -> Answer {
    let cast = net.node(node).cast(proposal, choice);
    net.answer(cast)
}

fn is_taken(answer: &Answer) -> bool {
    matches!(answer, Answer::Cast { .. })
}

fn refused(answer: Answer) -> Refusal {
    let Answer::Refused(refusal) = answer else { panic!("expected a refusal, found {answer:?}") };
    refusal
}

fn status(net: &mut Sim, node: usize) -> Status {
    let asked = net.node(node).ask(Ask::Status);
    let Answer::Status(status) = net.answer(asked) else { panic!("a status has another answer") };
    *status
}

/// Crashes a node and starts it on what a snapshot held.
fn restore(net: &mut Sim, node: usize, snapshot: &Snapshot) {
    net.crash(node);
    net.restore(node, snapshot);
}

fn nobody_is_accused(net: &Sim, nodes: usize) {
    for node in (0..nodes).filter(|node| net.is_up(*node)) {
        assert!(net.accused(node).is_empty(), "seed {}: node {node} accuses", net.seed_no());
    }
}

#[test]
fn a_restored_copy_never_votes_differently() {
    let (mut net, proposal) = network(31, 4);
    let before = status(&mut net, 1).incarnation;
    let old = net.snapshot(1);
    assert!(is_taken(&cast(&mut net, 1, proposal, "yes")));
    net.run_for(5_000);
    restore(&mut net, 1, &old);
    // Before anybody told it, it is silent.
    assert_eq!(refused(cast(&mut net, 1, proposal, "no")).kind, RefusalKind::NotReady);
    net.run_for(10_000);
    let told = refused(cast(&mut net, 1, proposal, "no"));
    assert_eq!(told.kind, RefusalKind::Conflict, "{told:?}");
    assert!(matches!(cast(&mut net, 1, proposal, "yes"), Answer::Cast { repeated: true, .. }));
    // Its former links came back from the network, and that is no alarm: they are of its former life.
    let after = status(&mut net, 1);
    assert_eq!(after.voting_stopped, None);
    assert_ne!(after.incarnation, before);

    // What it signs now is taken by all.
    let voters = net.agents(0..4);
    let second = net.node(1).proposes(motion("second?", &voters));
    net.run_for(5_000);
    for node in 0..4 {
        assert!(is_taken(&cast(&mut net, node, second, "yes")), "node {node}");
    }
    net.run_for(5_000);
    assert!((0..4).all(|node| net.node(node).certificate(second).is_some()));
    assert!(net.run_until_quiet());
    net.check_converged();
    nobody_is_accused(&net, 4);
}

#[test]
fn with_too_few_to_ask_it_is_silent_and_says_who_is_missing() {
    let (mut net, proposal) = network(32, 4);
    let voters = net.agents(0..4);
    let other = net.node(2).proposes(motion("other?", &voters));
    net.run_for(2_000);
    let old = net.snapshot(1);
    assert!(is_taken(&cast(&mut net, 1, proposal, "yes")));
    net.run_for(5_000);
    net.crash(1);
    // One peer is one of the two that it needs beside itself: n = 4, f = 1.
    net.partition(&[0, 1], &[2, 3]);
    net.restore(1, &old);
    net.run_for(60_000);
    let silent = refused(cast(&mut net, 1, other, "yes"));
    assert_eq!(silent.kind, RefusalKind::NotReady);
    assert!(silent.cause.contains("3 of 4 votes") && silent.cause.contains("those of 2 did"), "{silent:?}");
    assert!(silent.cause.contains(&net.agent(2).to_string()) && silent.hint.is_some(), "{silent:?}");
    // What this one peer told is known all the same.
    assert_eq!(refused(cast(&mut net, 1, proposal, "no")).kind, RefusalKind::Conflict);
    net.partition(&[0, 1, 2], &[3]);
    net.run_for(10_000);
    let ready = cast(&mut net, 1, other, "yes");
    assert!(is_taken(&ready), "n − f are reached: {ready:?}");
    net.heal();
    assert!(net.run_until_quiet());
    net.check_converged();
    nobody_is_accused(&net, 4);
}

#[test]
fn the_mark_outlives_restarts() {
    let (mut net, proposal) = network(33, 4);
    let old = net.snapshot(1);
    restore(&mut net, 1, &old);
    net.run_for(10_000);
    net.crash(1);
    net.partition(&[0, 1], &[2, 3]);
    net.restart(1);
    net.run_for(60_000);
    assert_eq!(refused(cast(&mut net, 1, proposal, "yes")).kind, RefusalKind::NotReady);
    // One that was not restored asks one peer, as before.
    net.crash(0);
    net.restart(0);
    net.run_for(10_000);
    assert!(is_taken(&cast(&mut net, 0, proposal, "yes")));
    net.heal();
    assert!(net.run_until_quiet());
    net.check_converged();
}

#[test]
fn a_wrong_clock_makes_it_silent_and_never_wrong() {
    let (mut net, proposal) = network(36, 4);
    let old = net.snapshot(1);
    assert!(is_taken(&cast(&mut net, 1, proposal, "yes")));
    net.run_for(5_000);
    net.crash(1);
    // By this clock its ballot is not made yet, so the node cannot take in what its peers tell.
    net.set_clock(1, -20 * 60_000);
    net.restore(1, &old);
    net.run_for(120_000);
    assert_eq!(refused(cast(&mut net, 1, proposal, "no")).kind, RefusalKind::NotReady);
    // By this one every lease is over.
    net.set_clock(1, 50 * 60_000);
    assert_eq!(refused(cast(&mut net, 1, proposal, "no")).kind, RefusalKind::NotReady);
    net.set_clock(1, 0);
    net.run_for(90_000);
    assert_eq!(refused(cast(&mut net, 1, proposal, "no")).kind, RefusalKind::Conflict);
    nobody_is_accused(&net, 4);
}

#[test]
fn alone_with_its_own_voters_it_still_asks_a_peer() {
    let (mut net, _) = network(34, 3);
    let voters = net.agents([1]);
    let own = net.node(1).proposes(motion("mine?", &voters));
    net.run_for(2_000);
    let old = net.snapshot(1);
    assert!(is_taken(&cast(&mut net, 1, own, "yes")));
    net.run_for(5_000);
    net.crash(1);
    net.partition(&[1], &[0, 2]);
    net.restore(1, &old);
    net.run_for(60_000);
    assert_eq!(refused(cast(&mut net, 1, own, "no")).kind, RefusalKind::NotReady);
    net.heal();
    net.run_for(10_000);
    assert_eq!(refused(cast(&mut net, 1, own, "no")).kind, RefusalKind::Conflict);
    nobody_is_accused(&net, 3);
}

#[test]
fn what_peers_told_is_asked_again_when_a_full_disk_lost_it() {
    let (mut net, proposal) = network(35, 4);
    let old = net.snapshot(1);
    assert!(is_taken(&cast(&mut net, 1, proposal, "yes")));
    net.run_for(5_000);
    net.crash(1);
    net.restore(1, &old);
    // The rounds begin while nothing can be written: what they bring is given up with the commit that fails.
    net.fill_disk(1);
    net.run_for(20_000);
    net.partition(&[1], &[0, 2, 3]);
    net.free_disk(1);
    net.run_for(5_000);
    let answer = refused(cast(&mut net, 1, proposal, "no"));
    assert!(matches!(answer.kind, RefusalKind::NotReady | RefusalKind::Conflict), "{answer:?}");
    net.heal();
    net.run_for(60_000);
    assert_eq!(refused(cast(&mut net, 1, proposal, "no")).kind, RefusalKind::Conflict);
    assert!(net.run_until_quiet());
    net.check_converged();
    nobody_is_accused(&net, 4);
}

/// The promise in numbers: a ballot that nodes of more than f other voters hold is found by whoever asks any n − f.
/// Random sizes, random holders, random ones that answer; `ALTHING_SIM_SEEDS` says how often.
#[test]
fn any_n_minus_f_know_what_more_than_f_heard() {
    let lives = std::env::var("ALTHING_SIM_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(50_u64);
    let (mut silent, mut found) = (0, 0);
    for life in 0..lives {
        let seed = 40_000 + life;
        let count = 4 + usize::try_from(seed % 4).unwrap();
        let tolerated = (count - 1) / 3;
        let (mut net, proposal) = network(seed, count);
        // Numbers that follow from the seed, other than the network's own.
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut others: Vec<usize> = (1..count).collect();
        let mut shuffled = |list: &mut Vec<usize>| {
            for at in (1..list.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                list.swap(at, usize::try_from(state >> 33).unwrap() % (at + 1));
            }
        };
        let old = net.snapshot(0);
        shuffled(&mut others);
        let (holders, rest) = others.split_at(tolerated + 1);
        net.partition(&[&[0], holders].concat(), rest);
        assert!(is_taken(&cast(&mut net, 0, proposal, "yes")), "seed {seed}");
        net.run_for(5_000);
        net.crash(0);
        let mut answering = others.clone();
        shuffled(&mut answering);
        // Never more than n − f with itself, and sometimes fewer.
        let missing = usize::from(life % 3 == 0);
        let (reached, away) = answering.split_at(count - tolerated - 1 - missing);
        let (reached, away) = (reached.to_vec(), away.to_vec());
        net.partition(&[&[0], &reached[..]].concat(), &away);
        net.restore(0, &old);
        net.run_for(20_000);
        let answer = refused(cast(&mut net, 0, proposal, "no"));
        assert!(
            matches!(answer.kind, RefusalKind::NotReady | RefusalKind::Conflict),
            "seed {seed}: {answer:?}"
        );
        silent += usize::from(answer.kind == RefusalKind::NotReady);
        found += usize::from(answer.kind == RefusalKind::Conflict);
        assert!(missing == 1 || answer.kind == RefusalKind::Conflict, "seed {seed}: {answer:?}");
        net.heal();
        assert!(net.run_until_quiet(), "seed {seed}");
        net.check_converged();
        nobody_is_accused(&net, count);
        let ballots = net.records(1, Kind::BallotBatch);
        let own = ballots.iter().filter(|record| record.agent() == net.agent(0));
        assert_eq!(own.count(), 1, "seed {seed}: one ballot and no other");
    }
    assert!(found > 0 && (lives < 50 || silent > 0), "{found} found, {silent} silent");
}
