//! Voters, closers and trustees who say about a vote what is said once, again and again.

use std::collections::BTreeSet;

use althing_ballot::{
    Ack, Answers, Choice, CloseReport, ClosedTerms, Docket, DocketQuestion, Electorate, ProposalBody,
    Question, Rule, Sealing, TrusteeSecret, leaf,
};
use althing_engine::{
    Effect, Engine, Input, KEYS_BURST, KEYS_PERIOD_MS, MessageNo, Output, SURPLUS_BURST, SURPLUS_PERIOD_MS,
};
use althing_record::{AgentId, AgentKey, Content, Draft, Kind, NodeId, Record, RecordId, cbor};
use althing_store::{Memory, Snapshot, Table};
use althing_testkit::{agent, body, chain, leaves, network, sign};

use crate::lab::{config, now};

struct Listener {
    engine: Engine<Memory>,
    store: Memory,
}

impl Listener {
    fn new(records: &[Record]) -> Self {
        let store = Memory::default();
        let engine = Engine::new(config(), store.clone(), [7; 32], now(0)).unwrap();
        let mut listener = Self { engine, store };
        listener.drain();
        records.iter().for_each(|record| assert!(listener.takes(record, 1)));
        listener
    }

    fn drain(&mut self) {
        while let Some(Output { effect, .. }) = self.engine.poll() {
            if let Effect::Commit(no, batch) = &effect {
                self.store.apply(batch);
                self.engine.handle(now(1), Input::Committed(*no));
            }
        }
    }

    /// Whether a record is taken in now.
    fn takes(&mut self, record: &Record, ticks: u64) -> bool {
        let (message, from) = (MessageNo(1), NodeId([9; 32]));
        self.engine.handle(now(ticks), Input::Gossip { message, from, record: record.clone() });
        self.drain();
        self.holds(record)
    }

    fn takes_of(&mut self, records: &[Record], ticks: u64) -> u64 {
        records
            .iter()
            .filter(|record| !self.holds(record))
            .cloned()
            .collect::<Vec<_>>()
            .iter()
            .fold(0, |taken, record| taken + u64::from(self.takes(record, ticks)))
    }

    fn holds(&self, record: &Record) -> bool {
        self.store.get(Table::Records, &record.id().0).unwrap().is_some()
    }
}

/// Four voters.
fn voters() -> Vec<AgentKey> {
    (3..7).map(agent).collect()
}

fn electorate() -> Electorate {
    Electorate::equal(voters().iter().map(AgentKey::agent).collect::<Vec<AgentId>>()).unwrap()
}

fn put(body: &ProposalBody) -> Record {
    sign(chain(&agent(8), Kind::Proposal, None, cbor::to_vec(body)), &agent(8))
}

/// A Closed vote among six options; trustees are the voters if it is sealed.
fn closed(rule: Rule, sealing: Option<Sealing>) -> Record {
    let options: Vec<String> = ["A", "B", "C", "D", "E", "F"].map(String::from).to_vec();
    let electorate = electorate();
    let question = Question {
        text: "which?",
        options: &options,
        rule,
        electorate: &electorate,
        window_ms: 1 << 31,
        nonce: [0; 8],
    };
    put(&ProposalBody::closed(&question, &ClosedTerms { sealing, ..ClosedTerms::default() }).unwrap())
}

fn docket() -> Record {
    let terms = ProposalBody::direct("June", &[], Rule::Unanimous, &electorate(), 60_000, [0; 8]).unwrap();
    let question = DocketQuestion::new("June?", &[]).unwrap();
    let leaves = Docket::leaves(&terms, &vec![question; 9]).unwrap();
    let draft = chain(&agent(8), Kind::ProposalBatch, None, body(0));
    sign(Draft { content: Content::Leaves(leaves), ..draft }, &agent(8))
}

/// The `n`th thing that a cheat says of each kind about a vote, as the first link of its chain.
fn said(kind: &str, vote: RecordId, key: &AgentKey, n: usize) -> Record {
    let link = |kind, body| sign(chain(key, kind, None, body), key);
    let mut batch = [0; 32];
    batch[..8].copy_from_slice(&n.to_be_bytes());
    let batch = RecordId(batch);
    match kind {
        "ranking" => {
            let mut left: Vec<u8> = (0..6).collect();
            let mut order = Vec::new();
            let mut rest = n;
            for radix in (1..=6).rev() {
                order.push(left.remove(rest % radix));
                rest /= radix;
            }
            let choice = Choice::Ranking(order.into());
            sign(leaves(key, None, vec![leaf(vote, &choice)]), key)
        }
        "answers" => {
            let choices: Vec<Choice> =
                (0..9).map(|bit| Choice::Option(u32::from(n >> bit & 1 == 1))).collect();
            sign(leaves(key, None, Answers::leaves(vote, &choices)), key)
        }
        "report" => link(Kind::CloseReport, cbor::to_vec(&CloseReport::body(vote, &[(0, batch)]).unwrap())),
        "ack" => {
            let ack = Ack { proposal: vote, voter: 0, batch };
            link(Kind::BallotAck, cbor::to_vec(&Ack::body(&[ack]).unwrap()))
        }
        "key" => {
            let mut seed = [0; 32];
            seed[..8].copy_from_slice(&n.to_be_bytes());
            let secret = TrusteeSecret::of(&AgentKey::from_seed(&seed), network().id(), vote);
            link(Kind::TrusteeKey, cbor::to_vec(&secret.key_body(vote)))
        }
        other => panic!("no idea what {other} is"),
    }
}

