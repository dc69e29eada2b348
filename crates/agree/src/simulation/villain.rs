use std::collections::BTreeMap;

use althing_record::{AgentKey, Millis};

use super::world::{Air, Event, is_valid};
use crate::certificate::Polka;
use crate::instance::Seat;
use crate::message::{Content, Message};
use crate::statement::{Said, SignedStatement, Slot, Step};
use crate::{Agreement, Output, Value};

/// What a faulty closer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Says nothing.
    Withholds,
    /// Says one thing to some and another to others, sometimes both to all.
    Equivocates,
    /// Votes for whatever was proposed last, in both steps, whatever it voted for before.
    Forgets,
    /// Proposes and votes for what nobody may call valid.
    Corrupts,
    /// Follows the rules and speaks to some only.
    Favours,
    /// Follows the rules, seconds too late.
    Delays,
    /// Sends again what it heard, to anybody, much later.
    Replays,
    /// Is two: each follows the rules and shows itself to some of the others only.
    TwoFaced,
}

pub(super) const KINDS: [Kind; 8] = [
    Kind::Withholds,
    Kind::Equivocates,
    Kind::Forgets,
    Kind::Corrupts,
    Kind::Favours,
    Kind::Delays,
    Kind::Replays,
    Kind::TwoFaced,
];

/// What a villain would have decided.
fn named(text: &str, seat: usize) -> Value {
    Value::new(format!("{text} of {seat}").as_bytes()).unwrap()
}

/// A faulty closer.
pub(super) struct Villain {
    seat: usize,
    kind: Kind,
    /// By closer: to which side it belongs, for those who treat others differently.
    sides: Vec<bool>,
    /// One for each side, for those who follow rules.
    faces: Vec<Agreement>,
    wake_at: Vec<Millis>,
    /// By round: the first statement of its leader's, as far as known.
    proposed: BTreeMap<u32, Value>,
    values: Vec<Value>,
    polkas: Vec<(Polka, Value)>,
    heard: Vec<Message>,
    /// By round: what it says to the one side and to the other.
    spoken: BTreeMap<u32, (Value, Value)>,
}

impl Villain {
    pub(super) fn new(air: &mut Air, seat: usize, kind: Kind) -> Self {
        let own = air.agent(seat);
        if air.chance(50) {
            air.rotate(seat);
        }
        let faces = match kind {
            Kind::Favours | Kind::Delays => 1,
            Kind::TwoFaced => 2,
            Kind::Withholds | Kind::Equivocates | Kind::Forgets | Kind::Corrupts | Kind::Replays => 0,
        };
        let sides = (0..air.keys.len()).map(|_| air.chance(50)).collect();
        let values = match kind {
            Kind::Corrupts => vec![named("invalid value", seat), named("invalid other", seat)],
            Kind::Withholds
            | Kind::Equivocates
            | Kind::Forgets
            | Kind::Favours
            | Kind::Delays
            | Kind::Replays
            | Kind::TwoFaced => vec![named("good value", seat), named("better value", seat)],
        };
        let mut villain = Self {
            seat,
            kind,
            sides,
            faces: (0..faces).map(|_| Agreement::new(air.instance.clone(), Some(own), air.now)).collect(),
            wake_at: vec![air.now; faces],
            proposed: BTreeMap::new(),
            values,
            polkas: Vec::new(),
            heard: Vec::new(),
            spoken: BTreeMap::new(),
        };
        for side in 0..faces {
            let key = villain.key(air, side);
            villain.faces[side].offer(air.now, villain.values[side].clone(), &key);
        }
        air.after(0, Event::Scheme { node: seat });
        air.after(0, Event::Wake { node: seat, at: air.now });
        villain
    }

    pub(super) fn deliver(&mut self, air: &mut Air, from: usize, messages: &[Message]) {
        for message in messages {
            self.learn(air, message);
            for side in 0..self.faces.len() {
                let own = message.closer() == Some(air.agent(self.seat));
                if !own && (self.faces.len() == 1 || self.side(air, from) == (side == 1)) {
                    let key = self.key(air, side);
                    self.faces[side].handle(air.now, message, &key);
                    self.drain(air, side);
                }
            }
            if let Some(signed) = message.signed() {
                let round = signed.statement().round;
                self.speak(air, round);
            }
        }
    }

