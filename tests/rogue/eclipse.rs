//! Sybils ground around a key: who is still found, by Kademlia alone and with the index.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use althing_net::{Config, Event, Limits, Net, Profile};
use althing_record::{NetworkId, NodeId, NodeKey};
use libp2p::kad::RecordKey;
use libp2p::{Multiaddr, PeerId};
use prometheus_client::registry::Registry;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::timeout;

use althing_testkit::network;
use althing_tests::{Home, Node, poll};

use super::sybil::{self, Answers, Claims, Sybils, ground, record_key};

const NETWORK: NetworkId = NetworkId([7; 32]);
const KEY: [u8; 32] = [42; 32];
const HONEST: usize = 20;
const SOON: Duration = Duration::from_secs(60);

/// A swarm of ours without a node above it.
struct Swarm {
    net: Net,
    events: mpsc::Receiver<Event>,
}

impl Swarm {
    async fn start(bootstrap: Option<Multiaddr>) -> Self {
        let (sender, events) = mpsc::channel(4096);
        let config = Config {
            key: NodeKey::from_seed(&random()),
            network: NETWORK,
            listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
            bootstrap: bootstrap.into_iter().collect(),
            mdns: false,
            profile: Profile::Testnet,
            limits: Limits::default(),
        };
        let net = althing_net::start(config, &mut Registry::default(), sender).await.unwrap();
        Self { net, events }
    }

    fn peer(&self) -> PeerId {
        PeerId::from_bytes(&self.net.id().to_peer_id_bytes()).unwrap()
    }

    fn address(&self) -> Multiaddr {
        let listen = self.net.state().listen[0].clone();
        listen.with(libp2p::multiaddr::Protocol::P2p(self.peer()))
    }

    async fn routed(&self, peers: usize) {
        let mut state = self.net.watch();
        let enough = state.wait_for(|state| state.routing_table >= peers);
        timeout(SOON, enough).await.expect("a routing table").unwrap();
    }

    /// Waits for events until one is taken.
    async fn event<T>(&mut self, mut pick: impl FnMut(Event) -> Option<T>) -> T {
        let wait = async {
            loop {
                if let Some(picked) = pick(self.events.recv().await.unwrap()) {
                    return picked;
                }
            }
        };
        timeout(SOON, wait).await.expect("an event")
    }

    async fn provide(&mut self, key: [u8; 32]) {
        self.net.provide(key).unwrap();
        self.event(|event| matches!(event, Event::Provided { .. }).then_some(())).await;
    }

    /// Whether a lookup finds a provider, and after how many other claims.
    async fn finds(&mut self, key: [u8; 32], wanted: NodeId) -> Option<usize> {
        self.net.lookup(1, key).unwrap();
        let mut claims = BTreeSet::new();
        self.event(|event| match event {
            Event::Providers { providers, last, .. } => {
                if providers.contains(&wanted) {
                    return Some(Some(claims.len()));
                }
                claims.extend(providers);
                last.then_some(None)
            }
            _ => None,
        })
        .await
    }
}

fn random() -> [u8; 32] {
    let secret = libp2p::identity::Keypair::generate_ed25519();
    let bytes = secret.try_into_ed25519().unwrap().secret();
    bytes.as_ref().try_into().unwrap()
}

/// Honest swarms that know each other.
async fn honest(count: usize) -> Vec<Swarm> {
    let mut swarms: Vec<Swarm> = Vec::new();
    for number in 0..count {
        let before = swarms.get(number / 2).or(swarms.first()).map(Swarm::address);
        swarms.push(Swarm::start(before).await);
    }
    // Each announces something of its own, as nodes do; so they get to know each other.
    for number in 0..2 {
        for swarm in &mut swarms {
            let key = random();
            swarm.routed(1).await;
            swarm.provide(key).await;
            if number == 1 {
                swarm.routed(count * 3 / 4).await;
            }
        }
    }
    swarms
}

struct Point {
    found: usize,
    tried: usize,
    worst_ms: u128,
}

