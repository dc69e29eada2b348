//! Groups: agents of several nodes join them, vote by their name, and leave.

use std::process::{Child, Stdio};

use althing_tests::{Home, Node, althing, poll, run};
use serde_json::{Value, json};

use crate::closed::{cast, decided, nodes};

fn group(node: &Node, words: &[&str]) -> Value {
    node.ask("althing.group/v1", &[&["group"], words].concat())
}

/// What all nodes must show alike.
fn state(group: &Value) -> Value {
    let of = |list: &str, member: &str| -> Vec<Value> {
        group[list].as_array().unwrap().iter().map(|row| row[member].clone()).collect()
    };
    json!([
        group["group"],
        group["head"],
        group["height"],
        group["fork"],
        of("members", "agent"),
        of("members", "role"),
        of("invited", "agent")
    ])
}

/// The group, once all these nodes show it with so many members and nobody else on the way in or out.
fn settled(nodes: &[Node], id: &str, size: u64) -> Value {
    let mut shown = nodes.iter().map(|node| {
        poll("the group settles", || {
            let shown = node.run(&["--json", "group", "show", id]);
            let group: Value = (shown.code == Some(0)).then(|| shown.json("althing.group/v1"))?;
            let rows = |list: &str| group[list].as_array().unwrap().clone();
            let waits = rows("invited").iter().any(|row| row["joining"] == true)
                || rows("members").iter().any(|row| row["leaving"] == true);
            (group["size"] == size && !waits).then_some(group)
        })
    });
    let first = shown.next().unwrap();
    for other in shown {
        assert_eq!(state(&other), state(&first));
    }
    first
}

/// Waits until a node shows that it was invited.
fn invited(node: &Node, id: &str) {
    poll("the invitation arrives", || {
        let listed = node.ask("althing.groups/v1", &["group", "ls"]);
        let is_there = |group: &Value| group["group"] == id && group["own"][0]["role"] == "invited";
        listed["groups"].as_array().unwrap().iter().any(is_there).then_some(())
    });
}

