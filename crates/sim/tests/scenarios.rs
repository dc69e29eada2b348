//! Named stories, each about one promise.

#![allow(clippy::unwrap_used, reason = "tests")]

use althing_ballot::Choice;
use althing_engine::{Answer, Ask, RefusalKind, SEARCHES_MAX};
use althing_record::{Kind, RecordId};
use althing_sim::{Links, Sim, Villain, WALL_START, card, motion};
use althing_store::Table;

/// Has these nodes' agents vote, and expects that each ballot is taken.
fn vote(net: &mut Sim, nodes: impl IntoIterator<Item = usize>, proposal: RecordId, choice: &str) {
    for node in nodes {
        let cast = net.node(node).cast(proposal, choice);
        let answer = net.answer(cast);
        assert!(matches!(answer, Answer::Cast { .. }), "node {node}: {answer:?}");
    }
}

fn refusal(answer: Answer) -> RefusalKind {
    let Answer::Refused(refusal) = answer else { panic!("expected a refusal, found {answer:?}") };
    refusal.kind
}

fn found(net: &mut Sim, node: usize, skill: &str, live: bool) -> usize {
    let find = net.node(node).find(skill, live);
    let Answer::Found(found) = net.answer(find) else { panic!("a search has another answer") };
    found.agents.len()
}

#[test]
fn two_nodes_find_each_other_and_decide() {
    let mut net = Sim::seed(1).nodes(2);
    net.run_for(1_000);
    let published = net.node(0).publish(card("translate"));
    assert!(matches!(net.answer(published), Answer::Published(_)));
    net.run_for(1_000);
    let find = net.node(1).find("text/translate", true);
    let Answer::Found(found) = net.answer(find) else { panic!("no answer to a search") };
    assert_eq!(found.agents.len(), 1);
    assert_eq!(found.agents[0].card.agent, net.agent(0));
    assert_eq!(found.agents[0].card.leases.len(), 1);

    let voters = net.agents(0..2);
    let proposal = net.node(0).proposes(motion("merge?", &voters));
    net.run_for(1_000);
    vote(&mut net, 0..2, proposal, "yes");
    net.run_for(1_000);
    for node in 0..2 {
        assert!(net.node(node).certificate(proposal).is_some());
    }
    assert!(net.run_until_quiet());
    net.check_converged();
    assert_eq!(net.certified()[&(proposal, None)].len(), 1);
}

#[test]
fn partitioned_nodes_agree_after_healing() {
    let mut net = Sim::seed(7).nodes(5);
    net.run_for(1_000);
    net.partition(&[0, 1], &[2, 3, 4]);
    net.node(0).publish(card("translate"));
    let voters = net.agents(0..5);
    let proposal = net.node(3).proposes(motion("merge?", &voters));
    net.run_for(1_000);
    vote(&mut net, 2..5, proposal, "yes");
    net.run_for(90_000);
    assert!(!net.digests_agree());
    assert_eq!(found(&mut net, 2, "text/translate", true), 0);
    assert_eq!(net.node(3).certificate(proposal), None);
    net.heal();
    // A decision resumes at most 20 seconds after the network heals.
    net.run_for(10_000);
    vote(&mut net, [0], proposal, "yes");
    net.run_for(10_000);
    assert!((0..5).all(|node| net.node(node).certificate(proposal).is_some()));
    assert!(net.run_until_quiet());
    net.check_converged();
    assert_eq!(found(&mut net, 2, "text/translate", false), 1);
}

#[test]
fn late_joiner_sees_everything_by_reconciliation() {
    let mut net = Sim::seed(8).nodes(4);
    net.run_for(1_000);
    net.node(0).publish(card("translate"));
    let voters = net.agents(0..4);
    let proposal = net.node(0).proposes(motion("merge?", &voters));
    net.run_for(1_000);
    vote(&mut net, 0..3, proposal, "yes");
    net.run_for(400_000);
    // Gossip brings nothing from now on.
    let late = net.join(0);
    net.run_for(5_000);
    assert!(net.digests_agree());
    assert_eq!(found(&mut net, late, "text", false), 1);
    assert!(net.node(late).certificate(proposal).is_some());
    assert!(net.run_until_quiet());
    net.check_converged();
}

