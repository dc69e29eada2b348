//! What raters publish, and the scores that every node has of it.

#![allow(clippy::unwrap_used, reason = "tests")]

mod rating;

use std::collections::BTreeMap;

use althing_engine::{Answer, Ask, AttestationsBody, GOOD_CALLS_MAX, Q32, RefusalKind, ReputationAsk, Taken};
use althing_record::cbor;
use althing_record::{AgentId, Content, Draft, Incarnation, Kind, Placement, Record};
use althing_sim::{Sim, agent_key};
use althing_trust::{Counts, Outcome, RatingEpoch, Standing};

use rating::{EPOCH_MS, attest, body, ended, run_to_middle, wall};

fn service(net: &Sim, node: usize, agent: AgentId) -> u64 {
    net.scores(node).unwrap().network().unwrap().of(agent).unwrap().service().per_mille()
}

fn refusal(answer: Answer) -> RefusalKind {
    let Answer::Refused(refusal) = answer else { panic!("expected a refusal, found {answer:?}") };
    refusal.kind
}

#[test]
fn every_node_computes_the_same_scores_and_keeps_them_over_a_restart() {
    let mut net = Sim::seed(31).rated(EPOCH_MS, 2).nodes(5);
    net.run_for(1_000);
    for _ in 0..3 {
        for by in [0, 1, 2] {
            let answer = attest(&mut net, by, by, &[(3, Outcome::Ok, 5), (4, Outcome::Bad, 5)]);
            assert!(matches!(answer, Answer::Attested(_)), "{answer:?}");
        }
        run_to_middle(&mut net);
    }
    assert!(net.run_until_quiet());
    net.check_converged();
    run_to_middle(&mut net);
    let roots: Vec<_> = (0..5).map(|node| net.scores(node).unwrap().network().unwrap().root()).collect();
    assert_eq!(roots, vec![roots[0]; 5]);
    let epochs: Vec<_> = (0..5).map(|node| net.scores(node).unwrap().epoch()).collect();
    assert_eq!(epochs, vec![ended(&net); 5]);
    let (good, bad) = (net.agent(3), net.agent(4));
    assert!(service(&net, 4, good) > 400 && service(&net, 4, bad) < 200);

    let no = net.ask(4, Ask::Reputation(ReputationAsk::Top { skill: None, limit: 1 }));
    let Answer::Ranking { agents, .. } = net.answer(no) else { panic!("no ranking") };
    assert_eq!(agents[0].agent, good);
    let no = net.ask(4, Ask::Reputation(ReputationAsk::Show { agent: bad }));
    let Answer::Reputation(shown) = net.answer(no) else { panic!("no reputation") };
    assert_eq!((shown.raters_known, shown.raters.len()), (3, 3));
    let grounds = |net: &mut Sim, agent: AgentId, goal: u64| {
        let goal = Q32(Q32::ONE.0 / 1_000 * goal);
        let no = net.ask(4, Ask::Reputation(ReputationAsk::Grounds { agent, goal }));
        let Answer::Grounds(found) = net.answer(no) else { panic!("no grounds") };
        *found
    };
    let found = grounds(&mut net, bad, 400);
    assert_eq!(found.rows.len(), 9, "three rating epochs of each of three raters");
    for (of, rater) in found.rows.chunks(3).zip(&shown.raters) {
        assert!(of.iter().all(|one| one.row.rater == rater.rater && one.row.target == bad && !one.is_struck));
        assert!(of.is_sorted_by(|newer, older| newer.row.epoch > older.row.epoch));
        assert_eq!((of[0].row.counts.count(), of[0].row.counts.ok()), (5, 0));
    }
    let needed = found.good_calls.unwrap();
    assert!((1..=GOOD_CALLS_MAX).contains(&needed), "{needed}");
    assert!(grounds(&mut net, bad, 300).good_calls.unwrap() < needed);
    assert_eq!(grounds(&mut net, good, 400).good_calls, Some(0));
    assert_eq!(grounds(&mut net, bad, 1_000).good_calls, None, "no number of calls is all of it");
    // With so many calls it is there, with one less it is not.
    for (calls, is_there) in [(needed - 1, false), (needed, true)] {
        let calls = u64::from(calls);
        let counts = Counts::new(calls, calls, 100 * calls, calls).unwrap();
        let calls = BTreeMap::from([(RatingEpoch(1_000), BTreeMap::from([(bad, counts)]))]);
        let no = net.ask(4, Ask::Reputation(ReputationAsk::Experience { calls }));
        assert_eq!(net.answer(no), Answer::Experienced);
        assert_eq!(grounds(&mut net, bad, 400).good_calls == Some(0), is_there);
    }
    let no = net.ask(4, Ask::Reputation(ReputationAsk::Experience { calls: BTreeMap::new() }));
    assert_eq!(net.answer(no), Answer::Experienced);
    let no = net.ask(4, Ask::Reputation(ReputationAsk::Rows { after: None }));
    let Answer::Ratings { rows, next } = net.answer(no) else { panic!("no rows") };
    assert_eq!((rows.len(), next), (18, None));

    net.crash(2);
    net.restart(2);
    run_to_middle(&mut net);
    let root = |node| net.scores(node).unwrap().network().unwrap().root();
    assert_eq!(root(2), root(0));
}

