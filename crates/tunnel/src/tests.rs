//! Two nodes joined by pipes: the whole way of a call without libp2p.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use althing_a2a::OriginCard;
use althing_record::{AgentKey, Digest, Millis, Network, NodeId, NodeKey, Record};
use althing_route::Rate;
use althing_trust::Refusal;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use http::{Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::time::timeout;

use super::*;

const NOW: Millis = Millis(1_795_132_800_000);
const SOON: Duration = Duration::from_secs(10);

/// What an agent of the tests does with a request.
type Answering =
    dyn Fn(Request<Body>) -> BoxFuture<'static, Result<Response<Body>, OriginError>> + Send + Sync;

struct Agent(Box<Answering>);

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Agent")
    }
}

impl Origin for Agent {
    fn ask(&self, request: Request<Body>) -> BoxFuture<'static, Result<Response<Body>, OriginError>> {
        (self.0)(request)
    }
}

/// Opens pipes to the callee, and can cut all of them.
#[derive(Debug)]
struct Pipes {
    callee: Callee,
    from: NodeId,
    dialed: AtomicUsize,
    old: bool,
    cut: Mutex<Vec<tokio::task::JoinHandle<()>>>,
}

impl Dial for Pipes {
    fn dial(&self, place: Place, line: Line) -> BoxFuture<'static, Result<BoxIo, DialError>> {
        if self.old && line == Line::Calls {
            return async move { Err(DialError::Unsupported { node: place.node }) }.boxed();
        }
        self.dialed.fetch_add(1, Ordering::Relaxed);
        let (near, far) = tokio::io::duplex(64 * 1_024);
        let (callee, from) = (self.callee.clone(), self.from);
        let serving = tokio::spawn(async move {
            match line {
                Line::Calls => callee.serve_session(Box::new(far), from).await,
                Line::Call => callee.serve_call(Box::new(far), from).await,
            }
        });
        self.cut.lock().unwrap().push(serving);
        async move { Ok(Box::new(near) as BoxIo) }.boxed()
    }
}

struct Pair {
    caller: Caller,
    by: Identity,
    callee: Arc<AgentKey>,
    node: NodeId,
    pipes: Arc<Pipes>,
    exposures: Exposures,
    log: CallLog,
    meter: Meter,
    evidence: mpsc::Receiver<Evidence>,
    evidence_there: mpsc::Receiver<Evidence>,
    /// The identity records that both nodes have.
    known: Arc<Mutex<Vec<Record>>>,
    /// Whose identity records the nodes learnt.
    learnt: Arc<Mutex<Vec<althing_record::AgentId>>>,
    _dir: TempDir,
}

fn doors() -> Doors {
    let card = br#"{"name":"x","skills":[],"supportedInterfaces":[
        {"url":"http://x/rpc?assistant=7","protocolBinding":"JSONRPC","protocolVersion":"1.0"},
        {"url":"http://x/v1","protocolBinding":"HTTP+JSON","protocolVersion":"1.0"},
        {"url":"http://elsewhere/rpc","protocolBinding":"JSONRPC","protocolVersion":"0.3"}]}"#;
    Doors::of(&OriginCard::parse(card).unwrap(), |url| url.host_str() == Some("x"))
}

