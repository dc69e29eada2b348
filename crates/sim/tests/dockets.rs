//! Dockets: many questions at once are decided each for itself, by one signature of each voter.

#![allow(clippy::unwrap_used, reason = "tests")]

use althing_ballot::{Answers, Choice, VerifiedFile, leaf, verify_file};
use althing_engine::{Answer, AnswersDraft, Ask, DocketDraft, DocketState, Vote, VoteState};
use althing_record::{Kind, RecordId};
use althing_sim::{Sim, Villain, WALL_START, motion, option, red_or_blue};

fn docket(count: usize, terms: althing_engine::ProposalDraft) -> DocketDraft {
    DocketDraft { terms, questions: (1..=count).map(|n| (format!("question {n}?"), Vec::new())).collect() }
}

fn shown(net: &mut Sim, node: usize, docket: RecordId) -> DocketState {
    let no = net.node(node).ask(Ask::Docket { docket, from: 1, limit: u16::MAX });
    let Answer::Docket(docket) = net.answer(no) else { panic!("node {node} does not know the docket") };
    *docket
}

fn states(net: &mut Sim, node: usize, docket: RecordId) -> Vec<VoteState> {
    shown(net, node, docket).questions.into_iter().map(|question| question.state).collect()
}

fn question(net: &mut Sim, node: usize, docket: RecordId, number: u16) -> Vote {
    let no = net.node(node).ask(Ask::Vote { proposal: docket, question: Some(number) });
    let Answer::Vote(vote) = net.answer(no) else { panic!("node {node} does not know the question") };
    *vote
}

fn certificate(net: &mut Sim, node: usize, docket: RecordId, number: u16) -> Option<Vec<u8>> {
    let no = net.node(node).ask(Ask::Certificate { proposal: docket, question: Some(number) });
    if let Answer::Certificate(bytes) = net.answer(no) { Some(bytes) } else { None }
}

fn answers(net: &mut Sim, node: usize, docket: RecordId, each: &[(u16, &str)], others: Option<&str>) {
    let each = each.iter().map(|(number, text)| (*number, option(text))).collect();
    let no = net.node(node).answers(docket, AnswersDraft { each, others: others.map(option) });
    let answer = net.answer(no);
    assert!(matches!(answer, Answer::Cast { repeated: false, .. }), "node {node}: {answer:?}");
}

fn decided(option: &str) -> VoteState {
    VoteState::Decided { option: option.into() }
}

#[test]
fn each_question_of_a_closed_docket_has_its_outcome_and_its_certificate() {
    let mut net = Sim::settled(1, 5);
    let voters = net.agents(0..5);
    let mut draft = docket(40, red_or_blue(&voters, 600_000));
    draft.questions[2].1 = vec!["Oslo".into(), "Turku".into(), "Riga".into()];
    let id = net.node(0).proposes_docket(draft);
    net.run_for(1_000);
    answers(&mut net, 0, id, &[(3, "Oslo")], Some("red"));
    answers(&mut net, 1, id, &[(1, "blue"), (3, "Turku")], Some("red"));
    answers(&mut net, 2, id, &[(1, "blue"), (2, "blue"), (3, "Turku")], Some("red"));
    answers(&mut net, 3, id, &[(1, "blue"), (2, "abstain"), (3, "Turku"), (4, "red")], None);
    assert!(states(&mut net, 4, id).iter().all(|state| *state == VoteState::Open));
    answers(&mut net, 4, id, &[(2, "blue"), (3, "Riga")], Some("abstain"));
    net.run_for(3_000);
    for node in 0..5 {
        let states = states(&mut net, node, id);
        assert_eq!(states[0], decided("blue"));
        assert_eq!(states[1], VoteState::Rejected { cause: "no option has enough votes".into() });
        assert_eq!(states[2], decided("Turku"));
        assert!(states[3..].iter().all(|state| *state == decided("red")), "{states:?}");
        let summary = shown(&mut net, node, id).summary;
        assert_eq!((summary.questions, summary.decided, summary.rejected), (40, 39, 1));
        let vote = question(&mut net, node, id, 3);
        assert_eq!(
            (vote.state, vote.rounds[0].tally.clone()),
            (decided("Turku"), vec![Some(1), Some(3), Some(1)])
        );
        for number in [1, 2, 3, 40] {
            let file = certificate(&mut net, node, id, number).unwrap();
            let VerifiedFile::Closed(verified) = verify_file(&file, None).unwrap() else { panic!("closed") };
            assert_eq!((verified.proposal.id, verified.proposal.item), (id, Some(number)));
            assert_eq!(verified.manifest.choices.len(), 5);
        }
    }
    let (vote, asked) = (
        net.node(1).ask(Ask::Vote { proposal: id, question: None }),
        net.node(1).ask(Ask::Vote { proposal: id, question: Some(41) }),
    );
    let Answer::Refused(refusal) = net.answer(vote) else { panic!("a docket is no single vote") };
    assert!(refusal.cause.contains("is a docket of 40 questions"), "{}", refusal.cause);
    let Answer::Refused(refusal) = net.answer(asked) else { panic!("there is no such question") };
    assert!(refusal.cause.contains("has no question 41"), "{}", refusal.cause);
    net.settle();
}

