//! Doors to agents, at a node that reaches nobody.

use serde_json::Value;

use crate::raw;
use crate::samples::HOSTED;
use crate::scripted::{Node, Script};

const RPC: &str = r#"{"jsonrpc":"2.0","id":"seven","method":"SendMessage","params":{}}"#;
const JSON: &str = "Content-Type: application/json";

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test]
async fn a_failure_has_the_form_that_the_client_reads() {
    let node = Node::start().await;
    for path in ["/a2a/agents/nobody/", "/a2a/agents/nobody", "/a2a/agents/did:key:z6Mk/"] {
        let rpc = raw::tcp(&node, &format!("POST {path}"), &[JSON], RPC).await;
        assert_eq!((rpc.status, rpc.headers["althing-error"].as_str()), (200, "agent-not-found"), "{path}");
        let error = json(&rpc.body);
        assert_eq!((&error["id"], &error["error"]["code"]), (&"seven".into(), &(-32_603).into()), "{path}");
        assert_eq!(error["error"]["data"][0]["reason"], "AGENT_NOT_FOUND");
    }
    let rest = raw::tcp(&node, "POST /a2a/agents/nobody/message:send", &[JSON], "{}").await;
    assert_eq!((rest.status, rest.headers["althing-error"].as_str()), (404, "agent-not-found"));
    assert_eq!(json(&rest.body)["error"]["status"], "NOT_FOUND");
    for path in ["/a2a", "/a2a/agents/", "/a2a/elsewhere/x"] {
        assert!(
            (400..500).contains(&raw::tcp(&node, &format!("GET {path}"), &[], "").await.status),
            "{path}"
        );
    }
}

#[tokio::test]
async fn an_agent_with_a_card_of_another_kind_is_not_called() {
    let node = Node::start().await;
    // The sample's card is one that was published and not exposed.
    let answer =
        raw::tcp(&node, &format!("GET /a2a/agents/{HOSTED}/"), &["Accept: application/json"], "").await;
    assert_eq!((answer.status, answer.headers["althing-error"].as_str()), (404, "not-exposed"));
    node.play(Script::Refuse(althing_engine::RefusalKind::NotFound));
    let answer =
        raw::tcp(&node, &format!("GET /a2a/agents/{HOSTED}/"), &["Accept: application/json"], "").await;
    assert_eq!(answer.headers["althing-error"], "agent-not-found");
}

#[tokio::test]
async fn no_web_page_comes_through_a_door() {
    let node = Node::start().await;
    let foreign = raw::tcp(&node, "POST /a2a/agents/x/", &[JSON, "Origin: https://evil.example"], RPC).await;
    assert_eq!(foreign.status, 403);
    let rebound = raw::exactly(&node, "POST /a2a/agents/x/", &["Host: evil.example"], "").await;
    assert_eq!(rebound.status, 421);
}

#[tokio::test]
async fn what_is_exposed_is_in_the_catalog() {
    let node = Node::start().await;
    let empty = raw::tcp(&node, "GET /.well-known/ai-catalog.json", &[], "").await;
    assert_eq!(json(&empty.body)["entries"], Value::Array(Vec::new()));
    assert_eq!(raw::tcp(&node, "GET /.well-known/agent-card.json", &[], "").await.status, 404);
    let wish = r#"{"echo":true,"name":"babel"}"#;
    assert_eq!(raw::authorized(&node, "POST /v1/exposures", &[JSON], wish).await.status, 201);
    let catalog = raw::tcp(&node, "GET /.well-known/ai-catalog.json", &[], "").await;
    let entry = &json(&catalog.body)["entries"][0];
    assert_eq!(entry["identifier"], HOSTED.to_string());
    let port = node.running.address().port();
    let url = format!("http://127.0.0.1:{port}/a2a/agents/{HOSTED}/.well-known/agent-card.json");
    assert_eq!(entry["url"], url);
}