    pub(super) fn wake(&mut self, air: &mut Air, at: Millis) {
        for side in 0..self.faces.len() {
            if self.wake_at[side] != at {
                continue;
            }
            let key = self.key(air, side);
            self.faces[side].wake(air.now, &key);
            self.drain(air, side);
        }
    }

    /// Hears from a fellow who shows the same face.
    pub(super) fn whisper(&mut self, air: &mut Air, side: usize, messages: &[Message]) {
        let (own, key) = (Some(air.agent(self.seat)), self.key(air, side));
        if self.kind != Kind::TwoFaced {
            return;
        }
        for message in messages.iter().filter(|message| message.closer() != own) {
            self.faces[side].handle(air.now, message, &key);
            self.drain(air, side);
        }
    }

    /// The key that one of its faces signs with: another than the other face's, if it has two.
    fn key(&self, air: &Air, side: usize) -> AgentKey {
        let keys = &air.keys[self.seat];
        keys[side % keys.len()].clone()
    }

    /// Acts without being asked: at the start, and whenever it sees fit.
    pub(super) fn scheme(&mut self, air: &mut Air) {
        self.speak(air, 0);
        if let Some(round) = self.spoken.keys().next_back().copied() {
            self.speak_up(air, round);
        }
        if self.kind == Kind::Replays && !self.heard.is_empty() {
            let at = usize::try_from(air.below(self.heard.len() as u64)).unwrap();
            let message = self.heard[at].clone();
            for to in 0..air.keys.len() {
                air.send(self.seat, to, std::slice::from_ref(&message));
            }
        }
        let pause = 100 + air.below(600);
        air.after(pause, Event::Scheme { node: self.seat });
    }

    /// Honest closers are split evenly when there are more villains than can be borne, so that they can conspire.
    fn side(&self, air: &Air, of: usize) -> bool {
        if air.faulty.len() <= air.instance.faulty_max() {
            return self.sides[of];
        }
        let before = (0..of).filter(|seat| !air.faulty.contains(seat)).count();
        before % 2 == 1
    }

    fn learn(&mut self, air: &mut Air, message: &Message) {
        if self.heard.len() < 64 {
            self.heard.push(message.clone());
        } else {
            let at = usize::try_from(air.below(64)).unwrap();
            self.heard[at] = message.clone();
        }
        let value = match &*message.content {
            Content::Proposal { signed, polka, value } => {
                self.proposed.entry(signed.statement().round).or_insert_with(|| value.clone());
                self.polkas.extend(polka.clone().map(|polka| (polka, value.clone())));
                value
            }
            Content::Polka { polka, value } => {
                self.polkas.push((polka.clone(), value.clone()));
                value
            }
            Content::Decision { value, .. } => value,
            Content::Vote(_) => return,
        };
        self.polkas.truncate(8);
        if !self.values.contains(value) && self.values.len() < 6 {
            self.values.push(value.clone());
        }
    }

    /// Says in a round whatever it says there, once.
    fn speak(&mut self, air: &mut Air, round: u32) {
        let speaks = match self.kind {
            Kind::Equivocates | Kind::Corrupts => true,
            Kind::Forgets => self.proposed.contains_key(&round) || self.leads(air, round),
            Kind::Withholds | Kind::Favours | Kind::Delays | Kind::Replays | Kind::TwoFaced => false,
        };
        if !speaks || self.spoken.contains_key(&round) {
            return;
        }
        let pick = |air: &mut Air, values: &[Value]| {
            values[usize::try_from(air.below(values.len() as u64)).unwrap()].clone()
        };
        let (one, other) = if self.kind == Kind::Forgets {
            let value = self.proposed.get(&round).unwrap_or(&self.values[0]).clone();
            (value.clone(), value)
        } else if self.kind == Kind::Corrupts {
            (self.values[0].clone(), self.values[0].clone())
        } else if air.faulty.contains(&air.instance.leader_seat(round).index()) {
            // All villains know what one of them proposes to whom.
            let leader = air.instance.leader_seat(round).index();
            (named("good value", leader), named("better value", leader))
        } else {
            (pick(air, &self.values), pick(air, &self.values))
        };
        self.spoken.insert(round, (one, other));
        self.speak_up(air, round);
    }

