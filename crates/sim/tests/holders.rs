//! Holders of a skill vote by reputation: nodes with the same attestations weigh them alike, and one that lies is noticed.

#![allow(clippy::unwrap_used, reason = "tests")]

mod rating;

use althing_ballot::{
    ClosedTerms, Electorate, HolderTerms, ProposalBody, Question, Rule, VerifiedFile, Voter, verify_file,
};
use althing_engine::{
    Answer, Ask, DocketDraft, Event, EventKind, EventsFrom, HoldersDraft, MassCheck, MassReport,
    ProposalDraft, Taken, Vote, VoteState,
};
use althing_record::cbor;
use althing_record::{AgentId, Content, Draft, Incarnation, Kind, Placement, Record, RecordId};
use althing_sim::{Sim, agent_key, card, closed};
use althing_trust::{Outcome, RatingEpoch};

use rating::{EPOCH_MS, attest, body, ended, run_to_middle, wall};

/// The agents of nodes 1 to 12 have the skill; 0 and 1 are the anchors, 0 to 3 the committee, and 13 only looks on.
const NODES: usize = 14;
const HOLDERS: std::ops::RangeInclusive<usize> = 1..=12;

fn holders(score_min: u64, window_ms: u64) -> ProposalDraft {
    let closed = closed(Rule::Majority, &["red", "blue"], &[], window_ms);
    ProposalDraft {
        holders: Some(HoldersDraft { skill: "text/translate".parse().unwrap(), score_min }),
        closed: Some(ClosedTerms { by_committee: true, ..ClosedTerms::default() }),
        ..closed
    }
}

/// Both anchors have called everybody with the skill: the higher the number, the oftener. The calls of 12 failed.
fn reputed(seed: u64) -> Sim {
    let mut net = Sim::seed(seed).rated(EPOCH_MS, 2).governed(4).nodes(NODES);
    net.run_for(1_000);
    for node in HOLDERS {
        net.node(node).publish(card("translate"));
    }
    for _ in 0..2 {
        for by in [0, 1] {
            let outcome = |to| if to == 12 { Outcome::Bad } else { Outcome::Ok };
            let rows: Vec<_> = HOLDERS
                .filter(|to| *to != by)
                .map(|to| (to, outcome(to), u64::try_from(to).unwrap()))
                .collect();
            let answer = attest(&mut net, by, by, &rows);
            assert!(matches!(answer, Answer::Attested(_)), "{answer:?}");
        }
        run_to_middle(&mut net);
    }
    run_to_middle(&mut net);
    assert!(net.run_until_quiet());
    net
}

fn vote(net: &mut Sim, node: usize, proposal: RecordId) -> Vote {
    let no = net.node(node).ask(Ask::Vote { proposal, question: None });
    let answer = net.answer(no);
    let Answer::Vote(vote) = answer else { panic!("node {node} has no vote: {answer:?}") };
    *vote
}

fn report(net: &mut Sim, node: usize, proposal: RecordId) -> MassReport {
    let check = vote(net, node, proposal).holders.unwrap().check;
    let MassCheck::Checked(report) = check else { panic!("node {node} did not look: {check:?}") };
    report
}

fn weights(vote: &Vote) -> Vec<(AgentId, u64)> {
    vote.voters.iter().map(|voter| (voter.agent, voter.weight)).collect()
}

/// Why a proposal was refused, if it was.
fn tried(net: &mut Sim, node: usize, draft: ProposalDraft) -> Option<String> {
    let no = net.node(node).propose(draft);
    let answer = net.answer(no);
    if let Answer::Refused(refusal) = answer { Some(refusal.cause) } else { None }
}

fn refused(net: &mut Sim, node: usize, draft: ProposalDraft) -> String {
    tried(net, node, draft).unwrap()
}

/// The proposals whose electorates a node told to be others here, with how many voters differ.
fn told(net: &mut Sim, node: usize) -> Vec<(RecordId, u64, u64)> {
    let no = net.ask(
        node,
        Ask::Events { from: EventsFrom::Newest(8), kinds: vec![EventKind::ElectorateDiffers], limit: 8 },
    );
    let Answer::Events(page) = net.answer(no) else { panic!("no events") };
    let told = |event: &Event| {
        let Event::ElectorateDiffers { proposal, differing, too_low } = event else { panic!("{event:?}") };
        (*proposal, *differing, *too_low)
    };
    page.events.iter().map(|row| told(&row.event)).collect()
}