#[test]
fn crash_between_guard_and_batch_keeps_the_first_ballot() {
    let mut net = Sim::seed(9).nodes(3);
    net.run_for(1_000);
    let voters = net.agents(0..3);
    let proposal = net.node(0).proposes(motion("merge?", &voters));
    net.run_for(2_000);
    net.crash_after_next_guard(1);
    let lost = net.node(1).cast(proposal, "yes");
    net.run_for(5_000);
    assert!(!net.is_up(1));
    assert_eq!(net.answered(lost), None);
    net.restart(1);
    net.run_for(5_000);
    let other = net.node(1).cast(proposal, "no");
    assert_eq!(refusal(net.answer(other)), RefusalKind::Conflict);
    let same = net.node(1).cast(proposal, "yes");
    assert!(matches!(net.answer(same), Answer::Cast { repeated: true, .. }));
    assert!(net.run_until_quiet());
    net.check_converged();
    assert!((0..3).all(|node| net.accused(node).is_empty()));
}

#[test]
fn signed_ballot_outlives_the_loss_of_the_proposal_that_it_answers() {
    let mut net = Sim::seed(22).nodes(3);
    net.run_for(1_000);
    let voters = net.agents(0..3);
    let proposal = net.node(0).proposes(motion("merge?", &voters));
    net.run_for(2_000);
    // The proposal came by gossip, so it is not synced; the guard is, and the power fails right after it.
    net.crash_after_next_guard(1);
    net.node(1).cast(proposal, "yes");
    net.run_for(1_000);
    net.lose_power(1);
    net.restart(1);
    net.run_for(5_000);
    let other = net.node(1).cast(proposal, "no");
    assert_eq!(refusal(net.answer(other)), RefusalKind::Conflict);
    assert!(net.run_until_quiet());
    net.check_converged();
}

#[test]
fn ballot_that_is_not_on_disk_leaves_by_no_way() {
    // The disk is slow, so peers reconcile many times while the ballot is on its way to it.
    let links = Links { commit_ms: (60_000, 60_000), ..Links::default() };
    let mut net = Sim::seed(10).nodes(3);
    net.run_for(1_000);
    let voters = net.agents(0..3);
    let proposal = net.node(0).proposes(motion("merge?", &voters));
    net.run_for(2_000);
    net.set_links(links);
    net.node(1).cast(proposal, "yes");
    net.run_for(40_000);
    net.lose_power(1);
    net.set_links(Links::default());
    net.restart(1);
    net.run_for(10_000);
    vote(&mut net, [1], proposal, "no");
    assert!(net.run_until_quiet());
    net.check_converged();
    assert!((0..3).all(|node| net.accused(node).is_empty()));
}

#[test]
fn full_disk_keeps_the_ballot_that_was_signed_and_takes_no_other() {
    let mut net = Sim::seed(21).nodes(3);
    net.run_for(1_000);
    let voters = net.agents(0..3);
    let proposal = net.node(0).proposes(motion("merge?", &voters));
    net.run_for(2_000);
    net.fill_disk(1);
    let cast = net.node(1).cast(proposal, "yes");
    assert_eq!(refusal(net.answer(cast)), RefusalKind::Internal);
    let again = net.node(1).cast(proposal, "no");
    assert_eq!(refusal(net.answer(again)), RefusalKind::Internal);
    // What needs no disk goes on.
    let status = net.node(1).ask(Ask::Status);
    assert!(matches!(net.answer(status), Answer::Status(_)));
    net.free_disk(1);
    net.run_for(1_000);
    let other = net.node(1).cast(proposal, "no");
    assert_eq!(refusal(net.answer(other)), RefusalKind::Conflict);
    vote(&mut net, 0..3, proposal, "yes");
    assert!(net.run_until_quiet());
    net.check_converged();
}

/// Four voters of which the last ones are villains who tell half of the nodes "yes" and half "no".
fn equivocation(honest: usize, villains: usize) -> (Sim, RecordId, Vec<Villain>) {
    let mut net = Sim::seed(11).nodes(honest);
    net.run_for(1_000);
    let mut villains: Vec<_> = (0..villains).map(Villain::new).collect();
    let mut voters = net.agents(0..honest);
    voters.extend(villains.iter().map(Villain::agent));
    let draft = althing_engine::ProposalDraft {
        group: None,
        options: vec!["red".into(), "blue".into()],
        ..motion("which colour?", &voters)
    };
    let proposal = net.node(0).proposes(draft);
    net.run_for(2_000);
    let (reds, blues) = ([0, 1], [2, 3]);
    let halves = |half: [usize; 2]| half.into_iter().filter(|node| *node < honest).collect::<Vec<_>>();
    net.partition(&halves(reds), &halves(blues));
    for node in 0..honest {
        vote(&mut net, [node], proposal, if reds.contains(&node) { "red" } else { "blue" });
    }
    for villain in &mut villains {
        let choices = [Choice::Option(0), Choice::Option(1)];
        let ballots = villain.two_ballots(proposal, choices, WALL_START.plus(net.time()));
        for (half, ballot) in [halves(reds), halves(blues)].iter().zip(&ballots) {
            villain.tell(&mut net, half, Kind::BallotBatch, ballot.bytes());
        }
    }
    net.run_for(2_000);
    net.collect_certificates();
    net.heal();
    assert!(net.run_until_quiet());
    net.collect_certificates();
    net.run_until_quiet();
    (net, proposal, villains)
}

