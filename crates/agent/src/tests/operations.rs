use althing_a2a::{OriginCard, check_portable};

use super::*;

const DID: &str = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK";

#[tokio::test]
async fn an_echo_answers_a_completed_task_with_every_kind_of_part() {
    let agent = BuiltinAgent::echo();
    let sent = json!([
        {"text": "a \"b\"\n\u{0}þ c", "mediaType": "text/plain", "metadata": {"k": 1}},
        {"data": {"n": [1, null, true]}},
        {"raw": "AAEC", "filename": "x.bin", "mediaType": "application/octet-stream"},
        {"url": "https://example.org/x"},
        {"text": ""},
    ]);
    let by_rpc = call(&agent, "SendMessage", parts(sent.clone())).await;
    let (status, by_rest) = Asked::new(Method::POST, "/message:send", parts(sent.clone())).to(&agent).await;
    assert_eq!(status, StatusCode::OK);
    for task in [&by_rpc["task"], &by_rest["task"]] {
        assert_eq!(state(task), "TASK_STATE_COMPLETED");
        assert_eq!(task["artifacts"].as_array().unwrap().len(), 1);
        assert_eq!(task["artifacts"][0]["parts"], sent);
        assert_eq!(task["history"][0]["messageId"], "m1");
        assert_eq!(task["history"][0]["taskId"], task["id"]);
        assert!(task["status"]["timestamp"].as_str().unwrap().ends_with('Z'));
    }
    assert_ne!(by_rpc["task"]["id"], by_rest["task"]["id"]);
    assert_ne!(by_rpc["task"]["contextId"], by_rest["task"]["contextId"]);
}

#[tokio::test]
async fn an_echo_streams_the_task_working_pieces_and_its_end_in_this_order() {
    let agent = BuiltinAgent::echo();
    let text = "one two  three\nfour five six seven eight nine ten ";
    let events = Asked::rpc("SendStreamingMessage", message(text)).stream(&agent).await.all().await;
    assert!(events.iter().all(|event| event["jsonrpc"] == "2.0" && event["id"] == 7));
    let results: Vec<_> = events.iter().map(|event| &event["result"]).collect();
    let (first, last) = (results[0], results[results.len() - 1]);
    assert_eq!(state(&first["task"]), "TASK_STATE_SUBMITTED");
    assert!(first["task"].get("artifacts").is_none());
    assert_eq!(state(&results[1]["statusUpdate"]), "TASK_STATE_WORKING");
    assert_eq!(state(&last["statusUpdate"]), "TASK_STATE_COMPLETED");
    let pieces: Vec<_> =
        results[2..results.len() - 1].iter().map(|result| &result["artifactUpdate"]).collect();
    assert_eq!(pieces.len(), 8);
    for (place, piece) in pieces.iter().enumerate() {
        assert_eq!(piece["taskId"], first["task"]["id"]);
        assert_eq!(piece["artifact"]["artifactId"], pieces[0]["artifact"]["artifactId"]);
        assert_eq!(piece["append"] == true, place > 0);
        assert_eq!(piece["lastChunk"] == true, place == 7);
    }
    let joined: String =
        pieces.iter().map(|piece| piece["artifact"]["parts"][0]["text"].as_str().unwrap()).collect();
    assert_eq!(joined, text);
    let task = call(&agent, "GetTask", json!({"id": first["task"]["id"]})).await;
    assert_eq!((output(&task), state(&task)), (text, "TASK_STATE_COMPLETED"));
}

#[tokio::test]
async fn http_json_streams_the_same_without_the_envelope_of_json_rpc() {
    let agent = BuiltinAgent::echo();
    let asked = Asked::new(Method::POST, "/message:stream", message("a b"));
    let kinds: Vec<_> = asked.stream(&agent).await.all().await;
    let kinds: Vec<_> = kinds.iter().map(|event| event.as_object().unwrap().keys().next().unwrap()).collect();
    assert_eq!(kinds, ["task", "statusUpdate", "artifactUpdate", "artifactUpdate", "statusUpdate"]);
}

#[tokio::test]
async fn a_task_is_got_with_as_much_history_as_is_asked_for() {
    let agent = BuiltinAgent::echo();
    let task = send(&agent, "a").await;
    let id = task["id"].as_str().unwrap();
    assert_eq!(call(&agent, "GetTask", json!({"id": id})).await, task);
    assert_eq!(call(&agent, "GetTask", json!({"id": id, "historyLength": 3})).await, task);
    assert!(call(&agent, "GetTask", json!({"id": id, "historyLength": 0})).await.get("history").is_none());
    assert_eq!(error(&agent, "GetTask", json!({"id": id, "historyLength": -1})).await, -32602);
    let (status, by_rest) =
        Asked::new(Method::GET, &format!("/tasks/{id}?historyLength=0"), "").to(&agent).await;
    assert_eq!((status, &by_rest["id"], by_rest.get("history")), (StatusCode::OK, &task["id"], None));
}

