//! What a vote forgives, the same on every node, and what it does not.

#![allow(clippy::unwrap_used, reason = "tests")]

use althing_ballot::{Electorate, Pardon, ProposalBody, Rule, Voter};
use althing_engine::{
    Answer, Ask, EvidenceRow, ProposalDraft, RefusalKind, Reputation, ReputationAsk, Taken,
};
use althing_record::cbor;
use althing_record::{
    AgentId, AgentKey, Content, Digest, Draft, Incarnation, Kind, Millis, NodeKey, Placement, Record,
    RecordId,
};
use althing_sim::{Links, Sim, WALL_START, agent_key, motion};
use althing_trust::{
    Accept, AcceptBody, Call, CallBody, Outcome, ProvenReceipt, RatingEpoch, Receipt, ReceiptBody, Summary,
    TaskId, request_head_hash,
};

const EPOCH_MS: u64 = 60_000;

/// Whoever cheats is no node, so that nodes' agents are all honest.
fn cheat() -> AgentKey {
    agent_key(700)
}

fn wall(net: &Sim) -> Millis {
    WALL_START.plus(net.time())
}

fn run_to_middle(net: &mut Sim) {
    let into = wall(net).since(net.network().genesis().created) % EPOCH_MS;
    net.run_for(EPOCH_MS + EPOCH_MS / 2 - into);
}

fn accept(net: &Sim, by: usize, epoch: u64, index: u64, task: u8) -> Accept {
    let (genesis, caller) = (net.network().genesis(), agent_key(by));
    let made = genesis.created.plus(epoch * genesis.rating_epoch_ms);
    let body = CallBody {
        network: net.network().id(),
        caller: caller.agent(),
        callee: cheat().agent(),
        task: TaskId([task; 16]),
        caller_node: NodeKey::from_seed(&[1; 32]).node(),
        request_head_hash: request_head_hash(b""),
        made,
        key: None,
    };
    let call = Call::sign(body, &caller).unwrap();
    Accept::sign(AcceptBody::to(&call, index, made), &cheat()).unwrap()
}

/// The nodes of both anchors say that they called the cheat and were well served.
fn praise(net: &mut Sim) {
    let epoch = RatingEpoch(RatingEpoch::of(wall(net), net.network().genesis()).0 - 1);
    for by in [0, 1] {
        let receipts: Vec<_> = (1..=5)
            .map(|index| {
                let accept = accept(net, by, epoch.0, index, u8::try_from(index).unwrap());
                let missed = ReceiptBody::timeout(&accept, 5, accept.made);
                let body = ReceiptBody { outcome: Outcome::Ok, quality: 100, ..missed };
                ProvenReceipt::new(accept, Receipt::sign(body, &agent_key(by)).unwrap()).unwrap()
            })
            .collect();
        let agent = agent_key(by).agent();
        let body = Box::new(Summary::new(agent, epoch, &receipts, net.network().genesis()).body);
        let no = net.ask(by, Ask::Attest { agent, body });
        assert!(matches!(net.answer(no), Answer::Attested(_)));
    }
}

fn accuse(net: &mut Sim, node: usize, epoch: u64) {
    let accepts = Box::new([1, 2].map(|task| accept(net, node, epoch, 9, task)));
    let no = net.ask(node, Ask::Accuse { agent: agent_key(node).agent(), accepts });
    let answer = net.answer(no);
    assert!(matches!(answer, Answer::Accused(Some(_))), "{answer:?}");
}

fn service(net: &Sim, node: usize) -> u64 {
    net.scores(node).unwrap().network().unwrap().of(cheat().agent()).unwrap().service().per_mille()
}

fn evidence(net: &mut Sim, node: usize) -> Vec<EvidenceRow> {
    let no = net.ask(node, Ask::Evidence);
    let Answer::Evidence(rows) = net.answer(no) else { panic!("no evidence") };
    rows
}

fn show(net: &mut Sim, node: usize) -> Reputation {
    let no = net.ask(node, Ask::Reputation(ReputationAsk::Show { agent: cheat().agent() }));
    let Answer::Reputation(shown) = net.answer(no) else { panic!("no reputation") };
    *shown
}

fn pardon(voters: &[AgentId]) -> ProposalDraft {
    ProposalDraft { pardon: Some(cheat().agent()), ..motion("forgive it?", voters) }
}

fn all_say_yes(net: &mut Sim, nodes: &[usize], proposal: RecordId) {
    for node in nodes {
        let no = net.node(*node).cast(proposal, "yes");
        let answer = net.answer(no);
        assert!(matches!(answer, Answer::Cast { .. }), "{answer:?}");
    }
}

