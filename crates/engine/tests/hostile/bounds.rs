//! Every queue of the engine, filled to its bound.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use althing_ballot::{Electorate, ProposalBody, Rule};
use althing_card::DESCEND_MIN;
use althing_engine::{
    AUTHOR_BURST, AUTHOR_PERIOD_MS, Answer, Ask, AskNo, EXPLAINED_MAX, Effect, Engine, Find, Found,
    IMPORT_MAX, Input, LOOKUPS_MAX, LookupEnd, MAX_FOUND, MessageNo, Output, PAGES_MAX, PEERS_MAX,
    PROVIDERS_MAX, QueryNo, REQUESTS_MAX, ROUNDS_MAX, RefusalKind, Request, Response, SEARCHES_MAX, Taken,
    Timing, VOTES_MAX, live_records,
};
use althing_record::{AgentKey, Draft, Kind, NodeId, Placement, Record, Verdict, cbor};
use althing_store::{CommitNo, Memory};
use althing_testkit::{MADE, agent, chain, identity, network, sign, slot};

use crate::lab::{config, now};

fn engine() -> Engine<Memory> {
    let mut engine = Engine::new(config(), Memory::default(), [7; 32], now(0)).unwrap();
    drain(&mut engine);
    engine.handle(now(0), Input::Committed(CommitNo(1)));
    drain(&mut engine);
    engine
}

fn drain(engine: &mut Engine<Memory>) -> Vec<Effect> {
    std::iter::from_fn(|| engine.poll()).map(|Output { effect, .. }| effect).collect()
}

fn peer(n: usize) -> NodeId {
    let mut id = [0xee; 32];
    id[..8].copy_from_slice(&(n as u64).to_be_bytes());
    NodeId(id)
}

fn requests(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::Request(..))).count()
}

#[test]
fn rounds_stop_at_their_bound_and_go_on_as_others_end() {
    let mut engine = engine();
    let mut first = None;
    let mut started = 0;
    for n in 0..20 {
        engine.handle(now(1), Input::Connected(peer(n)));
        let effects = drain(&mut engine);
        started += requests(&effects);
        first = first.or(effects
            .iter()
            .find_map(|effect| if let Effect::Request(no, ..) = effect { Some(*no) } else { None }));
    }
    assert_eq!(started, ROUNDS_MAX);
    engine.handle(now(2), Input::RequestFailed(first.unwrap()));
    assert_eq!(requests(&drain(&mut engine)), 1);
}

#[test]
fn peers_beyond_the_bound_are_not_remembered() {
    let mut engine = engine();
    for n in 0..PEERS_MAX + 5 {
        engine.handle(now(1), Input::Connected(peer(n)));
        drain(&mut engine);
    }
    engine.handle(now(2), Input::Ask { no: AskNo(1), ask: Ask::Status });
    let status = drain(&mut engine).into_iter().find_map(|effect| {
        if let Effect::Reply(_, Answer::Status(status)) = effect { Some(status) } else { None }
    });
    assert_eq!(status.unwrap().peers, PEERS_MAX as u64);
}

fn find(engine: &mut Engine<Memory>, no: u64, limit: usize) -> Vec<Effect> {
    let find = Find { query: "skill:text".parse().unwrap(), limit, after: None, live: true };
    engine.handle(now(1), Input::Ask { no: AskNo(no), ask: Ask::Find(find) });
    drain(engine)
}

fn is_refused(effects: &[Effect], kind: RefusalKind) -> bool {
    effects
        .iter()
        .any(|effect| matches!(effect, Effect::Reply(_, Answer::Refused(refusal)) if refusal.kind == kind))
}

#[test]
fn searches_beyond_the_bound_are_refused_as_busy_until_others_end() {
    let mut engine = engine();
    for no in 0..SEARCHES_MAX as u64 {
        assert!(!is_refused(&find(&mut engine, no, 10), RefusalKind::Busy));
    }
    assert!(is_refused(&find(&mut engine, 1_000, 10), RefusalKind::Busy));
    engine.handle(now(5 * Timing::default().search_ms + 1), Input::Wake);
    let ended = drain(&mut engine).iter().filter(|effect| matches!(effect, Effect::Reply(..))).count();
    assert_eq!(ended, SEARCHES_MAX);
    assert!(!is_refused(&find(&mut engine, 1_001, 10), RefusalKind::Busy));
}

