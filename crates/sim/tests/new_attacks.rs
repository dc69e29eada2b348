//! What voters, closers and trustees try with dockets and sealed ballots.

#![allow(clippy::unwrap_used, reason = "tests")]

use althing_ballot::{Rule, TrusteeSecret};
use althing_engine::{Answer, AnswersDraft, Ask, DocketDraft, IMPORT_MAX, ProposalDraft, Said, VoteState};
use althing_record::{Kind, NetworkId, Record, RecordId, cbor};
use althing_sim::{Sim, Villain, WALL_START, agent_key, closed, motion, sealed};

fn docket(count: usize, terms: ProposalDraft) -> DocketDraft {
    DocketDraft { terms, questions: (1..=count).map(|n| (format!("question {n}?"), Vec::new())).collect() }
}

fn answers(net: &mut Sim, node: usize, docket: RecordId, option: &str) {
    let others = Some(Said::Option(option.into()));
    let no = net.node(node).answers(docket, AnswersDraft { each: Vec::new(), others });
    let answer = net.answer(no);
    assert!(matches!(answer, Answer::Cast { repeated: false, .. }), "node {node}: {answer:?}");
}

fn states(net: &mut Sim, node: usize, docket: RecordId) -> Vec<VoteState> {
    let no = net.node(node).ask(Ask::Docket { docket, from: 1, limit: u16::MAX });
    let Answer::Docket(docket) = net.answer(no) else { panic!("node {node} does not know the docket") };
    docket.questions.into_iter().map(|question| question.state).collect()
}

fn decided(option: &str) -> VoteState {
    VoteState::Decided { option: option.into() }
}

#[test]
fn a_report_that_names_answers_to_another_docket_does_not_keep_them_from_counting() {
    let mut net = Sim::seed(1).nodes(2);
    net.run_for(1_000);
    let mut villain = Villain::new(0);
    let voters = net.agents(0..2);
    let answered = net.node(0).proposes_docket(docket(2, motion("June", &voters)));
    // Never decided: two of its four closers do not exist.
    let mut few = vec![net.agent(0), villain.agent()];
    few.extend([8_000_000, 8_000_001].map(|n| agent_key(n).agent()));
    let trap = net.node(1).proposes_docket(docket(2, closed(Rule::Majority, &["red", "blue"], &few, 1_000)));
    net.run_for(1_000);
    (0..2).for_each(|node| answers(&mut net, node, answered, "yes"));
    net.run_for(1_000);
    let own = net.records(1, Kind::BallotBatch).into_iter().find(|batch| batch.agent() == few[0]).unwrap();
    few.sort_unstable();
    let place = few.iter().position(|voter| *voter == own.agent()).unwrap();
    let report = villain.report(trap, &[(place as u16, own.id())], WALL_START.plus(net.time()));
    villain.tell(&mut net, &[0], Kind::CloseReport, report.bytes());
    net.run_for(5_000);
    net.crash(0);
    net.restart(0);
    net.run_for(10_000);
    for node in 0..2 {
        assert_eq!(states(&mut net, node, answered), vec![decided("yes"); 2], "node {node}");
    }
    assert!(net.run_until_quiet());
    net.check_converged();
}

#[test]
fn a_trustee_with_thousands_of_keys_and_openings_keeps_no_vote_shut() {
    let mut net = Sim::seed(2).nodes(3);
    net.run_for(1_000);
    let voters = net.agents(0..3);
    // The lowest of all trustees, so that what it says stands first.
    let mut villain = (0..100).map(Villain::new).min_by_key(Villain::agent).unwrap();
    assert!(voters.iter().all(|voter| villain.agent() < *voter));
    let trustees = [net.agents(1..3), vec![villain.agent()]].concat();
    let draft = sealed(closed(Rule::Majority, &["red", "blue"], &voters, 600_000), &trustees, Some(2));
    let proposal = net.node(0).proposes(draft);
    net.run_for(1_000);
    let made = WALL_START.plus(net.time());
    let mut records = Vec::new();
    for n in 0..4_100_u32 {
        let secret = TrusteeSecret::of(&agent_key(3_000_000), NetworkId([9; 32]), RecordId(index(n)));
        let key = cbor::to_vec(&secret.key_body(proposal));
        let opening = cbor::to_vec(&secret.opening_body(proposal));
        records.push(villain.any(Kind::TrusteeKey, key, made));
        records.push(villain.any(Kind::Opening, opening, made));
    }
    for records in records.chunks(IMPORT_MAX) {
        let no = net.node(0).ask(Ask::Import { records: records.to_vec() });
        net.answer(no);
    }
    for node in 0..3 {
        let no = net.node(node).cast(proposal, "red");
        let answer = net.answer(no);
        assert!(matches!(answer, Answer::Cast { repeated: false, .. }), "node {node}: {answer:?}");
    }
    net.run_for(10_000);
    let no = net.node(0).ask(Ask::Vote { proposal, question: None });
    let Answer::Vote(vote) = net.answer(no) else { panic!("a vote") };
    assert_eq!(vote.state, decided("red"));
    assert!(net.node(0).certificate(proposal).is_some());
}

fn index(n: u32) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    bytes
}

#[test]
fn hundreds_of_ballots_and_reports_that_are_due_at_once_fit_into_the_vote_guard() {
    let mut net = Sim::seed(3).nodes(2);
    net.run_for(1_000);
    net.crash(1);
    let (voters, trustees) = (net.agents(0..1), net.agents(0..2));
    let plain = closed(Rule::Majority, &["red", "blue"], &voters, 5_000);
    let draft = sealed(closed(Rule::Majority, &["red", "blue"], &voters, 60_000), &trustees, Some(1));
    for _ in 0..256 {
        net.node(0).propose(draft.clone());
    }
    net.run_for(1_000);
    let proposals: Vec<_> = net.records(0, Kind::Proposal).iter().map(Record::id).collect();
    // One of two trustees is missing, so all wait for it and give up at the same moment, when many others are closed.
    for _ in 0..60 {
        net.node(0).propose(plain.clone());
    }
    let casts: Vec<_> = proposals.iter().map(|proposal| net.node(0).cast(*proposal, "red")).collect();
    net.run_for(10_000);
    for no in casts {
        let answer = net.answer(no);
        assert!(matches!(answer, Answer::Cast { repeated: false, .. }), "{answer:?}");
    }
}