fn refused(net: &mut Sim, node: usize, draft: ProposalDraft) -> (RefusalKind, String) {
    let no = net.node(node).propose(draft);
    let Answer::Refused(refusal) = net.answer(no) else { panic!("it was put") };
    (refusal.kind, refusal.cause)
}

/// Four nodes of whom two are anchors, a cheat that was well spoken of, and evidence against it.
fn accused(seed: u64, links: Links) -> Sim {
    let mut net = Sim::seed(seed).rated(EPOCH_MS, 2).links(links).nodes(4);
    run_to_middle(&mut net);
    praise(&mut net);
    run_to_middle(&mut net);
    assert!((0..4).all(|node| service(&net, node) > 400));
    accuse(&mut net, 3, 0);
    assert!(net.run_until_quiet());
    run_to_middle(&mut net);
    assert!((0..4).all(|node| service(&net, node) == 0));
    net
}

#[test]
fn the_anchors_forgive_what_is_known_and_what_comes_later_counts_again() {
    let mut net = accused(71, Links::lossy(10));
    let proposal = net.node(0).proposes(pardon(&[]));
    assert!(net.run_until_quiet());
    let no = net.ask(1, Ask::Vote { proposal, question: None });
    let Answer::Vote(vote) = net.answer(no) else { panic!("no vote") };
    let terms = vote.pardon.unwrap();
    assert!(terms.is_entitled && terms.agent == cheat().agent() && terms.cases.len() == 1);
    let voters: Vec<_> = vote.voters.iter().map(|voter| voter.agent).collect();
    let mut anchors = net.agents(0..2);
    anchors.sort_unstable();
    assert_eq!(voters, anchors);
    all_say_yes(&mut net, &[0], proposal);
    assert!(net.run_until_quiet());
    run_to_middle(&mut net);
    assert!((0..4).all(|node| service(&net, node) == 0), "one of two is not enough");
    all_say_yes(&mut net, &[1], proposal);
    assert!(net.run_until_quiet());
    run_to_middle(&mut net);
    for node in 0..4 {
        assert!(service(&net, node) > 400, "node {node}");
        assert_eq!(evidence(&mut net, node)[0].pardoned_by, Some(proposal));
        assert_eq!(show(&mut net, node).offences[0].pardoned_by, Some(proposal));
    }
    let (kind, cause) = refused(&mut net, 0, pardon(&[]));
    assert!(kind == RefusalKind::NotFound && cause.contains("not forgiven"), "{cause}");

    accuse(&mut net, 2, 1);
    assert!(net.run_until_quiet());
    run_to_middle(&mut net);
    assert!((0..4).all(|node| service(&net, node) == 0), "a later case");
    let roots: Vec<_> = (0..4).map(|node| net.scores(node).unwrap().network().unwrap().root()).collect();
    assert_eq!(roots, vec![roots[0]; 4]);
    net.check_converged();
    net.check();
}

#[test]
fn who_is_not_entitled_is_told_so() {
    let mut net = accused(72, Links::default());
    let strangers = net.agents(2..4);
    let said = |(kind, cause): (RefusalKind, String), part: &str| {
        assert!(kind == RefusalKind::Invalid && cause.contains(part), "{cause}");
    };
    said(refused(&mut net, 2, pardon(&[])), "is not of the network's anchors");
    said(refused(&mut net, 0, pardon(&strangers)), "is decided by the network's anchors");
    let mut weighty = pardon(&[]);
    weighty.voters = net.agents(0..2).into_iter().map(|agent| Voter { agent, weight: 2 }).collect();
    said(refused(&mut net, 0, weighty), "each with one vote");
    let own = ProposalDraft { pardon: Some(net.agent(0)), ..motion("me?", &[]) };
    said(refused(&mut net, 0, own), "a pardon of its own");
    let options = ProposalDraft { options: vec!["a".into(), "b".into()], ..pardon(&[]) };
    said(refused(&mut net, 0, options), "yes or no");
    let closed = ProposalDraft { closed: Some(althing_ballot::ClosedTerms::default()), ..pardon(&[]) };
    said(refused(&mut net, 0, closed), "decided directly");
    let clean = ProposalDraft { pardon: Some(net.agent(1)), ..motion("clean?", &[]) };
    assert_eq!(refused(&mut net, 0, clean).0, RefusalKind::NotFound);

    let mut nobody = Sim::seed(73).rated(EPOCH_MS, 0).nodes(2);
    nobody.run_for(1_000);
    said(refused(&mut nobody, 0, pardon(&[])), "neither a committee nor anchors");
    net.check();
}

