//! Nodes on one local network, which nobody told of each other.

use std::fs;

use althing_tests::{Home, Lan, Node, poll, skip};
use serde_json::Value;

use crate::commands::TRANSLATOR;

/// Whether a process has a socket on the port of multicast DNS.
fn speaks_mdns(node: &Node) -> bool {
    let pid = node.pid();
    let open: Vec<_> = fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .filter_map(|file| fs::read_link(file.ok()?.path()).ok()?.to_str().map(str::to_owned))
        .collect();
    let table = fs::read_to_string(format!("/proc/{pid}/net/udp")).unwrap();
    table.lines().skip(1).any(|line| {
        let columns: Vec<_> = line.split_whitespace().collect();
        columns[1].ends_with(":14E9") && open.contains(&format!("socket:[{}]", columns[9]))
    })
}

fn peers(node: &Node) -> Vec<Value> {
    node.ask("althing.peers/v1", &["peers"])["peers"].as_array().unwrap().clone()
}

#[test]
fn neighbours_find_each_other_without_an_address() {
    let lan = match Lan::new() {
        Ok(lan) => lan,
        Err(reason) => return skip(&reason),
    };
    let home = Home::new();
    let one = lan.up(0, &home.join("one"), &[]);
    assert_eq!(one.up_document()["waiting_for"], serde_json::json!([]), "alone it is ready at once");
    let _ = one.run(&["card", "publish", TRANSLATOR]).expect(0);

    let other = lan.up(1, &home.join("other"), &[]);
    let met =
        poll("the neighbours meet", || peers(&other).into_iter().find(|peer| peer["same_network"] == true));
    assert_eq!(met["node"], one.up_document()["node"]);
    assert!(met["addresses"][0].as_str().unwrap().starts_with("/ip4/192.168.77.1/"), "{met}");
    let find = ["find", "--skill", "text/translate"];
    let found = poll("the card is found", || {
        let found = other.ask("althing.find/v1", &find);
        found["agents"].as_array().filter(|agents| !agents.is_empty()).map(|agents| agents[0].clone())
    });
    assert_eq!(found["agent"], one.agent());
}

#[test]
fn a_neighbour_of_another_network_is_left_alone() {
    let lan = match Lan::new() {
        Ok(lan) => lan,
        Err(reason) => return skip(&reason),
    };
    let home = Home::new();
    let genesis = home.join("genesis.cbor");
    let genesis = genesis.to_str().unwrap();
    let _ = althing_tests::run(&["network", "init", "--name", "lab", "--out", genesis]).expect(0);
    let ours = lan.up(0, &home.join("ours"), &[]);
    let foreign = lan.up(1, &home.join("foreign"), &["--genesis", genesis]);
    let friend = lan.up(1, &home.join("friend"), &[]);
    let turned_away = |node: &Node| {
        let log = fs::read_to_string(node.home().with_extension("log")).unwrap();
        log.contains("disconnected a peer of another network")
    };
    // The stranger may knock once more: it may not have heard yet whom it dialed.
    poll("the friend is met and the stranger sent away", || {
        let met: Vec<_> = peers(&ours)
            .into_iter()
            .map(|peer| (peer["node"].clone(), peer["same_network"] == true))
            .collect();
        let alone = met == [(friend.up_document()["node"].clone(), true)];
        (alone && (turned_away(&ours) || turned_away(&foreign))).then_some(())
    });
    assert!(peers(&foreign).iter().all(|peer| peer["same_network"] != true));
}

#[test]
fn a_test_network_says_nothing_on_the_local_network() {
    let lan = match Lan::new() {
        Ok(lan) => lan,
        Err(reason) => return skip(&reason),
    };
    let home = Home::new();
    let quiet = lan.up(0, &home.join("quiet"), &["--profile", "testnet"]);
    let loud = lan.up(0, &home.join("loud"), &[]);
    // Of two nodes with the same addresses, the one that started later has begun.
    poll("the other node speaks", || speaks_mdns(&loud).then_some(()));
    assert!(!speaks_mdns(&quiet));
    let listens = quiet.up_document()["listen"].to_string();
    assert!(listens.contains("/ip4/192.168.77.1/"), "it would have had whom to speak to: {listens}");
}
