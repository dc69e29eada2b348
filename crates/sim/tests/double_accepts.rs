//! A callee that gives one place to two calls is found out everywhere, and nobody else is.

#![allow(clippy::unwrap_used, reason = "tests")]

use althing_engine::{Answer, Ask, DOUBLE_ACCEPTS_MAX, RefusalKind, Taken};
use althing_record::cbor;
use althing_record::{AgentKey, Content, Draft, Incarnation, Kind, Millis, Placement, Record, RecordId};
use althing_sim::{Links, Sim, WALL_START, agent_key};
use althing_store::Table;
use althing_trust::{Accept, AcceptBody, Contradiction, DoubleAccept, EvidenceBody, RatingEpoch, TaskId};

const EPOCH_MS: u64 = 60_000;

/// Whoever cheats is no node, so that nodes' agents are all honest.
fn cheat() -> AgentKey {
    agent_key(700)
}

fn accept(net: &Sim, task: u8, epoch: u64, index: u64) -> Accept {
    let genesis = net.network().genesis();
    let body = AcceptBody {
        network: net.network().id(),
        task: TaskId([task; 16]),
        caller: agent_key(0).agent(),
        callee: cheat().agent(),
        skill: "text".try_into().unwrap(),
        request_head_hash: althing_record::Digest([3; 32]),
        sla_ms: 0,
        index,
        made: genesis.created.plus(epoch * genesis.rating_epoch_ms),
        key: None,
    };
    Accept::sign(body, &cheat()).unwrap()
}

fn two(net: &Sim, epoch: u64, index: u64) -> [Accept; 2] {
    [1, 2].map(|task| accept(net, task, epoch, index))
}

fn evidence(net: &mut Sim, node: usize) -> Vec<(String, Vec<RecordId>)> {
    let no = net.ask(node, Ask::Evidence);
    let Answer::Evidence(rows) = net.answer(no) else { panic!("no evidence") };
    assert!(rows.iter().all(|row| row.agent == cheat().agent() && row.offence == "double accept"));
    rows.into_iter().map(|row| (row.case.to_string(), row.records)).collect()
}

fn accuse(net: &mut Sim, node: usize, accepts: [Accept; 2]) -> Answer {
    let no = net.ask(node, Ask::Accuse { agent: agent_key(node).agent(), accepts: Box::new(accepts) });
    net.answer(no)
}

/// A record of evidence by whomever, about whatever.
fn record(net: &Sim, by: &AgentKey, seq: u64, made: Millis, proof: &[u8]) -> Record {
    let body = EvidenceBody { proof: proof.to_vec().try_into().unwrap() };
    let draft = Draft {
        agent: by.agent(),
        key_event: None,
        group: None,
        kind: Kind::Evidence,
        placement: Placement::Chain {
            stream: "trust".try_into().unwrap(),
            incarnation: Some(Incarnation([9; 8])),
            seq,
            prev: (seq > 0).then_some(RecordId([1; 32])),
        },
        made,
        expires: None,
        content: Content::Body(cbor::to_vec(&body)),
    };
    draft.sign(by, net.network()).unwrap()
}

fn import(net: &mut Sim, node: usize, records: Vec<Record>) -> Vec<Taken> {
    let no = net.ask(node, Ask::Import { records });
    let Answer::Imported(taken) = net.answer(no) else { panic!("no import") };
    taken
}

#[test]
fn what_one_caller_holds_is_known_to_all_under_loss_and_over_a_restart() {
    let mut net = Sim::seed(51).rated(EPOCH_MS, 2).links(Links::lossy(20)).nodes(6);
    net.run_for(2_000);
    let accepts = two(&net, 0, 5);
    assert!(matches!(accuse(&mut net, 0, accepts.clone()), Answer::Accused(Some(_))));
    // Another that holds the same pair before it heard: of both records the same one stays everywhere.
    assert!(matches!(accuse(&mut net, 3, accepts.clone()), Answer::Accused(_)));
    net.run_for(1_000);
    net.crash(2);
    net.restart(2);
    assert!(net.run_until_quiet());
    net.check_converged();
    let first = evidence(&mut net, 0);
    assert_eq!(first.len(), 1);
    for node in 1..6 {
        assert_eq!(evidence(&mut net, node), first, "node {node}");
        assert_eq!(net.records(node, Kind::Evidence).len(), 1, "node {node}");
    }
    assert_eq!(accuse(&mut net, 5, accepts), Answer::Accused(None), "it is known");
    net.check();
}

