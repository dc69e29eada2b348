use super::*;
use crate::{Membership, Path, Reachability, RequestFailure};

/// A node that relays.
pub(super) async fn relay(seed: u8, limits: Limits) -> Node {
    let node = Node::start(Config { reachability: ReachMode::Server, limits, ..config(seed) }).await;
    node.state("a relay", |state| state.reach.relaying.is_some()).await;
    node
}

/// A node that listens nowhere, so that it cannot even be found by punching holes.
async fn hidden(seed: u8, relays: &[&Node]) -> Node {
    let bootstrap = relays.iter().map(|relay| relay.address()).collect();
    let reachability = ReachMode::Client;
    Node::start(Config { reachability, listen: Vec::new(), bootstrap, ..config(seed) }).await
}

pub(super) async fn placed(node: &Node) -> Vec<NodeId> {
    node.state("a place at a relay", |state| !state.reach.circuits.is_empty()).await.reach.relays
}

/// A hidden node with a place at the relay, and one that has dialed it through that.
async fn behind(relay: &Node) -> (Node, Node) {
    let (mut callee, mut caller) = (hidden(101, &[relay]).await, hidden(102, &[relay]).await);
    assert_eq!(placed(&callee).await, [relay.id()]);
    caller.connected(relay.id()).await;
    let (to, circuits) = (callee.id(), callee.net.state().reach.circuits);
    caller.net.dial_node(to, circuits).expect("room for a command");
    let from = caller.id();
    tokio::join!(caller.connected(to), callee.connected(from));
    (callee, caller)
}

fn path(node: &Node, to: NodeId) -> Option<Path> {
    node.net.state().peers.iter().find(|peer| peer.node == to).map(|peer| peer.path)
}

