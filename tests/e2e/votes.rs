//! Certificates, away from any node.

use std::fs;

use althing_tests::{Home, Node, althing, poll, run};
use serde_json::Value;

#[test]
fn a_certificate_with_any_byte_changed_is_exit_6() {
    let home = Home::new();
    let genesis = home.join("genesis.cbor").display().to_string();
    let other = home.join("other.cbor").display().to_string();
    for (name, file) in [("lab", &genesis), ("other", &other)] {
        let _ = run(&["network", "init", "--name", name, "--out", file]).expect(0);
    }
    let one = Node::up(&home.join("1"), &["--genesis", &genesis]);
    let two = Node::up(&home.join("2"), &["--genesis", &genesis, "--join", &one.address()]);
    let voters = format!("{},{}", one.agent(), two.agent());
    let propose = [
        "vote",
        "propose",
        "which?",
        "--voters",
        &voters,
        "--option",
        "a",
        "--option",
        "b",
        "--method",
        "unanimous",
    ];
    let proposed = one.ask("althing.proposed/v1", &propose);
    let id = proposed["proposal"].as_str().unwrap();
    let early = home.join("early.cbor").display().to_string();
    let _ = one.run(&["vote", "certificate", id, "--out", &early]).expect(1).says("error: ");
    assert!(!home.join("early.cbor").exists());
    for node in [&one, &two] {
        poll("the proposal arrives", || (node.run(&["vote", "show", id]).code == Some(0)).then_some(()));
        let _ = node.ask("althing.ballot/v1", &["vote", "cast", id, "b"]);
    }
    poll("it is decided", || {
        (one.ask("althing.vote/v1", &["vote", "show", id])["decided"] == "b").then_some(())
    });
    let file = home.join("c.cbor").display().to_string();
    let _ = one.run(&["vote", "certificate", id, "--out", &file]).expect(0);
    let _ = one.run(&["vote", "certificate", id, "--out", &file]).expect(1).says("c.cbor");
    let at = one.home().display().to_string();
    let piped = althing(&["--home", &at, "vote", "certificate", id, "--out", "-"]).output().unwrap();
    assert!(piped.status.success() && piped.stderr.is_empty(), "{piped:?}");
    let piped = home.write("piped.cbor", &piped.stdout).display().to_string();
    let _ = run(&["vote", "verify", &piped, "--genesis", &genesis]).expect(0);
    let both = one.run(&["--json", "vote", "certificate", id, "--out", "-"]).expect(2);
    let _ = both.says("both want standard output").says("hint: ");
    let shown = one.ask("althing.vote/v1", &["vote", "show", id]);
    drop((one, two));

    let verified = run(&["--json", "vote", "verify", &file, "--genesis", &genesis]).expect(0);
    let verified = verified.json("althing.verified-certificate/v1");
    assert_eq!((verified["proposal"].as_str(), verified["option"].as_str()), (Some(id), Some("b")));
    assert_eq!(verified["votes"], 2);
    let in_order = |document: &Value| {
        let mut voters = document["voters"].as_array().unwrap().clone();
        voters.sort_by_key(Value::to_string);
        voters
    };
    assert_eq!(in_order(&verified), in_order(&shown), "voters look the same wherever they are");
    let _ = run(&["vote", "verify", &file, "--genesis", &other]).expect(6);
    let _ = run(&["vote", "verify", &genesis]).expect(6);

    let good = fs::read(&file).unwrap();
    let step = (good.len() / 32).max(1);
    for at in (0..good.len()).step_by(step).chain([good.len() - 1]) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        let bad = home.write("bad.cbor", bad).display().to_string();
        let refused = run(&["--json", "vote", "verify", &bad]).expect(6).says("error: ");
        assert_eq!(refused.json("althing.problem/v1")["exit"], 6, "byte {at}");
    }
    let short = home.write("short.cbor", &good[..good.len() - 1]).display().to_string();
    let long = home.write("long.cbor", [&good[..], &[0]].concat()).display().to_string();
    let _ = run(&["vote", "verify", &short]).expect(6);
    let _ = run(&["vote", "verify", &long]).expect(6);
    let _ = run(&["vote", "verify", "/nonexistent"]).expect(1).says("/nonexistent");
}

/// Somebody deletes a damaged store and keeps the keys: the peers remember what the agent said.
#[test]
fn an_emptied_store_with_the_same_keys_does_not_vote_again() {
    let home = Home::new();
    let one = Node::up(&home.join("1"), &[]);
    let two = Node::join(&home.join("2"), &one);
    let (agent, voters) = (two.agent(), format!("{},{}", one.agent(), two.agent()));
    let proposed = one.ask("althing.proposed/v1", &["vote", "propose", "which?", "--voters", &voters]);
    let id = proposed["proposal"].as_str().unwrap();
    poll("the proposal arrives and the ballot is taken", || {
        (two.run(&["vote", "cast", id, "yes"]).code == Some(0)).then_some(())
    });
    poll("the ballot reaches the other node", || {
        one.run(&["vote", "show", id]).stdout.contains(&format!("{agent}  yes")).then_some(())
    });
    let _ = two.run(&["down"]).expect(0);
    assert!(two.ended().success());
    std::fs::remove_dir_all(home.join("2").join("store")).unwrap();
    // The recovery key may be kept elsewhere; that must not make a second identity of the first.
    for file in std::fs::read_dir(home.join("2").join("keys").join("agents")).unwrap().flatten() {
        if file.file_name().to_string_lossy().contains("recovery") {
            std::fs::remove_file(file.path()).unwrap();
        }
    }

    let two = Node::join(&home.join("2"), &one);
    assert_eq!(two.agent(), agent);
    let refused = poll("the peers tell what was said", || {
        let cast = two.run(&["vote", "cast", id, "no"]);
        assert_ne!(cast.code, Some(0), "a second ballot was signed: {cast:#?}");
        cast.stderr.contains("already voted").then_some(cast)
    });
    assert!(refused.stderr.contains("\"yes\""), "{refused:#?}");
    assert_eq!(two.run(&["vote", "cast", id, "yes"]).code, Some(0), "repeating it is no second ballot");
    for node in [&one, &two] {
        assert_eq!(node.status()["evidence"], 0, "nobody is accused");
    }
}
