//! Starts that cannot work: each is refused with cause, value and next step, and without half a node.

use std::fs::{self, Permissions};
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use althing_tests::{Background, Home, Node, Run, SmallDisk, althing, binary, poll, run, skip};

use crate::commands::TRANSLATOR;
use crate::endings::signal;

fn up(home: &Path) -> Run {
    run(&Background::words(home, &[]))
}

/// A home that was used, and is not now.
fn used(home: &Home) -> PathBuf {
    let node = Node::up(&home.join("n"), &[]);
    let _ = node.run(&["down"]).expect(0);
    assert!(node.ended().success());
    home.join("n")
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn keys_that_cannot_be_used_are_named() {
    let home = Home::new();
    let at = used(&home);
    let keys = at.join("keys");
    let mut files: Vec<PathBuf> = fs::read_dir(&keys).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.extend(fs::read_dir(keys.join("agents")).unwrap().map(|entry| entry.unwrap().path()));
    let files: Vec<PathBuf> =
        files.into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "key")).collect();
    assert!(files.len() >= 2, "{files:?}");
    for file in files.iter().filter(|path| !path.ends_with("default-recovery.key")) {
        let name = file.display().to_string();
        mode(file, 0o644);
        let _ = up(&at).expect(1).says(&name).says("0644").says(&format!("hint: chmod 600 {name}"));
        mode(file, 0o600);

        let good = fs::read(file).unwrap();
        let mut bad = good.clone();
        bad[good.len() / 2] ^= 1;
        fs::write(file, bad).unwrap();
        let _ = up(&at).expect(1).says(&name).says("hint: restore the file from a backup");
        fs::write(file, &good[..good.len() / 2]).unwrap();
        let _ = up(&at).expect(1).says(&name).says("hint: ");

        // What cannot be read even by root.
        fs::remove_file(file).unwrap();
        fs::create_dir(file).unwrap();
        let _ = up(&at).expect(1).says(&name).says("expected a regular file").says("hint: ");
        fs::remove_dir(file).unwrap();
        fs::write(file, good).unwrap();
        mode(file, 0o600);
    }
    let name = keys.display().to_string();
    mode(&keys, 0o755);
    let _ = up(&at).expect(1).says(&name).says("0755").says(&format!("hint: chmod 700 {name}"));
    mode(&keys, 0o700);
    mode(&at, 0o750);
    let name = at.display().to_string();
    let _ = up(&at).expect(1).says(&name).says("0750").says(&format!("hint: chmod 700 {name}"));
    mode(&at, 0o700);
    let _ = Node::up(&at, &[]);
}

#[test]
fn passphrases_that_do_not_open_are_named_with_their_file() {
    let home = Home::new();
    let at = home.join("n");
    let with = |file: &Path| -> Run {
        let output =
            althing(&Background::words(&at, &[])).env("ALTHING_PASSPHRASE_FILE", file).output().unwrap();
        read(&output)
    };
    let missing = home.join("missing");
    let _ = with(&missing)
        .expect(1)
        .says(&missing.display().to_string())
        .says("hint: let ALTHING_PASSPHRASE_FILE");
    let _ = with(home.path()).expect(1).says("hint: let ALTHING_PASSPHRASE_FILE");
    let empty = home.write("empty", "\nsecond line");
    let _ = with(&empty)
        .expect(1)
        .says("the first line is empty")
        .says(&empty.display().to_string())
        .says("hint: ");
    assert!(!at.exists(), "nothing was made");

    let right = home.write("right", "correct horse\n");
    let mut child = althing(&Background::words(&at, &["--detach"]));
    let started = read(&child.env("ALTHING_PASSPHRASE_FILE", &right).output().unwrap()).expect(0);
    assert!(started.stdout.contains("ready"), "{started:#?}");
    let _ = run(&["--home", &at.display().to_string(), "down"]).expect(0);
    let wrong = home.write("wrong", "battery staple\n");
    let said =
        with(&wrong).expect(1).says("wrong passphrase").says("keys/").says("hint: check the file that");
    assert!(!said.stderr.contains("battery") && !said.stderr.contains("horse"), "{said:#?}");
    let _ = up(&at).expect(1).says("sealed with a passphrase").says("hint: ").says("ALTHING_PASSPHRASE_FILE");
    let unsealed = home.join("unsealed");
    let _ = Background::up(&unsealed, &[]).run(&["down"]).expect(0);
    let words = Background::words(&unsealed, &[]);
    let output = althing(&words).env("ALTHING_PASSPHRASE_FILE", &right).output().unwrap();
    let _ = read(&output).expect(1).says("hint: start without ALTHING_PASSPHRASE_FILE");
}

