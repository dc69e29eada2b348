use std::time::Duration;

use althing_engine::{Answer, Ask};
use althing_gateway::api::ProblemKind;
use althing_gateway::{Client, ClientError, Config, Gateway};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::raw;
use crate::scripted::{Node, SHORT, Script, backend, private_dir};

const JSON: &str = "Content-Type: application/json";
/// How long a test waits for what should happen after [`SHORT`].
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn oversized_bodies_are_refused() {
    let node = Node::start().await;
    let spaces = |bytes: usize| format!("{{{}}}", " ".repeat(bytes - 2));
    for (path, bytes_max) in [("/v1/cards", 20 * 1024), ("/v1/votes", 64 * 1024)] {
        let line = format!("POST {path}");
        let fits = raw::authorized(&node, &line, &[JSON], &spaces(bytes_max)).await;
        assert_ne!(fits.status, 413, "{path}");
        let declared = raw::authorized(&node, &line, &[JSON], &spaces(bytes_max + 1)).await;
        assert_eq!(declared.problem().kind(), Some(ProblemKind::TooLarge), "{path}");
        let chunk = format!("{:x}\r\n{}\r\n0\r\n\r\n", bytes_max + 1, spaces(bytes_max + 1));
        let headers = [JSON, "Transfer-Encoding: chunked", "content-length-of: chunks"];
        let chunked = raw::authorized(&node, &line, &headers, &chunk).await;
        assert_eq!(chunked.problem().kind(), Some(ProblemKind::TooLarge), "{path}");
        let huge = raw::authorized(&node, &line, &[JSON, "Content-Length: 99999999999"], "{").await;
        assert_eq!(huge.problem().kind(), Some(ProblemKind::TooLarge), "{path}");
    }
}

#[tokio::test]
async fn the_client_learns_that_a_card_is_too_large() {
    let node = Node::start().await;
    let client = node.client().await;
    for bytes in [30_000, 300_000] {
        let card = format!("\"{}\"", "a".repeat(bytes));
        let error = client.publish_card(card.as_bytes(), None).await.unwrap_err();
        let ClientError::Problem(problem) = error else { panic!("{error}") };
        assert_eq!(problem.kind(), Some(ProblemKind::TooLarge));
        let said = format!("card has {} bytes of JSON, at most 15360 are allowed", card.len());
        assert_eq!(problem.detail, said);
    }
}

#[tokio::test]
async fn cards_are_passed_on_as_they_are() {
    let node = Node::start().await;
    // Whether it is a card, the engine says.
    assert_eq!(raw::authorized(&node, "POST /v1/cards", &[JSON], "{\"name\": x").await.status, 201);
    let chunk = format!("{:x}\r\n{}\r\n0\r\n\r\n", 20_481, "a".repeat(20_481));
    let chunked = raw::authorized(
        &node,
        "POST /v1/cards",
        &[JSON, "Transfer-Encoding: chunked", "content-length-of: chunks"],
        &chunk,
    )
    .await;
    assert_eq!(chunked.problem().detail, "card has more than 20480 bytes of JSON, at most 15360 are allowed");
    let declared = raw::authorized(&node, "POST /v1/cards", &[JSON], &"a".repeat(20_481)).await;
    assert_eq!(declared.problem().detail, "card has 20481 bytes of JSON, at most 15360 are allowed");
}

#[tokio::test]
async fn malformed_json_is_located() {
    let node = Node::start().await;
    for (body, line, column) in [
        ("{\n  \"question\": x }", 2, 15),
        ("{\"question\":\"a\",\"voters\":[],\"method\":\"unanimous\",\"votes\":1}", 1, 56),
        ("{\"question\":\"a\"}", 1, 16),
        ("{} {}", 1, 4),
    ] {
        let problem = raw::authorized(&node, "POST /v1/votes", &[JSON], body).await.problem();
        assert_eq!(problem.kind(), Some(ProblemKind::Invalid));
        assert_eq!((problem.line, problem.column), (Some(line), Some(column)), "{body}: {}", problem.detail);
    }
    let empty = raw::authorized(&node, "POST /v1/votes", &[JSON, "Content-Length: 0"], "").await.problem();
    assert_eq!((empty.line, empty.column), (Some(1), Some(1)));
}

