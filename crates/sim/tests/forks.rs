//! Forks of groups are settled by those who were members there, and then one branch is in force on every node.

#![allow(clippy::unwrap_used, reason = "tests")]

mod grouping;

use althing_ballot::{
    ClosedTerms, Electorate, GroupState, ProposalBody, Question, Rule, Subject, verify_file,
};
use althing_engine::{Answer, Ask, Group, GroupAsk, ProposalDraft, RefusalKind, Taken, Vote, VoteState};
use althing_record::cbor;
use althing_record::{
    AgentId, Change, Content, Draft, GroupId, Incarnation, Kind, Membership, Placement, Record, RecordId,
};
use althing_sim::{Links, Sim, WALL_START, agent_key, closed};

use grouping::{change, founded, group_ask, show_group, taken};

const HOUR_MS: u64 = 3_600_000;

fn signed(net: &Sim, by: usize, kind: Kind, stream: &str, group: Option<GroupId>, body: Vec<u8>) -> Record {
    let draft = Draft {
        agent: agent_key(by).agent(),
        key_event: None,
        group,
        kind,
        placement: Placement::Chain {
            stream: stream.try_into().unwrap(),
            // Of its own, so that no chain is forked.
            incarnation: Some(Incarnation(net.time().to_be_bytes())),
            seq: 0,
            prev: None,
        },
        made: WALL_START.plus(net.time()),
        expires: None,
        content: Content::Body(body),
    };
    draft.sign(&agent_key(by), net.network()).unwrap()
}

/// What an admin signs beside its node: another change after one that has been changed already.
fn forking(net: &Sim, by: usize, group: GroupId, prev: RecordId, change: Change) -> Record {
    signed(
        net,
        by,
        Kind::Membership,
        "group",
        Some(group),
        cbor::to_vec(&Membership { prev, change, decision: None }),
    )
}

/// Has an agent say which branch is to hold: by a vote that it finds, or puts.
fn resolve(net: &mut Sim, node: usize, group: GroupId, keep: RecordId) -> (RecordId, bool) {
    let agent = net.agent(node);
    let ask = GroupAsk::Resolve { agent, group, keep, window_ms: HOUR_MS };
    let answer = group_ask(net, node, ask);
    let Answer::Resolving { proposal, option, is_new } = answer else { panic!("node {node}: {answer:?}") };
    let no = net.node(node).cast(proposal, &option);
    let answer = net.answer(no);
    assert!(matches!(answer, Answer::Cast { .. }), "node {node}: {answer:?}");
    (proposal, is_new)
}

fn refused(answer: Answer) -> (RefusalKind, String) {
    let Answer::Refused(refusal) = answer else { panic!("expected a refusal, found {answer:?}") };
    (refusal.kind, refusal.cause)
}

fn vote(net: &mut Sim, node: usize, proposal: RecordId) -> Vote {
    let no = net.node(node).ask(Ask::Vote { proposal, question: None });
    let Answer::Vote(vote) = net.answer(no) else { panic!("node {node} does not know the vote") };
    *vote
}

fn of_group(group: GroupId) -> ProposalDraft {
    ProposalDraft { group: Some(group), ..closed(Rule::Majority, &["red", "blue"], &[], HOUR_MS) }
}

fn names(group: &Group) -> Vec<AgentId> {
    group.members.iter().map(|member| member.agent).collect()
}

/// A group of five of six nodes that its founder forked: its node removed agent 4, and by its other copy it took a
/// stranger in. The fork, and the two changes.
fn forked(seed: u64, links: Links) -> (Sim, GroupId, RecordId, [RecordId; 2]) {
    let mut net = Sim::seed(seed).links(links).nodes(6);
    net.run_for(2_000);
    let id = founded(&mut net, 5);
    net.run_for(5_000);
    let at = show_group(&mut net, 0, id).head;
    let removed = Change::Remove(net.agent(4));
    let fair = taken(change(&mut net, 0, id, removed)).head;
    let lie = forking(&net, 0, id, at, Change::Add(net.agent(5)));
    assert_eq!(net.node(3).imports(&lie), Taken::New);
    assert!(net.run_until_quiet());
    let expected = if fair < lie.id() { [fair, lie.id()] } else { [lie.id(), fair] };
    for node in 0..6 {
        let seen = show_group(&mut net, node, id);
        assert_eq!((seen.fork, seen.head), (Some(expected), at), "node {node}");
    }
    (net, id, at, [fair, lie.id()])
}