fn pair(
    limits: Limits,
    old: bool,
    agent: impl Fn(Request<Body>) -> BoxFuture<'static, Result<Response<Body>, OriginError>>
    + Send
    + Sync
    + 'static,
) -> Pair {
    let dir = tempfile::tempdir().unwrap();
    let (network, exposures, log) = (Network::builtin(), Exposures::default(), CallLog::default());
    let meter = Meter::default();
    let (caller_node, node) = (NodeKey::from_seed(&[3; 32]).node(), NodeKey::from_seed(&[4; 32]).node());
    let (by, callee_key) = (Arc::new(AgentKey::from_seed(&[1; 32])), Arc::new(AgentKey::from_seed(&[2; 32])));
    let now: Arc<dyn Fn() -> Millis + Send + Sync> = Arc::new(|| NOW);
    let book = dir.path().join("accepts");
    let (keep, evidence) = mpsc::channel(1_024);
    let (keep_there, evidence_there) = mpsc::channel(1_024);
    let known = Arc::new(Mutex::new(Vec::<Record>::new()));
    let read = Arc::clone(&known);
    let read = move |agent| {
        let known = read.lock().unwrap();
        Ok(known.iter().filter(|record| record.agent() == agent).cloned().collect())
    };
    let learnt = Arc::<Mutex<Vec<althing_record::AgentId>>>::default();
    let learn = Arc::clone(&learnt);
    let learn = move |records: Vec<Record>| learn.lock().unwrap().push(records[0].agent());
    let keys = KeyBook::new(network, Arc::new(read), Arc::new(learn));
    let callee = Callee::open(
        keys.clone(),
        &book,
        KeysHere { all: &[callee_key.agent()], made: &[callee_key.agent()] },
        Arc::clone(&now),
        exposures.clone(),
        limits.clone(),
        (log.clone(), meter.clone(), keep_there),
    )
    .unwrap();
    exposures.insert(Exposure {
        agent: callee_key.agent(),
        signer: Arc::new(Signer::of(&callee_key)),
        skills: vec!["text/upper".to_owned()],
        doors: doors(),
        card: Bytes::from_static(b"{\"name\":\"x\"}"),
        origin: Arc::new(Agent(Box::new(agent))),
        rate: None,
        calls: Arc::new(Semaphore::new(limits.calls_per_agent_max)),
        calls_max: limits.calls_per_agent_max,
    });
    let pipes = Arc::new(Pipes {
        callee,
        from: caller_node,
        dialed: AtomicUsize::new(0),
        old,
        cut: Mutex::default(),
    });
    let dial: Arc<dyn Dial> = pipes.clone();
    let caller = Caller::new(dial, keys, caller_node, now, &limits, (meter.clone(), keep));
    let by = Identity::new(by.agent(), Arc::clone(&by), Arc::new(Signer::of(&by)));
    Pair {
        caller,
        by,
        callee: callee_key,
        node,
        pipes,
        exposures,
        log,
        meter,
        evidence,
        evidence_there,
        known,
        learnt,
        _dir: dir,
    }
}

impl Pair {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, CallError> {
        self.caller.call(&self.by, self.callee.agent(), self.place(), request, SOON).await
    }

    fn place(&self) -> Place {
        Place { node: self.node, addresses: Vec::new() }
    }

    async fn post(&self, target: &str, text: &'static str) -> Result<(u16, String), CallError> {
        let request = Request::post(target).header("Host", "here").body(full(text)).unwrap();
        let response = self.send(request).await?;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        Ok((status, String::from_utf8(bytes.to_vec()).unwrap()))
    }
}

/// Says what it was asked: method, target, and who calls.
fn echo(request: Request<Body>) -> BoxFuture<'static, Result<Response<Body>, OriginError>> {
    async move {
        let (head, body) = request.into_parts();
        let caller = head.headers.get(&CALLER_HEADER).map(|value| value.to_str().unwrap().to_owned());
        let body = body.collect().await.unwrap().to_bytes();
        let said = format!(
            "{} {} {} {}",
            head.method,
            head.uri,
            caller.unwrap_or_default(),
            String::from_utf8_lossy(&body)
        );
        Ok(Response::new(full(said)))
    }
    .boxed()
}

