//! Sealed votes: nobody sees a tally before the trustees open the ballots, and then everybody sees the same.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use althing_ballot::{Choice, OpeningBody, Sealed, TrusteeKeyBody, TrusteeSecret, VerifiedFile, verify_file};
use althing_engine::{Answer, Ask, RefusalKind, VoteState};
use althing_record::{AgentKey, Kind, Millis, NetworkId, RecordId, cbor};
use althing_sim::{Sim, Villain, WALL_START, agent_key, option, red_or_blue, sealed};

fn decided(net: &mut Sim, node: usize, proposal: RecordId) -> Option<String> {
    match net.vote(node, proposal).state {
        VoteState::Decided { option } => Some(option),
        VoteState::Rejected { cause } => Some(cause),
        VoteState::Open
        | VoteState::Expired
        | VoteState::Closing
        | VoteState::Opening { .. }
        | VoteState::Unopened { .. }
        | VoteState::Conflicting { .. } => None,
    }
}

/// Five nodes that vote for red or blue, of which the last four are trustees: any two of them open.
fn proposed(seed: u64, window_ms: u64) -> (Sim, RecordId) {
    let mut net = Sim::settled(seed, 5);
    let (voters, trustees) = (net.agents(0..5), net.agents(1..5));
    let draft = sealed(red_or_blue(&voters, window_ms), &trustees, Some(2));
    let proposal = net.node(0).proposes(draft);
    net.run_for(1_000);
    (net, proposal)
}

#[test]
fn there_is_no_tally_before_all_have_voted_and_trustees_have_opened() {
    let (mut net, proposal) = proposed(1, 600_000);
    let terms = net.vote(0, proposal).sealed.unwrap();
    assert_eq!((terms.threshold, terms.trustees.len()), (2, 4));
    assert!(terms.trustees.iter().all(|trustee| trustee.has_key && !trustee.has_opened), "{terms:?}");
    net.all_say(proposal, ["red", "blue", "red", "abstain"]);
    net.run_for(2_000);
    for node in 0..5 {
        let vote = net.vote(node, proposal);
        assert_eq!(vote.state, VoteState::Open);
        assert!(vote.options.iter().all(|option| option.votes == 0) && vote.abstentions == 0, "{vote:?}");
        let voted: Vec<_> = vote.voters.iter().flat_map(|voter| voter.choices.clone()).collect();
        assert_eq!(voted, ["sealed"; 4]);
        assert_eq!(net.node(node).certificate(proposal), None);
    }
    net.says(4, proposal, option("red"));
    net.run_for(5_000);
    for node in 0..5 {
        assert_eq!(decided(&mut net, node, proposal).as_deref(), Some("red"));
        let vote = net.vote(node, proposal);
        assert_eq!(vote.options.iter().map(|option| option.votes).collect::<Vec<_>>(), [3, 1]);
        assert_eq!(vote.abstentions, 1);
        assert!(vote.voters.iter().all(|voter| voter.choices != ["sealed"]), "{vote:?}");
        let certificate = net.node(node).certificate(proposal).unwrap();
        let VerifiedFile::Closed(verified) = verify_file(&certificate, None).unwrap() else {
            panic!("closed")
        };
        assert_eq!((verified.manifest.choices.len(), verified.manifest.invalid.len()), (5, 0));
    }
    net.settle();
}

#[test]
fn the_same_ballot_is_known_again_and_another_one_is_refused() {
    let (mut net, proposal) = proposed(2, 600_000);
    net.says(1, proposal, option("red"));
    let no = net.node(1).cast(proposal, "red");
    assert!(matches!(net.answer(no), Answer::Cast { repeated: true, .. }));
    let no = net.node(1).cast(proposal, "blue");
    let Answer::Refused(refusal) = net.answer(no) else { panic!("a second ballot") };
    assert_eq!(refusal.kind, RefusalKind::Conflict, "{refusal:?}");
    net.crash(1);
    net.restart(1);
    net.run_for(5_000);
    let no = net.node(1).cast(proposal, "red");
    assert!(matches!(net.answer(no), Answer::Cast { repeated: true, .. }));
}

#[test]
fn a_trustee_that_never_comes_does_not_hold_up_the_others() {
    for seed in 0..10 {
        let mut net = Sim::settled(40 + seed, 5);
        let (voters, trustees) = (net.agents(0..5), net.agents(1..5));
        net.crash(4);
        let draft = sealed(red_or_blue(&voters, 20_000), &trustees, Some(2));
        let proposal = net.node(0).proposes(draft);
        net.run_for(1_000);
        net.all_say(proposal, ["red", "blue", "red", "red"]);
        net.run_for(60_000);
        for node in 0..4 {
            assert_eq!(decided(&mut net, node, proposal).as_deref(), Some("red"), "seed {seed}");
        }
        let vote = net.vote(0, proposal).sealed.unwrap();
        let silent = vote.trustees.iter().find(|trustee| trustee.agent == trustees[3]).unwrap();
        assert!(!silent.has_key && !silent.has_opened);
        net.restart(4);
        net.settle();
    }
}

