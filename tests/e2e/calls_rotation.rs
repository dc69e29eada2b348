//! Keys that are replaced while calls go on.

use std::fs;
use std::path::Path;

use althing_tests::{Home, Node, poll_or_say, run};
use serde_json::Value;

fn rotate(node: &Node, name: &str) -> Value {
    node.ask("althing.key-rotated/v1", &["key", "rotate", name])
}

fn expose(node: &Node) -> String {
    let words = ["expose", "--echo", "--name", "echo", "--skill", "text/same", "--bg"];
    node.ask("althing.exposed/v1", &words)["agent"].as_str().unwrap().to_owned()
}

fn calls(node: &Node, did: &str) -> bool {
    let said = node.run(&["send", did, "--text", "hi"]);
    said.code == Some(0) && said.stdout.contains("TASK_STATE_COMPLETED")
}

/// Calls until it works: news of an agent take their time.
fn until_called(node: &Node, did: &str) {
    poll_or_say(
        "the agent is called",
        || calls(node, did).then_some(()),
        || format!("{:?}", node.run(&["send", did, "--text", "hi"])),
    );
}

fn file(node: &Node, name: &str) -> std::path::PathBuf {
    node.home().join("keys/agents").join(name)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            let _ = fs::copy(entry.path(), to).unwrap();
        }
    }
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
}

fn stop(node: Node) -> std::path::PathBuf {
    let home = node.home().to_owned();
    let _ = node.run(&["down"]).expect(0);
    assert!(node.ended().success());
    home
}

#[test]
fn caller_and_callee_get_new_keys_while_one_is_exposed_to_the_other() {
    let home = Home::new();
    let genesis = home.join("genesis.cbor").display().to_string();
    let _ =
        run(&["network", "init", "--name", "rotated", "--rating-epoch", "3s", "--out", &genesis]).expect(0);
    let one = Node::up(&home.join("1"), &["--genesis", &genesis]);
    let join = ["--genesis", &genesis, "--join", &one.address()];
    let two = Node::up(&home.join("2"), &join);
    let caller = two.agent();
    let did = expose(&one);
    until_called(&two, &did);
    copy(&two.home().join("keys"), &home.join("former/keys"));
    let _ = fs::copy(two.home().join("recovery"), home.join("former/recovery")).unwrap();
    fs::set_permissions(home.join("former"), fs::metadata(two.home()).unwrap().permissions()).unwrap();

    for rotations in 1..=2 {
        let keys = [("default.key", &two), ("default-recovery.key", &two), ("echo.key", &one)];
        let before = keys.map(|(name, node)| fs::read(file(node, name)).unwrap());
        let rotated = rotate(&two, if rotations == 1 { "default" } else { &caller });
        assert_eq!((&rotated["agent"], &rotated["rotations"]), (&Value::from(&*caller), &rotations.into()));
        assert!(calls(&two, &did), "right after the caller's key was replaced");
        let rotated = rotate(&one, "echo");
        assert_eq!((&rotated["agent"], &rotated["card"]), (&Value::from(&*did), &true.into()));
        assert_ne!(rotated["key"], rotated["former"]);
        assert!(calls(&two, &did), "right after the callee's key was replaced");
        // What they were is nowhere any more.
        for ((name, node), before) in keys.iter().zip(before) {
            assert_ne!(fs::read(file(node, name)).unwrap(), before);
            assert!(!file(node, &format!("{name}.next")).exists());
        }
    }
    let kept = two.ask("althing.receipts/v1", &["rep", "receipts"]);
    assert!(kept["calls"].as_array().unwrap().iter().all(|call| call["callee"] == *did), "{kept}");
    // Calls before and after are ratings of one agent by one other.
    let shown = poll_or_say(
        "calls under each of the keys are rated",
        || {
            let _ = calls(&two, &did);
            let shown = one.ask("althing.reputation/v1", &["rep", "show", &did]);
            let rows = one.run(&["rep", "export"]).expect(0).stdout;
            (rows.lines().filter(|row| row.contains(&caller)).count() >= 2 && shown["raters_known"] == 1)
                .then_some(shown)
        },
        || one.run(&["rep", "export"]).stdout,
    );
    assert_eq!(shown["agent"], *did, "{shown}");

    // Both come back with the newest keys.
    let (first, second) = (stop(one), stop(two));
    let one = Node::up(&first, &[]);
    let two = Node::up(&second, &["--join", &one.address()]);
    assert_eq!(two.agent(), caller);
    until_called(&two, &did);
    let _ = stop(two);

    // A home with the key from before.
    let former = Node::up(&home.join("former"), &["--genesis", &genesis, "--join", &one.address()]);
    assert_eq!(former.agent(), caller);
    poll_or_say(
        "it is refused by name",
        || {
            let refused = former.run(&["send", &did, "--text", "hi"]);
            (refused.code != Some(0) && refused.stderr.contains("is no longer the key of")).then_some(())
        },
        || format!("{:?}", former.run(&["send", &did, "--text", "hi"])),
    );
    poll_or_say(
        "it does not rotate either",
        || {
            former
                .run(&["key", "rotate", "default"])
                .stderr
                .contains("names another recovery key")
                .then_some(())
        },
        || format!("{:?}", former.run(&["key", "rotate", "default"])),
    );
}

#[test]
fn a_key_is_replaced_only_with_the_recovery_key_at_hand() {
    let home = Home::new();
    let node = Node::up(&home.join("1"), &[]);
    let _ = node.run(&["key", "rotate", "nobody"]).expect(1).says("no agent \"nobody\"").says("default");
    let recovery = file(&node, "default-recovery.key");
    let away = home.join("safe.key");
    fs::rename(&recovery, &away).unwrap();
    let missing = node.run(&["key", "rotate", "default"]).expect(1);
    let _ = missing.says("default-recovery.key").says("key restore");
    assert!(!file(&node, "default.identity").exists());
    fs::rename(&away, &recovery).unwrap();
    let did = node.agent();
    let rotated = rotate(&node, "default");
    assert_eq!(rotated["card"], false);
    // Shares are of first keys.
    let out = home.join("shares").display().to_string();
    let _ = node.run(&["key", "split", "--agent", &did, "--out", &out]).expect(1).says("was rotated");
    // The store is lost, and the keys are not.
    let kept = stop(node);
    for name in ["store", "exposed"] {
        let _ = fs::remove_dir_all(kept.join(name));
    }
    let node = Node::up(&kept, &[]);
    assert_eq!(node.agent(), did);
    let _ = expose(&node);
    poll_or_say(
        "the newest key speaks",
        || (node.run(&["card", "publish", super::commands::TRANSLATOR]).code == Some(0)).then_some(()),
        || format!("{:?}", node.run(&["card", "publish", super::commands::TRANSLATOR])),
    );
}
