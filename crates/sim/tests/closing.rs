//! Closed votes: whatever closers do, one outcome, and no ballot is lost that enough of them acknowledged.

#![allow(clippy::unwrap_used, reason = "tests")]

use althing_ballot::{Choice, Rule, VerifiedFile, verify_file};
use althing_engine::{Answer, Ask, Said, Vote, VoteState};
use althing_record::{Kind, RecordId};
use althing_sim::{Sim, Villain, WALL_START, closed};

fn vote(net: &mut Sim, node: usize, proposal: RecordId) -> Vote {
    let no = net.node(node).ask(Ask::Vote { proposal, question: None });
    let Answer::Vote(vote) = net.answer(no) else { panic!("node {node} does not know the vote") };
    *vote
}

fn say(net: &mut Sim, node: usize, proposal: RecordId, said: Said) {
    let no = net.node(node).say(proposal, said);
    let answer = net.answer(no);
    assert!(matches!(answer, Answer::Cast { .. }), "node {node}: {answer:?}");
}

fn option(text: &str) -> Said {
    Said::Option(text.into())
}

fn is_decided(net: &mut Sim, node: usize, proposal: RecordId, expected: &str) -> bool {
    vote(net, node, proposal).state == VoteState::Decided { option: expected.into() }
}

fn ranks(text: &str) -> Said {
    Said::Ranking(text.chars().map(String::from).collect())
}

#[test]
fn a_simple_majority_is_decided_as_soon_as_all_have_voted() {
    let mut net = Sim::seed(1).nodes(5);
    net.run_for(1_000);
    let voters = net.agents(0..5);
    let proposal = net.node(0).proposes(closed(Rule::Majority, &["red", "blue"], &voters, 600_000));
    net.run_for(1_000);
    for (node, choice) in ["red", "blue", "red", "abstain", "red"].into_iter().enumerate() {
        say(&mut net, node, proposal, option(choice));
    }
    net.run_for(3_000);
    for node in 0..5 {
        assert!(is_decided(&mut net, node, proposal, "red"), "{:?}", vote(&mut net, node, proposal).state);
        let certificate = net.node(node).certificate(proposal).unwrap();
        let VerifiedFile::Closed(verified) = verify_file(&certificate, None).unwrap() else {
            panic!("closed")
        };
        assert_eq!(verified.manifest.choices.len(), 5);
    }
    assert!(net.run_until_quiet());
    net.check_converged();
    assert_eq!(net.certified()[&(proposal, None)].len(), 1);
}

#[test]
fn who_does_not_vote_holds_nobody_up_longer_than_the_window() {
    let mut net = Sim::seed(2).nodes(4);
    net.run_for(1_000);
    let voters = net.agents(0..4);
    let proposal = net.node(0).proposes(closed(Rule::Ranked, &["A", "B", "C"], &voters, 10_000));
    net.run_for(1_000);
    say(&mut net, 0, proposal, ranks("ABC"));
    say(&mut net, 1, proposal, ranks("BA"));
    say(&mut net, 2, proposal, ranks("CB"));
    net.crash(3);
    net.run_for(6_000);
    assert_eq!(vote(&mut net, 0, proposal).state, VoteState::Open);
    net.run_for(10_000);
    assert!(is_decided(&mut net, 0, proposal, "B"), "{:?}", vote(&mut net, 0, proposal));
    assert_eq!(vote(&mut net, 0, proposal).rounds.len(), 2);
    net.restart(3);
    net.run_for(30_000);
    assert!(is_decided(&mut net, 3, proposal, "B"));
    assert!(net.run_until_quiet());
    net.check_converged();
}

