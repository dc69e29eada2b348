//! Twelve nodes with an agent of one skill each; five of them cheat.

use althing_tests::{Home, Node, keys, poll_or_say, run};
use serde_json::Value;

const SKILL: &str = "text/same";
const HONEST: usize = 7;
const CHEATS: usize = 5;
/// Honest agents that the genesis names.
const ANCHORS: usize = 3;
/// What each caller calls before it is counted, and then again.
const CALLS: usize = 20;

/// Rates the newest call of a node; one that was published in the meantime stays as it was.
fn rate(node: &Node, quality: &str) {
    let kept = poll_or_say(
        "the call is kept",
        || {
            let kept = node.ask("althing.receipts/v1", &["rep", "receipts", "--limit", "1"]);
            (kept["calls"][0]["side"] == "caller").then_some(kept)
        },
        || node.ask("althing.receipts/v1", &["rep", "receipts", "--limit", "3"]).to_string(),
    );
    let task = kept["calls"][0]["task"].as_str().unwrap();
    let _ = node.run(&["rep", "rate", task, "--quality", quality]);
}

/// Calls whoever the skill address chooses, and says what it thinks of that. Gives whether it was a cheat.
fn call(node: &Node) -> bool {
    let said = node.run(&["send", "--skill", SKILL, "--text", "hi"]).expect(0).stdout;
    let is_cheat = said.contains("nonsense");
    assert!(is_cheat || said.contains("hi"), "{said}");
    if is_cheat {
        rate(node, "0");
    }
    is_cheat
}

/// The agent that a node offers.
fn expose(node: &Node, what: &[&str]) -> String {
    let words = [&["expose"], what, &["--skill", SKILL, "--bg"]].concat();
    node.ask("althing.exposed/v1", &words)["agent"].as_str().unwrap().to_owned()
}

/// Cheats answer everything with nonsense, rate honest agents with 0 and each other with 100. Callers look at what they get.
#[test]
fn cheats_get_less_than_a_twentieth_of_the_calls() {
    let home = Home::new();
    let places: Vec<_> = (0..HONEST + CHEATS).map(|number| home.join(&number.to_string())).collect();
    let anchors: Vec<String> = places.iter().take(ANCHORS).map(|place| keys(place)).collect();
    let genesis = home.join("genesis.cbor").display().to_string();
    let mut words = vec!["network", "init", "--name", "cheats", "--rating-epoch", "4s", "--out", &genesis];
    words.extend(anchors.iter().flat_map(|anchor| ["--anchor", anchor]));
    let _ = run(&words).expect(0);
    let mut nodes = vec![Node::up(&places[0], &["--genesis", &genesis])];
    let join = nodes[0].address();
    for place in &places[1..] {
        nodes.push(Node::up(place, &["--genesis", &genesis, "--join", &join]));
    }
    let (honest, cheats) = nodes.split_at(HONEST);
    let good: Vec<String> = honest.iter().map(|node| expose(node, &["--echo"])).collect();
    let bad: Vec<String> = cheats.iter().map(|node| expose(node, &["--exec", "echo nonsense"])).collect();
    for node in &nodes {
        let found = || node.ask("althing.find/v1", &["find", "--skill", SKILL]);
        let all = |found: &Value| found["agents"].as_array().map(Vec::len) == Some(HONEST + CHEATS);
        poll_or_say("all agents are found", || all(&found()).then_some(()), || found().to_string());
    }

    let mut before = 0;
    for _ in 0..CALLS {
        before += honest.iter().filter(|node| call(node)).count();
    }
    for (number, cheat) in cheats.iter().enumerate() {
        for other in &good {
            if cheat.run(&["send", other, "--text", "hi"]).code == Some(0) {
                rate(cheat, "0");
            }
        }
        let _ = cheat.run(&["send", &bad[(number + 1) % CHEATS], "--text", "hi"]);
    }

    // What was learned is told when its rating epoch is over.
    let scored =
        |node: &Node| node.ask("althing.reputation/v1", &["rep", "show", &good[0]])["epoch"].as_u64();
    let learned = scored(&honest[0]).unwrap_or_default() + 2;
    for node in honest {
        poll_or_say(
            "the rating epoch is told of",
            || scored(node).filter(|epoch| *epoch >= learned),
            || format!("{:?} of {learned}", scored(node)),
        );
    }

    let mut after = 0;
    for _ in 0..CALLS {
        after += honest.iter().filter(|node| call(node)).count();
    }
    let all = HONEST * CALLS;
    println!("{before} of {} calls went to cheats, then {after} of {all}", HONEST * CALLS);
    assert!(after * 20 < all, "{after} of {all} calls went to cheats");

    // Whom nobody has called says the same about them.
    let newcomer = Node::up(&home.join("new"), &["--genesis", &genesis, "--join", &join]);
    let found = || newcomer.ask("althing.find/v1", &["find", "--skill", SKILL, "--min-score", "0.4"]);
    poll_or_say(
        "a newcomer passes cheats over",
        || {
            let shown = found();
            let agents = shown["agents"].as_array()?;
            let named = |did: &String| agents.iter().any(|agent| agent["agent"] == **did);
            (!agents.is_empty() && !bad.iter().any(named)).then_some(())
        },
        || found().to_string(),
    );
}
