//! Backups: snapshot and restore, export and import, compaction.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use althing_tests::{Home, Node, Run, SmallDisk, althing, poll, run, skip};
use serde_json::Value;

use crate::commands::TRANSLATOR;

/// Long enough for any command here on a busy machine, and far too short for a file without an end.
const AT_ONCE: Duration = Duration::from_secs(20);

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// The records and the digest of each domain.
fn digests(node: &Node) -> Vec<(String, Value, Value)> {
    let status = node.status();
    let domains = status["domains"].as_array().unwrap().iter();
    domains.map(|row| (row["name"].to_string(), row["records"].clone(), row["digest"].clone())).collect()
}

fn agree(nodes: &[&Node]) {
    poll("the nodes hold the same", || {
        let first = digests(nodes[0]);
        nodes.iter().all(|node| digests(node) == first).then_some(())
    });
}

fn propose(node: &Node, question: &str, voters: &str) -> String {
    let proposed = node.ask("althing.proposed/v1", &["vote", "propose", question, "--voters", voters]);
    proposed["proposal"].as_str().unwrap().to_owned()
}

fn cast(node: &Node, proposal: &str, choice: &str) {
    poll("the ballot is taken", || {
        (node.run(&["vote", "cast", proposal, choice]).code == Some(0)).then_some(())
    });
}

fn copy_dir(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(copied.is_ok_and(|status| status.success()));
}

/// Every file below a directory, by its path in it.
fn files(dir: &Path) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(at) = dirs.pop() {
        for entry in fs::read_dir(at).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                found.insert(text(path.strip_prefix(dir).unwrap()), path);
            }
        }
    }
    found
}

