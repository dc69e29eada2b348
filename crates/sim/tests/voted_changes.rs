//! Changes of groups that their members decide on by vote, instead of an admin.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod grouping;

use althing_engine::{Answer, GroupAsk, RefusalKind, Taken};
use althing_record::{Change, GroupId, Kind, Record, RecordId};
use althing_sim::{Links, Sim};

use grouping::{founded, group_ask, show_group, taken};

const HOUR_MS: u64 = 3_600_000;

/// Has an agent say that it agrees to a change, by a vote that it finds or puts, or make what was decided.
fn wish(net: &mut Sim, node: usize, group: GroupId, change: &Change) -> Answer {
    let ask = GroupAsk::Vote { agent: net.agent(node), group, change: change.clone(), window_ms: HOUR_MS };
    group_ask(net, node, ask)
}

fn agree(net: &mut Sim, node: usize, group: GroupId, change: &Change) -> (RecordId, bool) {
    let answer = wish(net, node, group, change);
    let Answer::ChangeVote { proposal, is_new, .. } = answer else { panic!("node {node}: {answer:?}") };
    let no = net.node(node).cast(proposal, "yes");
    assert!(matches!(net.answer(no), Answer::Cast { .. }));
    net.run_for(2_000);
    (proposal, is_new)
}

#[test]
fn plain_members_remove_one_of_them_and_every_node_shows_it_whatever_is_lost() {
    for seed in 0..6 {
        let mut net = Sim::settled(seed, 5);
        let group = founded(&mut net, 5);
        net.run_for(3_000);
        net.set_links(Links::lossy([0, 10, 20][seed as usize % 3]));
        let change = Change::Remove(net.agent(4));
        let (proposal, is_new) = agree(&mut net, 1, group, &change);
        assert!(is_new);
        net.run_for(40_000);
        for node in 2..4 {
            assert_eq!(agree(&mut net, node, group, &change), (proposal, false), "seed {seed}");
            net.run_for(40_000);
        }
        let before = show_group(&mut net, 1, group);
        assert_eq!(before.members.len(), 5, "three of five are too few");
        let _ = agree(&mut net, 0, group, &change);
        net.run_for(40_000);
        // Others cannot make the change; who put it to the vote does, once.
        let answer = wish(&mut net, 2, group, &change);
        assert!(matches!(answer, Answer::ChangeVote { is_new: false, .. }), "{answer:?}");
        let made = taken(wish(&mut net, 1, group, &change));
        assert_eq!((made.members.len(), made.height), (4, before.height + 1));
        net.settle();
        for node in 0..5 {
            let shown = show_group(&mut net, node, group);
            assert_eq!((shown.head, shown.fork, shown.members.len()), (made.head, None, 4), "seed {seed}");
            assert_eq!(shown.keeper, net.agent(0), "no admin by that");
        }
        // And goes on: what the members decide next starts from there.
        let next = Change::Promote(net.agent(2));
        let (second, is_new) = agree(&mut net, 3, group, &next);
        assert!(is_new && second != proposal);
        net.run_for(40_000);
        for node in [0, 1] {
            let _ = agree(&mut net, node, group, &next);
            net.run_for(40_000);
        }
        let promoted = taken(wish(&mut net, 3, group, &next));
        assert_eq!(promoted.height, made.height + 1);
        net.settle();
    }
}

#[test]
fn wishes_that_cannot_be_are_refused_by_name() {
    let mut net = Sim::settled(20, 4);
    let group = founded(&mut net, 3);
    net.run_for(3_000);
    let refused = |net: &mut Sim, node: usize, change: Change| {
        let Answer::Refused(refusal) = wish(net, node, group, &change) else { panic!("it was taken") };
        (refusal.kind, refusal.cause)
    };
    let (agents, stranger) = (net.agents(0..3), net.agent(3));
    let (kind, cause) = refused(&mut net, 1, Change::Remove(agents[0]));
    assert_eq!(kind, RefusalKind::Conflict);
    assert!(cause.contains("founded the group"), "{cause}");
    let (_, cause) = refused(&mut net, 1, Change::Remove(stranger));
    assert!(cause.contains("is not a member"), "{cause}");
    let (_, cause) = refused(&mut net, 3, Change::Remove(agents[1]));
    assert!(cause.contains("is not a member"), "{cause}");
}

#[test]
fn a_change_by_vote_and_one_by_an_admin_fork_the_group_and_members_settle_it() {
    let mut net = Sim::settled(30, 5);
    let group = founded(&mut net, 5);
    net.run_for(3_000);
    let remove = Change::Remove(net.agent(4));
    for node in [1, 2, 3, 0] {
        let _ = agree(&mut net, node, group, &remove);
    }
    net.partition(&[1], &[0, 2, 3, 4]);
    let ask = GroupAsk::Change { agent: net.agent(0), group, change: Change::Promote(net.agent(2)) };
    let by_admin = taken(group_ask(&mut net, 0, ask));
    let by_vote = taken(wish(&mut net, 1, group, &remove));
    net.heal();
    net.run_for(60_000);
    let fork = show_group(&mut net, 3, group).fork.expect("two changes follow one state");
    assert!(fork.contains(&by_admin.head) && fork.contains(&by_vote.head));
    for node in 0..4 {
        let ask = GroupAsk::Resolve { agent: net.agent(node), group, keep: by_vote.head, window_ms: 20_000 };
        let Answer::Resolving { proposal, option, .. } = group_ask(&mut net, node, ask) else {
            panic!("it is not settled")
        };
        let no = net.node(node).cast(proposal, &option);
        assert!(matches!(net.answer(no), Answer::Cast { .. }));
        net.run_for(2_000);
    }
    net.run_for(60_000);
    net.settle();
    for node in 0..5 {
        let shown = show_group(&mut net, node, group);
        assert_eq!((shown.head, shown.fork), (by_vote.head, None), "node {node}");
    }
}

#[test]
fn a_change_with_another_ones_decision_is_taken_by_nobody() {
    let mut net = Sim::settled(40, 5);
    let group = founded(&mut net, 5);
    net.run_for(3_000);
    let remove = Change::Remove(net.agent(4));
    for node in [1, 2, 3, 0] {
        let _ = agree(&mut net, node, group, &remove);
    }
    let before = show_group(&mut net, 1, group).head;
    let made = taken(wish(&mut net, 1, group, &remove)).head;
    net.run_for(5_000);
    let record: Record =
        net.records(1, Kind::Membership).into_iter().find(|record| record.id() == made).unwrap();
    let body: althing_record::Membership = record.body().unwrap();
    assert!(body.decision.is_some() && body.prev == before);
    // The same decision, carried by a change to something else.
    let forged = althing_record::Membership { change: Change::Promote(net.agent(1)), ..body };
    let draft =
        althing_testkit::membership(&althing_sim::agent_key(1), group, before, Change::Promote(net.agent(1)));
    let forged = althing_record::Draft {
        agent: draft.agent(),
        key_event: None,
        group: Some(group),
        kind: Kind::Membership,
        placement: draft.header().placement.clone(),
        made: record.made(),
        expires: None,
        content: althing_record::Content::Body(althing_record::cbor::to_vec(&forged)),
    };
    let forged = forged.sign(&althing_sim::agent_key(1), net.network()).unwrap();
    let answers = net.node(2).imports(&forged);
    assert!(
        matches!(&answers, Taken::Unwanted(cause) if cause.contains("not on this change")),
        "{answers:?}"
    );
    assert!(!net.holds(2, forged.id()));
    net.settle();
    assert_eq!(show_group(&mut net, 2, group).head, made);
}