#[test]
fn too_few_openings_are_an_outcome_of_their_own_until_more_come() {
    let mut net = Sim::settled(3, 8);
    // The trustees do not vote, so that the vote is closed without them.
    let (voters, trustees) = (net.agents(0..4), net.agents(4..8));
    let draft = sealed(red_or_blue(&voters, 20_000), &trustees, Some(2));
    let proposal = net.node(0).proposes(draft);
    net.run_for(2_000);
    (5..8).for_each(|node| net.crash(node));
    net.all_say(proposal, ["blue"; 4]);
    net.run_for(10_000);
    assert_eq!(net.vote(0, proposal).state, VoteState::Opening { opened: 1, threshold: 2 });
    assert_eq!(net.node(0).certificate(proposal), None);
    net.run_for(70_000);
    let mut missing = trustees[1..].to_vec();
    missing.sort_unstable();
    for node in 0..5 {
        assert_eq!(net.vote(node, proposal).state, VoteState::Unopened { missing: missing.clone() });
    }
    net.restart(6);
    net.run_for(60_000);
    for node in 0..5 {
        assert_eq!(decided(&mut net, node, proposal).as_deref(), Some("blue"));
    }
    (5..8).for_each(|node| net.restart(node));
    net.settle();
}

#[test]
fn a_ballot_waits_for_keys_and_says_whose_are_missing() {
    let mut net = Sim::settled(4, 5);
    let (voters, trustees) = (net.agents(0..2), net.agents(2..5));
    net.crash(3);
    net.crash(4);
    let draft = sealed(red_or_blue(&voters, 120_000), &trustees, Some(2));
    let proposal = net.node(0).proposes(draft);
    let no = net.node(0).cast(proposal, "red");
    let Answer::Refused(refusal) = net.answer(no) else { panic!("there are too few keys") };
    assert_eq!(refusal.kind, RefusalKind::NotReady);
    for trustee in &trustees[1..] {
        assert!(refusal.cause.contains(&trustee.to_string()), "{refusal:?}");
    }
    assert!(refusal.cause.contains("for 2 of 3 trustees, and 1 have"), "{refusal:?}");
    let no = net.node(0).cast(proposal, "red");
    net.run_for(1_000);
    assert_eq!(net.answered(no), None, "it waits");
    net.restart(3);
    assert!(matches!(net.answer(no), Answer::Cast { repeated: false, .. }));
}

#[test]
fn so_many_ballots_wait_for_keys_and_no_more() {
    let mut net = Sim::settled(7, 2);
    let (voters, trustees) = (net.agents(0..1), net.agents(1..2));
    net.crash(1);
    let draft = sealed(red_or_blue(&voters, 120_000), &trustees, None);
    let proposal = net.node(0).proposes(draft);
    let waiting: Vec<_> = (0..256).map(|_| net.node(0).cast(proposal, "red")).collect();
    let no = net.node(0).cast(proposal, "red");
    let Answer::Refused(refusal) = net.answer(no) else { panic!("there is no room") };
    assert_eq!(refusal.kind, RefusalKind::Busy);
    assert!(waiting.iter().all(|no| net.answered(*no).is_none()));
    net.restart(1);
    let answers: Vec<_> = waiting.into_iter().map(|no| net.answer(no)).collect();
    let repeated = |answer: &&Answer| matches!(answer, Answer::Cast { repeated: true, .. });
    assert_eq!(answers.iter().filter(repeated).count(), 255, "one ballot, told 256 times");
}

#[test]
fn a_stranger_takes_so_many_places_with_a_trustee_and_no_more() {
    let mut net = Sim::settled(8, 3);
    let (voters, trustees) = (net.agents(0..1), net.agents(1..2));
    let draft = sealed(red_or_blue(&voters, 600_000), &trustees, None);
    let proposals: Vec<_> = (0..70).map(|_| net.node(0).proposes(draft.clone())).collect();
    net.run_for(20_000);
    assert_eq!(net.records(0, Kind::TrusteeKey).len(), 64);
    // What was opened makes room.
    for proposal in proposals {
        let no = net.node(0).cast(proposal, "red");
        if matches!(net.answer(no), Answer::Cast { .. }) {
            net.run_for(500);
        }
    }
    net.run_for(30_000);
    assert_eq!(net.records(0, Kind::TrusteeKey).len(), 70);
    // Another one's is served all the while.
    let own = sealed(red_or_blue(&net.agents(2..3), 600_000), &trustees, None);
    let proposal = net.node(2).proposes(own);
    net.run_for(1_000);
    assert!(net.vote(2, proposal).sealed.unwrap().trustees[0].has_key);
}

#[test]
fn trustees_and_voters_that_crash_at_any_moment_say_everything_once() {
    for seed in 0..20 {
        let (mut net, proposal) = proposed(600 + seed, 6_000);
        for node in 0..5 {
            net.node(node).cast(proposal, if node % 2 == 0 { "red" } else { "blue" });
        }
        net.crash_often(12);
        net.run_for(60_000);
        net.settle();
        let outcome = decided(&mut net, 0, proposal);
        assert!(outcome.is_some(), "seed {seed}: {:?}", net.vote(0, proposal).state);
    }
}

