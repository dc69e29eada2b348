//! Which of what is new a checkpoint names, if it has no room for all. The order is another one after each checkpoint, and
//! nobody knows it before: whoever would have its entries come first has to make new ones for every place of the chain.

use std::collections::BTreeMap;

use althing_record::{AgentId, Digest, RecordId, merkle};
use althing_trust::{CHANGES_MAX, RatingEpoch, TAKEN_MAX, Unproved};

/// Most rows of one rater that one checkpoint strikes out while others have some.
const ROWS_OF_ONE_MAX: usize = 4;

/// Attestations that a checkpoint takes.
pub(super) fn taken(
    prev: Option<RecordId>,
    waiting: impl Iterator<Item = (RatingEpoch, RecordId)>,
) -> Vec<(RatingEpoch, RecordId)> {
    first(prev, waiting, TAKEN_MAX, |(epoch, id)| [&epoch.0.to_be_bytes()[..], &id.0].concat())
}

/// Agents whose account it changes.
pub(super) fn agents(prev: Option<RecordId>, changed: impl Iterator<Item = AgentId>) -> Vec<AgentId> {
    first(prev, changed, CHANGES_MAX, |agent| agent.0.to_vec())
}

/// Rows that it strikes out.
pub(super) fn rows(prev: Option<RecordId>, unproved: impl Iterator<Item = Unproved>) -> Vec<Unproved> {
    let bytes =
        |row: &Unproved| [&row.rater.0[..], &row.epoch.0.to_be_bytes(), &row.row.to_be_bytes()].concat();
    let all: Vec<_> = unproved.collect();
    if all.len() <= CHANGES_MAX {
        return first(prev, all.into_iter(), CHANGES_MAX, bytes);
    }
    let mut of_rater: BTreeMap<AgentId, Vec<Unproved>> = BTreeMap::new();
    all.into_iter().for_each(|row| of_rater.entry(row.rater).or_default().push(row));
    let few = of_rater.into_values().flat_map(|rows| first(prev, rows.into_iter(), ROWS_OF_ONE_MAX, bytes));
    first(prev, few, CHANGES_MAX, bytes)
}

/// At most so many entries, in their own order: those with the lowest lots.
fn first<T: Ord>(
    prev: Option<RecordId>,
    entries: impl Iterator<Item = T>,
    limit: usize,
    bytes: impl Fn(&T) -> Vec<u8>,
) -> Vec<T> {
    let mut all: Vec<T> = entries.collect();
    if all.len() > limit {
        let mut lots: Vec<(Digest, T)> =
            all.into_iter().map(|entry| (lot(prev, &bytes(&entry)), entry)).collect();
        lots.select_nth_unstable(limit);
        lots.truncate(limit);
        all = lots.into_iter().map(|(_, entry)| entry).collect();
    }
    all.sort_unstable();
    all
}

fn lot(prev: Option<RecordId>, entry: &[u8]) -> Digest {
    let prev = prev.map_or([0; 32], |prev| prev.0);
    merkle::leaf_hash(&[&b"althing/lot/1"[..], &prev, entry].concat())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn row(rater: u8, row: u32) -> Unproved {
        Unproved { rater: AgentId([rater; 32]), epoch: RatingEpoch(1), row }
    }

    #[test]
    fn what_fits_is_all_named_and_of_more_another_part_after_each_checkpoint() {
        let agent = |n: u8| AgentId([n; 32]);
        let few: Vec<_> = (0..64).map(agent).collect();
        assert_eq!(agents(None, few.iter().rev().copied()), few);
        let named = |prev: u8| agents(Some(RecordId([prev; 32])), (0..128).map(agent));
        let all: BTreeSet<_> = (0..20).flat_map(named).collect();
        assert_eq!(all.len(), 128, "nobody is kept out for ever");
        assert!((0..20).all(|prev| named(prev).len() == 64 && named(prev).is_sorted()));
    }

    #[test]
    fn a_flood_of_one_raters_rows_leaves_room_for_others() {
        let flood = (0..1_000).map(|at| row(1, at));
        let named = rows(None, flood.chain([row(9, 3)]));
        assert_eq!(named.len(), ROWS_OF_ONE_MAX + 1);
        assert!(named.contains(&row(9, 3)));
        assert_eq!(rows(None, (0..64).map(|at| row(1, at))).len(), 64, "as long as there is room");
        let many = (0..32).flat_map(|rater| (0..8).map(move |at| row(rater, at)));
        assert_eq!(rows(None, many).len(), CHANGES_MAX);
    }
}