/// The names in a directory.
fn names(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().flatten();
    let mut names: Vec<_> = names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// A home with a card, a vote, and a snapshot of both; the node is down.
fn snapshot_of_one(home: &Home) -> (PathBuf, PathBuf) {
    let node = Node::up(&home.join("1"), &[]);
    let _ = node.run(&["card", "publish", TRANSLATOR]).expect(0);
    let id = propose(&node, "which?", &node.agent());
    cast(&node, &id, "yes");
    let _ = node.run(&["down"]).expect(0);
    assert!(node.ended().success());
    let out = home.join("backup");
    let _ = run(&["--home", &text(&home.join("1")), "store", "snapshot", &text(&out)]).expect(0);
    (home.join("1"), out)
}

/// The story that backups are for: four agents vote, one is lost and comes back from an old copy.
#[test]
fn a_restored_agent_asks_before_it_votes_and_never_votes_differently() {
    let home = Home::new();
    let one = Node::up(&home.join("1"), &[]);
    let two = Node::join(&home.join("2"), &one);
    let three = Node::join(&home.join("3"), &one);
    let four = Node::join(&home.join("4"), &one);
    for node in [&one, &two, &three, &four] {
        let _ = node.run(&["card", "publish", TRANSLATOR]).expect(0);
    }
    let voters = [&one, &two, &three, &four].map(Node::agent).join(",");
    let (first, second) = (propose(&one, "first?", &voters), propose(&one, "second?", &voters));
    cast(&two, &first, "yes");
    agree(&[&one, &two, &three, &four]);

    // While the node runs and is written to.
    let backup = home.join("backup");
    let old = digests(&two);
    let incarnation = two.status()["incarnation"].clone();
    let taken = two.ask("althing.store-snapshot/v1", &["store", "snapshot", &text(&backup)]);
    assert_eq!(taken["manifest"]["node"], two.up_document()["node"]);
    assert_eq!(taken["manifest"]["network"], two.up_document()["network"]);
    cast(&two, &second, "yes");
    agree(&[&one, &two, &three, &four]);
    assert_ne!(digests(&two), old);
    let agent = two.agent();
    two.kill();

    // On another machine, with the keys of the old one.
    let there = home.join("5");
    let restored = run(&["--json", "--home", &text(&there), "store", "restore", &text(&backup)]).expect(0);
    assert_eq!(restored.json("althing.store-restore/v1")["keys"], false);
    copy_dir(&home.join("2").join("keys"), &there.join("keys"));
    // Recovery keys may be kept elsewhere, and the file that names their hashes is not in a snapshot.
    for file in fs::read_dir(there.join("keys/agents")).unwrap().flatten() {
        if file.file_name().to_string_lossy().contains("recovery") {
            fs::remove_file(file.path()).unwrap();
        }
    }
    // Nobody to ask: silent.
    let alone = there.join("join");
    let addresses = fs::read(&alone).unwrap();
    fs::remove_file(&alone).unwrap();
    let again = Node::up(&there, &[]);
    assert_eq!(again.agent(), agent);
    assert_eq!(digests(&again)[1], old[1], "the ledger as it was");
    let refused = again.run(&["vote", "cast", &second, "no"]).expect(1);
    assert!(refused.stderr.contains("hint:") && refused.stderr.contains("no peer"), "{refused:#?}");
    let _ = again.run(&["down"]).expect(0);
    assert!(again.ended().success());

    // Two of the three others that vote are enough, and one is not.
    let three_pid = three.pid();
    three.kill();
    four.kill();
    fs::write(&alone, addresses).unwrap();
    let again = Node::join(&there, &one);
    let told = poll("the first node tells what was cast", || {
        let cast = again.run(&["vote", "cast", &second, "no"]);
        assert_ne!(cast.code, Some(0), "a second ballot was signed: {cast:#?}");
        cast.stderr.contains("already voted").then_some(cast)
    });
    assert!(told.stderr.contains("\"yes\""), "{told:#?}");
    let third = propose(&again, "third?", &voters);
    let missing = again.run(&["vote", "cast", &third, "yes"]).expect(1).says("3 of 4 votes").says("of 2 did");
    assert!(missing.stderr.contains("not connected") && missing.stderr.contains("hint:"), "{missing:#?}");
    let three = Node::join(&home.join("3"), &one);
    assert_ne!(three.pid(), three_pid);
    cast(&again, &third, "yes");
    assert_eq!(
        again.run(&["vote", "cast", &second, "yes"]).code,
        Some(0),
        "repeating it is no second ballot"
    );

    agree(&[&one, &again, &three]);
    assert_ne!(again.status()["incarnation"], incarnation);
    for node in [&one, &again, &three] {
        let status = node.status();
        assert_eq!(status["evidence"], 0, "nobody is accused");
        assert_eq!(status["voting_stopped"], Value::Null);
    }
}

#[test]
fn a_snapshot_under_writes_is_whole_private_and_without_secrets() {
    let home = Home::new();
    let node = Node::up(&home.join("1"), &[]);
    let _ = node.run(&["card", "publish", TRANSLATOR]).expect(0);
    let (agent, at) = (node.agent(), text(node.home()));
    let out = home.join("backup");
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            (0..20).for_each(|n| drop(propose(&node, &format!("question {n}?"), &agent)));
        });
        let snapshot = run(&["--home", &at, "store", "snapshot", &text(&out)]).expect(0);
        assert!(snapshot.stderr.is_empty(), "no progress where there is no terminal: {snapshot:#?}");
        writing.join().unwrap();
    });
    let sums = Command::new("sha256sum").args(["--strict", "-c", "SHA256SUMS"]).current_dir(&out).output();
    assert!(sums.is_ok_and(|output| output.status.success()), "other programs can check it");
    let found = files(&out);
    let mut secrets = vec![fs::read(node.home().join("api.token")).unwrap()];
    secrets.extend(files(&node.home().join("keys")).values().map(|path| fs::read(path).unwrap()));
    for (name, path) in &found {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        let bytes = fs::read(path).unwrap();
        for secret in &secrets {
            assert!(
                !bytes.windows(secret.len()).any(|window| window == &secret[..]),
                "{name} holds a secret"
            );
        }
        for word in ["safety", "lock", "LOCK", "reserve", "token", "key"] {
            assert!(!name.contains(word), "{name}");
        }
    }
    assert!(!node.home().join("store/checkpoint").exists(), "what was held is let go");
    assert_eq!(names(home.path()), ["1", "1.log", "backup"], "nothing half done");
    let _ = node.run(&["store", "snapshot", &text(&out)]).expect(1).says("exists already").says("hint: ");

    let there = text(&home.join("2"));
    let _ = run(&["--home", &there, "store", "restore", &text(&out)]).expect(0);
    assert_eq!(
        run(&["--home", &there, "store", "check", "--json"]).expect(0).json("althing.store-check/v1")["sound"],
        true
    );
    // Without the keys it is a new agent with the old records.
    let new = Node::up(&home.join("2"), &[]);
    assert_ne!(new.agent(), agent);
    assert!(new.run(&["card", "get", &agent]).expect(0).stdout.contains("Babel"));
}

