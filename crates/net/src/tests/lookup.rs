use std::collections::BTreeSet;

use super::*;
use crate::clock;

const KEY: [u8; 32] = [42; 32];

/// The providers that a lookup reports, checked to come once each and to end once.
async fn lookup(node: &mut Node, number: u64, key: [u8; 32]) -> BTreeSet<NodeId> {
    node.net.lookup(number, key).expect("room for a command");
    let mut found = BTreeSet::new();
    node.event("last providers", |_, event| match event {
        Event::Providers { query, providers, last, .. } if query == number => {
            for provider in providers {
                assert!(found.insert(provider), "reported twice");
            }
            last.then_some(())
        }
        _ => None,
    })
    .await;
    found
}

async fn provide(node: &mut Node, key: [u8; 32]) -> Result<(), String> {
    node.net.provide(key).expect("room for a command");
    node.event("announcement", |_, event| match event {
        Event::Provided { key: provided, result } if provided == key => Some(result),
        _ => None,
    })
    .await
}

async fn line(length: u8) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    for seed in 1..=length {
        let bootstrap = nodes.last().map(Node::address).into_iter().collect();
        let mut node = Node::start(Config { bootstrap, ..config(seed) }).await;
        if let Some(before) = nodes.last() {
            node.connected(before.id()).await;
        }
        nodes.push(node);
    }
    nodes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_of_nodes_finds_a_provider_and_so_does_one_that_comes_late() {
    let mut nodes = line(5).await;
    let provider = nodes[0].id();
    // The first node needs a peer that Identify has confirmed before anybody can store its announcement.
    nodes[0].state("a routing table", |state| state.routing_table > 0).await;
    assert_eq!(provide(&mut nodes[0], KEY).await, Ok(()));
    for (number, node) in nodes.iter_mut().enumerate() {
        // Announcements are not acknowledged, so the first lookup may be too early.
        let mut tries = 0..100;
        let found = loop {
            let found = lookup(node, tries.next().expect("found within a hundred lookups"), KEY).await;
            if !found.is_empty() {
                break found;
            }
        };
        assert_eq!(found, BTreeSet::from([provider]), "at node {number}");
    }
    let mut late = Node::start(Config { bootstrap: vec![nodes[4].address()], ..config(6) }).await;
    late.state("a routing table", |state| state.routing_table > 0).await;
    assert_eq!(lookup(&mut late, 1, KEY).await, BTreeSet::from([provider]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own_keys_are_found_even_alone_until_they_are_withdrawn() {
    let mut node = Node::start(config(1)).await;
    assert_eq!(provide(&mut node, KEY).await, Err("no peer to store it".to_owned()));
    assert_eq!(lookup(&mut node, 1, KEY).await, BTreeSet::from([node.id()]));
    node.net.stop_providing(KEY).expect("room for a command");
    assert_eq!(lookup(&mut node, 2, KEY).await, BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_announced_alone_is_announced_again_when_a_peer_appears() {
    let mut alone = Node::start(config(1)).await;
    assert!(provide(&mut alone, KEY).await.is_err());
    let peer = Node::start(Config { bootstrap: vec![alone.address()], ..config(2) }).await;
    peer.state("the announcement", |state| state.provider_records == 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_beyond_the_bound_are_refused() {
    let limits = Limits { own_keys_max: 1, ..Limits::default() };
    let (mut a, _b) = pair(Config { limits, ..config(1) }, config(2)).await;
    a.state("a routing table", |state| state.routing_table > 0).await;
    assert_eq!(provide(&mut a, KEY).await, Ok(()));
    assert!(provide(&mut a, [43; 32]).await.expect_err("the second of one").contains("keys already"));
    assert_eq!(provide(&mut a, KEY).await, Ok(()), "a renewal");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lookups_beyond_the_bound_end_at_once() {
    let limits = Limits { queries_max: 0, queries_waiting_max: 2, ..Limits::default() };
    let mut node = Node::start(Config { limits, ..config(1) }).await;
    node.net.lookup(1, KEY).expect("room for a command");
    assert_eq!(lookup(&mut node, 2, KEY).await, BTreeSet::new());
    node.metric_is("althing_net_dropped_total{queue=\"queries\"}", "2").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_is_gone_and_silent_leaves_the_routing_table_and_holds_up_nobody() {
    let mut nodes = line(3).await;
    let provider = nodes[0].id();
    let listen = vec![QUIC.parse().expect("an address")];
    let mut lost = Node::start(Config { listen, bootstrap: vec![nodes[1].address()], ..config(9) }).await;
    lost.connected(nodes[1].id()).await;
    nodes[1].state("a full routing table", |state| state.routing_table >= 3).await;
    let (gone, address) = (lost.id(), lost.address());
    lost.net.shutdown().await;
    nodes[1].disconnected(gone).await;
    // Nobody answers there any more: packets are taken, and nothing is said.
    let port = match address.iter().nth(1) {
        Some(libp2p::multiaddr::Protocol::Udp(port)) => port,
        other => panic!("expected a UDP port: {other:?}"),
    };
    let _silent = within("a free port", async {
        loop {
            match tokio::net::UdpSocket::bind(("127.0.0.1", port)).await {
                Ok(socket) => break socket,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    assert_eq!(provide(&mut nodes[0], KEY).await, Ok(()));
    nodes[1].state("a routing table without it", |state| state.routing_table == 2).await;
    let mut late = Node::start(Config { bootstrap: vec![nodes[1].address()], ..config(6) }).await;
    late.state("a routing table", |state| state.routing_table > 0).await;
    for number in 1..=20 {
        let start = clock::now();
        assert_eq!(lookup(&mut late, number, KEY).await, BTreeSet::from([provider]));
        let took = start.elapsed();
        assert!(took < Duration::from_millis(2_000), "lookup {number} took {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_node_names_the_provider_that_only_it_stored() {
    let (changes, mut changed) = mpsc::channel(64);
    let shelf = |rows| Some(crate::Shelf { rows, changes: changes.clone() });
    let storing = Node::start(Config { shelf: shelf(Vec::new()), ..config(1) }).await;
    let mut provider = Node::start(Config { bootstrap: vec![storing.address()], ..config(2) }).await;
    provider.state("a routing table", |state| state.routing_table > 0).await;
    assert_eq!(provide(&mut provider, KEY).await, Ok(()));
    storing.state("the record", |state| state.provider_records == 2).await;
    let wanted = provider.id();
    provider.net.shutdown().await;
    storing.net.shutdown().await;
    drop(storing.events);

    let mut rows = std::collections::BTreeMap::new();
    while let Ok(batch) = changed.try_recv() {
        rows.extend(batch.into_iter().map(|(key, value)| (key, value.expect("nothing was removed"))));
    }
    assert_eq!(rows.len(), 2, "the key and its second key");
    let again = Node::start(Config { shelf: shelf(rows.into_iter().collect()), ..config(1) }).await;
    let mut late = Node::start(Config { bootstrap: vec![again.address()], ..config(3) }).await;
    late.state("a routing table", |state| state.routing_table > 0).await;
    assert_eq!(lookup(&mut late, 1, KEY).await, BTreeSet::from([wanted]));
}
