//! Groups: who is in them is the same everywhere, two who join at once fork nothing, and a fork stops what follows.

#![allow(clippy::unwrap_used, reason = "tests")]

mod grouping;

use althing_ballot::{Rule, VerifiedFile, verify_file};
use althing_engine::{
    Answer, Ask, Group, GroupAsk, ProposalDraft, Refusal, RefusalKind, Role, Vote, VoteState,
};
use althing_record::{AgentId, Change, GroupId, RecordId};
use althing_sim::{Sim, closed};

use grouping::{change, founded, group_ask, show_group, taken};

fn refused(answer: Answer) -> Refusal {
    let Answer::Refused(refusal) = answer else { panic!("expected a refusal, found {answer:?}") };
    refusal
}

fn join(net: &mut Sim, node: usize, group: GroupId, leaves: bool) -> Answer {
    let agent = net.agent(node);
    group_ask(net, node, GroupAsk::Join { agent, group, leaves })
}

fn members(group: &Group) -> Vec<AgentId> {
    group.members.iter().map(|member| member.agent).collect()
}

fn ascending(mut agents: Vec<AgentId>) -> Vec<AgentId> {
    agents.sort_unstable();
    agents
}

/// A group of the agents of the first nodes, all of whom joined.
fn joined(net: &mut Sim, count: usize) -> GroupId {
    let group = founded(net, 1);
    for node in 1..count {
        let agent = net.agent(node);
        taken(change(net, 0, group, Change::Invite(agent)));
    }
    net.run_for(2_000);
    for node in 1..count {
        taken(join(net, node, group, false));
    }
    net.run_for(5_000);
    group
}

fn of_group(group: GroupId, window_ms: u64) -> ProposalDraft {
    ProposalDraft { group: Some(group), ..closed(Rule::Majority, &["red", "blue"], &[], window_ms) }
}

fn vote(net: &mut Sim, node: usize, proposal: RecordId) -> Vote {
    let no = net.node(node).ask(Ask::Vote { proposal, question: None });
    let Answer::Vote(vote) = net.answer(no) else { panic!("node {node} does not know the vote") };
    *vote
}

/// Puts a question to the group, has its members decide it, and gives the certificate.
fn decided(net: &mut Sim, group: GroupId, nodes: &[usize]) -> Vec<u8> {
    let proposal = net.node(nodes[0]).proposes(of_group(group, 600_000));
    net.run_for(2_000);
    for node in nodes {
        let no = net.node(*node).cast(proposal, "red");
        let answer = net.answer(no);
        assert!(matches!(answer, Answer::Cast { .. }), "node {node}: {answer:?}");
    }
    net.run_for(5_000);
    assert_eq!(vote(net, nodes[0], proposal).state, VoteState::Decided { option: "red".into() });
    net.node(nodes[0]).certificate(proposal).unwrap()
}

fn electorate(certificate: &[u8]) -> usize {
    let VerifiedFile::Closed(verified) = verify_file(certificate, None).unwrap() else { panic!("closed") };
    assert!(verified.proposal.electorate.group().is_some());
    verified.proposal.electorate.voters().len()
}

#[test]
fn agents_that_join_at_once_fork_nothing() {
    for seed in 0..10 {
        let mut net = Sim::seed(700 + seed).nodes(5);
        net.run_for(1_000);
        let id = founded(&mut net, 1);
        for node in 1..5 {
            let agent = net.agent(node);
            taken(change(&mut net, 0, id, Change::Invite(agent)));
        }
        net.run_for(2_000);
        let agents = net.agents(1..5);
        let asks: Vec<_> = (1..5)
            .map(|node| {
                let ask = GroupAsk::Join { agent: agents[node - 1], group: id, leaves: false };
                net.node(node).ask(Ask::Group(ask))
            })
            .collect();
        for no in asks {
            assert!(taken(net.answer(no)).fork.is_none());
        }
        assert!(net.run_until_quiet(), "seed {seed}");
        let expected = ascending(net.agents(0..5));
        for node in 0..5 {
            let seen = show_group(&mut net, node, id);
            assert_eq!((members(&seen), seen.fork, seen.height), (expected.clone(), None, 8), "node {node}");
        }
        net.check_converged();
    }
}

