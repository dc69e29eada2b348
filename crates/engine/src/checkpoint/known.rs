//! Which motions there are, and whether they were passed.

use althing_ballot::{Choice, Outcome, Proposal, proposals_on};
use althing_record::RecordId;
use althing_store::{ReadError, Snapshot};

use super::Known;
use super::motion::{Motion, yes_needed};
use crate::engine::Engine;

impl<S: Snapshot> Engine<S> {
    /// A proposal is in the view; it may move for a checkpoint.
    pub(crate) fn fold_motion(&mut self, id: RecordId) -> Result<(), ReadError> {
        if !self.has_checkpoints() {
            return Ok(());
        }
        let Some(proposal) = self.proposal(id)?.filter(|proposal| proposal.subject.is_some()) else {
            return Ok(());
        };
        let Some(record) = self.record(id)? else { return Ok(()) };
        match Motion::read(&record, &self.network) {
            Some(motion) if self.checkpoints.place_after(motion.prev).is_some() => {
                self.know(&proposal, motion)
            }
            Some(_) | None => Ok(()),
        }
    }

    fn know(&mut self, proposal: &Proposal, motion: Motion) -> Result<(), ReadError> {
        let (id, mover) = (proposal.id, proposal.proposer);
        let known = Known { motion, mover, passed: None, is_link: false, is_disputed: false, seen: None };
        self.checkpoints.motions.entry(id).or_insert(known);
        self.closings.note_motion(id);
        self.note_motion(proposal)
    }

    /// Finds the motions for what follows a checkpoint. Strangers may have put proposals on the same subject.
    pub(super) fn load_motions(&mut self, prev: Option<RecordId>) -> Result<(), ReadError> {
        let Some(subject) = Motion::key(&self.network, prev) else { return Ok(()) };
        for id in proposals_on(&self.store, subject, usize::MAX)? {
            let (Some(proposal), Some(record)) = (self.proposal(id)?, self.record(id)?) else { continue };
            if let Some(motion) = Motion::read(&record, &self.network).filter(|motion| motion.prev == prev) {
                self.know(&proposal, motion)?;
            }
        }
        Ok(())
    }

    /// Whether a motion was passed: it was decided, and so many said yes that no rival can have as many.
    fn is_carried(&self, proposal: &Proposal) -> Result<Option<bool>, ReadError> {
        let Some(counted) = self.closed_count(proposal)? else { return Ok(None) };
        let yes = counted.0.choices.values().filter(|choice| **choice == Choice::Option(0)).count();
        let members = proposal.electorate.voters().len();
        Ok(Some(counted.1.decides() == Outcome::Decided(0) && yes >= yes_needed(members)))
    }

    /// A vote has an outcome; it may be that of a motion.
    pub(crate) fn note_motion(&mut self, proposal: &Proposal) -> Result<(), ReadError> {
        if self.checkpoints.motions.contains_key(&proposal.id) {
            let passed = self.is_carried(proposal)?;
            let is_disputed = passed == Some(false) && self.is_wanted_here(proposal.id)?;
            let state = &mut self.checkpoints;
            if let Some(known) = state.motions.get_mut(&proposal.id) {
                (known.passed, known.is_disputed) = (passed, is_disputed);
                let checkpoint = known.motion.checkpoint;
                if passed == Some(false) && state.chain.last().is_none_or(|tip| tip.checkpoint != checkpoint)
                {
                    state.judged.remove(&checkpoint);
                }
            }
            state.is_news = true;
        }
        Ok(())
    }
}