#[tokio::test]
async fn a_call_reaches_the_agent_and_leaves_evidence() {
    let mut pair = pair(Limits::default(), false, echo);
    let caller = pair.by.agent.to_string();
    let request = Request::post("/")
        .header("althing-caller", "did:key:forged")
        .header("althing-skill", "text/upper")
        .header("Connection", "x-hop")
        .header("X-Hop", "1")
        .body(full("hello"))
        .unwrap();
    let response = pair.send(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, format!("POST /rpc?assistant=7 {caller} hello"));
    let kept = timeout(SOON, pair.evidence.recv()).await.unwrap().unwrap();
    assert_eq!(kept.outcome, Outcome::Answered(200));
    assert_eq!((kept.accept.index, kept.accept.skill.to_string().as_str()), (1, "text/upper"));
    assert_eq!(kept.accept.answers(&kept.call), Ok(()));
    assert_eq!(kept.response_hash, Some(Digest(Sha256::digest(&body).into())));
    let there = timeout(SOON, pair.evidence_there.recv()).await.unwrap().unwrap();
    assert_eq!((there.side, there.outcome), (Side::Callee, Outcome::Answered(200)));
    assert_eq!((&there.call, &there.accept), (&kept.call, &kept.accept));
    let (status, said) = pair.post("/tasks/7?historyLength=2", "").await.unwrap();
    assert_eq!(
        (status, said.trim_end()),
        (200, format!("POST /v1/tasks/7?historyLength=2 {caller}").as_str())
    );
    assert_eq!(pair.pipes.dialed.load(Ordering::Relaxed), 1, "one session for all calls");
}

#[tokio::test]
async fn a_peer_without_sessions_is_called_with_a_stream_for_each_call() {
    let pair = pair(Limits::default(), true, echo);
    for number in 1..=3 {
        assert_eq!(pair.post("/", "x").await.unwrap().0, 200);
        assert_eq!(pair.pipes.dialed.load(Ordering::Relaxed), number);
    }
}

#[tokio::test]
async fn only_what_is_exposed_is_reached() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let pair = pair(Limits::default(), false, move |request| {
        count.fetch_add(1, Ordering::Relaxed);
        echo(request)
    });
    let get = |target: &str| Request::get(target).body(empty()).unwrap();
    let card = pair.send(get("/.well-known/agent-card.json")).await.unwrap();
    assert_eq!(card.into_body().collect().await.unwrap().to_bytes(), "{\"name\":\"x\"}");
    for target in ["/../secret", "/%2e%2e/secret", "/a/%2E./b", "/a//b", "/a\\b"] {
        let Ok(request) = Request::get(target).body(empty()) else { continue };
        assert_eq!(pair.send(request).await.unwrap().status(), 400, "{target}");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 0, "the agent was asked nothing");
    pair.exposures.remove(pair.callee.agent());
    let refused = pair.post("/", "x").await.unwrap_err();
    assert!(matches!(refused, CallError::Refused { refusal: Refusal::NotExposed, .. }), "{refused}");
    assert!(refused.is_undelivered());
}

#[tokio::test]
async fn parts_of_a_stream_come_as_they_are_sent() {
    let (parts, came) = mpsc::channel::<Result<Frame<Bytes>, BodyError>>(1);
    let came = Mutex::new(Some(came));
    let pair = pair(Limits::default(), false, move |_| {
        let mut came = came.lock().unwrap().take().unwrap();
        let stream = futures::stream::poll_fn(move |cx| came.poll_recv(cx));
        async move { Ok(Response::new(StreamBody::new(stream).boxed_unsync())) }.boxed()
    });
    let request = Request::get("/message:stream").body(empty()).unwrap();
    let mut body = pair.send(request).await.unwrap().into_body().into_data_stream();
    for text in ["data: 1\n\n", "data: 2\n\n"] {
        parts.send(Ok(Frame::data(Bytes::from(text)))).await.unwrap();
        // Nothing more is sent before this one has arrived.
        assert_eq!(timeout(SOON, body.next()).await.unwrap().unwrap().unwrap(), text);
    }
    drop(parts);
    assert!(timeout(SOON, body.next()).await.unwrap().is_none());
}

