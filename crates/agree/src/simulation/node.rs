use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use althing_record::{AgentId, Millis};

use super::world::{Air, Disk, Event, is_valid};
use crate::agreement::{ROUNDS_AHEAD, ROUNDS_BEHIND};
use crate::instance::Seat;
use crate::statement::{SignedStatement, Slot, Statement};
use crate::{Agreement, CommitCertificate, Evidence, Message, Output, Value};

/// An honest closer with its disk and its user.
pub(super) struct Node {
    seat: usize,
    /// None while it is down.
    agreement: Option<Agreement>,
    /// What outlives a crash.
    entries: Vec<Arc<[u8]>>,
    decision: Option<Arc<[u8]>>,
    wake_at: Option<Millis>,
    crashes_left: u64,
    restarts: usize,
    disk: Disk,
    contradictions: usize,
    /// All that it ever sent of its own.
    said: BTreeMap<Slot, Statement>,
    /// What it heard since the last start, and who contradicted himself in it.
    heard: BTreeMap<(Slot, Seat), Statement>,
    contradicted: BTreeSet<Seat>,
    accused: BTreeSet<Seat>,
}

impl Node {
    pub(super) fn new(air: &mut Air, seat: usize, disk: Disk) -> Self {
        let own = air.agent(seat);
        let agreement = Agreement::new(air.instance.clone(), Some(own), air.now);
        let patience = air.below(1_500);
        air.after(patience, Event::Offer { node: seat });
        air.after(0, Event::Wake { node: seat, at: air.now });
        while air.chance(20) {
            let pause = air.below(6_000);
            air.after(pause, Event::Rotate { node: seat });
        }
        Self {
            seat,
            agreement: Some(agreement),
            entries: Vec::new(),
            decision: None,
            wake_at: Some(air.now),
            crashes_left: air.below(3),
            restarts: 0,
            disk,
            contradictions: 0,
            said: BTreeMap::new(),
            heard: BTreeMap::new(),
            contradicted: BTreeSet::new(),
            accused: BTreeSet::new(),
        }
    }

    pub(super) fn round(&self) -> u32 {
        self.agreement.as_ref().map_or(0, Agreement::round)
    }

    pub(super) fn accused(&self) -> usize {
        self.accused.len()
    }

    pub(super) fn restarts(&self) -> usize {
        self.restarts
    }

    pub(super) fn contradictions(&self) -> usize {
        self.contradictions
    }

    pub(super) fn deliver(&mut self, air: &mut Air, from: usize, messages: &[Message]) {
        for message in messages {
            let Some(agreement) = &mut self.agreement else { return };
            if let Some(signed) = message.signed() {
                hear(&mut self.heard, &mut self.contradicted, signed, agreement.round());
            }
            let key = air.key(self.seat);
            agreement.handle(air.now, message, &key);
            self.drain(air, Some(from));
        }
        let proved = self.agreement.is_none() || self.contradicted.is_subset(&self.accused);
        assert!(proved, "a contradiction was seen and not proved");
    }

    pub(super) fn wake(&mut self, air: &mut Air, at: Millis) {
        let Some(agreement) = self.agreement.as_mut().filter(|_| self.wake_at == Some(at)) else { return };
        let key = air.key(self.seat);
        agreement.wake(air.now, &key);
        self.drain(air, None);
    }

    pub(super) fn user(&mut self, air: &mut Air, event: Event) {
        let signer = air.key(self.seat);
        match (event, &mut self.agreement) {
            (Event::Offer { .. }, Some(agreement)) => {
                let value = Value::new(format!("value of {}", self.seat).as_bytes()).unwrap();
                agreement.offer(air.now, value, &signer);
            }
            (Event::Judge { value, .. }, Some(agreement)) => {
                agreement.judge(air.now, value.id(), is_valid(&value), &signer);
            }
            (Event::Restart { .. }, None) => self.restart(air),
            _ => return,
        }
        self.drain(air, None);
    }

    /// The last crash is over, and no other comes.
    pub(super) fn heal(&mut self, air: &mut Air) {
        self.crashes_left = 0;
        if self.agreement.is_none() {
            self.restart(air);
            self.drain(air, None);
        }
    }

