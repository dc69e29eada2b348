use std::collections::BTreeMap;
use std::time::Duration;

use althing_engine::{Ask, Event, EventsFrom, RefusalKind};
use althing_gateway::api::{EVENTS_LOST, EventsQuery, ProblemKind};
use althing_gateway::{ClientError, EventReader};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;

use crate::journal::{Journal, ballot};
use crate::raw;
use crate::samples::{HOSTED, NOON_TEXT, PROPOSAL};
use crate::scripted::{Node, Script};

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A stream as bytes on a socket.
struct Stream {
    lines: Lines<BufReader<TcpStream>>,
}

impl Stream {
    /// Opens one and reads up to the end of the head.
    async fn open(node: &Node, query: &str, headers: &[&str]) -> Self {
        let mut socket = TcpStream::connect(node.running.address()).await.unwrap();
        let (host, token) = (node.running.address(), node.token());
        let more: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let head = format!(
            "GET /v1/events{query} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n{more}\r\n"
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut stream = Self { lines: BufReader::new(socket).lines() };
        assert_eq!(stream.raw_line().await.as_deref(), Some("HTTP/1.1 200 OK"));
        let mut kind = String::new();
        loop {
            let line = stream.raw_line().await.unwrap();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-type: ") {
                kind = value.to_owned();
            }
        }
        assert_eq!(kind, "text/event-stream");
        stream
    }

    async fn raw_line(&mut self) -> Option<String> {
        let line = tokio::time::timeout(PATIENCE * 60, self.lines.next_line()).await;
        line.expect("something comes").ok().flatten()
    }

    /// The fields of the next block, chunk sizes left out; none when the stream is over.
    async fn block(&mut self) -> Option<BTreeMap<String, String>> {
        let mut fields = BTreeMap::new();
        loop {
            let line = self.raw_line().await?;
            if line == "0" {
                return None;
            }
            match line.split_once(':') {
                Some((field, value)) => {
                    fields.insert(field.to_owned(), value.trim_start().to_owned());
                }
                // An empty line ends a block; a chunk ends with one as well, and begins with its size.
                None if line.is_empty() && !fields.is_empty() => return Some(fields),
                None => assert!(line.bytes().all(|byte| byte.is_ascii_hexdigit()), "{line:?}"),
            }
        }
    }

    /// The next event, with the id of its block.
    async fn event(&mut self) -> Option<(String, Value)> {
        loop {
            let mut block = self.block().await?;
            if let Some(data) = block.remove("data") {
                return Some((block.remove("id").unwrap_or_default(), serde_json::from_str(&data).unwrap()));
            }
        }
    }
}

fn last_id(seq: u64) -> String {
    format!("Last-Event-ID: {}", Journal::id(seq))
}

async fn reader(node: &Node, query: EventsQuery, last_id: Option<&str>) -> EventReader {
    node.client().await.events(&query, last_id).await.unwrap()
}

fn push(node: &Node, numbers: impl Iterator<Item = u64>) {
    let mut journal = node.journal.lock().unwrap();
    numbers.for_each(|n| journal.push(ballot(n)));
}

