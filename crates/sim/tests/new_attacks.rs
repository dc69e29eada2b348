//! What voters, closers and trustees try with dockets and sealed ballots.

#![allow(clippy::unwrap_used, reason = "tests")]

use althing_ballot::Rule;
use althing_engine::{Answer, AnswersDraft, Ask, DocketDraft, ProposalDraft, Said, VoteState};
use althing_record::{Kind, RecordId};
use althing_sim::{Sim, Villain, WALL_START, agent_key, closed, motion};

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
