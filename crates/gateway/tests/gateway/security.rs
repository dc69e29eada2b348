use althing_gateway::api::ProblemKind;

use crate::raw::{self, Raw};
use crate::samples::CARD_JSON;
use crate::scripted::Node;

#[tokio::test]
async fn a_missing_or_wrong_token_is_refused() {
    let node = Node::start().await;
    let token = node.token();
    for header in [
        None,
        Some("Authorization: Bearer".to_owned()),
        Some("Authorization: Bearer ".to_owned()),
        Some(format!("Authorization: Bearer {}", "0".repeat(64))),
        Some(format!("Authorization: Bearer {}", &token[1..])),
        Some(format!("Authorization: Bearer {token}0")),
        Some(format!("Authorization: Basic {token}")),
        Some(format!("Authorization: {token}")),
        Some(format!("Authorization: Bearer {token}\r\nAuthorization: Bearer {token}")),
    ] {
        let headers: Vec<&str> = header.iter().map(String::as_str).collect();
        let answer = raw::tcp(&node, "GET /v1/status", &headers, "").await;
        assert_eq!(answer.problem().kind(), Some(ProblemKind::Unauthorized), "{header:?}");
        assert_eq!(answer.headers["www-authenticate"], "Bearer realm=\"althing\"");
        assert!(!answer.body.contains(&token));
    }
    let answer = raw::tcp(&node, "GET /v1/status", &[&format!("authorization: bearer {token}")], "").await;
    assert_eq!(answer.status, 200, "the scheme is case-insensitive");
}

#[tokio::test]
async fn a_token_in_the_query_does_not_count() {
    let node = Node::start().await;
    let token = node.token();
    for path in ["/v1/status", "/v1/votes", "/v1/find"] {
        let line = format!("GET {path}?skill=a&token={token}&access_token={token}");
        let answer = raw::tcp(&node, &line, &[], "").await;
        assert_eq!(answer.problem().kind(), Some(ProblemKind::Unauthorized));
        assert!(!answer.body.contains(&token));
    }
}

#[tokio::test]
async fn a_foreign_host_is_refused_on_every_route() {
    let node = Node::start().await;
    let port = node.running.address().port();
    let token = format!("Authorization: Bearer {}", node.token());
    for path in ["/v1/status", "/metrics", "/livez", "/openapi.json", "/docs", "/v1/events", "/nowhere"] {
        for host in [
            "evil.example".to_owned(),
            format!("evil.example:{port}"),
            "127.0.0.1".to_owned(),
            "localhost".to_owned(),
            format!("127.0.0.1:{}", port.wrapping_add(1)),
            format!("localhost.evil.example:{port}"),
            format!("user@localhost:{port}"),
            format!("0.0.0.0:{port}"),
            String::new(),
        ] {
            let line = format!("GET {path}");
            let answer = raw::exactly(&node, &line, &[&format!("Host: {host}"), &token], "").await;
            assert_eq!(answer.problem().kind(), Some(ProblemKind::ForeignHost), "{path} {host}");
        }
    }
}

#[tokio::test]
async fn hosts_that_hide_from_the_check_are_refused() {
    let node = Node::start().await;
    let port = node.running.address().port();
    let ours = format!("Host: 127.0.0.1:{port}");
    let none = raw::exactly(&node, "GET /livez", &[], "").await;
    assert_eq!(none.problem().kind(), Some(ProblemKind::ForeignHost));
    let twice = raw::exactly(&node, "GET /livez", &[&ours, "Host: evil.example"], "").await;
    assert_eq!(twice.problem().kind(), Some(ProblemKind::ForeignHost));
    let absolute = raw::exactly(&node, "GET http://evil.example/livez", &[&ours], "").await;
    assert_eq!(absolute.problem().kind(), Some(ProblemKind::ForeignHost));
}

#[tokio::test]
async fn every_name_of_loopback_is_ours() {
    let node = Node::start().await;
    let port = node.running.address().port();
    for name in ["localhost", "127.0.0.1", "[::1]"] {
        let host = format!("Host: {name}:{port}");
        assert_eq!(raw::exactly(&node, "GET /livez", &[&host], "").await.status, 200);
        assert_eq!(raw::unix(&node, "GET /livez", &[&host]).await.status, 200);
    }
    assert_eq!(raw::unix(&node, "GET /livez", &["Host: localhost"]).await.status, 200);
    let foreign = raw::unix(&node, "GET /livez", &["Host: evil.example"]).await;
    assert_eq!(foreign.problem().kind(), Some(ProblemKind::ForeignHost));
}

#[tokio::test]
async fn a_foreign_origin_is_refused_on_every_route() {
    let node = Node::start().await;
    let port = node.running.address().port();
    for origin in [
        "https://evil.example".to_owned(),
        "null".to_owned(),
        String::new(),
        "http://localhost".to_owned(),
        format!("https://localhost:{port}"),
        format!("http://localhost:{port}.evil.example"),
        format!("http://localhost:{port}\r\nOrigin: https://evil.example"),
    ] {
        for line in [
            "GET /v1/status",
            "GET /metrics",
            "GET /docs",
            "GET /v1/events",
            "POST /v1/shutdown",
            "OPTIONS /v1/status",
        ] {
            let answer = raw::authorized(&node, line, &[&format!("Origin: {origin}")], "").await;
            assert_eq!(answer.problem().kind(), Some(ProblemKind::ForeignOrigin), "{line} {origin}");
            assert_no_cors(&answer);
        }
    }
    let own = format!("Origin: http://localhost:{port}");
    let answer = raw::authorized(&node, "GET /v1/status", &[&own], "").await;
    assert_eq!(answer.status, 200);
    assert_no_cors(&answer);
}

#[tokio::test]
async fn answers_are_not_cached_sniffed_or_framed() {
    let node = Node::start().await;
    for path in ["/v1/status", "/livez", "/docs", "/nowhere"] {
        let answer = raw::authorized(&node, &format!("GET {path}"), &[], "").await;
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert!(answer.headers["content-security-policy"].starts_with("default-src 'none'"));
    }
}

#[tokio::test]
async fn forms_that_a_web_page_can_send_are_refused() {
    let node = Node::start().await;
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonx"]
    {
        let header = format!("Content-Type: {kind}");
        let answer = raw::authorized(&node, "POST /v1/cards", &[&header], CARD_JSON).await;
        assert_eq!(answer.problem().kind(), Some(ProblemKind::MediaType), "{kind}");
    }
    let answer = raw::authorized(&node, "POST /v1/cards", &[], CARD_JSON).await;
    assert_eq!(answer.problem().kind(), Some(ProblemKind::MediaType));
    let header = "Content-Type: Application/JSON; charset=utf-8";
    assert_eq!(raw::authorized(&node, "POST /v1/cards", &[header], CARD_JSON).await.status, 201);
    assert_eq!(node.asks.lock().unwrap().len(), 2, "the default agent, and one card");
}

fn assert_no_cors(answer: &Raw) {
    assert!(answer.headers.keys().all(|name| !name.starts_with("access-control-")), "{answer:?}");
}
