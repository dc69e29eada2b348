//! Keys in shares, as a user splits and restores them.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use althing_tests::{Home, Node, Run, althing, poll, run};
use serde_json::Value;

use super::commands::TRANSLATOR;

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Splits the default agent's key; gives the files.
fn split(home: &Path, out: &Path, more: &[&str]) -> Vec<String> {
    let (at, out) = (text(home), text(out));
    let words = [&["--json", "--home", &at, "key", "split", "--out", &out], more].concat();
    let made = run(&words).expect(0).json("althing.key-split/v1");
    made["files"].as_array().unwrap().iter().map(|file| file.as_str().unwrap().to_owned()).collect()
}

fn restore(home: &Path, files: &[&str], more: &[&str]) -> Run {
    let at = text(home);
    run(&[&["--home", &at, "key", "restore"], files, more].concat())
}

/// A home whose node has run, and its agent.
fn former(home: &Home, name: &str) -> (PathBuf, String) {
    let node = Node::up(&home.join(name), &[]);
    let agent = node.agent();
    let _ = node.run(&["down"]).expect(0);
    let at = node.home().to_owned();
    assert!(node.ended().success());
    (at, agent)
}

#[test]
fn an_agent_comes_back_from_its_shares_in_a_fresh_home() {
    let home = Home::new();
    let one = Node::up(&home.join("1"), &[]);
    let two = Node::join(&home.join("2"), &one);
    for node in [&one, &two] {
        let _ = node.run(&["card", "publish", TRANSLATOR]).expect(0);
    }
    let lost = one.agent();
    let voters = format!("{lost},{}", two.agent());
    let proposed = two.ask("althing.proposed/v1", &["vote", "propose", "first?", "--voters", &voters]);
    let first = proposed["proposal"].as_str().unwrap().to_owned();
    poll("the agent votes", || (one.run(&["vote", "cast", &first, "yes"]).code == Some(0)).then_some(()));
    poll("its vote is known", || (two.status()["records"] == one.status()["records"]).then_some(()));
    // The node that runs is not asked and not disturbed.
    let files = split(one.home(), &home.join("shares"), &[]);
    assert_eq!(files.len(), 5);
    for file in &files {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
    }
    // The disk is lost.
    let gone = one.home().to_owned();
    one.kill();
    fs::remove_dir_all(&gone).unwrap();

    let there = home.join("3");
    let restored = restore(&there, &[&files[4], &files[0], &files[2]], &["--json"]).expect(0);
    let restored = restored.json("althing.key-restore/v1");
    assert_eq!((&restored["agent"], &restored["name"]), (&Value::from(&*lost), &"default".into()));
    assert_eq!((&restored["shares"], &restored["new"]), (&serde_json::json!([1, 3, 5]), &true.into()));
    for path in ["keys/node.key", "keys/agents/default.key"] {
        assert_eq!(fs::metadata(there.join(path)).unwrap().permissions().mode() & 0o777, 0o600, "{path}");
    }
    let again = restore(&there, &[&files[1], &files[2], &files[3]], &[]).expect(0);
    assert!(again.stdout.contains("was here already"), "{again:#?}");

    // Nobody can be asked: silent.
    let alone = Node::up(&there, &[]);
    assert_eq!(alone.agent(), lost);
    let proposed = alone.ask("althing.proposed/v1", &["vote", "propose", "alone?", "--voters", &lost]);
    let _ =
        alone.run(&["vote", "cast", proposed["proposal"].as_str().unwrap(), "yes"]).expect(1).says("no peer");
    let _ = alone.run(&["down"]).expect(0);
    assert!(alone.ended().success());

    // With the others it learns what it cast, and never casts something else.
    let three = Node::join(&there, &two);
    let told = poll("it is told what it cast", || {
        let cast = three.run(&["vote", "cast", &first, "no"]);
        assert_ne!(cast.code, Some(0), "a second ballot was signed: {cast:#?}");
        cast.stderr.contains("already voted").then_some(cast)
    });
    assert!(told.stderr.contains("\"yes\""), "{told:#?}");
    let _ = three.run(&["card", "publish", TRANSLATOR]).expect(0);
    let second = two.ask("althing.proposed/v1", &["vote", "propose", "second?", "--voters", &voters]);
    let second = second["proposal"].as_str().unwrap().to_owned();
    poll("it votes again", || (three.run(&["vote", "cast", &second, "no"]).code == Some(0)).then_some(()));
    poll("everybody takes it for the same agent", || {
        let card = two.run(&["card", "get", &lost]);
        let both = two.status()["records"] == three.status()["records"];
        (both && card.code == Some(0)).then_some(())
    });
    for node in [&two, &three] {
        assert_eq!(node.status()["evidence"], 0, "nobody is accused");
    }
}

