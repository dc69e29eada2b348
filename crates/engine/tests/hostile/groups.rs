//! What is said of groups by those who may not say it.

use althing_ballot::{Electorate, GroupState, ProposalBody, Rule};
use althing_engine::{Effect, Engine, Input, MessageNo, Output};
use althing_record::cbor::{self, List, Text};
use althing_record::{AgentId, Change, Draft, Founding, GroupId, Kind, NodeId, Record, RecordId, Verdict};
use althing_store::{Memory, Snapshot, Table};
use althing_testkit::{agent, body, chain, founding, identity, joining, membership, sign};

use crate::lab::{Counted, config, now};

const RELAY: NodeId = NodeId([9; 32]);

struct Listener(Engine<Memory>);

impl Listener {
    fn new() -> Self {
        let mut listener = Self(Engine::new(config(), Memory::default(), [7; 32], now(0)).unwrap());
        listener.drain();
        listener
    }

    fn drain(&mut self) -> Vec<Effect> {
        std::iter::from_fn(|| self.0.poll()).map(|Output { effect, .. }| effect).collect()
    }

    fn hears(&mut self, record: &Record) -> Verdict {
        let (message, from) = (MessageNo(1), RELAY);
        self.0.handle(now(1), Input::Gossip { message, from, record: record.clone() });
        let verdict = self.drain().into_iter().find_map(|effect| {
            let Effect::Verdict(_, verdict) = effect else { return None };
            Some(verdict)
        });
        verdict.expect("one verdict a message")
    }

    fn holds(&self, record: &Record) -> bool {
        self.0.store().get(Table::Records, &record.id().0).unwrap().is_some()
    }
}

fn did(n: u8) -> AgentId {
    agent(n).agent()
}

/// A Founding of agent 3 with these parts.
fn founded(name: &str, members: Vec<AgentId>, admins: Vec<AgentId>) -> Record {
    let name: Text<64> = name.try_into().unwrap();
    let (members, admins) = (List::try_from(members).unwrap(), List::try_from(admins).unwrap());
    let body = Founding { name, members, admins, nonce: [1; 8] };
    sign(chain(&agent(3), Kind::Founding, None, cbor::to_vec(&body)), &agent(3))
}

fn proposal(by: u8, state: GroupState, members: &[u8]) -> Record {
    let electorate = Electorate::of_group(state, members.iter().map(|n| did(*n)).collect()).unwrap();
    let body = ProposalBody::direct("?", &[], Rule::Unanimous, &electorate, 1, [1; 8]).unwrap();
    sign(chain(&agent(by), Kind::Proposal, None, cbor::to_vec(&body)), &agent(by))
}

#[test]
fn a_founding_that_is_wrong_by_its_bytes_is_rejected() {
    let mut listener = Listener::new();
    let mut backwards = vec![did(4), did(5)];
    backwards.sort_unstable_by(|one, other| other.cmp(one));
    let shapeless = sign(chain(&agent(3), Kind::Founding, None, body(1)), &agent(3));
    for wrong in [
        founded(" ", vec![], vec![]),
        founded("x", vec![did(3)], vec![]),
        founded("x", backwards, vec![]),
        founded("x", vec![did(4)], vec![did(5)]),
        shapeless,
    ] {
        assert_eq!(listener.hears(&wrong), Verdict::Reject);
        assert!(!listener.holds(&wrong));
    }
}