#[test]
fn one_equivocator_of_four_is_proved_everywhere_and_changes_nothing() {
    let (net, proposal, villains) = equivocation(3, 1);
    net.check_converged();
    assert!(net.certified().get(&(proposal, None)).is_none_or(|options| options.len() < 2));
    for node in 0..3 {
        assert!(net.accused(node).contains(&villains[0].agent()), "node {node}");
    }
}

#[test]
fn more_equivocators_than_tolerated_do_break_it_and_the_oracle_sees_that() {
    let (mut net, proposal, villains) = equivocation(4, 3);
    assert_eq!(net.certified()[&(proposal, None)].len(), 2, "seven voters tolerate two, three break it");
    assert!(net.failures().iter().any(|failure| failure.contains("conflict")));
    for node in 0..4 {
        assert!(villains.iter().all(|villain| net.accused(node).contains(&villain.agent())));
    }
    let vote = net.node(0).ask(Ask::Vote { proposal, question: None });
    let Answer::Vote(vote) = net.answer(vote) else { panic!("no vote") };
    assert!(matches!(vote.state, althing_engine::VoteState::Conflicting { .. }));
}

#[test]
fn fork_of_a_chain_is_proved_everywhere() {
    let mut net = Sim::seed(12).nodes(4);
    net.run_for(1_000);
    let mut villain = Villain::new(0);
    let [first, second] = villain.fork(WALL_START);
    villain.tell(&mut net, &[0], Kind::Proposal, first.bytes());
    villain.tell(&mut net, &[3], Kind::Proposal, second.bytes());
    assert!(net.run_until_quiet());
    net.check_converged();
    assert!((0..4).all(|node| net.accused(node).contains(&villain.agent())));
}

#[test]
fn forgeries_and_strangers_leave_no_trace() {
    let mut net = Sim::seed(13).nodes(3);
    net.run_for(1_000);
    let voters = net.agents(0..3);
    let proposal = net.node(0).proposes(motion("merge?", &voters));
    assert!(net.run_until_quiet());
    let tables = |net: &Sim| (0..3).map(|node| net.rows(node, Table::Records)).collect::<Vec<_>>();
    let before = tables(&net);
    let mut stranger = Villain::new(0);
    for _ in 0..200 {
        let ballot = stranger.ballot(proposal, Choice::Option(0), WALL_START.plus(net.time()));
        stranger.tell(&mut net, &[0, 1, 2], Kind::BallotBatch, ballot.bytes());
        let forged = althing_testkit::forger(&ballot, &althing_sim::agent_key(77));
        stranger.tell(&mut net, &[0, 1, 2], Kind::BallotBatch, &forged);
        stranger.tell(&mut net, &[0, 1, 2], Kind::BallotBatch, &forged[..forged.len() - 1]);
        // On the topic of another domain.
        stranger.tell(&mut net, &[0, 1, 2], Kind::Card, ballot.bytes());
    }
    net.run_for(5_000);
    assert_eq!(tables(&net), before);
    net.check_converged();
}

#[test]
fn clocks_ten_minutes_off_list_and_are_listed() {
    let mut net = Sim::seed(14).nodes(3);
    let (fast, slow) = (net.join(10 * 60_000), net.join(-10 * 60_000));
    net.run_for(5_000);
    net.node(fast).publish(card("translate"));
    net.node(slow).publish(card("translate"));
    net.node(0).publish(card("translate"));
    for minutes in [1, 12, 30] {
        net.run_for(minutes * 60_000);
        for node in 0..5 {
            let find = net.node(node).find("text/translate", false);
            let Answer::Found(found) = net.answer(find) else { panic!("no answer to a search") };
            let leased = found.agents.iter().filter(|found| !found.card.leases.is_empty()).count();
            assert_eq!((found.agents.len(), leased), (3, 3), "node {node} after {minutes} minutes");
        }
    }
    net.check();
}