fn read(output: &Output) -> Run {
    Run {
        words: "up".to_owned(),
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn homes_that_cannot_be_are_named() {
    let home = Home::new();
    let file = home.write("file", "");
    let name = file.display().to_string();
    let _ = up(&file).expect(1).says(&format!("{name} is a file, not a directory")).says("hint: --home");
    let below = file.join("n");
    let _ = up(&below).expect(1).says(&below.display().to_string()).says("hint: ");

    let long = home.join(&"n".repeat(120));
    let _ = up(&long).expect(1).says("107 bytes").says("hint: choose a home with a shorter path");
    assert!(!long.exists(), "nothing was made");

    // As root, modes stop nobody; a file system that is read-only does.
    let closed = home.join("closed");
    let disk = SmallDisk::mount(&closed, "size=1m,ro");
    if let Err(reason) = &disk {
        mode(&closed, 0o500);
        if fs::write(closed.join("probe"), "").is_ok() {
            return skip(reason);
        }
    }
    let name = closed.join("n").display().to_string();
    let _ = up(&closed.join("n")).expect(1).says(&name).says("hint: the home needs a directory");
    let _ = up(&closed).expect(1).says(&closed.display().to_string()).says("hint: ");
    mode_if(disk.is_err(), &closed, 0o700);
}

fn mode_if(condition: bool, path: &Path, bits: u32) {
    if condition {
        mode(path, bits);
    }
}

#[test]
fn a_udp_port_in_use_is_named() {
    let home = Home::new();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let listen = format!("/ip4/127.0.0.1/udp/{}/quic-v1", taken.local_addr().unwrap().port());
    let words = Background::words(&home.join("n"), &["--listen", &listen]);
    let _ = run(&words).expect(1).says(&listen).says("in use").says("hint: choose another --listen");
}

#[test]
fn a_disk_that_is_full_from_the_start_is_named() {
    let home = Home::new();
    let disk = match SmallDisk::mount(&home.join("disk"), "size=64k") {
        Ok(disk) => disk,
        Err(reason) => return skip(&reason),
    };
    let at = disk.path().join("n");
    let refused = up(&at).expect(1).says(&at.display().to_string()).says("hint: free some space");
    assert!(!refused.stderr.contains("panicked"), "{refused:#?}");
    drop(disk);

    // Enough for the database and too little for the reserve: a node that reads.
    let disk = SmallDisk::mount(&home.join("disk"), "size=20m").unwrap();
    let node = Node::up(&disk.path().join("n"), &[]);
    let _ = node.run(&["card", "publish", TRANSLATOR]).expect(1).says("disk").says("hint: ");
    let _ = node.run(&["find", "--skill", "text", "--local"]).expect(0);
    let logged = node.run(&["logs"]).expect(0).stdout;
    assert!(logged.contains("disk nearly full"), "{logged}");
    let _ = node.run(&["down"]).expect(0);
    assert!(node.ended().success());
}

/// The words of `up` under a limit of open files.
fn limited(home: &Path, limit: &str) -> Command {
    let mut command = Command::new("prlimit");
    command
        .arg(format!("--nofile={limit}"))
        .arg(binary())
        .args(Background::words(home, &["--json", "--detach"]));
    command.env("HOME", "/nonexistent");
    command
}

#[test]
fn too_few_open_files_are_refused_and_a_soft_limit_is_raised() {
    let home = Home::new();
    let at = home.join("n");
    let refused = read(&limited(&at, "64:64").output().unwrap());
    let _ = refused.expect(1).says("open files: expected").says("found 64").says("ulimit -Hn");
    assert!(!at.exists(), "nothing was made");
    let raised = read(&limited(&at, "64:2000").output().unwrap()).expect(0);
    let pid = raised.json("althing.up/v1")["pid"].as_u64().unwrap();
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap().to_owned();
    let _ = run(&["--home", &at.display().to_string(), "down"]).expect(0);
    assert_eq!(files.split_whitespace().nth(3), Some("2000"), "{files}");
}

/// User and system time that a process has used, in clock ticks of 10 ms.
fn ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn running_out_of_open_files_does_not_spin_and_passes() {
    let home = Home::new();
    let node = Node::up(&home.join("n"), &[]);
    // Nothing may be left to be written: a database that cannot open a file stops its node.
    let mut quiet = (0, std::time::Instant::now());
    poll("all is written", || {
        let commit = node.status()["commit"].as_u64().unwrap();
        if commit != quiet.0 {
            quiet = (commit, std::time::Instant::now());
        }
        (quiet.1.elapsed() > Duration::from_secs(1)).then_some(())
    });
    let open = fs::read_dir(format!("/proc/{}/fd", node.pid())).unwrap().count();
    let limit = |files: usize| {
        let mut set = Command::new("prlimit");
        let set = set.args(["--pid", &node.pid().to_string(), &format!("--nofile={files}:")]);
        assert!(set.status().unwrap().success());
    };
    limit(open + 4);
    let held: Vec<_> = (0..40).map(|_| std::net::TcpStream::connect(node.api()).unwrap()).collect();
    let p2p = node.address().split('/').nth(4).unwrap().to_owned();
    let peers: Vec<_> =
        (0..10).map(|_| std::net::TcpStream::connect(format!("127.0.0.1:{p2p}")).unwrap()).collect();
    poll("it runs out", || node.log().contains("cannot accept").then_some(()));
    let (before, start) = (ticks(node.pid()), std::time::Instant::now());
    poll("a second passes", || (start.elapsed() > Duration::from_secs(1)).then_some(()));
    let used = ticks(node.pid()) - before;
    assert!(used < 30, "{used} ticks of 10 ms in a second in which nothing could be accepted");
    drop((held, peers));
    limit(2_000);
    poll("it answers again", || {
        assert!(!node.log().contains("the node ends"), "{}", node.log());
        (node.run(&["status"]).code == Some(0)).then_some(())
    });
    let lines = node.log().matches("cannot accept").count();
    assert!(lines <= 4, "{lines} lines of log");
    let _ = node.run(&["card", "publish", TRANSLATOR]).expect(0);
    signal(node.pid(), rustix::process::Signal::TERM);
    assert!(node.ended().success());
}
