//! Certificates, away from any node.

use std::fs;

use althing_tests::{Home, Node, poll, run};

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
    drop((one, two));

    let verified = run(&["--json", "vote", "verify", &file, "--genesis", &genesis]).expect(0);
    let verified = verified.json("althing.verified-certificate/v1");
    assert_eq!((verified["proposal"].as_str(), verified["option"].as_str()), (Some(id), Some("b")));
    assert_eq!(verified["votes"], 2);
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
