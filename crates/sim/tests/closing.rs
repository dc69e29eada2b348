//! Closed votes: whatever closers do, one outcome, and no ballot is lost that enough of them acknowledged.

#![allow(clippy::unwrap_used, reason = "tests")]

use althing_ballot::{Choice, Rule, VerifiedFile, verify_file};
use althing_engine::{Said, VoteState};
use althing_record::{Kind, RecordId};
use althing_sim::{Sim, Villain, WALL_START, closed, option, red_or_blue};

fn ranks(text: &str) -> Said {
    Said::Ranking(text.chars().map(String::from).collect())
}

#[test]
fn a_simple_majority_is_decided_as_soon_as_all_have_voted() {
    let mut net = Sim::settled(1, 5);
    let voters = net.agents(0..5);
    let proposal = net.node(0).proposes(red_or_blue(&voters, 600_000));
    net.run_for(1_000);
    net.all_say(proposal, ["red", "blue", "red", "abstain", "red"]);
    net.run_for(3_000);
    for node in 0..5 {
        assert!(net.is_decided(node, proposal, "red"), "{:?}", net.vote(node, proposal).state);
        let certificate = net.node(node).certificate(proposal).unwrap();
        let VerifiedFile::Closed(verified) = verify_file(&certificate, None).unwrap() else {
            panic!("closed")
        };
        assert_eq!(verified.manifest.choices.len(), 5);
    }
    net.settle();
    assert_eq!(net.certified()[&(proposal, None)].len(), 1);
}

#[test]
fn who_does_not_vote_holds_nobody_up_longer_than_the_window() {
    let mut net = Sim::settled(2, 4);
    let voters = net.agents(0..4);
    let proposal = net.node(0).proposes(closed(Rule::Ranked, &["A", "B", "C"], &voters, 10_000));
    net.run_for(1_000);
    net.says(0, proposal, ranks("ABC"));
    net.says(1, proposal, ranks("BA"));
    net.says(2, proposal, ranks("CB"));
    net.crash(3);
    net.run_for(6_000);
    assert_eq!(net.vote(0, proposal).state, VoteState::Open);
    net.run_for(10_000);
    assert!(net.is_decided(0, proposal, "B"), "{:?}", net.vote(0, proposal));
    assert_eq!(net.vote(0, proposal).rounds.len(), 2);
    net.restart(3);
    net.run_for(30_000);
    assert!(net.is_decided(3, proposal, "B"));
    net.settle();
}

#[test]
fn a_minority_decides_nothing_and_the_whole_network_within_20_seconds_after_it_healed() {
    for seed in 0..20 {
        let mut net = Sim::settled(100 + seed, 5);
        let voters = net.agents(0..5);
        let proposal = net.node(0).proposes(red_or_blue(&voters, 20_000));
        net.run_for(2_000);
        net.all_say(proposal, ["blue", "red", "red", "red"]);
        net.partition(&[0, 1], &[2, 3]);
        net.crash(4);
        net.run_for(60_000);
        for node in 0..4 {
            assert!(!matches!(net.vote(node, proposal).state, VoteState::Decided { .. }));
        }
        net.heal();
        net.run_for(20_000);
        for node in 0..4 {
            assert!(matches!(net.vote(node, proposal).state, VoteState::Decided { .. }), "seed {seed}");
        }
        net.restart(4);
        net.settle();
    }
}

#[test]
fn closers_that_crash_at_any_moment_never_contradict_themselves() {
    for seed in 0..40 {
        let mut net = Sim::settled(300 + seed, 4);
        let voters = net.agents(0..4);
        let proposal = net.node(0).proposes(red_or_blue(&voters, 4_000));
        net.run_for(500);
        for node in 0..4 {
            net.node(node).cast(proposal, if node % 2 == 0 { "red" } else { "blue" });
        }
        net.crash_often(12);
        net.run_for(30_000);
        net.settle();
        let state = net.vote(0, proposal).state;
        assert!(
            matches!(state, VoteState::Decided { .. } | VoteState::Rejected { .. }),
            "seed {seed}: {state:?}"
        );
    }
}

#[test]
fn a_villain_among_four_closers_changes_nothing_but_its_own_ballot() {
    for seed in 0..20 {
        let mut net = Sim::settled(500 + seed, 3);
        let mut villain = Villain::new(0);
        let mut voters = net.agents(0..3);
        voters.push(villain.agent());
        let proposal = net.node(0).proposes(red_or_blue(&voters, 8_000));
        net.run_for(2_000);
        net.all_say(proposal, ["red", "blue", "blue"]);
        let made = WALL_START.plus(net.time());
        let [red, blue] = villain.two_ballots(proposal, [Choice::Option(0), Choice::Option(1)], made);
        villain.tell(&mut net, &[0], Kind::BallotBatch, red.bytes());
        villain.tell(&mut net, &[1, 2], Kind::BallotBatch, blue.bytes());
        let nothing = villain.report(proposal, &[], made);
        let invented = villain.report(proposal, &[(0, RecordId([7; 32]))], made);
        villain.tell(&mut net, &[0, 1], Kind::CloseReport, nothing.bytes());
        villain.tell(&mut net, &[2], Kind::CloseReport, invented.bytes());
        net.run_for(40_000);
        for node in 0..3 {
            // Two of three honest ballots are blue; the villain's may count for red, and then nobody has a majority.
            let state = net.vote(node, proposal).state;
            let blue = VoteState::Decided { option: "blue".into() };
            assert!(state == blue || matches!(state, VoteState::Rejected { .. }), "seed {seed}: {state:?}");
            assert_eq!(state, net.vote(0, proposal).state, "seed {seed}");
            assert!(net.accused(node).contains(&villain.agent()), "seed {seed}");
        }
        net.settle();
    }
}

#[test]
fn every_rule_is_decided_alike_on_every_node() {
    let (many, scored) = (
        |options: &str| Said::Approval(options.chars().map(String::from).collect()),
        |scores: &[(&str, u8)]| {
            Said::Scores(scores.iter().map(|(name, score)| ((*name).into(), *score)).collect())
        },
    );
    let stories = [
        (Rule::Approval, vec![many("AB"), many("BC"), many("B"), many("C")], "B"),
        (Rule::Schulze, vec![ranks("ABC"), ranks("BCA"), ranks("BAC"), ranks("CBA")], "B"),
        (
            Rule::Star,
            vec![
                scored(&[("A", 5), ("B", 4)]),
                scored(&[("B", 5)]),
                scored(&[("C", 5), ("B", 3)]),
                scored(&[("A", 1)]),
            ],
            "B",
        ),
        (Rule::Unanimous, vec![option("C"), option("C"), option("abstain"), option("C")], "C"),
        (
            Rule::SuperMajority { num: 2, den: 3 },
            vec![option("A"), option("A"), option("B"), option("abstain")],
            "A",
        ),
    ];
    for (rule, said, expected) in stories {
        let mut net = Sim::settled(700, 4);
        let voters = net.agents(0..4);
        let proposal = net.node(1).proposes(closed(rule, &["A", "B", "C"], &voters, 60_000));
        net.run_for(1_000);
        for (node, said) in said.into_iter().enumerate() {
            net.says(node, proposal, said);
        }
        net.run_for(5_000);
        for node in 0..4 {
            assert!(net.is_decided(node, proposal, expected), "{rule}: {:?}", net.vote(node, proposal));
        }
    }
}
