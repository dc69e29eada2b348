//! Lists: what was put and decided stands in one order on every node, whatever the pages it is read in.

#![allow(clippy::unwrap_used, reason = "tests")]

use althing_ballot::{Rule, verify_file};
use althing_engine::{
    Answer, AnswersDraft, Ask, Decided, Decision, DocketDraft, GroupAsk, ProposalDraft, RefusalKind, Said,
    VoteState,
};
use althing_record::{GroupId, RecordId};
use althing_sim::{Sim, closed, motion};

fn cast(net: &mut Sim, proposal: RecordId, choice: &str) {
    for node in 0..3 {
        let no = net.node(node).cast(proposal, choice);
        assert!(matches!(net.answer(no), Answer::Cast { .. }));
    }
    net.run_for(2_000);
}

/// All decisions that a node lists, in pages of at most so many.
fn decisions(net: &mut Sim, node: usize, group: Option<GroupId>, limit: usize) -> Vec<Decision> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let no = net.node(node).ask(Ask::Decisions { after, group, limit });
        let Answer::Decisions(page) = net.answer(no) else { panic!("a page") };
        assert!(page.decisions.len() <= limit);
        all.extend(page.decisions);
        let Some(next) = page.next else { return all };
        assert_ne!(after, Some(next), "the pages go on");
        after = Some(next);
    }
}

/// The ids of all proposals that a node lists, in pages of at most so many.
fn votes(net: &mut Sim, node: usize, group: Option<GroupId>, limit: usize) -> Vec<RecordId> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let no = net.node(node).ask(Ask::Votes { after, group, limit });
        let Answer::Votes(page) = net.answer(no) else { panic!("a page") };
        all.extend(page.votes.into_iter().map(|vote| vote.proposal));
        if page.next.is_none() {
            return all;
        }
        after = page.next;
    }
}

#[test]
fn decisions_of_proposals_and_dockets_stand_in_one_order_on_every_node_in_pages_of_any_size() {
    let mut net = Sim::seed(1).nodes(4);
    net.run_for(1_000);
    let voters = net.agents(0..3);
    let founded = GroupAsk::Found { agent: voters[0], name: "three".into(), members: voters[1..].to_vec() };
    let no = net.node(0).ask(Ask::Group(founded));
    let Answer::Group { group, .. } = net.answer(no) else { panic!("a group") };
    let group = group.group;

    let first = net.node(0).proposes(motion("first?", &voters));
    net.run_for(1_000);
    cast(&mut net, first, "yes");
    let terms = closed(Rule::Majority, &["red", "blue"], &voters, 600_000);
    let questions = (1..=5).map(|n| (format!("question {n}?"), Vec::new())).collect();
    let docket = net.node(1).proposes_docket(DocketDraft { terms, questions });
    net.run_for(1_000);
    let never = net.node(1).proposes(motion("never?", &voters));
    net.run_for(1_000);
    for node in 0..3 {
        let rejected = Said::Option("abstain".into());
        let others = Some(Said::Option("red".into()));
        let no = net.node(node).answers(docket, AnswersDraft { each: vec![(4, rejected)], others });
        assert!(matches!(net.answer(no), Answer::Cast { .. }));
    }
    let draft = ProposalDraft { voters: Vec::new(), group: Some(group), ..motion("last?", &[]) };
    let last = net.node(2).proposes(draft);
    net.run_for(1_000);
    cast(&mut net, last, "yes");
    net.run_for(5_000);
    assert!(net.run_until_quiet());

    // The last node hears all of it when it is over.
    let late = net.join(0);
    net.run_for(5_000);
    assert!(net.run_until_quiet());

    let listed = decisions(&mut net, 0, None, 100);
    let on: Vec<_> = listed.iter().map(|decision| (decision.on.id, decision.on.question)).collect();
    let asked = (1..=5).map(|number| (docket, Some(number)));
    assert_eq!(on, [vec![(last, None)], asked.collect(), vec![(first, None)]].concat());
    assert!(matches!(listed[4].outcome, VoteState::Rejected { .. }), "{listed:?}");
    for node in [0, 1, 3, late] {
        for limit in [1, 2, 3, 7] {
            assert_eq!(decisions(&mut net, node, None, limit), listed, "node {node}, {limit} a page");
        }
        assert_eq!(decisions(&mut net, node, Some(group), 100), listed[..1]);
        for decision in &listed {
            let (proposal, question) = (decision.on.id, decision.on.question);
            let no = net.node(node).ask(Ask::Certificate { proposal, question });
            let Answer::Certificate(file) = net.answer(no) else { panic!("a certificate") };
            verify_file(&file, None).unwrap();
        }
        assert_eq!(votes(&mut net, node, None, 1), [last, never, first]);
        assert_eq!(votes(&mut net, node, Some(group), 2), [last]);
    }
    let no = net.node(3).ask(Ask::Dockets { after: None, limit: 100 });
    let Answer::Dockets(page) = net.answer(no) else { panic!("a page") };
    assert_eq!((page.dockets.len(), page.total, page.next), (1, 1, None));

    let refused = |net: &mut Sim, id, question| {
        let after = Some(Decided { id, question });
        let no = net.node(0).ask(Ask::Decisions { after, group: None, limit: 10 });
        let Answer::Refused(refusal) = net.answer(no) else { panic!("a refusal") };
        refusal.kind
    };
    assert_eq!(refused(&mut net, RecordId([7; 32]), None), RefusalKind::NotFound);
    assert_eq!(refused(&mut net, first, Some(1)), RefusalKind::Invalid);
}
