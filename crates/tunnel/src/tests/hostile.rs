//! What a peer could send instead of a call.

use althing_trust::{Answer, Call, CallBody, CallFrame, HEAD_BYTES_MAX, Progress, TaskId, request_head_hash};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;

const POST: &str = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n";

/// A pair whose agent counts what it is asked.
fn counting() -> (Pair, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let pair = pair(Limits::default(), false, move |request| {
        count.fetch_add(1, Ordering::Relaxed);
        echo(request)
    });
    (pair, asked)
}

impl Pair {
    fn body(&self, head: &[u8], task: u8) -> CallBody {
        CallBody {
            network: Network::builtin().id(),
            caller: self.by.agent,
            callee: self.callee.agent(),
            task: TaskId([task; 16]),
            caller_node: self.pipes.from,
            request_head_hash: request_head_hash(head),
            made: NOW,
            key: None,
        }
    }

    /// A stream to the callee.
    fn stream(&self) -> DuplexStream {
        let (near, far) = tokio::io::duplex(1_024 * 1_024);
        let (callee, from) = (self.pipes.callee.clone(), self.pipes.from);
        tokio::spawn(async move { callee.serve_call(Box::new(far), from).await });
        near
    }

    /// What comes back for these bytes: the answer, if there is one, and what follows.
    async fn exchange(&self, bytes: &[u8]) -> (Option<Answer>, String) {
        let mut stream = self.stream();
        // A callee that has heard enough does not read on.
        let _ = stream.write_all(bytes).await;
        let mut came = Vec::new();
        let _ = timeout(Duration::from_secs(60), stream.read_to_end(&mut came)).await.expect("an end");
        match Answer::decode(&came) {
            Ok(Progress::Done { frame, used }) => {
                (Some(frame), String::from_utf8_lossy(&came[used..]).into_owned())
            }
            Ok(Progress::Needs(_)) => (None, String::new()),
            Err(error) => panic!("{error}"),
        }
    }

    /// A signed call for a request that begins with `head`, and the whole of it.
    fn signed(&self, body: CallBody, request: &[u8]) -> Vec<u8> {
        let call = Call::sign(body, &self.by.key()).unwrap();
        [CallFrame(call.bytes().to_vec()).encode().as_slice(), request].concat()
    }

    async fn ask(&self, head: &str, more: &str) -> (Option<Answer>, String) {
        let body = self.body(head.as_bytes(), 1);
        self.exchange(&self.signed(body, format!("{head}{more}").as_bytes())).await
    }
}

fn refusal(answer: Option<Answer>) -> Refusal {
    match answer {
        Some(Answer::Refused { refusal, .. }) => refusal,
        other => panic!("expected a refusal, found {other:?}"),
    }
}

