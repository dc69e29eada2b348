use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use super::*;
use crate::GuardState;

const CRASH_DIR: &str = "ALTHING_ROCKS_CRASH_DIR";

/// Not a test of its own: the child that [`a_killed_process_loses_nothing_that_it_acknowledged`] starts and kills.
#[test]
fn crash_child() {
    let Some(dir) = std::env::var_os(CRASH_DIR) else { return };
    let opened = open(Path::new(&dir));
    let mut out = std::io::stdout();
    for no in opened.commit.0 + 1.. {
        assert_eq!(commit(&opened, no, signed(no)).no, CommitNo(no));
        writeln!(out, "\ndurable {no}").and_then(|()| out.flush()).unwrap();
    }
}

#[test]
fn a_killed_process_loses_nothing_that_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut last = 0;
    for round in 0..6 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::crash::crash_child", "--nocapture"])
            .env(CRASH_DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged =
            lines.filter_map(|line| line.ok()?.strip_prefix("durable ")?.parse::<u64>().ok());
        // Another number each round, so that the kill falls at another place.
        let seen = acknowledged.by_ref().nth(20 + 37 * round).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        last = acknowledged.last().unwrap_or(seen);

        let opened = open(dir.path());
        assert!(opened.commit >= CommitNo(last), "{:?} after {last}", opened.commit);
        assert!(holds_all(&opened.rocks, opened.commit.0));
        let GuardState::Intact(guard) = &opened.guard else { panic!("{}", opened.guard) };
        assert!(guard.heads[0].seq >= last, "{guard:?} after {last}");
        assert!(guard.acknowledged <= opened.commit);
    }
    assert!(last > 100);
    assert!(crate::check(dir.path()).unwrap().is_sound());
}
