//! Attestations that count nothing any more, seen from the newest checkpoint, are dropped by all who know it.

#![allow(clippy::unwrap_used, reason = "tests")]

mod rating;

use std::collections::BTreeSet;

use althing_engine::{Answer, Ask, RatingsPruned, RefusalKind, ReputationAsk, Taken};
use althing_record::{AgentId, Content, Digest, Draft, Incarnation, Kind, Placement, Record, RecordId, cbor};
use althing_sim::{Sim, agent_key};
use althing_store::Table;
use althing_trust::{Attestations, Outcome, RatingEpoch};

use rating::{body, ended, wall};

/// So short that a network that was founded an hour ago is about to lose its first rating epochs.
const EPOCH_MS: u64 = 1_000;

/// What is dropped first: the rating epochs before this one, once a checkpoint is of [`DUE`].
const HORIZON: RatingEpoch = RatingEpoch(112);
const DUE: RatingEpoch = RatingEpoch(3_584 + 64);

/// Raters without a node.
const STRANGERS: std::ops::Range<usize> = 100..140;

/// More than one commit drops.
const OLD_EPOCHS: std::ops::Range<u64> = 10..18;

fn governed(seed: u64) -> Sim {
    let committee = (0..3).map(|n| agent_key(n).agent()).collect();
    let net = Sim::seed(seed).rated(EPOCH_MS, 2).checkpointed(committee, EPOCH_MS).undemanding();
    let mut net = net.nodes(4);
    net.run_for(3_000);
    net
}

/// What a stranger says of an agent on some rating epoch, at a place of its chain.
fn said(net: &Sim, by: usize, epoch: u64, seq: u64, outcome: Outcome) -> Record {
    let body = body(net, by, RatingEpoch(epoch), &[(3, outcome, 2)]);
    let draft = Draft {
        agent: agent_key(by).agent(),
        key_event: None,
        group: None,
        kind: Kind::Attestations,
        placement: Placement::Chain {
            stream: "trust".try_into().unwrap(),
            incarnation: Some(Incarnation([0xbb; 8])),
            seq,
            prev: (seq > 0).then_some(RecordId([9; 32])),
        },
        made: wall(net),
        expires: None,
        content: Content::Body(cbor::to_vec(&body)),
    };
    draft.sign(&agent_key(by), net.network()).unwrap()
}

fn attest_on(net: &mut Sim, node: usize, epoch: RatingEpoch) -> Answer {
    let body = Box::new(body(net, node, epoch, &[(3, Outcome::Ok, 5)]));
    let no = net.ask(node, Ask::Attest { agent: agent_key(node).agent(), body });
    net.answer(no)
}

fn pruned(net: &mut Sim, node: usize) -> RatingsPruned {
    let no = net.ask(node, Ask::Status);
    let Answer::Status(status) = net.answer(no) else { panic!("no status") };
    status.ratings_pruned
}

/// The rating epochs that attestations at a node are on.
fn epochs(net: &Sim, node: usize) -> BTreeSet<RatingEpoch> {
    let genesis = net.network().genesis();
    let read = |record: &Record| Attestations::from_record(record, genesis).unwrap().epoch;
    net.records(node, Kind::Attestations).iter().map(read).collect()
}

fn newest_checkpoint(net: &mut Sim, node: usize) -> Option<(RatingEpoch, Option<bool>)> {
    let no = net.ask(node, Ask::Reputation(ReputationAsk::Checkpoints { limit: 1 }));
    let Answer::Checkpoints(shown) = net.answer(no) else { panic!("no checkpoints") };
    shown.first().map(|one| (one.epoch, one.agrees))
}

fn root(net: &Sim, node: usize) -> Digest {
    net.scores(node).unwrap().network().unwrap().root()
}

/// Goes on until a checkpoint of a rating epoch is decided, with something new to decide on all the while.
fn run_to_checkpoint_of(net: &mut Sim, epoch: RatingEpoch) {
    for _ in 0..40 {
        if newest_checkpoint(net, 0).is_some_and(|(newest, _)| newest >= epoch) {
            return;
        }
        if ended(net) >= epoch {
            let epoch = ended(net);
            attest_on(net, 1, epoch);
        }
        net.run_for(2 * EPOCH_MS);
    }
    panic!("no checkpoint of rating epoch {epoch}");
}

