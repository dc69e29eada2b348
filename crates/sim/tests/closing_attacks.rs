//! Attacks on closed votes.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use althing_ballot::Rule;
use althing_engine::{Answer, Ask, FAR_BURST, FAR_PERIOD_MS, ROUNDS_FREE, SURPLUS_BURST, Said, VOTES_MAX};
use althing_record::RecordId;
use althing_sim::{Sim, Villain, WALL_START, closed, option, red_or_blue};

/// A closer that starts with no peer is silent while its clock runs out; it never votes in that round again.
#[test]
fn a_closer_that_starts_without_a_peer_still_votes_when_it_meets_one() {
    let mut bad = Vec::new();
    for seed in 0..5 {
        let mut net = Sim::settled(seed, 3);
        let voters = net.agents(0..3);
        let proposal = net.node(1).proposes(red_or_blue(&voters, 5_000));
        net.run_for(1_000);
        net.all_say(proposal, ["red"; 2]);
        net.run_for(1_000);
        net.partition(&[0], &[1, 2]);
        net.run_for(20_000);
        net.crash(0);
        net.restart(0);
        net.run_for(10_000);
        net.heal();
        net.run_for(60_000);
        let over = net.is_over(1, proposal);
        if !over {
            bad.push((seed, net.vote(1, proposal).state));
        }
    }
    assert!(bad.is_empty(), "{bad:?}");
}

/// The closer stops between its report and its first vote of the agreement.
#[test]
fn a_closer_that_stops_between_its_report_and_its_first_vote_loses_nothing() {
    let mut bad = Vec::new();
    for offset in 0..12 {
        let mut net = Sim::settled(offset, 3);
        let voters = net.agents(0..3);
        let proposal = net.node(1).proposes(red_or_blue(&voters, 5_000));
        net.run_for(1_000);
        net.all_say(proposal, ["red"; 2]);
        net.run_for(1_000);
        net.partition(&[0], &[1, 2]);
        net.run_for(3_000 + 50 * offset);
        net.crash(0);
        net.restart(0);
        net.run_for(10_000);
        net.heal();
        net.run_for(120_000);
        let over = net.is_over(1, proposal);
        if !over {
            bad.push((offset, net.vote(1, proposal).state));
        }
    }
    assert!(bad.is_empty(), "{bad:?}");
}

/// Four closers, one is down for good, all others lose power.
#[test]
fn closers_that_lose_power_after_their_reports_decide_when_they_are_back() {
    let mut bad = Vec::new();
    for seed in 0..5 {
        let mut net = Sim::settled(seed, 4);
        let voters = net.agents(0..4);
        let proposal = net.node(1).proposes(red_or_blue(&voters, 5_000));
        net.run_for(1_000);
        net.all_say(proposal, ["red"; 3]);
        net.run_for(1_000);
        net.crash(3);
        net.partition(&[0], &[1, 2]);
        net.run_for(20_000);
        (0..3).for_each(|node| net.lose_power(node));
        (0..3).for_each(|node| net.restart(node));
        net.run_for(10_000);
        net.heal();
        net.run_for(120_000);
        let over = net.is_over(1, proposal);
        if !over {
            bad.push((seed, net.vote(1, proposal).state));
        }
    }
    assert!(bad.is_empty(), "{bad:?}");
}

/// More votes at once than places.
#[test]
fn votes_beyond_the_places_are_closed_when_there_is_room() {
    let mut net = Sim::settled(1, 1);
    let voters = net.agents(0..1);
    let all: Vec<_> = (0..1_100).map(|_| net.node(0).proposes(red_or_blue(&voters, 20_000))).collect();
    net.run_for(120_000);
    let open = all.iter().filter(|id| !net.is_over(0, **id)).count();
    assert_eq!(open, 0, "never closed");
}

/// A stranger's votes that never end take all places.
#[test]
fn one_stranger_does_not_fill_all_places() {
    let mut net = Sim::settled(1, 3);
    let mut victims = net.agents(0..2);
    let ghosts: Vec<_> = (0..3).map(|n| Villain::new(n).agent()).collect();
    victims.extend(ghosts);
    for _ in 0..1_024 {
        net.node(2).proposes(red_or_blue(&victims, 1 << 31));
    }
    net.run_for(60_000);
    let voters = net.agents(0..2);
    let proposal = net.node(0).proposes(red_or_blue(&voters, 20_000));
    net.run_for(5_000);
    net.all_say(proposal, ["red"; 2]);
    net.run_for(120_000);
    assert!(net.is_over(0, proposal), "{:?}", net.vote(0, proposal).state);
}

