//! Sealed ballots: no tally before the trustees open them, and then one that anybody can check.

use std::fs;

use althing_record::AgentId;
use althing_tests::{Home, Node, poll, run};
use serde_json::{Value, json};

use crate::closed::{cast, decided, nodes, outcome, propose, show, voters};

/// Words of a sealed majority vote.
fn terms<'a>(voters: &'a str, trustees: &'a str) -> Vec<&'a str> {
    let options = ["--option", "red", "--option", "blue", "--method", "majority"];
    [&options[..], &["--voters", voters, "--sealed", "--trustees", trustees]].concat()
}

/// Waits until a node knows the keys of so many trustees.
fn keys(node: &Node, id: &str, count: usize) {
    poll("the trustees' keys arrive", || {
        let vote = show(node, id);
        let trustees = vote["sealed"]["trustees"].as_array()?.clone();
        (trustees.iter().filter(|trustee| trustee["key"] == json!(true)).count() == count).then_some(())
    });
}

/// Starts a node again that was killed.
fn again(home: &std::path::Path, peer: &Node) -> Node {
    let genesis = home.with_file_name("genesis.cbor").display().to_string();
    Node::up(home, &["--genesis", &genesis, "--join", &peer.address()])
}

#[test]
fn nobody_sees_a_tally_until_trustees_open_and_one_that_is_killed_changes_nothing() {
    let home = Home::new();
    let mut nodes = nodes(&home, 4);
    let (voters, trustees) = (voters(&nodes[..3]), voters(&nodes));
    let id = propose(&nodes, &terms(&voters, &trustees));
    nodes.iter().for_each(|node| keys(node, &id, 4));
    let gone = nodes.pop().unwrap();
    let silent = gone.agent();
    gone.kill();

    cast(&nodes[..2], &id, &["red", "blue"]);
    for node in &nodes {
        let vote = poll("both ballots arrive", || {
            let vote = show(node, &id);
            (vote["voted"] == json!(2)).then_some(vote)
        });
        assert_eq!((&vote["state"], &vote["sealed"]["opened"]), (&json!("open"), &json!(0)), "{vote}");
        let votes = vote["options"].as_array().unwrap().iter().map(|option| option["votes"].clone());
        assert_eq!(votes.collect::<Vec<_>>(), [0, 0]);
        let said = vote["voters"].as_array().unwrap().iter().flat_map(|voter| voter["choices"].as_array());
        assert_eq!(said.flatten().collect::<Vec<_>>(), ["sealed", "sealed"]);
        let _ = node.run(&["vote", "result", &id]).expect(5).says("is not decided");
        let out = home.join("early.cbor").display().to_string();
        let _ = node.run(&["vote", "certificate", &id, "--out", &out]).expect(1).says("is not decided");
    }
    let people = nodes[2].home().display().to_string();
    let shown = run(&["--home", &people, "vote", "show", &id]).expect(0).stdout;
    assert!(shown.contains("has its key") && shown.contains("blue") && !shown.contains(" 1\n"), "{shown}");
    let again = nodes[0].ask("althing.ballot/v1", &["vote", "cast", &id, "red"]);
    assert_eq!(again["repeated"], true, "{again}");
    let _ = nodes[0].run(&["vote", "cast", &id, "blue"]).expect(1).says("already voted").says("hint: ");

    cast(&nodes[2..], &id, &["blue"]);
    let all = decided(&nodes, &id);
    assert_eq!((&all["decided"], &all["rounds"][0]["tally"]), (&json!("blue"), &json!([1, 2])), "{all}");
    // Two are enough to decide it; the third one's opening may come a moment later.
    poll("all but the silent one open", || {
        let shown = show(&nodes[0], &id);
        let trustees = shown["sealed"]["trustees"].as_array().unwrap().clone();
        let as_it_must = |trustee: &Value| trustee["opened"] == json!(trustee["agent"] != json!(silent));
        trustees.iter().all(as_it_must).then_some(())
    });
    let said = all["voters"].as_array().unwrap().iter().map(|voter| voter["choices"][0].clone());
    assert!(said.into_iter().all(|choice| choice == "red" || choice == "blue"), "{all}");
    for node in &nodes {
        let audit = node.ask("althing.audit/v1", &["vote", "audit"]);
        let vote = &audit["votes"][0];
        assert_eq!((&vote["valid"], &vote["outcome"]), (&json!(true), &json!("blue")), "{audit}");
        assert_eq!(node.status()["evidence"], 0);
    }
    let events = nodes[0].run(&["events", "--limit", "1000", "--types", "vote.opened"]);
    assert_eq!(events.expect(0).stdout.lines().count(), 3);

    let file = home.join("certificate.cbor").display().to_string();
    let _ = nodes[1].run(&["vote", "certificate", &id, "--out", &file]).expect(0);
    drop(nodes);
    certificate_holds(&home, &file, &id);
}

