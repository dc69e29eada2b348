//! Checkpoints of the ratings: a committee of real nodes decides, and a node without the ledger has their scores.

use std::fs;

use althing_tests::{Home, Node, keys, poll_or_say, run};
use serde_json::Value;

fn checkpoints(node: &Node) -> Vec<Value> {
    let listed = node.ask("althing.score-checkpoints/v1", &["rep", "checkpoints"]);
    listed["checkpoints"].as_array().unwrap().clone()
}

fn show(node: &Node, did: &str) -> Value {
    node.ask("althing.reputation/v1", &["rep", "show", did])
}

#[test]
fn a_node_without_the_ledger_shows_what_the_committee_decided() {
    let home = Home::new();
    let [first, second] = ["1", "2"].map(|name| keys(&home.join(name)));
    let file = |name: &str, text: &str| {
        let path = home.join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let often = file("often.toml", "[reputation]\ncheckpoint_seconds = 2\n");
    let bare = file("bare.toml", "[reputation]\nledger = false\n");
    let genesis = home.join("genesis.cbor").display().to_string();
    let words = ["network", "init", "--name", "governed", "--rating-epoch", "2s", "--out", &genesis];
    let anchors = ["--anchor", &first, "--anchor", &second, "--committee", &first, "--committee", &second];
    let _ = run(&[&words[..], &anchors].concat()).expect(0);
    let one = Node::up(&home.join("1"), &["--genesis", &genesis, "--config", &often]);
    let address = one.address();
    let join = |config| ["--genesis", &genesis, "--config", config, "--join", &address];
    let two = Node::up(&home.join("2"), &join(&often));
    let three = Node::up(&home.join("3"), &join(&often));
    let four = Node::up(&home.join("4"), &join(&bare));
    assert_eq!(checkpoints(&four), Vec::<Value>::new());
    let words = ["expose", "--echo", "--name", "good", "--skill", "text/same", "--bg"];
    let good = three.ask("althing.exposed/v1", &words)["agent"].as_str().unwrap().to_owned();
    for node in [&one, &two] {
        poll_or_say(
            "the agent is reached",
            || (node.run(&["send", &good, "--text", "hi"]).code == Some(0)).then_some(()),
            || format!("{:?}", node.run(&["send", &good, "--text", "hi"])),
        );
        for _ in 0..4 {
            let _ = node.run(&["send", &good, "--text", "hi"]).expect(0);
        }
    }

    // The third node computes the scores, the fourth has them proved.
    let (there, here) = poll_or_say(
        "both know the scores of one checkpoint",
        || {
            let (there, here) =
                (show(&three, &good)["checkpoint"].take(), show(&four, &good)["checkpoint"].take());
            let is_same = there["checkpoint"].as_str()? == here["checkpoint"].as_str()?;
            (is_same && !there["scores"].is_null() && !here["scores"].is_null()).then_some((there, here))
        },
        || format!("{} {}", show(&three, &good), show(&four, &good)),
    );
    assert_eq!((&there["scores"], &there["epoch"]), (&here["scores"], &here["epoch"]));
    assert!(there["scores"]["service"].as_u64().unwrap() > 0, "{there}");
    assert!(there["proved_by"].is_null() && here["proved_by"].is_string(), "{there} {here}");
    let shown = show(&four, &good);
    assert_eq!((&shown["ledger"], &shown["network"]), (&Value::Bool(false), &Value::Null), "{shown}");
    let text = four.run(&["rep", "show", &good]).expect(0).stdout;
    assert!(text.contains("as trustworthy as the network's committee"), "{text}");
    assert!(text.contains("reputation.ledger is false"), "{text}");
    let rows = four.run(&["rep", "export"]).expect(0).stdout;
    assert_eq!(rows.lines().count(), 1, "{rows}");

    // Every checkpoint is one of every node, computed alike by those with the ledger, and has a certificate.
    let known = checkpoints(&three);
    assert!(known.iter().all(|one| one["agrees"] != Value::Bool(false)), "{known:?}");
    let id = here["checkpoint"].as_str().unwrap();
    let shown = four.ask("althing.score-checkpoint/v1", &["rep", "checkpoint", id]);
    let out = home.join("checkpoint.cbor").display().to_string();
    let proposal = shown["proposal"].as_str().unwrap();
    let _ = four.run(&["vote", "certificate", proposal, "--out", &out]).expect(0);
    let verified = run(&["vote", "verify", &out]).expect(0).stdout;
    assert!(verified.contains(&format!("checkpoint {id}")), "{verified}");
    let unknown = four.run(&["rep", "checkpoint", &"07".repeat(32)]);
    let _ = unknown.expect(1).says("was not decided");
}