#[test]
fn two_records_of_one_rater_on_one_rating_epoch_are_evidence_everywhere() {
    let mut net = Sim::seed(32).rated(EPOCH_MS, 2).nodes(4);
    net.run_for(1_000);
    let copy = net.host_elsewhere(2);
    net.run_for(2_000);
    net.partition(&[0, 1, 2], &[3, copy]);
    for by in [0, 1] {
        let _ = attest(&mut net, by, by, &[(2, Outcome::Ok, 5)]);
    }
    for (node, outcome) in [(2, Outcome::Ok), (copy, Outcome::Bad)] {
        let answer = attest(&mut net, node, 2, &[(3, outcome, 5)]);
        assert!(matches!(answer, Answer::Attested(_)), "{answer:?}");
    }
    run_to_middle(&mut net);
    assert!(service(&net, 0, net.agent(2)) > 0);
    net.heal();
    assert!(net.run_until_quiet());
    run_to_middle(&mut net);
    let cheat = net.agent(2);
    let mut proofs = Vec::new();
    for node in 0..net.len() {
        let no = net.ask(node, Ask::Evidence);
        let Answer::Evidence(evidence) = net.answer(no) else { panic!("no evidence") };
        assert_eq!(evidence.len(), 1, "node {node}");
        assert_eq!((evidence[0].agent, &*evidence[0].offence), (cheat, "double attestation"));
        proofs.push(evidence[0].records.clone());
        assert_eq!(service(&net, node, cheat), 0, "node {node}");
    }
    assert_eq!(proofs, vec![proofs[0].clone(); proofs.len()]);
}

#[test]
fn a_rating_epoch_is_told_of_once_and_not_before_it_is_over_whatever_crashes() {
    let mut net = Sim::seed(33).rated(EPOCH_MS, 2).nodes(3);
    net.run_for(2_000);
    let present = RatingEpoch(ended(&net).0 + 1);
    let early = Box::new(body(&net, 1, present, &[(2, Outcome::Ok, 1)]));
    let agent = net.agent(1);
    let no = net.ask(1, Ask::Attest { agent, body: early });
    assert_eq!(refusal(net.answer(no)), RefusalKind::NotReady);

    net.crash_after_next_guard(1);
    let lost = Box::new(body(&net, 1, ended(&net), &[(2, Outcome::Ok, 1)]));
    let lost = net.ask(1, Ask::Attest { agent, body: lost });
    net.run_for(5_000);
    assert!(!net.is_up(1) && net.answered(lost).is_none());
    net.restart(1);
    net.run_for(2_000);
    assert_eq!(refusal(attest(&mut net, 1, 1, &[(2, Outcome::Bad, 1)])), RefusalKind::Conflict);
    assert!(net.run_until_quiet());
    net.check_converged();
    for node in 0..3 {
        let no = net.ask(node, Ask::Reputation(ReputationAsk::Rows { after: None }));
        let Answer::Ratings { rows, .. } = net.answer(no) else { panic!("no rows") };
        assert_eq!((rows.len(), rows[0].counts.ok()), (1, 1), "node {node}");
    }
}

