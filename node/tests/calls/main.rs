//! The commands that call agents, as processes, against a door that answers as it is told.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod door;

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use self::door::{Answer, Door, End, card, nowhere, run};

const DID: &str = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";

fn task(state: &str) -> Value {
    json!({"id": "t", "contextId": "c", "status": {"state": format!("TASK_STATE_{state}")}})
}

fn made(state: &str) -> Value {
    let mut task = task(state);
    task["artifacts"] = json!([{"artifactId": "a", "name": "made", "parts": [{"text": "bonjour"}]}]);
    task["later"] = json!({"kept": [1.0, null]});
    task
}

#[tokio::test]
async fn a_message_is_sent_and_its_answer_shown() {
    let message =
        json!({"messageId": "m", "contextId": "c", "role": "ROLE_AGENT", "parts": [{"text": "hello"}]});
    let answer = json!({"message": message});
    let door = Door::open(card("1.0", false), {
        let answer = answer.clone();
        move |_| Answer::Result(answer.clone())
    });
    let words =
        ["send", DID, "--text", "hi", "--message-id", "n", "--bearer", "secret", "--svc-param", "x-a: b"];
    let text = door.run(&words).await.expect(0);
    assert_eq!(text.stdout(), "Message: m\nContext: c\nText:\n  hello\n\n");
    assert_eq!(text.stderr(), "");

    let seen = &door.seen()[0];
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", &*format!("/a2a/agents/{DID}/")));
    assert_eq!(
        seen.body,
        json!({"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": {
            "messageId": "n", "role": "ROLE_USER", "parts": [{"text": "hi"}],
        }}})
    );
    // The token of the API is not for agents.
    for (name, value) in [
        ("a2a-version", "1.0"),
        ("authorization", "Bearer secret"),
        ("x-a", "b"),
        ("accept", "application/json"),
    ] {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }

    let words = ["send", "--skill", "text/translate", "--text", "hi", "-o", "json"];
    assert_eq!(door.run(&words).await.expect(0).json(), answer);
    let seen = &door.seen()[1];
    assert_eq!(seen.target, "/a2a/skills/text~translate/");
    assert_eq!(seen.header("authorization"), None);
}

#[tokio::test]
async fn a_task_is_looked_at_until_it_has_ended() {
    let looks = AtomicUsize::new(0);
    let door = Door::open(card("1.0", true), move |seen| match seen.rpc() {
        "SendMessage" => Answer::Result(json!({"task": task("SUBMITTED")})),
        "GetTask" if looks.fetch_add(1, Ordering::SeqCst) < 2 => Answer::Result(task("WORKING")),
        "GetTask" => Answer::Result(made("COMPLETED")),
        other => panic!("{other}"),
    });
    let send = ["send", "babel", "--text", "hi", "--poll-interval", "10ms"];
    let text = door.run(&send).await.expect(0);
    assert_eq!(
        text.stdout(),
        "Task: t\nContext: c\nState: TASK_STATE_COMPLETED\nArtifact: made\nText:\n  bonjour\n\n"
    );
    assert_eq!(text.stderr(), "task t is under way; waiting\n");
    assert_eq!(door.seen().iter().filter(|seen| seen.rpc() == "GetTask").count(), 3);

    // What the agent says beyond A2A is kept.
    let json = door.run(&[&send[..], &["--json"]].concat()).await.expect(0);
    assert_eq!(json.json(), json!({"task": made("COMPLETED")}));
    let get = door.run(&["task", "get", "babel", "t", "--json"]).await.expect(0);
    assert_eq!(get.stdout().replace(['\n', ' '], ""), made("COMPLETED").to_string());
}

#[tokio::test]
async fn without_waiting_the_ids_come_at_once() {
    let door = Door::open(card("1.0", true), |_| Answer::Result(json!({"task": task("WORKING")})));
    let text = door.run(&["send", "babel", "--text", "hi", "--async"]).await.expect(0);
    assert_eq!(text.stdout(), "Task: t\nContext: c\nState: TASK_STATE_WORKING\n");
    assert!(text.stderr().starts_with("hint: `althing task get babel t --wait --home "), "{}", text.stderr());
    let seen = door.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].body["params"]["configuration"], json!({"returnImmediately": true}));
}