    fn restart(&mut self, air: &mut Air) {
        self.restarts += 1;
        self.heard.clear();
        self.contradicted.clear();
        if self.disk != Disk::Kept {
            self.entries.clear();
            self.decision = None;
        }
        let entries = &self.entries;
        let known = |agent: AgentId, key: &[u8; 32]| air.has_key(agent, key);
        let own = Some(air.agent(self.seat));
        let mut agreement = Agreement::restore(air.instance.clone(), own, entries, &known, air.now).unwrap();
        agreement.set_silent(self.disk == Disk::Restored);
        let signer = air.key(self.seat);
        if let Some(decision) = &self.decision {
            let decision = Message::verify(decision, &air.instance, &known).unwrap();
            agreement.handle(air.now, &decision, &signer);
        }
        agreement.wake(air.now, &signer);
        self.agreement = Some(agreement);
        air.after(0, Event::Offer { node: self.seat });
    }

    /// Carries out what the agreement asks for, in order, unless it crashes in the middle.
    fn drain(&mut self, air: &mut Air, from: Option<usize>) {
        while let Some(output) = self.agreement.as_mut().and_then(Agreement::poll) {
            if self.crashes(air) {
                return;
            }
            match output {
                Output::Keep(entry) => {
                    self.entries.push(entry.bytes().clone());
                    if self.crashes(air) {
                        return;
                    }
                    let statement = entry.signed().statement().clone();
                    let before = self.said.insert(entry.signed().slot(), statement.clone());
                    self.contradictions +=
                        usize::from(before.is_some_and(|before| !before.says_as(&statement)));
                    self.broadcast(air, &[entry.message().clone()]);
                }
                Output::Send(messages) => self.broadcast(air, &messages),
                Output::Answer(message) => {
                    let from = from.expect("an answer has a question");
                    air.send(self.seat, from, &[message]);
                }
                Output::Judge(value) => {
                    let delay = air.below(30);
                    air.after(delay, Event::Judge { node: self.seat, value });
                }
                Output::WakeAt(at) => {
                    self.wake_at = Some(at);
                    air.after(at.since(air.now), Event::Wake { node: self.seat, at });
                }
                Output::Decided { value, certificate } => self.decided(air, &value, &certificate),
                Output::Evidence(evidence) => {
                    let read = Evidence::verify(&evidence.to_bytes(), &air.instance, &|agent, key| {
                        air.has_key(agent, key)
                    })
                    .unwrap();
                    let seat = air.instance.seat(read.closer()).unwrap();
                    let honest = self.disk == Disk::Kept && !air.faulty.contains(&seat.index());
                    assert!(!honest, "an honest closer is accused: {read:?}");
                    self.accused.insert(seat);
                }
                Output::Doubled(_) => assert_ne!(self.disk, Disk::Kept, "nobody else has the key"),
            }
        }
    }

    fn decided(&mut self, air: &mut Air, value: &Value, certificate: &CommitCertificate) {
        let known = |agent: AgentId, key: &[u8; 32]| air.has_key(agent, key);
        assert!(CommitCertificate::verify(certificate.bytes(), &air.instance, &known, value).is_ok());
        if air.faulty.len() <= air.instance.faulty_max() {
            assert!(is_valid(value), "an invalid value was decided");
        }
        let decision = self.agreement.as_ref().and_then(Agreement::decision).expect("a decision");
        self.decision = Some(decision.bytes().clone());
        air.decided.entry(self.seat).or_insert((value.id(), air.now));
    }

    fn broadcast(&self, air: &mut Air, messages: &[Message]) {
        for to in 0..air.keys.len() {
            air.send(self.seat, to, messages);
        }
    }

    fn crashes(&mut self, air: &mut Air) -> bool {
        if self.crashes_left == 0 || !air.chance(3) {
            return false;
        }
        self.crashes_left -= 1;
        self.agreement = None;
        self.wake_at = None;
        let pause = 1 + air.below(1_500);
        air.after(pause, Event::Restart { node: self.seat });
        true
    }
}

/// Keeps an account of its own of who contradicted himself.
fn hear(
    heard: &mut BTreeMap<(Slot, Seat), Statement>,
    contradicted: &mut BTreeSet<Seat>,
    signed: &SignedStatement,
    round: u32,
) {
    let slot = signed.slot();
    if slot.round + ROUNDS_BEHIND < round || slot.round > round + ROUNDS_AHEAD {
        return;
    }
    let first = heard.entry((slot, signed.seat())).or_insert_with(|| signed.statement().clone());
    if !first.says_as(signed.statement()) {
        contradicted.insert(signed.seat());
    }
}