/// Fills the ledger: much that will count nothing soon, some that goes on to count, and two cheats.
fn fill(net: &mut Sim) {
    for by in STRANGERS {
        for (seq, epoch) in (0..).zip(OLD_EPOCHS) {
            let record = said(net, by, epoch, seq, Outcome::Ok);
            assert_eq!(net.node(0).imports(&record), Taken::New);
        }
        let seq = OLD_EPOCHS.end;
        let record = said(net, by, 3_000, seq, Outcome::Ok);
        assert_eq!(net.node(0).imports(&record), Taken::New);
    }
    for node in [0, 1, 2] {
        assert!(matches!(attest_on(net, node, RatingEpoch(60)), Answer::Attested(_)));
        let epoch = ended(net);
        assert!(matches!(attest_on(net, node, epoch), Answer::Attested(_)));
    }
}

/// Two records on one old rating epoch, and a fork of which one branch is old: `(rater, records)`.
fn cheats(net: &Sim) -> [(AgentId, [Record; 2]); 2] {
    let double = [said(net, 150, 50, 0, Outcome::Ok), said(net, 150, 50, 1, Outcome::Bad)];
    let fork = [said(net, 151, 40, 0, Outcome::Ok), said(net, 151, 3_100, 0, Outcome::Bad)];
    [(agent_key(150).agent(), double), (agent_key(151).agent(), fork)]
}

#[test]
fn whoever_drops_early_late_or_twice_ends_with_the_same() {
    let mut net = governed(1);
    // A clock that is behind drops later, while it is connected to all others.
    let late = net.join(-40_000);
    fill(&mut net);
    let cheats = cheats(&net);
    for record in cheats.iter().flat_map(|(_, records)| records) {
        assert_eq!(net.node(0).imports(record), Taken::New);
    }
    let accused: BTreeSet<_> = cheats.iter().map(|(agent, _)| *agent).collect();
    // What was imported comes to others by reconciliation.
    for _ in 0..40 {
        if (0..5).all(|node| net.accused(node) == accused) {
            break;
        }
        net.run_for(1_000);
    }
    assert!((0..5).all(|node| net.accused(node) == accused), "both are proved everywhere");
    let before = net.rows(2, Table::TrustView);
    assert!(ended(&net) < DUE, "{}", ended(&net));

    // One dies in the middle of it.
    let old = |net: &Sim| epochs(net, 2).range(..HORIZON).count();
    let held = |net: &Sim| net.rows(2, Table::TrustView);
    for step in 0..20_000 {
        if held(&net) + 100 < before {
            break;
        }
        if step % 200 == 0 && ended(&net) >= DUE {
            let epoch = ended(&net);
            attest_on(&mut net, 1, epoch);
        }
        net.run_for(10);
    }
    assert!(old(&net) > 0 && held(&net) + 100 < before, "some are dropped and some are left");
    net.crash(2);
    net.run_for(500);
    net.restart(2);
    net.run_for(5_000);
    for node in [0, 1, 2, 3] {
        assert_eq!(epochs(&net, node).range(..HORIZON).count(), 0, "node {node}");
        assert!(net.rows(node, Table::TrustView) > STRANGERS.len(), "what counts is kept");
    }
    // Others are not driven to send what was dropped, and nobody pays for holding it.
    assert!(epochs(&net, late).range(..HORIZON).count() > 5 && pruned(&mut net, late).before < HORIZON);
    let sent = net.traffic().requests;
    net.run_for(10_000);
    assert!(epochs(&net, late).range(..HORIZON).count() > 5, "it has not dropped them yet");
    let sent = net.traffic().requests - sent;
    assert!(sent < 60_000, "{sent} bytes of requests in ten seconds");
    assert!((0..4).all(|node| !net.has_blamed(node, late)));

    let joined = net.join(0);
    run_to_checkpoint_of(&mut net, RatingEpoch(DUE.0 + 60));
    net.run_for(10_000);
    net.set_clock(late, 0);
    assert!(net.run_until_quiet());
    // To the end of a rating epoch, of which all have the scores by then.
    net.run_for(EPOCH_MS + 900 - wall(&net).0 % EPOCH_MS);
    for node in 0..=joined {
        assert_eq!(epochs(&net, node).range(..HORIZON).count(), 0, "node {node}");
        assert_eq!(net.accused(node), BTreeSet::new(), "what is gone is no evidence any more: node {node}");
        assert_eq!(newest_checkpoint(&mut net, node).unwrap().1, Some(true), "node {node}");
        assert_eq!(pruned(&mut net, node).before, HORIZON);
        assert_eq!(root(&net, node), root(&net, 0), "node {node}");
    }
    assert!(pruned(&mut net, 0).records > 300);
    net.check_converged();
}