#[test]
fn search_results_are_limited() {
    let mut engine = engine();
    assert!(is_refused(&find(&mut engine, 1, MAX_FOUND + 1), RefusalKind::Invalid));
    assert!(is_refused(&find(&mut engine, 2, 0), RefusalKind::Invalid));
}

#[test]
fn search_asks_only_so_many_providers() {
    let mut engine = engine();
    let effects = find(&mut engine, 1, 10);
    let query = effects
        .iter()
        .find_map(|effect| if let Effect::Lookup(query, _) = effect { Some(*query) } else { None });
    let providers = (0..2 * PROVIDERS_MAX).map(peer).collect();
    let end = Some(LookupEnd::Answered);
    engine.handle(now(2), Input::LookupFound { query: query.unwrap(), providers, end });
    let mut effects = drain(&mut engine);
    assert_eq!(requests(&effects), REQUESTS_MAX, "at once");
    let mut asked = 0;
    let found = loop {
        for effect in std::mem::take(&mut effects) {
            if let Effect::Request(no, ..) = effect {
                asked += 1;
                engine.handle(now(3), Input::RequestFailed(no));
                effects.extend(drain(&mut engine));
            } else if let Effect::Lookup(query, _) = effect {
                // It was split, and nobody names anybody else.
                let end = Some(LookupEnd::Answered);
                engine.handle(now(3), Input::LookupFound { query, providers: Vec::new(), end });
                effects.extend(drain(&mut engine));
            }
        }
        if let Some(found) = effects.iter().find_map(found) {
            break found;
        }
    };
    assert_eq!(asked, PROVIDERS_MAX);
    assert_eq!((found.providers_silent, found.cut), (PROVIDERS_MAX as u64, true));
    assert_eq!(found.explain.peers.len(), EXPLAINED_MAX);
    assert_eq!((found.pages, found.pages_answered), (3, 3));
}

fn found(effect: &Effect) -> Option<Found> {
    if let Effect::Reply(_, Answer::Found(found)) = effect { Some(found.clone()) } else { None }
}

#[test]
fn search_reads_only_so_many_pages() {
    let mut engine = engine();
    let mut effects = find(&mut engine, 1, 10);
    let (mut read, mut most) = (0, 0);
    let found = loop {
        let lookup =
            |effect: &Effect| if let Effect::Lookup(query, _) = effect { Some(*query) } else { None };
        let queries: Vec<_> = effects.iter().filter_map(lookup).collect();
        most = most.max(queries.len());
        effects.retain(|effect| matches!(effect, Effect::Reply(..)));
        for query in queries {
            read += 1;
            // Each page names as many as make it look split; the same ones, who do not answer.
            let providers = (0..DESCEND_MIN).map(peer).collect();
            let end = Some(LookupEnd::Answered);
            engine.handle(now(2), Input::LookupFound { query, providers, end });
            effects.extend(drain(&mut engine));
        }
        if !effects.iter().any(|effect| matches!(effect, Effect::Lookup(..))) {
            engine.handle(now(30_000), Input::Wake);
            effects.extend(drain(&mut engine));
            break effects.iter().find_map(found).unwrap();
        }
    };
    assert_eq!((read, found.pages_answered), (PAGES_MAX, PAGES_MAX as u64));
    assert!(most <= LOOKUPS_MAX, "{most} at once");
    assert_eq!(found.explain.pages.len(), EXPLAINED_MAX);
}