#[test]
fn a_minority_decides_nothing_and_the_whole_network_within_20_seconds_after_it_healed() {
    for seed in 0..20 {
        let mut net = Sim::seed(100 + seed).nodes(5);
        net.run_for(1_000);
        let voters = net.agents(0..5);
        let proposal = net.node(0).proposes(closed(Rule::Majority, &["red", "blue"], &voters, 20_000));
        net.run_for(2_000);
        (0..4).for_each(|node| say(&mut net, node, proposal, option(if node < 1 { "blue" } else { "red" })));
        net.partition(&[0, 1], &[2, 3]);
        net.crash(4);
        net.run_for(60_000);
        for node in 0..4 {
            assert!(!matches!(vote(&mut net, node, proposal).state, VoteState::Decided { .. }));
        }
        net.heal();
        net.run_for(20_000);
        for node in 0..4 {
            assert!(matches!(vote(&mut net, node, proposal).state, VoteState::Decided { .. }), "seed {seed}");
        }
        net.restart(4);
        assert!(net.run_until_quiet());
        net.collect_certificates();
        net.check_converged();
    }
}

#[test]
fn closers_that_crash_at_any_moment_never_contradict_themselves() {
    for seed in 0..40 {
        let mut net = Sim::seed(300 + seed).nodes(4);
        net.run_for(1_000);
        let voters = net.agents(0..4);
        let proposal = net.node(0).proposes(closed(Rule::Majority, &["red", "blue"], &voters, 4_000));
        net.run_for(500);
        for node in 0..4 {
            net.node(node).cast(proposal, if node % 2 == 0 { "red" } else { "blue" });
        }
        for _ in 0..12 {
            let node = usize::try_from(net.below(4)).unwrap();
            match net.below(3) {
                0 => net.crash_after_next_guard(node),
                1 => net.lose_power(node),
                _ => net.crash(node),
            }
            let pause = net.below(1_500);
            net.run_for(pause);
            (0..4).for_each(|node| net.restart(node));
            let pause = net.below(1_500);
            net.run_for(pause);
            net.check();
        }
        (0..4).for_each(|node| net.restart(node));
        net.run_for(30_000);
        assert!(net.run_until_quiet(), "seed {seed}");
        net.collect_certificates();
        net.check_converged();
        let state = vote(&mut net, 0, proposal).state;
        assert!(
            matches!(state, VoteState::Decided { .. } | VoteState::Rejected { .. }),
            "seed {seed}: {state:?}"
        );
    }
}

#[test]
fn a_villain_among_four_closers_changes_nothing_but_its_own_ballot() {
    for seed in 0..20 {
        let mut net = Sim::seed(500 + seed).nodes(3);
        net.run_for(1_000);
        let mut villain = Villain::new(0);
        let mut voters = net.agents(0..3);
        voters.push(villain.agent());
        let proposal = net.node(0).proposes(closed(Rule::Majority, &["red", "blue"], &voters, 8_000));
        net.run_for(2_000);
        (0..3).for_each(|node| say(&mut net, node, proposal, option(if node == 0 { "red" } else { "blue" })));
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
            let state = vote(&mut net, node, proposal).state;
            let blue = VoteState::Decided { option: "blue".into() };
            assert!(state == blue || matches!(state, VoteState::Rejected { .. }), "seed {seed}: {state:?}");
            assert_eq!(state, vote(&mut net, 0, proposal).state, "seed {seed}");
            assert!(net.accused(node).contains(&villain.agent()), "seed {seed}");
        }
        assert!(net.run_until_quiet());
        net.collect_certificates();
        net.check_converged();
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
        let mut net = Sim::seed(700).nodes(4);
        net.run_for(1_000);
        let voters = net.agents(0..4);
        let proposal = net.node(1).proposes(closed(rule, &["A", "B", "C"], &voters, 60_000));
        net.run_for(1_000);
        for (node, said) in said.into_iter().enumerate() {
            say(&mut net, node, proposal, said);
        }
        net.run_for(5_000);
        for node in 0..4 {
            assert!(
                is_decided(&mut net, node, proposal, expected),
                "{rule}: {:?}",
                vote(&mut net, node, proposal)
            );
        }
    }
}
