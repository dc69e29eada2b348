use std::collections::BTreeSet;

use althing_engine::RefusalKind;
use serde_json::Value;

use crate::raw::{self, Raw};
use crate::samples::{CARD_JSON, HOSTED, PROPOSAL};
use crate::scripted::{Node, SHORT, Script};

const JSON: &str = "Content-Type: application/json";

/// One operation of the OpenAPI document.
struct Operation {
    method: String,
    path: String,
    statuses: BTreeSet<u16>,
    secured: bool,
}

impl Operation {
    async fn all(node: &Node) -> Vec<Self> {
        let document = node.client().await.openapi().await.unwrap();
        let mut all = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let statuses = operation["responses"].as_object().unwrap().keys();
                all.push(Self {
                    method: method.to_uppercase(),
                    path: path.clone(),
                    statuses: statuses.map(|status| status.parse().unwrap()).collect(),
                    secured: operation["security"].as_array().is_some_and(|schemes| !schemes.is_empty()),
                });
            }
        }
        all
    }

    fn line(&self) -> String {
        let path = self.path.replace("{did}", &HOSTED.to_string()).replace("{id}", &PROPOSAL.to_string());
        let path =
            path.replace("{task}", &"07".repeat(16)).replace("{name}", "babel").replace("{number}", "1");
        let query = match (self.method.as_str(), path.as_str()) {
            (_, "/v1/find") => "?skill=text",
            (_, "/v1/ping") => "?agent=did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp",
            ("GET", "/v1/store/checkpoint") => "?file=CURRENT",
            _ => "",
        };
        format!("{} {path}{query}", self.method)
    }

    /// The same, of a stream one that ends.
    fn ending_line(&self) -> String {
        let end = match self.path.as_str() {
            "/v1/events" => "?follow=false",
            "/v1/calls" => "?limit=0",
            _ => "",
        };
        self.line() + end
    }

    fn body(&self) -> &'static [u8] {
        match (self.method.as_str(), self.path.as_str()) {
            ("POST", "/v1/cards") => CARD_JSON.as_bytes(),
            ("POST", "/v1/exposures") => b"{\"echo\":true}",
            ("POST", "/v1/votes") => b"{\"question\":\"a\",\"voters\":[],\"method\":\"unanimous\"}",
            ("POST", "/v1/dockets") => {
                b"{\"terms\":{\"question\":\"a\",\"voters\":[],\"method\":\"unanimous\"},\"questions\":[{\"question\":\"b\"}]}"
            }
            ("POST", "/v1/dockets/{id}/ballots") => b"{\"others\":\"yes\"}",
            ("POST", "/v1/votes/{id}/ballots") => b"{\"choice\":\"yes\"}",
            ("POST", "/v1/receipts/{task}/rating") => b"{\"quality\":90}",
            ("POST", "/v1/groups") => b"{\"name\":\"a\"}",
            ("POST", "/v1/groups/{id}/changes") => {
                b"{\"change\":\"invite\",\"about\":\"did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp\"}"
            }
            ("POST", "/v1/groups/{id}/votes") => {
                b"{\"change\":\"remove\",\"about\":\"did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp\"}"
            }
            ("POST", "/v1/groups/{id}/joinings") => b"{}",
            ("POST", "/v1/groups/{id}/resolutions") => {
                b"{\"keep\":\"0101010101010101010101010101010101010101010101010101010101010101\"}"
            }
            ("POST", "/v1/store/records") => b"\x81\x41\x00",
            _ => b"",
        }
    }

    fn content_type(&self) -> &'static str {
        if self.path == "/v1/store/records" { "Content-Type: application/cbor" } else { JSON }
    }

    /// Provokes a documented error.
    async fn provoke(&self, node: &Node, status: u16) -> Raw {
        let (line, body, of) = (self.line(), self.body(), self.content_type());
        let refuse = |kind| node.play(Script::Refuse(kind));
        match status {
            // The engine says what is wrong with a card, and the keystore with a name.
            400 if line.starts_with("POST /v1/cards") || line.ends_with("/rotation") => {
                refuse(RefusalKind::Invalid)
            }
            400 if !body.is_empty() => return raw::authorized(node, &line, &[of], "{").await,
            400 if self.path.contains('{') => {
                let line =
                    format!("{} {}", self.method, self.path.replace("{did}", "x").replace("{id}", "x"));
                return raw::authorized(node, &line, &[], "").await;
            }
            400 => {
                let separator = if line.contains('?') { '&' } else { '?' };
                return raw::authorized(node, &format!("{line}{separator}bogus=1"), &[], "").await;
            }
            401 => return raw::tcp(node, &line, &[of], body).await,
            403 => return raw::authorized(node, &line, &[of, "Origin: https://evil.example"], body).await,
            408 => return raw::authorized(node, &line, &[of, "Content-Length: 9"], "{").await,
            413 => return raw::authorized(node, &line, &[of, "Content-Length: 9999999"], "").await,
            415 => return raw::authorized(node, &line, &["Content-Type: text/plain"], body).await,
            421 => return raw::exactly(node, &line, &["Host: evil.example"], body).await,
            404 if self.path == "/v1/calls" => {
                return raw::authorized(node, "GET /v1/calls?agent=nobody", &[], "").await;
            }
            404 => refuse(RefusalKind::NotFound),
            409 => refuse(RefusalKind::NotReady),
            500 => refuse(RefusalKind::Internal),
            503 => refuse(RefusalKind::Busy),
            504 => refuse(RefusalKind::Timeout),
            other => panic!("{line}: no idea how to provoke {other}"),
        }
        let answer = raw::authorized(node, &line, &[of], body).await;
        node.play(Script::Answer);
        answer
    }
}