#[test]
fn members_at_the_fork_choose_a_branch_and_it_is_in_force_everywhere() {
    for (seed, links) in [(801, Links::default()), (802, Links::lossy(20))] {
        let (mut net, id, at, [fair, lie]) = forked(seed, links);
        let (proposal, is_new) = resolve(&mut net, 1, id, fair);
        assert!(is_new);
        net.run_for(20_000);
        // Who comes later finds the vote, and the founder cannot outvote the others.
        assert_eq!(resolve(&mut net, 0, id, lie), (proposal, false), "seed {seed}");
        for node in 2..5 {
            assert_eq!(resolve(&mut net, node, id, fair), (proposal, false), "seed {seed}");
        }
        assert!(net.run_until_quiet());
        net.run_for(60_000);
        let late = net.join(0);
        assert!(net.run_until_quiet());
        for node in 0..=late {
            assert_eq!(vote(&mut net, node, proposal).state, VoteState::Decided { option: fair.to_string() });
            let seen = show_group(&mut net, node, id);
            assert_eq!((seen.fork, seen.head), (None, fair), "seed {seed}, node {node}");
            assert_eq!(seen.settled.len(), 1);
            let settled = seen.settled[0];
            assert_eq!((settled.at, settled.kept, settled.by), (at, fair, proposal));
            assert!(!names(&seen).contains(&net.agent(4)) && !names(&seen).contains(&net.agent(5)));
        }

        // The branch that lost can go on as it likes.
        let more = forking(&net, 0, id, lie, Change::Promote(net.agent(5)));
        assert_eq!(net.node(2).imports(&more), Taken::New);
        let invited = Change::Invite(net.agent(5));
        let state = taken(change(&mut net, 0, id, invited));
        assert_eq!((state.height, state.fork), (2, None));
        assert!(net.run_until_quiet());
        net.check_converged();

        // A vote of the group that was settled is certified, and verifies offline.
        let question = net.node(1).proposes(of_group(id));
        net.run_for(20_000);
        for node in 0..4 {
            let no = net.node(node).cast(question, "red");
            let answer = net.answer(no);
            assert!(matches!(answer, Answer::Cast { .. }), "{answer:?}");
        }
        assert!(net.run_until_quiet());
        net.run_for(60_000);
        assert_eq!(vote(&mut net, late, question).state, VoteState::Decided { option: "red".into() });
        let certificate = net.node(late).certificate(question).unwrap();
        let network = net.network().id();
        assert!(verify_file(&certificate, Some(network)).is_ok());
        for byte in 0..certificate.len() {
            let mut changed = certificate.clone();
            changed[byte] ^= 1;
            assert!(verify_file(&changed, Some(network)).is_err(), "byte {byte}");
        }
        // So does the one by which the fork was settled.
        let certificate = net.node(late).certificate(proposal).unwrap();
        assert!(verify_file(&certificate, Some(network)).is_ok());
    }
}

#[test]
fn the_other_branch_can_be_chosen_and_a_head_names_its_branch() {
    let (mut net, id, _, [_, lie]) = forked(803, Links::default());
    let more = forking(&net, 0, id, lie, Change::Promote(net.agent(5)));
    assert_eq!(net.node(1).imports(&more), Taken::New);
    assert!(net.run_until_quiet());
    for node in 0..5 {
        let (_, is_new) = resolve(&mut net, node, id, more.id());
        assert_eq!(is_new, node == 0);
        net.run_for(3_000);
    }
    assert!(net.run_until_quiet());
    net.run_for(10_000);
    for node in 0..6 {
        let seen = show_group(&mut net, node, id);
        assert_eq!((seen.fork, seen.head, seen.settled[0].kept), (None, more.id(), lie), "node {node}");
        assert!(names(&seen).contains(&net.agent(5)));
    }
}