#[test]
fn a_snapshot_with_any_file_changed_is_refused_by_name() {
    let home = Home::new();
    let (_, good) = snapshot_of_one(&home);
    let there = home.join("2");
    for name in files(&good).into_keys() {
        let bad = home.join("bad");
        copy_dir(&good, &bad);
        let path = bad.join(&name);
        let mut bytes = fs::read(&path).unwrap();
        if bytes.is_empty() {
            bytes.push(0);
        } else {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        }
        fs::write(&path, bytes).unwrap();
        let refused = run(&["--json", "--home", &text(&there), "store", "restore", &text(&bad)]).expect(6);
        assert_eq!(refused.json("althing.problem/v1")["exit"], 6);
        // A changed sum shows as a file that does not fit it, or as a list that makes no sense.
        let named = if name == "SHA256SUMS" { "SHA256SUMS" } else { name.as_str() };
        let _ = refused.says(named).says("hint: ");
        assert!(!there.join("store").exists() && !there.join("store.restoring").exists(), "{name}");
        fs::remove_dir_all(&bad).unwrap();

        copy_dir(&good, &bad);
        fs::remove_file(bad.join(&name)).unwrap();
        let missing = run(&["--home", &text(&there), "store", "restore", &text(&bad)]);
        assert!(missing.code != Some(0) && missing.stderr.contains(&name), "{missing:#?}");
        fs::remove_dir_all(&bad).unwrap();
    }
    fs::write(good.join("db/000099.sst"), b"x").unwrap();
    let _ = run(&["--home", &text(&there), "store", "restore", &text(&good)]).expect(6).says("000099.sst");
    fs::remove_file(good.join("db/000099.sst")).unwrap();
    let _ = run(&["--home", &text(&there), "store", "restore", &text(&good)]).expect(0);
}

