//! Voters who answer dockets more often, and otherwise, than they may.

use althing_ballot::{Answers, Choice, Docket, DocketQuestion, Electorate, ProposalBody, Rule, leaf};
use althing_engine::{Answer, Ask, AskNo, DocketState, Effect, Engine, Input, MessageNo, Output, VoteState};
use althing_record::{AgentId, AgentKey, Content, Draft, Kind, NodeId, Record, RecordId};
use althing_store::{Row, Snapshot, Table};
use althing_testkit::{agent, body, chain, leaves, sign};

use crate::lab::{Counted, config, now};

const QUESTIONS: usize = 12;

struct Listener {
    engine: Engine<Counted>,
    store: Counted,
}

impl Listener {
    fn new(records: &[Record]) -> Self {
        let store = Counted::default();
        let engine = Engine::new(config(), store.clone(), [7; 32], now(0)).unwrap();
        let mut listener = Self { engine, store };
        listener.drain();
        for record in records {
            listener.hears(record);
        }
        listener
    }

    fn drain(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some(Output { effect, .. }) = self.engine.poll() {
            if let Effect::Commit(no, batch) = &effect {
                self.store.memory.apply(batch);
                self.engine.handle(now(1), Input::Committed(*no));
            }
            effects.push(effect);
        }
        effects
    }

    /// Takes a record in; gives how many reads that took.
    fn hears(&mut self, record: &Record) -> usize {
        let (message, from, record) = (MessageNo(1), NodeId([9; 32]), record.clone());
        let before = self.store.reads.get();
        self.engine.handle(now(1), Input::Gossip { message, from, record });
        self.drain();
        self.store.reads.get() - before
    }

    fn asked(&mut self, ask: Ask) -> Answer {
        self.engine.handle(now(2), Input::Ask { no: AskNo(1), ask });
        let reply = |effect| if let Effect::Reply(_, answer) = effect { Some(answer) } else { None };
        self.drain().into_iter().find_map(reply).unwrap()
    }

    fn docket(&mut self, docket: RecordId, from: u16) -> DocketState {
        let Answer::Docket(docket) = self.asked(Ask::Docket { docket, from, limit: u16::MAX }) else {
            panic!("a docket")
        };
        *docket
    }

    fn evidence(&self) -> Vec<Row> {
        self.store.scan_prefix(Table::EvidenceView, &[], 100).unwrap()
    }
}

/// Four voters, the first of whom has the lowest id.
fn voters() -> Vec<AgentKey> {
    let mut keys: Vec<_> = (3..7).map(agent).collect();
    keys.sort_unstable_by_key(AgentKey::agent);
    keys
}

fn docket() -> Record {
    let voters: Vec<AgentId> = voters().iter().map(AgentKey::agent).collect();
    let electorate = Electorate::equal(voters).unwrap();
    let terms = ProposalBody::direct("June", &[], Rule::Unanimous, &electorate, 60_000, [0; 8]).unwrap();
    let terms = ProposalBody { strategy: 1, ..terms };
    let question = DocketQuestion::new("June?", &[]).unwrap();
    let leaves = Docket::leaves(&terms, &vec![question; QUESTIONS]).unwrap();
    let draft = chain(&agent(8), Kind::ProposalBatch, None, body(0));
    sign(Draft { content: Content::Leaves(leaves), ..draft }, &agent(8))
}

/// The `n`th way to answer it: yes, no or nothing in each question.
fn choices(mut n: usize) -> Vec<Choice> {
    let mut choices = Vec::new();
    for _ in 0..QUESTIONS {
        choices.push([Choice::Option(0), Choice::Option(1), Choice::Abstain][n % 3].clone());
        n /= 3;
    }
    choices
}

/// Batches with these answers, one after the other.
fn answered(key: &AgentKey, docket: RecordId, ways: impl IntoIterator<Item = usize>) -> Vec<Record> {
    let mut batches: Vec<Record> = Vec::new();
    for way in ways {
        let draft = leaves(key, batches.last(), Answers::leaves(docket, &choices(way)));
        batches.push(sign(draft, key));
    }
    batches
}

