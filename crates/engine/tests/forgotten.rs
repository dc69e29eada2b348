//! What a node must not forget that its agents said: after a full disk, with a wrong clock, as a restored copy.

#![allow(clippy::unwrap_used, reason = "tests")]

use althing_ballot::{Choice, Electorate, ProposalBody, Rule, leaf};
use althing_engine::{
    Answer, Ask, AskNo, Config, Effect, Engine, GuardStatus, HostedAgent, Input, MessageNo, Note, Now,
    Request, RequestNo, Response, Timing,
};
use althing_record::{
    Incarnation, Kind, Millis, NodeId, Placement, Record, RecordId, cbor, recovery_key_hash,
};
use althing_store::{CommitNo, Guard, Memory, Snapshot, Table};
use althing_sync::Elements;
use althing_testkit::{MADE, agent, chain, identity, leaves, network, node, sign};
use std::sync::Arc;

fn config() -> Config {
    let key = agent(1);
    let recovery_key_hash = recovery_key_hash(&agent(2).public());
    Config {
        network: network(),
        node_key: node(1),
        agents: vec![HostedAgent { agent: key.agent(), key, recovery_key_hash }],
        guard: GuardStatus::Ready(Guard::default()),
        last_commit: CommitNo(0),
        expects_peers: false,
        timing: Timing::default(),
    }
}
/// What the engine wants done; its commits are done, or fail for want of space.
fn drain(engine: &mut Engine<Memory>, memory: &Memory, now: Now, fail: bool) -> Vec<Effect> {
    let mut all = vec![];
    loop {
        let out: Vec<Effect> = std::iter::from_fn(|| engine.poll()).map(|o| o.effect).collect();
        if out.is_empty() {
            return all;
        }
        for e in out {
            if let Effect::Commit(no, batch) = &e {
                if fail {
                    engine.handle(now, Input::CommitFailed { no: *no, cause: "full".into() });
                } else {
                    memory.apply(batch);
                    engine.handle(now, Input::Committed(*no));
                }
            }
            all.push(e);
        }
    }
}
fn is_stopped(engine: &mut Engine<Memory>, memory: &Memory, now: Now) -> Option<String> {
    engine.handle(now, Input::Ask { no: AskNo(99), ask: Ask::Status });
    for e in drain(engine, memory, now, false) {
        if let Effect::Reply(_, Answer::Status(s)) = e {
            return s.voting_stopped;
        }
    }
    panic!()
}

#[test]
fn that_nothing_is_signed_any_more_outlives_a_full_disk() {
    let memory = Memory::default();
    let now = Now { wall: MADE, ticks: 0 };
    let mut engine = Engine::new(config(), memory.clone(), [7; 32], now).unwrap();
    drain(&mut engine, &memory, now, false);
    let inc = Incarnation(memory.get(Table::Meta, b"incarnation").unwrap().unwrap().try_into().unwrap());
    // a link of this node's own chain that it did not sign: a copy of the directory is alive
    let electorate = Electorate::equal(vec![agent(1).agent(), agent(3).agent()]).unwrap();
    let body = ProposalBody::direct("q?", &[], Rule::Unanimous, &electorate, 60_000, [0; 8]).unwrap();
    let mut draft = chain(&agent(1), Kind::Proposal, None, cbor::to_vec(&body));
    if let Placement::Chain { incarnation, .. } = &mut draft.placement {
        *incarnation = Some(inc);
    }
    let record = sign(draft, &agent(1));
    engine.handle(now, Input::Gossip { message: MessageNo(1), from: NodeId([9; 32]), record });
    let effects = drain(&mut engine, &memory, now, true);
    assert!(effects.iter().any(|e| matches!(e, Effect::Note(Note::SigningStopped { .. }))), "it noticed");
    // space comes back
    engine.handle(now, Input::Writable);
    drain(&mut engine, &memory, now, false);
    assert!(is_stopped(&mut engine, &memory, now).is_some());
    let mut again = Engine::new(config(), memory.clone(), [8; 32], now).unwrap();
    drain(&mut again, &memory, now, false);
    assert!(is_stopped(&mut again, &memory, now).is_some(), "after a restart");
}

