//! Joining, finding, and living through a crash.

use althing_tests::{Home, Node, poll, run};

use crate::commands::TRANSLATOR;

/// README's quickstart, command by command.
#[test]
fn the_quickstart_works() {
    let home = Home::new();
    let one = Node::up(&home.join("1"), &[]);
    assert!(one.up_document()["join"].as_str().unwrap().starts_with("althing up --join /ip4/"));
    let two = Node::join(&home.join("2"), &one);

    let published = one.run(&["card", "publish", TRANSLATOR]).expect(0);
    assert!(published.stdout.contains(&one.agent()), "{published:#?}");
    let found = poll("the other node finds the card", || {
        let found = two.run(&["find", "--skill", "text/translate"]).expect(0).stdout;
        found.contains(&one.agent()).then_some(found)
    });
    assert!(found.contains("Babel"), "{found}");
    assert!(two.run(&["card", "get", &one.agent()]).expect(0).stdout.contains("text/translate/fr"));
    assert!(two.run(&["peers"]).expect(0).stdout.contains(one.up_document()["node"].as_str().unwrap()));
    assert!(two.run(&["status"]).expect(0).stdout.contains("ready"));

    let voters = format!("{},{}", one.agent(), two.agent());
    let proposed = one.ask("althing.proposed/v1", &["vote", "propose", "merge PR 12?", "--voters", &voters]);
    let id = proposed["proposal"].as_str().unwrap();
    let _ = one.run(&["vote", "cast", id, "yes"]).expect(0);
    poll("the other node sees the proposal", || {
        two.run(&["vote", "ls"]).stdout.contains("merge").then_some(())
    });
    let _ = two.run(&["vote", "cast", id, "yes"]).expect(0);
    poll("both see the decision", || {
        [&one, &two]
            .iter()
            .all(|node| node.run(&["vote", "show", id]).stdout.contains("decided: yes"))
            .then_some(())
    });
    let file = home.join("certificate.cbor").display().to_string();
    let _ = two.run(&["vote", "certificate", id, "--out", &file]).expect(0);
    assert!(run(&["vote", "verify", &file]).expect(0).stdout.contains("yes"));

    let _ = one.run(&["down"]).expect(0);
    assert!(one.ended().success());
    let _ = two.run(&["down"]).expect(0);
    assert!(two.ended().success());
}

#[test]
fn a_third_node_finds_by_live_lookup_what_it_never_heard_of() {
    let home = Home::new();
    let one = Node::up(&home.join("1"), &[]);
    let two = Node::join(&home.join("2"), &one);
    let _ = one.ask("althing.published/v1", &["card", "publish", TRANSLATOR]);
    let late = Node::join(&home.join("3"), &two);
    let found = poll("a live lookup finds the agent", || {
        let found = late.ask("althing.find/v1", &["find", "--skill", "text"]);
        let agent =
            found["agents"].as_array()?.iter().find(|agent| agent["agent"] == one.agent().as_str())?;
        (found["live"] == true && agent["source"] == "lookup").then(|| agent.clone())
    });
    assert_eq!(found["name"], "Babel");
    let nothing = late.ask("althing.find/v1", &["find", "--skill", "no/such/skill"]);
    assert_eq!(
        (nothing["live"].as_bool(), nothing["agents"].as_array().map(Vec::len)),
        (Some(true), Some(0))
    );
}

#[test]
fn a_node_alone_finds_its_own_and_says_that_it_asked_nobody() {
    let home = Home::new();
    let alone = Node::up(&home.join("1"), &[]);
    let _ = alone.run(&["card", "publish", TRANSLATOR]).expect(0);
    for (skill, count) in [("text", 1), ("no/such/skill", 0)] {
        let found = alone.ask("althing.find/v1", &["find", "--skill", skill]);
        assert_eq!(found["agents"].as_array().map(Vec::len), Some(count), "{found}");
        assert_eq!((&found["live"], &found["complete"]), (&true.into(), &false.into()), "{found}");
        assert_eq!((&found["pages"], &found["pages_answered"]), (&1.into(), &0.into()), "{found}");
        let shown = alone.run(&["find", "--skill", skill]).expect(0).stdout;
        assert!(shown.contains("asked 0 of 1 pages"), "{shown}");
    }
}

