//! Motions for checkpoints: they are taken up however many other votes are open, for nothing else goes on without them.

use althing_ballot::{Choice, Proposal, ballots_for};
use althing_record::RecordId;
use althing_store::{ReadError, Snapshot};

use super::{Closings, LOOK_MS, OpenVote};
use crate::Now;
use crate::engine::Engine;

/// Most motions that are open for one member that made them, and again for one that said yes to them. Whoever is honest
/// says yes to one at a time, so what binds it is closed by everybody, whatever others move.
const MOTIONS_OF_ONE_MAX: usize = 8;

/// "yes" among the options of a motion.
const YES: Choice = Choice::Option(0);

impl Closings {
    /// A motion may be one to take up.
    pub(crate) fn note_motion(&mut self, id: RecordId) {
        self.motions.insert(id);
    }
}

impl<S: Snapshot> Engine<S> {
    /// Takes up motions whose place in the chain was not known when they came, or for which there was no room then.
    pub(super) fn open_motions_late(&mut self, now: Now) -> Result<(), ReadError> {
        let is_time = now.ticks >= self.closings.motions_looked.saturating_add(LOOK_MS);
        if self.closings.motions_wait && is_time {
            (self.closings.motions_wait, self.closings.motions_looked) = (false, now.ticks);
            self.closings.motions.extend(self.checkpoints.undecided());
        }
        for id in std::mem::take(&mut self.closings.motions) {
            let is_open = self.closings.open.contains_key(&id);
            if let Some(proposal) = self.proposal(id)?.filter(|_| !is_open) {
                self.open_closing(&proposal, true, now)?;
            }
        }
        Ok(())
    }

    pub(super) fn has_room_for_motion(&self, proposal: &Proposal) -> Result<bool, ReadError> {
        let by = |open: &OpenVote| open.proposal.proposer == proposal.proposer;
        if self.has_few_motions(by) {
            return Ok(true);
        }
        let cast = ballots_for(&self.store, proposal.id, None)?;
        let yes = cast.into_iter().filter(|cast| cast.ballot.choice == YES).map(|cast| cast.ballot.voter);
        Ok(yes.filter(|voter| proposal.electorate.weight(*voter).is_some()).any(|voter| {
            let every = (voter, RecordId([0; 32]))..=(voter, RecordId([0xff; 32]));
            self.has_few_motions(|open| open.choices.range(every.clone()).any(|(_, choice)| *choice == YES))
        }))
    }

    fn has_few_motions(&self, of: impl Fn(&OpenVote) -> bool) -> bool {
        let motions = self.closings.open.iter().filter(|(id, _)| self.checkpoints.is_motion(**id));
        motions.filter(|(_, open)| of(open)).count() < MOTIONS_OF_ONE_MAX
    }
}
