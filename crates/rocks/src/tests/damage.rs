use super::*;
use crate::{OpenError, check};

/// What opening a damaged copy came to: refused by name, or nothing lost.
fn outcome(dir: &Path, last: u64) -> &'static str {
    match Rocks::open(dir, SMALL) {
        Err(OpenError::Corrupt { .. }) => "corrupt",
        Err(OpenError::DatabaseBehind { guard, database }) => {
            assert_eq!(guard, CommitNo(last));
            assert!(database < guard);
            "behind"
        }
        Err(other) => panic!("{other}"),
        Ok(opened) => {
            assert_eq!(opened.commit, CommitNo(last));
            assert!(holds_all(&opened.rocks, last));
            "whole"
        }
    }
}

fn log(dir: &Path) -> PathBuf {
    let logs = db_files(dir, "log");
    assert_eq!(logs.len(), 1);
    logs[0].clone()
}

#[test]
fn a_log_cut_off_at_its_end_is_behind_the_guard() {
    let root = tempfile::tempdir().unwrap();
    let source = root.path().join("source");
    filled(&source, 20);
    for cut in [1, 3, 7, 50, 300, 2_000] {
        let copy = root.path().join(cut.to_string());
        copy_dir(&source, &copy);
        let bytes = fs::read(log(&copy)).unwrap();
        fs::write(log(&copy), &bytes[..bytes.len() - cut]).unwrap();
        assert_eq!(outcome(&copy, 20), "behind", "{cut} bytes cut off");
    }
}

#[test]
fn no_flipped_byte_in_the_log_loses_anything_silently() {
    let root = tempfile::tempdir().unwrap();
    let source = root.path().join("source");
    // More than two blocks of 32 KiB, so that there is a middle.
    filled(&source, 300);
    let len = fs::metadata(log(&source)).unwrap().len() as usize;
    assert!(len > 70_000, "{len}");
    let tail = (1..12).map(|back| len - back * 23);
    let (mut refused, mut middle) = (0, 0);
    for at in (0..len).step_by(len / 24).chain(tail) {
        let copy = root.path().join(at.to_string());
        copy_dir(&source, &copy);
        flip(&log(&copy), at);
        let outcome = outcome(&copy, 300);
        refused += usize::from(outcome != "whole");
        middle += usize::from(outcome == "corrupt" && at < len / 2);
    }
    // The first record is the schema's, and every byte is under a checksum.
    assert!(refused >= 34, "{refused} refused");
    assert!(middle > 5, "{middle} named as corrupt in the first half");
}

#[test]
fn a_missing_log_is_refused() {
    let root = tempfile::tempdir().unwrap();
    filled(root.path(), 20);
    fs::remove_file(log(root.path())).unwrap();
    assert_ne!(outcome(root.path(), 20), "whole");
}

/// A directory whose commits are in table files.
fn tabled(dir: &Path) -> PathBuf {
    filled(dir, 50);
    // Opening writes what the log held into table files.
    drop(open(dir));
    let rows = db_files(dir, "sst").into_iter().max_by_key(|path| fs::metadata(path).unwrap().len());
    rows.unwrap()
}

#[test]
fn a_missing_table_file_is_named() {
    let root = tempfile::tempdir().unwrap();
    let table = tabled(root.path());
    let name = table.file_name().unwrap().to_string_lossy().into_owned();
    fs::remove_file(&table).unwrap();
    let refused = Rocks::open(root.path(), SMALL).unwrap_err();
    assert!(matches!(&refused, OpenError::Corrupt { file: Some(file), .. } if *file == name), "{refused:?}");
    let damage = check(root.path()).unwrap().damage.unwrap();
    assert_eq!(damage.file, Some(name));
}

#[test]
fn a_flipped_byte_in_a_table_file_is_an_error_and_never_a_gap() {
    let root = tempfile::tempdir().unwrap();
    let table = tabled(root.path());
    let name = table.file_name().unwrap().to_string_lossy().into_owned();
    flip(&table, 100);
    match Rocks::open(root.path(), SMALL) {
        Err(refused) => assert!(matches!(refused, OpenError::Corrupt { .. }), "{refused}"),
        Ok(opened) => {
            let read = opened.rocks.scan_prefix(Table::Records, &[], 1_000).unwrap_err();
            assert!(read.cause.contains(&name), "{read}");
        }
    }
    let report = check(root.path()).unwrap();
    assert!(!report.is_sound());
    let damage = report.damage.unwrap();
    assert_eq!((damage.table, damage.file), (Some("records"), Some(name)), "{}", damage.cause);
}

#[test]
fn a_missing_current_file_is_not_a_fresh_start() {
    let root = tempfile::tempdir().unwrap();
    tabled(root.path());
    fs::remove_file(root.path().join("db/CURRENT")).unwrap();
    let refused = Rocks::open(root.path(), SMALL).unwrap_err();
    assert!(
        matches!(&refused, OpenError::Corrupt { file: Some(file), .. } if file == "CURRENT"),
        "{refused}"
    );
    assert_eq!(check(root.path()).unwrap().damage.unwrap().file.unwrap(), "CURRENT");
}

#[test]
fn a_whole_directory_checks_out_and_is_left_as_it_was() {
    let root = tempfile::tempdir().unwrap();
    tabled(root.path());
    filled(root.path(), 60);
    let logged = fs::read(log(root.path())).unwrap();
    let report = check(root.path()).unwrap();
    assert!(report.is_sound(), "{report}");
    assert_eq!(report.commit, Some(CommitNo(60)));
    assert_eq!(report.rows[0], (Table::Records, 60));
    assert!(report.files > 0 && report.bytes > 0);
    assert!(report.to_string().contains("records: 60 rows"), "{report}");
    assert_eq!(fs::read(log(root.path())).unwrap(), logged);
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(check(empty.path()), Err(crate::CheckError::NoDatabase(_))));
}
