//! The suite that every implementation of a store passes. Call [`check`] from a test.

use crate::{Batch, Snapshot, Table};

/// Runs the whole suite. `open` gives a fresh, empty store and a function that applies a batch to it.
///
/// # Panics
/// When the store breaks a rule; the message names it.
#[allow(clippy::unwrap_used, reason = "a test suite")]
pub fn check<S: Snapshot, W: FnMut(&Batch)>(open: impl Fn() -> (S, W)) {
    let keys = |rows: Vec<crate::Row>| rows.into_iter().map(|row| row.0).collect::<Vec<_>>();

    let (store, mut write) = open();
    assert_eq!(store.get(Table::Records, b"absent").unwrap(), None, "an absent row reads as none");

    let mut batch = Batch::default();
    batch.put(Table::Records, b"k", b"1");
    batch.put(Table::Records, b"k", b"2");
    batch.put(Table::Slot, b"k", b"other");
    batch.delete(Table::Slot, b"never there");
    write(&batch);
    assert_eq!(store.get(Table::Records, b"k").unwrap().unwrap(), b"2", "the later change of a batch wins");
    assert_eq!(store.get(Table::Slot, b"k").unwrap().unwrap(), b"other", "tables are separate");
    assert_eq!(store.get(Table::Meta, b"k").unwrap(), None, "tables are separate");

    let mut batch = Batch::default();
    batch.delete(Table::Records, b"k");
    write(&batch);
    assert_eq!(store.get(Table::Records, b"k").unwrap(), None, "a deleted row is gone");

    let mut batch = Batch::default();
    for key in
        [&[0x00][..], &[0x01, 0xff], &[0x02], &[0x02, 0x00], &[0x02, 0xff, 0xff], &[0x03], &[0xff, 0xff]]
    {
        batch.put(Table::Expiry, key, b"");
    }
    write(&batch);
    assert_eq!(
        keys(store.scan_prefix(Table::Expiry, &[0x02], 10).unwrap()),
        [&[0x02][..], &[0x02, 0x00], &[0x02, 0xff, 0xff]],
        "a prefix scan returns the prefix itself and all below it, in order"
    );
    assert_eq!(
        keys(store.scan(Table::Expiry, &[0x01], &[0x03], 2).unwrap()).len(),
        2,
        "a scan stops at its limit"
    );
    assert_eq!(
        keys(store.scan(Table::Expiry, &[0x03], &[0x03], 9).unwrap()).len(),
        0,
        "an empty range is empty"
    );
    assert_eq!(
        keys(store.scan(Table::Expiry, &[0x03], &[0x01], 9).unwrap()).len(),
        0,
        "a reversed range is empty"
    );
    assert_eq!(
        keys(store.scan_prefix(Table::Expiry, &[], 99).unwrap()).len(),
        7,
        "an empty prefix is everything"
    );
    assert_eq!(
        keys(store.scan_prefix(Table::Expiry, &[0xff], 9).unwrap()).len(),
        1,
        "an all-ones prefix has an end"
    );

    let mut batch = Batch::default();
    batch.put(Table::Meta, b"empty", b"");
    for table in Table::ALL {
        batch.put(table, b"in every table", table.name().as_bytes());
    }
    write(&batch);
    assert_eq!(
        store.get(Table::Meta, b"empty").unwrap().unwrap(),
        b"",
        "an empty value is not an absent row"
    );
    for table in Table::ALL {
        let value = store.get(table, b"in every table").unwrap().unwrap();
        assert_eq!(value, table.name().as_bytes(), "every table holds its own row");
    }
}