#[test]
fn what_does_not_follow_is_ignored_and_not_kept() {
    let mut listener = Listener::new();
    let begin = founding(&agent(3), "translators");
    let id = GroupId(begin.id().0);
    let invite = membership(&agent(3), id, begin.id(), Change::Invite(did(4)));
    let add = membership(&agent(3), id, invite.id(), Change::Add(did(4)));
    assert_eq!(listener.hears(&invite), Verdict::Ignore, "the group is not known yet");
    assert_eq!(listener.hears(&begin), Verdict::Accept);
    assert_eq!(listener.hears(&begin), Verdict::Ignore, "it is known");
    assert_eq!(listener.hears(&invite), Verdict::Accept);
    let state = |head: RecordId| GroupState { group: id, head };
    let shapeless = sign(
        Draft { group: Some(id), ..chain(&agent(3), Kind::Membership, None, vec![0xa1, 0x00, 0x01]) },
        &agent(3),
    );
    assert_eq!(listener.hears(&shapeless), Verdict::Reject);
    for stray in [
        membership(&agent(4), id, invite.id(), Change::Add(did(4))),
        membership(&agent(3), id, invite.id(), Change::Remove(did(3))),
        membership(&agent(3), id, invite.id(), Change::Promote(did(4))),
        membership(&agent(3), GroupId([8; 32]), invite.id(), Change::Add(did(4))),
        membership(&agent(3), id, RecordId([8; 32]), Change::Add(did(4))),
        joining(&agent(5), id, invite.id(), false),
        joining(&agent(4), GroupId([8; 32]), invite.id(), false),
        joining(&agent(4), id, begin.id(), true),
        joining(&agent(4), id, RecordId([8; 32]), false),
        proposal(4, state(invite.id()), &[3]),
        proposal(3, state(invite.id()), &[3, 4]),
        proposal(3, state(RecordId([8; 32])), &[3]),
        proposal(3, GroupState { group: GroupId([8; 32]), head: invite.id() }, &[3]),
    ] {
        assert_eq!(listener.hears(&stray), Verdict::Ignore, "{stray:?}");
        assert!(!listener.holds(&stray));
    }
    let join = joining(&agent(4), id, invite.id(), false);
    for good in [join, add.clone(), joining(&agent(4), id, add.id(), true)] {
        assert_eq!(listener.hears(&good), Verdict::Accept);
    }
    assert_eq!(listener.hears(&proposal(4, state(add.id()), &[3, 4])), Verdict::Accept);
}

#[test]
fn a_flood_of_changes_without_the_one_before_makes_nobody_ask_more_often() {
    let mut listener = Listener::new();
    listener.0.handle(now(0), Input::Connected(RELAY));
    listener.drain();
    let begin = founding(&agent(3), "translators");
    let orphan = membership(&agent(3), GroupId(begin.id().0), begin.id(), Change::Invite(did(4)));
    for _ in 0..100 {
        assert_eq!(listener.hears(&orphan), Verdict::Ignore);
    }
    let mut requests = 0;
    for ticks in [1, 2, 1_001, 1_002] {
        listener.0.handle(now(ticks), Input::Wake);
        requests += listener.drain().iter().filter(|effect| matches!(effect, Effect::Request(..))).count();
    }
    assert!(requests <= 4, "a flood is no reason to ask more often: {requests}");
}

#[test]
fn groups_that_nobody_here_is_in_are_not_followed_change_by_change() {
    let store = Counted::default();
    let mut engine = Engine::new(config(), store.clone(), [7; 32], now(0)).unwrap();
    let mut ticks = 0;
    let mut hear = |record: Record| {
        ticks += 20_000;
        let (message, from, before) = (MessageNo(1), RELAY, store.reads.get());
        engine.handle(now(ticks), Input::Gossip { message, from, record });
        while let Some(Output { effect, .. }) = engine.poll() {
            if let Effect::Commit(no, batch) = effect {
                store.memory.apply(&batch);
                engine.handle(now(ticks), Input::Committed(no));
            }
        }
        store.reads.get() - before
    };
    let begin = founding(&agent(3), "strangers");
    let (group, mut prev) = (GroupId(begin.id().0), begin.id());
    hear(begin);
    let mut costs = Vec::new();
    for n in 0..60_u8 {
        // An agent that founds itself makes nodes look again whose keys speak.
        hear(sign(identity(&agent(100 + n), &agent(2)), &agent(100 + n)));
        let change = if n % 2 == 0 { Change::Invite(did(4)) } else { Change::Remove(did(4)) };
        let next = membership(&agent(3), group, prev, change);
        prev = next.id();
        costs.push(hear(next));
    }
    assert!(costs[59] <= costs[1] + 2, "{costs:?}");
}
