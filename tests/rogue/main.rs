//! A hostile libp2p peer against two real nodes in a line: rogue – one – two. What is wrong is refused by name, stored
//! by neither, and never forwarded; what is merely newer or untimely costs its sender nothing.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "real processes, real time")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use althing_card::Card;
use althing_net::{Config, Event, Limits, Net, Profile, Topic};
use althing_record::cbor::{self, Writer};
use althing_record::{
    AgentKey, Content, Draft, Header, Inception, Kind, Millis, Network, NodeKey, Placement, Record,
    recovery_key_hash,
};
use althing_testkit::{Raw, WEAK_KEYS, foreign_network, forger, network};
use althing_tests::{Home, Node, get, poll};
use prometheus_client::registry::Registry;
use tokio::sync::mpsc;
use tokio::time::timeout;

mod calls;
mod eclipse;
mod gone;
mod scores;
mod swarm;
mod sybil;

const SOON: Duration = Duration::from_secs(20);

struct Line {
    one: Node,
    two: Node,
    home: Home,
}

impl Line {
    fn up() -> Self {
        let home = Home::new();
        let genesis = home.write("genesis.cbor", network().to_bytes()).display().to_string();
        let one = Node::up(&home.join("1"), &["--genesis", &genesis]);
        let address = one.address();
        let two = Node::up(&home.join("2"), &["--genesis", &genesis, "--join", &address]);
        poll("the two are connected", || (two.status()["peers"].as_u64()? == 1).then_some(()));
        Self { one, two, home }
    }

    fn records(&self) -> [u64; 2] {
        [&self.one, &self.two].map(|node| node.status()["records"].as_u64().unwrap())
    }
}