struct Gone(Arc<Notify>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_the_request_at_the_agent() {
    let gone = Arc::new(Notify::new());
    let told = Arc::clone(&gone);
    let pair = pair(Limits::default(), false, move |request| {
        let gone = Gone(Arc::clone(&told));
        if request.uri().path() == "/v1/tasks/waits" {
            return async move {
                let _gone = gone;
                std::future::pending().await
            }
            .boxed();
        }
        let first = futures::stream::iter([Ok::<_, BodyError>(Frame::data(Bytes::from_static(b"one")))]);
        let stream = first.chain(futures::stream::poll_fn(move |_| {
            let _ = &gone;
            std::task::Poll::Pending
        }));
        async move { Ok(Response::new(StreamBody::new(stream).boxed_unsync())) }.boxed()
    });
    // Before the response has begun.
    let call = pair.send(Request::get("/tasks/waits").body(empty()).unwrap());
    assert!(timeout(Duration::from_millis(200), call).await.is_err());
    timeout(SOON, gone.notified()).await.expect("the agent is told");
    // And in its middle.
    let mut body =
        pair.send(Request::get("/tasks/streams").body(empty()).unwrap()).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "one");
    drop(body);
    timeout(SOON, gone.notified()).await.expect("the agent is told");
    assert_eq!(pair.pipes.dialed.load(Ordering::Relaxed), 1, "the session goes on");
}