#[test]
fn a_direct_docket_is_decided_question_by_question_as_answers_come() {
    let mut net = Sim::settled(2, 5);
    let voters = net.agents(0..5);
    let id = net.node(0).proposes_docket(docket(3, motion("June", &voters)));
    net.run_for(1_000);
    for node in 0..4 {
        answers(&mut net, node, id, &[(2, if node == 0 { "no" } else { "yes" })], Some("yes"));
    }
    net.run_for(1_000);
    assert_eq!(states(&mut net, 4, id), [decided("yes"), VoteState::Open, decided("yes")]);
    assert!(certificate(&mut net, 4, id, 2).is_none());
    answers(&mut net, 4, id, &[(1, "no")], Some("yes"));
    net.run_for(1_000);
    assert_eq!(states(&mut net, 0, id), vec![decided("yes"); 3]);
    let file = certificate(&mut net, 0, id, 2).unwrap();
    let VerifiedFile::Direct(verified) = verify_file(&file, None).unwrap() else { panic!("direct") };
    assert_eq!((verified.option.as_str(), verified.proposal.question.as_str()), ("yes", "question 2?"));

    // Answers are final, and saying the same again is no second ballot.
    let again = AnswersDraft { each: vec![(1, option("no"))], others: Some(option("yes")) };
    let no = net.node(4).answers(id, again.clone());
    assert!(matches!(net.answer(no), Answer::Cast { repeated: true, .. }));
    let no = net.node(4).answers(id, AnswersDraft { each: Vec::new(), ..again });
    let Answer::Refused(refusal) = net.answer(no) else { panic!("answered otherwise before") };
    assert!(refusal.cause.contains("already answered"), "{}", refusal.cause);
    net.settle();
}