/// The sum of a metric over all series that have these labels.
fn metric(node: &Node, name: &str, labels: &[&str]) -> f64 {
    let api = node.api();
    let text = get(&api, "/metrics", &[("Host", &api)]).body;
    let series = text.lines().filter(|line| line.starts_with(name));
    let wanted = series.filter(|line| labels.iter().all(|label| line.contains(label)));
    wanted.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

fn invalid(node: &Node) -> f64 {
    metric(node, "althing_invalid_messages_total", &[])
}

fn now() -> Millis {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Millis(u64::try_from(now.as_millis()).unwrap())
}

/// A peer with a key of its own, connected to one node and no other, also when others hear of it; each wrong message
/// takes a fresh one, since three would have it graylisted.
async fn rogue(seed: u8, target: &Node) -> (Net, mpsc::Receiver<Event>) {
    let (sender, mut events) = mpsc::channel(256);
    let config = Config {
        key: NodeKey::from_seed(&[seed; 32]),
        network: network().id(),
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
        bootstrap: vec![target.address().parse().unwrap()],
        mdns: false,
        reachability: althing_net::ReachMode::Auto,
        relay: false,
        upnp: false,
        profile: Profile::Testnet,
        shelf: None,
        streams: None,
        limits: Limits { inbound_max: 0, outbound_reserved: 1, ..Limits::default() },
    };
    let net = althing_net::start(config, &mut Registry::default(), sender).await.unwrap();
    let connected = async { while !matches!(events.recv().await, Some(Event::Connected { .. })) {} };
    timeout(SOON, connected).await.expect("the rogue connects");
    let meshed = async {
        let mut state = net.watch();
        state
            .wait_for(|state| Topic::ALL.iter().all(|topic| state.mesh.get(topic).copied().unwrap_or(0) > 0))
            .await
            .unwrap();
    };
    timeout(SOON, meshed).await.expect("the rogue is in the mesh");
    (net, events)
}

fn card_draft(key: &AgentKey, json: &str, made: Millis, lifetime_ms: u64) -> Draft {
    let body = Card::new(json.as_bytes().to_vec()).unwrap().body();
    Draft {
        agent: key.agent(),
        key_event: None,
        group: None,
        kind: Kind::Card,
        placement: Placement::Slot { name: "".try_into().unwrap(), revision: made.0 },
        made,
        expires: Some(made.plus(lifetime_ms)),
        content: Content::Body(cbor::to_vec(&body)),
    }
}

fn card(key: &AgentKey, made: Millis, lifetime_ms: u64) -> Record {
    card_draft(key, r#"{"name":"Rogue","skills":[{"id":"rogue/x"}]}"#, made, lifetime_ms)
        .sign(key, &network())
        .unwrap()
}

fn inception(key: &AgentKey, network: &Network) -> Record {
    let body = Inception { recovery_key_hash: recovery_key_hash(&[1; 32]) };
    Draft {
        agent: key.agent(),
        key_event: None,
        group: None,
        kind: Kind::Inception,
        placement: Placement::Chain {
            stream: "identity".try_into().unwrap(),
            incarnation: None,
            seq: 0,
            prev: None,
        },
        made: now(),
        expires: None,
        content: Content::Body(cbor::to_vec(&body)),
    }
    .sign(key, network)
    .unwrap()
}

/// The record's parts with one thing changed, signed again so that only that is wrong.
fn altered(record: &Record, key: &AgentKey, alter: impl FnOnce(&mut Raw)) -> Vec<u8> {
    let mut raw = Raw::of(record);
    alter(&mut raw);
    raw.signed_by(key).bytes()
}

fn with_header(record: &Record, key: &AgentKey, change: impl FnOnce(&mut Header)) -> Vec<u8> {
    let mut header = record.header().clone();
    change(&mut header);
    altered(record, key, |raw| raw.protected = cbor::to_vec(&header))
}

/// A card body with one more entry.
fn body_with(key: u64) -> Vec<u8> {
    let mut to = Writer::default();
    to.map(2);
    to.uint(0);
    to.uint(1);
    to.uint(key);
    to.uint(0);
    to.into_bytes()
}

/// What each case sends, and the cause that the node counts it under.
fn wrong(key: &AgentKey) -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let day = 24 * 60 * Millis::MINUTE;
    let good = card(key, now(), day);
    let mut trailing = good.bytes().to_vec();
    trailing.push(0);
    let long = format!(r#"{{"name":"{}"}}"#, "x".repeat(15_000));
    let long = card_draft(key, &long, now(), day);
    let over = {
        let record = Draft { ..long }.sign(key, &network()).unwrap();
        let mut blob = Writer::default();
        blob.map(2);
        blob.uint(0);
        blob.uint(1);
        blob.uint(1);
        blob.bytes(&vec![b' '; 17_000]);
        altered(&record, key, |raw| raw.payload = blob.into_bytes())
    };
    let weak: [u8; 32] = hex(WEAK_KEYS[0]);
    let foreign = inception(key, &foreign_network());
    vec![
        ("a card over 16 KiB", "too_large", over),
        ("a record over 64 KiB", "too_large", vec![0x40; 70_000]),
        ("a wrong signature", "signature", forger(&good, &AgentKey::from_seed(&[99; 32]))),
        ("another network's record", "foreign_network", foreign.bytes().to_vec()),
        ("trailing bytes", "malformed", trailing),
        (
            "a non-minimal integer",
            "malformed",
            altered(&good, key, |raw| raw.payload = vec![0xa1, 0x18, 0x00, 0x01]),
        ),
        ("an indefinite length", "malformed", altered(&good, key, |raw| raw.payload = vec![0xbf, 0xff])),
        (
            "a huge length",
            "malformed",
            altered(&good, key, |raw| {
                raw.payload = vec![0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
            }),
        ),
        ("depth", "malformed", altered(&good, key, |raw| raw.payload = [vec![0x81; 40], vec![0]].concat())),
        ("a weak key", "weak_key", with_header(&good, key, |header| header.agent.0 = weak)),
        ("a slot without expiry", "rule", with_header(&good, key, |header| header.expires = None)),
    ]
}

fn hex(text: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    }
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_from_its_bytes_is_refused_by_name_and_goes_no_further() {
    let line = Line::up();
    let key = AgentKey::from_seed(&[77; 32]);
    let before = line.records();
    let mut expected = 0.0;
    for (seed, (what, cause, bytes)) in (10..).zip(wrong(&key)) {
        let (net, _events) = rogue(seed, &line.one).await;
        let label = format!("cause=\"{cause}\"");
        let counted = || metric(&line.one, "althing_invalid_messages_total", &[&label]);
        let already = counted();
        net.publish(Topic::Directory, bytes).unwrap();
        poll(what, || (counted() > already).then_some(()));
        expected += 1.0;
        net.shutdown().await;
    }
    assert_eq!(line.records(), before, "nothing was stored");
    assert_eq!(invalid(&line.one), expected, "each was refused once");
    assert_eq!(invalid(&line.two), 0.0, "nothing was forwarded");

    // The line does carry what is right.
    let (net, _events) = rogue(9, &line.one).await;
    net.publish(Topic::Directory, inception(&key, &network()).bytes().to_vec()).unwrap();
    poll("a valid record reaches both", || (line.records() == before.map(|count| count + 1)).then_some(()));
    net.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_newer_or_untimely_is_ignored_without_punishing_anyone() {
    let line = Line::up();
    let key = AgentKey::from_seed(&[78; 32]);
    let before = line.records();
    let (net, _events) = rogue(40, &line.one).await;
    let hour = 60 * Millis::MINUTE;
    let good = card(&key, now(), hour);
    let records =
        |verdict: &str| metric(&line.one, "althing_records_total", &[&format!("verdict=\"{verdict}\"")]);
    let newer = || {
        ["newer", "unknown_kind"]
            .iter()
            .map(|cause| {
                metric(&line.one, "althing_invalid_messages_total", &[&format!("cause=\"{cause}\"")])
            })
            .sum::<f64>()
            + records("ignore")
    };
    let ignored = [
        ("an unknown kind", with_header(&good, &key, |header| header.kind = 999)),
        ("a newer entry", altered(&good, &key, |raw| raw.payload = body_with(128))),
        ("a newer version", altered(&good, &key, |raw| raw.payload = vec![0xa1, 0x00, 0x02])),
        ("an expired record", card(&key, now().minus(3 * hour), hour).bytes().to_vec()),
        ("a future record", card(&key, now().plus(hour), hour).bytes().to_vec()),
    ];
    for (what, bytes) in ignored {
        let already = newer();
        net.publish(Topic::Directory, bytes).unwrap();
        poll(what, || (newer() > already).then_some(()));
    }
    assert_eq!(line.records(), before, "nothing was stored");
    assert_eq!(records("reject"), 0.0, "nobody was blamed");
    // Five would have been two too many, had they cost anything: the same peer is still listened to.
    net.publish(Topic::Directory, good.bytes().to_vec()).unwrap();
    poll("a valid card reaches both", || (line.records() == before.map(|count| count + 1)).then_some(()));

    // An entry below 128 is no growth but a fault.
    net.publish(Topic::Directory, altered(&good, &key, |raw| raw.payload = body_with(7))).unwrap();
    poll("an unknown field is refused", || (records("reject") > 0.0).then_some(()));
    assert_eq!(metric(&line.two, "althing_records_total", &["verdict=\"reject\""]), 0.0, "and not forwarded");
    net.shutdown().await;
}
