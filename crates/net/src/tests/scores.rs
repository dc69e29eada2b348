use libp2p::PeerId;
use libp2p::core::transport::PortUse;
use libp2p::core::{ConnectedPoint, Endpoint};
use libp2p::swarm::behaviour::ConnectionEstablished;
use libp2p::swarm::{ConnectionId, FromSwarm, NetworkBehaviour};

use super::*;
use crate::names::Names;
use crate::score::thresholds;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_invalid_messages_graylist_a_peer_and_two_do_not() {
    let (a, mut b) = pair(config(1), config(2)).await;
    a.meshed(Topic::Ledger, 1).await;
    let graylist = Some(thresholds().graylist_threshold);
    let score = |state: &NetState| state.peers[0].score;
    for (number, bad) in [b"bad 1", b"bad 2", b"bad 3"].into_iter().enumerate() {
        a.net.publish(Topic::Ledger, bad.to_vec()).expect("room for a command");
        b.gossip(|_| Verdict::Reject, bad).await;
        let invalid = u32::try_from(number + 1).expect("small");
        let below = -10.0 * f64::from(invalid * invalid) * 0.9 + 5.0;
        let state = b.state("a lower score", |state| score(state).is_some_and(|score| score < below)).await;
        assert_eq!(score(&state) < graylist, invalid == 3, "after {invalid} invalid messages");
    }
    // Graylisted: what it says no longer counts, and is not even delivered.
    let limits = Limits { inbound_max: 0, outbound_reserved: 1, ..Limits::default() };
    let c = Node::start(Config { bootstrap: vec![b.address()], limits, ..config(3) }).await;
    c.meshed(Topic::Ledger, 1).await;
    a.net.publish(Topic::Ledger, b"unheard".to_vec()).expect("room for a command");
    c.net.publish(Topic::Ledger, b"heard".to_vec()).expect("room for a command");
    let heard = b.gossip(accept, b"heard").await;
    assert_eq!(heard, [b"heard".to_vec()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_honest_peer_stays_at_zero_or_above() {
    let (a, _b) = pair(config(1), config(2)).await;
    a.meshed(Topic::Ledger, 1).await;
    let mut refreshes = 0;
    a.state("five refreshes", |state| {
        assert!(state.peers.iter().all(|peer| peer.score >= Some(0.0)), "{:?}", state.peers);
        refreshes += 1;
        refreshes == 5
    })
    .await;
}

/// The lowest score among this many idle peers behind one IP address.
fn lowest_score(profile: Profile, peers: usize) -> f64 {
    let names = Names::new(&NetworkId([7; 32]));
    let mut gossip =
        crate::behaviour::gossip(&names, profile, &Limits::default()).expect("a valid configuration");
    let remote: Multiaddr = "/ip4/198.51.100.1/tcp/4001".parse().expect("an address");
    let ids: Vec<_> = (0..peers).map(|_| PeerId::random()).collect();
    for (number, peer) in ids.iter().enumerate() {
        let id = ConnectionId::new_unchecked(number);
        let endpoint = ConnectedPoint::Dialer {
            address: remote.clone(),
            role_override: Endpoint::Dialer,
            port_use: PortUse::New,
        };
        let handler =
            gossip.handle_established_outbound_connection(id, *peer, &remote, Endpoint::Dialer, PortUse::New);
        assert!(handler.is_ok());
        gossip.on_swarm_event(FromSwarm::ConnectionEstablished(ConnectionEstablished {
            peer_id: *peer,
            connection_id: id,
            endpoint: &endpoint,
            failed_addresses: &[],
            other_established: 0,
        }));
    }
    ids.iter().filter_map(|peer| gossip.peer_score(peer)).fold(0.0, f64::min)
}

#[tokio::test]
async fn sharing_one_address_costs_score_except_on_a_testnet() {
    assert!(lowest_score(Profile::Default, 10) >= 0.0, "ten is a large household");
    assert!(lowest_score(Profile::Default, 15) < thresholds().graylist_threshold);
    assert!(lowest_score(Profile::Testnet, 200) >= 0.0);
}