#[tokio::test]
async fn a_task_that_needs_something_ends_the_wait() {
    let door = Door::open(card("1.0", true), |_| Answer::Result(json!({"task": task("INPUT_REQUIRED")})));
    let run = door.run(&["send", "babel", "--text", "hi", "--json"]).await.expect(0);
    assert_eq!(run.json(), json!({"task": task("INPUT_REQUIRED")}));
    let said = run.stderr();
    assert!(
        said.contains("input required") && said.contains("`althing send babel --task-id t --text"),
        "{said}"
    );

    // The agent's verdict is no failure of the command.
    let door = Door::open(card("1.0", true), |_| Answer::Result(json!({"task": task("FAILED")})));
    let run = door.run(&["send", "babel", "--text", "hi"]).await.expect(0);
    assert!(run.stderr().contains("warning: the task is in the state \"failed\""), "{}", run.stderr());
}

#[tokio::test]
async fn ids_of_agents_are_no_commands_to_whoever_pastes_them() {
    let mut hostile = task("INPUT_REQUIRED");
    hostile["id"] = "x; rm\u{1b}[8m".into();
    let door = Door::open(card("1.0", true), move |_| Answer::Result(json!({"task": hostile})));
    let run = door.run(&["send", "babel", "--text", "hi"]).await.expect(0);
    assert!(run.stderr().contains("--task-id 'x; rm\u{fffd}[8m' --text"), "{}", run.stderr());
    assert!(!run.stdout().contains('\u{1b}'));
}

fn events() -> Vec<Value> {
    let update = |state: &str| json!({"statusUpdate": {"taskId": "t", "contextId": "c", "status": {"state": format!("TASK_STATE_{state}")}}});
    let artifact = json!({"artifactUpdate": {"taskId": "t", "contextId": "c", "append": true,
        "artifact": {"artifactId": "a", "parts": [{"text": "bon\njour"}]}}});
    vec![json!({"task": task("SUBMITTED")}), update("WORKING"), artifact, update("COMPLETED")]
}

#[tokio::test]
async fn a_stream_is_shown_event_by_event() {
    let door = Door::open(card("1.0", true), |_| Answer::Events(events(), End::Whole));
    let send = ["send", "babel", "--text", "hi", "--stream"];
    assert_eq!(door.run(&[&send[..], &["--json"]].concat()).await.expect(0).lines(), events());
    let text = door.run(&send).await.expect(0).stdout();
    assert!(text.contains("Artifact: a\nText:\n  bon\n  jour\n\n"), "{text}");
    assert!(text.ends_with("Task: t\nContext: c\nState: TASK_STATE_COMPLETED\n"), "{text}");
    let seen = &door.seen()[0];
    assert_eq!((seen.rpc(), seen.header("accept")), ("SendStreamingMessage", Some("text/event-stream")));

    let follow = door.run(&["task", "subscribe", "babel", "t", "--stream", "-o", "json"]).await.expect(0);
    assert_eq!(follow.lines(), events());
    assert_eq!(door.seen()[2].rpc(), "SubscribeToTask");
}

#[tokio::test]
async fn a_stream_that_ends_early_is_looked_after() {
    let door = Door::open(card("1.0", true), |seen| match seen.rpc() {
        "GetTask" => Answer::Result(made("COMPLETED")),
        _ => Answer::Events(events()[..2].to_vec(), End::Whole),
    });
    let lines = door.run(&["send", "babel", "--text", "hi", "--stream", "--json"]).await.expect(0).lines();
    assert_eq!(lines[2..], [json!({"task": made("COMPLETED")})]);
}

#[tokio::test]
async fn a_stream_that_breaks_ends_with_an_error_and_says_how_to_go_on() {
    let door = Door::open(card("1.0", true), |_| Answer::Events(events()[..2].to_vec(), End::Broken));
    let run = door.run(&["send", "babel", "--text", "hi", "--stream", "--json"]).await.expect(3);
    let lines = run.lines();
    assert_eq!(lines[..2], events()[..2]);
    assert_eq!(lines[2]["error"]["code"], "A2ACLI_ERR_UNREACHABLE");
    assert!(
        lines[2]["error"]["hint"].as_str().unwrap().contains("`althing task get babel t --wait"),
        "{lines:?}"
    );
}

#[tokio::test]
async fn an_agent_that_does_not_stream_is_called_and_its_answer_is_a_line() {
    let door = Door::open(card("1.0", false), |_| Answer::Result(json!({"task": made("COMPLETED")})));
    let run = door.run(&["send", "babel", "--text", "hi", "--stream", "--json"]).await.expect(0);
    assert_eq!(run.lines(), [json!({"task": made("COMPLETED")})]);
    assert_eq!(door.seen()[0].rpc(), "SendMessage");
}