#[test]
fn a_voter_who_answers_twice_is_void_where_the_answers_differ_and_proved_everywhere() {
    for seed in 0..10 {
        let mut net = Sim::settled(40 + seed, 3);
        let mut villain = Villain::new(0);
        let mut voters = net.agents(0..3);
        voters.push(villain.agent());
        let id = net.node(0).proposes_docket(docket(4, red_or_blue(&voters, 8_000)));
        net.run_for(2_000);
        answers(&mut net, 0, id, &[], Some("red"));
        answers(&mut net, 1, id, &[(1, "blue")], Some("red"));
        answers(&mut net, 2, id, &[(1, "blue")], Some("red"));
        let made = WALL_START.plus(net.time());
        let (red, blue) = (Choice::Option(0), Choice::Option(1));
        let one = villain.leaves(Answers::leaves(id, &vec![red.clone(); 4]), made);
        let other = villain.leaves(Answers::leaves(id, &[red.clone(), red.clone(), red, blue]), made);
        villain.tell(&mut net, &[0], Kind::BallotBatch, one.bytes());
        villain.tell(&mut net, &[1, 2], Kind::BallotBatch, other.bytes());
        net.run_for(30_000);
        for node in 0..3 {
            assert!(net.accused(node).contains(&villain.agent()), "seed {seed}");
            let states = states(&mut net, node, id);
            // Two of four are blue in question 1, three or four red in the others.
            assert!(matches!(states[0], VoteState::Rejected { .. }), "seed {seed}: {states:?}");
            assert_eq!(states[1..], vec![decided("red"); 3], "seed {seed}");
            let first = question(&mut net, 0, id, 4);
            let void: Vec<_> =
                first.voters.iter().filter(|voter| voter.void).map(|voter| voter.agent).collect();
            assert!(void.is_empty() || void == [villain.agent()], "seed {seed}");
            let third = question(&mut net, node, id, 3);
            assert!(third.voters.iter().all(|voter| !voter.void), "seed {seed}: equal answers are one");
        }
        net.settle();
    }
}

#[test]
fn answers_that_are_not_whole_count_for_nothing() {
    let mut net = Sim::settled(3, 3);
    let mut villain = Villain::new(0);
    let mut voters = net.agents(0..3);
    voters.push(villain.agent());
    let terms = red_or_blue(&voters, 6_000);
    let id = net.node(0).proposes_docket(docket(3, terms.clone()));
    let alone = net.node(0).proposes(terms);
    net.run_for(1_000);
    (0..3).for_each(|node| answers(&mut net, node, id, &[], Some("red")));
    let made = WALL_START.plus(net.time());
    let blue = || Choice::Option(1);
    let everybody = [0, 1, 2];
    for record in [
        villain.leaves(Answers::leaves(id, &[blue(), blue()]), made),
        villain.leaves(Answers::leaves(id, &[blue(), blue(), Choice::Option(9)]), made),
        villain.leaves(Answers::leaves(id, &[blue(), blue(), blue(), blue()]), made),
        villain.leaves(vec![leaf(id, &blue())], made),
        villain.leaves(Answers::leaves(alone, &[blue()]), made),
    ] {
        villain.tell(&mut net, &everybody, Kind::BallotBatch, record.bytes());
    }
    net.run_for(30_000);
    for node in everybody {
        assert_eq!(states(&mut net, node, id), vec![decided("red"); 3]);
        let vote = question(&mut net, node, id, 1);
        let said = vote.voters.iter().find(|voter| voter.agent == villain.agent()).unwrap();
        assert!(said.choices.is_empty() && !said.void, "{said:?}");
    }
    net.settle();
}

#[test]
fn a_docket_is_decided_though_nodes_crash_and_links_lose() {
    for seed in 0..15 {
        let mut net = Sim::settled(700 + seed, 4);
        let voters = net.agents(0..4);
        let id = net.node(0).proposes_docket(docket(25, red_or_blue(&voters, 4_000)));
        net.run_for(500);
        for node in 0..4 {
            let others = Some(option(if node == 3 { "blue" } else { "red" }));
            net.node(node).answers(id, AnswersDraft { each: Vec::new(), others });
        }
        net.crash_often(8);
        net.run_for(40_000);
        let first = states(&mut net, 0, id);
        assert!(
            first.iter().all(|state| matches!(state, VoteState::Decided { .. } | VoteState::Rejected { .. })),
            "seed {seed}: {first:?}"
        );
        (1..4).for_each(|node| assert_eq!(states(&mut net, node, id), first, "seed {seed}"));
        (0..4).for_each(|node| assert!(net.accused(node).is_empty(), "seed {seed}"));
        net.settle();
    }
}
