use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use althing_record::{AgentId, Digest, Millis};
use arc_malachitebft_core_driver::{Driver, Input, Output as Asked, ThresholdParams};
use arc_malachitebft_core_types as bft;
use bft::{Round, SignedProposal, Timeout, TimeoutKind, Validity};

use crate::certificate::{Certificate, CommitCertificate, Polka};
use crate::context::{Decision, HEIGHT, Named, Proposal, Vote, Voters, step_of};
use crate::instance::Seat;
use crate::message::{Content, Message};
use crate::statement::{FIRST_KEYS, SignedStatement, Signer, Slot, Step};
use crate::timing::{ANSWER_MS, RESEND_MS, timeout_ms};
use crate::{Entry, Instance, Output, ROUND_MAX, Value};

mod restore;
mod seen;
mod sign;

pub use restore::RestoreError;
use seen::{Noted, Seen};
pub(crate) use seen::{ROUNDS_AHEAD, ROUNDS_BEHIND};

/// One closer's part in one decision, or that of a node that only follows.
///
/// It is driven by its inputs alone. After every call the outputs are taken with [`poll`](Agreement::poll) until there
/// is none, and carried out in their order.
pub struct Agreement {
    instance: Arc<Instance>,
    /// None follows without a vote.
    own: Option<Seat>,
    silent: bool,
    doubled: bool,
    driver: Driver<Decision>,
    inputs: VecDeque<Input<Decision>>,
    round: u32,
    seen: Seen,
    /// The first proposal of each near round.
    proposals: BTreeMap<u32, Held>,
    /// Values that are of use, with what the user said of them.
    values: BTreeMap<Digest, (Value, Option<bool>)>,
    offer: Option<Value>,
    /// The latest one known.
    polka: Option<Polka>,
    /// Own messages of near rounds.
    kept: BTreeMap<Slot, Arc<Entry>>,
    timers: BTreeMap<Step, Millis>,
    resend_at: Millis,
    wake_at: Option<Millis>,
    /// The decision as others are told of it.
    decision: Option<Message>,
    answered: BTreeMap<Seat, Millis>,
    outputs: VecDeque<Output>,
}

/// A proposal that waits for its round or for the user's word on its value.
#[derive(Debug)]
struct Held {
    signed: SignedStatement,
    polka: Option<Polka>,
    fed: bool,
}

impl Agreement {
    /// Begins round 0. `own` is the agent that signs here; with none, or one that is not a closer, the instance only
    /// follows.
    #[must_use]
    pub fn new(instance: Arc<Instance>, own: Option<AgentId>, now: Millis) -> Self {
        let nothing: [&[u8]; 0] = [];
        Self::restore(instance, own, &nothing, FIRST_KEYS, now).expect("nothing was kept")
    }

    fn idle(instance: Arc<Instance>, own: Option<AgentId>, now: Millis) -> Self {
        let own = own.and_then(|own| instance.seat(own));
        let voters = Voters::of(&instance);
        let seat = own.unwrap_or(Seat(u8::MAX));
        Self {
            own,
            silent: false,
            doubled: false,
            driver: Driver::new(Decision, HEIGHT, voters, seat, ThresholdParams::default()),
            inputs: VecDeque::new(),
            round: 0,
            seen: Seen::new(&instance),
            proposals: BTreeMap::new(),
            values: BTreeMap::new(),
            offer: None,
            polka: None,
            kept: BTreeMap::new(),
            timers: BTreeMap::new(),
            resend_at: now.plus(RESEND_MS),
            wake_at: None,
            decision: None,
            answered: BTreeMap::new(),
            outputs: VecDeque::new(),
            instance,
        }
    }

    /// Whether to sign nothing: as long as it is not known that nobody else signed with this key in this decision.
    /// What was signed before is sent again all the same.
    pub fn set_silent(&mut self, silent: bool) {
        self.silent = silent;
    }

    /// What to propose when it is this closer's turn and no value is known that the others may be bound to. It must be
    /// valid. A later offer replaces it.
    pub fn offer(&mut self, now: Millis, value: Value, signer: Signer<'_>) {
        self.values.insert(value.id(), (value.clone(), Some(true)));
        self.offer = Some(value);
        self.forget();
        self.run(now, signer);
    }

    /// Tells whether a value is valid, once per [`Output::Judge`]. The answer must be the same everywhere and never
    /// change. A value that was not called valid is never prevoted.
    pub fn judge(&mut self, now: Millis, value: Digest, valid: bool, signer: Signer<'_>) {
        let Some((_, verdict)) = self.values.get_mut(&value) else { return };
        verdict.get_or_insert(valid);
        let waiting: Vec<_> = self.proposals.keys().copied().collect();
        waiting.into_iter().for_each(|round| self.feed_proposal(round));
        self.run(now, signer);
    }

