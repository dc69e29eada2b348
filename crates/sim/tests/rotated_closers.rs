//! Closers and trustees whose keys are replaced before, while and after a vote is closed, and thieves of former keys.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use althing_agree::Step;
use althing_ballot::{Rule, VerifiedFile, verify_file};
use althing_engine::{Answer, VoteState};
use althing_record::{Kind, Record, RecordId};
use althing_sim::{Links, Sim, WALL_START, closed, option, red_or_blue, sealed};

/// Replaces the key of a node's agent.
fn rotate(net: &mut Sim, node: usize) {
    let asked = net.rotate(node);
    let answer = net.answer(asked);
    assert!(matches!(answer, Answer::Rotated(_)), "{answer:?}");
}

fn assert_decided(net: &mut Sim, nodes: impl IntoIterator<Item = usize>, proposal: RecordId, option: &str) {
    let seed = net.seed_no();
    for node in nodes {
        let state = net.vote(node, proposal).state;
        assert_eq!(state, VoteState::Decided { option: option.into() }, "seed {seed}, node {node}");
    }
}

/// What the agent of a node said in agreements, by the keys that signed.
fn parts_of(net: &Sim, node: usize) -> Vec<Record> {
    let agent = net.agent(node);
    net.records(node, Kind::Agreement).into_iter().filter(|record| record.agent() == agent).collect()
}

#[test]
fn closers_with_other_keys_than_their_first_decide_and_their_certificate_shows_their_keys() {
    let mut net = Sim::settled(1, 4);
    for node in [0, 1, 1, 3] {
        rotate(&mut net, node);
    }
    let voters = net.agents(0..4);
    let proposal = net.node(2).proposes(red_or_blue(&voters, 600_000));
    net.run_for(1_000);
    net.all_say(proposal, ["red", "blue", "red", "red"]);
    net.run_for(5_000);
    assert_decided(&mut net, 0..4, proposal, "red");
    assert!(parts_of(&net, 1).iter().all(|record| record.header().key.is_some()));
    // The silence of the one whose key is still the first is enough to show that the others speak.
    let second = net.node(2).proposes(red_or_blue(&voters, 20_000));
    net.run_for(1_000);
    net.crash(2);
    for (node, said) in [(0, "blue"), (1, "blue"), (3, "blue")] {
        net.says(node, second, option(said));
    }
    net.run_for(40_000);
    assert_decided(&mut net, [0, 1, 3], second, "blue");
    let certificate = net.node(0).certificate(second).unwrap();
    let VerifiedFile::Closed(verified) = verify_file(&certificate, None).unwrap() else { panic!("closed") };
    assert_eq!(verified.closers, (3, 4));
    net.restart(2);
    net.settle();
    assert_decided(&mut net, 0..4, second, "blue");
}

#[test]
fn a_closer_is_given_another_key_at_any_moment_under_loss_and_one_outcome_follows() {
    for seed in 0..40 {
        let mut net = Sim::settled(1_000 + seed, 4);
        net.set_links(Links::lossy([0, 10, 20][seed as usize % 3]));
        let voters = net.agents(0..4);
        let proposal = net.node(0).proposes(red_or_blue(&voters, 4_000));
        net.run_for(500);
        for node in 0..4 {
            net.node(node).cast(proposal, if node == 3 { "blue" } else { "red" });
        }
        for _ in 0..3 {
            let pause = net.below(3_000);
            net.run_for(pause);
            let node = usize::try_from(net.below(4)).unwrap();
            let _ = net.rotate(node);
            net.check();
        }
        net.run_for(60_000);
        net.settle();
        // Ballots that were lost on the way may have come after the window.
        assert!((0..4).all(|node| net.is_over(node, proposal)), "seed {seed}");
    }
}

#[test]
fn a_closer_that_crashes_around_its_rotation_never_contradicts_itself() {
    let (mut rotated, mut spoke) = (0, 0);
    for seed in 0..40 {
        let mut net = Sim::settled(2_000 + seed, 4);
        let voters = net.agents(0..4);
        let proposal = net.node(0).proposes(red_or_blue(&voters, 3_000));
        net.run_for(500);
        for node in 0..4 {
            net.node(node).cast(proposal, if node % 2 == 0 { "red" } else { "blue" });
        }
        for _ in 0..6 {
            let node = usize::try_from(net.below(4)).unwrap();
            let _ = net.rotate(node);
            let pause = net.below(400);
            net.run_for(pause);
            net.crash_often(1);
        }
        net.run_for(30_000);
        net.settle();
        let state = net.vote(0, proposal).state;
        let is_over = matches!(state, VoteState::Decided { .. } | VoteState::Rejected { .. });
        assert!(is_over, "seed {seed}: {state:?}");
        rotated += net.records(0, Kind::Rotation).len();
        spoke += net.records(0, Kind::Agreement).iter().filter(|part| part.header().key.is_some()).count();
    }
    assert!(rotated > 40 && spoke > 40, "{rotated} rotations, {spoke} statements by later keys");
}

#[test]
fn a_statement_that_overtakes_its_rotation_counts_once_that_is_here() {
    for seed in 0..20 {
        let mut net =
            Sim::seed(3_000 + seed).nodes(4).links(Links { delay_ms: (1, 3_000), ..Links::default() });
        net.run_for(6_000);
        let voters = net.agents(0..4);
        let proposal = net.node(0).proposes(red_or_blue(&voters, 20_000));
        net.run_for(8_000);
        for node in 0..4 {
            net.node(node).cast(proposal, "red");
            let _ = net.rotate(node);
        }
        net.run_for(90_000);
        net.settle();
        assert_decided(&mut net, 0..4, proposal, "red");
    }
}

