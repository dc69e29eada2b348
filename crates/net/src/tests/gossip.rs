use super::*;

/// A and C each know B only, and no connection between A and C is possible.
async fn line() -> (Node, Node, Node) {
    let middle = Node::start(config(1)).await;
    let end = |seed| {
        let limits = Limits { inbound_max: 0, outbound_reserved: 1, ..Limits::default() };
        Config { bootstrap: vec![middle.address()], limits, ..config(seed) }
    };
    let (a, c) = tokio::join!(Node::start(end(2)), Node::start(end(3)));
    middle.meshed(Topic::Directory, 2).await;
    a.meshed(Topic::Directory, 1).await;
    c.meshed(Topic::Directory, 1).await;
    (a, middle, c)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_accepted_messages_are_passed_on() {
    let (a, mut b, mut c) = line().await;
    for message in ["ignored", "accepted"] {
        a.net.publish(Topic::Directory, message.into()).expect("room for a command");
    }
    let verdict = |bytes: &[u8]| if bytes == b"ignored" { Verdict::Ignore } else { Verdict::Accept };
    let at_b = b.gossip(verdict, b"accepted").await;
    assert_eq!(at_b, [b"ignored".to_vec(), b"accepted".to_vec()]);
    let (from, bytes) = c
        .event("gossip", |_, event| match event {
            Event::Gossip { from, bytes, .. } => Some((from, bytes)),
            _ => None,
        })
        .await;
    assert_eq!((from, bytes.as_slice()), (b.id(), b"accepted".as_slice()), "the first that C hears");
    b.metric_is("althing_net_gossip_messages_total{topic=\"directory\",verdict=\"ignored\"}", "1").await;
    b.metric_is("althing_net_gossip_messages_total{topic=\"directory\",verdict=\"accepted\"}", "1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_are_kept_apart_and_the_same_bytes_on_two_topics_are_two_messages() {
    let (a, mut b) = pair(config(1), config(2)).await;
    for topic in Topic::ALL {
        a.meshed(topic, 1).await;
        a.net.publish(topic, b"same".to_vec()).expect("room for a command");
    }
    let mut seen = Vec::new();
    b.event("gossip", |_, event| {
        if let Event::Gossip { topic, .. } = event {
            seen.push(topic);
        }
        (seen.len() == Topic::ALL.len()).then_some(())
    })
    .await;
    seen.sort();
    assert_eq!(seen, Topic::ALL);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_the_node_has_no_room_for_are_ignored_and_counted() {
    let a = Node::start(config(1)).await;
    let crowded = Config { bootstrap: vec![a.address()], ..config(2) };
    let mut b = Node::try_start(crowded, 8).await.expect("loopback has room");
    b.connected(a.id()).await;
    a.meshed(Topic::Ledger, 1).await;
    for number in 0..20_u8 {
        a.net.publish(Topic::Ledger, vec![number]).expect("room for a command");
    }
    // Two of eight places are kept free of gossip.
    let full = "althing_net_gossip_messages_total{topic=\"ledger\",verdict=\"ignored_events_full\"}";
    b.metric_is(full, "14").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_verdict_counts_for_nothing() {
    let (a, mut b) = pair(config(1), config(2)).await;
    a.meshed(Topic::Ledger, 1).await;
    a.net.publish(Topic::Ledger, b"once".to_vec()).expect("room for a command");
    b.event("gossip", |net, event| {
        let Event::Gossip { message, .. } = event else { return None };
        net.verdict(message.clone(), Verdict::Accept).expect("room for a command");
        net.verdict(message, Verdict::Reject).expect("room for a command");
        Some(())
    })
    .await;
    b.metric_is("althing_net_gossip_messages_total{topic=\"unknown\",verdict=\"late\"}", "1").await;
    assert!(b.net.state().peers[0].score >= Some(0.0));
}
