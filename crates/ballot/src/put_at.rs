use althing_record::{Millis, Record, RecordId};
use althing_store::{ReadError, Snapshot, Table, prefix_end};

/// A place in the list of all that was put to the vote: what was made last comes first, and of what was made in the same
/// millisecond the lower id.
///
/// Both are in the signed record. So nodes with the same records have the same list, whenever the records came to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PutAt {
    /// 2^64 − 1 less the time in milliseconds when it was made, by its author's clock.
    age: u64,
    /// The proposal or the docket.
    pub id: RecordId,
}

impl PutAt {
    /// The place of a proposal or a docket.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        let Millis(made) = record.made();
        Self { age: u64::MAX - made, id: record.id() }
    }

    /// The key of the row that stands for it in the list of this tag.
    pub(crate) fn key(&self, tag: u8) -> Vec<u8> {
        [&[tag][..], &self.age.to_be_bytes(), &self.id.0].concat()
    }

    /// The places of a list after one of them, in order.
    pub(crate) fn scan(
        store: &impl Snapshot,
        tag: u8,
        after: Option<Self>,
        limit: usize,
    ) -> Result<Vec<Self>, ReadError> {
        let from = after.map_or(vec![tag], |place| [&place.key(tag)[..], &[0]].concat());
        let rows = store.scan(Table::VoteView, &from, &prefix_end(&[tag]), limit)?;
        let read = |key: &[u8]| {
            let (age, id) = key.get(1..)?.split_first_chunk::<8>()?;
            Some(Self { age: u64::from_be_bytes(*age), id: RecordId::try_from(id).ok()? })
        };
        Ok(rows.iter().filter_map(|(key, _)| read(key)).collect())
    }
}

#[cfg(test)]
mod tests {
    use althing_store::{Batch, Memory};

    use super::*;

    fn place(made: u64, id: u8) -> PutAt {
        PutAt { age: u64::MAX - made, id: RecordId([id; 32]) }
    }

    #[test]
    fn what_was_made_last_comes_first_and_pages_go_on_where_they_ended() {
        let mut batch = Batch::default();
        for put in [place(5, 1), place(7, 9), place(7, 2), place(0, 3)] {
            batch.put(Table::VoteView, put.key(b'n'), Vec::new());
        }
        batch.put(Table::VoteView, place(9, 9).key(b'm'), Vec::new());
        batch.put(Table::VoteView, b"o".to_vec(), Vec::new());
        let store = Memory::default();
        store.apply(&batch);
        let all = PutAt::scan(&store, b'n', None, 9).unwrap();
        assert_eq!(all, [place(7, 2), place(7, 9), place(5, 1), place(0, 3)]);
        for (before, place) in (0..).zip(&all) {
            assert_eq!(PutAt::scan(&store, b'n', Some(*place), 9).unwrap(), all[before + 1..]);
        }
        assert_eq!(PutAt::scan(&store, b'n', Some(place(6, 0)), 1).unwrap(), [place(5, 1)]);
    }
}
