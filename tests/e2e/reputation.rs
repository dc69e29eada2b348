//! Calls become receipts, attestations and scores, and calls go by them.

use althing_tests::{Home, Node, keys, poll_or_say, run};
use serde_json::Value;

const SKILL: &str = "text/same";

/// How often each of the two callers calls each agent.
const CALLS: usize = 8;

fn show(node: &Node, did: &str) -> Value {
    node.ask("althing.reputation/v1", &["rep", "show", did])
}

/// An agent's scores on a node once they rest on both raters and this many calls, in thousandths.
fn rated(node: &Node, did: &str, evidence: u64) -> Value {
    poll_or_say(
        "calls are rated",
        || {
            let shown = show(node, did);
            let is_enough = shown["network"]["evidence"].as_u64()? >= evidence;
            (is_enough && shown["raters_known"] == 2).then_some(shown)
        },
        || show(node, did).to_string(),
    )
}

fn expose(node: &Node, what: &[&str]) -> String {
    let words = [&["expose"], what, &["--skill", SKILL, "--bg"]].concat();
    node.ask("althing.exposed/v1", &words)["agent"].as_str().unwrap().to_owned()
}

#[test]
fn who_fails_is_passed_over_by_everybody() {
    let home = Home::new();
    let [first, second] = ["1", "2"].map(|name| keys(&home.join(name)));
    let genesis = home.join("genesis.cbor").display().to_string();
    let words = ["network", "init", "--name", "rated", "--rating-epoch", "2s", "--out", &genesis];
    let _ = run(&[&words[..], &["--anchor", &first, "--anchor", &second]].concat()).expect(0);
    let one = Node::up(&home.join("1"), &["--genesis", &genesis]);
    assert_eq!(one.agent(), first);
    let join = ["--genesis", &genesis, "--join", &one.address()];
    let two = Node::up(&home.join("2"), &join);
    let three = Node::up(&home.join("3"), &join);
    let good = expose(&three, &["--echo", "--name", "good"]);
    let bad = expose(&three, &["--exec", "false", "--name", "bad"]);
    assert_eq!(show(&three, &good)["network"], Value::Null);

    for node in [&one, &two] {
        poll_or_say(
            "the agent is reached",
            || (node.run(&["send", &good, "--text", "hi"]).code == Some(0)).then_some(()),
            || format!("{:?}", node.run(&["send", &good, "--text", "hi"])),
        );
        for _ in 0..CALLS {
            let _ = node.run(&["send", &good, "--text", "hi"]).expect(0);
            let _ = node.run(&["send", &bad, "--text", "hi"]);
        }
    }

    // The third node rates nobody, and knows.
    let (best, worst) = (rated(&three, &good, 3_000), rated(&three, &bad, 3_000));
    let service = |shown: &Value| shown["network"]["service"].as_u64().unwrap();
    assert!(service(&best) >= 400 && service(&worst) < 300, "{best} {worst}");
    let text = three.run(&["rep", "explain", &good]).expect(0).stdout;
    assert!(text.contains(&first) && text.contains(&second), "{text}");
    let why = one.ask("althing.explanation/v1", &["rep", "explain", &bad]);
    let of = |name: &str| why[name].as_array().unwrap().clone();
    assert_eq!(
        (&why["skills"][0]["skill"], &why["skills"][0]["may_be_chosen"]),
        (&SKILL.into(), &false.into())
    );
    assert_eq!(why["skills"][0]["reason"], "low", "{why}");
    assert!(of("ratings").iter().any(|row| row["row"]["rater"] == *second && row["counts"] == true), "{why}");
    assert!(of("calls").iter().all(|call| call["callee"] == *bad && call["quality"] == 0), "{why}");
    assert!(!of("calls").is_empty() && !of("changes").is_empty(), "{why}");
    let top = three.ask("althing.ranking/v1", &["rep", "top", "--skill", SKILL]);
    let order: Vec<_> = top["agents"].as_array().unwrap().iter().map(|one| one["agent"].as_str()).collect();
    assert_eq!(order, [Some(&*good), Some(&*bad)], "{top}");
    let found = three.ask("althing.find/v1", &["find", "--skill", SKILL, "--min-score", "0.4"]);
    assert_eq!(found["agents"].as_array().map(Vec::len), Some(1), "{found}");
    assert_eq!(found["agents"][0]["agent"], *good);
    let found = three.ask("althing.find/v1", &["find", "--skill", SKILL, "--newcomers", "only"]);
    assert_eq!(found["agents"].as_array().map(Vec::len), Some(0), "{found}");
    let rows = three.run(&["rep", "export"]).expect(0).stdout;
    assert!(rows.starts_with("record,rater,epoch,"), "{rows}");
    assert!(rows.lines().any(|row| row.contains(&first) && row.contains(&bad)), "{rows}");

    for node in [&one, &three] {
        for _ in 0..10 {
            let said = node.run(&["send", "--skill", SKILL, "--text", "hi"]).expect(0).stdout;
            assert!(said.contains("TASK_STATE_COMPLETED"), "{said}");
        }
    }

    let _ = three.run(&["down"]).expect(0);
    assert!(three.ended().success());
    let three = Node::up(&home.join("3"), &join);
    let kept = rated(&three, &bad, 1_000);
    assert!(service(&kept) < 300, "{kept}");
}