#[tokio::test]
async fn tasks_are_listed_in_pages_the_last_changed_first() {
    let agent = BuiltinAgent::echo();
    let mut sent = Vec::new();
    for _ in 0..5 {
        sent.push(send(&agent, "a").await["id"].clone());
    }
    let (mut listed, mut token) = (Vec::new(), json!(""));
    loop {
        let page = call(&agent, "ListTasks", json!({"pageSize": 2, "pageToken": token})).await;
        assert_eq!((&page["pageSize"], &page["totalSize"]), (&json!(2), &json!(5)));
        let tasks = page["tasks"].as_array().unwrap();
        assert!(tasks.iter().all(|task| task.get("artifacts").is_none()));
        listed.extend(tasks.iter().map(|task| task["id"].clone()));
        token = page["nextPageToken"].clone();
        if token == "" {
            break;
        }
    }
    sent.reverse();
    assert_eq!(listed, sent);
    let all = call(&agent, "ListTasks", json!({"includeArtifacts": true})).await;
    assert_eq!((&all["pageSize"], output(&all["tasks"][0])), (&json!(50), "a"));
    for (wrong, value) in [("pageSize", json!(0)), ("pageSize", json!(101)), ("pageToken", json!("x"))] {
        assert_eq!(error(&agent, "ListTasks", json!({wrong: value})).await, -32602, "{wrong}");
    }
}

#[tokio::test]
async fn lists_are_narrowed_by_context_state_and_time() {
    let agent = BuiltinAgent::echo();
    let mut params = message("a");
    params["message"]["contextId"] = json!("c1");
    let task = call(&agent, "SendMessage", params).await["task"].clone();
    assert_eq!(task["contextId"], "c1");
    send(&agent, "b").await;
    let count = async |query: String| {
        let (status, page) = Asked::new(Method::GET, &format!("/tasks?{query}"), "").to(&agent).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        page["totalSize"].as_i64().unwrap()
    };
    assert_eq!(count(String::new()).await, 2);
    assert_eq!(count("contextId=c1".to_owned()).await, 1);
    assert_eq!(count("status=TASK_STATE_COMPLETED".to_owned()).await, 2);
    assert_eq!(count("status=TASK_STATE_WORKING".to_owned()).await, 0);
    let when = task["status"]["timestamp"].as_str().unwrap();
    assert_eq!(count(format!("statusTimestampAfter={when}&contextId=c1")).await, 1);
    assert_eq!(count("statusTimestampAfter=2999-01-01T00:00:00Z".to_owned()).await, 0);
}

