use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::relays::{placed, relay};
use super::*;
use crate::{Channel, Membership, OpenError, Path, StreamKind, Transport};

mod strangers;

type Taken = mpsc::Receiver<Channel>;

/// A node that takes streams, as many as wait at a time.
fn taking(config: Config, waiting_max: usize) -> (Config, Taken) {
    let (streams, taken) = mpsc::channel(waiting_max);
    (Config { streams: Some(streams), ..config }, taken)
}

/// Two connected nodes, of which the second takes streams.
async fn taken_by(first: Config, second: Config) -> (Node, Node, Taken) {
    let (second, taken) = taking(second, 16);
    let (a, b) = pair(first, second).await;
    (a, b, taken)
}

async fn open(from: &Node, to: NodeId, kind: StreamKind) -> Channel {
    within("stream", from.net.open(to, Vec::new(), kind)).await.expect("a stream")
}

async fn take(taken: &mut Taken) -> Channel {
    within("inbound stream", taken.recv()).await.expect("the swarm runs")
}

/// Reads to the end, or until it breaks.
async fn rest(channel: &mut Channel) -> Vec<u8> {
    let mut read = Vec::new();
    let _ = within("the end", channel.read_to_end(&mut read)).await;
    read
}

/// Sends a few bytes one way and back.
async fn exchange(one: &mut Channel, other: &mut Channel) {
    let mut buffer = [0; 5];
    for bytes in [b"there", b"back."] {
        one.write_all(bytes).await.expect("a stream");
        within("bytes", other.read_exact(&mut buffer)).await.expect("a stream");
        assert_eq!(&buffer, bytes);
        other.write_all(&buffer).await.expect("a stream");
        within("bytes", one.read_exact(&mut buffer)).await.expect("a stream");
        assert_eq!(&buffer, bytes);
    }
}