#[test]
fn whose_the_directory_is_outlives_a_full_disk() {
    let memory = Memory::default();
    let now = Now { wall: MADE, ticks: 0 };
    let mut engine = Engine::new(config(), memory.clone(), [7; 32], now).unwrap();
    drain(&mut engine, &memory, now, true);
    engine.handle(now, Input::Writable);
    drain(&mut engine, &memory, now, false);
    for row in [&b"node"[..], b"incarnation"] {
        assert!(memory.get(Table::Meta, row).unwrap().is_some(), "{row:?}");
    }
}

fn asked(effects: &[Effect]) -> Option<(RequestNo, Request)> {
    effects.iter().find_map(|e| if let Effect::Request(no, _, r) = e { Some((*no, r.clone())) } else { None })
}
fn named(request: &Request, held: &[Record]) -> Response {
    let Request::Reconcile { message, .. } = request else { panic!() };
    let elements = Arc::new(Elements::new(held.iter().map(|r| (r.made(), r.id()))));
    Response::Reconcile { message: althing_sync::answer(&elements, message).unwrap(), clock: MADE }
}
fn fetched(ids: &[RecordId], held: &[Record]) -> Response {
    Response::Records {
        served: ids.len() as u64,
        records: ids.iter().flat_map(|id| held.iter().find(|r| r.id() == *id)).cloned().collect(),
        invalid: vec![],
    }
}
fn answer(request: &Request, held: &[Record]) -> Response {
    match request {
        Request::Reconcile { domain, .. } => {
            let of: Vec<_> = held.iter().filter(|r| r.kind().domain() == Some(*domain)).cloned().collect();
            named(request, &of)
        }
        Request::Fetch { ids } => fetched(ids, held),
        Request::Providers { .. } | Request::Agent { .. } => panic!("{request:?}"),
    }
}

#[test]
fn round_under_a_clock_that_was_behind_tells_nothing() {
    for n in 0..8 {
        let (voter, other) = (agent(1), agent(3));
        let electorate = Electorate::equal(vec![voter.agent(), other.agent()]).unwrap();
        let body = ProposalBody::direct("q?", &[], Rule::Unanimous, &electorate, 60_000_000, [n; 8]).unwrap();
        let proposal = sign(chain(&other, Kind::Proposal, None, cbor::to_vec(&body)), &other);
        let ballot = sign(leaves(&voter, None, vec![leaf(proposal.id(), Choice::Option(0))]), &voter);
        let held = [sign(identity(&other, &agent(4)), &other), proposal.clone(), ballot.clone()];
        let memory = Memory::default();
        let early = |ticks| Now { wall: MADE.minus(60 * Millis::MINUTE), ticks };
        let right = |ticks| Now { wall: MADE.plus(ticks), ticks };
        let mut engine = Engine::new(config(), memory.clone(), [n; 32], early(0)).unwrap();
        drain(&mut engine, &memory, early(0), false);
        engine.handle(early(1), Input::Connected(NodeId([9; 32])));
        let mut open = drain(&mut engine, &memory, early(1), false);
        while let Some((no, request)) = asked(&open) {
            engine.handle(early(2), Input::Response { request: no, response: answer(&request, &held) });
            open = drain(&mut engine, &memory, early(2), false);
        }
        // the clock is set; the second round with the same peer
        engine.handle(right(2_100), Input::Wake);
        let mut open = drain(&mut engine, &memory, right(2_100), false);
        let mut t = 2_100;
        let mut signed = false;
        while let Some((no, request)) = asked(&open) {
            t += 1;
            engine.handle(right(t), Input::Response { request: no, response: answer(&request, &held) });
            open = drain(&mut engine, &memory, right(t), false);
            if !signed {
                engine.handle(
                    right(t),
                    Input::Ask {
                        no: AskNo(1),
                        ask: Ask::Cast { agent: voter.agent(), proposal: proposal.id(), choice: "no".into() },
                    },
                );
                let e = drain(&mut engine, &memory, right(t), false);
                signed = e.iter().any(|e| matches!(e, Effect::Reply(_, Answer::Cast { .. })));
            }
        }
        engine.handle(right(t), Input::Ask { no: AskNo(2), ask: Ask::Evidence });
        let e = drain(&mut engine, &memory, right(t), false);
        let ev = e.iter().find_map(|e| {
            if let Effect::Reply(_, Answer::Evidence(rows)) = e { Some(rows.len()) } else { None }
        });
        assert!(!signed, "a second ballot, case {n}");
        assert_eq!(ev, Some(0), "case {n}");
    }
}

