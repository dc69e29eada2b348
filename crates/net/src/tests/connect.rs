use libp2p::{StreamProtocol, SwarmBuilder, identify, noise, tcp, yamux};

use super::*;
use crate::{Busy, Membership};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_connect_over_tcp() {
    let (a, b) = pair(config(1), config(2)).await;
    let state = a.state("a member", |state| state.routing_table == 1).await;
    let peer = &state.peers[0];
    assert_eq!((peer.node, peer.outbound, peer.membership), (b.id(), false, Membership::Member));
    assert!(peer.agent.as_deref().is_some_and(|agent| agent.contains(&NetworkId([7; 32]).to_string())));
    b.state("a member", |state| state.peers[0].outbound && state.peers[0].rtt.is_some()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_connect_over_quic_and_notice_when_one_leaves() {
    let quic = |seed| Config { listen: vec![QUIC.parse().expect("an address")], ..config(seed) };
    let (mut a, b) = pair(quic(1), quic(2)).await;
    let leaver = b.id();
    let net = b.net.clone();
    within("shutdown", b.net.shutdown()).await;
    a.disconnected(leaver).await;
    assert_eq!(net.publish(Topic::Ledger, vec![1]), Err(Busy::Stopped { command: "publish" }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listening_address_is_told_as_an_event_and_in_the_state() {
    let mut node = Node::start(config(1)).await;
    let told = node.event("address", |_, event| match event {
        Event::Listening(address) => Some(address),
        _ => None,
    });
    let told = told.await;
    assert_eq!(node.state("address", |state| !state.listen.is_empty()).await.listen, [told]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_dial_each_other_at_once_keep_one_connection() {
    for round in 0..10 {
        let (mut a, mut b) =
            tokio::join!(Node::start(config(2 * round + 1)), Node::start(config(2 * round + 2)));
        let (a_id, b_id) = (a.id(), b.id());
        let (at_a, at_b) = (a.address(), b.address());
        a.net.dial(at_b).expect("room for a command");
        b.net.dial(at_a).expect("room for a command");
        tokio::join!(a.connected(b_id), b.connected(a_id));
        // A request in each direction would fail on a connection that is about to be refused by the other side; one
        // that is answered after both said "connected" proves that what is left works.
        super::requests::echo(&mut a, &mut b).await;
        super::requests::echo(&mut b, &mut a).await;
        let (state_a, state_b) = (a.net.state(), b.net.state());
        assert_eq!((state_a.peers.len(), state_b.peers.len()), (1, 1));
        while let Ok(event) = a.events.try_recv() {
            assert!(!matches!(event, Event::Disconnected { .. }), "round {round}: the connection flapped");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_is_named() {
    for kind in [TCP, QUIC] {
        let listen = vec![kind.parse().expect("an address")];
        let first = Node::start(Config { listen, ..config(1) }).await;
        let taken = first.state("address", |state| !state.listen.is_empty()).await.listen[0].clone();
        let second = Node::try_start(Config { listen: vec![taken.clone()], ..config(2) }, 16).await;
        let error = second.err().expect("the port is taken").to_string();
        assert!(error.contains(&taken.to_string()), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_of_another_kind_is_named() {
    let listen = vec!["/ip4/127.0.0.1/sctp/1".parse().expect("an address")];
    let error = Node::try_start(Config { listen, ..config(1) }, 16).await.err().expect("no such transport");
    assert!(matches!(error, StartError::Address { .. }));
    assert!(error.to_string().contains("/sctp/1"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_of_other_networks_are_disconnected() {
    let mut same_tag = [7; 32];
    same_tag[31] = 8;
    for (network, reason) in [([9; 32], "other_network"), (same_tag, "other_network_id")] {
        let mut ours = Node::start(config(1)).await;
        let foreign = Config { network: NetworkId(network), bootstrap: vec![ours.address()], ..config(2) };
        let foreign = Node::start(foreign).await;
        let friend = Node::start(Config { bootstrap: vec![ours.address()], ..config(3) }).await;
        let first = ours.event("connection", |_, event| match event {
            Event::Connected { node, .. } => Some(node),
            _ => None,
        });
        assert_eq!(first.await, friend.id());
        // Whoever hears the other's Identify first disconnects.
        let refused = format!("althing_net_refused_connections_total{{reason=\"{reason}\"}}");
        tokio::select! {
            () = ours.metric_is(&refused, "1") => {}
            () = foreign.metric_is(&refused, "1") => {}
        }
        ours.state("no foreigner", |state| state.peers.iter().all(|peer| peer.node != foreign.id())).await;
        assert!(foreign.net.state().peers.iter().all(|peer| peer.membership != Membership::Member));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_libp2p_peers_are_answered_but_never_reported() {
    use futures::StreamExt;

    let mut ours = Node::start(config(1)).await;
    let mut plain: Swarm<identify::Behaviour> = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .expect("a transport")
        .with_behaviour(|key| {
            identify::Behaviour::new(identify::Config::new("ipfs/0.1.0".into(), key.public()))
        })
        .expect("a behaviour")
        .with_swarm_config(|config| config.with_idle_connection_timeout(DEADLINE))
        .build();
    plain.dial(ours.address()).expect("a dial");
    let info = within("Identify", async {
        loop {
            if let libp2p::swarm::SwarmEvent::Behaviour(identify::Event::Received { info, .. }) =
                plain.select_next_some().await
            {
                return info;
            }
        }
    })
    .await;
    let engine = StreamProtocol::new("/althing/0707070707070707/engine/1");
    assert!(info.protocols.contains(&engine));
    let pump = tokio::spawn(async move { while plain.next().await.is_some() {} });
    let is_plain = |state: &NetState| state.peers.iter().any(|peer| peer.membership == Membership::Plain);
    ours.state("a plain peer", is_plain).await;
    let friend = Node::start(Config { bootstrap: vec![ours.address()], ..config(3) }).await;
    let first = ours.event("connection", |_, event| match event {
        Event::Connected { node, .. } => Some(node),
        _ => None,
    });
    assert_eq!(first.await, friend.id(), "the plain peer came first but is not one of us");
    assert!(is_plain(&ours.net.state()), "and is still connected");
    pump.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_beyond_the_bound_are_busy() {
    // The swarm task runs beside this one, but a lookup costs it more than a command costs here.
    let limits = Limits { commands_max: 1, ..Limits::default() };
    let node = Node::start(Config { limits, ..config(1) }).await;
    let refused = (0..100_000).find_map(|query| node.net.lookup(query, [1; 32]).err());
    assert_eq!(refused, Some(Busy::Full { command: "look up" }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bootstrap_addresses_are_dialed_until_someone_answers() {
    // The address of a node that has left: nobody answers there yet.
    let early = Node::start(config(1)).await;
    let address = early.address();
    let listen = vec![early.net.state().listen[0].clone()];
    within("shutdown", early.net.shutdown()).await;
    let mut waiting = Node::start(Config { bootstrap: vec![address], ..config(2) }).await;
    waiting
        .state("a second round", |_| waiting.metric("libp2p_swarm_outgoing_connection_error_total").is_some())
        .await;
    let late = Node::start(Config { listen, ..config(1) }).await;
    assert!(waiting.connected(late.id()).await);
}