fn outcome(direction: &str, kind: &str, outcome: &str) -> String {
    format!("althing_net_streams_total{{direction=\"{direction}\",kind=\"{kind}\",outcome=\"{outcome}\"}}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_stream_runs_over_both_transports_and_ends_where_it_is_shut_down() {
    for (listen, transport) in [(TCP, Transport::Tcp), (QUIC, Transport::Quic)] {
        let on = |seed| Config { listen: vec![listen.parse().expect("an address")], ..config(seed) };
        let (second, mut taken) = taking(on(2), 16);
        let (a, b) = (Node::start(on(1)).await, Node::start(second).await);
        for kind in StreamKind::ALL {
            // The first one dials.
            let opened = within("stream", a.net.open(b.id(), vec![b.address()], kind)).await;
            let (mut ours, mut theirs) = (opened.expect("a stream"), take(&mut taken).await);
            assert_eq!((ours.node(), theirs.node()), (b.id(), a.id()));
            assert_eq!((ours.kind(), theirs.kind()), (kind, kind));
            assert_eq!(
                (ours.path(), theirs.path()),
                (Path::Direct { transport }, Path::Direct { transport })
            );
            exchange(&mut ours, &mut theirs).await;
            ours.write_all(b"last").await.expect("a stream");
            ours.shutdown().await.expect("a stream");
            let mut read = Vec::new();
            within("the end", theirs.read_to_end(&mut read)).await.expect("a proper end");
            assert_eq!(read, b"last");
            theirs.write_all(b"words").await.expect("half a stream");
            theirs.shutdown().await.expect("half a stream");
            assert_eq!(rest(&mut ours).await, b"words");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_256_streams_opened_at_once_none_is_lost() {
    let limits = Limits {
        calls_per_peer_max: 256,
        streams_max: 512,
        window_max: 512 * (256 << 10),
        ..Limits::default()
    };
    for listen in [TCP, QUIC] {
        let on = |seed| Config {
            listen: vec![listen.parse().expect("an address")],
            limits: limits.clone(),
            ..config(seed)
        };
        let (second, mut taken) = taking(on(2), 256);
        let (a, b) = pair(on(1), second).await;
        let echo = async {
            for _ in 0..256 {
                let mut channel = take(&mut taken).await;
                tokio::spawn(async move {
                    let number = channel.read_u32().await.expect("a stream");
                    channel.write_u32(number).await.expect("a stream");
                    channel.shutdown().await.expect("a stream");
                });
            }
        };
        let ask = (0..256).map(|number| {
            let net = a.net.clone();
            let to = b.id();
            async move {
                let mut channel = net.open(to, Vec::new(), StreamKind::Call).await.expect("a stream");
                channel.write_u32(number).await.expect("a stream");
                channel.read_u32().await.expect("an answer")
            }
        });
        let (answers, ()) = within("answers", async { tokio::join!(join_all(ask), echo) }).await;
        assert_eq!(answers, (0..256).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_takes_no_more_than_is_read_and_loses_nothing() {
    const SIZE: usize = 64 << 20;
    let (a, b, mut taken) = taken_by(config(1), config(2)).await;
    let (ours, mut theirs) = (open(&a, b.id(), StreamKind::Call).await, take(&mut taken).await);
    let (mut reader, mut writer) = tokio::io::split(ours);
    let accepted = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&accepted);
    let write = tokio::spawn(async move {
        let chunk: Vec<u8> = (0..=255).cycle().take(64 << 10).collect();
        for _ in 0..SIZE / chunk.len() {
            writer.write_all(&chunk).await.expect("a stream");
            counted.fetch_add(chunk.len(), Ordering::SeqCst);
        }
        writer.shutdown().await.expect("a stream");
    });
    // Meanwhile another stream runs on the same connection.
    let (mut other, mut back) = (open(&a, b.id(), StreamKind::Call).await, take(&mut taken).await);
    for _ in 0..100 {
        exchange(&mut other, &mut back).await;
    }
    assert!(accepted.load(Ordering::SeqCst) <= Limits::default().window_max, "nothing was read yet");
    let echo = tokio::spawn(async move {
        let (mut from, mut to) = tokio::io::split(&mut theirs);
        let copied = tokio::io::copy(&mut from, &mut to).await.expect("a stream");
        to.shutdown().await.expect("a stream");
        copied
    });
    let mut read = 0;
    let mut chunk = vec![0; 64 << 10];
    loop {
        let some = within("bytes", reader.read(&mut chunk)).await.expect("a stream");
        if some == 0 {
            break;
        }
        let right =
            chunk[..some].iter().zip(read..).all(|(byte, at): (_, usize)| usize::from(*byte) == at % 256);
        assert!(right, "around byte {read}");
        read += some;
    }
    assert_eq!((read, echo.await.expect("no panic")), (SIZE, SIZE as u64));
    write.await.expect("no panic");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_room_says_so_on_each_kind_and_has_room_again_once_a_stream_is_dropped() {
    let one = Limits { sessions_per_peer_max: 1, calls_per_peer_max: 1, ..Limits::default() };
    for listen in [TCP, QUIC] {
        let on = |seed| Config { listen: vec![listen.parse().expect("an address")], ..config(seed) };
        let (a, b, mut taken) = taken_by(on(1), Config { limits: one.clone(), ..on(2) }).await;
        for (kind, name) in
            [(StreamKind::Calls, "calls"), (StreamKind::Call, "call"), (StreamKind::Http, "http")]
        {
            let (first, held) = (open(&a, b.id(), kind).await, take(&mut taken).await);
            let mut second = open(&a, b.id(), kind).await;
            assert_eq!(rest(&mut second).await, kind.busy_reply(), "{kind:?}");
            b.metric_is(&outcome("inbound", name, "busy_peer"), "1").await;
            assert!(taken.try_recv().is_err(), "and is not handed over");
            drop((held, second));
            let (mut third, mut held) = (open(&a, b.id(), kind).await, take(&mut taken).await);
            exchange(&mut third, &mut held).await;
            drop(first);
        }
        b.metric_is("althing_net_channels{direction=\"inbound\"}", "0").await;
        a.metric_is("althing_net_channels{direction=\"outbound\"}", "0").await;
    }
}

#[test]
fn the_busy_reply_of_plain_http_is_a_whole_response() {
    let reply = String::from_utf8(StreamKind::Http.busy_reply().to_vec()).expect("ASCII");
    let (head, body) = reply.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 503 ") && body.is_empty());
    assert!(head.contains("\r\nRetry-After: 1\r\n") && head.contains("\r\nContent-Length: 0\r\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_queue_is_full_or_nobody_takes_streams_any_more_the_peer_is_told() {
    let (second, mut taken) = taking(config(2), 1);
    let (a, b) = pair(config(1), second).await;
    let _first = open(&a, b.id(), StreamKind::Call).await;
    let mut second = open(&a, b.id(), StreamKind::Call).await;
    assert_eq!(rest(&mut second).await, StreamKind::Call.busy_reply());
    take(&mut taken).await;
    drop(taken);
    let mut third = open(&a, b.id(), StreamKind::Http).await;
    assert_eq!(rest(&mut third).await, StreamKind::Http.busy_reply());
    b.metric_is(&outcome("inbound", "call", "busy_queue"), "1").await;
    let state = b.net.state();
    assert!(state.peers[0].score >= Some(0.0), "that is not the peer's fault");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_peers_together_have_a_bound_and_each_has_its_own() {
    let limits = Limits { channels_max: 2, ..Limits::default() };
    let (a, b, mut taken) = taken_by(config(1), Config { limits, ..config(2) }).await;
    let c = Node::start(Config { bootstrap: vec![b.address()], ..config(3) }).await;
    let (_one, _held) = (open(&a, b.id(), StreamKind::Call).await, take(&mut taken).await);
    let to = vec![b.address()];
    let other = within("stream", c.net.open(b.id(), to, StreamKind::Call)).await.expect("a stream");
    let held = take(&mut taken).await;
    assert_eq!((held.node(), other.node()), (c.id(), b.id()));
    let mut third = open(&c, b.id(), StreamKind::Call).await;
    assert_eq!(rest(&mut third).await, StreamKind::Call.busy_reply());
    b.metric_is(&outcome("inbound", "call", "busy_full"), "1").await;
    drop(held);
    open(&a, b.id(), StreamKind::Call).await;
    take(&mut taken).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_beyond_the_quota_cost_the_peer_that_opens_them() {
    let one = Limits { calls_per_peer_max: 1, ..Limits::default() };
    let (a, b, mut taken) = taken_by(config(1), Config { limits: one, ..config(2) }).await;
    let (_held, _kept) = (open(&a, b.id(), StreamKind::Call).await, take(&mut taken).await);
    for _ in 0..110 {
        let mut more = open(&a, b.id(), StreamKind::Call).await;
        assert_eq!(rest(&mut more).await, StreamKind::Call.busy_reply());
    }
    b.state("a lower score", |state| state.peers[0].score < Some(-1.0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn this_node_opens_no_more_than_its_own_quota() {
    let (a, b, mut taken) = taken_by(config(1), config(2)).await;
    let mut sessions = Vec::new();
    for _ in 0..2 {
        sessions.push((open(&a, b.id(), StreamKind::Calls).await, take(&mut taken).await));
    }
    let third = within("answer", a.net.open(b.id(), Vec::new(), StreamKind::Calls)).await;
    assert_eq!(third.err(), Some(OpenError::Busy));
    sessions.clear();
    open(&a, b.id(), StreamKind::Calls).await;
    let few = Limits { opens_max: 0, ..Limits::default() };
    let c = Node::start(Config { limits: few, ..config(3) }).await;
    let refused = within("answer", c.net.open(b.id(), vec![b.address()], StreamKind::Calls)).await;
    assert_eq!(refused.err(), Some(OpenError::Busy));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_no_stream_was_opened_is_told_apart() {
    let (a, b) = pair(config(1), config(2)).await;
    let error = async |to: NodeId, at: &str| {
        let at = if at.is_empty() { Vec::new() } else { vec![at.parse().expect("an address")] };
        within("answer", a.net.open(to, at, StreamKind::Call)).await.err()
    };
    assert_eq!(error(b.id(), "").await, Some(OpenError::Unsupported), "it takes none");
    let stranger = NodeKey::from_seed(&[99; 32]).node();
    assert_eq!(error(stranger, "").await, Some(OpenError::Unreachable));
    assert_eq!(error(a.id(), "").await, Some(OpenError::Unreachable));
    // A port that nobody listens on, and another node's.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has room");
    let port = free.local_addr().expect("an address").port();
    drop(free);
    assert_eq!(error(stranger, &format!("/ip4/127.0.0.1/tcp/{port}")).await, Some(OpenError::Unreachable));
    let others = b.net.state().listen[0].to_string();
    assert_eq!(error(stranger, &others).await, Some(OpenError::Unreachable));
    a.metric_is(&outcome("outbound", "call", "unsupported"), "1").await;
    let net = a.net.clone();
    within("shutdown", a.net.shutdown()).await;
    let stopped = within("answer", net.open(b.id(), Vec::new(), StreamKind::Call)).await;
    assert_eq!(stopped.err(), Some(OpenError::Stopped));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_is_unreachable_after_the_time_of_a_dial_or_a_timeout_before() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has room");
    let port = silent.local_addr().expect("an address").port();
    let at: Multiaddr = format!("/ip4/127.0.0.1/tcp/{port}").parse().expect("an address");
    let nobody = NodeKey::from_seed(&[99; 32]).node();
    // Handshakes have longer than dials.
    let patient = Limits { handshake_timeout: DEADLINE, ..Limits::default() };
    let hasty = Limits { open_timeout: Duration::from_millis(300), ..Limits::default() };
    let a = Node::start(Config { limits: patient, ..config(1) }).await;
    let b = Node::start(Config { limits: hasty, ..config(2) }).await;
    let ask = |node: &Node| {
        let (net, at) = (node.net.clone(), at.clone());
        async move { net.open(nobody, vec![at], StreamKind::Calls).await.err() }
    };
    // The second one waits for the dial of the first.
    let answers = within("answers", async { tokio::join!(ask(&a), ask(&a), ask(&b)) }).await;
    let (lost, late) = (Some(OpenError::Unreachable), Some(OpenError::Timeout));
    assert_eq!(answers, (lost, lost, late));
    for node in [&a, &b] {
        node.metric_is("althing_net_channels{direction=\"outbound\"}", "0").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_open_streams_to_each_other_at_once_both_succeed() {
    for round in 0..10 {
        let (one, mut at_a) = taking(config(2 * round + 1), 16);
        let (other, mut at_b) = taking(config(2 * round + 2), 16);
        let (a, b) = (Node::start(one).await, Node::start(other).await);
        let ask = async |from: &Node, to: &Node| {
            let (net, at) = (from.net.clone(), vec![to.address()]);
            net.open(to.id(), at, StreamKind::Calls).await.expect("a stream")
        };
        let streams = async { tokio::join!(ask(&a, &b), ask(&b, &a), take(&mut at_a), take(&mut at_b)) };
        let (mut from_a, mut from_b, mut to_a, mut to_b) = within("streams", streams).await;
        exchange(&mut from_a, &mut to_b).await;
        exchange(&mut from_b, &mut to_a).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_streams_as_a_peer_may_have_can_be_opened_before_it_is_known_who_it_is() {
    for round in 0..5 {
        let (other, mut taken) = taking(config(2), 16);
        let (a, b) = (Node::start(config(1)).await, Node::start(other).await);
        let kinds =
            [StreamKind::Calls, StreamKind::Call, StreamKind::Call, StreamKind::Http, StreamKind::Http];
        let asks = kinds.iter().chain(&kinds).map(|kind| {
            let (net, to, at) = (a.net.clone(), b.id(), vec![b.address()]);
            async move { net.open(to, at, *kind).await.expect("a stream") }
        });
        let opened = within("streams", join_all(asks)).await;
        for _ in &opened {
            assert_eq!(take(&mut taken).await.node(), a.id(), "round {round}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_breaks_with_an_error_when_either_side_goes() {
    for listen in [TCP, QUIC] {
        let on = |seed| Config { listen: vec![listen.parse().expect("an address")], ..config(seed) };
        let (a, b, mut taken) = taken_by(on(1), on(2)).await;
        let (mut ours, mut theirs) = (open(&a, b.id(), StreamKind::Calls).await, take(&mut taken).await);
        exchange(&mut ours, &mut theirs).await;
        // Both wait for bytes when the connection goes: the side that closes it, and the other. Neither drops its end before
        // the other has seen why, since over QUIC that would look like a proper end.
        let read = async |mut channel: Channel| {
            let read = channel.read_u8().await;
            (read.map_err(|error| error.kind()), channel)
        };
        let (at_a, at_b) = (tokio::spawn(read(ours)), tokio::spawn(read(theirs)));
        within("shutdown", b.net.shutdown()).await;
        let (at_a, at_b) = within("errors", async { tokio::join!(at_a, at_b) }).await;
        for side in [at_a, at_b] {
            let kind = side.expect("no panic").0.expect_err("no more bytes");
            assert_ne!(kind, std::io::ErrorKind::UnexpectedEof, "it did not end, it broke");
        }
        drop(a);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_dropped_has_failed_and_not_ended() {
    let (a, b, mut taken) = taken_by(config(1), config(2)).await;
    let (ours, mut theirs) = (open(&a, b.id(), StreamKind::Call).await, take(&mut taken).await);
    drop(ours);
    let mut read = Vec::new();
    let error = within("an error", theirs.read_to_end(&mut read)).await.expect_err("no end");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

/// A relay, and a node that takes streams and has a place there.
async fn behind_a_relay(listen: &[&str]) -> (Node, Node, Taken) {
    let relay = relay(100, Limits::default()).await;
    let listen = listen.iter().map(|at| at.parse().expect("an address")).collect();
    let (bootstrap, reachability) = (vec![relay.address()], ReachMode::Client);
    let (config, taken) = taking(Config { listen, bootstrap, reachability, ..config(101) }, 16);
    let callee = Node::start(config).await;
    placed(&callee).await;
    (relay, callee, taken)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_run_through_a_relay() {
    let (relay, callee, mut taken) = behind_a_relay(&[]).await;
    let caller = Config { listen: Vec::new(), reachability: ReachMode::Client, ..config(102) };
    let mut caller = Node::start(Config { bootstrap: vec![relay.address()], ..caller }).await;
    caller.connected(relay.id()).await;
    // A relay carries circuits of members only, and learns from Identify who is one.
    let (from, is_member) = (caller.id(), Membership::Member);
    let known =
        |state: &NetState| state.peers.iter().any(|peer| peer.node == from && peer.membership == is_member);
    relay.state("the caller is a member", known).await;
    let circuits = callee.net.state().reach.circuits;
    for kind in StreamKind::ALL {
        let opened = within("stream", caller.net.open(callee.id(), circuits.clone(), kind)).await;
        let (mut ours, mut theirs) = (opened.expect("a stream"), take(&mut taken).await);
        let relayed = Path::Relayed { relay: Some(relay.id()) };
        assert_eq!((ours.path(), theirs.path()), (relayed, relayed));
        exchange(&mut ours, &mut theirs).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_direct_connection_is_preferred_and_streams_through_the_relay_break_when_it_goes() {
    let (relay, callee, mut taken) = behind_a_relay(&[TCP]).await;
    let caller = Config { reachability: ReachMode::Client, bootstrap: vec![relay.address()], ..config(102) };
    let mut caller = Node::start(caller).await;
    caller.connected(relay.id()).await;
    let to = callee.id();
    let circuits = callee.net.state().reach.circuits;
    let opened = within("stream", caller.net.open(to, circuits, StreamKind::Calls)).await;
    let (mut ours, mut theirs) = (opened.expect("a stream"), take(&mut taken).await);
    assert!(!ours.path().is_direct() && !theirs.path().is_direct());
    let direct = |state: &NetState| {
        state.peers.iter().any(|peer| peer.node == to && matches!(peer.path, Path::Punched { .. }))
    };
    caller.state("a direct connection", direct).await;
    // The circuit is still there, beside it.
    let (mut second, mut other) = (open(&caller, to, StreamKind::Calls).await, take(&mut taken).await);
    assert!(second.path().is_direct() && other.path().is_direct());
    let broken = async { tokio::join!(ours.read_u8(), theirs.read_u8()) };
    let (here, there) = within("errors", broken).await;
    for side in [here, there] {
        assert_ne!(side.expect_err("a broken stream").kind(), std::io::ErrorKind::UnexpectedEof);
    }
    exchange(&mut second, &mut other).await;
}