#[test]
fn bad_shares_are_named_and_restore_nothing() {
    let home = Home::new();
    let (from, agent) = former(&home, "1");
    let (ours, again) = (split(&from, &home.join("a"), &[]), split(&from, &home.join("b"), &[]));
    let (other, _) = former(&home, "4");
    let theirs = split(&other, &home.join("c"), &[]);
    let there = home.join("there");

    let damaged = text(&home.write("damaged.txt", flipped(&fs::read_to_string(&ours[1]).unwrap())));
    let refused = restore(&there, &[&ours[0], &damaged, &ours[2]], &[]).expect(6);
    let _ = refused
        .says("1 of 3 shares")
        .says("damaged.txt: damaged: its checksum")
        .says("hint: the others (1, 3) are not");
    let refused = restore(&there, &[&ours[0], &damaged, &ours[2], &ours[4]], &[]).expect(6);
    let _ = refused
        .says("damaged.txt")
        .says("hint: leave out what is named here: the others (1, 3, 5) are enough");

    let refused = restore(&there, &[&ours[0], &ours[1], &ours[0]], &[]).expect(6);
    let _ = refused.says(&format!("{}: share 1 again, the same as {}", ours[0], ours[0]));
    let refused = restore(&there, &[&theirs[0], &ours[0], &again[3], &ours[1], &ours[2]], &[]).expect(6);
    let _ = refused
        .says("2 of 5 shares")
        .says(&format!("{}: a share of did:key:", theirs[0]))
        .says(&format!("the others are of {agent}"))
        .says(&format!("{}: a share of another split", again[3]))
        .says("the others (1, 2, 3) are enough");

    let whole = [&*ours[0], &*ours[1], &*ours[2]];
    let _ = restore(&there, &whole, &["--name", "../x"]).expect(2).says("agent name");
    let refused = restore(&there, &[&ours[3], &ours[1]], &[]).expect(1);
    let _ = refused
        .says("expected 3 shares")
        .says("found 2: 2, 4")
        .says("get 1 more of the shares 1, 3, 5 of set");
    let _ = restore(&there, &[TRANSLATOR], &[]).expect(6).says("translator.json").says("expected a share");
    let json = restore(&there, &[&ours[0], &damaged], &["--json"]).expect(6);
    assert_eq!(json.json("althing.problem/v1")["exit"], 6);
    let again = restore(&there, &[&ours[0], &ours[0]], &[]).expect(6);
    // What is refused shows nothing of a share.
    for run in [json, again] {
        assert!(!(run.stdout + &run.stderr).contains("v1:z4"), "a share shows");
    }
    assert!(!there.exists(), "nothing was made");
}

/// The text of a share file with a character of the share changed.
fn flipped(text: &str) -> String {
    let at = text.len() - 30;
    let other = if text.as_bytes()[at] == b'a' { "b" } else { "a" };
    format!("{}{other}{}", &text[..at], &text[at + 1..])
}

#[test]
fn what_is_there_is_not_overwritten() {
    let home = Home::new();
    let (from, agent) = former(&home, "1");
    let files = split(&from, &home.join("shares"), &["--threshold", "2", "--shares", "3"]);
    let at = text(&from);
    let refused = run(&[
        "--home",
        &at,
        "key",
        "split",
        "--threshold",
        "2",
        "--shares",
        "3",
        "--out",
        &text(&home.join("shares")),
    ]);
    let _ = refused.expect(1).says("share-1-of-3.txt").says("hint: choose another directory");

    let other = Node::up(&home.join("2"), &[]);
    let two = other.home().to_owned();
    let names = [&*files[0], &*files[1]];
    let _ = restore(&two, &names, &[]).expect(1).says("\"default\"").says(&other.agent()).says("--name");
    let _ =
        restore(&two, &names, &["--name", "old"]).expect(1).says("hint: stop the node first, `althing down");
    let _ = restore(&two, &names, &["--name", "old-recovery"]).expect(2);
    let default = other.agent();
    let _ = other.run(&["down"]).expect(0);
    assert!(other.ended().success());
    assert!(two.join("store/accepts").exists());
    let _ = restore(&two, &names, &["--name", "old"]).expect(0);
    assert!(!two.join("store/accepts").exists(), "what the agent accepted elsewhere is not in this book");
    let _ = restore(&two, &names, &["--name", "new"]).expect(1).says("as \"old\"");
    let both = Node::up(&two, &[]);
    let listed = both.ask("althing.agents/v1", &["agent", "ls"]);
    let listed: Vec<&str> =
        listed["agents"].as_array().unwrap().iter().filter_map(|listed| listed["agent"].as_str()).collect();
    assert_eq!(listed, [default, agent]);
}

