use super::*;

fn score(state: &NetState, of: NodeId) -> Option<f64> {
    state.peers.iter().find(|peer| peer.node == of).and_then(|peer| peer.score)
}

async fn announce(node: &mut Node, keys: std::ops::Range<u16>) {
    for key in keys.clone() {
        let mut digest = [0; 32];
        digest[..2].copy_from_slice(&key.to_be_bytes());
        node.net.provide(digest).expect("room for a command");
    }
    let mut left = keys.len();
    node.event("announcements", |_, event| {
        left -= usize::from(matches!(event, Event::Provided { .. }));
        (left == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_announcements_costs_the_peer_that_floods_and_nobody_else() {
    let limits = Limits { announcement_rate: 0.001, announcement_burst: 20.0, ..Limits::default() };
    let (storing, mut flooding) = pair(Config { limits, ..config(1) }, config(2)).await;
    let mut modest = Node::start(Config { bootstrap: vec![storing.address()], ..config(3) }).await;
    for node in [&flooding, &modest] {
        node.state("a routing table", |state| state.routing_table > 0).await;
        node.meshed(Topic::Directory, 1).await;
    }
    let _ = modest.net.state();
    announce(&mut flooding, 0..300).await;
    storing.state("a lower score", |state| score(state, flooding.id()) < Some(-1.0)).await;
    storing.state("its quota and no more", |state| state.provider_records == 20).await;
    announce(&mut modest, 400..405).await;
    let state = storing.state("the other's records", |state| state.provider_records == 30).await;
    assert!(score(&state, modest.id()) >= Some(0.0), "{state:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_goes_on_sending_nonsense_is_put_out_and_kept_out() {
    let (mut a, b) = pair(config(1), config(2)).await;
    let bad = b.id();
    for _ in 0..19 {
        a.net.blame(bad).expect("room for a command");
    }
    // Far below the graylist threshold, and still connected: only gossip is closed to it.
    a.state("a low score", |state| score(state, bad) < Some(-180.0)).await;
    for _ in 0..2 {
        a.net.blame(bad).expect("room for a command");
    }
    a.disconnected(bad).await;
    // It dials again at once, since it knows nobody else.
    let refused = "althing_net_refused_connections_total{reason=\"banned\"}";
    a.state("a refused connection", |state| a.metric(refused).is_some() && state.peers.is_empty()).await;
}