#[test]
fn restored_copy_asks_every_node_that_serves_a_voter() {
    use althing_card::{LEASE_LIFETIME_MS, Lease};
    let voters = [agent(1), agent(11), agent(12), agent(13)];
    let electorate = Electorate::equal(voters.iter().map(|k| k.agent()).collect()).unwrap();
    let body = ProposalBody::direct("q?", &[], Rule::Unanimous, &electorate, 60_000_000, [0; 8]).unwrap();
    let proposal = sign(chain(&voters[1], Kind::Proposal, None, cbor::to_vec(&body)), &voters[1]);
    let ballot = sign(leaves(&voters[0], None, vec![leaf(proposal.id(), Choice::Option(0))]), &voters[0]);
    let lease = |key: &althing_record::AgentKey, n: u8| {
        let node = node(n);
        let expires = MADE.plus(LEASE_LIFETIME_MS);
        let lease = Lease { agent: key.agent(), node: node.node(), addresses: vec![], expires };
        let mut draft = althing_testkit::slot(
            key,
            Kind::Lease,
            &node.node().to_string(),
            cbor::to_vec(&lease.body(network().id(), &node)),
        );
        draft.expires = Some(expires);
        sign(draft, key)
    };
    // voter 11 at nodes 21 and 22, voter 12 at 23 and 24, voter 13 at 25
    let leases = [
        lease(&voters[1], 21),
        lease(&voters[1], 22),
        lease(&voters[2], 23),
        lease(&voters[2], 24),
        lease(&voters[3], 25),
    ];
    let ignorant: Vec<Record> = leases.iter().cloned().chain([proposal.clone()]).collect();
    let knowing: Vec<Record> = ignorant.iter().cloned().chain([ballot.clone()]).collect();
    let memory = Memory::default();
    memory.apply(&althing_engine::restored(CommitNo(0)));
    let at = |ticks| Now { wall: MADE.plus(ticks), ticks };
    let mut engine = Engine::new(config(), memory.clone(), [3; 32], at(0)).unwrap();
    drain(&mut engine, &memory, at(0), false);
    let mut t = 1;
    let mut meet = |engine: &mut Engine<Memory>, n: u8, held: &[Record]| {
        engine.handle(at(t), Input::Connected(node(n).node()));
        let mut open = drain(engine, &memory, at(t), false);
        while let Some((no, request)) = asked(&open) {
            t += 1;
            engine.handle(at(t), Input::Response { request: no, response: answer(&request, held) });
            open = drain(engine, &memory, at(t), false);
        }
    };
    // The nodes 21 and 23, of two other voters (f = 1), hold its ballot, but are away. 22 and 24 are not.
    meet(&mut engine, 22, &ignorant);
    meet(&mut engine, 24, &ignorant);
    engine.handle(
        at(500),
        Input::Ask {
            no: AskNo(1),
            ask: Ask::Cast { agent: voters[0].agent(), proposal: proposal.id(), choice: "no".into() },
        },
    );
    let e = drain(&mut engine, &memory, at(500), false);
    assert!(!e.iter().any(|e| matches!(e, Effect::Reply(_, Answer::Cast { .. }))), "{e:?}");
    meet(&mut engine, 21, &knowing);
    engine.handle(at(900), Input::Ask { no: AskNo(2), ask: Ask::Evidence });
    let e = drain(&mut engine, &memory, at(900), false);
    let clean = |e: &Effect| matches!(e, Effect::Reply(_, Answer::Evidence(rows)) if rows.is_empty());
    assert!(e.iter().any(clean), "{e:?}");
}