    /// Takes a message of this instance, from whomever it came.
    pub fn handle(&mut self, now: Millis, message: &Message, signer: Signer<'_>) {
        if let Some(signed) = message.signed() {
            self.note(signed);
        }
        match &*message.content {
            Content::Vote(_) => {}
            Content::Proposal { signed, polka, value } => {
                if let Some(polka) = polka {
                    self.learn(polka, None);
                }
                self.take_proposal(signed, polka.clone(), value);
            }
            Content::Polka { polka, value } => self.learn(polka, Some(value)),
            Content::Decision { certificate, value } => {
                certificate.votes().iter().for_each(|vote| self.note(vote));
                self.decide(certificate.clone(), value.clone());
            }
        }
        self.answer(now, message);
        self.run(now, signer);
    }

    /// Lets time pass.
    pub fn wake(&mut self, now: Millis, signer: Signer<'_>) {
        let due: Vec<_> = self.timers.iter().filter(|(_, at)| **at <= now).map(|(step, _)| *step).collect();
        for step in due {
            self.timers.remove(&step);
            self.elapse(step);
        }
        if self.decision.is_none() && self.resend_at <= now {
            self.resend_at = now.plus(RESEND_MS);
            self.resend();
        }
        self.wake_at = None;
        self.run(now, signer);
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The present round.
    #[must_use]
    pub fn round(&self) -> u32 {
        self.round
    }

    /// The message that tells of the decision, once there is one. It proves itself: keep it, and hand it to
    /// [`handle`](Agreement::handle) after a start.
    #[must_use]
    pub fn decision(&self) -> Option<&Message> {
        self.decision.as_ref()
    }

    /// The newest statement that is held of a closer, for one who asks what was signed with its key.
    #[must_use]
    pub fn newest(&self, closer: AgentId) -> Option<&SignedStatement> {
        self.seen.newest(self.instance.seat(closer)?)
    }

    /// Takes what another holds as [`newest`](Agreement::newest) of this closer. If it was not kept here, the key is
    /// used elsewhere, or the disk is an old one: nothing is signed any more.
    pub fn compare(&mut self, signed: &SignedStatement) {
        self.note(signed);
    }

    /// Holds a statement against what the closer said before, and gives votes to the engine.
    fn note(&mut self, signed: &SignedStatement) {
        let slot = signed.slot();
        if self.own == Some(signed.seat()) && slot.round.saturating_add(ROUNDS_BEHIND) >= self.round {
            let same = self
                .kept
                .get(&slot)
                .is_some_and(|kept| kept.signed().statement().says_as(signed.statement()));
            if !same && !self.doubled {
                self.doubled = true;
                self.outputs.push_back(Output::Doubled(Box::new(signed.clone())));
            }
        }
        match self.seen.note(signed, self.round) {
            Noted::Nothing => {}
            Noted::Conflict(evidence) => self.outputs.push_back(Output::Evidence(evidence)),
            Noted::First => {
                if let Some(vote) = Vote::of(signed).filter(|_| slot.round + 1 >= self.round) {
                    self.inputs.push_back(Input::Vote(vote));
                }
            }
        }
    }

    fn take_proposal(&mut self, signed: &SignedStatement, polka: Option<Polka>, value: &Value) {
        let round = signed.statement().round;
        let near = round + 1 >= self.round && round <= self.round + ROUNDS_AHEAD;
        if self.decision.is_some() || !near || self.proposals.contains_key(&round) {
            return;
        }
        self.hold(value);
        self.proposals.insert(round, Held { signed: signed.clone(), polka, fed: false });
        self.feed_proposal(round);
    }

    /// Remembers a value and asks the user about it.
    fn hold(&mut self, value: &Value) {
        if self.decision.is_none() && !self.values.contains_key(&value.id()) {
            self.values.insert(value.id(), (value.clone(), None));
            self.outputs.push_back(Output::Judge(value.clone()));
        }
    }

    fn is_valid(&self, value: Digest) -> Option<bool> {
        self.values.get(&value).and_then(|(_, verdict)| *verdict)
    }

    /// Gives a proposal to the engine when its round has come and the user's word is there, with the prevotes that it
    /// rests on: the engine forgets those of earlier rounds.
    fn feed_proposal(&mut self, round: u32) {
        let Some(held) = self.proposals.get(&round).filter(|held| !held.fed && round <= self.round) else {
            return;
        };
        let statement = held.signed.statement();
        let value = statement.value.expect("a proposal names a value");
        let Some(valid) = self.is_valid(value) else { return };
        let proposal = Proposal {
            seat: held.signed.seat(),
            round: Round::new(round),
            valid_round: Round::from(statement.valid_round),
            value: Named(value),
        };
        let proposal = SignedProposal::new(proposal, held.signed.signature());
        self.inputs.extend(held.polka.as_ref().map(|polka| Input::PolkaCertificate(engine_polka(polka))));
        self.inputs.push_back(Input::Proposal(proposal, Validity::from_bool(valid)));
        self.proposals.entry(round).and_modify(|held| held.fed = true);
    }

    /// Takes a polka, with its value if that came with it and not with a proposal.
    fn learn(&mut self, polka: &Polka, value: Option<&Value>) {
        polka.0.votes().iter().for_each(|vote| self.note(vote));
        if let Some(value) = value {
            self.hold(value);
        }
        let round = polka.0.round();
        if round >= self.round && round <= self.round + ROUNDS_AHEAD {
            self.inputs.push_back(Input::PolkaCertificate(engine_polka(polka)));
        }
        if self.polka.as_ref().is_none_or(|known| known.0.round() < round) {
            self.polka = Some(polka.clone());
        }
    }

    /// Works until nothing is left to do, then says when to wake.
    fn run(&mut self, now: Millis, signer: Signer<'_>) {
        loop {
            while let Some(input) = self.inputs.pop_front() {
                if self.decision.is_some() {
                    continue;
                }
                let asked = self.driver.process(input).expect("inputs name the decision and its closers");
                self.learn_from_votes();
                asked.into_iter().for_each(|asked| self.follow(now, asked, signer));
            }
            self.propose(signer);
            self.catch_up();
            if self.inputs.is_empty() {
                break;
            }
        }
        self.tell_when_to_wake();
    }

    fn tell_when_to_wake(&mut self) {
        let next = self.timers.values().copied().chain([self.resend_at]).min();
        if self.decision.is_none() && next != self.wake_at {
            self.wake_at = next;
            self.outputs.extend(next.map(Output::WakeAt));
        }
    }

    /// Does what the engine asks for.
    fn follow(&mut self, now: Millis, asked: Asked<Decision>, signer: Signer<'_>) {
        match asked {
            Asked::NewRound(_, round) => self.enter(round.as_u32().expect("rounds are numbers")),
            // Whatever it wants to propose, `propose` knows at least as much.
            Asked::Propose(_) => self.schedule(now, Step::Proposal),
            Asked::GetValue(..) => {}
            Asked::Vote(vote) => self.cast(&vote, signer),
            Asked::ScheduleTimeout(timeout) => {
                if let Some(step) = step_of(timeout.kind).filter(|_| timeout.round == Round::new(self.round))
                {
                    self.schedule(now, step);
                }
            }
            Asked::Decide(_, proposal) => {
                let round = proposal.round.as_u32().expect("rounds are numbers");
                let slot = Slot { round, step: Step::Precommit };
                let certificate = self
                    .certificate(slot, proposal.value.0)
                    .map(|certificate| CommitCertificate(Arc::new(certificate)));
                let value = self.values.get(&proposal.value.0).map(|(value, _)| value.clone());
                if let Some((certificate, value)) = certificate.zip(value) {
                    self.decide(certificate, value);
                }
            }
        }
    }

    fn schedule(&mut self, now: Millis, step: Step) {
        self.timers.insert(step, now.plus(timeout_ms(step, self.round)));
    }

    fn elapse(&mut self, step: Step) {
        let kind = match step {
            Step::Proposal => TimeoutKind::Propose,
            Step::Prevote => TimeoutKind::Prevote,
            Step::Precommit => TimeoutKind::Precommit,
        };
        self.inputs.push_back(Input::TimeoutElapsed(Timeout::new(Round::new(self.round), kind)));
    }

    /// Goes to the round where at least one honest closer is, if that is a later one.
    fn catch_up(&mut self) {
        let there = self.seen.honest_round(self.instance.faulty_max());
        let waits = self.driver.round() == Round::new(self.round) && !self.driver.step_is_commit();
        if self.decision.is_none() && waits && there.is_some_and(|there| there > self.round) {
            self.elapse(Step::Precommit);
        }
    }

    fn enter(&mut self, next: u32) {
        let there = self.seen.honest_round(self.instance.faulty_max());
        let round = next.max(there.unwrap_or(0));
        if round > ROUND_MAX {
            return;
        }
        self.round = round;
        self.timers.clear();
        self.forget();
        let leader = self.instance.leader_seat(round);
        self.inputs.push_back(Input::NewRound(HEIGHT, Round::new(round), leader));
        self.feed_proposal(round);
    }

    /// Drops what the present round has no use for.
    fn forget(&mut self) {
        let round = self.round;
        self.driver.prune_votes_and_certificates(Round::new(round.saturating_sub(1)));
        self.seen.advance(round);
        self.kept.retain(|slot, _| slot.round.saturating_add(ROUNDS_BEHIND) >= round);
        self.proposals.retain(|at, _| at + 1 >= round);
        let mut needed: Vec<_> =
            self.proposals.values().filter_map(|held| held.signed.statement().value).collect();
        needed.extend(self.offer.as_ref().map(Value::id));
        needed.extend(self.polka.as_ref().map(|polka| polka.0.value()));
        needed.extend(self.driver.round_state().locked.as_ref().map(|locked| locked.value.0));
        self.values.retain(|id, _| needed.contains(id));
    }

    /// The votes of one slot for a value, if they are a quorum.
    fn certificate(&self, slot: Slot, value: Digest) -> Option<Certificate> {
        let votes = self.seen.in_slot(slot).filter(|vote| vote.statement().value == Some(value));
        let votes: Vec<_> = votes.cloned().collect();
        (votes.len() >= self.instance.quorum()).then(|| Certificate::new(&self.instance, slot, value, votes))
    }

    /// Makes a polka of the prevotes that the engine found enough of.
    fn learn_from_votes(&mut self) {
        let known = self.polka.as_ref().map(|polka| polka.0.round());
        let found = self.driver.polka_certificates().iter();
        let found = found.filter_map(|found| found.round.as_u32().map(|round| (round, found.value_id))).max();
        if let Some((round, value)) = found.filter(|(round, _)| known.is_none_or(|known| known < *round)) {
            let slot = Slot { round, step: Step::Prevote };
            if let Some(certificate) = self.certificate(slot, value) {
                self.polka = Some(Polka(Arc::new(certificate)));
            }
        }
    }

    /// Sends again what is held of this round and the last: own messages, others' votes, and the value that the others
    /// may be bound to. Votes of faulty closers travel on in this way, so that all honest ones see what one has seen.
    fn resend(&mut self) {
        let since = self.round.saturating_sub(1);
        let own = self.kept.values().filter(|entry| {
            let slot = entry.signed().slot();
            slot.round >= since && (slot.step != Step::Proposal || slot.round == self.round)
        });
        let mut messages: Vec<_> = own.map(|entry| entry.message().clone()).collect();
        let others = self.seen.votes_since(since).filter(|vote| Some(vote.seat()) != self.own);
        messages.extend(others.map(|vote| Message::new(Content::Vote(vote.clone()))));
        let polka = self.polka.as_ref().and_then(|polka| {
            let (value, _) = self.values.get(&polka.0.value())?;
            Some(Message::new(Content::Polka { polka: polka.clone(), value: value.clone() }))
        });
        messages.extend(polka);
        if !messages.is_empty() {
            self.outputs.push_back(Output::Send(messages));
        }
    }

    fn decide(&mut self, certificate: CommitCertificate, value: Value) {
        if self.decision.is_some() {
            return;
        }
        let content = Content::Decision { certificate: certificate.clone(), value: value.clone() };
        self.decision = Some(Message::new(content));
        self.timers.clear();
        self.inputs.clear();
        self.proposals.clear();
        self.values.clear();
        self.offer = None;
        self.polka = None;
        self.outputs.push_back(Output::Decided { value, certificate });
    }

    /// Tells one who does not know of the decision yet, not more often than [`ANSWER_MS`].
    fn answer(&mut self, now: Millis, message: &Message) {
        let Some((decision, signed)) = self.decision.clone().zip(message.signed()) else { return };
        let seat = signed.seat();
        let lately = self.answered.get(&seat).is_some_and(|at| now < at.plus(ANSWER_MS));
        if self.own != Some(seat) && !lately {
            self.answered.insert(seat, now);
            self.outputs.push_back(Output::Answer(decision));
        }
    }
}

/// A polka as the engine takes it.
fn engine_polka(polka: &Polka) -> bft::PolkaCertificate<Decision> {
    let votes = polka.0.votes().iter();
    bft::PolkaCertificate {
        height: HEIGHT,
        round: Round::new(polka.0.round()),
        value_id: polka.0.value(),
        polka_signatures: votes.map(|vote| bft::PolkaSignature::new(vote.seat(), vote.signature())).collect(),
    }
}

#[cfg(test)]
mod tests;