/// Verifies the certificate where there is nothing but the file and the genesis.
fn certificate_holds(home: &Home, file: &str, id: &str) {
    let elsewhere = Home::new();
    let genesis = elsewhere.join("genesis.cbor").display().to_string();
    fs::copy(home.join("genesis.cbor"), &genesis).unwrap();
    let good = fs::read(file).unwrap();
    let verify = |bytes: &[u8]| {
        let file = elsewhere.write("certificate.cbor", bytes).display().to_string();
        let nowhere = elsewhere.join("home").display().to_string();
        run(&["--json", "--home", &nowhere, "vote", "verify", &file, "--genesis", &genesis])
    };
    let verified = verify(&good).expect(0).json("althing.verified-certificate/v1");
    assert_eq!((&verified["proposal"], &verified["option"]), (&json!(id), &json!("blue")), "{verified}");
    assert_eq!(verified["rounds"], json!([["1", "2"]]));
    assert_eq!(verified["sealed"], json!({"threshold": 2, "trustees": 4, "invalid": []}));
    let step = (good.len() / 32).max(1);
    for at in (0..good.len()).step_by(step).chain([good.len() - 1]) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        let refused = verify(&bad).expect(6).says("is not a valid certificate");
        assert!(refused.stderr.contains("hint: "), "byte {at}: {refused:#?}");
    }
}

#[test]
fn ballots_stay_shut_until_a_trustee_is_there_again() {
    let home = Home::new();
    let mut nodes = nodes(&home, 2);
    let (voter, trustee) = (nodes[0].agent(), nodes[1].agent());
    let id = propose(&nodes, &terms(&voter, &trustee));
    keys(&nodes[0], &id, 1);
    let killed = nodes.pop().unwrap();
    let killed_home = killed.home().to_owned();
    killed.kill();
    cast(&nodes, &id, &["red"]);
    let shut = poll("the vote is closed", || {
        let vote = show(&nodes[0], &id);
        (vote["state"] == json!("opening")).then_some(vote)
    });
    assert_eq!((&shut["sealed"]["threshold"], &shut["sealed"]["opened"]), (&json!(1), &json!(0)), "{shut}");
    assert_eq!((&shut["decided"], &shut["rounds"]), (&Value::Null, &Value::Null), "{shut}");
    let _ = nodes[0].run(&["vote", "result", &id]).expect(5).says("sealed, 0 of 1 openings");
    nodes.push(again(&killed_home, &nodes[0]));
    let opened = decided(&nodes, &id);
    assert_eq!(opened["decided"], "red", "{opened}");
    assert_eq!(outcome(&show(&nodes[0], &id)), outcome(&opened));
}

#[test]
fn trustees_that_cannot_be_are_refused_by_name() {
    let home = Home::new();
    let nodes = nodes(&home, 1);
    let (node, voter) = (&nodes[0], nodes[0].agent());
    let dids: Vec<String> = (1..=17).map(|n| AgentId([n; 32]).to_string()).collect();
    let four = dids[..4].join(",");
    let propose = |words: &[&str]| node.run(&[&["vote", "propose", "?", "--voters", &voter], words].concat());
    let twice = format!("{0},{0}", dids[0]);
    let many = dids.join(",");
    for (words, code, says) in [
        (
            &["--sealed", "--trustees", &four, "--trustee-threshold", "1"][..],
            1,
            "a threshold of 2 to 3 for 4 trustees",
        ),
        (
            &["--sealed", "--trustees", &four, "--trustee-threshold", "4"],
            1,
            "a threshold of 2 to 3 for 4 trustees",
        ),
        (&["--sealed", "--trustees", &four, "--trustee-threshold", "x"], 2, "x"),
        (&["--sealed", "--trustees", &many], 1, "1 to 16 trustees, found 17"),
        (&["--sealed", "--trustees", &twice], 1, "listed twice"),
        (&["--sealed", "--trustees", "did:web:example.org"], 2, "did:web:example.org"),
        (&["--sealed"], 2, "--trustees"),
        (&["--trustees", &four], 2, "--sealed"),
        (&["--method", "approvals", "--sealed", "--trustees", &four], 1, "a number of approvals"),
    ] {
        let refused = propose(words);
        assert_eq!(refused.code, Some(code), "{refused:#?}");
        let _ = refused.says("error: ").says(says);
    }
    // A trustee that no node serves is found out when somebody votes.
    let words =
        ["vote", "propose", "?", "--voters", &voter, "--method", "majority", "--sealed", "--trustees"];
    let proposed = node.ask("althing.proposed/v1", &[&words[..], &[dids[0].as_str()]].concat());
    let id = proposed["proposal"].as_str().unwrap();
    let refused = node.run(&["vote", "cast", id, "yes"]).expect(1);
    let _ = refused.says("missing: did:key:").says(&dids[0]).says("hint: ");
}
