//! Groups that change without an admin's word: members decide on a change, and on which branch of a fork holds.

use std::process::{Child, Stdio};

use althing_tests::{Home, Node, althing, poll, run};
use serde_json::{Value, json};

use crate::closed::nodes;

/// Starts a command on a node and does not wait for its end.
fn start(node: &Node, words: &[&str]) -> Child {
    let home = node.home().display().to_string();
    let mut command = althing(&[&["--json", "--home", &home], words].concat());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The group as a node shows it, once that is so.
fn shown(node: &Node, id: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    poll("the group is as it should be", || {
        let shown = node.run(&["--json", "group", "show", id]);
        let group: Value = (shown.code == Some(0)).then(|| shown.json("althing.group/v1"))?;
        is_so(&group).then_some(group)
    })
}

/// A group of the agents of all these nodes, which the first founds, once all know it.
fn founded(nodes: &[Node]) -> String {
    let members = nodes[1..].iter().map(Node::agent).collect::<Vec<_>>().join(",");
    let group = nodes[0].ask("althing.group/v1", &["group", "create", "translators", "--member", &members]);
    let id = group["group"].as_str().unwrap().to_owned();
    for node in nodes {
        let _ = shown(node, &id, |group| group["size"] == json!(nodes.len()));
    }
    id
}

#[test]
fn members_remove_one_of_them_by_a_vote_and_later_certificates_show_how() {
    let home = Home::new();
    let nodes = nodes(&home, 4);
    let id = founded(&nodes);
    let gone = nodes[3].agent();
    let words = ["group", "remove", &id, &gone, "--by-vote"];
    let _ = nodes[1].run(&["group", "remove", &id, &gone]).expect(1).says("is not an admin");
    let waiting = start(&nodes[1], &[&words[..], &["--wait"]].concat());
    for voter in [2, 0] {
        poll("the vote arrives, and is found", || {
            let listed = nodes[voter].ask("althing.votes/v1", &["vote", "ls"]);
            (!listed["votes"].as_array()?.is_empty()).then_some(())
        });
        let said = nodes[voter].ask("althing.group-vote/v1", &words);
        assert_eq!((&said["new"], &said["proposer"]), (&json!(false), &json!(nodes[1].agent())), "{said}");
    }
    let output = waiting.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    for node in &nodes {
        let group = shown(node, &id, |group| group["size"] == json!(3));
        assert_eq!(group["head"], made["record"]);
    }
    let proposed = nodes[2]
        .ask("althing.proposed/v1", &["vote", "propose", "lunch?", "--method", "unanimous", "--group", &id]);
    let proposal = proposed["proposal"].as_str().unwrap();
    for node in &nodes[..3] {
        poll("the ballot is cast", || {
            (node.run(&["vote", "cast", proposal, "yes"]).code == Some(0)).then_some(())
        });
    }
    let _ = nodes[0].run(&["vote", "result", proposal, "--wait"]).expect(0);
    let file = home.join("certificate.cbor").display().to_string();
    let _ = nodes[0].run(&["vote", "certificate", proposal, "--out", &file]).expect(0);
    let verified =
        run(&["--json", "vote", "verify", &file]).expect(0).json("althing.verified-certificate/v1");
    assert_eq!((&verified["group_head"], &verified["electorate"]), (&made["record"], &json!(3)));
}
