use super::*;
use crate::{check, database::db_dir};

/// Takes a table away, as it is missing in a directory that an earlier version made.
fn without(dir: &Path, table: Table) {
    let names = Table::ALL.map(Table::name).into_iter().chain(["default"]);
    let mut db = rocksdb::DB::open_cf(&rocksdb::Options::default(), db_dir(dir), names).unwrap();
    db.drop_cf(table.name()).unwrap();
}

#[test]
fn a_table_that_is_younger_than_the_directory_is_made() {
    let root = tempfile::tempdir().unwrap();
    filled(root.path(), 3);
    without(root.path(), Table::Journal);
    let report = check(root.path()).unwrap();
    assert!(report.is_sound(), "{report}");
    assert!(report.rows.iter().all(|(table, _)| *table != Table::Journal), "checking makes nothing");
    assert_eq!(report.rows.len(), Table::ALL.len() - 1);

    let opened = open(root.path());
    assert!(holds_all(&opened.rocks, 3));
    let mut batch = Batch::default();
    batch.put(Table::Journal, b"e", b"v");
    assert_eq!(commit(&opened, 4, batch).no, CommitNo(4));
    drop(opened);
    assert_eq!(open(root.path()).rocks.get(Table::Journal, b"e").unwrap().unwrap(), b"v");
    assert_eq!(check(root.path()).unwrap().rows.len(), Table::ALL.len());
}