/// The file of a network is given once; what a node says to others names it as long as it is in that network.
#[test]
fn what_others_join_with_names_the_network_on_every_start() {
    let home = Home::new();
    let genesis = home.join("lab.cbor").display().to_string();
    let _ = run(&["network", "init", "--name", "lab", "--out", &genesis]).expect(0);
    let at = home.join("1");
    let kept = at.join("genesis.cbor").display().to_string();
    for more in [vec!["--genesis", &genesis], vec![]] {
        let node = Node::up(&at, &more);
        assert_eq!(node.up_document()["network_name"], "lab");
        let join = format!("althing up --join {} --genesis {kept}", node.address());
        assert_eq!(node.up_document()["join"], join, "started with {more:?}");
        // What it says works.
        let other = Node::up(&home.join("2"), &["--genesis", &kept, "--join", &node.address()]);
        assert_eq!(other.up_document()["waiting_for"], serde_json::json!([]));
        assert_eq!(other.up_document()["network"], node.up_document()["network"]);
        // Also where the node runs already.
        let again = run(&["--json", "--home", &at.display().to_string(), "up", "--detach"]).expect(0);
        assert_eq!(again.json("althing.up/v1")["join"], join);
        let _ = node.run(&["down"]).expect(0);
        assert!(node.ended().success());
    }
    let builtin = Node::up(&home.join("3"), &[]);
    assert_eq!(builtin.up_document()["join"], format!("althing up --join {}", builtin.address()));
}

#[test]
fn a_node_killed_with_sigkill_keeps_everything() {
    let home = Home::new();
    let one = Node::up(&home.join("1"), &[]);
    let published = one.ask("althing.published/v1", &["card", "publish", TRANSLATOR]);
    let proposed = one.ask("althing.proposed/v1", &["vote", "propose", "ship?", "--voters", &one.agent()]);
    let id = proposed["proposal"].as_str().unwrap().to_owned();
    let _ = one.ask("althing.ballot/v1", &["vote", "cast", &id, "yes"]);
    let before = one.status();
    one.kill();

    let again = Node::up(&home.join("1"), &[]);
    let after = again.status();
    for field in ["node", "agents", "network", "incarnation", "cards", "proposals"] {
        assert_eq!(before[field], after[field], "{field}");
    }
    let ledger = |status: &serde_json::Value| {
        status["domains"]
            .as_array()
            .unwrap()
            .iter()
            .find(|domain| domain["name"] == "ledger")
            .cloned()
            .unwrap()
    };
    assert_eq!(ledger(&before), ledger(&after));
    let card = again.ask("althing.card/v1", &["card", "get", &again.agent()]);
    assert_eq!(card["card"], published["card"]);
    let vote = again.ask("althing.vote/v1", &["vote", "show", &id]);
    assert_eq!((vote["state"].as_str(), vote["decided"].as_str()), (Some("decided"), Some("yes")));
    let file = home.join("c.cbor").display().to_string();
    let _ = again.ask("althing.certificate-file/v1", &["vote", "certificate", &id, "--out", &file]);
    let _ = run(&["vote", "verify", &file]).expect(0);

    let repeated = poll("it signs again", || {
        let cast = again.run(&["--json", "vote", "cast", &id, "yes"]);
        (cast.code == Some(0)).then(|| cast.json("althing.ballot/v1"))
    });
    assert_eq!(repeated["repeated"], true);
    let _ = again.run(&["vote", "cast", &id, "abstain"]).expect(1).says("error: ");
}

#[test]
fn a_node_that_nobody_answers_says_so() {
    let home = Home::new();
    let one = Node::up(&home.join("1"), &[]);
    let address = one.address();
    let (_, peer) = address.split_once("/p2p/").unwrap();
    let nowhere = format!("/ip4/127.0.0.1/tcp/1/p2p/{peer}");
    let lonely = Node::up(&home.join("2"), &["--join", &nowhere]);
    assert_eq!(lonely.up_document()["waiting_for"][0], "a first peer");
    assert!(lonely.run(&["status"]).expect(0).stdout.contains("waiting for a first peer"));
    let ready = Node::join(&home.join("3"), &one);
    assert_eq!(ready.up_document()["waiting_for"], serde_json::json!([]));
}

#[test]
fn a_node_that_comes_back_at_another_address_finds_its_peers_again() {
    let home = Home::new();
    let one = Node::up(&home.join("1"), &[]);
    let two = Node::join(&home.join("2"), &one);
    let remembered = poll("the first node remembers the second", || {
        let text = std::fs::read_to_string(home.join("1").join("peers")).ok()?;
        text.contains(two.status()["node"].as_str().unwrap()).then_some(text)
    });
    assert!(remembered.lines().count() <= 4, "{remembered}");
    let before = one.address();
    let _ = one.run(&["down"]).expect(0);
    assert!(one.ended().success());
    // Nobody tells either where the other is.
    let one = Node::up(&home.join("1"), &[]);
    assert_ne!(one.address(), before);
    for node in [&one, &two] {
        poll("they see each other", || (node.status()["peers"].as_u64()? > 0).then_some(()));
    }
}
