//! Attestations that count nothing any more are dropped. Which these are is read from the newest checkpoint, so all who know
//! it drop the same and take in none like them; what follows from records follows from those that are left.
//!
//! A node's own clock can only make it later: a committee that decides on a checkpoint of the future drops nothing.

use althing_record::{AgentId, Millis, Placement, Record, RecordId};
use althing_store::{ReadError, Snapshot, Table, prefix_end};
use althing_trust::{Ledger, RatingEpoch};

use crate::engine::Engine;
use crate::masses::MASS_EPOCHS;
use crate::rows::{
    CHAIN_FORK, DOUBLE_ATTESTATION, chain_key, chain_prefix, evidence_key, sync_key, trust_prefix,
};
use crate::{Note, Now, RatingsPruned};

/// Most attestations that one commit drops.
const STEP_RECORDS_MAX: usize = 128;

/// Most raters whose attestations are looked for at once.
const STEP_RATERS_MAX: usize = 512;

/// When what did not fit into one step goes on, in milliseconds.
const STEP_MS: u64 = 50;

/// The row that says what was dropped: the first rating epoch that was kept, and how many records.
const PRUNED: &[u8] = b"ratings_pruned";

/// What is dropped of that which raters publish.
#[derive(Debug, Default)]
pub(crate) struct Pruning {
    /// Attestations of earlier rating epochs are not taken in. It never goes back: an own link that came again would look
    /// like one that another copy of this directory signed.
    horizon: RatingEpoch,
    dropped: u64,
    /// Where in the view it goes on; none: it came to the end.
    from: Option<Vec<u8>>,
    /// Not before, on the clock of [`Now::ticks`].
    due: u64,
}

impl Pruning {
    /// Whether attestations of a rating epoch count nothing any more.
    pub(crate) fn is_faded(&self, epoch: RatingEpoch) -> bool {
        epoch < self.horizon
    }

    /// When the engine wants to look at it again.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.from.as_ref().map(|_| self.due)
    }

    fn to_row(&self) -> Vec<u8> {
        [self.horizon.0.to_be_bytes(), self.dropped.to_be_bytes()].concat()
    }

    fn read(row: &[u8]) -> Option<Self> {
        let ([horizon, dropped], []) = row.as_chunks::<8>() else { return None };
        let (horizon, dropped) = (u64::from_be_bytes(*horizon), u64::from_be_bytes(*dropped));
        // A crash may have come in the middle of it.
        Some(Self { horizon: RatingEpoch(horizon), dropped, from: Some(Vec::new()), due: 0 })
    }
}

/// The first rating epoch of which attestations are kept, if the newest checkpoint is of this one. What a question about an
/// earlier rating epoch can still look at stays.
fn kept_from(newest: RatingEpoch) -> RatingEpoch {
    Ledger::horizon(RatingEpoch(newest.0.saturating_sub(MASS_EPOCHS)))
}

impl<S: Snapshot> Engine<S> {
    /// What was dropped so far.
    #[must_use]
    pub fn ratings_pruned(&self) -> RatingsPruned {
        RatingsPruned { before: self.pruning.horizon, records: self.pruning.dropped }
    }

    /// Attestations that were made before count nothing any more, and nobody is asked for them.
    pub(crate) fn ratings_cut(&self) -> Millis {
        let (horizon, genesis) = (self.pruning.horizon.0, self.network.genesis());
        if horizon == 0 {
            return Millis(0);
        }
        // They are made when their rating epoch is over.
        genesis.created.plus(genesis.rating_epoch_ms.saturating_mul(horizon.saturating_add(1)))
    }

    /// Reads how far this directory came.
    pub(crate) fn resume_pruning(&mut self) -> Result<(), ReadError> {
        let row = self.store.get(Table::Meta, PRUNED)?;
        self.pruning = row.as_deref().and_then(Pruning::read).unwrap_or_default();
        Ok(())
    }

    /// Drops what the newest checkpoint lets go, a bounded number of records at a time.
    pub(crate) fn pump_pruning(&mut self, now: Now) -> Result<(), ReadError> {
        if self.read_only {
            return Ok(());
        }
        let present = RatingEpoch::of(self.signing_time(now), self.network.genesis());
        let ended = RatingEpoch(present.0.saturating_sub(1));
        let newest = self.newest_checkpointed().map_or(RatingEpoch(0), |newest| newest.min(ended));
        let horizon = kept_from(newest);
        if horizon > self.pruning.horizon {
            self.pruning.horizon = horizon;
            self.pruning.from = Some(Vec::new());
            self.pruning.due = now.ticks;
            self.put(Table::Meta, PRUNED.to_vec(), self.pruning.to_row());
            self.forget_faded();
        }
        match self.pruning.from.take() {
            Some(from) if self.pruning.due <= now.ticks => self.prune(from, now),
            from => {
                self.pruning.from = from;
                Ok(())
            }
        }
    }

    /// Takes what counts nothing any more out of what is in memory.
    fn forget_faded(&mut self) {
        self.checkpoints.forget(self.pruning.horizon);
        self.proofs.forget(self.pruning.horizon);
    }