#[test]
fn replayed_lease_of_a_dead_node_revives_nothing() {
    let mut net = Sim::seed(15).nodes(3);
    net.run_for(1_000);
    net.node(0).publish(card("translate"));
    net.run_for(2_000);
    let leases = net.records(1, Kind::Lease);
    assert_eq!(leases.len(), 1);
    net.crash(0);
    let listed = |net: &mut Sim| {
        let find = net.node(1).find("text/translate", false);
        let Answer::Found(found) = net.answer(find) else { panic!("no answer to a search") };
        found.agents.iter().map(|found| found.card.leases.len()).sum::<usize>()
    };
    assert_eq!(listed(&mut net), 1);
    net.run_for(26 * 60_000);
    assert_eq!(listed(&mut net), 0);
    let villain = Villain::new(0);
    for _ in 0..3 {
        for lease in &leases {
            villain.tell(&mut net, &[1, 2], Kind::Lease, lease.bytes());
        }
        // Past the duplicate cache, and through a node that never saw it.
        let late = net.join(0);
        net.run_for(6 * 60_000);
        assert_eq!(listed(&mut net), 0);
        assert_eq!(net.records(late, Kind::Lease).len(), 0);
    }
    net.check();
}

#[test]
fn retracted_card_never_comes_back() {
    let mut net = Sim::seed(17).nodes(3);
    net.run_for(1_000);
    net.node(0).publish(card("translate"));
    net.run_for(2_000);
    let (cards, leases) = (net.records(1, Kind::Card), net.records(1, Kind::Lease));
    assert_eq!((cards.len(), leases.len()), (1, 1));
    assert_eq!(found(&mut net, 1, "text/translate", true), 1);
    let retracted = net.node(0).retract();
    let Answer::Retracted(retraction) = net.answer(retracted) else { panic!("it was not retracted") };
    assert_eq!((retraction.card, retraction.leases_ended), (cards[0].id(), 1));
    assert!(retraction.expires > cards[0].expires().unwrap().max(leases[0].expires().unwrap()));
    net.run_for(2_000);
    for node in 0..3 {
        assert_eq!(found(&mut net, node, "text/translate", true), 0, "node {node}");
    }
    let again = net.node(0).retract();
    assert_eq!(refusal(net.answer(again)), RefusalKind::NotFound);
    // The node renews nothing, and nobody is taken in by copies: neither those who saw the card nor who joins later.
    let villain = Villain::new(0);
    let day = 24 * 60 * 60_000;
    for wait in [60_000, 20 * 60_000, 3 * day, 3 * day, 2 * day] {
        net.run_for(wait);
        let late = net.join(0);
        net.run_for(5_000);
        let stale = cards.iter().map(|card| (Kind::Card, card));
        for (kind, record) in stale.chain(leases.iter().map(|lease| (Kind::Lease, lease))) {
            villain.tell(&mut net, &[0, 1, 2, late], kind, record.bytes());
        }
        net.run_for(5_000);
        for node in [0, 1, 2, late] {
            assert_eq!(found(&mut net, node, "text/translate", true), 0, "node {node} after {wait} ms");
        }
        net.crash(late);
    }
    net.check();
    // Its agent can publish again.
    net.node(0).publish(card("translate"));
    net.run_for(2_000);
    assert_eq!(found(&mut net, 1, "text/translate", true), 1);
    net.check_converged();
}

#[test]
fn who_is_killed_is_gone_within_one_lease_and_queries_see_the_rest() {
    let mut net = Sim::seed(18).nodes(3);
    net.run_for(1_000);
    let french = br#"{"name":"Babel","skills":[{"id":"text/translate","tags":["lang:fr"]}]}"#;
    net.node(0).publish(french.to_vec());
    net.node(2).publish(card("translate"));
    net.run_for(2_000);
    let by = |net: &mut Sim, query: &str| {
        let find = net.node(1).find_by(query, false);
        let Answer::Found(found) = net.answer(find) else { panic!("a search has another answer") };
        found.agents.iter().map(|found| found.card.agent).collect::<Vec<_>>()
    };
    let (first, second) = (net.agent(0), net.agent(2));
    assert_eq!(by(&mut net, "skill:text AND lang:fr"), [first]);
    assert_eq!(by(&mut net, "skill:text AND NOT lang:fr"), [second]);
    assert_eq!(by(&mut net, "skill:text OR lang:fr").len(), 2);
    net.crash(0);
    net.run_for(14 * 60_000);
    assert_eq!(by(&mut net, "skill:text AND lang:fr"), [first], "its lease still counts");
    net.run_for(2 * 60_000);
    assert_eq!(by(&mut net, "lang:fr"), []);
    assert_eq!(by(&mut net, "skill:text"), [second]);
    net.check();
}