/// A restored directory takes a proposal that it had known in its former life for a new one.
#[test]
fn a_restored_directory_says_nothing_as_a_closer() {
    let mut net = Sim::settled(3, 4);
    let old = net.snapshot(1);
    let voters = net.agents(0..4);
    let proposal = net.node(2).proposes(red_or_blue(&voters, 10_000));
    net.run_for(2_000);
    net.says(0, proposal, option("red"));
    net.partition(&[0, 1], &[2, 3]);
    net.run_for(15_000);
    net.crash(1);
    net.partition(&[0], &[1, 2, 3]);
    net.restore(1, &old);
    net.run_for(30_000);
    net.heal();
    net.run_for(30_000);
    for node in 0..4 {
        assert!(
            net.accused(node).is_empty(),
            "node {node} accuses {:?} (honest node 1 is {:?})",
            net.accused(node),
            net.agent(1)
        );
    }
}

/// Own statements of the guard before their proposal leave a row behind.
#[test]
fn a_statement_that_came_before_its_proposal_leaves_no_trace() {
    for seed in 0..10 {
        let mut net = Sim::seed(seed).nodes(3);
        net.run_for(2_000);
        let voters = net.agents(0..1);
        net.crash_after_next_guard(0);
        net.node(1).proposes(red_or_blue(&voters, 0));
        net.run_for(5_000);
        net.restart(0);
        net.run_for(30_000);
        net.settle();
    }
}

/// Who closes one vote says what it likes of others.
#[test]
fn only_closers_acknowledge() {
    use althing_ballot::{Ack, ClosedTerms, Electorate, ProposalBody, Question};
    use althing_record::{Kind, cbor};
    let mut net = Sim::settled(1, 4);
    let voters = net.agents(0..4);
    let proposal = net.node(0).proposes(red_or_blue(&voters, 600_000));
    net.run_for(2_000);
    for n in 0..3 {
        let mut villain = Villain::new(n);
        let made = WALL_START.plus(net.time());
        let electorate = Electorate::equal(vec![villain.agent()]).unwrap();
        let question = Question {
            text: "?",
            options: &[],
            rule: Rule::Majority,
            electorate: &electorate,
            window_ms: 1,
            nonce: [1; 8],
        };
        let body = ProposalBody::closed(&question, &ClosedTerms::default()).unwrap();
        let own = villain.any(Kind::Proposal, cbor::to_vec(&body), made);
        let acks = [
            Ack { proposal: own.id(), voter: 0, batch: RecordId([1; 32]) },
            Ack { proposal, voter: 0, batch: RecordId([1; 32]) },
        ];
        let acks = villain.any(Kind::BallotAck, cbor::to_vec(&Ack::body(&acks).unwrap()), made);
        villain.tell(&mut net, &[0, 1, 2, 3], Kind::Proposal, own.bytes());
        net.run_for(1_000);
        villain.tell(&mut net, &[0, 1, 2, 3], Kind::BallotAck, acks.bytes());
        net.run_for(1_000);
    }
    let seen = net.vote(1, proposal);
    assert_eq!(
        seen.voters.iter().map(|voter| voter.acks).max(),
        Some(0),
        "nobody voted and no closer acknowledged"
    );
}

/// A closer floods the votes' inboxes before the honest ones have reported.
#[test]
fn a_flood_of_statements_before_the_end_hides_none() {
    use althing_agree::Step;
    use althing_record::Kind;
    let mut net = Sim::settled(5, 3);
    let mut villain = Villain::new(0);
    let mut voters = net.agents(0..3);
    voters.push(villain.agent());
    net.partition(&[0], &[1, 2]);
    let proposal = net.node(0).proposes(red_or_blue(&voters, 30_000));
    net.run_for(6_000);
    net.heal();
    net.run_for(4_000);
    net.all_say(proposal, ["red"; 3]);
    net.run_for(2_000);
    for round in 1..4_200 {
        let made = WALL_START.plus(net.time());
        let record = villain.vote(proposal, Step::Precommit, round, None, made);
        villain.tell(&mut net, &[1, 2], Kind::Agreement, record.bytes());
        if round % 64 == 0 {
            net.run_for(50);
        }
    }
    let flooded = net.records(1, Kind::Agreement).into_iter().filter(|said| said.agent() == villain.agent());
    let room = u64::from(ROUNDS_FREE) + FAR_BURST + 5_000 / FAR_PERIOD_MS;
    assert!((FAR_BURST..room).contains(&(flooded.count() as u64)));
    net.run_for(120_000);
    assert!(net.is_over(1, proposal), "{:?}", net.vote(1, proposal).state);
}