fn many(kind: &str, vote: RecordId, key: &AgentKey, count: usize) -> Vec<Record> {
    (0..count).map(|n| said(kind, vote, key, n)).collect()
}

#[test]
fn of_what_is_said_again_and_again_a_share_is_taken_and_then_a_slow_trickle() {
    let sealing =
        Sealing::new(electorate().voters().iter().map(|voter| voter.agent).collect(), None).unwrap();
    let words = (SURPLUS_BURST, SURPLUS_PERIOD_MS);
    for (kind, put, (burst, period_ms)) in [
        ("ranking", closed(Rule::Ranked, None), words),
        ("answers", docket(), words),
        ("report", closed(Rule::Ranked, None), words),
        ("ack", closed(Rule::Ranked, None), words),
        ("key", closed(Rule::Majority, Some(sealing)), (KEYS_BURST, KEYS_PERIOD_MS)),
    ] {
        let mut listener = Listener::new(std::slice::from_ref(&put));
        let keys = voters();
        let flood = many(kind, put.id(), &keys[0], 500);
        assert_eq!(listener.takes_of(&flood, 10), 1 + burst, "{kind}");
        assert_eq!(listener.takes_of(&flood, 10 + period_ms - 1), 0, "{kind}");
        assert_eq!(listener.takes_of(&flood, 10 + period_ms), 1, "{kind}");
        assert_eq!(listener.takes_of(&flood, 10 + 4 * period_ms), 3, "{kind}");
        // It is nobody else's share, nor the same agent's in another vote.
        assert!(listener.takes(&said(kind, put.id(), &keys[1], 0), 11 + 4 * period_ms), "{kind}");
    }
}

#[test]
fn two_nodes_that_heard_a_flood_in_other_orders_come_to_hold_the_same() {
    let put = closed(Rule::Ranked, None);
    let cheat = &voters()[0];
    let flood = [many("report", put.id(), cheat, 40), many("ranking", put.id(), cheat, 40)].concat();
    let backwards: Vec<_> = flood.iter().rev().cloned().collect();
    let mut listeners = [(); 2].map(|()| Listener::new(std::slice::from_ref(&put)));
    listeners[0].takes_of(&flood, 10);
    listeners[1].takes_of(&backwards, 10);
    let held = |listener: &Listener| -> BTreeSet<RecordId> {
        flood.iter().filter(|record| listener.holds(record)).map(Record::id).collect()
    };
    assert_ne!(held(&listeners[0]), held(&listeners[1]), "they heard too much at once");
    // Reconciliation offers what the other has, again and again.
    for period in 1..=flood.len() as u64 {
        for listener in &mut listeners {
            listener.takes_of(&flood, 10 + period * SURPLUS_PERIOD_MS);
        }
    }
    assert_eq!(held(&listeners[0]).len(), flood.len());
    assert_eq!(held(&listeners[0]), held(&listeners[1]));
    let evidence = |listener: &Listener| listener.store.scan_prefix(Table::EvidenceView, &[], 100).unwrap();
    assert_eq!(evidence(&listeners[0]), evidence(&listeners[1]));
}

#[test]
fn every_option_that_a_voter_names_in_a_direct_vote_counts_however_often_it_repeated_itself() {
    let body = ProposalBody::direct("more?", &[], Rule::Approvals(0), &electorate(), 60_000, [0; 8]).unwrap();
    let put = put(&body);
    let cheat = &voters()[0];
    let mut listener = Listener::new(std::slice::from_ref(&put));
    let mut last: Option<Record> = None;
    let mut says = |option| {
        let draft = leaves(cheat, last.as_ref(), vec![leaf(put.id(), &Choice::Option(option))]);
        let record = sign(draft, cheat);
        last = Some(record.clone());
        record
    };
    let flood: Vec<_> = (0..200).map(|_| says(0)).collect();
    assert_eq!(listener.takes_of(&flood, 10), 1 + SURPLUS_BURST);
    assert!(listener.takes(&says(1), 11), "another option");
    assert!(!listener.takes(&says(1), 12), "the same again");
}

#[test]
fn acknowledgements_of_what_nobody_could_vote_on_are_not_taken() {
    let put = closed(Rule::Ranked, None);
    let closer = &voters()[0];
    let mut listener = Listener::new(std::slice::from_ref(&put));
    let ack = |proposal, voter| Ack { proposal, voter, batch: RecordId([1; 32]) };
    let acks = |acks: &[Ack]| {
        sign(chain(closer, Kind::BallotAck, None, cbor::to_vec(&Ack::body(acks).unwrap())), closer)
    };
    let unknown = RecordId([7; 32]);
    assert!(!listener.takes(&acks(&[ack(put.id(), 4)]), 10), "there are four voters");
    assert!(!listener.takes(&acks(&[ack(put.id(), 0), ack(unknown, 0)]), 10), "a proposal that is not known");
    assert!(listener.takes(&acks(&[ack(put.id(), 0), ack(put.id(), 3)]), 10));
}