#[test]
fn what_proves_nothing_is_refused_by_name_and_blames_nobody() {
    let mut net = Sim::seed(52).rated(EPOCH_MS, 2).nodes(3);
    net.run_for(2_000);
    let (by, now) = (agent_key(800), WALL_START.plus(net.time()));
    let [one, other] = two(&net, 0, 5);
    let proof = DoubleAccept::new(&one, &other, net.network()).unwrap().body().proof;
    // A byte in the signature of the second.
    let mut forged = proof.to_vec();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let twice = Contradiction::Accepts(Box::new([one.clone(), one.clone()])).to_bytes();
    let next = accept(&net, 2, 0, 6);
    let different = Contradiction::Accepts(Box::new([one.clone(), next.clone()])).to_bytes();
    let present = RatingEpoch::of(now, net.network().genesis()).0;
    let late = two(&net, present + 13, 5);
    let late = DoubleAccept::new(&late[0], &late[1], net.network()).unwrap().body().proof;
    let wrong =
        [(&forged, "not signed by its agent"), (&twice, "do not contradict"), (&different, "contradict")];
    for (seq, (proof, said)) in (0..).zip(wrong) {
        let record = record(&net, &by, seq, now, proof);
        let taken = import(&mut net, 0, vec![record]);
        assert!(matches!(&taken[0], Taken::Wrong(cause) if cause.contains(said)), "{taken:?}");
    }
    let future = record(&net, &by, 3, now, &late);
    let taken = import(&mut net, 0, vec![future]);
    assert!(matches!(&taken[0], Taken::Wrong(cause) if cause.contains("comes from the future")), "{taken:?}");
    // A key that nobody gave the callee accuses nobody.
    let stranger = agent_key(801);
    let body = |accept: &Accept| AcceptBody { key: None, ..(**accept).clone() };
    let [one, other] =
        [&one, &next].map(|accept| Accept::sign(AcceptBody { index: 5, ..body(accept) }, &stranger).unwrap());
    let proof = DoubleAccept::new(&one, &other, net.network()).unwrap().body().proof;
    let framed = record(&net, &by, 4, now, &proof);
    assert!(matches!(&import(&mut net, 0, vec![framed])[0], Taken::Early(_)));

    let no = net.ask(0, Ask::Accuse { agent: agent_key(0).agent(), accepts: Box::new([next.clone(), next]) });
    let Answer::Refused(refusal) = net.answer(no) else { panic!("it was told") };
    assert_eq!(refusal.kind, RefusalKind::Invalid);
    assert_eq!(net.refusals(0), [("forged", 1), ("no_conflict", 2), ("future", 1)].into());
    assert!(net.run_until_quiet());
    assert_eq!(net.rows(0, Table::EvidenceView) + net.rows(2, Table::EvidenceView), 0);
    net.check();
}

#[test]
fn however_many_cases_are_told_in_whatever_order_every_node_keeps_the_same_few() {
    for seed in 60..64 {
        let mut net = Sim::seed(seed).rated(EPOCH_MS, 2).nodes(4);
        net.run_for(2_000);
        let made = WALL_START.plus(net.time());
        let mut records = Vec::new();
        for (accuser, key) in [agent_key(800), agent_key(801), agent_key(802)].iter().enumerate() {
            for case in 0..12 {
                // Two accusers know a third Accept of each case.
                let accepts = [1, 2 + u8::from(accuser > 0)].map(|task| accept(&net, task, 0, 1 + case));
                let proof = DoubleAccept::new(&accepts[0], &accepts[1], net.network()).unwrap().body().proof;
                records.push(record(&net, key, case, made, &proof));
            }
        }
        net.partition(&[0, 1], &[2, 3]);
        for node in [0, 2] {
            for at in (1..records.len()).rev() {
                let other = usize::try_from(net.below(at as u64 + 1)).unwrap();
                records.swap(at, other);
            }
            for record in records.clone() {
                let _ = import(&mut net, node, vec![record]);
            }
            assert_eq!(net.records(node, Kind::Evidence).len(), DOUBLE_ACCEPTS_MAX);
        }
        net.heal();
        assert!(net.run_until_quiet());
        net.check_converged();
        let kept = evidence(&mut net, 0);
        assert_eq!(kept.len(), DOUBLE_ACCEPTS_MAX);
        for node in 1..4 {
            assert_eq!(evidence(&mut net, node), kept, "seed {seed}, node {node}");
        }
        net.check();
    }
}
