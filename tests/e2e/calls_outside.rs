//! Agents outside of the mesh, called by their cards, without a node.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use althing_tests::{Answer, Asked, Flood, Home, Node, Origin, Run, card, run};
use serde_json::{Value, json};

const TOKEN: &str = "open-sesame";

fn send(card: &str, more: &[&str]) -> Run {
    run(&[&["send", "--agent-card", card, "--text", "hi"], more].concat())
}

/// The code in the error object of a call that ended with this exit code.
fn refused(card: &str, more: &[&str], code: i32) -> (String, Run) {
    let run = send(card, &[more, &["--json"]].concat()).expect(code);
    let error: Value = serde_json::from_str(&run.stdout).unwrap();
    (error["error"]["code"].as_str().unwrap().to_owned(), run)
}

/// An agent by both bindings, whose answers name the request.
fn agent(asked: &Asked, at: SocketAddr) -> Answer {
    if asked.line.starts_with("GET /.well-known/agent-card.json") {
        return Answer::json(&card("Outside", at));
    }
    let came: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    let (method, is_rpc) = match came["method"].as_str() {
        Some(method) => (method.to_owned(), true),
        None => (asked.line.clone(), false),
    };
    let wrapped = |result: Value| {
        if is_rpc { json!({"jsonrpc": "2.0", "id": came["id"], "result": result}) } else { result }
    };
    let said = |state: &str| {
        let message = json!({"messageId": "m", "role": "ROLE_AGENT", "parts": [{"text": method}]});
        json!({"id": "7", "contextId": "c", "status": {"state": state, "message": message}})
    };
    match method.as_str() {
        "SendStreamingMessage" | "POST /message:stream" => {
            let working = wrapped(json!({"task": said("TASK_STATE_WORKING")}));
            let completed = wrapped(json!({"task": said("TASK_STATE_COMPLETED")}));
            let events = format!(": hello\n\ndata: {working}\n\ndata: {completed}\n\n");
            Answer::Reply(200, "text/event-stream", String::new(), events.into_bytes())
        }
        "GetTask" | "GET /tasks/7" => Answer::json(&wrapped(said("TASK_STATE_COMPLETED"))),
        _ => Answer::json(&wrapped(json!({"task": said("TASK_STATE_COMPLETED")}))),
    }
}

#[test]
fn an_agent_is_called_by_its_card_without_a_node() {
    let origin = Origin::start(agent);
    let said = send(&origin.url(), &[]).expect(0);
    assert!(said.stdout.contains("SendMessage") && said.stderr.is_empty(), "{said:#?}");
    let rest = send(&origin.url(), &["--transport", "HTTP+JSON"]).expect(0);
    assert!(rest.stdout.contains("POST /message:send"), "{rest:#?}");
    for (binding, name) in [("JSONRPC", "SendStreamingMessage"), ("HTTP+JSON", "POST /message:stream")] {
        let run = send(&origin.url(), &["--stream", "--json", "--transport", binding]).expect(0);
        let events: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let states: Vec<_> = events.iter().map(|event| &event["task"]["status"]["state"]).collect();
        assert_eq!(states, ["TASK_STATE_WORKING", "TASK_STATE_COMPLETED"], "{run:#?}");
        assert_eq!(events[0]["task"]["status"]["message"]["parts"][0]["text"], name);
    }
    for binding in ["JSONRPC", "HTTP+JSON"] {
        let words = ["task", "get", "7", "--agent-card", &origin.url(), "--transport", binding, "--json"];
        let task: Value = serde_json::from_str(&run(&words).expect(0).stdout).unwrap();
        assert_eq!(task["id"], "7");
    }
    let calls = origin.calls();
    assert!(calls.iter().all(|asked| asked.header("a2a-version") == ["1.0"]), "{calls:#?}");
}