#[test]
fn a_group_votes_and_who_leaves_is_in_later_electorates_no_more() {
    let mut net = Sim::seed(720).nodes(5);
    net.run_for(1_000);
    let id = joined(&mut net, 4);
    let before = decided(&mut net, id, &[0, 1, 2, 3]);
    assert_eq!(electorate(&before), 4);

    // Who is not a member neither proposes nor votes.
    let no = net.node(4).propose(of_group(id, 60_000));
    assert_eq!(refused(net.answer(no)).kind, RefusalKind::Invalid);
    let proposal = net.node(1).proposes(of_group(id, 60_000));
    net.run_for(2_000);
    let no = net.node(4).cast(proposal, "red");
    assert!(refused(net.answer(no)).cause.contains("not in the electorate"));

    taken(join(&mut net, 3, id, true));
    net.run_for(5_000);
    let seen = show_group(&mut net, 2, id);
    assert_eq!(members(&seen), ascending(net.agents(0..3)));
    assert_eq!(electorate(&decided(&mut net, id, &[2, 0, 1])), 3);
    assert_eq!(electorate(&before), 4, "what was decided before stays proved");
    assert_eq!(vote(&mut net, 0, proposal).voters.len(), 4, "the proposal keeps its electorate");
    assert!(net.run_until_quiet());
    net.check_converged();
}

#[test]
fn a_joining_waits_for_the_keeper() {
    let mut net = Sim::seed(721).nodes(4);
    net.run_for(1_000);
    let id = founded(&mut net, 1);
    for node in 1..3 {
        let agent = net.agent(node);
        taken(change(&mut net, 0, id, Change::Invite(agent)));
    }
    net.run_for(2_000);
    net.crash(0);
    let waiting = taken(join(&mut net, 1, id, false));
    assert_eq!((waiting.keeper, members(&waiting)), (net.agent(0), net.agents([0])));
    assert!(waiting.invited.iter().any(|invite| invite.joining));
    // Saying it again says nothing new.
    let again = join(&mut net, 1, id, false);
    assert!(matches!(again, Answer::Group { record: Some(_), .. }));
    taken(join(&mut net, 2, id, true));
    net.run_for(30_000);
    net.restart(0);
    net.run_for(40_000);
    let seen = show_group(&mut net, 3, id);
    assert_eq!(members(&seen), ascending(net.agents(0..2)), "agent 2 turned it down");
    assert!(seen.invited.is_empty());
    assert!(net.run_until_quiet());
    net.check_converged();
}

