//! A peer that calls an exposed agent otherwise than it should.

use std::sync::Arc;

use althing_net::{Multiaddr, StreamKind};
use althing_record::{AgentId, NodeId};
use althing_tests::Origin;
use althing_trust::{Answer, Call, CallBody, CallFrame, Progress, Refusal, TaskId, request_head_hash};
use althing_tunnel::{
    BoxIo, CallError, Caller, Dial, DialError, Identity, KeyBook, Line as CallLine, Meter, Place, Signer,
    full,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const POST: &str = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n";

/// A node that exposes an agent, and a peer beside it.
struct Beside {
    node: Node,
    callee: AgentId,
    net: Net,
    key: AgentKey,
    _events: mpsc::Receiver<Event>,
    _home: Home,
}

impl Beside {
    async fn of(origin: &Origin, seed: u8, more: &[&str]) -> Self {
        let home = Home::new();
        let genesis = home.write("genesis.cbor", network().to_bytes()).display().to_string();
        let node = Node::up(&home.join("1"), &["--genesis", &genesis]);
        let url = origin.url();
        let shown = node.ask("althing.exposed/v1", &[&["expose", &url, "--bg"], more].concat());
        let callee = shown["agent"].as_str().unwrap().parse().unwrap();
        let (net, events) = rogue(seed, &node).await;
        Self { node, callee, net, key: AgentKey::from_seed(&[seed; 32]), _events: events, _home: home }
    }

    fn node_id(&self) -> NodeId {
        self.node.up_document()["node"].as_str().unwrap().parse().unwrap()
    }

    fn body(&self, head: &[u8], task: u8) -> CallBody {
        CallBody {
            network: network().id(),
            caller: self.key.agent(),
            callee: self.callee,
            task: TaskId([task; 16]),
            caller_node: self.net.id(),
            request_head_hash: request_head_hash(head),
            made: now(),
            key: None,
        }
    }

    /// All that comes back for these bytes on a stream of its own.
    async fn exchange(&self, kind: StreamKind, bytes: &[u8]) -> Vec<u8> {
        let address: Multiaddr = self.node.address().parse().unwrap();
        let mut stream = self.net.open(self.node_id(), vec![address], kind).await.unwrap();
        // A callee that has heard enough does not read on.
        let _ = stream.write_all(bytes).await;
        let mut came = Vec::new();
        let _ = timeout(SOON, stream.read_to_end(&mut came)).await.expect("an end");
        came
    }

    /// The answer to a call and what follows it.
    async fn call(&self, body: CallBody, request: &[u8]) -> (Option<Answer>, String) {
        let call = Call::sign(body, &self.key).unwrap();
        let bytes = [CallFrame(call.bytes().to_vec()).encode().as_slice(), request].concat();
        let came = self.exchange(StreamKind::Call, &bytes).await;
        match Answer::decode(&came) {
            Ok(Progress::Done { frame, used }) => {
                (Some(frame), String::from_utf8_lossy(&came[used..]).into_owned())
            }
            Ok(Progress::Needs(_)) => (None, String::new()),
            Err(error) => panic!("{error}"),
        }
    }
}

fn refusal(answer: Option<Answer>) -> Refusal {
    match answer {
        Some(Answer::Refused { refusal, .. }) => refusal,
        other => panic!("expected a refusal, found {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_are_not_what_they_say_reach_no_agent() {
    let origin = Origin::agent("Babel");
    let beside = Beside::of(&origin, 50, &[]).await;
    let good = |task| beside.body(POST.as_bytes(), task);
    let request = format!("{POST}hi");
    let minutes = |minutes: u64| minutes * Millis::MINUTE;
    for (expected, body) in [
        (Refusal::Malformed, CallBody { network: foreign_network().id(), ..good(1) }),
        (Refusal::WrongAgent, CallBody { caller_node: beside.node_id(), ..good(2) }),
        (Refusal::WrongAgent, CallBody { caller: beside.callee, ..good(3) }),
        (Refusal::Clock, CallBody { made: now().minus(minutes(12)), ..good(4) }),
        (Refusal::Clock, CallBody { made: now().plus(minutes(12)), ..good(5) }),
        (Refusal::NotExposed, CallBody { callee: beside.node.agent().parse().unwrap(), ..good(6) }),
        (Refusal::Malformed, CallBody { request_head_hash: request_head_hash(b"x"), ..good(7) }),
    ] {
        assert_eq!(refusal(beside.call(body, request.as_bytes()).await.0), expected);
    }
    for (task, head) in (10..).zip([
        "GET http://169.254.169.254/latest HTTP/1.1\r\nhost: x\r\n\r\n",
        "CONNECT 127.0.0.1:22 HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /../secret HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /%2e%2e/secret HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /tasks/..%2fsecret HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET //127.0.0.1:22/tasks HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /tasks/\0 HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /secret HTTP/1.1\r\nhost: x\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nhi!",
        "POST / HTTP/1.1\r\nhost: x\r\nx: a\r\n content-length: 2\r\n\r\nhi",
    ]) {
        let end = head.find("\r\n\r\n").unwrap() + 4;
        let (answer, said) = beside.call(beside.body(&head.as_bytes()[..end], task), head.as_bytes()).await;
        let refused = matches!(answer, Some(Answer::Refused { refusal: Refusal::Malformed, .. }))
            || said.starts_with("HTTP/1.1 4");
        assert!(refused, "{head:?}: {answer:?} {said}");
    }
    let did = beside.callee;
    for request in [
        format!("GET /agents/{did}/../../secret HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"),
        format!(
            "GET http://169.254.169.254/agents/{did}/tasks HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        ),
        format!("GET /agents/{did}/%2e%2e/secret HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"),
        format!("GET /agents/{did}//secret HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"),
        "GET /secret HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_owned(),
        "CONNECT 127.0.0.1:22 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_owned(),
    ] {
        let said = beside.exchange(StreamKind::Http, request.as_bytes()).await;
        assert!(said.starts_with(b"HTTP/1.1 4"), "{request}: {}", String::from_utf8_lossy(&said));
    }
    assert!(origin.calls().is_empty(), "{:?}", origin.calls());

    // One that is right arrives, once, however often it is sent, and in its caller's own name.
    let head = POST.replace("host: x", "Althing-Caller: did:key:forged\r\nalthing_caller: forged\r\nhost: x");
    let body = beside.body(head.as_bytes(), 101);
    let (answer, said) = beside.call(body.clone(), format!("{head}hi{POST}no").as_bytes()).await;
    assert!(
        matches!(answer, Some(Answer::Accepted(_))) && said.starts_with("HTTP/1.1 200"),
        "{answer:?} {said}"
    );
    assert_eq!(refusal(beside.call(body, format!("{head}hi").as_bytes()).await.0), Refusal::Repeated);
    let calls = origin.calls();
    assert_eq!(calls.len(), 1, "{calls:?}");
    assert_eq!((calls[0].line.as_str(), calls[0].body.as_slice()), ("POST /", b"hi".as_slice()));
    assert_eq!(calls[0].header("althing-caller"), [beside.key.agent().to_string()]);
    assert!(calls[0].header("althing_caller").is_empty());
    assert_eq!(calls[0].header("host"), [origin.address()]);
    beside.net.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_are_too_long_or_never_end_cost_their_sender_the_stream() {
    let origin = Origin::agent("Babel");
    let beside = Beside::of(&origin, 51, &[]).await;
    let long = format!("POST / HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(65_536));
    let (answer, _) = beside.call(beside.body(long.as_bytes(), 1), long.as_bytes()).await;
    assert_eq!(refusal(answer), Refusal::Malformed);
    // Nothing more comes, so nothing is answered; and the stream is given up.
    let (answer, said) = beside.call(beside.body(POST.as_bytes(), 2), &POST.as_bytes()[..20]).await;
    assert!(answer.is_none() && said.is_empty(), "{answer:?} {said}");
    let (answer, _) = beside.call(beside.body(POST.as_bytes(), 3), format!("{POST}hi").as_bytes()).await;
    assert!(matches!(answer, Some(Answer::Accepted(_))), "{answer:?}");
    assert_eq!(origin.calls().len(), 1);
    beside.net.shutdown().await;
}

#[derive(Debug)]
struct Swarm(Net);

impl Dial for Swarm {
    fn dial(&self, place: Place, line: CallLine) -> BoxFuture<'static, Result<BoxIo, DialError>> {
        let net = self.0.clone();
        async move {
            let kind = match line {
                CallLine::Calls => StreamKind::Calls,
                CallLine::Call => StreamKind::Call,
            };
            let addresses = place.addresses.iter().map(|address| address.parse().unwrap()).collect();
            let opened = net.open(place.node, addresses, kind).await;
            opened
                .map(|channel| Box::new(channel) as BoxIo)
                .map_err(|error| DialError::Unreachable { node: place.node, cause: error.to_string() })
        }
        .boxed()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_calls_at_once_as_many_are_taken_as_may_be_and_the_node_lives() {
    const TAKEN: usize = 8;
    let origin = Origin::start(|asked, at| match asked.line.as_str() {
        "GET /.well-known/agent-card.json" => althing_tests::Answer::json(&althing_tests::card("Slow", at)),
        _ if asked.body.is_empty() => althing_tests::reply(asked),
        _ => althing_tests::Answer::Never,
    });
    let beside = Beside::of(&origin, 52, &["--no-probe", "--concurrency", "8"]).await;
    let (keep, _kept) = mpsc::channel(1);
    let dial = Arc::new(Swarm(beside.net.clone()));
    let limits = althing_tunnel::Limits::default();
    let keys = KeyBook::new(network(), Arc::new(|_| Ok(Vec::new())), Arc::new(|_| {}));
    let caller = Caller::new(dial, keys, beside.net.id(), Arc::new(now), &limits, (Meter::default(), keep));
    let signer = Arc::new(Signer::of(&beside.key));
    let by = Identity::new(beside.key.agent(), Arc::new(beside.key.clone()), signer);
    let place = Place { node: beside.node_id(), addresses: vec![beside.node.address()] };
    let (tell, mut told) = mpsc::channel(1_000);
    let calls: Vec<_> = (0..1_000)
        .map(|_| {
            let (caller, by, place, tell) = (caller.clone(), by.clone(), place.clone(), tell.clone());
            let callee = beside.callee;
            tokio::spawn(async move {
                let request = Request::post("/").header("host", "x").body(full("{}")).unwrap();
                let answer = caller.call(&by, callee, place, request, 3 * SOON).await;
                let _ = tell.send(answer.map(|_| ())).await;
            })
        })
        .collect();
    let mut busy = 0;
    while busy < 1_000 - TAKEN {
        match timeout(SOON, told.recv()).await.expect("an answer").unwrap() {
            Err(CallError::Refused { refusal: Refusal::Busy, .. } | CallError::Busy { .. }) => busy += 1,
            other => panic!("{other:?}"),
        }
    }
    poll("the others arrive", || (origin.calls().len() == TAKEN).then_some(()));
    assert!(beside.node.run(&["status"]).expect(0).stdout.contains("ready"));
    for call in calls {
        call.abort();
    }
    // Their places are free again.
    let again = async {
        loop {
            let request = Request::get("/tasks/x").header("host", "x").body(althing_tunnel::empty()).unwrap();
            if let Ok(response) = caller.call(&by, beside.callee, place.clone(), request, SOON).await {
                return response.status().as_u16();
            }
        }
    };
    assert_eq!(timeout(SOON, again).await.expect("a place"), 200);
    assert!(!beside.node.log().contains("panicked"), "{}", beside.node.log());
    beside.net.shutdown().await;
}
