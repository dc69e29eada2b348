use super::*;
use crate::RequestFailure;

pub(super) type Answer = Result<Vec<u8>, RequestFailure>;

pub(super) async fn answer(node: &mut Node, number: u64) -> Answer {
    node.event("answer", |_, event| match event {
        Event::Response { request, bytes, .. } if request == number => Some(Ok(bytes)),
        Event::RequestFailed { request, cause, .. } if request == number => Some(Err(cause)),
        _ => None,
    })
    .await
}

pub(super) async fn serve(node: &mut Node, asker: NodeId) {
    node.event("request", |net, event| match event {
        Event::Request { reply, from, mut bytes } => {
            assert_eq!(from, asker);
            bytes.reverse();
            net.respond(reply, bytes).expect("room for a command");
            Some(())
        }
        _ => None,
    })
    .await;
}

/// Asks `to` once; the answer is the question backwards.
pub(super) async fn echo(asker: &mut Node, to: &mut Node) {
    let from = asker.id();
    asker.net.request(1, to.id(), b"abc".to_vec()).expect("room for a command");
    let (answer, ()) = tokio::join!(answer(asker, 1), serve(to, from));
    assert_eq!(answer, Ok(b"cba".to_vec()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_answered_over_both_transports() {
    for kind in [TCP, QUIC] {
        let on = |seed| Config { listen: vec![kind.parse().expect("an address")], ..config(seed) };
        let (mut a, mut b) = pair(on(1), on(2)).await;
        echo(&mut a, &mut b).await;
        echo(&mut b, &mut a).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_request_and_response_pass() {
    let (mut a, mut b) = pair(config(1), config(2)).await;
    let limits = Limits::default();
    a.net.request(1, b.id(), vec![1; limits.request_bytes_max]).expect("room for a command");
    b.event("request", |net, event| match event {
        Event::Request { reply, bytes, .. } => {
            assert_eq!(bytes.len(), limits.request_bytes_max);
            net.respond(reply, vec![2; limits.response_bytes_max]).expect("room for a command");
            Some(())
        }
        _ => None,
    })
    .await;
    assert_eq!(answer(&mut a, 1).await, Ok(vec![2; limits.response_bytes_max]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oversize_is_refused_by_the_sender_and_by_a_stricter_receiver() {
    let strict = Limits { request_bytes_max: 100, response_bytes_max: 100, ..Limits::default() };
    let (mut a, mut b) = pair(config(1), Config { limits: strict, ..config(2) }).await;
    let (a_id, b_id) = (a.id(), b.id());
    a.net.request(1, b_id, vec![0; (68 << 10) + 1]).expect("room for a command");
    assert_eq!(answer(&mut a, 1).await, Err(RequestFailure::TooLarge));
    a.net.request(2, b_id, vec![0; 101]).expect("room for a command");
    assert_eq!(answer(&mut a, 2).await, Err(RequestFailure::Closed));
    b.metric_is("althing_net_requests_total{direction=\"inbound\",outcome=\"unreadable\"}", "1").await;
    // What B answers may be at most a hundred bytes.
    a.net.request(3, b_id, vec![0; 100]).expect("room for a command");
    b.event("request", |net, event| match event {
        Event::Request { reply, from, .. } => {
            assert_eq!(from, a_id);
            net.respond(reply, vec![0; 101]).expect("room for a command");
            Some(())
        }
        _ => None,
    })
    .await;
    assert_eq!(answer(&mut a, 3).await, Err(RequestFailure::Closed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_peer_is_unreachable() {
    let (mut a, _b) = pair(config(1), config(2)).await;
    a.state("a routing table", |state| state.routing_table > 0).await;
    let stranger = NodeKey::from_seed(&[99; 32]).node();
    a.net.request(1, stranger, vec![1]).expect("room for a command");
    assert_eq!(answer(&mut a, 1).await, Err(RequestFailure::Unreachable));
    let own = a.id();
    a.net.request(2, own, vec![1]).expect("room for a command");
    assert_eq!(answer(&mut a, 2).await, Err(RequestFailure::Unreachable));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_only_others_know_is_found_through_kademlia() {
    // B's table is all that A can ask: A refuses to remember more than it is told, and C never connects to A by itself.
    let (b, mut c) = pair(config(1), config(2)).await;
    b.state("a routing table", |state| state.routing_table > 0).await;
    let mut a = Node::start(Config { bootstrap: vec![b.address()], ..config(3) }).await;
    a.connected(b.id()).await;
    echo(&mut a, &mut c).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_is_a_timeout_and_a_flood_is_dropped() {
    let limits = Limits { request_timeout: Duration::from_millis(300), ..Limits::default() };
    let few = Limits { request_burst: 3.0, request_rate: 0.001, ..limits.clone() };
    let (mut a, b) = pair(Config { limits, ..config(1) }, Config { limits: few, ..config(2) }).await;
    for number in 0..4 {
        a.net.request(number, b.id(), vec![1]).expect("room for a command");
    }
    let mut causes = Vec::new();
    a.event("four failures", |_, event| {
        if let Event::RequestFailed { cause, .. } = event {
            causes.push(cause);
        }
        (causes.len() == 4).then_some(())
    })
    .await;
    causes.sort_by_key(|cause| cause.name());
    let silence = RequestFailure::Timeout;
    assert_eq!(causes[0], RequestFailure::Closed, "over the rate");
    assert!(causes[1..].iter().all(|cause| *cause == silence || *cause == RequestFailure::Closed));
    b.metric_is("althing_net_requests_total{direction=\"inbound\",outcome=\"dropped_rate\"}", "1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_beyond_those_on_their_way_wait_their_turn() {
    let limits = Limits { outbound_requests_per_peer_max: 1, ..Limits::default() };
    let (mut a, mut b) = pair(Config { limits, ..config(1) }, config(2)).await;
    let from = a.id();
    for number in 0..5 {
        a.net
            .request(number, b.id(), vec![u8::try_from(number).expect("small")])
            .expect("room for a command");
    }
    for number in 0..5 {
        let (answer, ()) = tokio::join!(answer(&mut a, number), serve(&mut b, from));
        assert_eq!(answer, Ok(vec![u8::try_from(number).expect("small")]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_all_that_may_wait_is_overloaded() {
    let limits = Limits { outbound_requests_max: 2, ..Limits::default() };
    let (mut a, b) = pair(Config { limits, ..config(1) }, config(2)).await;
    for number in 0..3 {
        a.net.request(number, b.id(), vec![1]).expect("room for a command");
    }
    assert_eq!(answer(&mut a, 2).await, Err(RequestFailure::Overloaded));
}
