//! Clients at the door that ask for what they must not, or for too much.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use althing_tests::{Answer, Flood, Home, Node, Origin, Reply, card, poll, reply, send};
use serde_json::{Value, json};

/// A node that exposes, and the door of another.
struct Door {
    one: Node,
    two: Node,
    did: String,
    _home: Home,
}

impl Door {
    fn to(origin: &Origin) -> Self {
        let home = Home::new();
        let one = Node::up(&home.join("1"), &[]);
        let two = Node::join(&home.join("2"), &one);
        let shown = one.ask("althing.exposed/v1", &["expose", &origin.url(), "--bg"]);
        let did = shown["agent"].as_str().unwrap().to_owned();
        let door = Self { one, two, did, _home: home };
        poll("the agent is reached", || (door.ask("GET", "tasks/x", "").status == 200).then_some(()));
        door
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Reply {
        send(&self.two.api(), &format!("{method} /a2a/agents/{}/{path}", self.did), body)
    }
}

fn rpc(method: &str, params: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).to_string()
}

#[test]
fn push_notifications_into_a_network_that_is_not_public_are_refused_as_a2a_has_it() {
    let origin = Origin::agent("Babel");
    let door = Door::to(&origin);
    let before = origin.calls().len();
    for (url, said) in [
        ("http://127.0.0.1:8080/hook", "loopback"),
        ("http://127.1/hook", "loopback"),
        ("http://2130706433/hook", "loopback"),
        ("http://0x7f000001/hook", "loopback"),
        ("http://0177.0.0.1/hook", "loopback"),
        ("http://[::ffff:127.0.0.1]/hook", "loopback"),
        ("http://169.254.169.254/latest/meta-data/", "link-local"),
        ("http://10.0.0.1/hook", "private"),
        ("http://localhost:8080/hook", "loopback"),
        ("http://no-such-host.invalid/hook", "has no address"),
        ("file:///etc/passwd", "expected http or https"),
    ] {
        let config = json!({"id": "c", "url": url});
        for (method, params) in [
            ("CreateTaskPushNotificationConfig", json!({"taskId": "t", "url": url})),
            ("SendMessage", json!({"message": {}, "configuration": {"taskPushNotificationConfig": config}})),
            (
                "SendStreamingMessage",
                json!({"message": {}, "configuration": {"taskPushNotificationConfig": config}}),
            ),
            ("tasks/pushNotificationConfig/set", json!({"taskId": "t", "pushNotificationConfig": config})),
            ("message/send", json!({"message": {}, "configuration": {"pushNotificationConfig": config}})),
        ] {
            let refused = door.ask("POST", "", &rpc(method, &params));
            let error = &refused.json()["error"];
            assert_eq!(
                (refused.status, refused.header("althing-error")),
                (200, "push-url"),
                "{url} {refused:?}"
            );
            assert_eq!((&error["code"], &refused.json()["id"]), (&json!(-32602), &json!(7)), "{refused:?}");
            assert_eq!(error["data"][0]["reason"], "PUSH_URL", "{refused:?}");
            assert!(error["message"].as_str().unwrap().contains(said), "{url}: {refused:?}");
        }
        for (path, body) in [
            ("message:send", json!({"message": {}, "configuration": {"taskPushNotificationConfig": config}})),
            ("message:stream", json!({"configuration": {"task_push_notification_config": config}})),
            ("tasks/t/pushNotificationConfigs", config.clone()),
        ] {
            let refused = door.ask("POST", path, &body.to_string());
            let error = &refused.json()["error"];
            assert_eq!(
                (refused.status, refused.header("althing-error")),
                (400, "push-url"),
                "{path} {refused:?}"
            );
            assert_eq!(
                (&error["status"], &error["code"]),
                (&json!("INVALID_ARGUMENT"), &json!(400)),
                "{refused:?}"
            );
        }
    }
    let hidden = r#"{"id":7,"method":"CreateTask\u0050ushNotificationConfig","params":{"url":"https://1.1.1.1/","ur\u006c":"http://127.1/"}}"#;
    assert_eq!(door.ask("POST", "", hidden).header("althing-error"), "push-url");
    let batch = format!("[{}]", rpc("GetTask", &json!({"id": "t"})));
    let refused = door.ask("POST", "", &batch);
    assert_eq!(
        (refused.header("althing-error"), &refused.json()["error"]["code"]),
        ("malformed", &json!(-32600))
    );
    assert_eq!(origin.calls().len(), before, "nothing was sent");

    let public =
        rpc("CreateTaskPushNotificationConfig", &json!({"taskId": "t", "url": "https://1.1.1.1/hook"}));
    assert_eq!(door.ask("POST", "", &public).status, 200);
    assert_eq!(origin.calls().last().unwrap().body, public.as_bytes(), "byte for byte");
    // What a message says is its own business.
    let said = rpc(
        "SendMessage",
        &json!({"message": {"parts": [{"data": {"pushNotificationConfig": {"url": "http://127.1/"}}}]}}),
    );
    assert!(door.ask("POST", "", &said).header("althing-error").is_empty());
    assert_eq!(origin.calls().last().unwrap().body, said.as_bytes());
}

#[test]
fn what_an_origin_serves_beside_a2a_is_not_reached() {
    let origin = Origin::agent("Babel");
    let door = Door::to(&origin);
    let before = origin.calls().len();
    for path in [
        "metrics",
        "admin/tasks",
        "../metrics",
        "tasks/../../metrics",
        "tasks/%2e%2e/x",
        "tasks/..%2fx",
        "/x",
        "tasks/%00",
    ] {
        for method in ["GET", "POST"] {
            let refused = door.ask(method, path, "{}");
            assert_eq!(
                (refused.status / 100, refused.header("althing-error")),
                (4, "target"),
                "{path} {refused:?}"
            );
        }
    }
    assert_eq!(origin.calls().len(), before);
}