/// What a proposer signs who weighs others as it likes.
fn lie(net: &Sim, by: usize, terms: HolderTerms, masses: Vec<Voter>) -> Record {
    let electorate = Electorate::of_holders(terms, masses).unwrap();
    let options = ["red", "blue"].map(str::to_owned);
    let (rule, window_ms) = (Rule::Majority, 600_000);
    let question = Question {
        text: "mine?",
        options: &options,
        rule,
        electorate: &electorate,
        window_ms,
        nonce: [3; 8],
    };
    let terms = ClosedTerms { by_committee: true, ..ClosedTerms::default() };
    let body = ProposalBody::closed(&question, &terms).unwrap();
    let draft = Draft {
        agent: agent_key(by).agent(),
        key_event: None,
        group: None,
        kind: Kind::Proposal,
        placement: Placement::Chain {
            stream: "vote".try_into().unwrap(),
            incarnation: Some(Incarnation([9; 8])),
            seq: 0,
            prev: None,
        },
        made: wall(net),
        expires: None,
        content: Content::Body(cbor::to_vec(&body)),
    };
    draft.sign(&agent_key(by), net.network()).unwrap()
}

fn masses_of(vote: &Vote) -> Vec<Voter> {
    let capped = &vote.holders.as_ref().unwrap().capped;
    let mass =
        |agent, weight| capped.iter().find(|(capped, _)| *capped == agent).map_or(weight, |(_, mass)| *mass);
    let voters = vote.voters.iter();
    voters.map(|voter| Voter { agent: voter.agent, weight: mass(voter.agent, voter.weight) }).collect()
}

#[test]
fn nodes_with_the_same_attestations_weigh_holders_alike_and_decide() {
    let mut net = reputed(51);
    let one = net.node(5).proposes(holders(0, 600_000));
    let other = net.node(13).proposes(holders(0, 600_000));
    net.run_for(3_000);
    let (first, second) = (vote(&mut net, 0, one), vote(&mut net, 9, other));
    assert_eq!(weights(&first), weights(&second), "who proposes makes no difference");
    assert_eq!(first.voters.len(), 11, "nobody trusts agent 12");
    let total: u64 = first.voters.iter().map(|voter| voter.weight).sum();
    let shown = first.holders.clone().unwrap();
    let anchor = net.agent(1);
    assert!(shown.capped.iter().any(|(agent, mass)| *agent == anchor && *mass > 5 * shown.cap), "{shown:?}");
    assert!(first.voters.iter().all(|voter| voter.weight <= shown.cap && 10 * voter.weight <= total));
    for node in 0..NODES {
        assert_eq!(report(&mut net, node, one), MassReport::default(), "node {node}");
    }
    assert_eq!(told(&mut net, 7), []);

    for node in 1..=11 {
        let choice = if node <= 8 { "red" } else { "blue" };
        let no = net.node(node).cast(one, choice);
        let answer = net.answer(no);
        assert!(matches!(answer, Answer::Cast { .. }), "node {node}: {answer:?}");
    }
    net.run_for(10_000);
    assert_eq!(vote(&mut net, 13, one).state, VoteState::Decided { option: "red".into() });
    let certificate = net.node(13).certificate(one).unwrap();
    let VerifiedFile::Closed(verified) = verify_file(&certificate, None).unwrap() else { panic!("closed") };
    assert_eq!(verified.count.participating, total);

    // Later attestations do not change what a rating epoch was, nor does a restart.
    for _ in 0..3 {
        let _ = attest(&mut net, 0, 0, &[(12, Outcome::Ok, 90), (4, Outcome::Bad, 90)]);
        run_to_middle(&mut net);
    }
    net.crash(6);
    net.restart(6);
    run_to_middle(&mut net);
    for node in [6, 13] {
        assert!(report(&mut net, node, one).agrees(), "node {node}");
    }
    let later = net.node(5).proposes(holders(0, 600_000));
    net.run_for(2_000);
    let weighed = vote(&mut net, 5, later);
    assert_ne!(weights(&weighed), weights(&first));
    assert!(weighed.voters.iter().any(|voter| voter.agent == net.agent(12)), "agent 12 is trusted now");
}

#[test]
fn a_proposer_that_weighs_as_it_likes_is_noticed_by_every_voter() {
    let mut net = reputed(52);
    let fair = net.node(5).proposes(holders(0, 600_000));
    let fair = vote(&mut net, 5, fair);
    let terms = |epoch| HolderTerms::new("text/translate", 0, epoch).unwrap();
    let epoch = fair.holders.as_ref().unwrap().epoch.0;
    let mut masses = masses_of(&fair);
    let friend = net.agent(3);
    let enemy = net.agent(7);
    masses.retain(|voter| voter.agent != enemy);
    masses.push(Voter { agent: net.agent(12), weight: 5 });
    masses.iter_mut().filter(|voter| voter.agent == friend).for_each(|voter| voter.weight *= 2);
    let lied = lie(&net, 4, terms(epoch), masses.clone());
    assert_eq!(net.node(0).imports(&lied), Taken::New, "what is in the form is taken in");
    assert!(net.run_until_quiet());
    net.run_for(EPOCH_MS / 4);
    for node in [1, 8, 13] {
        let report = report(&mut net, node, lied.id());
        let differing: Vec<_> = report.differing.iter().map(|one| one.agent).collect();
        assert_eq!(report.differing_known, 2, "node {node}: {report:?}");
        assert!(differing.contains(&friend) && differing.contains(&net.agent(12)));
        assert_eq!(report.left_out, [enemy], "node {node}");
        assert!(!report.agrees());
    }
    assert_eq!(told(&mut net, 8), [(lied.id(), 2, 0)], "who votes is told without asking");
    assert_eq!(told(&mut net, 13), [], "who does not, is told when asking");

    // What cannot be is not taken in: a rating epoch that is not settled, and one that is long past.
    for epoch in [ended(&net).0, ended(&net).0 + 1, ended(&net).0 + 100] {
        let lied = lie(&net, 4, terms(epoch), masses.clone());
        let taken = net.node(0).imports(&lied);
        assert!(matches!(&taken, Taken::Unwanted(cause) if cause.contains("settled")), "{taken:?}");
    }
    let nonsense = HolderTerms::new("Text Translate!", 0, epoch).unwrap();
    let lied = lie(&net, 4, nonsense, masses);
    let taken = net.node(0).imports(&lied);
    assert!(matches!(&taken, Taken::Unwanted(cause) if cause.contains("skill")), "{taken:?}");
}