async fn refused(relay: &Node, what: &str, count: impl Fn(&crate::Relaying) -> u64) {
    let held = |state: &NetState| state.reach.relaying.is_some_and(|relaying| count(&relaying) > 0);
    relay.state(what, held).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_nobody_can_dial_is_found_and_called_through_its_relay() {
    let relay = relay(100, Limits::default()).await;
    let mut provider = hidden(101, &[&relay]).await;
    placed(&provider).await;
    assert_eq!(provider.net.state().reach.reachability, Reachability::Private);
    assert_eq!(provider.net.state().reach.published, provider.net.state().reach.circuits, "and nothing else");
    provider.net.provide([3; 32]).expect("room for a command");
    provider
        .event("announcement", |_, event| match event {
            Event::Provided { result, .. } => Some(result),
            _ => None,
        })
        .await
        .expect("the relay stores it");
    let routed = |state: &NetState| state.peers.iter().any(|peer| peer.membership == Membership::Member);
    relay.state("a member", routed).await;
    assert_eq!(relay.net.state().routing_table, 0, "who cannot be dialed is in no routing table");

    let mut seeker = hidden(102, &[&relay]).await;
    seeker.state("the routing table", |state| state.routing_table == 1).await;
    seeker.net.lookup(1, [3; 32]).expect("room for a command");
    let mut found = Vec::new();
    seeker
        .event("the last providers", |_, event| match event {
            Event::Providers { providers, last, .. } => {
                found.extend(providers);
                last.then_some(())
            }
            _ => None,
        })
        .await;
    assert_eq!(found, [provider.id()]);
    super::requests::echo(&mut seeker, &mut provider).await;
    assert_eq!(path(&seeker, provider.id()), Some(Path::Relayed { relay: Some(relay.id()) }));
    let pong = seeker.net.ping(provider.id(), Vec::new()).expect("room for a command");
    let pong = within("pong", pong).await.expect("an answer").expect("a round trip");
    assert_eq!(pong.path, Path::Relayed { relay: Some(relay.id()) });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_direct_connection_takes_the_place_of_the_relay() {
    let relay = relay(100, Limits::default()).await;
    let listening =
        |seed| Config { reachability: ReachMode::Client, bootstrap: vec![relay.address()], ..config(seed) };
    let (callee, mut caller) = (Node::start(listening(101)).await, Node::start(listening(102)).await);
    placed(&callee).await;
    caller.connected(relay.id()).await;
    caller.net.dial_node(callee.id(), callee.net.state().reach.circuits).expect("room for a command");
    let to = callee.id();
    let direct = |state: &NetState| {
        state.peers.iter().any(|peer| peer.node == to && matches!(peer.path, Path::Punched { .. }))
    };
    caller.state("a direct connection", direct).await;
    relay
        .state("the end of the circuit", |state| state.reach.relaying.is_some_and(|r| r.circuits == 0))
        .await;
    let pong = caller.net.ping(to, Vec::new()).expect("room for a command");
    assert!(within("pong", pong).await.expect("an answer").expect("a round trip").path.is_direct());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_relay_gives_no_place_too_many() {
    let relay = relay(100, Limits { relay_places_max: 1, ..Limits::default() }).await;
    let first = hidden(101, &[&relay]).await;
    placed(&first).await;
    let second = hidden(102, &[&relay]).await;
    refused(&relay, "a refused place", |relaying| relaying.refused_places).await;
    assert!(second.net.state().reach.circuits.is_empty());
    assert_eq!(relay.net.state().reach.relaying.map(|relaying| relaying.places), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_relay_carries_no_circuit_too_many() {
    let all = Limits { relay_circuits_max: 1, ..Limits::default() };
    let per_peer = Limits { relay_circuits_per_peer_max: 1, ..Limits::default() };
    for limits in [all, per_peer] {
        let relay = relay(100, limits).await;
        let (callee, _caller) = behind(&relay).await;
        let mut third = hidden(103, &[&relay]).await;
        third.connected(relay.id()).await;
        // The one who is called already, and, where it is per peer, the one who calls.
        placed(&third).await;
        callee.net.dial_node(third.id(), third.net.state().reach.circuits).expect("room for a command");
        refused(&relay, "a refused circuit", |relaying| relaying.refused_circuits).await;
        assert_eq!(relay.net.state().reach.relaying.map(|relaying| relaying.circuits), Some(1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_circuit_ends_with_its_bytes() {
    let relay = relay(100, Limits { relay_circuit_bytes_max: 50_000, ..Limits::default() }).await;
    let (callee, mut caller) = behind(&relay).await;
    caller.net.request(1, callee.id(), vec![7; 60_000]).expect("room for a command");
    let cause = caller
        .event("failure", |_, event| match event {
            Event::RequestFailed { cause, .. } => Some(cause),
            Event::Request { .. } | Event::Response { .. } => panic!("more than the circuit may carry"),
            _ => None,
        })
        .await;
    assert_eq!(cause, RequestFailure::Closed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_circuit_ends_with_its_time() {
    let relay = relay(100, Limits { relay_circuit_time: Duration::from_secs(1), ..Limits::default() }).await;
    let (callee, mut caller) = behind(&relay).await;
    caller.disconnected(callee.id()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_moves_when_its_relay_goes() {
    let short = Limits { relay_place_time: Duration::from_secs(3), ..Limits::default() };
    let relays = [relay(100, short.clone()).await, relay(99, short.clone()).await, relay(98, short).await];
    let node = hidden(101, &relays.iter().collect::<Vec<_>>()).await;
    let held = |state: &NetState| state.reach.relays.len() == crate::relays::RELAYS_MAX;
    let before = node.state("two places", held).await.reach.relays;
    let (gone, left): (Vec<_>, Vec<_>) = relays.into_iter().partition(|relay| relay.id() == before[0]);
    for relay in gone {
        within("shutdown", relay.net.shutdown()).await;
    }
    let other = left.iter().map(Node::id).find(|relay| !before.contains(relay)).expect("the third");
    let moved =
        |state: &NetState| state.reach.relays.contains(&other) && state.reach.relays.contains(&before[1]);
    let circuits = node.state("another place", moved).await.reach.circuits;
    assert!(
        circuits.iter().all(|circuit| !circuit.to_string().contains(&before[0].to_string())),
        "{circuits:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_is_not_renewed_in_time_is_lost() {
    let once = Limits {
        relay_place_time: Duration::from_secs(2),
        relay_burst: 1.0,
        relay_rate: 0.01,
        ..Limits::default()
    };
    let relay = relay(100, once).await;
    let node = hidden(101, &[&relay]).await;
    placed(&node).await;
    refused(&relay, "a refused renewal", |relaying| relaying.refused_places).await;
    node.state("no place", |state| state.reach.circuits.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_want_to_relay_does_not() {
    let config = Config { reachability: ReachMode::Server, relay: false, ..config(100) };
    let server = Node::start(config).await;
    let mut node = hidden(101, &[&server]).await;
    node.connected(server.id()).await;
    let state = node.state("its peer", |state| state.routing_table == 1).await;
    assert!(state.reach.relays.is_empty() && server.net.state().reach.relaying.is_none());
}
