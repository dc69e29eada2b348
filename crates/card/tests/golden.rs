//! A real card and a real lease. A change of these bytes is a change of the format: its own commit, with its reason.
//! `ALTHING_BLESS=1 cargo test -p althing-card golden` rewrites them.

#![allow(clippy::unwrap_used, reason = "tests")]

use althing_card::{Card, LEASE_LIFETIME_MS, Lease};
use althing_record::{Draft, Kind, NodeId, Record, cbor};
use althing_testkit::{MADE, agent, network, node, sign, slot};

/// Compares with the fixture, or writes it when ALTHING_BLESS=1; gives its bytes.
fn golden(name: &str, built: &[u8]) -> Vec<u8> {
    let path = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/{name}.hex"));
    let digits = hex::encode(built);
    let lines: Vec<_> = digits.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    if std::env::var("ALTHING_BLESS").is_ok_and(|bless| bless == "1") {
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    let found = hex::decode(found.split_whitespace().collect::<String>()).unwrap();
    assert_eq!(found, built, "{name} changed");
    found
}

fn card() -> Record {
    let json = br#"{"name":"Babel","description":"translates","version":"1.0.0","skills":[{"id":"text/translate/fr","name":"French"},{"id":"Text/Summarise","name":"Summaries"}]}"#;
    let body = cbor::to_vec(&Card::new(json.to_vec()).unwrap().body());
    sign(slot(&agent(1), Kind::Card, "", body), &agent(1))
}

fn lease(of: NodeId, signed_by: u8) -> Record {
    let expires = MADE.plus(LEASE_LIFETIME_MS);
    let addresses = vec!["/ip4/127.0.0.1/tcp/4001".to_owned(), "/ip4/127.0.0.1/udp/4001/quic-v1".to_owned()];
    let lease = Lease { agent: agent(1).agent(), node: of, addresses, expires };
    let body = cbor::to_vec(&lease.body(network().id(), &node(signed_by)));
    let draft = slot(&agent(1), Kind::Lease, &of.to_string(), body);
    sign(Draft { expires: Some(expires), ..draft }, &agent(1))
}

#[test]
fn golden_card_and_lease_have_not_changed() {
    let found = Record::verify(&golden("card", card().bytes()), &network()).unwrap();
    let read = Card::from_record(&found).unwrap().unwrap();
    let skills: Vec<_> = read.skills().iter().map(ToString::to_string).collect();
    assert_eq!(skills, ["text/summarise", "text/translate/fr"]);
    let found = Record::verify(&golden("lease", lease(node(1).node(), 1).bytes()), &network()).unwrap();
    let read = Lease::from_record(&found).unwrap().unwrap();
    assert_eq!((read.node, read.addresses.len()), (node(1).node(), 2));
}

#[test]
fn golden_retractions_have_not_changed() {
    let empty = [0xa1, 0x00, 0x01];
    let retracted = sign(slot(&agent(1), Kind::Card, "", empty.to_vec()), &agent(1));
    golden("card-retracted", retracted.bytes());
    assert_eq!(Card::from_record(&retracted), Ok(None));
}

#[test]
fn lease_that_its_node_did_not_sign_is_refused() {
    assert!(Lease::from_record(&lease(node(1).node(), 2)).is_err());
}