#[tokio::test]
async fn a_slow_head_is_cut() {
    let node = Node::with(|config| config.head_timeout = SHORT).await;
    let mut slow = TcpStream::connect(node.running.address()).await.unwrap();
    slow.write_all(b"GET /livez HTTP/1.1\r\nHost: ").await.unwrap();
    let mut idle = TcpStream::connect(node.running.address()).await.unwrap();
    let mut answer = Vec::new();
    let closed = async {
        let _ = slow.read_to_end(&mut answer).await;
        let _ = idle.read_to_end(&mut answer).await;
    };
    tokio::time::timeout(PATIENCE, closed).await.expect("both are cut long before a connection's life ends");
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn a_slow_body_is_refused() {
    let node = Node::with(|config| config.body_timeout = SHORT).await;
    let answer = raw::authorized(&node, "POST /v1/cards", &[JSON, "Content-Length: 9"], "{").await;
    assert_eq!(answer.problem().kind(), Some(ProblemKind::SlowBody));
}

#[tokio::test]
async fn an_old_connection_is_closed() {
    let node = Node::with(|config| {
        config.connection_timeout = SHORT;
        config.head_timeout = PATIENCE * 2;
    })
    .await;
    let mut idle = TcpStream::connect(node.running.address()).await.unwrap();
    let mut byte = [0; 1];
    let closed = tokio::time::timeout(PATIENCE, idle.read(&mut byte)).await;
    assert_eq!(closed.expect("it is closed long before its head is due").unwrap(), 0);
}

#[tokio::test]
async fn newcomers_wait_while_all_connections_are_taken() {
    let node = Node::with(|config| {
        config.connections_max = 1;
        config.head_timeout = SHORT;
    })
    .await;
    let mut first = TcpStream::connect(node.running.address()).await.unwrap();
    first.write_all(b"GET").await.unwrap();
    // Waits until the first is cut, and then gets its slot.
    assert_eq!(raw::tcp(&node, "GET /livez", &[], "").await.status, 200);
    // The owner's socket has slots of its own.
    assert!(node.client().await.status().await.is_ok());
}

#[tokio::test]
async fn a_large_head_is_refused() {
    let node = Node::start().await;
    let header = format!("X: {}", "a".repeat(20_000));
    assert_eq!(raw::tcp(&node, "GET /livez", &[&header], "").await.status, 431);
    let many: Vec<String> = (0..70).map(|number| format!("X-{number}: a")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(raw::tcp(&node, "GET /livez", &many, "").await.status, 431);
}

#[tokio::test]
async fn a_full_node_is_busy_and_a_stopped_one_is_stopping() {
    let home = private_dir();
    let (sender, mut receiver) = mpsc::channel(1);
    let running = Gateway::start(Config::new(home.path()), backend(sender.clone())).await.unwrap();
    let client = Client::connect(home.path()).await.unwrap();
    let (reply, _waiting) = tokio::sync::oneshot::channel::<Answer>();
    sender.try_send((Ask::Status, reply)).unwrap();
    let ClientError::Problem(problem) = client.status().await.unwrap_err() else { panic!() };
    assert_eq!((problem.kind(), problem.status), (Some(ProblemKind::Busy), 503));

    receiver.close();
    let ClientError::Problem(problem) = client.status().await.unwrap_err() else { panic!() };
    assert_eq!((problem.kind(), problem.status), (Some(ProblemKind::Stopping), 503));
    running.stop().await;
}

#[tokio::test]
async fn a_busy_answer_says_when_to_come_back() {
    let node = Node::start().await;
    node.play(Script::Refuse(althing_engine::RefusalKind::Busy));
    let answer = raw::authorized(&node, "GET /v1/status", &[], "").await;
    assert_eq!((answer.status, answer.headers["retry-after"].as_str()), (503, "1"));
}

#[tokio::test]
async fn a_silent_node_is_a_timeout() {
    let node = Node::with(|config| config.ask_timeout = SHORT).await;
    node.play(Script::Silent);
    let client = node.client().await;
    let ClientError::Problem(problem) = client.status().await.unwrap_err() else { panic!() };
    assert_eq!((problem.kind(), problem.status), (Some(ProblemKind::Timeout), 504));

    let impatient = client.with_timeout(Duration::from_millis(1));
    assert!(matches!(impatient.status().await, Err(ClientError::Timeout { .. })));
}

#[tokio::test]
async fn a_forgotten_or_mistaken_ask_is_the_nodes_fault() {
    let node = Node::start().await;
    let client = node.client().await;
    node.play(Script::Drop);
    let ClientError::Problem(problem) = client.status().await.unwrap_err() else { panic!() };
    assert_eq!(problem.kind(), Some(ProblemKind::Stopping));
    node.play(Script::Say(Answer::Evidence(Vec::new())));
    let ClientError::Problem(problem) = client.status().await.unwrap_err() else { panic!() };
    assert_eq!(problem.kind(), Some(ProblemKind::Internal));
}

#[tokio::test]
async fn a_node_without_agents_says_so() {
    let node = Node::start().await;
    node.play(Script::Say(Answer::Hosts(Vec::new())));
    let ClientError::Problem(problem) = node.client().await.publish_card(b"{}", None).await.unwrap_err()
    else {
        panic!()
    };
    assert_eq!(problem.kind(), Some(ProblemKind::NotReady));
}

#[tokio::test]
async fn limits_outside_their_range_are_refused() {
    let node = Node::start().await;
    for query in [
        "votes?limit=0",
        "votes?limit=1001",
        "evidence?limit=-1",
        "find?skill=a&limit=1001",
        "find",
        "votes?limi=1",
    ] {
        let answer = raw::authorized(&node, &format!("GET /v1/{query}"), &[], "").await;
        assert_eq!(answer.problem().kind(), Some(ProblemKind::Invalid), "{query}");
    }
    assert!(node.asks.lock().unwrap().is_empty());
}
