//! Nodes that hold nothing of what raters publish, beside others that do.

#![allow(clippy::unwrap_used, reason = "tests")]

mod rating;

use althing_engine::{Answer, Ask, Checkpointed, ReputationAsk};
use althing_record::{AgentId, Kind};
use althing_sim::{Sim, agent_key};
use althing_trust::Outcome;

use rating::{EPOCH_MS, attest, run_to_middle};

fn checkpointed(net: &mut Sim, node: usize, agent: AgentId) -> Checkpointed {
    let no = net.ask(node, Ask::Reputation(ReputationAsk::Show { agent }));
    let Answer::Reputation(shown) = net.answer(no) else { panic!("no reputation") };
    shown.checkpointed.expect("a checkpoint was decided")
}

#[test]
fn it_holds_its_own_attestations_alone_and_others_have_them_without_gossip() {
    let mut net = Sim::seed(5).rated(EPOCH_MS, 2).nodes(4);
    let bare = net.join_without_ledger();
    net.run_for(5_000);
    run_to_middle(&mut net);
    // Whom gossip does not reach, reconciliation does.
    net.partition(&[0, 1, 2, 3], &[bare]);
    for by in [0, 1, 2, bare] {
        let answer = attest(&mut net, by, by, &[(3, Outcome::Ok, 5)]);
        assert!(matches!(answer, Answer::Attested(_)), "{answer:?}");
    }
    net.run_for(5_000);
    net.heal();
    net.run_for(EPOCH_MS);
    let held: Vec<_> = (0..5).map(|node| net.records(node, Kind::Attestations).len()).collect();
    assert_eq!(held, [4, 4, 4, 4, 1]);
    let (before, own) = (net.traffic().requests, net.records(bare, Kind::Attestations)[0].id());
    net.run_for(EPOCH_MS);
    assert!((0..4).all(|node| net.holds(node, own)));
    // Nothing that it does not hold is fetched, and thrown away, again and again.
    let per_minute = net.traffic().requests - before;
    assert!(per_minute < 20_000, "{per_minute} bytes of requests a minute");
    let digests = |node: usize| net.digests(node)[..2].to_vec();
    assert_eq!(digests(bare), digests(0), "directory and ledger are whole");
}

#[test]
fn a_wrong_score_proof_is_refused_by_name_and_costs_who_sent_it() {
    let committee = vec![agent_key(0).agent()];
    let net = Sim::seed(6).rated(EPOCH_MS, 2).checkpointed(committee, EPOCH_MS).undemanding();
    let mut net = net.nodes(3);
    let bare = net.join_without_ledger();
    net.run_for(5_000);
    run_to_middle(&mut net);
    for by in [0, 1] {
        attest(&mut net, by, by, &[(2, Outcome::Ok, 5)]);
    }
    net.run_for(2 * EPOCH_MS);
    let rated = net.agent(2);
    let expected = checkpointed(&mut net, 1, rated).standing;
    assert!(expected.is_some());
    (0..3).for_each(|node| net.falsify_scores(node, true));
    assert_eq!(checkpointed(&mut net, bare, rated).standing, None, "nothing false is believed");
    for node in 0..3 {
        assert!(net.has_blamed(bare, node), "{node}");
    }
    assert_eq!(net.refusals(bare).get("merkle_path"), Some(&3));
    // One that tells the truth is found among those that do not.
    net.falsify_scores(1, false);
    let told = checkpointed(&mut net, bare, rated);
    assert_eq!((told.standing, told.told_by.is_some()), (expected, true));
    assert!((0..3).all(|node| !net.has_blamed(node, bare)), "who asks pays nothing");
}