#[test]
fn what_is_wrong_is_refused_by_name() {
    let mut net = Sim::seed(34).rated(EPOCH_MS, 2).nodes(2);
    net.run_for(2_000);
    let record = |net: &Sim, by: usize, body: &AttestationsBody| -> Record {
        let draft = Draft {
            agent: agent_key(by).agent(),
            key_event: None,
            group: None,
            kind: Kind::Attestations,
            placement: Placement::Chain {
                stream: "trust".try_into().unwrap(),
                incarnation: Some(Incarnation([9; 8])),
                seq: 0,
                prev: None,
            },
            made: wall(net),
            expires: None,
            content: Content::Body(cbor::to_vec(body)),
        };
        draft.sign(&agent_key(by), net.network()).unwrap()
    };
    let fine = body(&net, 0, ended(&net), &[(1, Outcome::Ok, 2)]);
    let future = AttestationsBody { rating_epoch: ended(&net).0 + 1, ..fine.clone() };
    let too_good =
        AttestationsBody { rows: vec![0, 0, 2, 2, 0x18, 201, 2].try_into().unwrap(), ..fine.clone() };
    let wrong = [record(&net, 0, &future), record(&net, 1, &fine), record(&net, 0, &too_good)];
    let fine = record(&net, 0, &fine);
    let mut told = |record: &Record| net.node(0).imports(record);
    let said = ["come from the future", "about their own rater", "quality sums up to 201"];
    for (record, said) in wrong.iter().zip(said) {
        let taken = told(record);
        assert!(matches!(&taken, Taken::Wrong(cause) if cause.contains(said)), "{taken:?}");
    }
    assert_eq!(told(&fine), Taken::New);
    assert_eq!(told(&fine), Taken::Known);
    assert_eq!(net.refusals(0), [("future", 1), ("self_call", 1), ("quality", 1)].into());
}

/// What the node of agent 0 thinks of agent 4.
fn seen(net: &mut Sim) -> Option<Standing> {
    let agent = net.agent(4);
    let no = net.ask(0, Ask::Reputation(ReputationAsk::Show { agent }));
    let Answer::Reputation(shown) = net.answer(no) else { panic!("no reputation") };
    shown.seen
}

fn learn(net: &mut Sim, epoch: RatingEpoch, counts: Counts) {
    let calls = [(epoch, [(net.agent(4), counts)].into())].into();
    let no = net.ask(0, Ask::Reputation(ReputationAsk::Experience { calls }));
    assert_eq!(net.answer(no), Answer::Experienced);
}

#[test]
fn own_calls_are_chosen_by_at_once_and_once() {
    let mut net = Sim::seed(35).rated(EPOCH_MS, 2).nodes(5);
    net.run_for(1_000);
    assert_eq!(seen(&mut net), None);
    let bad = Counts::new(5, 0, 0, 5).unwrap();
    learn(&mut net, RatingEpoch(0), Counts::new(5, 5, 500, 5).unwrap());
    let liked = seen(&mut net).unwrap();
    learn(&mut net, RatingEpoch(0), bad);
    let disliked = seen(&mut net).unwrap();
    assert!(disliked.service() < liked.service(), "{disliked:?} {liked:?}");
    learn(&mut net, RatingEpoch(0), Counts::new(5, 5, 500, 5).unwrap());

    // Others say that it is good; what is told of an epoch does not count beside what the ledger has of it.
    for by in [0, 1, 2] {
        let answer = attest(&mut net, by, by, &[(4, Outcome::Ok, 5)]);
        assert!(matches!(answer, Answer::Attested(_)), "{answer:?}");
    }
    let told = ended(&net);
    run_to_middle(&mut net);
    assert!(net.run_until_quiet());
    let calls = |net: &Sim| net.scores(0).unwrap().seen().unwrap().of(net.agent(4)).unwrap();
    let from_ledger = calls(&net);
    learn(&mut net, told, bad);
    run_to_middle(&mut net);
    let told_of = calls(&net);
    assert_eq!(seen(&mut net), Some(told_of));
    learn(&mut net, RatingEpoch(told.0 + 1), bad);
    let then = seen(&mut net).unwrap();
    assert!(then.service() < told_of.service(), "{then:?} {told_of:?} {from_ledger:?}");
    // Only this node's choice goes by it.
    assert!(service(&net, 0, net.agent(4)) == service(&net, 1, net.agent(4)));
}