#[tokio::test]
async fn a_task_is_seen_by_the_agent_that_made_it_and_by_nobody_else() {
    let agent = BuiltinAgent::echo();
    let by = |asked: Asked| asked.header("althing-caller", DID).header("althing-caller-node", "12D3a");
    let (_, made) = by(Asked::rpc("SendMessage", message("a"))).to(&agent).await;
    let id = json!({"id": made["result"]["task"]["id"]});
    let (_, got) =
        by(Asked::rpc("GetTask", id.clone())).header("althing-caller-node", "12D3b").to(&agent).await;
    assert_eq!(got["result"], made["result"]["task"]);
    for method in ["GetTask", "CancelTask", "SubscribeToTask"] {
        assert_eq!(error(&agent, method, id.clone()).await, -32001, "{method}");
        let node = Asked::rpc(method, id.clone()).header("althing-caller-node", "12D3a");
        assert_eq!(node.to(&agent).await.1["error"]["code"], -32001, "{method}");
    }
    assert_eq!(call(&agent, "ListTasks", json!({})).await["totalSize"], 0);
    let mut further = message("b");
    further["message"]["taskId"] = id["id"].clone();
    assert_eq!(error(&agent, "SendMessage", further).await, -32001);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_told_in_json_rpc() {
    let agent = BuiltinAgent::echo();
    for (body, code, id) in [
        ("{", -32700, json!(null)),
        ("", -32700, json!(null)),
        ("\u{0}", -32700, json!(null)),
        ("[]", -32600, json!(null)),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"GetTask"}]"#, -32600, json!(null)),
        (r#"{"jsonrpc":"2.0","method":"GetTask"}"#, -32600, json!(null)),
        (r#"{"jsonrpc":"2.0","id":{},"method":"GetTask"}"#, -32600, json!(null)),
        (r#"{"jsonrpc":"1.0","id":1,"method":"GetTask"}"#, -32600, json!(1)),
        (r#"{"jsonrpc":"2.0","id":"a"}"#, -32600, json!("a")),
        (r#"{"jsonrpc":"2.0","id":"a","method":"message/send"}"#, -32601, json!("a")),
        (r#"{"jsonrpc":"2.0","id":"a","method":"GetTask"}"#, -32602, json!("a")),
        (r#"{"jsonrpc":"2.0","id":"a","method":"GetTask","params":[]}"#, -32602, json!("a")),
    ] {
        let (status, answer) = Asked::new(Method::POST, "/", body).to(&agent).await;
        assert_eq!(
            (status, &answer["error"]["code"], &answer["id"]),
            (StatusCode::OK, &json!(code), &id),
            "{body}"
        );
        assert!(answer.get("result").is_none());
    }
    let response = Asked::new(Method::GET, "/", "").try_to(&agent).await.unwrap();
    assert_eq!(
        (response.status(), &response.headers()["allow"]),
        (StatusCode::METHOD_NOT_ALLOWED, &"POST".parse().unwrap())
    );
}

#[tokio::test]
async fn a_message_that_is_none_is_refused_with_what_is_wrong() {
    let agent = BuiltinAgent::echo();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut params = message("a");
        change(&mut params);
        params
    };
    let missing: [&str; 3] = ["messageId", "role", "parts"];
    for name in missing {
        let params = with(&|params| {
            params["message"].as_object_mut().unwrap().remove(name);
        });
        assert_eq!(error(&agent, "SendMessage", params).await, -32602, "{name}");
    }
    for (name, value) in [
        ("messageId", json!("")),
        ("role", json!("ROLE_AGENT")),
        ("role", json!("user")),
        ("parts", json!([])),
        ("parts", json!([{}])),
        ("parts", json!([{"text": 1}])),
        ("parts", json!([{"raw": "%"}])),
        ("contextId", json!("c".repeat(257))),
    ] {
        let params = with(&|params| params["message"][name] = value.clone());
        for method in ["SendMessage", "SendStreamingMessage"] {
            assert_eq!(error(&agent, method, params.clone()).await, -32602, "{name}: {value}");
        }
    }
    let (_, answer) =
        Asked::rpc("SendMessage", with(&|params| params["message"]["parts"] = json!([]))).to(&agent).await;
    assert_eq!(answer["error"]["data"][0]["fieldViolations"][0]["field"], "message.parts");
    let (status, answer) = Asked::new(Method::POST, "/message:send", "{}").to(&agent).await;
    assert_eq!((status, &answer["error"]["status"]), (StatusCode::BAD_REQUEST, &json!("INVALID_ARGUMENT")));
    assert_eq!(call(&agent, "ListTasks", json!({})).await["totalSize"], 0);
}

#[tokio::test]
async fn errors_of_a2a_have_their_codes_in_both_bindings() {
    let agent = BuiltinAgent::echo();
    let task = send(&agent, "a").await;
    let id = task["id"].as_str().unwrap();
    let mut further = message("b");
    further["message"]["taskId"] = task["id"].clone();
    let mut push = message("b");
    push["configuration"] = json!({"taskPushNotificationConfig": {"url": "https://example.org/"}});
    let none = json!({"id": "none"});
    let (ended, configs) = (json!({"id": id}), format!("/tasks/{id}/pushNotificationConfigs"));
    let (get, post, delete) = (Method::GET, Method::POST, Method::DELETE);
    for (method, params, verb, target, code, reason) in [
        ("GetTask", &none, &get, "/tasks/none", -32001, "TASK_NOT_FOUND"),
        ("CancelTask", &none, &post, "/tasks/none:cancel", -32001, "TASK_NOT_FOUND"),
        ("SubscribeToTask", &none, &get, "/tasks/none:subscribe", -32001, "TASK_NOT_FOUND"),
        ("CancelTask", &ended, &post, &format!("/tasks/{id}:cancel"), -32002, "TASK_NOT_CANCELABLE"),
        (
            "SubscribeToTask",
            &ended,
            &post,
            &format!("/tasks/{id}:subscribe"),
            -32004,
            "UNSUPPORTED_OPERATION",
        ),
        ("SendMessage", &further, &post, "/message:send", -32004, "UNSUPPORTED_OPERATION"),
        ("SendStreamingMessage", &further, &post, "/message:stream", -32004, "UNSUPPORTED_OPERATION"),
        ("SendMessage", &push, &post, "/message:send", -32003, "PUSH_NOTIFICATION_NOT_SUPPORTED"),
        (
            "CreateTaskPushNotificationConfig",
            &ended,
            &post,
            &configs,
            -32003,
            "PUSH_NOTIFICATION_NOT_SUPPORTED",
        ),
        (
            "ListTaskPushNotificationConfigs",
            &ended,
            &get,
            &configs,
            -32003,
            "PUSH_NOTIFICATION_NOT_SUPPORTED",
        ),
        (
            "GetTaskPushNotificationConfig",
            &ended,
            &get,
            &format!("{configs}/1"),
            -32003,
            "PUSH_NOTIFICATION_NOT_SUPPORTED",
        ),
        (
            "DeleteTaskPushNotificationConfig",
            &ended,
            &delete,
            &format!("{configs}/1"),
            -32003,
            "PUSH_NOTIFICATION_NOT_SUPPORTED",
        ),
        ("GetExtendedAgentCard", &none, &get, "/extendedAgentCard", -32004, "UNSUPPORTED_OPERATION"),
    ] {
        let (_, by_rpc) = Asked::rpc(method, params.clone()).to(&agent).await;
        assert_eq!(by_rpc["error"]["code"], code, "{method}");
        assert_eq!(by_rpc["error"]["data"][0]["reason"], reason, "{method}");
        let body = if *verb == post { params.to_string() } else { String::new() };
        let (status, by_rest) = Asked::new(verb.clone(), target, body).to(&agent).await;
        assert_eq!(status.as_u16(), if code == -32001 { 404 } else { 400 }, "{target}");
        assert_eq!(by_rest["error"]["code"], status.as_u16(), "{target}");
        let detail = &by_rest["error"]["details"][0];
        assert_eq!(
            (&detail["reason"], &detail["domain"]),
            (&json!(reason), &json!("a2a-protocol.org")),
            "{target}"
        );
        assert_eq!(by_rest["error"]["message"], by_rpc["error"]["message"], "{target}");
    }
}

#[tokio::test]
async fn paths_and_methods_that_a2a_does_not_have_are_refused() {
    let agent = BuiltinAgent::echo();
    for (method, target, status) in [
        (Method::POST, "/v1/message:send", 404),
        (Method::GET, "/.well-known/agent-card.json", 404),
        (Method::GET, "/message:send", 405),
        (Method::POST, "/tasks", 405),
        (Method::DELETE, "/tasks/7", 405),
        (Method::GET, "/tasks/7:cancel", 405),
        (Method::PUT, "/tasks/7/pushNotificationConfigs/8", 405),
    ] {
        let (got, answer) = Asked::new(method, target, "").to(&agent).await;
        assert_eq!((got.as_u16(), &answer["error"]["code"]), (status, &json!(status)), "{target}");
    }
}

#[tokio::test]
async fn only_a2a_1_0_is_served() {
    let agent = BuiltinAgent::echo();
    for version in ["1.0", " 1.0 ", "1.0.1"] {
        let (_, answer) = Asked::rpc("ListTasks", json!({})).header("a2a-version", version).to(&agent).await;
        assert!(answer.get("result").is_some(), "{version}: {answer}");
    }
    for version in ["", "0.3", "1.1", "1", "1.01", "2.0", "x"] {
        let asked = Asked::rpc("ListTasks", json!({})).header("a2a-version", version);
        let (_, answer) = asked.to(&agent).await;
        assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(-32009), &json!(7)), "{version}");
        let asked = Asked::new(Method::GET, "/tasks", "").header("a2a-version", version);
        let (status, answer) = asked.to(&agent).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{version}");
        assert_eq!(answer["error"]["details"][0]["reason"], "VERSION_NOT_SUPPORTED", "{version}");
    }
    let mut silent = Asked::new(Method::GET, "/tasks", "");
    silent.headers.clear();
    assert_eq!(silent.to(&agent).await.0, StatusCode::BAD_REQUEST);
    let mut in_query = Asked::new(Method::GET, "/tasks?A2A-Version=1.0", "");
    in_query.headers.clear();
    assert_eq!(in_query.to(&agent).await.0, StatusCode::OK);
}

#[test]
fn a_card_is_portable_and_has_nothing_of_the_command_in_it() {
    let agent = exec("grep secret-word");
    for (card, skills) in [
        (agent.card("", "", &[] as &[&str]), vec!["exec"]),
        (agent.card("upper", "Capitals", &["text/upper", "text"]), vec!["text/upper", "text"]),
        (BuiltinAgent::echo().card("", "", &[""]), vec!["echo"]),
    ] {
        check_portable(&card).unwrap();
        assert!(!card.to_string().contains("secret-word"));
        assert_eq!(card["capabilities"], json!({"streaming": true}));
        let with_url = card.to_string().replace(BUILTIN_URL, "http://127.0.0.1:7000/");
        let card = OriginCard::parse(with_url.as_bytes()).unwrap();
        assert_eq!(card.skills(), skills);
        assert_eq!(card.interfaces().len(), 2);
    }
}
