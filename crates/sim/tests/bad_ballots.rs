//! What a voter, a stranger or a proposer may send that is no ballot, and no question: none of it counts, and what its bytes
//! prove wrong is not kept.

#![allow(clippy::unwrap_used, reason = "tests")]

use althing_ballot::{Choice, ClosedTerms, Electorate, ProposalBody, Question, Rule, Voter, leaf};
use althing_engine::VoteState;
use althing_record::{AgentId, Kind, Record, RecordId, cbor};
use althing_sim::{Sim, Villain, WALL_START, closed, red_or_blue};
use althing_testkit::{agent, foreign_network, leaves, sign};

const ALL: [usize; 3] = [0, 1, 2];

/// Three honest voters and a villain, on a Closed question of a method.
fn put(seed: u64, rule: Rule) -> (Sim, Villain, RecordId) {
    let mut net = Sim::settled(seed, 3);
    let villain = Villain::new(0);
    let mut voters = net.agents(0..3);
    voters.push(villain.agent());
    let proposal = net.node(0).proposes(closed(rule, &["A", "B", "C"], &voters, 8_000));
    net.run_for(1_000);
    (net, villain, proposal)
}

fn is_kept(net: &Sim, record: &Record) -> bool {
    ALL.iter().any(|node| net.holds(*node, record.id()))
}

/// Sends a ballot, and says whether anybody keeps it.
fn sends(net: &mut Sim, villain: &mut Villain, ballot: Vec<u8>) -> bool {
    let made = WALL_START.plus(net.time());
    let record = villain.leaves(vec![ballot], made);
    villain.tell(net, &ALL, Kind::BallotBatch, record.bytes());
    net.run_for(300);
    is_kept(net, &record)
}

/// A choice that is written as its author likes.
fn raw(proposal: RecordId, tag: u64, bytes: &[u8]) -> Vec<u8> {
    let mut choice = cbor::Writer::default();
    choice.array(2);
    choice.uint(tag);
    choice.bytes(bytes);
    [&proposal.0[..], &choice.into_bytes()].concat()
}

#[test]
fn choices_that_do_not_answer_their_question_count_for_nothing() {
    let unknown = Choice::Option(3);
    for (rule, said) in [
        (
            Rule::Majority,
            vec![unknown.clone(), Choice::Ranking([0].into()), Choice::Scores([5, 0, 0].into())],
        ),
        (Rule::Ranked, vec![unknown.clone(), Choice::Ranking([0, 3].into()), Choice::Approval([0].into())]),
        (Rule::Schulze, vec![Choice::Ranking([3].into()), Choice::Scores([5, 0, 0].into())]),
        (Rule::Approval, vec![Choice::Approval([0, 3].into()), Choice::Ranking([0].into())]),
        (Rule::Star, vec![Choice::Scores([5, 0].into()), Choice::Scores([5, 0, 0, 1].into()), unknown]),
    ] {
        let (mut net, mut villain, proposal) = put(1, rule);
        net.all_say(proposal, ["abstain"; 3]);
        for choice in said {
            // It is signed and of a voter, so it is kept: what it says about other proposals may count.
            assert!(sends(&mut net, &mut villain, leaf(proposal, &choice)), "{rule}: {choice:?}");
        }
        net.run_for(30_000);
        for node in ALL {
            let vote = net.vote(node, proposal);
            assert_eq!(vote.state, VoteState::Rejected { cause: "no votes".into() }, "{rule}");
            let said = vote.voters.iter().find(|voter| voter.agent == villain.agent()).unwrap();
            assert!(!said.void && said.acks == 0, "{rule}: {said:?}");
        }
        net.settle();
    }
}

#[test]
fn choices_that_are_none_are_not_kept() {
    let (mut net, mut villain, proposal) = put(2, Rule::Ranked);
    let long: Vec<u8> = (0..65).collect();
    for (tag, bytes) in [
        (2, &long[..]),
        (2, &[][..]),
        (2, &[0, 1, 0][..]),
        (2, &[64][..]),
        (3, &long[..]),
        (3, &[1, 0][..]),
        (4, &[0; 65][..]),
        (4, &[6][..]),
        (5, &[7; 31][..]),
        (6, &[7; 40][..]),
    ] {
        assert!(!sends(&mut net, &mut villain, raw(proposal, tag, bytes)), "{tag}: {bytes:?}");
    }
    assert!(!sends(&mut net, &mut villain, proposal.0[..31].to_vec()), "half an id");
    assert!(sends(&mut net, &mut villain, raw(proposal, 2, &[2, 0])), "this one is a ranking");
}

#[test]
fn ballots_for_other_votes_or_networks_or_of_strangers_are_not_kept() {
    let (mut net, mut villain, proposal) = put(3, Rule::Majority);
    let yes = Choice::Option(0);
    assert!(!sends(&mut net, &mut villain, leaf(RecordId([7; 32]), &yes)), "a proposal that nobody knows");
    assert!(!sends(&mut net, &mut Villain::new(1), leaf(proposal, &yes)), "an agent that has no vote");

    let key = agent(1);
    let proposal = net.node(0).proposes(red_or_blue(&[key.agent()], 600_000));
    net.run_for(1_000);
    let draft = leaves(&key, None, vec![leaf(proposal, &yes)]);
    let abroad = draft.clone().sign(&key, &foreign_network()).unwrap();
    for (ballot, is_taken) in [(abroad, false), (sign(draft, &key), true)] {
        villain.tell(&mut net, &ALL, Kind::BallotBatch, ballot.bytes());
        net.run_for(300);
        assert_eq!(is_kept(&net, &ballot), is_taken, "signed for another network, and for this one");
    }
}

#[test]
fn a_question_whose_weights_are_not_those_that_it_commits_to_is_not_kept() {
    let mut net = Sim::settled(4, 3);
    let mut villain = Villain::new(0);
    let voter = |agent: AgentId, weight| Voter { agent, weight };
    let electorate =
        Electorate::weighted(net.agents(0..3).into_iter().map(|agent| voter(agent, 2)).collect::<Vec<_>>());
    let electorate = electorate.unwrap();
    let heavier = net.agents(0..3).into_iter().map(|agent| voter(agent, 3)).collect::<Vec<_>>();
    let heavier = Electorate::weighted(heavier).unwrap().snapshot();
    let question = Question {
        text: "?",
        options: &[],
        rule: Rule::Majority,
        electorate: &electorate,
        window_ms: 1,
        nonce: [1; 8],
    };
    let honest = ProposalBody::closed(&question, &ClosedTerms::default()).unwrap();
    let mut forged = [honest.clone(), honest.clone(), honest.clone()];
    forged[0].electorate.root = heavier.root;
    forged[1].electorate.total = heavier.total;
    forged[2].electorate.source = heavier.source;
    let made = WALL_START.plus(net.time());
    for (body, is_taken) in forged.iter().map(|body| (body, false)).chain([(&honest, true)]) {
        let record = villain.any(Kind::Proposal, cbor::to_vec(body), made);
        villain.tell(&mut net, &ALL, Kind::Proposal, record.bytes());
        net.run_for(300);
        assert_eq!(is_kept(&net, &record), is_taken);
    }
}