#[test]
fn a_call_is_rated_until_its_rating_epoch_is_published() {
    let home = Home::new();
    let genesis = home.join("genesis.cbor").display().to_string();
    let words = ["network", "init", "--name", "rated", "--rating-epoch", "3s", "--out", &genesis];
    let _ = run(&words).expect(0);
    let one = Node::up(&home.join("1"), &["--genesis", &genesis]);
    let silent = home.write("silent.toml", b"[reputation]\npublish = false\n").display().to_string();
    let two =
        Node::up(&home.join("2"), &["--genesis", &genesis, "--join", &one.address(), "--config", &silent]);
    let did = expose(&one, &["--echo"]);
    let newest = |node: &Node| {
        let _ = node.run(&["send", &did, "--text", "hi"]).expect(0);
        poll_or_say(
            "the call is kept",
            || {
                let kept = node.ask("althing.receipts/v1", &["rep", "receipts", "--limit", "1"]);
                let call = kept["calls"].get(0)?.clone();
                (call["side"] == "caller").then_some(call)
            },
            String::new,
        )
    };
    poll_or_say(
        "the agent is reached",
        || (two.run(&["send", &did, "--text", "hi"]).code == Some(0)).then_some(()),
        String::new,
    );
    let call = newest(&two);
    assert_eq!(call["quality"], 100, "{call}");
    let task = call["task"].as_str().unwrap();
    // Who does not publish can rate for as long as the call is kept.
    let words = ["rep", "rate", task, "--quality", "40", "--comment", "too short"];
    let rated = two.ask("althing.rated/v1", &words);
    assert_eq!((&rated["quality"], &rated["callee"]), (&40.into(), &did.clone().into()));
    let kept = two.ask("althing.receipts/v1", &["rep", "receipts"]);
    let calls = kept["calls"].as_array().unwrap();
    assert!(calls.iter().any(|call| call["task"] == *task && call["quality"] == 40), "{kept}");
    assert!(calls.iter().any(|call| call["comment"] == "too short" && call["published"] == false), "{kept}");
    assert!(two.run(&["rep", "explain", &did]).expect(0).stdout.contains("too short"));
    let _ = two
        .run(&["rep", "rate", &"ab".repeat(16), "--quality", "1"])
        .expect(1)
        .says("no call")
        .says("hint: ");
    let _ = two.run(&["rep", "rate", "x", "--quality", "1"]).expect(1).says("task");
    let _ = two.run(&["rep", "rate", task, "--quality", "101"]).expect(2).says("101");
    assert!(one.run(&["rep", "show", &did]).expect(0).stdout.contains("nobody"));
}