#[test]
fn round_that_lost_a_page_with_a_full_disk_tells_nothing() {
    use althing_card::{LEASE_LIFETIME_MS, Lease};
    for restored in [false, true] {
        let (me, other) = (agent(1), agent(3));
        let electorate = Electorate::equal(vec![me.agent(), other.agent()]).unwrap();
        let body = |n: u64| {
            cbor::to_vec(
                &ProposalBody::direct("q?", &[], Rule::Unanimous, &electorate, 60_000_000, n.to_be_bytes())
                    .unwrap(),
            )
        };
        let proposal = sign(chain(&other, Kind::Proposal, None, body(0)), &other);
        let mut ledger = vec![proposal.clone()];
        let mut prev = proposal.clone();
        for n in 1..200 {
            let r = sign(chain(&other, Kind::Proposal, Some(&prev), body(n)), &other);
            prev = r.clone();
            ledger.push(r);
        }
        // its own ballot, in the first of two pages
        let ballot = (0..64_u64)
            .map(|n| {
                let mut d = leaves(&me, None, vec![leaf(proposal.id(), Choice::Option(0))]);
                d.made = MADE.plus(n);
                sign(d, &me)
            })
            .min_by_key(Record::id)
            .unwrap();
        let peer = node(22);
        let expires = MADE.plus(LEASE_LIFETIME_MS);
        let lease = Lease { agent: other.agent(), node: peer.node(), addresses: vec![], expires };
        let mut draft = althing_testkit::slot(
            &other,
            Kind::Lease,
            &peer.node().to_string(),
            cbor::to_vec(&lease.body(network().id(), &peer)),
        );
        draft.expires = Some(expires);
        let lease = sign(draft, &other);
        let mut held = ledger.clone();
        held.push(ballot.clone());
        held.push(lease.clone());

        let memory = Memory::default();
        let at = |ticks| Now { wall: MADE.plus(ticks), ticks };
        if restored {
            memory.apply(&althing_engine::restored(CommitNo(0)));
        }
        let mut engine = Engine::new(config(), memory.clone(), [3; 32], at(0)).unwrap();
        drain(&mut engine, &memory, at(0), false);
        // the proposal and the lease were in the copy
        for (n, r) in [(1, &proposal), (2, &lease)] {
            engine
                .handle(at(1), Input::Gossip { message: MessageNo(n), from: peer.node(), record: r.clone() });
            drain(&mut engine, &memory, at(1), false);
        }
        engine.handle(at(1), Input::Connected(peer.node()));
        let mut open = drain(&mut engine, &memory, at(1), false);
        let mut t = 1;
        let mut pages = 0;
        while let Some((no, request)) = asked(&open) {
            t += 1;
            let first = matches!(&request, Request::Fetch { ids } if ids.contains(&ballot.id()));
            engine.handle(at(t), Input::Response { request: no, response: answer(&request, &held) });
            if first {
                pages += 1;
                // the commit of this page finds no space, and the disk takes writes again at once
                let mut effects: Vec<Effect> =
                    std::iter::from_fn(|| engine.poll()).map(|o| o.effect).collect();
                let failed = effects
                    .iter()
                    .find_map(|e| if let Effect::Commit(no, _) = e { Some(*no) } else { None })
                    .unwrap();
                engine.handle(at(t), Input::CommitFailed { no: failed, cause: "full".into() });
                engine.handle(at(t), Input::Writable);
                effects.extend(drain(&mut engine, &memory, at(t), false));
                open = effects;
            } else {
                open = drain(&mut engine, &memory, at(t), false);
            }
        }
        let known = memory.get(Table::Records, &ballot.id().0).unwrap().is_some();
        engine.handle(
            at(t),
            Input::Ask {
                no: AskNo(1),
                ask: Ask::Cast { agent: me.agent(), proposal: proposal.id(), choice: "no".into() },
            },
        );
        let e = drain(&mut engine, &memory, at(t), false);
        let signed = |e: &Effect| matches!(e, Effect::Reply(_, Answer::Cast { .. }));
        assert!(pages > 0 && (known || !e.iter().any(signed)), "restored {restored}: {e:?}");
    }
}
