//! What a node must not forget that its agents said: after a full disk, with a wrong clock, as a restored copy.

use std::collections::BTreeMap;
use std::sync::Arc;

use althing_ballot::{Choice, Electorate, ProposalBody, Rule, leaf};
use althing_card::{LEASE_LIFETIME_MS, Lease};
use althing_engine::{
    Answer, Ask, AskNo, Effect, Engine, Input, MessageNo, Note, Now, Output, Request, RequestNo, Response,
};
use althing_record::{AgentKey, Incarnation, Kind, Millis, NodeId, Placement, Record, RecordId, cbor};
use althing_store::{CommitNo, Memory, Snapshot, Table};
use althing_sync::{Elements, NEED_MAX};
use althing_testkit::{MADE, agent, chain, identity, leaves, network, node, sign, slot};

use crate::lab::{asked, config, now};

/// A peer that is met.
const PEER: NodeId = NodeId([9; 32]);

/// What becomes of commits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Disk {
    Writable,
    Full,
}

/// A node and its disk.
struct Machine {
    engine: Engine<Memory>,
    memory: Memory,
}

impl Machine {
    fn start(memory: Memory, now: Now, disk: Disk) -> Self {
        let engine = Engine::new(config(), memory.clone(), [7; 32], now).unwrap();
        let mut machine = Self { engine, memory };
        machine.drain(now, disk);
        machine
    }

    fn tell(&mut self, now: Now, input: Input) -> Vec<Effect> {
        self.tell_with(now, input, Disk::Writable)
    }

    fn tell_with(&mut self, now: Now, input: Input, disk: Disk) -> Vec<Effect> {
        self.engine.handle(now, input);
        self.drain(now, disk)
    }

    fn drain(&mut self, now: Now, disk: Disk) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some(Output { effect, .. }) = self.engine.poll() {
            if let Effect::Commit(no, batch) = &effect {
                let input = match disk {
                    Disk::Writable => {
                        self.memory.apply(batch);
                        Input::Committed(*no)
                    }
                    Disk::Full => Input::CommitFailed { no: *no, cause: "full".into() },
                };
                self.engine.handle(now, input);
            }
            effects.push(effect);
        }
        effects
    }

    fn ask(&mut self, now: Now, ask: Ask) -> Answer {
        let effects = self.tell(now, Input::Ask { no: AskNo(1), ask });
        let reply = effects
            .into_iter()
            .find_map(|effect| if let Effect::Reply(_, answer) = effect { Some(answer) } else { None });
        reply.unwrap()
    }

    /// Answers a request as a peer that holds these records.
    fn answered(&mut self, now: Now, (no, request): (RequestNo, Request), held: &Held) -> Vec<Effect> {
        self.tell(now, Input::Response { request: no, response: held.answer(&request) })
    }

    /// Meets a peer that holds these records and answers until nothing more is asked.
    fn meet(&mut self, peer: NodeId, held: &Held, at: impl Fn(u64) -> Now) {
        let mut open = self.tell(at(1), Input::Connected(peer));
        while let Some(request) = asked(&open) {
            open = self.answered(at(2), request, held);
        }
    }

    fn votes_no(&mut self, now: Now, proposal: &Record) -> bool {
        let ask = Ask::Cast {
            agent: agent(1).agent(),
            proposal: proposal.id(),
            choice: althing_engine::Said::Option("no".into()),
        };
        matches!(self.ask(now, ask), Answer::Cast { .. })
    }

    fn accuses_nobody(&mut self, now: Now) -> bool {
        matches!(self.ask(now, Ask::Evidence), Answer::Evidence(rows) if rows.is_empty())
    }

    fn is_stopped(&mut self, now: Now) -> bool {
        let Answer::Status(status) = self.ask(now, Ask::Status) else { panic!("expected a status") };
        status.voting_stopped.is_some()
    }
}

/// What a peer holds.
#[derive(Clone, Default)]
struct Held(BTreeMap<RecordId, Record>);

impl Held {
    fn new(records: impl IntoIterator<Item = Record>) -> Self {
        Self(records.into_iter().map(|record| (record.id(), record)).collect())
    }

    fn with(&self, record: &Record) -> Self {
        Self::new(self.0.values().cloned().chain([record.clone()]))
    }

