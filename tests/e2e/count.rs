//! Counting ballots of a file, as a user does.

use std::io::Write;
use std::process::Stdio;

use althing_tests::{Home, althing, run};
use serde_json::{Value, json};

const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/rcv.toml");
const BALLOTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/ballots.csv");

/// By hand: ballots 9, 13 and 14 count for nobody; 7 is Ann's at once, since Dan has withdrawn; 8 is a write-in's.
#[test]
fn the_example_is_counted_round_by_round() {
    let counted =
        run(&["--json", "vote", "count", "--rules", RULES, BALLOTS]).expect(0).json("althing.count/v1");
    let rounds: Vec<Value> = counted["rounds"].as_array().unwrap().clone();
    let tallies: Vec<&Value> = rounds.iter().map(|round| &round["tally"]).collect();
    assert_eq!(
        tallies,
        [
            &json!({"Ann": "4", "Bob": "4", "Cyd": "3", "(write-in)": "1"}),
            &json!({"Ann": "4", "Bob": "4", "Cyd": "4"}),
            &json!({"Ann": "5", "Bob": "7"}),
        ]
    );
    let all = |key: &str| rounds.iter().map(|round| round[key].clone()).collect::<Vec<_>>();
    assert_eq!(all("exhausted"), ["3", "3", "3"]);
    assert_eq!(all("threshold"), ["7", "7", "7"]);
    assert_eq!(all("eliminated"), [json!(["(write-in)"]), json!(["Cyd"]), json!([])]);
    assert_eq!(all("elected"), [json!([]), json!([]), json!(["Bob"])]);
    let tie = json!([{
        "about": "eliminate", "among": ["Ann", "Bob", "Cyd"], "chosen": ["Cyd"], "by": "round 1",
    }]);
    assert_eq!(all("ties"), [json!([]), tie, json!([])]);
    assert_eq!(counted["ballots"], "15");
    assert_eq!((&counted["decision"], &counted["elected"]), (&json!("elected"), &json!(["Bob"])));
    let text = run(&["vote", "count", "--rules", RULES, BALLOTS]).expect(0).stdout;
    assert!(text.contains("elected  Bob") && text.contains("round 3 (7 elects)"), "{text}");
}

#[test]
fn ballots_come_through_a_pipe_too() {
    let mut counting = althing(&["vote", "count", "--rules", RULES, "-"]);
    let mut counting = counting.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    counting.stdin.take().unwrap().write_all(b"count,ranking\n3,Ann>Bob\n2,Bob\n").unwrap();
    let output = counting.wait_with_output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("elected  Ann"));
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let home = Home::new();
    let file = |name: &str, text: &str| {
        std::fs::create_dir_all(home.join("")).unwrap();
        std::fs::write(home.join(name), text).unwrap();
        home.join(name).display().to_string()
    };
    let rules = file("typo.toml", "method = \"irv\"\n\noptoins = [\"Ann\"]\n");
    let refused = run(&["vote", "count", "--rules", &rules, BALLOTS]).expect(2);
    let _ = refused.says("typo.toml:3: unknown key \"optoins\"").says("did you mean options?");
    let rules = file("listed.toml", "method = \"irv\"\noptions = [\"Ann\", \"Robert\"]\n");
    let ballots = file("ballots.csv", "rank1,rank2\nAnn,Robert\nAnn,Robret\n");
    let refused = run(&["vote", "count", "--rules", &rules, &ballots]).expect(1);
    let _ = refused
        .says("ballots.csv: line 3, column \"rank2\": \"Robret\" is not among the options")
        .says("did you mean \"Robert\"?");
    let _ =
        run(&["vote", "count", "--rules", "/nonexistent", BALLOTS]).expect(1).says("cannot read the rules");
}