#[test]
fn a_card_may_be_a_file_and_its_query_stays() {
    let home = Home::new();
    let origin = Origin::start(agent);
    let mut written = card("File", origin.address().parse().unwrap());
    written["supportedInterfaces"][0]["url"] = json!(format!("{}/rpc/?assistant=7", origin.url()));
    let schemes = json!({"key": {"apiKeySecurityScheme": {"location": "query", "name": "key"}}});
    written["securitySchemes"] = schemes;
    let path = home.join("card.json").display().to_string();
    std::fs::write(&path, written.to_string()).unwrap();
    let run = send(&path, &["--api-key", TOKEN, "--debug"]).expect(0);
    let calls = origin.asked();
    assert_eq!(calls.len(), 1, "no card is fetched: {calls:#?}");
    assert_eq!(calls[0].line, format!("POST /rpc/?assistant=7&key={TOKEN}"));
    let _ = run.clone().says(&format!("> POST {}/rpc/ (", origin.url()));
    assert!(!run.stderr.contains(TOKEN), "{run:#?}");
}

#[test]
fn what_the_command_does_is_told_without_what_is_secret() {
    let origin = Origin::start(agent);
    let quiet = send(&origin.url(), &["--bearer", TOKEN, "--json"]).expect(0);
    let told = send(&origin.url(), &["--bearer", TOKEN, "--json", "--verbose"]).expect(0);
    assert_eq!(quiet.stdout, told.stdout);
    let told = told
        .says(&format!("> GET {}/.well-known/agent-card.json\n< 200 in ", origin.url()))
        .says("the agent \"Outside\" speaks JSONRPC of A2A 1.0 at ")
        .says(&format!("> POST {}/\n< 200 in ", origin.url()));
    let more = send(&origin.url(), &["--bearer", TOKEN, "--debug"]).expect(0);
    let more = more.says("< 200 application/json from ").says(" bytes)");
    assert!(![told, more].iter().any(|run| run.stderr.contains(TOKEN)));
    assert_eq!(origin.calls()[0].header("authorization"), [format!("Bearer {TOKEN}")]);

    let home = Home::new();
    let node = Node::up(&home.join("n"), &[]);
    let status = node.run(&["status", "--debug"]).expect(0);
    let token = std::fs::read_to_string(home.join("n").join("api.token")).unwrap();
    let status = status.says("> GET /livez").says("> GET /v1/status (0 bytes)\n< 200 application/json from ");
    assert!(!status.stderr.contains(token.trim()));
    let absent = run(&["--home", &home.join("none").display().to_string(), "status", "--verbose"]).expect(3);
    assert!(!absent.stderr.contains("> "), "{absent:#?}");
}

#[test]
fn what_is_no_card_is_named() {
    let html = Origin::start(|_, _| Answer::html(200));
    let (code, run) = refused(&html.url(), &[], 1);
    assert_eq!(code, "A2ACLI_ERR_CARD_INVALID");
    let _ = run.says("is not a valid agent card").says("is not JSON");
    let other = Origin::start(|_, _| Answer::json(&json!({"openapi": "3.1.0"})));
    let (code, run) = refused(&other.url(), &[], 1);
    assert_eq!(code, "A2ACLI_ERR_CARD_INVALID");
    let _ = run.says("name is missing").says("url is missing");
    let nothing = Origin::start(|_, _| Answer::html(404));
    let (code, run) = refused(&nothing.url(), &[], 3);
    assert_eq!(code, "A2ACLI_ERR_CARD_NOT_FOUND");
    let _ = run.says("404");
    let huge =
        Origin::start(|_, _| Answer::Reply(200, "application/json", String::new(), vec![b' '; 300_000]));
    let (_, run) = refused(&huge.url(), &[], 1);
    let _ = run.says("has more than 262144 bytes");
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, run) = refused(&format!("http://{free}"), &[], 3);
    assert_eq!(code, "A2ACLI_ERR_CARD_NOT_FOUND");
    let _ = run.says(&free.to_string());
    let silent = Origin::start(|_, _| Answer::Never);
    let (code, _) = refused(&silent.url(), &["--timeout", "1s"], 5);
    assert_eq!(code, "A2ACLI_ERR_TIMEOUT");
    let plain = Origin::start(agent);
    let (_, run) = refused(&plain.url().replace("http", "https"), &["--insecure"], 3);
    let _ = run.says("warning: ").says("cannot be reached");

    let home = Home::new();
    let path = home.join("card.json").display().to_string();
    let _ = send(&path, &[]).expect(1).says(&path);
    for (bytes, said) in [(b"{}".to_vec(), "name is missing"), (vec![b' '; 300_000], "bytes, at most 15360")]
    {
        std::fs::write(&path, bytes).unwrap();
        let (code, run) = refused(&path, &[], 1);
        assert_eq!(code, "A2ACLI_ERR_CARD_INVALID");
        let _ = run.says(said);
    }
}