    fn answer(&self, request: &Request) -> Response {
        match request {
            Request::Reconcile { domain, message, .. } => {
                let of = self.0.values().filter(|record| record.kind().domain() == Some(*domain));
                let elements = Arc::new(Elements::new(of.map(|record| (record.made(), record.id()))));
                let message = althing_sync::answer(&elements, message).unwrap();
                Response::Reconcile { message, clock: MADE }
            }
            Request::Fetch { ids } => Response::Records {
                served: ids.len() as u64,
                records: ids.iter().flat_map(|id| self.0.get(id)).cloned().collect(),
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
        }
    }
}

/// A question to these voters, put by the second one.
fn question(voters: &[AgentKey], prev: Option<&Record>, number: u64) -> Record {
    let electorate = Electorate::equal(voters.iter().map(AgentKey::agent).collect()).unwrap();
    let nonce = number.to_be_bytes();
    let body = ProposalBody::direct("q?", &[], Rule::Unanimous, &electorate, 60_000_000, nonce).unwrap();
    sign(chain(&voters[1], Kind::Proposal, prev, cbor::to_vec(&body)), &voters[1])
}

/// What the agent of the node said on a question before its store was lost.
fn earlier_ballot(proposal: &Record, made: Millis) -> Record {
    let mut draft = leaves(&agent(1), None, vec![leaf(proposal.id(), &Choice::Option(0))]);
    draft.made = made;
    sign(draft, &agent(1))
}

fn lease(key: &AgentKey, number: u8) -> Record {
    let node = node(number);
    let expires = MADE.plus(LEASE_LIFETIME_MS);
    let lease = Lease { agent: key.agent(), node: node.node(), addresses: Vec::new(), expires };
    let body = cbor::to_vec(&lease.body(network().id(), &node));
    let mut draft = slot(key, Kind::Lease, &node.node().to_string(), body);
    draft.expires = Some(expires);
    sign(draft, key)
}

fn restored() -> Memory {
    let memory = Memory::default();
    memory.apply(&althing_engine::restored(CommitNo(0)));
    memory
}

#[test]
fn that_nothing_is_signed_any_more_outlives_a_full_disk() {
    let mut machine = Machine::start(Memory::default(), now(0), Disk::Writable);
    let incarnation = machine.memory.get(Table::Meta, b"incarnation").unwrap().unwrap();
    // A link of this node's own chain that it did not sign: a copy of the directory is alive.
    let body = ProposalBody::direct(
        "q?",
        &[],
        Rule::Unanimous,
        &Electorate::equal(vec![agent(1).agent(), agent(3).agent()]).unwrap(),
        60_000,
        [0; 8],
    );
    let mut draft = chain(&agent(1), Kind::Proposal, None, cbor::to_vec(&body.unwrap()));
    if let Placement::Chain { incarnation: of, .. } = &mut draft.placement {
        *of = Some(Incarnation(incarnation.try_into().unwrap()));
    }
    let gossip = Input::Gossip { message: MessageNo(1), from: PEER, record: sign(draft, &agent(1)) };
    let effects = machine.tell_with(now(1), gossip, Disk::Full);
    let noticed = |effect: &Effect| matches!(effect, Effect::Note(Note::SigningStopped { .. }));
    assert!(effects.iter().any(noticed), "{effects:?}");
    machine.tell(now(2), Input::Writable);
    assert!(machine.is_stopped(now(3)));
    let mut again = Machine::start(machine.memory, now(4), Disk::Writable);
    assert!(again.is_stopped(now(5)), "after a restart");
}

#[test]
fn whose_the_directory_is_outlives_a_full_disk() {
    let mut machine = Machine::start(Memory::default(), now(0), Disk::Full);
    machine.tell(now(1), Input::Writable);
    for row in [&b"node"[..], b"incarnation"] {
        assert!(machine.memory.get(Table::Meta, row).unwrap().is_some(), "{row:?}");
    }
}

#[test]
fn round_under_a_clock_that_was_behind_tells_nothing() {
    // Pages are in the order of ids: in some cases the ballot comes first.
    for case in 0..8 {
        let proposal = question(&[agent(1), agent(3)], None, case);
        let founded = sign(identity(&agent(3), &agent(4)), &agent(3));
        let held = Held::new([founded, proposal.clone(), earlier_ballot(&proposal, MADE)]);
        let behind = |ticks| Now { wall: MADE.minus(60 * Millis::MINUTE), ticks };
        let mut machine = Machine::start(Memory::default(), behind(0), Disk::Writable);
        machine.meet(PEER, &held, behind);
        // The clock is set, and the second round with the same peer is due.
        let mut open = machine.tell(now(2_100), Input::Wake);
        let mut ticks = 2_100;
        while let Some(request) = asked(&open) {
            ticks += 1;
            open = machine.answered(now(ticks), request, &held);
            assert!(!machine.votes_no(now(ticks), &proposal), "a second ballot, case {case}");
        }
        assert!(machine.accuses_nobody(now(ticks)), "case {case}");
    }
}

#[test]
fn restored_copy_asks_every_node_that_serves_a_voter() {
    let voters = [agent(1), agent(11), agent(12), agent(13)];
    let proposal = question(&voters, None, 0);
    // Two voters are served at two nodes each.
    let leases = [(1, 21), (1, 22), (2, 23), (2, 24), (3, 25)].map(|(voter, at)| lease(&voters[voter], at));
    let ignorant = Held::new(leases.into_iter().chain([proposal.clone()]));
    let knowing = ignorant.with(&earlier_ballot(&proposal, MADE));
    let mut machine = Machine::start(restored(), now(0), Disk::Writable);
    // Of each of two voters (one may cheat) the node that holds its ballot is away, and the other one is not.
    for at in [22, 24] {
        machine.meet(node(at).node(), &ignorant, now);
    }
    assert!(!machine.votes_no(now(500), &proposal));
    machine.meet(node(21).node(), &knowing, now);
    assert!(machine.accuses_nobody(now(900)));
    machine.meet(node(23).node(), &knowing, now);
    assert!(!machine.votes_no(now(901), &proposal), "now it is known what it said");
}

#[test]
fn round_that_lost_a_page_with_a_full_disk_tells_nothing() {
    for memory in [Memory::default(), restored()] {
        let voters = [agent(1), agent(3)];
        let proposal = question(&voters, None, 0);
        let mut ledger = vec![proposal.clone()];
        for number in 1..200 {
            ledger.push(question(&voters, ledger.last(), number));
        }
        // The ballot is in the first of two pages.
        let ballots = (0..64).map(|n| earlier_ballot(&proposal, MADE.plus(n)));
        let ballot = ballots.min_by_key(Record::id).unwrap();
        let (peer, lease) = (node(22).node(), lease(&voters[1], 22));
        let held = Held::new(ledger.into_iter().chain([ballot.clone(), lease.clone()]));

        let mut machine = Machine::start(memory, now(0), Disk::Writable);
        for (number, record) in [(1, &proposal), (2, &lease)] {
            let record = record.clone();
            machine.tell(now(1), Input::Gossip { message: MessageNo(number), from: peer, record });
        }
        let mut open = machine.tell(now(1), Input::Connected(peer));
        let mut lost = 0;
        while let Some((no, request)) = asked(&open) {
            let has_it = matches!(&request, Request::Fetch { ids } if ids.contains(&ballot.id()));
            let response = Input::Response { request: no, response: held.answer(&request) };
            if !has_it || lost > 0 {
                open = machine.tell(now(2), response);
                continue;
            }
            // Its commit finds no space, and the disk takes writes again at once. What was asked for next goes on.
            lost += 1;
            open = machine.tell_with(now(2), response, Disk::Full);
            open.extend(machine.tell(now(2), Input::Writable));
            assert!(!machine.votes_no(now(2), &proposal));
        }
        assert_eq!(lost, 1);
        let is_known = machine.memory.get(Table::Records, &ballot.id().0).unwrap().is_some();
        assert!(!machine.votes_no(now(3), &proposal), "a second ballot; the first is known: {is_known}");
        assert!(machine.accuses_nobody(now(4)));
    }
}

#[test]
#[ignore = "a hundred thousand records: tests/run nightly"]
fn round_that_was_cut_at_its_bound_tells_nothing() {
    let voters = [agent(1), agent(3)];
    let proposal = question(&voters, None, 0);
    let mut ledger = vec![proposal.clone()];
    for number in 1..NEED_MAX as u64 + 1_000 {
        ledger.push(question(&voters, ledger.last(), number));
    }
    // Negentropy goes through the set by time: the ballot is in what is left to the next round.
    let held = Held::new(ledger).with(&earlier_ballot(&proposal, MADE.plus(1)));
    let mut machine = Machine::start(Memory::default(), now(0), Disk::Writable);
    machine.meet(PEER, &held, now);
    assert!(!machine.votes_no(now(3), &proposal));
    assert!(machine.accuses_nobody(now(4)));
}