/// A secret that a villain chose.
fn villains_secret(proposal: RecordId, n: usize) -> TrusteeSecret {
    let key: AgentKey = agent_key(3_000_000 + n);
    TrusteeSecret::of(&key, NetworkId([9; 32]), proposal)
}

#[test]
fn a_trustee_with_two_keys_is_accused_and_one_that_opens_early_is_seen() {
    let mut villain = Villain::new(0);
    let mut net = Sim::settled(5, 4);
    let voters = net.agents(0..4);
    let trustees = [net.agents(1..4), vec![villain.agent()]].concat();
    let draft = sealed(red_or_blue(&voters, 600_000), &trustees, Some(2));
    let proposal = net.node(0).proposes(draft);
    net.run_for(1_000);
    let made = Millis(WALL_START.0 + net.time());
    let secrets = [0, 1].map(|n| villains_secret(proposal, n));
    let nodes = [0, 1, 2, 3];
    // An opening of a key that nobody published is not taken.
    let body = |secret: &TrusteeSecret| -> OpeningBody { secret.opening_body(proposal) };
    let early = villain.any(Kind::Opening, cbor::to_vec(&body(&secrets[0])), made);
    villain.tell(&mut net, &nodes, Kind::Opening, early.bytes());
    net.run_for(1_000);
    assert!(!net.vote(0, proposal).sealed.unwrap().trustees.iter().any(|trustee| trustee.has_opened));
    for secret in &secrets {
        let key: TrusteeKeyBody = secret.key_body(proposal);
        let key = villain.any(Kind::TrusteeKey, cbor::to_vec(&key), made);
        villain.tell(&mut net, &nodes, Kind::TrusteeKey, key.bytes());
    }
    // An opening that overtakes its key would not be taken, and a villain does not say it again.
    net.run_for(200);
    let opening = villain.any(Kind::Opening, cbor::to_vec(&body(&secrets[1])), made);
    villain.tell(&mut net, &nodes, Kind::Opening, opening.bytes());
    // A stranger is no trustee.
    let mut stranger = Villain::new(1);
    let key = cbor::to_vec(&secrets[0].key_body(proposal));
    let key = stranger.any(Kind::TrusteeKey, key, made);
    stranger.tell(&mut net, &nodes, Kind::TrusteeKey, key.bytes());
    net.run_for(1_000);
    assert!(net.records(0, Kind::TrusteeKey).iter().all(|record| record.agent() != stranger.agent()));
    let shown = net.vote(0, proposal);
    assert_eq!(shown.state, VoteState::Open);
    let opened = shown.sealed.unwrap().trustees.into_iter().filter(|trustee| trustee.has_opened);
    assert_eq!(opened.map(|trustee| trustee.agent).collect::<Vec<_>>(), [villain.agent()]);
    let no = net.node(2).ask(Ask::Evidence);
    let Answer::Evidence(rows) = net.answer(no) else { panic!("evidence") };
    assert!(rows.iter().any(|row| row.agent == villain.agent() && row.offence == "double trustee key"));

    net.all_say(proposal, ["red"; 4]);
    net.run_for(5_000);
    assert_eq!(decided(&mut net, 3, proposal).as_deref(), Some("red"));
    net.settle();
}

#[test]
fn a_copied_ballot_counts_for_nothing_and_one_with_keys_that_nobody_has_is_not_taken() {
    let mut villain = Villain::new(0);
    let mut net = Sim::settled(6, 3);
    let voters = [net.agents(0..3), vec![villain.agent()]].concat();
    let trustees = net.agents(0..3);
    let draft = sealed(red_or_blue(&voters, 20_000), &trustees, None);
    let proposal = net.node(0).proposes(draft);
    net.run_for(1_000);
    net.all_say(proposal, ["blue"; 3]);
    net.run_for(1_000);
    let ballots = net.records(0, Kind::BallotBatch);
    let copied = althing_ballot::ballots_of(&ballots[0]).unwrap().remove(0).choice;
    let Choice::Sealed(sealed) = &copied else { panic!("ballots are sealed") };
    let made = Millis(WALL_START.0 + net.time());
    let mut strange = sealed.bytes().to_vec();
    strange[40] ^= 1;
    let strange = Choice::Sealed(Sealed::from_bytes(&strange).unwrap());
    for (choice, is_taken) in [(strange, false), (Choice::Option(0), true), (copied, true)] {
        let ballot = villain.ballot(proposal, choice, made);
        villain.tell(&mut net, &[0, 1, 2], Kind::BallotBatch, ballot.bytes());
        net.run_for(500);
        assert_eq!(
            net.records(0, Kind::BallotBatch).iter().any(|record| record.id() == ballot.id()),
            is_taken
        );
    }
    net.run_for(40_000);
    for node in 0..3 {
        let vote = net.vote(node, proposal);
        assert_eq!(vote.state, VoteState::Decided { option: "blue".into() });
        let invalid = vote.voters.iter().filter(|voter| voter.invalid).map(|voter| voter.agent);
        assert_eq!(invalid.collect::<Vec<_>>(), [villain.agent()], "{vote:?}");
    }
    net.settle();
}
