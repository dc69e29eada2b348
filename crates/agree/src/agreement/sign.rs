use std::sync::Arc;

use althing_record::Digest;
use arc_malachitebft_core_types as bft;
use bft::NilOrVal;

use super::Agreement;
use crate::certificate::Polka;
use crate::context::Vote;
use crate::instance::Seat;
use crate::message::{Content, Message};
use crate::statement::{Said, SignedStatement, Signer, Slot, Step};
use crate::{Entry, Output, Value};

impl Agreement {
    fn signs(&self) -> Option<Seat> {
        self.own.filter(|_| !self.silent && !self.doubled && self.decision.is_none())
    }

    /// Proposes if it is this closer's turn: what a quorum last prevoted, else what was offered.
    pub(super) fn propose(&mut self, signer: Signer<'_>) {
        let slot = Slot { round: self.round, step: Step::Proposal };
        let Some(seat) = self.signs().filter(|seat| *seat == self.instance.leader_seat(self.round)) else {
            return;
        };
        if !self.driver.step_is_propose() || self.kept.contains_key(&slot) {
            return;
        }
        let polka = self.polka.clone().filter(|polka| polka.0.round() < self.round);
        let bound = polka.as_ref().and_then(|polka| self.values.get(&polka.0.value()));
        let (polka, value) = match bound {
            Some((value, Some(true))) => (polka, value.clone()),
            // The user's word is on its way.
            Some((_, None)) => return,
            Some((_, Some(false))) | None => match self.offer.clone() {
                Some(offer) => (None, offer),
                None => return,
            },
        };
        let said =
            Said { slot, value: Some(value.id()), valid_round: polka.as_ref().map(|polka| polka.0.round()) };
        let signed = SignedStatement::sign(&self.instance, seat, said, signer);
        let content =
            Content::Proposal { signed: signed.clone(), polka: polka.clone(), value: value.clone() };
        self.keep(Entry::new(Message::new(content), signed.clone(), None));
        self.take_proposal(&signed, polka, &value);
    }

    /// Signs a vote, unless there is one for its place already.
    pub(super) fn cast(&mut self, vote: &Vote, signer: Signer<'_>) {
        let Some((seat, round)) = self.signs().zip(vote.round.as_u32()) else { return };
        let step = match vote.step {
            bft::VoteType::Prevote => Step::Prevote,
            bft::VoteType::Precommit => Step::Precommit,
        };
        let value = match vote.value {
            NilOrVal::Nil => None,
            NilOrVal::Val(value) => Some(value),
        };
        let said = Said::vote(step, round, value);
        if self.kept.contains_key(&said.slot) {
            return;
        }
        let lock = match value.filter(|_| step == Step::Precommit) {
            None => None,
            Some(value) => {
                let lock = self.lock_for(round, value);
                if lock.is_none() {
                    return;
                }
                lock
            }
        };
        let signed = SignedStatement::sign(&self.instance, seat, said, signer);
        self.keep(Entry::new(Message::new(Content::Vote(signed.clone())), signed, lock));
    }

    /// What a precommit rests on.
    fn lock_for(&self, round: u32, value: Digest) -> Option<(Polka, Value)> {
        let polka =
            self.polka.clone().filter(|polka| (polka.0.round(), polka.0.value()) == (round, value))?;
        let (value, _) = self.values.get(&value)?;
        Some((polka, value.clone()))
    }

    fn keep(&mut self, entry: Entry) {
        let entry = Arc::new(entry);
        self.kept.insert(entry.signed().slot(), entry.clone());
        self.note(entry.signed());
        self.outputs.push_back(Output::Keep(entry));
    }
}
