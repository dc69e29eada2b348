//! What a hostile peer or voter tries, and what it gets.

use std::sync::Arc;

use althing_ballot::{Choice, Electorate, ProposalBody, Rule, leaf};
use althing_engine::{Answer, Ask, AskNo, Effect, Engine, Input, MessageNo, Note, Output, Request, Response};
use althing_record::{Domain, Kind, Millis, NodeId, Record, RecordId, Verdict, cbor};
use althing_store::{Memory, Snapshot, Table};
use althing_sync::Elements;
use althing_testkit::{MADE, agent, chain, leaves, sign};

use crate::lab::{Counted, asked, config, now};

fn engine() -> Engine<Memory> {
    let mut engine = Engine::new(config(), Memory::default(), [7; 32], now(0)).unwrap();
    drain(&mut engine);
    engine
}

fn drain(engine: &mut Engine<Memory>) -> Vec<Effect> {
    std::iter::from_fn(|| engine.poll()).map(|Output { effect, .. }| effect).collect()
}

fn tell(engine: &mut Engine<Memory>, ticks: u64, input: Input) -> Vec<Effect> {
    engine.handle(now(ticks), input);
    drain(engine)
}

/// Answers a reconciliation message as a node that holds these ids would.
fn named(request: &Request, ids: &[RecordId], clock: Millis) -> Response {
    let Request::Reconcile { message, .. } = request else {
        panic!("expected a reconciliation: {request:?}")
    };
    let elements = Arc::new(Elements::new(ids.iter().map(|id| (MADE, *id))));
    Response::Reconcile { message: althing_sync::answer(&elements, message).unwrap(), clock }
}

#[test]
fn peer_that_has_nothing_of_what_it_names_does_not_hold_a_round() {
    let mut engine = engine();
    let invented: Vec<_> = (0..200_u8).map(|n| RecordId([n; 32])).collect();
    let (no, request) = asked(&tell(&mut engine, 1, Input::Connected(NodeId([9; 32])))).unwrap();
    let response = named(&request, &invented, MADE);
    let (no, request) = asked(&tell(&mut engine, 2, Input::Response { request: no, response })).unwrap();
    let Request::Fetch { ids } = request else { panic!("expected a page to be fetched: {request:?}") };
    assert_eq!(ids.len(), 128);
    let response = Response::Records { served: 1, records: Vec::new(), invalid: Vec::new() };
    let effects = tell(&mut engine, 3, Input::Response { request: no, response });
    let given_up = |effect: &Effect| matches!(effect, Effect::Note(Note::SyncFailed { .. }));
    assert!(effects.iter().any(given_up), "the round ends");
    let goes_on = |effect: &Effect| matches!(effect, Effect::Request(_, _, Request::Fetch { .. }));
    assert!(!effects.iter().any(goes_on), "and no further page of it is asked for");
}

#[test]
fn clocks_an_hour_off_do_not_keep_a_node_from_publishing() {
    let mut engine = engine();
    let lie = MADE.plus(60 * Millis::MINUTE);
    for n in 10..15 {
        let mut effects = tell(&mut engine, 1, Input::Connected(NodeId([n; 32])));
        while let Some((no, request @ Request::Reconcile { .. })) = asked(&effects) {
            let response = named(&request, &[], lie);
            effects = tell(&mut engine, 2, Input::Response { request: no, response });
        }
    }
    let json = br#"{"name":"x","skills":[{"id":"a"}]}"#.to_vec();
    let ask = Ask::PublishCard { agent: agent(1).agent(), json };
    let effects = tell(&mut engine, 3, Input::Ask { no: AskNo(1), ask });
    let published = |effect: &Effect| matches!(effect, Effect::Reply(_, Answer::Published(_)));
    assert!(effects.iter().any(published), "{effects:?}");
}

#[test]
fn voter_who_repeats_a_ballot_adds_no_row() {
    let mut engine = engine();
    let (voter, other) = (agent(3), agent(4));
    let electorate = Electorate::equal(vec![voter.agent(), other.agent()]).unwrap();
    let body = ProposalBody::direct("q?", &[], Rule::Unanimous, &electorate, 60_000, [0; 8]).unwrap();
    let proposal = sign(chain(&other, Kind::Proposal, None, cbor::to_vec(&body)), &other);
    let id = proposal.id();
    let mut gossip = |no, record| {
        tell(&mut engine, 1, Input::Gossip { message: MessageNo(no), from: NodeId([9; 32]), record })
    };
    gossip(1, proposal);
    let mut last = None;
    for no in 2..20 {
        let record = sign(leaves(&voter, last.as_ref(), vec![leaf(id, &Choice::Option(0))]), &voter);
        last = Some(record.clone());
        let effects = gossip(no, record);
        let taken = |effect: &Effect| matches!(effect, Effect::Verdict(_, Verdict::Accept));
        assert!(effects.iter().any(taken), "each is a valid record of its chain");
    }
    assert_eq!(engine.store().scan_prefix(Table::VoteView, b"b", 100).unwrap().len(), 1);
    assert_eq!(last.unwrap().kind().domain(), Some(Domain::Ledger));
}