#[tokio::test]
async fn calls_that_are_not_what_they_say_are_refused_by_name() {
    let (pair, asked) = counting();
    let request = format!("{POST}hi");
    let good = |task| pair.body(POST.as_bytes(), task);
    let minutes = |minutes: u64| minutes * Millis::MINUTE;
    let cases = [
        (Refusal::Malformed, CallBody { network: althing_record::NetworkId([9; 32]), ..good(2) }),
        (Refusal::WrongAgent, CallBody { caller_node: pair.node, ..good(3) }),
        (Refusal::WrongAgent, CallBody { caller: AgentKey::from_seed(&[8; 32]).agent(), ..good(4) }),
        (Refusal::Clock, CallBody { made: NOW.minus(minutes(11) + 1), ..good(5) }),
        (Refusal::Clock, CallBody { made: NOW.plus(minutes(11) + 1), ..good(6) }),
        (Refusal::NotExposed, CallBody { callee: pair.by.agent, ..good(7) }),
        (Refusal::Malformed, CallBody { request_head_hash: request_head_hash(b"x"), ..good(8) }),
    ];
    for (expected, body) in cases {
        let (answer, _) = pair.exchange(&pair.signed(body.clone(), request.as_bytes())).await;
        assert_eq!(refusal(answer), expected, "{body:?}");
    }
    for frame in [vec![0, 0], vec![255, 255], [vec![0, 9], vec![b'x'; 9]].concat(), vec![0, 9, 1]] {
        let mut stream = pair.stream();
        stream.write_all(&frame).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut came = Vec::new();
        stream.read_to_end(&mut came).await.unwrap();
        assert!(came.is_empty() || came[0] == 3, "{frame:?}: {came:?}");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    // A minute less, and it is taken.
    let timely = CallBody { made: NOW.minus(minutes(11)), ..good(9) };
    let (answer, _) = pair.exchange(&pair.signed(timely, request.as_bytes())).await;
    assert!(matches!(answer, Some(Answer::Accepted(_))), "{answer:?}");
}

#[tokio::test]
async fn a_call_that_is_sent_again_is_not_taken_again() {
    let (pair, asked) = counting();
    let bytes = pair.signed(pair.body(POST.as_bytes(), 1), format!("{POST}hi").as_bytes());
    let (answer, said) = pair.exchange(&bytes).await;
    assert!(matches!(answer, Some(Answer::Accepted(_))) && said.starts_with("HTTP/1.1 200"), "{said}");
    for _ in 0..3 {
        assert_eq!(refusal(pair.exchange(&bytes).await.0), Refusal::Repeated);
    }
    // Another request in the name of the same task neither.
    let head = POST.replace('/', "/?x");
    let other = pair.signed(pair.body(head.as_bytes(), 1), format!("{head}hi").as_bytes());
    assert_eq!(refusal(pair.exchange(&other).await.0), Refusal::Repeated);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    // What was refused was not taken: it may come again.
    let exposure = pair.exposures.of(pair.callee.agent()).unwrap();
    pair.exposures.remove(exposure.agent);
    let bytes = pair.signed(pair.body(POST.as_bytes(), 2), format!("{POST}hi").as_bytes());
    assert_eq!(refusal(pair.exchange(&bytes).await.0), Refusal::NotExposed);
    pair.exposures.insert(exposure.as_ref().clone());
    assert!(matches!(pair.exchange(&bytes).await.0, Some(Answer::Accepted(_))));
}

#[tokio::test]
async fn requests_that_two_readers_read_differently_reach_nobody() {
    let (pair, asked) = counting();
    let head = |line: &str, headers: &str| format!("{line}\r\nhost: x\r\n{headers}\r\n");
    let post = "POST / HTTP/1.1";
    for (number, (head, more)) in [
        (head(post, "content-length: 2\r\ntransfer-encoding: chunked\r\n"), "2\r\nhi\r\n0\r\n\r\n"),
        (head(post, "content-length: 2\r\ncontent-length: 3\r\n"), "hi!"),
        (head(post, "content-length: 2, 3\r\n"), "hi!"),
        (head(post, "content-length: +2\r\n"), "hi"),
        (head(post, "transfer-encoding: chunked, identity\r\n"), "2\r\nhi\r\n0\r\n\r\n"),
        (head(post, "x: a\r\n content-length: 2\r\n"), "hi"),
        (head(post, "content-length : 2\r\n"), "hi"),
        (head(post, "a\0b: c\r\n"), ""),
        (head("POST / HTTP/1.0", "transfer-encoding: chunked\r\n"), "2\r\nhi\r\n0\r\n\r\n"),
        (head("CONNECT localhost:22 HTTP/1.1", ""), ""),
        (head("OPTIONS * HTTP/1.1", ""), ""),
        (head("GET http://169.254.169.254/latest HTTP/1.1", ""), ""),
        (head("GET /../secret HTTP/1.1", ""), ""),
        (head("GET /tasks/%2e%2e/%2e%2e/secret HTTP/1.1", ""), ""),
        (head("GET /tasks/..%2f..%2fsecret HTTP/1.1", ""), ""),
        (head("GET //evil.example/tasks HTTP/1.1", ""), ""),
        (head("GET /tasks/%00 HTTP/1.1", ""), ""),
        (head("GET /tasks/\0 HTTP/1.1", ""), ""),
        (head("GET /metrics HTTP/1.1", ""), ""),
        (head("POST /?assistant=8 HTTP/1.1", "content-length: 0\r\n"), ""),
        ("\r\n\r\n".to_owned(), "POST / HTTP/1.1\r\nhost: x\r\n\r\n"),
    ]
    .into_iter()
    .enumerate()
    {
        let body = pair.body(head.as_bytes(), u8::try_from(number).unwrap());
        let (answer, said) = pair.exchange(&pair.signed(body, format!("{head}{more}").as_bytes())).await;
        let refused = matches!(answer, Some(Answer::Refused { refusal: Refusal::Malformed, .. }))
            || said.starts_with("HTTP/1.1 4")
            || said.is_empty();
        assert!(refused, "{head:?}: {answer:?} {said}");
        assert_eq!(asked.load(Ordering::Relaxed), 0, "{head:?}");
    }
}

#[tokio::test]
async fn one_stream_carries_one_request_as_it_was_signed() {
    let (pair, asked) = counting();
    let caller = pair.by.agent.to_string();
    let twice = format!("hi{POST}no");
    let (_, said) = pair
        .ask(&POST.replace("host: x", "althing-caller: did:key:forged\r\nALTHING_caller: x"), &twice)
        .await;
    assert!(said.ends_with(&format!("POST /rpc?assistant=7 {caller} hi")), "{said}");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn heads_that_are_too_long_or_never_end_cost_little() {
    let (pair, asked) = counting();
    let long = format!("POST / HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(HEAD_BYTES_MAX));
    assert_eq!(refusal(pair.ask(&long, "").await.0), Refusal::Malformed);
    // Nothing more comes: after ten seconds the stream is gone, whatever was sent.
    let signed = pair.signed(pair.body(POST.as_bytes(), 2), POST.as_bytes());
    for length in [0, 1, 100, signed.len() - 1] {
        let (answer, said) = pair.exchange(&signed[..length]).await;
        assert!(answer.is_none() && said.is_empty(), "{answer:?} {said}");
    }
    // So many of them are read at once, and no more; other calls pass.
    let part =
        [&signed[..signed.len() - POST.len()], "POST / HTTP/1.1\r\nx: ".as_bytes(), &[b'x'; 10_000]].concat();
    let mut held = Vec::new();
    for _ in 0..crate::callee::LONG_HEADS_MAX {
        let mut stream = pair.stream();
        stream.write_all(&part).await.unwrap();
        held.push(stream);
    }
    tokio::task::yield_now().await;
    assert_eq!(refusal(pair.exchange(&part).await.0), Refusal::Busy);
    // The disk, which an Accept waits for, has a clock of its own.
    tokio::time::resume();
    let (answer, _) = pair.ask(POST, "hi").await;
    assert!(matches!(answer, Some(Answer::Accepted(_))), "{answer:?}");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn calls_that_say_nothing_are_counted_against_their_node() {
    let limits = Limits { calls_per_peer_max: 3, ..Limits::default() };
    let pair = pair(limits, false, echo);
    let held: Vec<_> = (0..3).map(|_| pair.stream()).collect();
    tokio::task::yield_now().await;
    assert_eq!(refusal(pair.exchange(b"").await.0), Refusal::Busy);
    drop(held);
    while pair.post("/", "x").await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn push_notifications_go_to_the_public_network_only() {
    let (pair, asked) = counting();
    let set = |url: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"CreateTaskPushNotificationConfig","params":{{"taskId":"t","url":"{url}"}}}}"#
        )
    };
    let send = async |target: &str, body: String| {
        let response = pair.send(Request::post(target).body(full(body)).unwrap()).await.unwrap();
        let error = response.headers().get(&ERROR_HEADER).map(|name| name.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        let said = response.into_body().collect().await.unwrap().to_bytes();
        (status, error.unwrap_or_default(), String::from_utf8(said.to_vec()).unwrap())
    };
    for target in ["/", "/tasks/t/pushNotificationConfigs", "/v1/tasks/t%2FpushNotificationConfigs"] {
        let (status, error, said) = send(target, set("http://127.1/hook")).await;
        assert_eq!((status, error.as_str()), (400, "push-url"), "{target} {said}");
    }
    let config = r#"{"message":{},"configuration":{"taskPushNotificationConfig":{"url":"http://[::ffff:127.0.0.1]/"}}}"#;
    for target in ["/message:send", "/message%3Asend", "/message:stream"] {
        assert_eq!(send(target, config.to_owned()).await.1, "push-url", "{target}");
    }
    assert_eq!(send("/", format!("[{}]", set("https://1.1.1.1/"))).await.1, "malformed");
    assert_eq!(send("/", set("https://1.1.1.1/").replace(":1,", ":1;")).await.1, "malformed");
    assert_eq!(asked.load(Ordering::Relaxed), 0, "the agent was asked nothing");
    let body = set("https://1.1.1.1/hook");
    let (status, _, said) = send("/", body.clone()).await;
    assert!(status == 200 && said.ends_with(&body), "byte for byte: {said}");
    // What streams elsewhere is not looked at.
    assert_eq!(send("/tasks/t:cancel", config.to_owned()).await.0, 200);
}

/// A call of two bytes, as bytes.
fn whole(pair: &Pair, task: u16) -> Vec<u8> {
    let mut id = [7; 16];
    id[..2].copy_from_slice(&task.to_be_bytes());
    let body = CallBody { task: TaskId(id), ..pair.body(POST.as_bytes(), 0) };
    pair.signed(body, format!("{POST}hi").as_bytes())
}

/// Has 2,048 calls of one session ended by their caller while their answers are on the way, 128 at a time, by giving them up or
/// as callers do. Nothing of it reaches the callee before it has answered.
async fn cross(is_given_up: bool) {
    let answers = Arc::new(Semaphore::new(0));
    let may_answer = Arc::clone(&answers);
    let pair = pair(Limits::default(), false, move |request| {
        let may_answer = Arc::clone(&may_answer);
        async move {
            may_answer.acquire().await.unwrap().forget();
            echo(request).await
        }
        .boxed()
    });
    let callee = pair.pipes.dial(pair.place(), Line::Calls).await.unwrap();
    let (near, far) = tokio::io::duplex(1_024 * 1_024);
    let (mut from_caller, mut to_caller) = tokio::io::split(far);
    let (mut from_callee, mut to_callee) = tokio::io::split(callee);
    tokio::spawn(async move { tokio::io::copy(&mut from_callee, &mut to_caller).await });
    let (gate, mut is_open) = tokio::sync::watch::channel(true);
    tokio::spawn(async move {
        let mut bytes = vec![0; 64 * 1_024];
        loop {
            let length = from_caller.read(&mut bytes).await.unwrap();
            is_open.wait_for(|is_open| *is_open).await.unwrap();
            to_callee.write_all(&bytes[..length]).await.unwrap();
        }
    });
    let session = crate::mux::Client::begin(Box::new(near)).await.unwrap();
    let begin = async |task| {
        let mut call = session.open().await.expect("the session goes on");
        call.write_all(&whole(&pair, task)).await.expect("the session goes on");
        // The Accept: the request has arrived.
        assert_ne!(call.read_u8().await.expect("the session goes on"), 0);
        call
    };
    for group in 0..16 {
        let mut calls = Vec::new();
        for call in 0..128 {
            calls.push(begin(group * 128 + call).await);
        }
        gate.send(false).unwrap();
        if is_given_up {
            calls.clear();
        }
        for call in &mut calls {
            call.shutdown().await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        answers.add_permits(128);
        for call in &mut calls {
            let mut came = Vec::new();
            call.read_to_end(&mut came).await.unwrap();
            assert!(came.ends_with(b"hi"));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        gate.send(true).unwrap();
    }
    begin(9_999).await;
}

#[tokio::test]
async fn ends_that_cross_their_answers_do_not_end_the_session_of_all_calls() {
    cross(false).await;
}

#[tokio::test]
async fn calls_that_are_given_up_while_they_are_answered_do_not_end_it_either() {
    cross(true).await;
}

#[tokio::test]
async fn a_call_that_is_answered_takes_no_place_while_its_caller_does_not_end_it() {
    let pair = pair(Limits { calls_per_peer_max: 1, ..Limits::default() }, false, echo);
    let mut first = pair.stream();
    first.write_all(&whole(&pair, 1)).await.unwrap();
    let mut came = Vec::new();
    first.read_to_end(&mut came).await.unwrap();
    assert!(came.ends_with(b"hi"));
    assert_eq!(pair.post("/", "two").await.unwrap().0, 200);
}

#[tokio::test]
async fn an_answered_call_is_not_reset_before_its_caller_ends_it() {
    let (pair, _) = counting();
    let io = pair.pipes.dial(pair.place(), Line::Calls).await.unwrap();
    let session = crate::mux::Client::begin(io).await.unwrap();
    let refused = [&[0, 4][..], &[0xff; 4]].concat();
    for (bytes, answer) in [(whole(&pair, 1), "hi"), (refused, "")] {
        let mut call = session.open().await.unwrap();
        call.write_all(&bytes).await.unwrap();
        let mut came = Vec::new();
        call.read_to_end(&mut came).await.unwrap();
        assert!(came.ends_with(answer.as_bytes()) && !came.is_empty());
        tokio::time::sleep(Duration::from_millis(50)).await;
        call.write_all(b"more").await.expect("it is not reset");
        call.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_call_whose_response_is_not_read_keeps_its_place() {
    let card = Bytes::from(vec![b' '; 200 * 1_024]);
    let pair = pair(Limits { calls_per_peer_max: 1, ..Limits::default() }, false, echo);
    let exposure = pair.exposures.of(pair.callee.agent()).unwrap();
    pair.exposures.insert(Exposure { card, ..(*exposure).clone() });
    // Room for the Accept, and not for the card.
    let (mut near, far) = tokio::io::duplex(2_048);
    let (callee, from) = (pair.pipes.callee.clone(), pair.pipes.from);
    tokio::spawn(async move { callee.serve_call(Box::new(far), from).await });
    let head = "GET /.well-known/agent-card.json HTTP/1.1\r\nhost: x\r\n\r\n";
    let call = pair.signed(pair.body(head.as_bytes(), 1), head.as_bytes());
    near.write_all(&call).await.unwrap();
    assert_ne!(near.read_u8().await.unwrap(), 0);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let busy = pair.post("/", "two").await.unwrap_err();
    assert!(matches!(busy, CallError::Refused { refusal: Refusal::Busy, .. }), "{busy:?}");
    let mut came = Vec::new();
    near.read_to_end(&mut came).await.unwrap();
    assert!(came.len() > 200 * 1_024);
    assert_eq!(pair.post("/", "two").await.unwrap().0, 200);
}

#[tokio::test]
async fn a_call_whose_request_is_not_taken_keeps_its_place() {
    // Answers at once, and has not done with the request.
    let taking = Arc::<Mutex<Vec<Request<Body>>>>::default();
    let kept = Arc::clone(&taking);
    let pair = pair(Limits { calls_per_peer_max: 1, ..Limits::default() }, false, move |request| {
        kept.lock().unwrap().push(request);
        async move { Ok(Response::new(full("done"))) }.boxed()
    });
    let mut near = pair.stream();
    let head = "POST /tasks/7:cancel HTTP/1.1\r\nhost: x\r\na2a-version: 1.0\r\ncontent-length: 9\r\n\r\n";
    let call = pair.signed(pair.body(head.as_bytes(), 1), format!("{head}x").as_bytes());
    near.write_all(&call).await.unwrap();
    let mut came = Vec::new();
    while !came.ends_with(b"done") {
        near.read_buf(&mut came).await.unwrap();
    }
    let busy = pair.post("/", "two").await.unwrap_err();
    assert!(matches!(busy, CallError::Refused { refusal: Refusal::Busy, .. }), "{busy:?}");
    taking.lock().unwrap().clear();
    near.read_to_end(&mut came).await.unwrap();
    assert_eq!(pair.post("/", "two").await.unwrap().0, 200);
}