/// A voter whose key loses a fork of its identity takes the certificate from a decided vote.
#[test]
fn a_ballot_whose_key_lost_later_is_still_proved() {
    use althing_ballot::{Choice, leaf};
    use althing_record::{Draft, Kind};
    use althing_testkit::{agent, identity, leaves, rotation, sign};
    let mut net = Sim::settled(6, 3);
    let (alice, recovery, thief, second) = (agent(1), agent(2), agent(3), agent(4));
    let inception = sign(identity(&alice, &recovery), &alice);
    let theft = sign(rotation(&inception, None, &thief), &alice);
    let rescue =
        sign(Draft { key_event: Some(inception.id()), ..rotation(&inception, None, &second) }, &recovery);
    let mut voters = net.agents(0..3);
    voters.push(alice.agent());
    let proposal = net.node(0).proposes(red_or_blue(&voters, 20_000));
    net.run_for(2_000);
    let villain = Villain::new(0);
    let all = [0, 1, 2];
    villain.tell(&mut net, &all, Kind::Inception, inception.bytes());
    net.run_for(500);
    villain.tell(&mut net, &all, Kind::Rotation, theft.bytes());
    net.run_for(500);
    let mut draft = leaves(&alice, None, vec![leaf(proposal, &Choice::Option(1))]);
    draft.key_event = Some(theft.id());
    let ballot = sign(draft, &thief);
    villain.tell(&mut net, &all, Kind::BallotBatch, ballot.bytes());
    net.run_for(500);
    net.all_say(proposal, ["red"; 3]);
    let acked = {
        net.run_for(1_000);
        net.vote(0, proposal).voters.iter().map(|v| v.acks).collect::<Vec<_>>()
    };
    villain.tell(&mut net, &all, Kind::Rotation, rescue.bytes());
    net.run_for(60_000);
    assert!(net.is_over(0, proposal), "{acked:?} {:?}", net.vote(0, proposal).state);
    assert!(net.node(0).certificate(proposal).is_some(), "decided, with acks {acked:?}, but no certificate");
}

/// One batch of late ballots on many decided votes.
#[test]
fn ballots_after_the_decision_change_nothing() {
    use althing_ballot::Choice;
    use althing_record::Kind;
    let mut net = Sim::settled(9, 3);
    let mut villain = Villain::new(0);
    let mut voters = net.agents(0..3);
    voters.push(villain.agent());
    let votes: Vec<_> = (0..100).map(|_| net.node(0).proposes(red_or_blue(&voters, 10_000))).collect();
    net.run_for(3_000);
    for id in &votes {
        (0..3).for_each(|node| {
            net.node(node).cast(*id, "red");
        });
    }
    net.run_for(60_000);
    assert!(net.is_over(0, votes[99]));
    let before = net.vote(0, votes[7]).state;
    let made = WALL_START.plus(net.time());
    let ballots: Vec<_> = votes.iter().map(|id| (*id, Choice::Option(1))).collect();
    let record = villain.batch(&ballots, made);
    villain.tell(&mut net, &[0], Kind::BallotBatch, record.bytes());
    net.run_for(5_000);
    let after = net.vote(0, votes[7]);
    assert_eq!(after.state, before);
    assert_eq!(after.options[1].votes, 0);
    assert!(after.voters.iter().any(|voter| voter.choices == ["blue"]), "it is shown and does not count");
}

/// Reports of a villain must not hide the node's own at its next start.
#[test]
fn a_flood_of_reports_hides_no_own_report() {
    for delta in [50, 100, 150, 200, 250, 300, 350, 400, 450] {
        flood_of_reports(delta);
    }
}