#[tokio::test]
async fn every_route_answers_as_documented() {
    let node = Node::with(|config| config.body_timeout = SHORT).await;
    let mut operations = 0;
    for operation in Operation::all(&node).await {
        let line = operation.line();
        let good =
            raw::authorized(&node, &operation.ending_line(), &[operation.content_type()], operation.body())
                .await;
        assert!((200..300).contains(&good.status), "{line}: {good:?}");
        assert!(operation.statuses.contains(&good.status), "{line}: {} is not documented", good.status);
        assert_eq!(operation.path.starts_with("/v1/"), operation.secured, "{line}: token");
        assert_eq!(operation.secured, operation.statuses.contains(&401), "{line}: 401");
        for status in operation.statuses.iter().copied().filter(|status| *status >= 400) {
            if !operation.secured && status == 503 {
                continue; // The probes' own answer, tested with the client.
            }
            if operation.path == "/v1/calls" && status == 503 {
                continue; // Too many streams, tested with events.
            }
            let answer = operation.provoke(&node, status).await;
            assert_eq!(answer.status, status, "{line}: {answer:?}");
            answer.problem();
        }
        operations += 1;
    }
    assert_eq!(operations, 8 + 50, "a route is missing in the document, or in this test");
}

#[tokio::test]
async fn a_score_that_is_given_twice_is_refused_by_name() {
    let node = Node::start().await;
    let line = format!("POST /v1/votes/{PROPOSAL}/ballots");
    let body = r#"{"score":{"Oslo":5,"Turku":1,"Oslo":4}}"#;
    let answer = raw::authorized(&node, &line, &[JSON], body).await;
    assert_eq!(answer.status, 400);
    let problem = answer.problem();
    assert!(problem.detail.contains("\"Oslo\" is given twice"), "{problem:?}");
}

#[tokio::test]
async fn a_repeated_ballot_answers_as_documented() {
    let node = Node::start().await;
    let ballot = crate::samples::BALLOT;
    node.play(Script::Say(althing_engine::Answer::Cast { ballot, repeated: true }));
    let body = format!("{{\"choice\":\"yes\",\"agent\":\"{HOSTED}\"}}");
    let line = format!("POST /v1/votes/{PROPOSAL}/ballots");
    let answer = raw::authorized(&node, &line, &[JSON], &body).await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("\"repeated\":true"));
}

#[tokio::test]
async fn every_json_answer_begins_with_its_schema() {
    let node = Node::start().await;
    for operation in Operation::all(&node).await {
        let answer = raw::authorized(&node, &operation.ending_line(), &[JSON], operation.body()).await;
        if answer.headers["content-type"] == "application/json" && operation.path != "/openapi.json" {
            assert!(answer.body.starts_with("{\"schema\":\"althing."), "{}: {}", operation.path, answer.body);
        }
    }
}

#[tokio::test]
async fn references_in_the_document_lead_somewhere() {
    let node = Node::start().await;
    let document = node.client().await.openapi().await.unwrap();
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(references.contains(&"#/components/schemas/Problem".to_owned()));
    for reference in references {
        assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
    }
    let certificate = &document["paths"]["/v1/votes/{id}/certificate"]["get"]["responses"]["200"];
    assert_eq!(certificate["content"]["application/cbor"], serde_json::json!({}));
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    assert_eq!(document["paths"]["/v1/shutdown"]["post"]["security"][0]["bearer"][0], "admin");
    assert_eq!(document["paths"]["/v1/status"]["get"]["security"][0]["bearer"][0], "read");
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let node = Node::start().await;
    for path in ["/", "/v1", "/v1/nothing", "/v2/status", "/v1/status/", "/v1/cards", "/%ff"] {
        let answer = raw::tcp(&node, &format!("GET {path}"), &[], "").await;
        let expected = if path == "/v1/cards" { 405 } else { 404 };
        assert_eq!(answer.problem().status, expected, "{path}");
    }
    let answer = raw::tcp(&node, "DELETE /v1/votes", &[], "").await;
    assert_eq!(answer.problem().status, 405);
    let allowed: BTreeSet<&str> = answer.headers["allow"].split(',').collect();
    assert_eq!(allowed, BTreeSet::from(["GET", "HEAD", "POST"]));
    let answer = raw::authorized(&node, "GET /v1/votes/%ff", &[], "").await;
    assert_eq!(answer.problem().status, 400);
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            references.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|value| collect(value, references));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, references)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
