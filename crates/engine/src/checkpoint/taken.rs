//! Which checkpoint took which attestation.

use althing_record::RecordId;
use althing_store::Snapshot;
use althing_trust::RatingEpoch;

use crate::engine::Engine;

impl<S: Snapshot> Engine<S> {
    /// The checkpoint that took an attestation, which was signed before anybody could know it. It may be forgotten of what
    /// counts nothing any more.
    #[must_use]
    pub fn checkpoint_with(&self, epoch: RatingEpoch, id: RecordId) -> Option<RecordId> {
        self.checkpoints.taken_by.get(&(epoch, id)).copied()
    }
}