fn flood_of_reports(delta: u64) {
    use althing_record::Kind;
    let mut net = Sim::settled(11, 4);
    let agents = net.agents(0..4);
    let highest = (0..4).max_by_key(|node| agents[*node]).unwrap();
    let mut villain = (0..1_000).map(Villain::new).find(|v| agents.iter().all(|a| v.agent() < *a)).unwrap();
    let mut voters = agents.clone();
    voters.push(villain.agent());
    let proposal = net.node(0).proposes(red_or_blue(&voters, 20_000));
    net.run_for(2_000);
    for n in 0..80_u8 {
        let made = WALL_START.plus(net.time());
        let record = villain.report(proposal, &[(0, RecordId([n; 32]))], made);
        villain.tell(&mut net, &[0, 1, 2, 3], Kind::CloseReport, record.bytes());
        net.run_for(10);
    }
    let others: Vec<_> = (0..4).filter(|n| *n != highest).collect();
    net.partition(&[highest], &others);
    net.run_for(17_200 + delta);
    net.crash(highest);
    net.restart(highest);
    net.partition(&[highest, others[0]], &others[1..]);
    net.run_for(60_000);
    net.heal();
    net.run_for(30_000);
    let reports = net.records(others[0], Kind::CloseReport);
    assert_eq!(
        reports.iter().filter(|record| record.agent() == agents[highest]).count(),
        1,
        "an honest closer reported twice, delta {delta}"
    );
}

/// With the bound of the real vote guard: one record of a stranger stops every closer.
#[test]
fn a_batch_for_many_votes_does_not_overflow_the_vote_guard() {
    use althing_ballot::{Choice, ClosedTerms, Electorate, ProposalBody, Question};
    use althing_record::{Kind, cbor};
    let mut net = Sim::settled(15, 3);
    let mut villain = Villain::new(0);
    let mut voters = net.agents(0..3);
    voters.push(villain.agent());
    let electorate = Electorate::equal(voters).unwrap();
    let mut ids = Vec::new();
    for n in 0..300_u64 {
        let made = WALL_START.plus(net.time());
        let question = Question {
            text: "?",
            options: &[],
            rule: Rule::Majority,
            electorate: &electorate,
            window_ms: 1 << 31,
            nonce: n.to_be_bytes(),
        };
        let body = ProposalBody::closed(&question, &ClosedTerms::default()).unwrap();
        let record = villain.any(Kind::Proposal, cbor::to_vec(&body), made);
        ids.push(record.id());
        villain.tell(&mut net, &[0, 1, 2], Kind::Proposal, record.bytes());
        net.run_for(10);
    }
    net.run_for(1_000);
    let made = WALL_START.plus(net.time());
    let ballots: Vec<_> = ids.iter().map(|id| (*id, Choice::Option(1))).collect();
    let record = villain.batch(&ballots, made);
    villain.tell(&mut net, &[0, 1, 2], Kind::BallotBatch, record.bytes());
    net.run_for(5_000);
}

/// An honest node whose votes close while it is down signs all reports in one commit at its start.
#[test]
fn many_votes_that_end_at_once_do_not_overflow_the_vote_guard() {
    let mut net = Sim::settled(15, 2);
    let voters = net.agents(0..2);
    for _ in 0..150 {
        net.node(1).proposes(red_or_blue(&voters, 20_000));
    }
    net.run_for(1_000);
    net.crash(0);
    net.run_for(40_000);
    net.restart(0);
    net.run_for(60_000);
}

/// A closer that comes back many rounds later.
#[test]
fn a_closer_that_was_left_rounds_behind_catches_up() {
    use althing_agree::Step;
    use althing_ballot::{AgreementBody, Proposal, instance};
    use althing_record::Kind;
    let mut bad = Vec::new();
    for (seed, wanted) in [(1, 3), (2, 3), (3, 14), (4, 14), (5, 20), (6, 20)] {
        let mut net = Sim::settled(seed, 3);
        let mut villain = Villain::new(0);
        let mut voters = net.agents(0..3);
        voters.push(villain.agent());
        let id = net.node(0).proposes(red_or_blue(&voters, 10_000));
        net.run_for(2_000);
        net.all_say(id, ["red"; 3]);
        net.run_for(2_000);
        let proposal = net.records(0, Kind::Proposal).into_iter().find(|r| r.id() == id).unwrap();
        let instance =
            instance(&althing_testkit::network(), &Proposal::from_record(&proposal).unwrap()).unwrap();
        let made = WALL_START.plus(net.time());
        let report = villain.report(id, &[], made);
        villain.tell(&mut net, &[0, 1], Kind::CloseReport, report.bytes());
        net.run_for(3_000);
        net.partition(&[2], &[0, 1]);
        let mut next = 0;
        for _ in 0..2_000 {
            net.run_for(100);
            let there = net
                .records(0, Kind::Agreement)
                .iter()
                .filter(|r| r.agent() != villain.agent())
                .map(|r| {
                    AgreementBody::from_record(r)
                        .unwrap()
                        .entry(r, &instance, althing_agree::FIRST_KEYS)
                        .unwrap()
                        .slot()
                        .0
                })
                .max();
            if there.is_some_and(|there| there >= wanted) {
                break;
            }
            while there.is_some_and(|there| next <= there) {
                for step in [Step::Prevote, Step::Precommit] {
                    let made = WALL_START.plus(net.time());
                    let record = villain.vote(id, step, next, None, made);
                    villain.tell(&mut net, &[0, 1], Kind::Agreement, record.bytes());
                }
                next += 1;
            }
        }
        net.heal();
        net.run_for(120_000);
        if !net.is_over(0, id) {
            bad.push((seed, wanted, next));
        }
    }
    assert!(bad.is_empty(), "not decided 120 s after healing: {bad:?}");
}