    /// Says it, again if need be.
    fn speak_up(&self, air: &mut Air, round: u32) {
        let Some((one, other)) = self.spoken.get(&round) else { return };
        let both = self.kind == Kind::Equivocates && air.chance(20);
        for to in 0..air.keys.len() {
            let (first, second) = if self.side(air, to) { (one, other) } else { (other, one) };
            let mut messages = self.say(air, round, first);
            if both {
                messages.extend(self.say(air, round, second));
            }
            if air.chance(10) {
                messages.push(self.vote(air, Step::Prevote, round, None));
            }
            air.send(self.seat, to, &messages);
        }
    }

    fn leads(&self, air: &Air, round: u32) -> bool {
        air.instance.leader_seat(round).index() == self.seat
    }

    /// Everything that speaks for one value in a round.
    fn say(&self, air: &Air, round: u32, value: &Value) -> Vec<Message> {
        let mut messages = Vec::new();
        if self.leads(air, round) {
            let polka = self.polkas.iter().find(|(polka, of)| polka.0.round() < round && of == value);
            let polka = polka.map(|(polka, _)| polka.clone());
            let said = Said {
                slot: Slot { round, step: Step::Proposal },
                value: Some(value.id()),
                valid_round: polka.as_ref().map(|polka| polka.0.round()),
            };
            let signed = self.sign(air, said);
            messages.push(Message::new(Content::Proposal { signed, polka, value: value.clone() }));
        }
        messages.push(self.vote(air, Step::Prevote, round, Some(value)));
        messages.push(self.vote(air, Step::Precommit, round, Some(value)));
        messages
    }

    fn vote(&self, air: &Air, step: Step, round: u32, value: Option<&Value>) -> Message {
        Message::new(Content::Vote(self.sign(air, Said::vote(step, round, value.map(Value::id)))))
    }

    fn sign(&self, air: &Air, said: Said) -> SignedStatement {
        // Whoever has two keys has both speak, the one here and the other there.
        let keys = &air.keys[self.seat];
        let key = &keys[said.value.map_or(0, |value| usize::from(value.0[0])) % keys.len()];
        let seat = Seat(u8::try_from(self.seat).unwrap());
        SignedStatement::sign(&air.instance, seat, said, key)
    }

    /// Does what a face asks for, more or less.
    fn drain(&mut self, air: &mut Air, side: usize) {
        let key = self.key(air, side);
        while let Some(output) = self.faces[side].poll() {
            match output {
                Output::Keep(entry) => self.show(air, side, &[entry.message().clone()]),
                Output::Send(messages) => self.show(air, side, &messages),
                Output::Answer(_) | Output::Evidence(_) | Output::Doubled(_) | Output::Decided { .. } => {}
                Output::Judge(value) => {
                    self.faces[side].judge(air.now, value.id(), is_valid(&value), &key);
                }
                Output::WakeAt(at) => {
                    self.wake_at[side] = at;
                    air.after(at.since(air.now), Event::Wake { node: self.seat, at });
                }
            }
        }
    }

    fn show(&self, air: &mut Air, side: usize, messages: &[Message]) {
        for to in 0..air.keys.len() {
            let kept_from = (self.kind == Kind::Favours && !self.sides[to])
                || (self.kind == Kind::TwoFaced && self.side(air, to) != (side == 1));
            if self.kind == Kind::TwoFaced && air.faulty.contains(&to) && to != self.seat {
                let delay = 1 + air.below(50);
                air.after(delay, Event::Whisper { to, side, messages: messages.to_vec() });
                continue;
            }
            if kept_from {
                continue;
            }
            if self.kind == Kind::Delays {
                let delay = 1_000 + air.below(4_000);
                let messages = messages.to_vec();
                air.after(delay, Event::Deliver { to, from: self.seat, messages });
            } else {
                air.send(self.seat, to, messages);
            }
        }
    }
}
