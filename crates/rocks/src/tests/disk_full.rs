use althing_tests::{SmallDisk, skip};

use super::*;
use crate::CommitFailure;

/// A file system in memory of 24 MiB.
struct Tmpfs {
    disk: SmallDisk,
    // Removed after what is mounted on it.
    _at: tempfile::TempDir,
}

impl Tmpfs {
    /// None, and says so, where it cannot be.
    fn mount() -> Option<Self> {
        let at = tempfile::tempdir().unwrap();
        match SmallDisk::mount(at.path(), "size=24m") {
            Ok(disk) => Some(Self { disk, _at: at }),
            Err(reason) => {
                skip(&reason);
                None
            }
        }
    }

    /// Takes all space but so many bytes.
    fn fill(&self, leave: u64) {
        let free = fs4::available_space(self.disk.path()).unwrap();
        fs::write(self.ballast(), vec![7; free.saturating_sub(leave) as usize]).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.disk.path().join("ballast")
    }
}

/// Bytes that do not compress.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(&mut next).take(len).collect()
}

fn wait_writable(opened: &Opened) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut durable = opened.committer.durable();
    runtime.block_on(async { durable.wait_for(|durable| durable.writable).await.map(drop) }).unwrap();
}

fn fills_and_resumes(options: Options, leave: u64) {
    let Some(tmpfs) = Tmpfs::mount() else { return };
    let dir = tmpfs.disk.path().join("data");
    let opened = Rocks::open(&dir, options).unwrap();
    assert_eq!(commit(&opened, 1, signed(1)).no, CommitNo(1));
    tmpfs.fill(leave);

    let mut large = signed(2);
    large.put(Table::Slot, b"large", noise(512 << 10));
    let mut state = commit(&opened, 2, large.clone());
    let mut no = 2;
    // The blocks that the log has already may take one more commit.
    while state.failed.is_none() {
        no += 1;
        state = commit(&opened, no, large.clone());
    }
    let Some((failed, CommitFailure::DiskFull { .. })) = &state.failed else { panic!("{:?}", state.failed) };
    assert_eq!((*failed, state.no, state.writable), (CommitNo(no), CommitNo(no - 1), false));
    // Reads go on, nothing of the failed commit is seen, and what was built on it is dropped.
    assert!(opened.rocks.get(Table::Records, &key(1)).unwrap().is_some());
    assert_eq!(opened.rocks.commit_no().unwrap(), CommitNo(no - 1));
    opened.committer.try_submit(CommitNo(no + 1), signed(no + 1)).unwrap();
    assert!(commit(&opened, no, large.clone()).failed.is_some());

    fs::remove_file(tmpfs.ballast()).unwrap();
    wait_writable(&opened);
    assert_eq!(commit(&opened, no, large).no, CommitNo(no));
    assert_eq!(commit(&opened, no + 1, signed(no + 1)).no, CommitNo(no + 1));
    assert!(fs::metadata(dir.join("reserve")).is_ok_and(|meta| meta.len() == options.reserve_bytes));
    drop(opened);
    let opened = Rocks::open(&dir, options).unwrap();
    assert_eq!(opened.commit, CommitNo(no + 1));
    assert!(opened.guard.is_trusted(), "{}", opened.guard);
    drop(opened);
}

#[test]
fn commits_stop_before_the_disk_is_full_and_resume_without_a_restart() {
    fills_and_resumes(SMALL, 600 << 10);
}

#[test]
fn a_disk_that_fills_up_under_rocksdb_is_survived_too() {
    for leave in [0, 1_100 << 10] {
        fills_and_resumes(Options { headroom_bytes: 0, ..SMALL }, leave);
    }
}

#[test]
fn a_full_disk_is_opened_for_reading() {
    let Some(tmpfs) = Tmpfs::mount() else { return };
    let dir = tmpfs.disk.path().join("data");
    // Opening writes into files of its own, one set per table, out of the reserve.
    let roomy = Options { reserve_bytes: 4 << 20, ..SMALL };
    drop(Rocks::open(&dir, roomy).unwrap());
    filled(&dir, 3);
    drop(Rocks::open(&dir, roomy).unwrap());
    tmpfs.fill(0);
    let opened = Rocks::open(&dir, roomy).unwrap();
    assert!(holds_all(&opened.rocks, 3));
    let state = commit(&opened, 4, signed(4));
    assert!(matches!(state.failed, Some((CommitNo(4), CommitFailure::DiskFull { .. }))), "{state:?}");
    fs::remove_file(tmpfs.ballast()).unwrap();
    wait_writable(&opened);
    assert_eq!(commit(&opened, 4, signed(4)).no, CommitNo(4));
    drop(opened);
}