/// Waits for a command that must not wait for anything itself, and ends it if it does.
fn at_once(words: &[&str]) -> Run {
    let mut child = althing(words).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > AT_ONCE {
            child.kill().unwrap();
            let _ = child.wait();
            panic!("{words:?} is still running after {AT_ONCE:?}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Run { words: words.join(" "), code: output.status.code(), stdout: String::new(), stderr }
}

#[test]
fn a_restore_reads_plain_files_and_waits_for_no_pipe() {
    let home = Home::new();
    let (_, good) = snapshot_of_one(&home);
    let (bad, there) = (home.join("bad"), home.join("2"));
    let restore = ["--home", &text(&there), "store", "restore", &text(&bad)];
    for name in files(&good).into_keys() {
        for link_to in [Some(Path::new("/dev/zero")), Some(&good.join(&name)), None] {
            copy_dir(&good, &bad);
            let path = bad.join(&name);
            fs::remove_file(&path).unwrap();
            match link_to {
                Some(target) => std::os::unix::fs::symlink(target, &path).unwrap(),
                None => assert!(Command::new("mkfifo").arg(&path).status().is_ok_and(|made| made.success())),
            }
            let _ = at_once(&restore).expect(6).says(&format!("{name} is damaged: it is no plain file"));
            assert!(!there.join("store").exists() && !there.join("store.restoring").exists(), "{name}");
            fs::remove_dir_all(&bad).unwrap();
        }
    }
}

/// Writes a snapshot's sums anew, as somebody would who changed it on purpose.
fn sum_again(dir: &Path) {
    let paths: Vec<_> = files(dir).into_keys().filter(|name| name != "SHA256SUMS").collect();
    let sums = Command::new("sha256sum").args(&paths).current_dir(dir).output().unwrap();
    fs::write(dir.join("SHA256SUMS"), sums.stdout).unwrap();
}

#[test]
fn a_restore_goes_where_it_may_and_nowhere_else() {
    let home = Home::new();
    let (at, good) = snapshot_of_one(&home);
    let _ = run(&["--home", &text(&at), "store", "restore", &text(&good)])
        .expect(1)
        .says("store exists already")
        .says("hint: ");
    let _ = run(&["--home", &text(&at), "store", "check"]).expect(0);
    let _ = run(&["--home", &text(&home.join("2")), "store", "restore", &text(&home.join("none"))])
        .expect(1)
        .says("none");

    // A home in another network.
    let genesis = text(&home.join("other.cbor"));
    let _ = run(&["network", "init", "--name", "other", "--out", &genesis]).expect(0);
    let _ = Node::up(&home.join("3"), &["--genesis", &genesis]);
    fs::remove_dir_all(home.join("3/store")).unwrap();
    let _ = run(&["--home", &text(&home.join("3")), "store", "restore", &text(&good)])
        .expect(1)
        .says("other (")
        .says("hint: ");
    assert!(!home.join("3/store").exists());

    // Newer versions, by name.
    let manifest: Value = serde_json::from_slice(&fs::read(good.join("manifest.json")).unwrap()).unwrap();
    for (field, value, said) in [
        ("store_schema", Value::from(99), "schema 99"),
        ("schema", Value::from("althing.snapshot/v9"), "snapshot/v9"),
    ] {
        let newer = home.join("newer");
        copy_dir(&good, &newer);
        let mut changed = manifest.clone();
        changed[field] = value;
        fs::write(newer.join("manifest.json"), changed.to_string()).unwrap();
        sum_again(&newer);
        let _ = run(&["--home", &text(&home.join("4")), "store", "restore", &text(&newer)])
            .expect(1)
            .says(said)
            .says("hint: ");
        fs::remove_dir_all(&newer).unwrap();
    }
    // A manifest that tells of another commit than the database ends with.
    let other = home.join("other");
    copy_dir(&good, &other);
    let mut changed = manifest.clone();
    changed["commit"] = Value::from(1_000);
    fs::write(other.join("manifest.json"), changed.to_string()).unwrap();
    sum_again(&other);
    let _ =
        run(&["--home", &text(&home.join("4")), "store", "restore", &text(&other)]).expect(6).says("1000");
    assert!(!home.join("4/store").exists());
    assert_eq!(names(&home.join("4")), ["genesis.cbor"], "only which network it is in");

    // What an interrupted restore left is no store.
    fs::create_dir_all(home.join("4/store.restoring/db")).unwrap();
    fs::write(home.join("4/store.restoring/db/CURRENT"), b"half").unwrap();
    let _ = run(&["--home", &text(&home.join("4")), "store", "restore", &text(&good)]).expect(0);
    assert_eq!(names(&home.join("4")), ["genesis.cbor", "store"]);
}

#[test]
fn an_export_makes_another_node_hold_the_same() {
    let home = Home::new();
    let one = Node::up(&home.join("1"), &[]);
    let two = Node::join(&home.join("2"), &one);
    for node in [&one, &two] {
        let _ = node.run(&["card", "publish", TRANSLATOR]).expect(0);
    }
    let voters = [&one, &two].map(Node::agent).join(",");
    let id = propose(&one, "which?", &voters);
    for node in [&one, &two] {
        cast(node, &id, "yes");
    }
    agree(&[&one, &two]);
    two.kill();
    let file = text(&home.join("records.cbor"));
    let exported = one.ask("althing.store-export/v1", &["store", "export", &file]);
    let ballots = text(&home.join("ballots.cbor"));
    assert_eq!(
        one.ask("althing.store-export/v1", &["store", "export", &ballots, "--kind", "ballotbatch"])["records"],
        2
    );
    let _ = one.run(&["down"]).expect(0);
    let at = text(one.home());
    assert!(one.ended().success());
    // The same from a store that nobody has open, on standard output.
    let piped = althing(&["--home", &at, "store", "export", "-"]).stdout(Stdio::piped()).output().unwrap();
    assert!(piped.status.success());
    assert_eq!(piped.stdout, fs::read(home.join("records.cbor")).unwrap());

    // A node that nobody tells anything else, and two ways in.
    let three = Node::up(&home.join("3"), &[]);
    // Ballots without the proposal that they answer wait, and are told of.
    let early = three.ask("althing.store-import/v1", &["store", "import", &ballots]);
    assert_eq!((&early["early"], &early["new"]), (&Value::from(2), &Value::from(0)), "{early}");
    let imported = three.ask("althing.store-import/v1", &["store", "import", &file]);
    assert_eq!(imported["records"], exported["records"]);
    assert_eq!(imported["new"], exported["records"], "{imported}");
    let again = three.ask("althing.store-import/v1", &["store", "import", &file]);
    assert_eq!((&again["new"], &again["known"]), (&Value::from(0), &exported["records"]), "{again}");
    assert!(three.run(&["vote", "show", &id]).expect(0).stdout.contains("yes"));
    let four = Node::up(&home.join("4"), &[]);
    let mut import = althing(&["--home", &text(four.home()), "--json", "store", "import", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    import.stdin.take().unwrap().write_all(&piped.stdout).unwrap();
    assert!(import.wait_with_output().unwrap().status.success());
    // They differ in themselves alone: each has its own inception.
    assert_eq!(digests(&three)[1], digests(&four)[1]);
    let out = text(&home.join("3.cbor"));
    let _ = three.run(&["store", "export", &out]).expect(0);
    let _ = four.run(&["store", "import", &out]).expect(0);
    let out = text(&home.join("4.cbor"));
    let _ = four.run(&["store", "export", &out]).expect(0);
    let _ = three.run(&["store", "import", &out]).expect(0);
    assert_eq!(digests(&three), digests(&four));
    assert_eq!(three.status()["evidence"], 0);
}

#[test]
fn an_import_takes_nothing_from_a_file_that_is_not_whole_or_not_ours() {
    let home = Home::new();
    let one = Node::up(&home.join("1"), &[]);
    let _ = one.run(&["card", "publish", TRANSLATOR]).expect(0);
    let file = home.join("records.cbor");
    let _ = one.run(&["store", "export", &text(&file)]).expect(0);
    let good = fs::read(&file).unwrap();
    one.kill();
    let two = Node::up(&home.join("2"), &[]);
    let before = digests(&two);
    let import = |bytes: &[u8]| {
        let bad = home.write("bad.cbor", bytes);
        two.run(&["store", "import", &text(&bad)])
    };
    let _ = import(&good[..good.len() - 1]).expect(6).says("cut off").says("hint: ");
    let _ = import(&good[..good.len() / 2]).expect(6).says("cut off");
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    let _ = import(&flipped).expect(6).says("damaged");
    let mut newer = good.clone();
    newer[16] = 2;
    let _ = import(&newer).expect(1).says("expected version 1, found 2").says("hint: ");
    let mut foreign = good.clone();
    foreign[20] ^= 1;
    let _ = import(&foreign).expect(1).says("is of network").says("hint: ");
    let _ = import(b"not an export").expect(1).says("not an export");
    let _ = import(b"").expect(1).says("empty");
    assert_eq!(digests(&two), before);

    // A whole file of a liar: what is wrong is told apart, and the rest is only what a peer could have sent.
    let (header, end) = (&good[..51], good.len() - 40);
    let mut lies = header.to_vec();
    lies.extend(b"\x49no record");
    let mut forged = good[51..end].to_vec();
    let at = forged.len() - 20;
    forged[at] ^= 1;
    lies.extend(&forged);
    let sum = Command::new("sha256sum").arg(home.write("body", &lies)).output().unwrap();
    let sum = String::from_utf8(sum.stdout).unwrap();
    lies.extend([0x83, 0x63, b'e', b'n', b'd', one_more(&good), 0x58, 0x20]);
    lies.extend((0..32).map(|n| u8::from_str_radix(&sum[2 * n..2 * n + 2], 16).unwrap()));
    let told = import(&lies).expect(6).says("some records are wrong");
    assert!(told.stdout.contains("wrong") && told.stdout.contains("new"), "{told:#?}");
    assert_eq!(two.status()["evidence"], 0);
    drop(two);
    let at = text(&home.join("2"));
    let _ = run(&["--home", &at, "store", "import", &text(&file)])
        .expect(3)
        .says("no node is running")
        .says("hint: ");
}

/// The number of records that an export's end tells of, and one more.
fn one_more(export: &[u8]) -> u8 {
    let count = export[export.len() - 35];
    assert!(count < 23, "a count of one byte");
    count + 1
}

#[test]
fn compaction_says_what_it_gave_back_and_loses_nothing() {
    let home = Home::new();
    let node = Node::up(&home.join("1"), &[]);
    let _ = node.run(&["card", "publish", TRANSLATOR]).expect(0);
    let before = digests(&node);
    let running = node.ask("althing.store-compact/v1", &["store", "compact"]);
    assert!(running["bytes_before"].as_u64().unwrap() > 0 && running["bytes_after"].as_u64().unwrap() > 0);
    assert_eq!(digests(&node), before);
    let _ = node.run(&["down"]).expect(0);
    let at = text(node.home());
    assert!(node.ended().success());
    let down = run(&["--home", &at, "store", "compact"]).expect(0);
    assert!(down.stdout.contains("before") && down.stdout.contains("after"), "{down:#?}");
    let _ = run(&["--home", &at, "store", "check"]).expect(0);
    let _ =
        run(&["--home", &text(&home.join("none")), "store", "compact"]).expect(1).says("no database here");
    let node = Node::up(&home.join("1"), &[]);
    assert_eq!(digests(&node)[1], before[1]);
}

#[test]
fn without_space_nothing_is_begun_and_nothing_is_left() {
    let home = Home::new();
    let disk = match SmallDisk::mount(&home.join("disk"), "size=96m") {
        Ok(disk) => disk,
        Err(reason) => return skip(&reason),
    };
    let (at, good) = snapshot_of_one(&home);
    let _ = fs::write(disk.path().join("filler"), vec![0; 90 << 20]);
    let out = text(&disk.path().join("backup"));
    let refused =
        run(&["--home", &text(&at), "store", "snapshot", &out]).expect(1).says("disk full: expected");
    assert!(refused.stderr.contains("bytes free, found") && refused.stderr.contains("hint:"), "{refused:#?}");
    let there = text(&disk.path().join("2"));
    let _ = run(&["--home", &there, "store", "restore", &text(&good)]).expect(1).says("disk full: expected");
    assert!(!disk.path().join("2/store").exists());
    // An export does not know its size before it is written; a disk that fills up under it leaves nothing.
    fs::write(disk.path().join("rest"), vec![0; 10 << 20]).unwrap_err();
    let export = text(&disk.path().join("records.cbor"));
    let _ = run(&["--home", &text(&at), "store", "export", &export]).expect(1).says("hint: ");
    let mut left = names(disk.path());
    left.retain(|name| !["2", "filler", "rest"].contains(&name.as_str()));
    assert!(left.is_empty(), "{left:?}");
}

fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill").args([name, &pid.to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()));
}

/// The node stands still, so the export cannot end before it is interrupted.
#[test]
fn an_interrupted_export_leaves_no_half_file() {
    let home = Home::new();
    let node = Node::up(&home.join("1"), &[]);
    let at = text(node.home());
    let out = home.join("out");
    fs::create_dir(&out).unwrap();
    let file = text(&out.join("records.cbor"));
    signal("-STOP", node.pid());
    for name in ["-INT", "-TERM"] {
        let mut export =
            althing(&["--home", &at, "store", "export", &file]).stderr(Stdio::piped()).spawn().unwrap();
        poll("it has begun", || {
            (names(&out) == [format!(".records.cbor.{}.partial", export.id())]).then_some(())
        });
        signal(name, export.id());
        let code = poll("it ends", || export.try_wait().ok().flatten());
        assert_eq!(code.code(), Some(1));
        assert!(names(&out).is_empty(), "{:?}", names(&out));
    }
    signal("-CONT", node.pid());
    let _ = node.run(&["store", "export", &file]).expect(0);
    assert_eq!(names(&out), ["records.cbor"]);
}

#[test]
fn an_interrupted_import_ends_at_once() {
    let home = Home::new();
    let node = Node::up(&home.join("1"), &[]);
    let mut import = althing(&["--home", &text(node.home()), "store", "import", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let spool = std::env::temp_dir().join(format!("althing-import-{}", import.id()));
    // It reads what never ends.
    let mut input = import.stdin.take().unwrap();
    input.write_all(&[0x83]).unwrap();
    poll("it waits for more", || {
        let fds = fs::read_dir(format!("/proc/{}/fd", import.id())).ok()?;
        let holds = |path: PathBuf| text(&path).contains("althing-import-");
        fds.flatten().any(|fd| fs::read_link(fd.path()).is_ok_and(holds)).then_some(())
    });
    signal("-INT", import.id());
    let code = poll("it ends", || import.try_wait().ok().flatten());
    assert_eq!(code.code(), Some(1));
    assert!(!spool.exists());
    drop(input);
    assert_eq!(node.status()["evidence"], 0);
}