#[test]
fn what_comes_after_it_counts_nothing_is_nobodys_fault_and_not_taken() {
    let mut net = governed(2);
    let [(_, double), (forker, fork)] = cheats(&net);
    assert!(matches!(attest_on(&mut net, 1, RatingEpoch(60)), Answer::Attested(_)));
    assert_eq!(net.node(0).imports(&fork[1]), Taken::New);
    run_to_checkpoint_of(&mut net, DUE);
    net.run_for(5_000);
    for record in [&double[0], &double[1], &fork[0]] {
        let taken = net.node(0).imports(record);
        assert!(matches!(&taken, Taken::Unwanted(cause) if cause.contains("count nothing")), "{taken:?}");
        assert!(!net.holds(0, record.id()));
    }
    assert_eq!(net.accused(0), BTreeSet::new(), "a fork with what is gone is none");
    let other = said(&net, 151, 3_200, 0, Outcome::Ok);
    assert_eq!(net.node(0).imports(&other), Taken::New);
    assert_eq!(net.accused(0), [forker].into(), "and one of what is left is one");
    let Answer::Refused(refusal) = attest_on(&mut net, 0, RatingEpoch(61)) else { panic!("no refusal") };
    assert_eq!(refusal.kind, RefusalKind::Invalid);
    // An own chain whose beginning is gone goes on, over a restart, and nothing is taken for a copy's.
    assert!(!epochs(&net, 1).contains(&RatingEpoch(60)));
    net.crash(1);
    net.restart(1);
    net.run_for(2_000);
    let epoch = ended(&net);
    let answer = attest_on(&mut net, 1, epoch);
    assert!(matches!(answer, Answer::Attested(_)), "{answer:?}");
    net.run_for(5_000);
    assert!(net.run_until_quiet());
    net.check_converged();
}

#[test]
fn a_checkpoint_of_the_future_drops_nothing_before_its_time() {
    let committee = vec![agent_key(0).agent()];
    let net = Sim::seed(3).rated(EPOCH_MS, 2).checkpointed(committee, EPOCH_MS).undemanding();
    let mut net = net.nodes(0);
    // Nobody can tell it that its clock is ahead: it has too few peers.
    let ahead = 540_000;
    assert_eq!(net.join(ahead), 0);
    net = net.nodes(2);
    net.run_for(3_000);
    let counting = RatingEpoch(400);
    assert!(matches!(attest_on(&mut net, 1, counting), Answer::Attested(_)));
    assert!(matches!(attest_on(&mut net, 2, RatingEpoch(3_000)), Answer::Attested(_)));
    net.run_for(30_000);
    let (newest, _) = newest_checkpoint(&mut net, 1).unwrap();
    assert!(newest.0 > ended(&net).0 + 500, "{newest}");
    assert!(pruned(&mut net, 0).before > counting, "it believes its own clock");
    for node in [1, 2] {
        assert_eq!(pruned(&mut net, node), RatingsPruned::default(), "node {node}");
        assert!(epochs(&net, node).contains(&counting));
    }
    net.run_for(ahead.unsigned_abs());
    let epoch = ended(&net);
    assert!(matches!(attest_on(&mut net, 1, epoch), Answer::Attested(_)));
    net.run_for(30_000);
    assert!((0..3).all(|node| !epochs(&net, node).contains(&counting)), "it has come");
    assert!(net.run_until_quiet());
    net.check_converged();
}