/// One network: honest swarms, Sybils that were there before the provider announces, and fresh swarms that look it up.
async fn kademlia_alone(sybils: usize, answers: Answers, targets: &[RecordKey], tries: usize) -> Point {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let silent_address: Multiaddr = format!("/ip4/127.0.0.1/udp/{port}/quic-v1").parse().unwrap();
    let mut nodes = honest(HONEST).await;
    let ids: Vec<_> = nodes.iter().map(Swarm::peer).collect();
    let addresses: Vec<_> = nodes.iter().map(Swarm::address).collect();
    let keys = (0..sybils).map(|number| ground(&targets[number % targets.len()], &ids)).collect();
    let _crowd =
        Sybils::start(&NETWORK, keys, targets, (answers, Claims::Nothing), &addresses, &silent_address).await;
    for node in &nodes {
        let mut state = node.net.watch();
        let all =
            state.wait_for(|state| state.peers.iter().filter(|peer| peer.agent.is_some()).count() >= sybils);
        timeout(SOON, all).await.expect("the Sybils connect").unwrap();
    }
    nodes[0].provide(KEY).await;
    let wanted = nodes[0].net.id();
    let mut point = Point { found: 0, tried: 0, worst_ms: 0 };
    for number in 0..tries {
        let via = addresses[1 + (number * 7 + usize::from(random()[0])) % (HONEST - 1)].clone();
        let mut fresh = Swarm::start(Some(via)).await;
        fresh.routed(1).await;
        let start = Instant::now();
        point.found += usize::from(fresh.finds(KEY, wanted).await.is_some());
        point.worst_ms = point.worst_ms.max(start.elapsed().as_millis());
        point.tried += 1;
        fresh.net.shutdown().await;
    }
    for node in nodes {
        node.net.shutdown().await;
    }
    point
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the whole curve: minutes; tests/run nightly runs it"]
async fn curve_of_kademlia_alone() {
    let (networks, tries) = (setting("ALTHING_ECLIPSE_NETWORKS", 3), setting("ALTHING_ECLIPSE_TRIES", 20));
    let one = [record_key(&KEY)];
    let both = [record_key(&KEY), record_key(&althing_net::second_key(&KEY))];
    for answers in [Answers::Nothing, Answers::EachOther, Answers::Lies] {
        for (around, targets) in [("the key", &one[..]), ("both keys", &both[..])] {
            for sybils in [0, 10, 20, 40, 60, 80] {
                let (mut found, mut tried, mut worst) = (0, 0, 0);
                for _ in 0..networks {
                    let point = kademlia_alone(sybils, answers, targets, tries).await;
                    found += point.found;
                    tried += point.tried;
                    worst = worst.max(point.worst_ms);
                }
                println!("{answers:?}, {sybils} around {around}: {found} of {tried}, the slowest {worst} ms");
            }
        }
    }
}

/// One network of real nodes: Sybils around both keys of a skill from before its card is published, and fresh nodes that
/// join by a random honest one and search at once.
fn with_the_index(honest: usize, sybils: usize, answers: Answers, tries: usize) -> Point {
    let home = Home::new();
    let genesis = home.write("genesis.cbor", network().to_bytes()).display().to_string();
    let up = |name: &str, join: &str| {
        let mut words = vec!["--genesis", &genesis];
        if !join.is_empty() {
            words.extend(["--join", join]);
        }
        Node::up(&home.join(name), &words)
    };
    let mut nodes = vec![up("h0", "")];
    for number in 1..honest {
        let join = nodes[number / 2].address();
        nodes.push(up(&format!("h{number}"), &join));
    }
    let addresses: Vec<Multiaddr> = nodes.iter().map(|node| node.address().parse().unwrap()).collect();
    let ids: Vec<_> = addresses.iter().map(sybil::peer_in).collect();
    let skill = "text/translate".parse().unwrap();
    let key = althing_card::skill_key(network().id(), &skill, althing_card::Page::ROOT);
    let targets = [record_key(&key), record_key(&althing_net::second_key(&key))];
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (_crowd, _silent) = runtime.block_on(async {
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = silent.local_addr().unwrap().port();
        let silent_address = format!("/ip4/127.0.0.1/udp/{port}/quic-v1").parse().unwrap();
        let keys = (0..sybils).map(|number| ground(&targets[number % 2], &ids)).collect();
        let what = (answers, Claims::Nothing);
        (Sybils::start(&network().id(), keys, &targets, what, &addresses, &silent_address).await, silent)
    });
    for node in &nodes {
        poll("the Sybils are its peers", || {
            (node.status()["peers"].as_u64()? >= sybils as u64).then_some(())
        });
    }
    let card = home.write("card.json", r#"{"name":"Wanted","skills":[{"id":"text/translate"}]}"#);
    let _ = nodes[0].run(&["card", "publish", &card.display().to_string()]).expect(0);
    let wanted = nodes[0].agent();
    let mut point = Point { found: 0, tried: 0, worst_ms: 0 };
    for number in 0..tries {
        let via = 1 + (number * 7 + usize::from(random()[0])) % (honest - 1);
        let fresh = up(&format!("f{number}"), &addresses[via].to_string());
        let start = Instant::now();
        let found = fresh.ask("althing.find/v1", &["find", "--skill", "text/translate"]);
        point.worst_ms = point.worst_ms.max(start.elapsed().as_millis());
        let agents = found["agents"].as_array().unwrap();
        point.found += usize::from(agents.iter().any(|agent| agent["agent"] == wanted.as_str()));
        point.tried += 1;
    }
    point
}

#[test]
fn sybils_around_a_key_hide_no_agent_from_a_fresh_node() {
    let point = with_the_index(8, 24, Answers::EachOther, 10);
    assert_eq!((point.found, point.tried), (10, 10));
}

#[test]
#[ignore = "the whole curve: minutes; tests/run nightly runs it"]
fn curve_with_the_index() {
    let (networks, tries) = (setting("ALTHING_ECLIPSE_NETWORKS", 1), setting("ALTHING_ECLIPSE_TRIES", 34));
    for answers in [Answers::Nothing, Answers::EachOther, Answers::Lies] {
        for sybils in [0, 10, 20, 40, 60, 80] {
            let (mut found, mut tried, mut worst) = (0, 0, 0);
            for _ in 0..networks {
                let point = with_the_index(HONEST, sybils, answers, tries);
                found += point.found;
                tried += point.tried;
                worst = worst.max(point.worst_ms);
            }
            println!("{answers:?}, {sybils} around both keys: {found} of {tried}, the slowest {worst} ms");
            assert!(found * 100 >= tried * 99, "99 in 100 find it");
        }
    }
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
