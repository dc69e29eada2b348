//! Nodes behind NAT, on a small internet made of network namespaces.

use althing_tests::{Home, Internet, Nat, Node, Place, poll};
use serde_json::Value;

use crate::commands::TRANSLATOR;

fn reach(node: &Node) -> Value {
    // Its exit code says whether all is well, which takes a while.
    node.run(&["--json", "doctor"]).json("althing.doctor/v1")["reach"].clone()
}

/// A public relay, and a node behind each router, both with a place there.
struct Lab {
    net: Internet,
    relay: Node,
    a: Node,
    b: Node,
    _home: Home,
}

impl Lab {
    /// `None`, with a line that says why, where namespaces are not permitted.
    fn new(nat: Nat) -> Option<Self> {
        let net = match Internet::new(nat) {
            Ok(net) => net,
            Err(reason) => {
                println!("SKIPPED: {reason}");
                return None;
            }
        };
        let home = Home::new();
        let relay = net.up(Place::Host, &home.join("relay"), &["--upnp", "false"]);
        let join = relay.up_document()["listen"]
            .as_array()
            .unwrap()
            .iter()
            .find_map(|address| address.as_str().filter(|address| address.contains("/tcp/")))
            .unwrap()
            .to_owned();
        let up = |place, name| net.up(place, &home.join(name), &["--join", &join, "--upnp", "false"]);
        let (a, b) = (up(Place::A, "a"), up(Place::B, "b"));
        for node in [&a, &b] {
            let private =
                poll("the node knows that it is behind NAT, and holds a place at the relay", || {
                    let reach = reach(node);
                    let placed = reach["circuits"].as_array().is_some_and(|circuits| !circuits.is_empty());
                    (reach["reachability"] == "private" && placed).then_some(reach)
                });
            assert_eq!(private["kademlia"], "client");
            assert_eq!(private["relays"], serde_json::json!([relay.up_document()["node"]]));
        }
        let public = reach(&relay);
        assert_eq!((&public["reachability"], &public["kademlia"]), (&"public".into(), &"server".into()));
        assert_eq!(public["relaying"]["places"], 2);
        Some(Self { net, relay, a, b, _home: home })
    }

    /// Has b publish a card, and a find it; returns b's addresses as a sees them.
    fn find(&self) -> Vec<String> {
        let _ = self.b.run(&["card", "publish", TRANSLATOR]).expect(0);
        poll("the card is found", || {
            let found = self.a.ask("althing.find/v1", &["find", "--skill", "text/translate"]);
            let agent = found["agents"].as_array()?.first()?.clone();
            assert_eq!(agent["agent"], self.b.agent());
            let lease = &agent["leases"][0];
            Some(lease["addresses"].as_array()?.iter().map(|a| a.as_str().unwrap().to_owned()).collect())
        })
    }

    fn ping(&self, more: &[&str]) -> Vec<Value> {
        let agent = self.b.agent();
        let words = [&["--json", "ping", &agent][..], more].concat();
        let lines = self.a.run(&words).expect(0).stdout;
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[test]
fn two_nodes_behind_nat_find_each_other_meet_at_a_relay_and_then_punch_a_hole() {
    let Some(lab) = Lab::new(Nat::KeepsPorts) else { return };
    let addresses = lab.find();
    let relay = lab.relay.up_document()["node"].as_str().unwrap();
    let circuit = format!("/p2p/{relay}/p2p-circuit/p2p/");
    assert!(addresses.iter().any(|address| address.contains(&circuit)), "the lease: {addresses:?}");

    let pongs = lab.ping(&[]);
    let (last, before) = pongs.split_last().unwrap();
    assert_eq!(last["path"]["kind"], "hole_punched", "{pongs:?}");
    for pong in before {
        assert_eq!((&pong["path"]["kind"], &pong["path"]["relay"]), (&"relayed".into(), &relay.into()));
    }
    let met = poll("the circuit is over", || {
        let peers = lab.a.ask("althing.peers/v1", &["peers"])["peers"].as_array().unwrap().clone();
        let none = reach(&lab.relay)["relaying"]["circuits"] == 0;
        peers.into_iter().find(|peer| none && peer["node"] == lab.b.up_document()["node"])
    });
    assert_eq!(met["path"]["kind"], "hole_punched", "{met}");
    let punched = [&lab.a, &lab.b].map(|node| reach(node)["punched"].as_u64().unwrap());
    assert!(punched.iter().sum::<u64>() > 0, "they met at the relay first");
    assert!(lab.ping(&["--count", "1"])[0]["path"]["relay"].is_null());
}

#[test]
fn a_router_that_maps_ports_makes_a_node_public() {
    let net = match Internet::new(Nat::KeepsPorts) {
        Ok(net) => net,
        Err(reason) => {
            println!("SKIPPED: {reason}");
            return;
        }
    };
    let home = Home::new();
    let _router = match net.upnp(Place::A, home.path()) {
        Ok(router) => router,
        Err(reason) => {
            println!("SKIPPED: {reason}");
            return;
        }
    };
    let host = net.up(Place::Host, &home.join("host"), &["--upnp", "false"]);
    let node = net.up(Place::A, &home.join("node"), &["--join", &host.address()]);
    let public = poll("a peer dials the address that the router maps", || {
        let reach = reach(&node);
        let external = reach["external"].as_array()?.clone();
        external.iter().any(|external| external["learnt"] == "autonat").then_some(reach)
    });
    assert_eq!((&public["upnp"], &public["reachability"]), (&"mapped".into(), &"public".into()));
    let mapped = public["external"][0]["address"].as_str().unwrap();
    assert!(mapped.starts_with("/ip4/11.2.0.2/"), "the router's own address: {mapped}");
    assert_eq!((&public["kademlia"], &public["circuits"]), (&"server".into(), &serde_json::json!([])));
    assert!(!public["relaying"].is_null(), "it can relay for others now");
}

#[test]
fn where_no_hole_can_be_punched_the_relay_carries_on() {
    let Some(lab) = Lab::new(Nat::RandomPorts) else { return };
    let _ = lab.find();
    let pongs = lab.ping(&["--count", "2"]);
    assert!(pongs.iter().all(|pong| pong["path"]["kind"] == "relayed"), "{pongs:?}");
    assert_eq!(pongs.len(), 2);
    drop(lab.net);
}