#[test]
fn answers_that_nobody_asked_for_change_nothing() {
    let mut engine = engine();
    let no = althing_engine::RequestNo(99);
    let response = Response::Records { served: 1, records: Vec::new(), invalid: Vec::new() };
    engine.handle(now(1), Input::Response { request: no, response });
    engine.handle(now(1), Input::RequestFailed(no));
    let end = Some(LookupEnd::Answered);
    engine.handle(now(1), Input::LookupFound { query: QueryNo(99), providers: vec![peer(1)], end });
    assert_eq!(requests(&drain(&mut engine)), 0);
    assert!(!engine.is_halted());
}

/// The first record of the n-th of many agents.
fn inception(n: u64) -> Record {
    let mut seed = [0xaa; 32];
    seed[..8].copy_from_slice(&n.to_be_bytes());
    let key = AgentKey::from_seed(&seed);
    sign(identity(&key, &agent(2)), &key)
}

fn import(engine: &mut Engine<Memory>, records: Vec<Record>) -> Vec<Effect> {
    engine.handle(now(1), Input::Ask { no: AskNo(1), ask: Ask::Import { records } });
    drain(engine)
}

#[test]
fn imports_beyond_the_bound_are_refused_whole() {
    let mut engine = engine();
    let records: Vec<_> = (0..=IMPORT_MAX).map(|n| inception(n as u64)).collect();
    assert!(is_refused(&import(&mut engine, records.clone()), RefusalKind::Invalid));
    let before = live_records(engine.store(), &network(), None, &[], MADE).unwrap().records.len();
    let taken = import(&mut engine, records[..IMPORT_MAX].to_vec());
    let is_answer = |effect: &Effect| matches!(effect, Effect::Reply(_, Answer::Imported(taken)) if *taken == vec![Taken::New; IMPORT_MAX]);
    assert!(taken.iter().any(is_answer), "{taken:?}");
    let again = import(&mut engine, records[..2].to_vec());
    let is_known = |effect: &Effect| matches!(effect, Effect::Reply(_, Answer::Imported(taken)) if *taken == vec![Taken::Known; 2]);
    assert!(again.iter().any(is_known), "{again:?}");
    let after = live_records(engine.store(), &network(), None, &[], MADE).unwrap().records.len();
    assert_eq!(after, before + IMPORT_MAX);
}

#[test]
fn pages_of_records_are_bounded_and_together_hold_all_of_them_once() {
    let mut engine = engine();
    let all: Vec<_> = (0..1_500).map(inception).collect();
    all.chunks(IMPORT_MAX).for_each(|chunk| drop(import(&mut engine, chunk.to_vec())));
    let (mut ids, mut from, mut pages) = (Vec::new(), Vec::new(), 0);
    loop {
        let page = live_records(engine.store(), &network(), None, &from, MADE).unwrap();
        assert!(page.records.len() <= 1_024);
        ids.extend(page.records.iter().map(Record::id));
        pages += 1;
        let Some(next) = page.next else { break };
        from = next;
    }
    assert!(pages > 1);
    let distinct: BTreeSet<_> = ids.iter().copied().collect();
    assert_eq!(distinct.len(), ids.len());
    assert!(all.iter().all(|record| distinct.contains(&record.id())));
    let cards = live_records(engine.store(), &network(), Some(Kind::Card), &[], MADE).unwrap();
    assert!(cards.records.is_empty() && cards.next.is_some(), "a kind is looked for page by page");
}

#[test]
fn frames_beyond_their_bounds_are_refused() {
    let long = vec![0; althing_engine::REQUEST_BYTES_MAX + 1];
    assert!(Request::parse(&long).is_err());
    let long = vec![0; althing_engine::RESPONSE_BYTES_MAX + 1];
    assert!(Response::parse(&long, &network()).is_err());
    for bytes in [&[][..], &[0x80], &[0x81, 0x18, 0x40], &[0x82, 0x01, 0x41, 0x00], &[0xa0]] {
        assert!(Request::parse(bytes).is_err(), "{bytes:x?}");
        assert!(Response::parse(bytes, &network()).is_err(), "{bytes:x?}");
    }
}