#[test]
fn two_changes_at_once_fork_a_group_and_it_takes_no_proposals() {
    let mut net = Sim::seed(722).nodes(5);
    net.run_for(1_000);
    let id = joined(&mut net, 3);
    let admin = net.agent(1);
    taken(change(&mut net, 0, id, Change::Promote(admin)));
    net.run_for(3_000);
    net.partition(&[0, 2], &[1, 3, 4]);
    let (third, fourth) = (net.agent(3), net.agent(4));
    taken(change(&mut net, 0, id, Change::Invite(third)));
    taken(change(&mut net, 1, id, Change::Invite(fourth)));
    net.run_for(3_000);
    net.heal();
    assert!(net.run_until_quiet());
    net.check_converged();
    let forks: Vec<_> = (0..5).map(|node| show_group(&mut net, node, id).fork.unwrap()).collect();
    assert!(forks.windows(2).all(|pair| pair[0] == pair[1]));
    let no = net.node(2).propose(of_group(id, 60_000));
    let refusal = refused(net.answer(no));
    assert_eq!(refusal.kind, RefusalKind::Conflict);
    assert!(forks[0].iter().all(|record| refusal.cause.contains(&record.to_string())), "{}", refusal.cause);
    assert_eq!(refused(change(&mut net, 0, id, Change::Remove(third))).kind, RefusalKind::Conflict);
    assert_eq!(refused(join(&mut net, 2, id, true)).kind, RefusalKind::Conflict);
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let mut net = Sim::seed(723).nodes(4);
    net.run_for(1_000);
    let id = joined(&mut net, 3);
    let (member, stranger) = (net.agent(1), net.agent(3));
    let unknown = GroupId([9; 32]);
    let cause = |answer: Answer| {
        let refusal = refused(answer);
        (refusal.kind, refusal.cause)
    };
    let (kind, text) = cause(change(&mut net, 1, id, Change::Invite(stranger)));
    assert!(kind == RefusalKind::Invalid && text.contains("is not an admin"), "{text}");
    assert_eq!(cause(change(&mut net, 0, unknown, Change::Invite(stranger))).0, RefusalKind::NotFound);
    assert_eq!(cause(join(&mut net, 1, unknown, false)).0, RefusalKind::NotFound);
    taken(change(&mut net, 0, id, Change::Invite(stranger)));
    let (kind, text) = cause(change(&mut net, 0, id, Change::Invite(stranger)));
    assert!(kind == RefusalKind::Conflict && text.contains("invited already"), "{text}");
    let (kind, text) = cause(change(&mut net, 0, id, Change::Invite(member)));
    assert!(kind == RefusalKind::Conflict && text.contains("a member already"), "{text}");
    let (kind, text) = cause(join(&mut net, 0, id, true));
    assert!(kind == RefusalKind::Conflict && text.contains("stays in it"), "{text}");
    assert_eq!(cause(join(&mut net, 1, id, false)).0, RefusalKind::Conflict);
    taken(change(&mut net, 0, id, Change::Remove(stranger)));
    net.run_for(3_000);
    let (kind, text) = cause(join(&mut net, 3, id, false));
    assert!(kind == RefusalKind::Invalid && text.contains("is not invited"), "{text}");
    let agent = net.agent(0);
    for name in [" ".to_owned(), String::new(), "x".repeat(65)] {
        let ask = GroupAsk::Found { agent, name, members: Vec::new() };
        assert_eq!(cause(group_ask(&mut net, 0, ask)).0, RefusalKind::Invalid);
    }
    let crowd = |n: usize| AgentId(std::array::from_fn(|at| if at < 8 { n.to_be_bytes()[at] } else { 7 }));
    let ask = GroupAsk::Found { agent, name: "crowd".into(), members: (0..256).map(crowd).collect() };
    assert_eq!(cause(group_ask(&mut net, 0, ask)).0, RefusalKind::Invalid);
    let full = GroupAsk::Found { agent, name: "full".into(), members: (0..255).map(crowd).collect() };
    let full = taken(group_ask(&mut net, 0, full)).group;
    taken(change(&mut net, 0, full, Change::Invite(member)));
    net.run_for(3_000);
    let waiting = taken(join(&mut net, 1, full, false));
    assert!(waiting.invited[0].joining);
    net.run_for(3_000);
    assert_eq!(show_group(&mut net, 0, full).members.len(), 256, "there is no room");
    taken(change(&mut net, 0, full, Change::Remove(crowd(0))));
    net.run_for(3_000);
    assert!(members(&show_group(&mut net, 1, full)).contains(&member), "now there is");
}

#[test]
fn lists_show_the_groups_of_a_nodes_agents_and_their_invitations() {
    let mut net = Sim::seed(724).nodes(4);
    net.run_for(1_000);
    let id = joined(&mut net, 2);
    let invited = net.agent(2);
    taken(change(&mut net, 0, id, Change::Invite(invited)));
    net.run_for(3_000);
    let listed = |net: &mut Sim, node, all| {
        let answer = group_ask(net, node, GroupAsk::List { all });
        let Answer::Groups(groups) = answer else { panic!("expected groups, found {answer:?}") };
        groups.into_iter().map(|group| group.own.first().map(|(_, role)| *role)).collect::<Vec<_>>()
    };
    assert_eq!(listed(&mut net, 0, false), [Some(Role::Founder)]);
    assert_eq!(listed(&mut net, 1, false), [Some(Role::Member)]);
    assert_eq!(listed(&mut net, 2, false), [Some(Role::Invited)]);
    assert_eq!(listed(&mut net, 3, false), []);
    assert_eq!(listed(&mut net, 3, true), [None]);
}