#[tokio::test]
async fn tasks_are_listed_cancelled_and_waited_for() {
    let door = Door::open(card("1.0", true), |seen| match seen.rpc() {
        "ListTasks" => Answer::Result(
            json!({"tasks": [task("WORKING")], "nextPageToken": "", "pageSize": 5, "totalSize": 1}),
        ),
        "CancelTask" => Answer::Result(task("CANCELED")),
        "SubscribeToTask" => Answer::Events(events(), End::Whole),
        "GetTask" if seen.body["params"]["id"] == "done" => Answer::Result(made("COMPLETED")),
        "GetTask" => Answer::Result(task("WORKING")),
        other => panic!("{other}"),
    });
    let list =
        door.run(&["task", "list", "babel", "--status", "working", "--page-size", "5", "--json"]).await;
    assert_eq!(list.expect(0).json()["tasks"], json!([task("WORKING")]));
    assert_eq!(door.seen()[0].body["params"], json!({"status": "TASK_STATE_WORKING", "pageSize": 5}));
    let cancel = door.run(&["task", "cancel", "babel", "t"]).await.expect(0);
    assert_eq!(cancel.stdout(), "Task: t\nContext: c\nState: TASK_STATE_CANCELED\n");
    let done = door.run(&["task", "subscribe", "babel", "done", "--json"]).await.expect(0);
    assert_eq!(done.json(), made("COMPLETED"));
    let late =
        ["task", "get", "babel", "t", "--wait", "--poll-interval", "10ms", "--timeout", "500ms", "--json"];
    let late = door.run(&late).await.expect(5);
    assert_eq!(late.json()["error"]["code"], "A2ACLI_ERR_TIMEOUT");
    assert!(late.json()["error"]["hint"].as_str().unwrap().contains("althing task get babel t --wait"));
}

#[tokio::test]
async fn errors_keep_the_names_of_the_protocol() {
    let door = Door::open(card("1.0", true), |_| Answer::Error(-32001, "no such task"));
    let get = ["task", "get", "babel", "t"];
    let text = door.run(&get).await.expect(1);
    assert_eq!((text.stdout().as_str(), text.stderr().as_str()), ("", "error: no such task\n"));
    let json = door.run(&[&get[..], &["--json"]].concat()).await.expect(1);
    let expected =
        json!({"code": "TaskNotFoundError", "message": "no such task", "hint": null, "a2aCode": -32001});
    assert_eq!(json.lines(), [json!({"error": expected})]);

    let door = Door::open(card("1.0", true), |_| {
        let headers =
            vec![("content-type", "application/problem+json"), ("althing-error", "origin-unreachable")];
        Answer::Whole(502, headers, "{}".to_owned())
    });
    let down = door.run(&["send", "babel", "--text", "hi", "--json"]).await.expect(3);
    assert_eq!(down.json()["error"]["code"], "A2ACLI_ERR_UNREACHABLE");

    let door = Door::open(card("1.0", true), |_| Answer::Whole(401, Vec::new(), String::new()));
    let auth = door.run(&["send", "babel", "--text", "hi", "--json"]).await.expect(4);
    assert_eq!(auth.json()["error"]["code"], "A2ACLI_ERR_AUTH_FAILED");
}

#[tokio::test]
async fn no_node_and_no_answer_have_their_exit_codes() {
    let dir = tempfile::tempdir().unwrap();
    let down = run(&nowhere(&dir), &["send", DID, "--text", "hi", "--json"]).await.expect(3);
    assert_eq!(down.json()["error"]["code"], "A2ACLI_ERR_UNREACHABLE");

    let door = Door::open(card("1.0", false), |_| Answer::Silence);
    let late = door.run(&["send", "babel", "--text", "hi", "--json", "--timeout", "300ms"]).await.expect(5);
    assert_eq!(late.json()["error"]["code"], "A2ACLI_ERR_TIMEOUT");

    let door = Door::without_card(404);
    let absent = door.run(&["send", "babel", "--text", "hi", "--json"]).await.expect(3);
    assert_eq!(absent.json()["error"]["code"], "A2ACLI_ERR_CARD_NOT_FOUND");
    let door = Door::without_card(200);
    let wrong = door.run(&["send", "babel", "--text", "hi", "--json"]).await.expect(1);
    assert_eq!(wrong.json()["error"]["code"], "A2ACLI_ERR_CARD_INVALID");

    let usage = run(&nowhere(&dir), &["send", DID, "-o", "json"]).await.expect(2);
    assert_eq!(usage.json()["error"]["code"], "A2ACLI_ERR_USAGE");
    let both = run(&nowhere(&dir), &["send", DID, "--text", "hi", "--json", "-o", "text"]).await.expect(2);
    assert_eq!(both.json()["error"]["code"], "A2ACLI_ERR_USAGE");
}