#[test]
fn a_recovery_key_has_shares_of_its_own() {
    let home = Home::new();
    let (from, agent) = former(&home, "1");
    let signing = split(&from, &home.join("s"), &["--threshold", "2", "--shares", "2"]);
    let recovery = split(
        &from,
        &home.join("r"),
        &["--threshold", "2", "--shares", "2", "--recovery", "--agent", &agent],
    );
    let there = home.join("2");
    let files = [&*recovery[0], &*recovery[1]];
    let _ = restore(&there, &files, &[])
        .expect(1)
        .says("recovery key")
        .says("hint: restore its signing key first");
    let _ = restore(&there, &[&signing[0], &recovery[1]], &[]).expect(6).says("another split");
    let _ = restore(&there, &[&signing[0], &signing[1]], &[]).expect(0);
    let _ = restore(&there, &files, &[]).expect(0);
    let noted = |home: &Path| fs::read_to_string(home.join("recovery")).unwrap();
    assert_eq!(noted(&there), noted(&from), "the same inception");
    let node = Node::up(&there, &[]);
    assert_eq!(node.agent(), agent);
    let moved = from.join("keys/agents/default-recovery.key");
    fs::remove_file(moved).unwrap();
    let refused =
        run(&["--home", &text(&from), "key", "split", "--recovery", "--out", &text(&home.join("x"))]);
    let _ = refused.expect(1).says("default-recovery.key is missing");
}

#[test]
fn shares_go_through_pipes_and_passphrases_are_asked_for() {
    let home = Home::new();
    let passphrase = home.write("passphrase", "correct horse\n");
    let up = |name: &str| {
        let at = home.join(name);
        let words = [
            "--json",
            "--home",
            &text(&at),
            "up",
            "--listen",
            "/ip4/127.0.0.1/tcp/0",
            "--profile",
            "testnet",
        ];
        let mut command = althing(&words);
        command.env("ALTHING_PASSPHRASE_FILE", &passphrase);
        Node::start(&at, command)
    };
    let node = up("1");
    let agent = node.agent();
    let at = text(node.home());
    let words = ["--home", &at, "key", "split", "--out", "-"];
    let _ = run(&words).expect(1).says("sealed with a passphrase").says("ALTHING_PASSPHRASE_FILE");
    let output = althing(&words).env("ALTHING_PASSPHRASE_FILE", &passphrase).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).matches("\nalthing-share-v1:z").count(), 5);
    let _ = run(&["--json", "--home", &at, "key", "split", "--out", "-"]).expect(2);

    let there = text(&home.join("2"));
    let mut child = althing(&["--home", &there, "key", "restore", "-"])
        .env("ALTHING_PASSPHRASE_FILE", &passphrase)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&output.stdout).unwrap();
    assert!(child.wait_with_output().unwrap().status.success());
    node.kill();
    assert_eq!(up("2").agent(), agent);
}

#[test]
fn splits_that_make_no_sense_are_usage_errors() {
    let home = Home::new();
    let at = text(&home.join("none"));
    for (words, cause) in [
        (vec!["--threshold", "1"], "1"),
        (vec!["--shares", "33"], "33"),
        (vec!["--threshold", "4", "--shares", "3"], "expected at least the threshold, 4, found 3"),
    ] {
        let _ = run(&[&["--home", &at, "key", "split"], &words[..]].concat()).expect(2).says(cause);
    }
    let _ = run(&["--home", &at, "key", "split"]).expect(1).says("no keys in").says("hint: ");
    let _ = run(&["--home", &at, "key", "restore"]).expect(2);
    assert!(!home.join("none").exists());
}