#[tokio::test]
async fn a_callee_that_dies_ends_the_stream_with_an_error_at_once() {
    let mut pair = pair(Limits::default(), false, |_| {
        let first = futures::stream::iter([Ok::<_, BodyError>(Frame::data(Bytes::from_static(b"one")))]);
        let stream = first.chain(futures::stream::pending());
        async move { Ok(Response::new(StreamBody::new(stream).boxed_unsync())) }.boxed()
    });
    let mut body =
        pair.send(Request::get("/tasks/streams").body(empty()).unwrap()).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "one");
    for serving in pair.pipes.cut.lock().unwrap().drain(..) {
        serving.abort();
    }
    assert!(timeout(SOON, body.frame()).await.expect("at once").unwrap().is_err());
    let kept = timeout(SOON, pair.evidence.recv()).await.unwrap().unwrap();
    assert_eq!(kept.outcome, Outcome::Broken);
    // The next call begins a new session.
    assert_eq!(pair.send(Request::get("/tasks/x").body(empty()).unwrap()).await.unwrap().status(), 200);
    assert_eq!(pair.pipes.dialed.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn calls_over_a_limit_are_refused_and_places_are_given_back() {
    let release = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&release);
    let limits = Limits { calls_per_peer_max: 4, ..Limits::default() };
    let pair = Arc::new(pair(limits, false, move |request| {
        let held = Arc::clone(&held);
        async move {
            held.acquire().await.unwrap().forget();
            echo(request).await
        }
        .boxed()
    }));
    let calls: Vec<_> = (0..4)
        .map(|_| {
            let pair = Arc::clone(&pair);
            tokio::spawn(async move { pair.post("/", "x").await.unwrap().0 })
        })
        .collect();
    let exposure = pair.exposures.of(pair.callee.agent()).unwrap();
    let all_are_in = async {
        while exposure.calls.available_permits() > exposure.calls_max - 4 {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, all_are_in).await.expect("four calls are under way");
    let busy = pair.post("/", "x").await.unwrap_err();
    assert!(matches!(busy, CallError::Refused { refusal: Refusal::Busy, .. }), "{busy}");
    assert!(busy.is_undelivered());
    release.add_permits(1_000);
    for call in calls {
        assert_eq!(timeout(SOON, call).await.unwrap().unwrap(), 200);
    }
    for _ in 0..8 {
        assert_eq!(pair.post("/", "x").await.unwrap().0, 200);
    }
}

#[tokio::test]
async fn a_node_that_calls_too_often_is_told_to_wait() {
    let rate_per_peer = Rate { per_second: 0, burst: 3 };
    let pair = pair(Limits { rate_per_peer, ..Limits::default() }, false, echo);
    for _ in 0..3 {
        assert_eq!(pair.post("/", "x").await.unwrap().0, 200);
    }
    let busy = pair.post("/", "x").await.unwrap_err();
    assert!(matches!(busy, CallError::Refused { refusal: Refusal::Busy, .. }), "{busy}");
}

#[tokio::test]
async fn an_agent_is_called_no_more_often_than_its_owner_wants() {
    let pair = pair(Limits::default(), false, echo);
    let exposure = pair.exposures.of(pair.callee.agent()).unwrap();
    pair.exposures.insert(Exposure { rate: Some(Pace::per_second(1)), ..Exposure::clone(&exposure) });
    for _ in 0..2 {
        assert_eq!(pair.post("/", "x").await.unwrap().0, 200);
    }
    let busy = pair.post("/", "x").await.unwrap_err();
    assert!(busy.to_string().contains("too often"), "{busy}");
}

#[tokio::test]
async fn a_thousand_calls_leak_nothing() {
    let pair = pair(Limits::default(), false, echo);
    let mut lines = pair.log.follow();
    for _ in 0..1_000 {
        assert_eq!(pair.post("/", "x").await.unwrap().0, 200);
        let line = timeout(SOON, lines.recv()).await.unwrap().unwrap();
        assert!(line.whole && line.error.is_none(), "{line:?}");
    }
    assert_eq!(pair.exposures.of(pair.callee.agent()).unwrap().calls.available_permits(), 4_096);
    for side in [Side::Caller, Side::Callee] {
        timeout(SOON, async {
            while pair.meter.under_way(side) > 0 {
                tokio::task::yield_now().await
            }
        })
        .await
        .unwrap();
        assert_eq!(pair.meter.ended(side, Ending::Answered), 1_000);
    }
}

#[tokio::test]
async fn a_large_body_passes_in_bounded_memory_both_ways() {
    const PARTS: usize = 512;
    let part = Bytes::from(vec![7; 64 * 1_024]);
    let pair = pair(Limits::default(), false, |request| {
        async move { Ok(Response::new(request.into_body())) }.boxed()
    });
    let sent = Arc::new(AtomicUsize::new(0));
    let (count, copy) = (Arc::clone(&sent), part.clone());
    let parts = futures::stream::iter(0..PARTS).map(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Ok::<_, BodyError>(Frame::data(copy.clone()))
    });
    let request = Request::post("/tasks/big").body(StreamBody::new(parts).boxed_unsync()).unwrap();
    let mut body = pair.send(request).await.unwrap().into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    // Nobody reads on: what is under way stays within the windows of two streams and some buffers.
    let mut before = usize::MAX;
    while before != sent.load(Ordering::Relaxed) {
        before = sent.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(before < PARTS / 4, "{before} of {PARTS} parts were taken though nobody read");
    let mut read = first.len();
    while let Some(frame) = body.frame().await {
        read += frame.unwrap().into_data().unwrap().len();
    }
    assert_eq!(read, PARTS * part.len());
}

#[tokio::test]
async fn a_stranger_cannot_call_in_anothers_name() {
    let pair = pair(Limits::default(), false, echo);
    let other = NodeKey::from_seed(&[9; 32]).node();
    let pipes = Arc::new(Pipes {
        callee: pair.pipes.callee.clone(),
        from: other,
        dialed: AtomicUsize::new(0),
        old: false,
        cut: Mutex::default(),
    });
    let (keep, _kept) = mpsc::channel(1);
    // Says that it is the first caller's node, but the stream comes from another.
    let caller = Caller::new(
        pipes,
        KeyBook::new(Network::builtin(), Arc::new(|_| Ok(Vec::new())), Arc::new(|_| {})),
        pair.pipes.from,
        Arc::new(|| NOW),
        &Limits::default(),
        (Meter::default(), keep),
    );
    let place = Place { node: pair.node, addresses: Vec::new() };
    let request = Request::post("/").body(full("x")).unwrap();
    let refused = caller.call(&pair.by, pair.callee.agent(), place, request, SOON).await.unwrap_err();
    assert!(matches!(refused, CallError::Refused { refusal: Refusal::WrongAgent, .. }), "{refused}");
}

mod batches;
mod hostile;
mod rotation;
