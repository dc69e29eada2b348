//! The rows of [`Table::ProofView`](althing_store::Table::ProofView).

use std::collections::BTreeSet;

use althing_record::{AgentId, RecordId};
use althing_trust::{RatingEpoch, Unproved};

/// Before the place of a record whose receipts are to be demanded.
const WAITING: u8 = b'w';

/// Before the place of a record of which all is known.
const VERDICT: u8 = b'v';

/// Whose record on which rating epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) epoch: RatingEpoch,
    pub(super) rater: AgentId,
    pub(super) record: RecordId,
}

impl Place {
    /// The rows that a verdict names.
    pub(super) fn unproved(self, verdict: &[u8]) -> impl Iterator<Item = Unproved> {
        let rows = verdict.as_chunks().0.iter().map(|row| u32::from_be_bytes(*row));
        rows.map(move |row| Unproved { rater: self.rater, epoch: self.epoch, row })
    }

    fn key(self, tag: u8) -> Vec<u8> {
        [&[tag][..], &self.epoch.0.to_be_bytes(), &self.rater.0, &self.record.0].concat()
    }
}

/// How far a record's receipts were shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Waiting {
    /// How often the rater was asked in vain.
    pub(super) tries: u8,
    /// How often it had no room since the last time; not kept.
    pub(super) busy: u8,
    /// The first row to ask for.
    pub(super) cursor: u16,
    /// The rows that are proved.
    pub(super) proved: BTreeSet<u16>,
}

impl Waiting {
    pub(super) fn read(row: &[u8]) -> Self {
        let Some(([tries, high, low], proved)) = row.split_first_chunk() else { return Self::default() };
        let proved = proved.as_chunks().0.iter().map(|row| u16::from_be_bytes(*row)).collect();
        Self { tries: *tries, busy: 0, cursor: u16::from_be_bytes([*high, *low]), proved }
    }

    pub(super) fn to_row(&self) -> Vec<u8> {
        let proved = self.proved.iter().flat_map(|row| row.to_be_bytes());
        [self.tries].into_iter().chain(self.cursor.to_be_bytes()).chain(proved).collect()
    }

    /// The rows from the cursor on that are not proved, of so many.
    pub(super) fn missing(&self, rows: usize, limit: usize) -> Vec<u16> {
        let rows = u16::try_from(rows).unwrap_or(u16::MAX);
        (self.cursor..rows).filter(|row| !self.proved.contains(row)).take(limit).collect()
    }
}

/// The row of a record that waits; none: what the rows of all begin with.
pub(super) fn waiting_key(place: Option<Place>) -> Vec<u8> {
    place.map_or_else(|| vec![WAITING], |place| place.key(WAITING))
}

pub(super) fn verdict_key(place: Place) -> Vec<u8> {
    place.key(VERDICT)
}

/// What the rows of what is known of a rating epoch begin with, or those of all.
pub(super) fn verdict_prefix(epoch: Option<RatingEpoch>) -> Vec<u8> {
    [VERDICT].into_iter().chain(epoch.into_iter().flat_map(|epoch| epoch.0.to_be_bytes())).collect()
}

/// The place that a key names.
pub(super) fn place_of(key: &[u8]) -> Option<Place> {
    let (epoch, rest) = key.get(1..)?.split_first_chunk::<8>()?;
    let (rater, record) = rest.split_first_chunk::<32>()?;
    let epoch = RatingEpoch(u64::from_be_bytes(*epoch));
    Some(Place { epoch, rater: AgentId(*rater), record: RecordId::try_from(record).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_read_back_and_only_what_is_missing_is_asked_for() {
        let place = Place { epoch: RatingEpoch(7), rater: AgentId([1; 32]), record: RecordId([2; 32]) };
        assert_eq!(place_of(&waiting_key(Some(place))), Some(place));
        assert_eq!(place_of(&verdict_key(place)), Some(place));
        let unproved = Unproved { rater: place.rater, epoch: place.epoch, row: 9 };
        assert!(place.unproved(&[0, 0, 0, 9]).eq([unproved]));
        assert!(verdict_key(place).starts_with(&verdict_prefix(Some(place.epoch))));
        let waiting = Waiting { tries: 2, busy: 0, cursor: 3, proved: [0, 4, 300].into() };
        assert_eq!(Waiting::read(&waiting.to_row()), waiting);
        assert_eq!(waiting.missing(7, 2), [3, 5]);
        assert!(waiting.missing(3, 2).is_empty());
        assert_eq!(Waiting::default().missing(2, 9), [0, 1]);
    }
}
