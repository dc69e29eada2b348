//! Agents without end that prove their own misbehaviour: what was looked at is not looked at again.

use althing_ballot::{Electorate, ProposalBody, Rule};
use althing_engine::{Answer, Ask, AskNo, Effect, Engine, EvidenceRow, Input, Output};
use althing_record::{Kind, Record, cbor};
use althing_testkit::{agent, chain, sign};

use crate::lab::{Counted, config, now};

const FORKS: u8 = 60;

struct Witness {
    engine: Engine<Counted>,
    store: Counted,
}

impl Witness {
    fn start(store: Counted) -> Self {
        let engine = Engine::new(config(), store.clone(), [7; 32], now(0)).unwrap();
        Self { engine, store }
    }

    fn ask(&mut self, ask: Ask) -> Answer {
        self.engine.handle(now(1), Input::Ask { no: AskNo(1), ask });
        let mut answer = None;
        while let Some(Output { effect, .. }) = self.engine.poll() {
            if let Effect::Commit(no, batch) = &effect {
                self.store.memory.apply(batch);
                self.engine.handle(now(1), Input::Committed(*no));
            }
            if let Effect::Reply(_, reply) = effect {
                answer = Some(reply);
            }
        }
        answer.unwrap()
    }

    /// The cases that bind, and how often the store was read for them.
    fn evidence(&mut self) -> (Vec<EvidenceRow>, usize) {
        let before = self.store.reads.get();
        let Answer::Evidence(rows) = self.ask(Ask::Evidence) else { panic!("no evidence") };
        (rows, self.store.reads.get() - before)
    }
}

/// Two records of one agent at one position of its chain.
fn fork(n: u8) -> [Record; 2] {
    let key = agent(n);
    let voters = Electorate::equal(vec![key.agent()]).unwrap();
    [1, 2].map(|nonce| {
        let body = ProposalBody::direct("?", &[], Rule::Unanimous, &voters, 1_000, [nonce; 8]).unwrap();
        sign(chain(&key, Kind::Proposal, None, cbor::to_vec(&body)), &key)
    })
}

#[test]
fn a_case_is_verified_when_it_comes_and_not_for_every_question() {
    let mut witness = Witness::start(Counted::default());
    for n in 0..FORKS {
        witness.ask(Ask::Import { records: fork(n + 20).to_vec() });
    }
    let (rows, _) = witness.evidence();
    assert_eq!(rows.len(), usize::from(FORKS));
    let (again, reads) = witness.evidence();
    assert_eq!(again, rows);
    assert!(reads < 10, "{reads} reads");
    // One more case is one more to look at.
    witness.ask(Ask::Import { records: fork(200).to_vec() });
    let (more, reads) = witness.evidence();
    assert_eq!(more.len(), rows.len() + 1);
    assert!(reads < 30, "{reads} reads");
    // After a start it is all there.
    let mut started = Witness::start(witness.store.clone());
    assert_eq!(started.evidence().0, more);
    assert!(started.evidence().1 < 10);
    let Answer::Status(status) = started.ask(Ask::Status) else { panic!("no status") };
    assert_eq!(status.evidence, more.len() as u64);
}