#[test]
fn of_two_decisions_the_lower_holds_on_every_node_whichever_came_first() {
    let (mut net, id, _, [fair, lie]) = forked(804, Links::default());
    // Two that are put side by side, and in which many say one thing here and another there.
    net.partition(&[0, 1], &[2, 3, 4, 5]);
    let (one, _) = resolve(&mut net, 1, id, fair);
    let (other, is_new) = resolve(&mut net, 2, id, lie);
    assert!(is_new && one != other);
    net.heal();
    assert!(net.run_until_quiet());
    for (proposal, branch, nodes) in [(one, fair, [0, 3, 4]), (other, lie, [0, 3, 4])] {
        for node in nodes {
            let no = net.node(node).cast(proposal, &branch.to_string());
            let answer = net.answer(no);
            assert!(matches!(answer, Answer::Cast { .. }), "node {node}: {answer:?}");
        }
    }
    net.run_for(HOUR_MS + 60_000);
    assert!(net.run_until_quiet());
    let kept = if one < other { fair } else { lie };
    for node in 0..6 {
        for (proposal, branch) in [(one, fair), (other, lie)] {
            let state = vote(&mut net, node, proposal).state;
            assert_eq!(state, VoteState::Decided { option: branch.to_string() }, "node {node}");
        }
        let seen = show_group(&mut net, node, id);
        assert_eq!((seen.fork, seen.head), (None, kept), "node {node}");
        assert_eq!(seen.settled[0].by, one.min(other));
    }
}

#[test]
fn what_settles_nothing_is_refused_by_name_or_does_nothing() {
    let (mut net, id, at, [fair, _]) = forked(805, Links::default());
    let ask = |net: &mut Sim, node: usize, group, keep| {
        let ask = GroupAsk::Resolve { agent: net.agent(node), group, keep, window_ms: HOUR_MS };
        refused(group_ask(net, node, ask))
    };
    let (kind, cause) = ask(&mut net, 5, id, fair);
    assert!(kind == RefusalKind::Invalid && cause.contains("was not a member"), "{cause}");
    let (kind, cause) = ask(&mut net, 1, id, at);
    assert!(kind == RefusalKind::NotFound && cause.contains("is no change after"), "{cause}");
    let (kind, _) = ask(&mut net, 1, GroupId([3; 32]), fair);
    assert_eq!(kind, RefusalKind::NotFound);
    let whole = founded(&mut net, 2);
    let (kind, cause) = ask(&mut net, 0, whole, fair);
    assert!(kind == RefusalKind::Conflict && cause.contains("is not forked"), "{cause}");

    // The founder puts the question so that its own vote would suffice.
    let members = net.agents(0..5);
    let electorate = Electorate::of_group(GroupState { group: id, head: at }, members).unwrap();
    let options = [fair.to_string(), "neither".to_owned()];
    let question = Question {
        text: "mine?",
        options: &options,
        rule: Rule::Majority,
        electorate: &electorate,
        window_ms: 1_000,
        nonce: [0; 8],
    };
    let body = ProposalBody::closed(&question, &ClosedTerms::default()).unwrap();
    let subject = Subject::new(&format!("group fork {at}"), None).unwrap();
    let body = ProposalBody { subject: Some(subject), ..body };
    let record = signed(&net, 4, Kind::Proposal, "vote", None, cbor::to_vec(&body));
    assert_eq!(net.node(0).imports(&record), Taken::New);
    let no = net.node(0).cast(record.id(), &fair.to_string());
    let _ = net.answer(no);
    assert!(net.run_until_quiet());
    net.run_for(60_000);
    let state = vote(&mut net, 2, record.id()).state;
    assert_eq!(state, VoteState::Decided { option: fair.to_string() }, "it is decided");
    assert!(show_group(&mut net, 2, id).fork.is_some(), "and settles nothing");
    assert!(resolve(&mut net, 1, id, fair).1, "nor is it the vote that members find");
}