#[test]
fn copied_data_directory_stops_signing_and_is_proved() {
    let mut net = Sim::seed(16).nodes(4);
    net.run_for(1_000);
    let voters = net.agents(0..4);
    let first = net.node(1).proposes(motion("first?", &voters));
    net.run_for(2_000);
    vote(&mut net, [0], first, "yes");
    net.run_for(2_000);
    let copy = net.clone_directory(0);
    net.run_for(2_000);
    // Both copies sign the next link of one chain while they do not hear each other.
    net.partition(&[0, 1], &[copy, 2, 3]);
    let second = net.node(0).proposes(motion("second?", &voters));
    let third = net.node(copy).proposes(motion("third?", &voters));
    assert_ne!(second, third);
    net.heal();
    assert!(net.run_until_quiet());
    net.check_converged();
    for node in 0..5 {
        assert!(net.accused(node).contains(&net.agent(0)), "node {node}");
    }
    for node in [0, copy] {
        let cast = net.node(node).cast(second, "yes");
        assert_eq!(refusal(net.answer(cast)), RefusalKind::SigningStopped, "node {node}");
    }
}

#[test]
fn copied_data_directory_does_not_vote_twice_on_what_was_open() {
    let mut net = Sim::seed(17).nodes(3);
    net.run_for(1_000);
    let voters = net.agents(0..3);
    let proposal = net.node(1).proposes(motion("merge?", &voters));
    net.run_for(2_000);
    let copy = net.clone_directory(0);
    net.crash(copy);
    vote(&mut net, [0], proposal, "yes");
    net.run_for(2_000);
    net.crash(0);
    // Without a peer the copy cannot know, so it waits; with one it learns that its agent has voted.
    net.partition(&[copy], &[1, 2]);
    net.restart(copy);
    net.run_for(2_000);
    let cast = net.node(copy).cast(proposal, "no");
    assert_eq!(refusal(net.answer(cast)), RefusalKind::NotReady);
    net.heal();
    net.run_for(5_000);
    let cast = net.node(copy).cast(proposal, "no");
    assert_eq!(refusal(net.answer(cast)), RefusalKind::Conflict);
    assert!(net.accused(1).is_empty());
}

#[test]
fn peer_that_garbles_its_responses_harms_nobody() {
    let mut net = Sim::seed(18).nodes(4);
    net.garble(3, true);
    net.run_for(1_000);
    for node in 0..3 {
        net.node(node).publish(card("translate"));
    }
    net.run_for(200_000);
    assert_eq!(found(&mut net, 0, "text", true), 3);
    net.garble(3, false);
    assert!(net.run_until_quiet());
    net.check_converged();
}

#[test]
fn search_bound_is_reached_and_said() {
    let mut net = Sim::seed(19).nodes(2);
    net.run_for(1_000);
    let asks: Vec<_> = (0..=SEARCHES_MAX).map(|_| net.node(0).find("text/none", true)).collect();
    let last = asks[SEARCHES_MAX];
    assert_eq!(refusal(net.answer(last)), RefusalKind::Busy);
    for ask in &asks[..SEARCHES_MAX] {
        assert!(matches!(net.answer(*ask), Answer::Found(_)));
    }
    net.check();
}

#[test]
fn two_hundred_engines_converge_under_loss() {
    let mut net = Sim::seed(20).links(Links::lossy(5)).nodes(200);
    net.run_for(5_000);
    for node in (0..200).step_by(10) {
        net.node(node).publish(card("translate"));
    }
    let voters = net.agents((0..200).step_by(20));
    let proposal = net.node(0).proposes(motion("merge?", &voters));
    net.run_for(30_000);
    for node in (0..200).step_by(20) {
        net.node(node).cast(proposal, "yes");
    }
    assert!(net.run_until_quiet());
    net.check_converged();
    for node in [1, 100, 199] {
        assert!(net.node(node).certificate(proposal).is_some(), "node {node}");
        assert_eq!(found(&mut net, node, "text/translate", false), 20, "node {node}");
    }
    net.check();
    println!("200 engines after {} s of simulated time", net.time() / 1_000);
}