    fn prune(&mut self, mut from: Vec<u8>, now: Now) -> Result<(), ReadError> {
        let (mut dropped, mut raters) = (0, 0);
        while dropped < STEP_RECORDS_MAX && raters < STEP_RATERS_MAX {
            let next = self.store.scan(Table::TrustView, &from, &prefix_end(&[]), 1)?.pop();
            let Some((rater, key)) =
                next.and_then(|(key, _)| Some((AgentId::try_from(key.get(..32)?).ok()?, key)))
            else {
                self.tell_pruned(dropped);
                self.forget_faded();
                return Ok(());
            };
            let until = trust_prefix(rater, self.pruning.horizon);
            if key < until {
                for (key, _) in self.store.scan(Table::TrustView, &key, &until, STEP_RECORDS_MAX - dropped)? {
                    self.drop_attestations(rater, &key)?;
                    dropped += 1;
                    from = [&key[..], &[0]].concat();
                }
            } else {
                from = prefix_end(&rater.0);
                raters += 1;
            }
        }
        self.tell_pruned(dropped);
        self.pruning.from = Some(from);
        self.pruning.due = now.ticks.saturating_add(STEP_MS);
        Ok(())
    }

    fn tell_pruned(&mut self, dropped: usize) {
        if dropped > 0 {
            let records = dropped as u64;
            self.pruning.dropped = self.pruning.dropped.saturating_add(records);
            self.put(Table::Meta, PRUNED.to_vec(), self.pruning.to_row());
            self.note(Note::RatingsPruned { records, before: self.pruning.horizon });
        }
    }

    /// Removes all that is here of one record, as if it had never come.
    fn drop_attestations(&mut self, rater: AgentId, key: &[u8]) -> Result<(), ReadError> {
        self.delete(Table::TrustView, key.to_vec());
        let (epoch, id) =
            key.get(32..).unwrap_or_default().split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        let Ok(id) = RecordId::try_from(id) else { return Ok(()) };
        let double = evidence_key(rater, DOUBLE_ATTESTATION, epoch);
        if self.store.get(Table::EvidenceView, &double)?.is_some() {
            self.delete(Table::EvidenceView, double.clone());
            self.note_cleared(double);
        }
        self.drop_proofs(RatingEpoch(u64::from_be_bytes(*epoch)), rater, id);
        if let Some(record) = self.record(id)? {
            self.drop_link(&record)?;
            self.delete(Table::Records, id.0.to_vec());
            if let Some(domain) = record.kind().domain() {
                self.delete(Table::SyncView, sync_key(domain, record.made(), id));
                self.reconciler.changed(domain);
            }
        }
        Ok(())
    }

    /// Takes a record out of its chain. A fork is one as long as two branches are there.
    fn drop_link(&mut self, record: &Record) -> Result<(), ReadError> {
        let Placement::Chain { stream, incarnation, seq, .. } = &record.header().placement else {
            return Ok(());
        };
        let prefix = chain_prefix(record.agent(), stream, *incarnation);
        self.delete(Table::Chain, chain_key(&prefix, *seq, record.id()));
        let position = [&prefix[..], &seq.to_be_bytes()].concat();
        let fork = evidence_key(record.agent(), CHAIN_FORK, &position[32..]);
        if self.store.get(Table::EvidenceView, &fork)?.is_none() {
            return Ok(());
        }
        let left = self.store.scan_prefix(Table::Chain, &position, 2)?;
        match &left[..] {
            [(first, _), (second, _)] => {
                let ids = [&first[position.len()..], &second[position.len()..]].concat();
                self.put(Table::EvidenceView, fork.clone(), ids);
            }
            _ => self.delete(Table::EvidenceView, fork.clone()),
        }
        self.note_cleared(fork);
        Ok(())
    }

    /// Somebody may have nothing against them any more.
    fn note_cleared(&mut self, case: Vec<u8>) {
        self.cases.get_mut().note_case(case);
        self.ratings.note_change();
        self.checkpoints.note_change();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_read_back_and_others_are_none() {
        let pruning = Pruning { horizon: RatingEpoch(224), dropped: 9, ..Pruning::default() };
        let read = Pruning::read(&pruning.to_row()).unwrap();
        assert_eq!((read.horizon, read.dropped, read.from), (RatingEpoch(224), 9, Some(Vec::new())));
        assert!(Pruning::read(&[0; 15]).is_none() && Pruning::read(&[0; 24]).is_none());
    }

    #[test]
    fn what_is_kept_begins_with_what_counts_where_questions_still_look() {
        assert_eq!(kept_from(RatingEpoch(0)), RatingEpoch(0));
        assert_eq!(kept_from(RatingEpoch(3_584 + 63)), RatingEpoch(0));
        assert_eq!(kept_from(RatingEpoch(3_584 + 64)), RatingEpoch(112));
        assert_eq!(kept_from(RatingEpoch(3_584 + 64 + 111)), RatingEpoch(112));
        for newest in (0..9_000).map(RatingEpoch) {
            assert!(kept_from(newest) <= Ledger::horizon(newest));
        }
    }
}