#[test]
fn whoever_answers_otherwise_is_proved_to_however_often_and_in_whatever_order() {
    let docket = docket();
    let (voter, id) = (&voters()[0], docket.id());
    for other in 0..20 {
        // Twenty times the same and once otherwise.
        let batches = answered(voter, id, (0..20).map(|n| usize::from(n == other)));
        let mut backwards: Vec<_> = batches.clone();
        backwards.sort_unstable_by_key(|batch| std::cmp::Reverse(batch.id()));
        let mut forwards = backwards.clone();
        forwards.reverse();
        let first = forwards[0].id();
        let contradicts = &batches[other];
        let second = if contradicts.id() == first { forwards[1].id() } else { contradicts.id() };
        for order in [batches, backwards, forwards] {
            let listener = Listener::new(&[vec![docket.clone()], order].concat());
            let rows = listener.evidence();
            assert_eq!(rows.len(), 1);
            assert_eq!(rows[0].1, [first.0, second.0].concat());
        }
    }
}

#[test]
fn ballots_of_the_other_form_hide_no_answers_that_contradict_each_other() {
    let docket = docket();
    let (voter, id) = (&voters()[0], docket.id());
    let answers = answered(voter, id, [0, 1]);
    let ballot = |option| sign(leaves(voter, None, vec![leaf(id, &Choice::Option(option))]), voter);
    let ballots = vec![ballot(0), ballot(1)];
    let orders = [[answers.clone(), ballots.clone()].concat(), [ballots, answers].concat()];
    let [one, other] = orders.map(|order| Listener::new(&[vec![docket.clone()], order].concat()).evidence());
    assert_eq!(one, other);
}

#[test]
fn a_voter_who_answers_thousands_of_times_keeps_nobody_from_counting_and_costs_no_more_each_time() {
    let docket = docket();
    let (voters, id) = (voters(), docket.id());
    let mut listener = Listener::new(std::slice::from_ref(&docket));
    let reads: Vec<usize> =
        answered(&voters[0], id, 1..=4_200).iter().map(|batch| listener.hears(batch)).collect();
    assert!(reads[4_199] <= reads[10], "{} reads, and {} before", reads[4_199], reads[10]);
    for voter in &voters[1..] {
        listener.hears(&answered(voter, id, [0])[0]);
    }
    let states = |listener: &mut Listener| -> Vec<VoteState> {
        listener.docket(id, 1).questions.into_iter().map(|question| question.state).collect()
    };
    let decided = vec![VoteState::Decided { option: "yes".into() }; QUESTIONS];
    assert_eq!(states(&mut listener), decided);
    let certificate = Ask::Certificate { proposal: id, question: Some(1) };
    assert!(matches!(listener.asked(certificate), Answer::Certificate(_)));
    // Counted anew it is the same.
    let store = listener.store.clone();
    let engine = Engine::new(config(), store.clone(), [8; 32], now(1)).unwrap();
    let mut restarted = Listener { engine, store };
    restarted.drain();
    assert_eq!(states(&mut restarted), decided);
}

#[test]
fn questions_beyond_the_last_number_are_none() {
    let docket = docket();
    let mut listener = Listener::new(std::slice::from_ref(&docket));
    assert_eq!(listener.docket(docket.id(), u16::MAX).questions, Vec::new());
}

#[test]
fn what_a_direct_certificate_counts_a_node_counts() {
    let docket = docket();
    let (voters, id) = (voters(), docket.id());
    let mut listener = Listener::new(std::slice::from_ref(&docket));
    for voter in &voters[..3] {
        // There is no such option in the second question.
        let said = [vec![Choice::Option(0), Choice::Option(9)], choices(0)[2..].to_vec()].concat();
        listener.hears(&sign(leaves(voter, None, Answers::leaves(id, &said)), voter));
    }
    let states: Vec<_> =
        listener.docket(id, 1).questions.into_iter().map(|question| question.state).collect();
    assert_eq!(states[..2], [VoteState::Decided { option: "yes".into() }, VoteState::Open]);
    let certificate = |question| Ask::Certificate { proposal: id, question: Some(question) };
    assert!(matches!(listener.asked(certificate(1)), Answer::Certificate(_)));
    assert!(matches!(listener.asked(certificate(2)), Answer::Refused(_)));
}