#[test]
fn answers_that_are_none_are_named_and_nobody_else_is_asked() {
    /// An agent that answers calls with this.
    fn answering(answer: impl Fn() -> Answer + Send + Sync + 'static) -> Origin {
        Origin::start(move |asked, at| match asked.line.starts_with("GET /.well-known/") {
            true => Answer::json(&card("Odd", at)),
            false => answer(),
        })
    }
    for more in [&[][..], &["--stream"]] {
        let html = answering(|| Answer::html(200));
        let (code, run) = refused(&html.url(), more, 1);
        assert_eq!(code, "InvalidAgentResponseError");
        let _ = run.says("is not JSON");
        let closed = answering(|| Answer::html(401));
        let (code, run) = refused(&closed.url(), more, 4);
        assert_eq!(code, "A2ACLI_ERR_AUTH_FAILED");
        let _ = run.says("--bearer");

        let target = Origin::start(agent);
        let to = target.url();
        let redirect =
            answering(move || Answer::Reply(307, "text/plain", format!("Location: {to}/\r\n"), Vec::new()));
        let (_, run) = refused(&redirect.url(), &[more, &["--bearer", TOKEN]].concat(), 1);
        let _ = run.says(&target.url()).says("redirects are not followed");
        assert!(target.asked().is_empty());
    }
    let flood = Arc::<Flood>::default();
    let shared = Arc::clone(&flood);
    let long = answering(move || Answer::Flood(1 << 30, Arc::clone(&shared)));
    let (code, run) = refused(&long.url(), &[], 1);
    assert_eq!(code, "InvalidAgentResponseError");
    let _ = run.says("has more than 33554432 bytes");
    let bad =
        answering(|| Answer::Reply(200, "text/event-stream", String::new(), b"data: \xff\n\n".to_vec()));
    let (code, run) = refused(&bad.url(), &["--stream"], 1);
    assert_eq!(code, "InvalidAgentResponseError");
    let _ = run.says("not UTF-8");
    // What the card names is elsewhere, on this machine as the card is.
    let origin = Origin::start(agent);
    let address = origin.address().parse().unwrap();
    let elsewhere = Origin::start(move |_, _| Answer::json(&card("Elsewhere", address)));
    let _ = send(&elsewhere.url(), &[]).expect(0);
    assert_eq!(origin.calls().len(), 1);
}

#[test]
fn certificates_are_checked_unless_such_an_agent_is_not_to_be() {
    let did = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";
    for words in [
        &["send", did, "--text", "x", "--insecure"][..],
        &["send", "--agent-card", did, "--text", "x", "--insecure"],
        &["send", "--agent-card", "http://127.0.0.1:9/", "--text", "x", "--insecure"],
        &["send", "--agent-card", "card.json", "--text", "x", "--insecure"],
        &["task", "list", "--insecure", "--skill", "text"],
    ] {
        let _ = run(words).expect(2).says("--");
    }
}