#[test]
fn ballot_that_comes_before_its_proposal_is_known_before_the_agent_votes_again() {
    let (voter, other) = (agent(1), agent(3));
    let electorate = Electorate::equal(vec![voter.agent(), other.agent()]).unwrap();
    // Pages are in the order of ids: half of these ballots come first.
    for n in 0..8 {
        let body = ProposalBody::direct("q?", &[], Rule::Unanimous, &electorate, 60_000, [n; 8]).unwrap();
        let proposal = sign(chain(&other, Kind::Proposal, None, cbor::to_vec(&body)), &other);
        let ballot = sign(leaves(&voter, None, vec![leaf(proposal.id(), &Choice::Option(0))]), &voter);
        let held = [proposal.clone(), ballot];
        let mut engine = engine();
        let mut open: Vec<_> = tell(&mut engine, 1, Input::Connected(NodeId([9; 32])));
        while let Some((no, request)) = asked(&open) {
            let response = match &request {
                Request::Reconcile { domain: Domain::Ledger, .. } => {
                    named(&request, &held.each_ref().map(Record::id), MADE)
                }
                Request::Reconcile { .. } => named(&request, &[], MADE),
                Request::Fetch { ids } => Response::Records {
                    served: ids.len() as u64,
                    records: ids
                        .iter()
                        .flat_map(|id| held.iter().find(|record| record.id() == *id))
                        .cloned()
                        .collect(),
                    invalid: Vec::new(),
                },
                Request::Providers { .. }
                | Request::Known { .. }
                | Request::Scores { .. }
                | Request::Cards { .. }
                | Request::Prove { .. }
                | Request::Agent { .. } => {
                    panic!("{request:?}")
                }
            };
            open = tell(&mut engine, 2, Input::Response { request: no, response });
            let ask = Ask::Cast {
                agent: voter.agent(),
                proposal: proposal.id(),
                choice: althing_engine::Said::Option("no".into()),
            };
            let effects = tell(&mut engine, 3, Input::Ask { no: AskNo(1), ask });
            let signed = |effect: &Effect| matches!(effect, Effect::Reply(_, Answer::Cast { .. }));
            assert!(!effects.iter().any(signed), "a second ballot was signed: {effects:?}");
        }
        assert_eq!(engine.store().scan_prefix(Table::VoteView, b"b", 100).unwrap().len(), 1, "it is known");
    }
}

#[test]
fn ballots_that_are_repeated_are_not_counted_again() {
    // More proposals than are kept in memory.
    const PROPOSALS: u64 = 600;
    let store = Counted::default();
    let mut engine = Engine::new(config(), store.clone(), [7; 32], now(0)).unwrap();
    let (voter, other) = (agent(3), agent(4));
    let electorate = Electorate::equal(vec![voter.agent(), other.agent()]).unwrap();
    let mut hear = |no, record| {
        let before = store.reads.get();
        engine.handle(now(1), Input::Gossip { message: MessageNo(no), from: NodeId([9; 32]), record });
        while let Some(Output { effect, .. }) = engine.poll() {
            if let Effect::Commit(no, batch) = effect {
                store.memory.apply(&batch);
                engine.handle(now(1), Input::Committed(no));
            }
        }
        store.reads.get() - before
    };
    let (mut last, mut ballots) = (None, Vec::new());
    for no in 0..PROPOSALS {
        let body = ProposalBody::direct("q?", &[], Rule::Unanimous, &electorate, 60_000, no.to_be_bytes());
        let draft = chain(&other, Kind::Proposal, last.as_ref(), cbor::to_vec(&body.unwrap()));
        let proposal = sign(draft, &other);
        ballots.push(leaf(proposal.id(), &Choice::Option(0)));
        hear(no, proposal.clone());
        last = Some(proposal);
    }
    let first = sign(leaves(&voter, None, ballots.clone()), &voter);
    let again = sign(leaves(&voter, Some(&first), ballots.clone()), &voter);
    let (once, twice) = (hear(1_000, first), hear(1_001, again));
    // Whether each proposal is known and what was said on it before; not the proposal itself, nor everybody's ballots.
    assert!(twice * 4 < once * 3, "{twice} reads after {once}, for {} ballots", ballots.len());
}
