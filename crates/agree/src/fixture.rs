//! Closers around a table, for tests.

use std::sync::Arc;

use althing_record::{AgentId, AgentKey, Millis};
use althing_testkit::{agent, network};

use crate::certificate::{Certificate, CommitCertificate, Polka};
use crate::instance::Seat;
use crate::message::Content;
use crate::statement::{Said, SignedStatement, Slot};
use crate::{Agreement, FIRST_KEYS, Instance, InstanceId, Message, Output, Step, Value};

/// When tests begin.
pub(crate) const NOW: Millis = Millis(1_000);

/// All closers' keys. The closer in seat 0 leads round 0.
pub(crate) struct Table {
    pub(crate) instance: Arc<Instance>,
    pub(crate) keys: Vec<AgentKey>,
}

pub(crate) fn value(text: &str) -> Value {
    Value::new(text.as_bytes()).unwrap()
}

impl Table {
    pub(crate) fn of(closers: u8) -> Self {
        let mut keys: Vec<_> = (1..=closers).map(agent).collect();
        keys.sort_unstable_by_key(AgentKey::agent);
        let closers = keys.iter().map(AgentKey::agent).collect();
        let instance = Instance::new(network().id(), InstanceId([0; 32]), closers).unwrap();
        Self { instance: Arc::new(instance), keys }
    }

    pub(crate) fn agent(&self, seat: usize) -> AgentId {
        self.keys[seat].agent()
    }

    pub(crate) fn sign(&self, seat: usize, said: Said) -> SignedStatement {
        let index = Seat(u8::try_from(seat).unwrap());
        SignedStatement::sign(&self.instance, index, said, &self.keys[seat])
    }

    pub(crate) fn vote(&self, seat: usize, step: Step, round: u32, value: Option<&Value>) -> Message {
        Message::new(Content::Vote(self.sign(seat, Said::vote(step, round, value.map(Value::id)))))
    }

    pub(crate) fn proposal(&self, round: u32, value: &Value, polka: Option<Polka>) -> Message {
        let seat = round as usize % self.keys.len();
        let valid_round = polka.as_ref().map(|polka| polka.0.round());
        let slot = Slot { round, step: Step::Proposal };
        let signed = self.sign(seat, Said { slot, value: Some(value.id()), valid_round });
        Message::new(Content::Proposal { signed, polka, value: value.clone() })
    }

    pub(crate) fn certificate(&self, seats: &[usize], step: Step, round: u32, value: &Value) -> Certificate {
        let said = Said::vote(step, round, Some(value.id()));
        let votes = seats.iter().map(|seat| self.sign(*seat, said)).collect();
        Certificate::new(&self.instance, Slot { round, step }, value.id(), votes)
    }

    pub(crate) fn polka(&self, seats: &[usize], round: u32, value: &Value) -> Polka {
        Polka(Arc::new(self.certificate(seats, Step::Prevote, round, value)))
    }

    pub(crate) fn commit(&self, seats: &[usize], round: u32, value: &Value) -> CommitCertificate {
        CommitCertificate(Arc::new(self.certificate(seats, Step::Precommit, round, value)))
    }
}

/// One closer with its outputs so far.
pub(crate) struct Player<'a> {
    pub(crate) table: &'a Table,
    pub(crate) seat: usize,
    pub(crate) agreement: Agreement,
    pub(crate) now: Millis,
    pub(crate) outputs: Vec<Output>,
}

impl<'a> Player<'a> {
    pub(crate) fn new(table: &'a Table, seat: usize) -> Self {
        let agreement = Agreement::new(table.instance.clone(), Some(table.agent(seat)), NOW);
        Self { table, seat, agreement, now: NOW, outputs: Vec::new() }
    }

    /// Crashes, and goes on from what was kept.
    pub(crate) fn crash(self) -> Self {
        let entries: Vec<_> = self.kept().map(|entry| entry.bytes().clone()).collect();
        let own = Some(self.table.agent(self.seat));
        let agreement =
            Agreement::restore(self.table.instance.clone(), own, &entries, FIRST_KEYS, self.now).unwrap();
        Self { agreement, outputs: self.outputs, ..self }
    }

    pub(crate) fn kept(&self) -> impl Iterator<Item = &Arc<crate::Entry>> {
        self.outputs
            .iter()
            .filter_map(|output| if let Output::Keep(entry) = output { Some(entry) } else { None })
    }

    /// What it signed in a place: none if nothing, else the value.
    pub(crate) fn said(&self, round: u32, step: Step) -> Option<Option<althing_record::Digest>> {
        let mut found = self.kept().filter(|entry| entry.slot() == (round, step));
        let first = found.next()?.signed().statement().value;
        assert!(found.next().is_none(), "signed once");
        Some(first)
    }

    pub(crate) fn handle(&mut self, message: &Message) {
        let key = &self.table.keys[self.seat];
        self.agreement.handle(self.now, message, key);
        self.drain();
    }

    pub(crate) fn offer(&mut self, value: &Value) {
        let key = &self.table.keys[self.seat];
        self.agreement.offer(self.now, value.clone(), key);
        self.drain();
    }

    pub(crate) fn judge(&mut self, value: &Value, valid: bool) {
        let key = &self.table.keys[self.seat];
        self.agreement.judge(self.now, value.id(), valid, key);
        self.drain();
    }

    pub(crate) fn wait(&mut self, ms: u64) {
        self.now = self.now.plus(ms);
        let key = &self.table.keys[self.seat];
        self.agreement.wake(self.now, key);
        self.drain();
    }

    /// Votes of others, all the same.
    pub(crate) fn votes(&mut self, seats: &[usize], step: Step, round: u32, value: Option<&Value>) {
        seats.iter().for_each(|seat| self.handle(&self.table.vote(*seat, step, round, value)));
    }

    pub(crate) fn decided(&self) -> Option<Value> {
        self.outputs.iter().find_map(|output| {
            if let Output::Decided { value, .. } = output { Some(value.clone()) } else { None }
        })
    }

    fn drain(&mut self) {
        while let Some(output) = self.agreement.poll() {
            self.outputs.push(output);
        }
    }
}