#[test]
fn requests_that_are_too_long_are_refused_and_reach_nobody() {
    let origin = Origin::agent("Babel");
    let door = Door::to(&origin);
    let before = origin.calls().len();
    let long = rpc("SendMessage", &json!({"message": {"parts": [{"text": "x".repeat(16 * 1_024 * 1_024)}]}}));
    let refused = door.ask("POST", "", &long);
    assert_eq!(
        (refused.header("althing-error"), &refused.json()["error"]["data"][0]["reason"]),
        ("too-large", &json!("TOO_LARGE"))
    );
    let refused = door.ask("POST", "message:send", &long);
    assert_eq!((refused.status, refused.header("althing-error")), (413, "too-large"), "{}", refused.head);
    let refused = door.ask("GET", &format!("tasks/{}", "x".repeat(9_000)), "");
    assert_eq!((refused.status, refused.header("althing-error")), (400, "target"), "{}", refused.head);
    assert_eq!(door.ask("GET", &format!("tasks/{}", "x".repeat(20_000)), "").status, 431);
    assert_eq!(origin.calls().len(), before);
    // A little less passes whole.
    let fits = rpc("SendMessage", &json!({"message": {"parts": [{"text": "x".repeat(15 * 1_024 * 1_024)}]}}));
    assert_eq!(door.ask("POST", "", &fits).status, 200);
    assert!(origin.calls().last().unwrap().body == fits.as_bytes());
}

/// Memory of a process in bytes.
fn memory(node: &Node) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1_024
}

#[test]
fn a_client_that_reads_nothing_holds_the_agent_back_and_costs_little() {
    const MIB: u64 = 1_024 * 1_024;
    let flood = Arc::new(Flood::default());
    let told = flood.clone();
    let origin = Origin::start(move |asked, at| match asked.line.as_str() {
        "GET /.well-known/agent-card.json" => Answer::json(&card("Flood", at)),
        "GET /tasks/flood" => Answer::Flood(1_024 * MIB, told.clone()),
        _ => reply(asked),
    });
    let door = Door::to(&origin);
    let before = [memory(&door.one), memory(&door.two)];
    let api = door.two.api();
    let mut client = TcpStream::connect(&api).unwrap();
    write!(
        client,
        "GET /a2a/agents/{}/tasks/flood HTTP/1.1\r\nHost: {api}\r\nA2A-Version: 1.0\r\n\r\n",
        door.did
    )
    .unwrap();
    let mut begun = [0; 12];
    client.read_exact(&mut begun).unwrap();
    assert_eq!(&begun, b"HTTP/1.1 200");
    let mut last = (0, Instant::now());
    let taken = poll("the agent is held back", || {
        let taken = flood.taken.load(Ordering::SeqCst);
        if taken != last.0 {
            last = (taken, Instant::now());
        }
        (last.1.elapsed() > Duration::from_secs(1)).then_some(taken)
    });
    assert!(taken < 64 * MIB, "{taken} bytes were taken although nobody read");
    for (node, before) in [&door.one, &door.two].into_iter().zip(before) {
        let more = memory(node).saturating_sub(before);
        assert!(more < 64 * MIB, "{more} bytes more");
    }
    // Others do not wait for that one.
    assert_eq!(door.ask("GET", "tasks/x", "").status, 200);
    drop(client);
    poll("the agent is told that nobody reads", || flood.broken.load(Ordering::SeqCst).then_some(()));
}

#[test]
fn an_extended_card_leads_to_the_door_and_is_signed_by_the_node() {
    let extended = |at: std::net::SocketAddr| {
        let mut shown = card("Babel", at);
        shown["skills"].as_array_mut().unwrap().push(json!({
            "id": "fake/secret", "name": "Secret", "description": "For those who are logged in.", "tags": ["x"],
        }));
        shown["signatures"] = json!([{"protected": "eyJhbGciOiJFUzI1NiJ9", "signature": "AAAA"}]);
        shown
    };
    let origin = Origin::start(move |asked, at| {
        let request: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        match (asked.line.as_str(), request["method"].as_str()) {
            ("GET /.well-known/agent-card.json", _) => Answer::json(&card("Babel", at)),
            ("GET /extendedAgentCard", _) => Answer::json(&extended(at)),
            (_, Some("GetExtendedAgentCard" | "agent/getAuthenticatedExtendedCard")) => {
                Answer::json(&json!({"jsonrpc": "2.0", "id": request["id"], "result": extended(at)}))
            }
            _ => reply(asked),
        }
    });
    let door = Door::to(&origin);
    let base = format!("http://{}/a2a/agents/{}/", door.two.api(), door.did);
    let rest = door.ask("GET", "extendedAgentCard", "").json();
    let rpc = door.ask("POST", "", &rpc("GetExtendedAgentCard", &json!({}))).json();
    let old = door.ask(
        "POST",
        "",
        &json!({"jsonrpc": "2.0", "id": 7, "method": "agent/getAuthenticatedExtendedCard"}).to_string(),
    );
    assert_eq!(rpc["id"], 7);
    for shown in [rest, rpc["result"].clone(), old.json()["result"].clone()] {
        assert_eq!(shown["skills"][1]["id"], "fake/secret", "{shown}");
        let interfaces = shown["supportedInterfaces"].as_array().unwrap();
        assert!(interfaces.iter().all(|interface| interface["url"] == *base), "{shown}");
        assert_ne!(shown["signatures"][0]["protected"], "eyJhbGciOiJFUzI1NiJ9", "{shown}");
        assert!(!shown.to_string().contains(&origin.address()), "{shown}");
    }
}