/// Starts a command on a node and does not wait for its end.
fn start(node: &Node, words: &[&str]) -> Child {
    let home = node.home().display().to_string();
    let mut command = althing(&[&["--json", "--home", &home], words].concat());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// A group that the first node's agent founds; all agents of the others join at once.
fn founded(nodes: &[Node]) -> String {
    let id = group(&nodes[0], &["create", "translators"])["group"].as_str().unwrap().to_owned();
    for node in &nodes[1..] {
        let _ = group(&nodes[0], &["invite", &id, &node.agent()]);
    }
    nodes[1..].iter().for_each(|node| invited(node, &id));
    let joining: Vec<Child> = nodes[1..].iter().map(|node| start(node, &["group", "join", &id])).collect();
    for child in joining {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    id
}

fn propose(nodes: &[Node], id: &str) -> String {
    let words = ["vote", "propose", "which?", "--option", "a", "--option", "b", "--method", "majority"];
    let proposed = nodes[0].ask("althing.proposed/v1", &[&words[..], &["--group", &id[..16]]].concat());
    let proposal = proposed["proposal"].as_str().unwrap().to_owned();
    for node in nodes {
        poll("the proposal arrives", || {
            (node.run(&["vote", "show", &proposal]).code == Some(0)).then_some(())
        });
    }
    proposal
}

#[test]
fn agents_join_a_group_vote_in_it_and_leave_and_old_certificates_stay_valid() {
    let home = Home::new();
    let mut nodes = nodes(&home, 4);
    let stranger = nodes.pop().unwrap();
    let id = founded(&nodes);
    let joined = settled(&nodes, &id, 3);
    assert_eq!(
        (&joined["height"], &joined["fork"], &joined["name"]),
        (&json!(4), &Value::Null, &json!("translators"))
    );

    let proposal = propose(&nodes, &id);
    let shown = nodes[1].ask("althing.vote/v1", &["vote", "show", &proposal]);
    assert_eq!((&shown["group"], &shown["group_head"]), (&json!(id), &joined["head"]), "{shown}");
    poll("the stranger hears of it", || {
        (stranger.run(&["vote", "show", &proposal]).code == Some(0)).then_some(())
    });
    let _ = stranger.run(&["vote", "cast", &proposal, "a"]).expect(1).says("not in the electorate");
    let to_group = ["vote", "propose", "mine?", "--group", &id];
    let _ = stranger.run(&to_group).expect(1).says("is not a member of group").says("hint: ");
    cast(&nodes, &proposal, &["a", "a", "b"]);
    assert_eq!(decided(&nodes, &proposal)["decided"], "a");
    let file = home.join("certificate.cbor").display().to_string();
    let _ = nodes[2].run(&["vote", "certificate", &proposal, "--out", &file]).expect(0);

    let _ = group(&nodes[2], &["leave", &id]);
    let _ = settled(&nodes, &id, 2);
    let later = propose(&nodes, &id);
    cast(&nodes[..2], &later, &["b", "b"]);
    let shown = decided(&nodes, &later);
    assert_eq!((&shown["electorate"], &shown["decided"]), (&json!(2), &json!("b")));
    let _ = nodes[2].run(&["vote", "cast", &later, "a"]).expect(1).says("not in the electorate");

    let audit = nodes[1].ask("althing.audit/v1", &["vote", "audit"]);
    assert!(audit["votes"].as_array().unwrap().iter().all(|vote| vote["valid"] == true), "{audit}");
    let verified =
        run(&["--json", "vote", "verify", &file]).expect(0).json("althing.verified-certificate/v1");
    assert_eq!((&verified["group"], &verified["group_head"]), (&json!(id), &joined["head"]));
    assert_eq!(verified["electorate"], 3);
    let bytes = std::fs::read(&file).unwrap();
    for at in (0..bytes.len()).step_by(97) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let changed = home.write("changed.cbor", changed).display().to_string();
        let _ = run(&["vote", "verify", &changed]).expect(6);
    }

    let events = nodes[0].run(&["--json", "events", "--types", "group", "--limit", "100"]).expect(0);
    let told: Vec<Value> = events.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let changes: Vec<_> = told.iter().map(|event| event["data"]["change"].as_str().unwrap()).collect();
    assert_eq!(changes, ["founded", "invited", "invited", "added", "added", "removed"]);
}

#[test]
fn groups_are_there_after_every_node_was_started_again() {
    let home = Home::new();
    let nodes = nodes(&home, 3);
    let id = founded(&nodes);
    let before = settled(&nodes, &id, 3);
    let admin = nodes[1].agent();
    let _ = group(&nodes[0], &["promote", &id, &admin]);
    let before = poll("the admin is known", || {
        let now = group(&nodes[2], &["show", &id]);
        (now["height"].as_u64()? > before["height"].as_u64()?).then_some(now)
    });
    let genesis = home.join("genesis.cbor").display().to_string();
    let homes: Vec<_> = nodes.iter().map(|node| node.home().to_owned()).collect();
    nodes.into_iter().for_each(Node::kill);
    let mut again: Vec<Node> = Vec::new();
    for path in &homes {
        let mut words = vec!["--genesis".to_owned(), genesis.clone()];
        words.extend(again.iter().flat_map(|node| ["--join".to_owned(), node.address()]));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        again.push(Node::up(path, &words));
    }
    for node in &again {
        assert_eq!(state(&group(node, &["show", &id])), state(&before));
    }
    // Another admin takes somebody out, as soon as a peer has told its node what the group came to.
    let member = again[2].agent();
    poll("the admin's node has heard the others", || {
        (again[1].run(&["group", "remove", &id, &member]).code == Some(0)).then_some(())
    });
    let after = settled(&again, &id, 2);
    assert_eq!((&after["keeper"], &after["fork"]), (&json!(admin), &Value::Null));
}

#[test]
fn what_cannot_be_done_in_a_group_is_refused_by_name() {
    let home = Home::new();
    let nodes = nodes(&home, 2);
    let (founder, other) = (&nodes[0], nodes[1].agent());
    let id = group(founder, &["create", "translators"])["group"].as_str().unwrap().to_owned();
    poll("the group is known", || (nodes[1].run(&["group", "show", &id]).code == Some(0)).then_some(()));
    let unknown = "0".repeat(64);
    let long = "x".repeat(65);
    let wrong: &[(&Node, &[&str], i32, &str)] = &[
        (&nodes[1], &["invite", &id, &other], 1, "is not an admin of the group"),
        (&nodes[1], &["join", &id], 1, "is not invited"),
        (&nodes[1], &["leave", &id], 1, "is not a member"),
        (founder, &["leave", &id], 1, "stays in it"),
        (founder, &["remove", &id, &other], 1, "is not a member"),
        (founder, &["promote", &id, &other], 1, "is not a member"),
        (founder, &["invite", &unknown, &other], 1, "is not known here"),
        (founder, &["show", &unknown], 1, "is not known here"),
        (founder, &["show", "translators"], 2, "expected a group's id"),
        (founder, &["show", "0000"], 1, "no group here begins with"),
        (founder, &["create", " "], 1, "not blank"),
        (founder, &["create", &long], 1, "1 to 64 bytes"),
        (founder, &["invite", &id, "did:web:example.org"], 2, "did:web:example.org"),
        (founder, &["create", "x", "--agent", &other], 1, "is not hosted here"),
        (founder, &["resolve", &id, "--keep", &id], 1, "is not forked"),
        (founder, &["resolve", &id, "--keep", "abcd"], 1, "no change here begins with"),
        (founder, &["resolve", &id], 2, "--keep"),
    ];
    for (node, words, code, text) in wrong {
        let refused = node.run(&[&["group"], *words].concat());
        assert_eq!(refused.code, Some(*code), "{words:?}: {refused:#?}");
        let refused = refused.says(text);
        assert!(!refused.stderr.contains("panicked") && refused.stdout.is_empty(), "{refused:#?}");
    }
    let _ = group(founder, &["invite", &id, &other]);
    let _ = founder.run(&["group", "invite", &id, &other]).expect(1).says("invited already");
    let _ = founder.run(&["vote", "propose", "?", "--group", &unknown]).expect(1).says("is not known here");
    let both = ["vote", "propose", "?", "--group", &id, "--voters", &other];
    let _ = founder.run(&both).expect(2);
}
