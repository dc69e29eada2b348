use std::collections::{BTreeMap, BTreeSet};

use althing_record::AgentId;
use althing_trust::{RatingEpoch, Unproved};

/// Most rows that are to be struck out; further ones take the place of those of the rater with the most.
const ROWS_MAX: usize = 65_536;

/// Most of one rater.
const ROWS_OF_ONE_MAX: usize = 256;

/// Rows that were demanded and not proved in time, and that no checkpoint struck out.
#[derive(Debug, Default)]
pub(crate) struct UnprovedRows {
    of: BTreeMap<AgentId, BTreeSet<Unproved>>,
    count: usize,
    /// Whether there are others, for which there was no room.
    is_cut: bool,
}

impl UnprovedRows {
    pub(super) fn insert(&mut self, row: Unproved) {
        let known = self.of.get(&row.rater);
        if known.is_some_and(|rows| rows.contains(&row)) {
            return;
        }
        let own = known.map_or(0, BTreeSet::len);
        if own >= ROWS_OF_ONE_MAX || (self.count >= ROWS_MAX && !self.make_room(own)) {
            self.is_cut = true;
            return;
        }
        self.of.entry(row.rater).or_default().insert(row);
        self.count += 1;
    }

    /// Drops a row of the rater with the most, if it has more than one with `own` would have.
    fn make_room(&mut self, own: usize) -> bool {
        let most = self.of.values().max_by_key(|rows| rows.len()).filter(|rows| rows.len() > own + 1);
        let Some(last) = most.and_then(|rows| rows.last().copied()) else { return false };
        self.remove(&last);
        self.is_cut = true;
        true
    }

    pub(super) fn remove(&mut self, row: &Unproved) {
        if let Some(rows) = self.of.get_mut(&row.rater) {
            self.count -= usize::from(rows.remove(row));
            if rows.is_empty() {
                self.of.remove(&row.rater);
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Unproved> {
        self.of.values().flatten().copied()
    }

    /// Rows of rating epochs before `horizon` count nothing anyway.
    pub(super) fn forget(&mut self, horizon: RatingEpoch) {
        let old: Vec<_> = self.iter().filter(|row| row.epoch < horizon).collect();
        old.iter().for_each(|row| self.remove(row));
    }

    /// Whether there was no room for others since this was last asked.
    pub(super) fn take_cut(&mut self) -> bool {
        std::mem::take(&mut self.is_cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(rater: u32, row: u32, epoch: u64) -> Unproved {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&rater.to_be_bytes());
        Unproved { rater: AgentId(id), epoch: RatingEpoch(epoch), row }
    }

    #[test]
    fn a_flood_of_rows_keeps_no_other_rater_out() {
        let mut rows = UnprovedRows::default();
        for rater in 0..300 {
            (0..1_024).for_each(|at| rows.insert(row(rater, at, 1)));
        }
        assert_eq!((rows.count, rows.iter().count()), (ROWS_MAX, ROWS_MAX));
        let late = row(1_000, 5, 2);
        rows.insert(late);
        rows.insert(late);
        assert!(rows.iter().any(|one| one == late));
        assert_eq!((rows.count, rows.iter().count()), (ROWS_MAX, ROWS_MAX));
        assert!(rows.take_cut() && !rows.take_cut(), "some had no room");
        rows.forget(RatingEpoch(2));
        assert_eq!((rows.iter().collect::<Vec<_>>(), rows.count), (vec![late], 1));
        rows.remove(&late);
        rows.remove(&late);
        assert!(rows.of.is_empty() && rows.count == 0);
    }
}