/// A node that hosts several closers.
#[test]
fn many_closers_of_one_node_do_not_overflow_the_vote_guard() {
    let mut net = Sim::settled(16, 2);
    let many = net.join_hosting(7);
    net.run_for(2_000);
    let voters = net.hosted(many);
    for _ in 0..120 {
        net.node(1).proposes(red_or_blue(&voters, 20_000));
    }
    net.run_for(1_000);
    net.crash(many);
    net.run_for(40_000);
    net.restart(many);
    net.run_for(60_000);
    let no = net.node(many).ask(Ask::Votes { after: None, group: None, limit: VOTES_MAX });
    let Answer::Votes(page) = net.answer(no) else { panic!("the node is there") };
    assert_eq!((page.votes.len(), page.next), (120, None));
}

/// A closer that votes, too, says other things to each node, so much that no node may take all of it.
#[test]
fn what_a_decision_needs_is_taken_whatever_its_author_said_before() {
    use althing_ballot::Choice;
    use althing_record::Kind;
    let all = [0, 1, 2];
    for seed in 0..6 {
        let mut net = Sim::settled(800 + seed, 3);
        let mut villain = Villain::new(0);
        let mut voters = net.agents(0..3);
        voters.push(villain.agent());
        let options = ["A", "B", "C", "D", "E", "F"];
        let draft = closed(Rule::Ranked, &options, &voters, 20_000);
        let proposal = net.node(0).proposes(draft);
        net.run_for(1_000);
        (0..3).for_each(|node| net.says(node, proposal, ranking(&["A", "B"])));
        let electorate = voters.clone();
        let place = electorate.iter().filter(|voter| **voter < villain.agent()).count();
        let place = u16::try_from(place).unwrap();
        let made = WALL_START.plus(net.time());
        // Nobody hears of the others before its share is used up.
        net.partition(&[0], &[1, 2]);
        let mut ways = 0..720_u32;
        for node in all {
            if node == 2 {
                net.partition(&[0, 1], &[2]);
            }
            for _ in 0..=SURPLUS_BURST + 8 {
                let (mut left, mut rest) = ((0..6).collect::<Vec<u8>>(), ways.next().unwrap());
                let order = (1..=6).rev().map(|radix| {
                    let at = usize::try_from(rest % radix).unwrap();
                    rest /= radix;
                    left.remove(at)
                });
                let ballot = villain.ballot(proposal, Choice::Ranking(order.collect()), made);
                let report = villain.report(proposal, &[(place, ballot.id())], made);
                villain.tell(&mut net, &[node], Kind::BallotBatch, ballot.bytes());
                villain.tell(&mut net, &[node], Kind::CloseReport, report.bytes());
            }
            net.run_for(200);
        }
        net.heal();
        net.run_for(60_000);
        for node in all {
            assert!(net.is_over(node, proposal), "seed {seed}: {:?}", net.vote(node, proposal).state);
            assert!(net.node(node).certificate(proposal).is_some(), "seed {seed}");
            assert!(net.accused(node).contains(&villain.agent()), "seed {seed}");
        }
    }
}

fn ranking(options: &[&str]) -> Said {
    Said::Ranking(options.iter().map(|option| (*option).to_owned()).collect())
}