#[test]
fn a_thief_of_a_replaced_key_gives_a_seat_no_second_voice_and_is_proved() {
    for seed in 0..12 {
        let mut net = Sim::settled(4_000 + seed, 4);
        rotate(&mut net, 3);
        let mut thief = net.steal_first_key(3);
        let voters = net.agents(0..4);
        let proposal = net.node(0).proposes(red_or_blue(&voters, 600_000));
        net.run_for(1_000);
        if seed % 2 == 0 {
            // It speaks before the agent does, which then says nothing, or something else.
            let made = WALL_START.plus(net.time());
            let nil = thief.vote(proposal, Step::Prevote, 0, None, made);
            thief.tell(&mut net, &[0, 1, 2, 3], Kind::Agreement, nil.bytes());
            let report = thief.report(proposal, &[], made);
            thief.tell(&mut net, &[0, 1], Kind::CloseReport, report.bytes());
        }
        net.all_say(proposal, ["red", "red", "red", "blue"]);
        net.run_for(20_000);
        let made = WALL_START.plus(net.time());
        for (round, nodes) in [(0, [0, 1]), (1, [1, 2])] {
            let nil = thief.vote(proposal, Step::Precommit, round, None, made);
            thief.tell(&mut net, &nodes, Kind::Agreement, nil.bytes());
        }
        net.run_for(40_000);
        assert_decided(&mut net, 0..4, proposal, "red");
        // Whoever holds the former key cannot stop the node: it goes on to sign.
        let next = net.node(3).proposes(closed(Rule::Majority, &["red", "blue"], &voters, 600_000));
        net.run_for(1_000);
        net.all_say(next, ["blue"; 4]);
        net.run_for(20_000);
        assert_decided(&mut net, 0..4, next, "blue");
        net.settle();
        let agent = net.agent(3);
        for node in 0..4 {
            assert!(net.accused(node).iter().all(|accused| *accused == agent), "seed {seed}");
            let precommits = net.accused(node).contains(&agent);
            assert!(precommits, "seed {seed}: two precommits in round 0 are evidence at node {node}");
        }
    }
}

#[test]
fn with_more_seats_speaking_twice_than_are_tolerated_two_keys_of_one_are_still_one() {
    // Two of four seats are down; the third has two keys. Three voices of two seats decide nothing.
    let mut net = Sim::settled(5, 4);
    rotate(&mut net, 1);
    let mut thief = net.steal_first_key(1);
    let voters = net.agents(0..4);
    let proposal = net.node(0).proposes(red_or_blue(&voters, 4_000));
    net.run_for(1_000);
    net.crash(2);
    net.crash(3);
    net.says(0, proposal, option("red"));
    net.says(1, proposal, option("red"));
    net.run_for(10_000);
    let made = WALL_START.plus(net.time());
    let nothing = thief.report(proposal, &[], made);
    thief.tell(&mut net, &[0, 1], Kind::CloseReport, nothing.bytes());
    net.run_for(30_000);
    for node in 0..2 {
        assert!(!net.is_over(node, proposal));
    }
    net.restart(2);
    net.restart(3);
    net.run_for(40_000);
    assert_decided(&mut net, 0..4, proposal, "red");
}

/// A sealed vote of five, of which the last four are trustees and any three open.
fn sealed_vote(net: &mut Sim) -> RecordId {
    let (voters, trustees) = (net.agents(0..5), net.agents(1..5));
    let proposal = net.node(0).proposes(sealed(red_or_blue(&voters, 600_000), &trustees, Some(3)));
    net.run_for(2_000);
    proposal
}

#[test]
fn trustees_open_what_was_sealed_for_them_before_their_keys_were_replaced() {
    for seed in 0..6 {
        let mut net = Sim::settled(5_000 + seed, 5);
        let proposal = sealed_vote(&mut net);
        net.all_say(proposal, ["red", "blue", "red"]);
        // Three must open, and all but one have other keys than when they published theirs; one had two others since.
        for node in [1, 2, 3, 2] {
            rotate(&mut net, node);
            if seed % 2 == 0 {
                net.lose_power(node);
                net.restart(node);
                net.run_for(2_000);
            }
        }
        if seed % 3 == 0 {
            net.crash(4);
        }
        net.run_for(3_000);
        net.says(3, proposal, option("blue"));
        if net.is_up(4) {
            net.says(4, proposal, option("red"));
        } else {
            net.run_for(600_000);
        }
        net.run_for(30_000);
        net.restart(4);
        net.run_for(30_000);
        let state = net.vote(0, proposal).state;
        let expected = if seed % 3 == 0 {
            VoteState::Rejected { cause: "no option has enough votes".into() }
        } else {
            VoteState::Decided { option: "red".into() }
        };
        assert_eq!(state, expected, "seed {seed}");
        let certificate = net.node(1).certificate(proposal).unwrap();
        assert!(verify_file(&certificate, None).is_ok());
        net.settle();
        for node in 0..5 {
            assert!(net.accused(node).is_empty(), "a trustee published a second key: seed {seed}");
        }
    }
}