fn chosen(event: &Value) -> String {
    event["data"]["choice"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn an_event_is_a_cloud_event_in_one_block() {
    let node = Node::start().await;
    let mut stream = Stream::open(&node, "", &[]).await;
    assert_eq!(stream.block().await.unwrap()["retry"], "1000");
    let place = stream.block().await.unwrap();
    assert_eq!(place, BTreeMap::from([("id".to_owned(), Journal::id(1).to_string())]), "where it begins");
    push(&node, 7..8);
    let (id, event) = stream.event().await.unwrap();
    assert_eq!(id, Journal::id(2).to_string());
    let expected = serde_json::json!({
        "specversion": "1.0",
        "id": id,
        "source": format!("urn:althing:node:{}", althing_record::NodeId([9; 32])),
        "type": "io.althing.vote.cast",
        "subject": PROPOSAL.to_string(),
        "time": NOON_TEXT,
        "datacontenttype": "application/json",
        "data": {
            "proposal": PROPOSAL.to_string(),
            "voter": crate::samples::OTHER.to_string(),
            "ballot": "07".repeat(32),
            "choice": "option 7",
        },
    });
    assert_eq!(event, expected);
}

#[tokio::test]
async fn a_stream_resumes_without_gap_or_repetition_while_writing_goes_on() {
    const COUNT: u64 = 2_000;
    let node = Node::start().await;
    let journal = node.journal.clone();
    let mut last: Option<String> = None;
    let mut seen = Vec::new();
    let writer = tokio::spawn(async move {
        for n in 0..COUNT {
            journal.lock().unwrap().push(ballot(n));
            if n % 7 == 0 {
                tokio::task::yield_now().await;
            }
        }
    });
    // Each stream is left after another number of events, and the next goes on from the id that was read last.
    for taken in (1..).map(|round| 1 + round * 13 % 97) {
        let from = EventsQuery { after: Some(Journal::id(1).to_string()), ..EventsQuery::default() };
        let mut events = reader(&node, from, last.as_deref()).await;
        for _ in 0..taken {
            if seen.len() as u64 == COUNT {
                break;
            }
            seen.push(events.next().await.unwrap().unwrap().data["choice"].as_str().unwrap().to_owned());
        }
        last = events.last_id().map(str::to_owned);
        if seen.len() as u64 == COUNT {
            break;
        }
    }
    writer.await.unwrap();
    assert_eq!(seen, (0..COUNT).map(|n| format!("option {n}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_header_goes_before_the_query() {
    let node = Node::start().await;
    push(&node, 2..9);
    let mut stream = Stream::open(&node, &format!("?after={}", Journal::id(1)), &[&last_id(5)]).await;
    assert_eq!(stream.event().await.unwrap().0, Journal::id(6).to_string());
    let mut stream = Stream::open(&node, "?last=3", &["Last-Event-ID: "]).await;
    assert_eq!(stream.event().await.unwrap().0, Journal::id(6).to_string(), "an empty one is none");
}

#[tokio::test]
async fn an_unknown_journal_is_told_and_everything_follows() {
    let node = Node::start().await;
    push(&node, 2..4);
    let stranger = "Last-Event-ID: ffffffffffffffff-0000000100000000-12";
    let mut stream = Stream::open(&node, "?types=vote", &[stranger]).await;
    let (id, lost) = stream.event().await.unwrap();
    assert_eq!((id.as_str(), lost["type"].as_str(), lost.get("time")), ("", Some(EVENTS_LOST), None));
    assert_eq!(lost["data"], serde_json::json!({ "reason": "other-journal", "count": null }));
    assert_eq!(chosen(&stream.event().await.unwrap().1), "option 2");
}

#[tokio::test]
async fn what_was_trimmed_is_counted() {
    let node = Node::start().await;
    push(&node, 2..40);
    node.journal.lock().unwrap().trim(30);
    let mut stream = Stream::open(&node, "", &[&last_id(9)]).await;
    let lost = stream.event().await.unwrap().1;
    assert_eq!(lost["data"], serde_json::json!({ "reason": "trimmed", "count": 20 }));
    assert_eq!(stream.event().await.unwrap().0, Journal::id(30).to_string());
}

/// On virtual time, which goes on when everybody waits.
#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_not_read_ahead_for_and_misses_nothing_that_is_left() {
    let node = Node::start().await;
    let mut stream = Stream::open(&node, "", &[&last_id(1)]).await;
    push(&node, 2..60_002);
    let asked = || node.asks.lock().unwrap().len();
    // The node is asked until the socket's buffers are full, and then no more.
    let mut before = 0;
    while asked() != before || before < 3 {
        before = asked();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(before < 300, "{before} pages of 64 for a reader that has read nothing");
    let limits = node.asks.lock().unwrap().iter().all(|ask| matches!(ask, Ask::Events { limit: 64, .. }));
    assert!(limits, "a page is bounded");
    // Meanwhile the journal is trimmed past it.
    node.journal.lock().unwrap().trim(50_000);
    let (mut next, mut lost) = (2, None);
    while next < 60_002 {
        let (id, event) = stream.event().await.unwrap();
        if event["type"] == EVENTS_LOST {
            assert_eq!(event["data"]["reason"], "trimmed");
            let count = event["data"]["count"].as_u64().unwrap();
            assert_eq!(lost.replace(count), None, "once");
            next += count;
            assert_eq!(next, 50_000);
            continue;
        }
        assert_eq!(id, Journal::id(next).to_string());
        next += 1;
    }
    assert!(lost.is_some());
}

#[tokio::test]
async fn types_are_filtered_and_wrong_ones_named() {
    let node = Node::start().await;
    push(&node, 2..5);
    let started = Event::NodeStarted { start: 3, signing_stopped: None };
    node.journal.lock().unwrap().push(started);
    push(&node, 6..7);
    for types in ["node.started", "io.althing.node", "node,card"] {
        let query =
            EventsQuery { types: Some(types.into()), last: Some(9), follow: Some(false), after: None };
        let mut events = reader(&node, query, None).await;
        let mut starts = Vec::new();
        while let Some(event) = events.next().await.unwrap() {
            assert_eq!(event.kind, "io.althing.node.started");
            starts.push(event.data["start"].clone());
        }
        assert_eq!(starts, [2, 3], "{types}");
    }
    for query in [
        "types=vot",
        "types=",
        "after=57",
        "after=",
        "last=100001",
        "last=x",
        "follow=maybe",
        "after=5f0c9a1122334455-000000029a11ffee-57&last=1",
    ] {
        let answer = raw::authorized(&node, &format!("GET /v1/events?{query}"), &[], "").await;
        assert_eq!(answer.problem().kind(), Some(ProblemKind::Invalid), "{query}");
    }
    let answer = raw::authorized(&node, "GET /v1/events", &["Last-Event-ID: 57"], "").await;
    assert!(answer.problem().detail.contains("Last-Event-ID") && answer.problem().detail.contains("\"57\""));
}

#[tokio::test]
async fn a_stream_that_need_not_go_on_ends_with_the_newest_event() {
    let node = Node::start().await;
    push(&node, 2..202);
    let query = EventsQuery { last: Some(150), follow: Some(false), ..EventsQuery::default() };
    let mut events = reader(&node, query, None).await;
    let mut count = 0;
    while events.next().await.unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 150);
    assert_eq!(events.last_id(), Some(Journal::id(201).to_string().as_str()));
}

#[tokio::test]
async fn streams_are_counted_and_given_back() {
    let node = Node::with(|config| config.streams_max = 2).await;
    let one = reader(&node, EventsQuery::default(), None).await;
    let _two = reader(&node, EventsQuery::default(), None).await;
    let answer = raw::authorized(&node, "GET /v1/events", &[], "").await;
    assert_eq!(
        (answer.problem().kind(), answer.headers["retry-after"].as_str()),
        (Some(ProblemKind::Busy), "1")
    );
    assert!(node.client().await.status().await.is_ok(), "other requests are not affected");
    drop(one);
    let again = async {
        loop {
            match node.client().await.events(&EventsQuery::default(), None).await {
                Ok(reader) => return reader,
                Err(ClientError::Problem(problem)) if problem.kind() == Some(ProblemKind::Busy) => {
                    tokio::task::yield_now().await;
                }
                Err(error) => panic!("{error}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, again).await.expect("a reader that left leaves its place");
}

#[tokio::test]
async fn strangers_get_no_stream() {
    let node = Node::start().await;
    let none = raw::tcp(&node, "GET /v1/events", &[], "").await;
    assert_eq!(none.problem().kind(), Some(ProblemKind::Unauthorized));
    let token = format!("Authorization: Bearer {}", node.token());
    let query = raw::tcp(&node, &format!("GET /v1/events?token={}", node.token()), &[], "").await;
    assert_eq!(query.problem().kind(), Some(ProblemKind::Unauthorized));
    let host = raw::exactly(&node, "GET /v1/events", &["Host: evil.example", &token], "").await;
    assert_eq!(host.problem().kind(), Some(ProblemKind::ForeignHost));
    let origin = raw::authorized(&node, "GET /v1/events", &["Origin: https://evil.example"], "").await;
    assert_eq!(origin.problem().kind(), Some(ProblemKind::ForeignOrigin));
    assert!(node.asks.lock().unwrap().is_empty());
}

/// On virtual time: a quarter of an hour passes at once when nothing else is to be done.
#[tokio::test(start_paused = true)]
async fn a_stream_outlives_the_connection_timeout_and_its_place_moves_on() {
    let node = Node::start().await;
    let start = tokio::time::Instant::now();
    let mut stream = Stream::open(&node, "?types=card", &[]).await;
    assert!(stream.block().await.unwrap().contains_key("retry"));
    assert_eq!(stream.block().await.unwrap()["id"], Journal::id(1).to_string());
    push(&node, 2..5);
    // Nothing of that is wanted, but the next heartbeat says how far it was looked at.
    assert_eq!(stream.block().await.unwrap()["id"], Journal::id(4).to_string());
    for _ in 0..60 {
        let beat = stream.block().await.unwrap();
        assert_eq!(beat, BTreeMap::from([(String::new(), "still here".to_owned())]));
    }
    assert!(start.elapsed() > Duration::from_secs(840), "{:?}", start.elapsed());
    let card = Event::CardExpired { agent: HOSTED, card: crate::samples::CARD };
    node.journal.lock().unwrap().push(card);
    assert_eq!(stream.event().await.unwrap().1["type"], "io.althing.card.expired");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_nobody_reads_is_cut() {
    let node = Node::start().await;
    let mut stream = Stream::open(&node, "", &[&last_id(1)]).await;
    push(&node, 2..60_002);
    // More than one connection timeout without reading.
    tokio::time::sleep(Duration::from_secs(300)).await;
    let mut read = 0;
    while stream.event().await.is_some() {
        read += 1;
    }
    assert!((1..60_000).contains(&read), "what was under way comes, then it ends: {read}");
}

#[tokio::test]
async fn stopping_ends_streams_at_once() {
    let node = Node::with(|config| config.stop_timeout = PATIENCE).await;
    let mut events = reader(&node, EventsQuery::default(), None).await;
    let mut raw = Stream::open(&node, "", &[]).await;
    let Node { running, home: _home, .. } = node;
    tokio::time::timeout(PATIENCE / 2, running.stop()).await.expect("it does not wait for streams");
    assert!(events.next().await.unwrap().is_none());
    assert!(raw.event().await.is_none());
}

#[tokio::test]
async fn a_stream_ends_with_the_node_behind_it() {
    let node = Node::start().await;
    let mut events = reader(&node, EventsQuery::default(), None).await;
    node.play(Script::Drop);
    push(&node, 2..3);
    assert!(events.next().await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_busy_node_is_asked_again() {
    let node = Node::start().await;
    let mut events = reader(&node, EventsQuery::default(), None).await;
    node.play(Script::Refuse(RefusalKind::Busy));
    push(&node, 2..3);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(node.asks.lock().unwrap().len() > 3);
    node.play(Script::Answer);
    assert_eq!(events.next().await.unwrap().unwrap().data["choice"], "option 2");
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_is_a_timeout_for_the_client() {
    let node = Node::with(|config| {
        config.heartbeat = Duration::from_secs(3_600);
        config.connection_timeout = Duration::from_secs(7_200);
    })
    .await;
    let mut events = reader(&node, EventsQuery::default(), None).await;
    assert!(matches!(events.next().await, Err(ClientError::Timeout { .. })));
}

#[tokio::test]
async fn the_place_reaches_the_node() {
    let node = Node::start().await;
    let mut over_unix = tokio::net::UnixStream::connect(node.running.socket()).await.unwrap();
    let (token, id) = (node.token(), Journal::id(1));
    let head = format!(
        "GET /v1/events?follow=false&after={id} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    over_unix.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    over_unix.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let Ask::Events { from, kinds, .. } = node.last_ask() else { panic!() };
    assert_eq!((from, kinds.len()), (EventsFrom::After(id), 0));
}