/// A card of the agent, its revision the number.
fn card_of(key: &AgentKey, revision: u64) -> Record {
    let json = format!(r#"{{"name":"card {revision}","skills":[{{"id":"text"}}]}}"#);
    let body = althing_card::Card::new(json.into_bytes()).unwrap().body();
    let mut draft = slot(key, Kind::Card, "", cbor::to_vec(&body));
    draft.placement = Placement::Slot { name: "".try_into().unwrap(), revision };
    sign(draft, key)
}

#[test]
fn who_floods_by_gossip_is_ignored_while_others_get_through_and_reconciliation_brings_the_newest() {
    let mut engine = engine();
    let (loud, quiet) = (agent(3), agent(4));
    let mut hear = |ticks, record: Record| {
        let (message, from) = (MessageNo(1), peer(1));
        engine.handle(now(ticks), Input::Gossip { message, from, record });
        let effects = drain(&mut engine);
        let published = effects.iter().any(|effect| matches!(effect, Effect::Publish(..)));
        let stored = effects.iter().any(|effect| matches!(effect, Effect::Commit(..)));
        let verdict = effects
            .into_iter()
            .find_map(|effect| if let Effect::Verdict(_, verdict) = effect { Some(verdict) } else { None });
        (verdict.unwrap(), stored, published)
    };
    let accepted = (Verdict::Accept, true, false);
    let ignored = (Verdict::Ignore, false, false);
    for revision in 1..=AUTHOR_BURST {
        assert_eq!(hear(1, card_of(&loud, revision)), accepted, "card {revision}");
    }
    for revision in AUTHOR_BURST + 1..100 {
        assert_eq!(hear(1, card_of(&loud, revision)), ignored, "card {revision}");
    }
    assert_eq!(hear(1, card_of(&quiet, 1)), accepted, "another author");
    assert_eq!(hear(1, card_of(&loud, 1)), ignored, "what is known costs nothing");
    assert_eq!(hear(1 + AUTHOR_PERIOD_MS, card_of(&loud, 100)), accepted, "ten seconds later");
    assert_eq!(hear(1 + AUTHOR_PERIOD_MS, card_of(&loud, 101)), ignored);

    // A file is as good as reconciliation here: neither is gossip.
    let ask = Ask::Import { records: vec![card_of(&loud, 101)] };
    engine.handle(now(2 + AUTHOR_PERIOD_MS), Input::Ask { no: AskNo(1), ask });
    let effects = drain(&mut engine);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Commit(..))), "{effects:?}");
}

#[test]
fn lists_beyond_a_page_go_on_and_hold_every_proposal_once() {
    let mut engine = engine();
    let author = agent(8);
    let electorate = Electorate::equal(vec![author.agent()]).unwrap();
    let put = |n: u64| {
        let rule = Rule::SuperMajority { num: 2, den: 3 };
        let body = ProposalBody::direct("more?", &[], rule, &electorate, 1_000, n.to_be_bytes()).unwrap();
        let draft = chain(&author, Kind::Proposal, None, cbor::to_vec(&body));
        sign(Draft { made: MADE.plus(n / 3), ..draft }, &author)
    };
    let all: Vec<Record> = (0..VOTES_MAX as u64 + 30).map(put).collect();
    all.chunks(IMPORT_MAX).for_each(|chunk| drop(import(&mut engine, chunk.to_vec())));
    let (mut ids, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let ask = Ask::Votes { after, group: None, limit: VOTES_MAX };
        engine.handle(now(2), Input::Ask { no: AskNo(1), ask });
        let effects = drain(&mut engine);
        let votes =
            |effect| if let Effect::Reply(_, Answer::Votes(page)) = effect { Some(page) } else { None };
        let page = effects.into_iter().find_map(votes).unwrap();
        assert!(page.votes.len() <= VOTES_MAX && page.total == all.len() as u64);
        ids.extend(page.votes.iter().map(|vote| vote.proposal));
        pages += 1;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let mut expected: Vec<_> = all.iter().map(|record| (Reverse(record.made()), record.id())).collect();
    expected.sort_unstable();
    assert!(pages > 1);
    assert_eq!(ids, expected.into_iter().map(|(_, id)| id).collect::<Vec<_>>());
}