#[tokio::test]
async fn agents_of_0_3_are_called_in_their_own_words() {
    let old = |state: &str| {
        json!({"kind": "task", "id": "t", "contextId": "c", "status": {"state": state}, "later": 1,
            "artifacts": [{"artifactId": "a", "parts": [{"kind": "text", "text": "bonjour"}]}]})
    };
    let door = Door::open(card("0.3", true), move |seen| match seen.rpc() {
        "message/send" => Answer::Result(old("working")),
        "tasks/get" => Answer::Result(old("completed")),
        "message/stream" => {
            let update = json!({"kind": "status-update", "taskId": "t", "contextId": "c", "final": true,
                "status": {"state": "completed"}});
            Answer::Events(vec![old("working"), update], End::Whole)
        }
        other => panic!("{other}"),
    });
    let new = json!({"task": {"id": "t", "contextId": "c", "status": {"state": "TASK_STATE_COMPLETED"}, "later": 1,
        "artifacts": [{"artifactId": "a", "parts": [{"text": "bonjour"}]}]}});
    let send = ["send", "babel", "--text", "hi", "--json", "--poll-interval", "10ms"];
    assert_eq!(door.run(&send).await.expect(0).json(), new);
    let seen = &door.seen()[0];
    assert_eq!(seen.header("a2a-version"), Some("0.3"));
    assert_eq!(seen.body["params"]["message"]["parts"], json!([{"kind": "text", "text": "hi"}]));
    let lines = door.run(&[&send[..], &["--stream"]].concat()).await.expect(0).lines();
    assert_eq!(lines[1]["statusUpdate"]["status"]["state"], "TASK_STATE_COMPLETED");
    let list = door.run(&["task", "list", "babel", "--json"]).await.expect(1);
    assert_eq!(list.json()["error"]["code"], "UnsupportedOperationError");
}

#[tokio::test]
async fn an_agent_with_nothing_but_paths_is_called_by_them() {
    let mut rest = card("1.0", true);
    rest["supportedInterfaces"][0]["protocolBinding"] = "HTTP+JSON".into();
    rest["securitySchemes"] = json!({"key": {"apiKeySecurityScheme": {"location": "query", "name": "k"}}});
    let door = Door::open(rest, |seen| match seen.target.as_str() {
        "/a2a/agents/babel/message:send?k=s%20t" => {
            Answer::Whole(200, Vec::new(), json!({"task": made("COMPLETED")}).to_string())
        }
        "/a2a/agents/babel/tasks/no?historyLength=1" => {
            let error = json!({"error": {"code": 404, "status": "NOT_FOUND", "message": "none", "details": [
                {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "TASK_NOT_FOUND", "domain": "a2a-protocol.org"},
            ]}});
            Answer::Whole(404, vec![("content-type", "application/json")], error.to_string())
        }
        other => panic!("{other}"),
    });
    let send = door.run(&["send", "babel", "--text", "hi", "--json", "--api-key", "s t"]).await.expect(0);
    assert_eq!(send.json(), json!({"task": made("COMPLETED")}));
    let get = door.run(&["task", "get", "babel", "no", "--history", "1", "--json"]).await.expect(1);
    assert_eq!(get.json()["error"]["code"], "TaskNotFoundError");
}

#[tokio::test]
async fn a_card_is_verified_without_a_node() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("card.json");
    std::fs::write(&file, r#"{"name":"x","signatures":[{"protected":"e30","signature":"AA"}]}"#).unwrap();
    let words = ["card", "verify", &file.display().to_string()];
    let text = run(&nowhere(&dir), &words).await.expect(6);
    assert!(text.stdout().starts_with("invalid      signature  it names no algorithm"), "{}", text.stdout());
    let json = run(&nowhere(&dir), &[&words[..], &["--json"]].concat()).await.expect(6).json();
    assert_eq!((&json["schema"], &json["valid"]), (&json!("althing.card-verification/v1"), &json!(false)));
    std::fs::write(&file, r#"{"name":"x"}"#).unwrap();
    assert_eq!(run(&nowhere(&dir), &words).await.expect(0).stdout(), "no signatures\n");
}
