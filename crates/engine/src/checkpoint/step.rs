use std::collections::{BTreeMap, BTreeSet};

use althing_record::{AgentId, RecordId};
use althing_trust::{Attestations, Ledger, Rating, RatingEpoch};

/// Rows that count nothing any more, by rater and rating epoch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Struck(BTreeMap<(AgentId, RatingEpoch), BTreeSet<u32>>);

impl Struck {
    pub(super) fn insert(&mut self, rater: AgentId, epoch: RatingEpoch, row: u32) {
        self.0.entry((rater, epoch)).or_default().insert(row);
    }

    pub(crate) fn contains(&self, rater: AgentId, epoch: RatingEpoch, row: u32) -> bool {
        self.0.get(&(rater, epoch)).is_some_and(|rows| rows.contains(&row))
    }

    /// The struck rows of one attestation.
    pub(crate) fn of<'a>(&'a self, said: &'a Attestations) -> impl Iterator<Item = Withdrawal> + 'a {
        let rows = self.0.get(&(said.rater, said.epoch)).into_iter().flatten();
        rows.filter_map(|row| Withdrawal::of(said, *row))
    }

    /// Rows of rating epochs before `horizon` count nothing anyway.
    pub(super) fn forget(&mut self, horizon: RatingEpoch) {
        self.0.retain(|(_, epoch), _| *epoch >= horizon);
    }
}

/// A row that is taken out of the ledger.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Withdrawal {
    id: RecordId,
    rater: AgentId,
    epoch: RatingEpoch,
    row: u32,
    rating: Rating,
}

impl Withdrawal {
    /// A row of an attestation, if it has so many.
    pub(super) fn of(said: &Attestations, row: u32) -> Option<Self> {
        let of_row = said.rows.get(usize::try_from(row).ok()?)?;
        let rating = Rating { target: of_row.target, counts: of_row.counts };
        Some(Self { id: said.id, rater: said.rater, epoch: said.epoch, row, rating })
    }

    pub(crate) fn apply(&self, ledger: &mut Ledger) -> bool {
        ledger.withdraw(self.id, self.rater, self.epoch, (self.row, &self.rating))
    }
}

/// What a checkpoint does to the ledger of the one before it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Step {
    pub(super) taken: Vec<Taken>,
    pub(super) withdrawn: Vec<Withdrawal>,
}

/// An attestation as the ledger takes it.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) id: RecordId,
    pub(super) rater: AgentId,
    pub(super) epoch: RatingEpoch,
    pub(super) ratings: Vec<Rating>,
}

impl Step {
    pub(super) fn take(&mut self, said: &Attestations) {
        let (id, rater, epoch) = (said.id, said.rater, said.epoch);
        self.taken.push(Taken { id, rater, epoch, ratings: said.ratings() });
    }

    pub(crate) fn apply(&self, ledger: &mut Ledger) {
        for said in &self.taken {
            ledger.apply(said.id, said.rater, said.epoch, &said.ratings);
        }
        for row in &self.withdrawn {
            row.apply(ledger);
        }
        ledger.settle();
    }
}
