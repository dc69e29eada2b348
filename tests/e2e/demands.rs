//! Demands over real nodes: who cannot show the receipts behind what it published loses the row on every node.

use std::fs;

use althing_tests::{Home, Node, keys, poll_or_say, run};
use serde_json::Value;

/// The did of what a node exposes.
fn expose(node: &Node) -> String {
    let words = ["expose", "--echo", "--name", "same", "--skill", "text/same", "--bg"];
    node.ask("althing.exposed/v1", &words)["agent"].as_str().unwrap().to_owned()
}

/// Whether rows of a rater on an agent count, as a node explains the agent's score.
fn counts(node: &Node, agent: &str, rater: &str) -> Vec<bool> {
    let shown = node.ask("althing.explanation/v1", &["rep", "explain", agent]);
    let rows = shown["ratings"].as_array().unwrap().iter();
    rows.filter(|one| one["row"]["rater"] == *rater).map(|one| one["counts"] == Value::Bool(true)).collect()
}

#[test]
fn a_rater_that_lost_its_receipts_loses_its_row_on_other_nodes() {
    let home = Home::new();
    let [first, second] = ["1", "2"].map(|name| keys(&home.join(name)));
    let config = |name: &str, seconds: u32| {
        let text = format!("[reputation]\ncheckpoint_seconds = {seconds}\n");
        home.write(name, text).display().to_string()
    };
    let (never, often) = (config("never.toml", 0), config("often.toml", 2));
    let genesis = home.join("genesis.cbor").display().to_string();
    let words = ["network", "init", "--name", "demands", "--rating-epoch", "2s", "--out", &genesis];
    let committee = ["--anchor", &first, "--anchor", &second, "--committee", &first];
    let _ = run(&[&words[..], &committee].concat()).expect(0);
    let member = Node::up(&home.join("1"), &["--genesis", &genesis, "--config", &never]);
    let address = member.address();
    let join = ["--genesis", &genesis, "--config", &often, "--join", &address];
    let [other, careless, careful] = ["2", "3", "4"].map(|name| Node::up(&home.join(name), &join));
    let good = expose(&other);
    let raters = [&careless, &careful].map(|node| {
        // It has no card: that it tells of its calls is enough for others to find it.
        let rater = node.agent();
        poll_or_say(
            "the agent is reached",
            || (node.run(&["send", &good, "--text", "hi"]).code == Some(0)).then_some(()),
            || format!("{:?}", node.run(&["send", &good, "--text", "hi"])),
        );
        rater
    });
    for rater in &raters {
        poll_or_say(
            "the member has what the rater published",
            || member.run(&["rep", "export"]).stdout.contains(rater.as_str()).then_some(()),
            || member.run(&["rep", "export"]).stdout,
        );
    }

    // Nobody can know yet which receipts will be asked for. One of the two loses them all.
    careless.kill();
    fs::remove_dir_all(home.join("3").join("store")).unwrap();
    let careless = Node::up(&home.join("3"), &join);
    assert_eq!(careless.agent(), raters[0]);
    drop(member);
    let beside = ["--genesis", &genesis, "--config", &often, "--join", &other.address()];
    let member = Node::up(&home.join("1"), &beside);
    poll_or_say(
        "the row that was not proved is struck out",
        || {
            let lost = counts(&other, &good, &raters[0]);
            (!lost.is_empty() && lost.iter().all(|counts| !counts)).then_some(())
        },
        || format!("{:?}\n{}", counts(&other, &good, &raters[0]), member.run(&["rep", "checkpoints"]).stdout),
    );
    let kept = counts(&other, &good, &raters[1]);
    assert!(!kept.is_empty() && kept.iter().all(|counts| *counts), "{kept:?}");
    let struck = other.ask("althing.score-checkpoints/v1", &["rep", "checkpoints"]);
    let struck = struck["checkpoints"].as_array().unwrap().iter().filter_map(|one| one["unproved"].as_u64());
    assert!(struck.sum::<u64>() > 0);
    drop(careful);
}