#[test]
fn too_few_holders_and_networks_without_a_committee_or_anchors_are_refused_by_name() {
    let mut net = reputed(53);
    let cause = refused(&mut net, 5, holders(999, 60_000));
    assert!(cause.starts_with("0 agents hold the skill") && cause.contains("invites Sybils"), "{cause}");
    // Who was called seldom has a low score, so that some lie between.
    let said = |cause: &String| cause.split(' ').next().and_then(|count| count.parse::<u64>().ok());
    let tried: Vec<_> = (0..=20).map(|n| tried(&mut net, 5, holders(50 * n, 60_000))).collect();
    let counts: Vec<_> = tried.iter().flatten().filter_map(said).collect();
    assert!(counts.iter().any(|count| (1..10).contains(count)), "{tried:?}");
    assert!(counts.is_sorted_by(|one, next| one >= next) && tried[0].is_none(), "{tried:?}");
    let by_voters = ProposalDraft { closed: Some(ClosedTerms::default()), ..holders(0, 60_000) };
    assert!(refused(&mut net, 5, by_voters).contains("committee closes"));
    let mut direct = holders(0, 60_000);
    (direct.closed, direct.rule) = (None, Rule::Unanimous);
    assert!(refused(&mut net, 5, direct).contains("closed decision"));

    let mut net = Sim::seed(54).governed(4).nodes(2);
    net.run_for(1_000);
    assert!(refused(&mut net, 1, holders(0, 60_000)).contains("no anchors"));
}

#[test]
fn holders_answer_a_docket_too() {
    let mut net = reputed(55);
    let questions = ["one?", "two?"].map(|text| (text.to_owned(), Vec::new())).to_vec();
    let docket = net.node(5).proposes_docket(DocketDraft { terms: holders(0, 600_000), questions });
    net.run_for(2_000);
    let no = net.node(9).ask(Ask::Vote { proposal: docket, question: Some(2) });
    let Answer::Vote(vote) = net.answer(no) else { panic!("no vote") };
    let check = vote.holders.unwrap().check;
    assert_eq!(check, MassCheck::Checked(MassReport::default()));
    assert_eq!(vote.voters.len(), 11);
}

/// Nobody attests any more, and rating epochs end all the same: a ledger that has forgotten what fades looks no further back than
/// it kept.
#[test]
fn masses_from_before_what_the_ledger_kept_are_not_computed() {
    let mut net = reputed(8);
    let proposal = net.node(1).proposes(holders(0, 1_000));
    net.run_for(5_000);
    assert_eq!(report(&mut net, 1, proposal), MassReport::default());
    net.run_for(140 * EPOCH_MS);
    let check = vote(&mut net, 1, proposal).holders.unwrap().check;
    assert!(matches!(&check, MassCheck::Unchecked { cause } if cause.contains("too long past")), "{check:?}");
}

/// Each late attestation makes a node weigh anew for who asks, and it does other things in between.
#[test]
fn a_node_rests_between_weighings_however_many_come() {
    let mut net = reputed(9);
    let proposal = net.node(5).proposes(holders(0, 600_000));
    net.run_for(3_000);
    let masses = vote(&mut net, 1, proposal);
    let epoch = RatingEpoch(masses.holders.unwrap().epoch.0 - 1);
    for by in [11, 12] {
        let body = Box::new(body(&net, by, epoch, &[(3, Outcome::Ok, 1)]));
        let no = net.ask(by, Ask::Attest { agent: net.agent(by), body });
        assert!(matches!(net.answer(no), Answer::Attested(_)));
        net.run_for(100);
        let from = net.time();
        let _ = report(&mut net, 1, proposal);
        let took = net.time() - from;
        assert!(by == 11 || (100..=300).contains(&took), "{took} ms");
    }
}