fn link(net: &Sim, by: &AgentKey, seq: u64, kind: Kind, content: Content) -> Record {
    let draft = Draft {
        agent: by.agent(),
        key_event: None,
        group: None,
        kind,
        placement: Placement::Chain {
            stream: "vote".try_into().unwrap(),
            incarnation: Some(Incarnation([9; 8])),
            seq,
            prev: (seq > 0).then_some(RecordId([1; 32])),
        },
        made: wall(net),
        expires: None,
        content,
    };
    draft.sign(by, net.network()).unwrap()
}

/// A pardon that somebody signs for these voters, and their ballots for it.
fn granted(net: &Sim, by: &AgentKey, voters: &[AgentKey], cases: &[Digest]) -> Vec<Record> {
    let electorate = Electorate::equal(voters.iter().map(AgentKey::agent).collect()).unwrap();
    let cases = cases.to_vec().try_into().unwrap();
    let body =
        ProposalBody::direct("forgive it?", &[], Rule::Approvals(0), &electorate, 60_000, [7; 8]).unwrap();
    let body = body.pardoning(Pardon { agent: cheat().agent(), cases }).unwrap();
    let proposal = link(net, by, 0, Kind::Proposal, Content::Body(cbor::to_vec(&body)));
    let leaf = althing_ballot::leaf(proposal.id(), &althing_ballot::Choice::Option(0));
    let mut records = vec![proposal];
    for voter in voters {
        records.push(link(net, voter, 1, Kind::BallotBatch, Content::Leaves(vec![leaf.clone()])));
    }
    records
}

fn import(net: &mut Sim, node: usize, records: Vec<Record>) {
    let no = net.ask(node, Ask::Import { records });
    let Answer::Imported(taken) = net.answer(no) else { panic!("no import") };
    assert!(taken.iter().all(|taken| matches!(taken, Taken::New)), "{taken:?}");
}

#[test]
fn a_pardon_of_others_than_those_entitled_is_a_vote_without_effect() {
    let mut net = accused(74, Links::default());
    let cases: Vec<_> = evidence(&mut net, 0).iter().map(|row| row.case).collect();
    let (strangers, anchors) = ([agent_key(801), agent_key(802)], [agent_key(0), agent_key(1)]);
    // Foreign voters; the cheat among the voters and proposing; a stranger who puts it to those entitled.
    for records in [
        granted(&net, &strangers[0], &strangers, &cases),
        granted(&net, &cheat(), &[cheat()], &cases),
        granted(&net, &agent_key(803), &anchors, &cases),
    ] {
        let proposal = records[0].id();
        import(&mut net, 2, records);
        let no = net.ask(2, Ask::Vote { proposal, question: None });
        let Answer::Vote(vote) = net.answer(no) else { panic!("no vote") };
        assert!(matches!(vote.state, althing_engine::VoteState::Decided { .. }));
        assert!(!vote.pardon.unwrap().is_entitled);
    }
    assert!(net.run_until_quiet());
    run_to_middle(&mut net);
    assert!((0..4).all(|node| service(&net, node) == 0));
    assert!(evidence(&mut net, 3).iter().all(|row| row.pardoned_by.is_none()));
}

#[test]
fn in_whatever_order_it_comes_every_node_forgives_the_same() {
    for seed in 80..86 {
        let mut net = accused(seed, Links::default());
        net.partition(&[0], &[1, 2, 3]);
        accuse(&mut net, 2, 1);
        let cases: Vec<_> = evidence(&mut net, 2).iter().map(|row| row.case).collect();
        assert_eq!(cases.len(), 2);
        // The pardon is of both, of which this side has one, and lies among other records.
        let mut sorted = cases.clone();
        sorted.sort_unstable();
        let mut records = granted(&net, &agent_key(0), &[agent_key(0), agent_key(1)], &sorted);
        let proposal = records.remove(0);
        let side = usize::try_from(net.below(2)).unwrap();
        records.rotate_left(side);
        for record in std::iter::once(proposal).chain(records) {
            import(&mut net, if side == 0 { 0 } else { 3 }, vec![record]);
        }
        net.heal();
        assert!(net.run_until_quiet());
        net.check_converged();
        run_to_middle(&mut net);
        let shown: Vec<_> = (0..4).map(|node| evidence(&mut net, node)).collect();
        assert!(shown[0].iter().all(|row| row.pardoned_by.is_some()), "{:?}", shown[0]);
        assert_eq!(shown, vec![shown[0].clone(); 4], "seed {seed}");
        assert!((0..4).all(|node| service(&net, node) > 400), "seed {seed}");
    }
}
