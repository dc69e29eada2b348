use std::sync::Arc;

use althing_record::{AgentId, Millis, SIGNATURE_LEN};
use arc_malachitebft_core_driver::Input;
use arc_malachitebft_core_types as bft;
use bft::{Round, SignedProposal, Timeout, Validity};

use super::{Agreement, Held, engine_polka};
use crate::certificate::Polka;
use crate::context::{HEIGHT, Named, Proposal};
use crate::message::Content;
use crate::statement::{Keys, Slot, Step};
use crate::{Entry, EntryError, Instance, Value};

/// Why an agreement cannot go on from what was kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// An entry cannot be read.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// An entry is another closer's.
    #[error("entry is {found}'s, not this closer's")]
    NotOwn {
        /// Whose.
        found: AgentId,
    },
    /// Two different messages were kept for one place: one of them must not have been signed.
    #[error("two different messages were kept for {step:?} of round {round}")]
    Twice {
        /// In which round.
        round: u32,
        /// In which step.
        step: Step,
    },
}

impl Agreement {
    /// Goes on after a stop from every entry that was kept, in any order. Nothing is signed that contradicts one of
    /// them, and the lock is the one of the last precommit for a value.
    ///
    /// A decision that was made before the stop is not among them: hand its message to
    /// [`handle`](Agreement::handle).
    ///
    /// # Errors
    /// When an entry is not this closer's of this decision, or two contradict each other.
    pub fn restore(
        instance: Arc<Instance>,
        own: Option<AgentId>,
        entries: &[impl AsRef<[u8]>],
        keys: Keys<'_>,
        now: Millis,
    ) -> Result<Self, RestoreError> {
        let mut agreement = Self::idle(instance, own, now);
        for bytes in entries {
            let entry = Entry::verify(bytes.as_ref(), &agreement.instance, keys)?;
            agreement.take_back(entry)?;
        }
        agreement.resume(now);
        Ok(agreement)
    }

    fn take_back(&mut self, entry: Entry) -> Result<(), RestoreError> {
        let signed = entry.signed();
        if Some(signed.seat()) != self.own {
            return Err(RestoreError::NotOwn { found: signed.statement().closer });
        }
        let slot = signed.slot();
        match self.kept.get(&slot) {
            Some(other) if !other.signed().statement().says_as(signed.statement()) => {
                Err(RestoreError::Twice { round: slot.round, step: slot.step })
            }
            Some(_) => Ok(()),
            None => {
                self.kept.insert(slot, Arc::new(entry));
                Ok(())
            }
        }
    }

    /// Brings the engine to where it was: locked as by the last precommit for a value, in the last round that a
    /// message was signed in, past the steps that were signed.
    fn resume(&mut self, now: Millis) {
        let lock = self.kept.values().rev().find_map(|entry| entry.lock.clone());
        let locked_round = lock.as_ref().map(|(polka, _)| polka.0.round());
        if let Some((polka, value)) = lock {
            self.lock(polka, value);
        }
        let last = self.kept.keys().next_back().map_or(0, |slot| slot.round);
        if locked_round != Some(last) {
            if let Some(round) = locked_round {
                self.replay(Input::TimeoutElapsed(Timeout::precommit(Round::new(round))));
            }
            self.replay_new_round(last);
            let said = |step| self.kept.contains_key(&Slot { round: last, step });
            let (prevoted, precommitted) = (said(Step::Prevote), said(Step::Precommit));
            if prevoted || precommitted {
                self.replay(Input::TimeoutElapsed(Timeout::propose(Round::new(last))));
            }
            if precommitted {
                self.replay(Input::TimeoutElapsed(Timeout::prevote(Round::new(last))));
            }
        }
        self.round = last;
        if self.driver.step_is_propose() {
            self.schedule(now, Step::Proposal);
        }
        let kept: Vec<_> = self.kept.values().cloned().collect();
        for entry in kept {
            self.note(entry.signed());
            if let Content::Proposal { signed, polka, value } = &*entry.message().content {
                let round = signed.statement().round;
                self.values.insert(value.id(), (value.clone(), Some(true)));
                let (signed, polka) = (signed.clone(), polka.clone());
                self.proposals.insert(round, Held { signed, polka, fed: false });
                self.feed_proposal(round);
            }
        }
        self.forget();
        self.tell_when_to_wake();
    }

    /// Shows the engine the proposal and the prevotes that allowed the precommit, which locks it.
    fn lock(&mut self, polka: Polka, value: Value) {
        let round = Round::new(polka.0.round());
        self.replay_new_round(polka.0.round());
        let proposal = Proposal {
            seat: self.instance.leader_seat(polka.0.round()),
            round,
            valid_round: Round::Nil,
            value: Named(value.id()),
        };
        self.replay(Input::Proposal(SignedProposal::new(proposal, [0; SIGNATURE_LEN]), Validity::Valid));
        self.replay(Input::PolkaCertificate(engine_polka(&polka)));
        self.values.insert(value.id(), (value, Some(true)));
        self.polka = Some(polka);
    }

    fn replay_new_round(&mut self, round: u32) {
        let leader = self.instance.leader_seat(round);
        self.replay(Input::NewRound(HEIGHT, Round::new(round), leader));
    }

    /// Tells the engine what happened before, and does nothing of what it asks for: that was done.
    fn replay(&mut self, input: Input<crate::context::Decision>) {
        self.driver.process(input).expect("inputs name the decision and its closers");
    }
}
