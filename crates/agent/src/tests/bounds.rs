use super::*;

fn limits() -> Limits {
    Limits::default()
}

async fn is_busy(agent: &BuiltinAgent, limit: usize) {
    for method in ["SendMessage", "SendStreamingMessage"] {
        let refused = Asked::rpc(method, message("")).try_to(agent).await.unwrap_err();
        let busy = OriginError::Busy { origin: "the built-in agent".to_owned(), limit };
        assert_eq!(refused, busy, "{method}");
    }
}

#[tokio::test]
async fn a_command_too_many_at_once_is_refused_as_busy() {
    let agent = exec("sleep 600");
    let mut ids = Vec::new();
    for _ in 0..8 {
        ids.push(begin(&agent, "").await);
    }
    is_busy(&agent, 8).await;
    assert_eq!(call(&agent, "ListTasks", json!({})).await["totalSize"], 8);
    call(&agent, "CancelTask", json!({"id": ids.remove(0)})).await;
    ids.push(begin(&agent, "").await);
    is_busy(&agent, 8).await;
    for id in ids {
        call(&agent, "CancelTask", json!({"id": id})).await;
    }
}

#[tokio::test]
async fn the_task_that_ended_first_makes_room() {
    let agent = BuiltinAgent::echo().with_limits(Limits { tasks_max: 3, ..limits() });
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(send(&agent, "a").await["id"].clone());
    }
    for (place, id) in ids.iter().enumerate() {
        let (_, answer) = Asked::rpc("GetTask", json!({"id": id})).to(&agent).await;
        assert_eq!(answer.get("result").is_some(), place >= 2, "{place}");
    }
    assert_eq!(call(&agent, "ListTasks", json!({})).await["totalSize"], 3);
}

#[tokio::test]
async fn a_running_task_makes_no_room() {
    let agent = exec("sh -c 'read line; [ \"$line\" ] || exec sleep 600'");
    let agent = agent.with_limits(Limits { tasks_max: 2, ..limits() });
    let first = begin(&agent, "").await;
    let ended = send(&agent, "a\n").await["id"].clone();
    let second = begin(&agent, "").await;
    assert_eq!(error(&agent, "GetTask", json!({"id": ended})).await, -32001);
    is_busy(&agent, 2).await;
    for id in [first, second] {
        assert_eq!(state(&call(&agent, "CancelTask", json!({"id": id})).await), "TASK_STATE_CANCELED");
    }
    assert_eq!(state(&send(&agent, "a\n").await), "TASK_STATE_COMPLETED");
}

#[tokio::test]
async fn tasks_that_ended_first_go_when_all_weigh_too_much() {
    let agent = BuiltinAgent::echo().with_limits(Limits { tasks_weight_max: 50_000, ..limits() });
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(send(&agent, &"x".repeat(10_000)).await["id"].clone());
    }
    // Each is there twice: as what was sent and as what came back.
    assert_eq!(call(&agent, "ListTasks", json!({})).await["totalSize"], 2);
    let heavy = send(&agent, &"x".repeat(60_000)).await;
    let page = call(&agent, "ListTasks", json!({})).await;
    assert_eq!((&page["totalSize"], &page["tasks"][0]["id"]), (&json!(1), &heavy["id"]));
}

#[tokio::test]
async fn a_page_of_heavy_tasks_is_short_and_says_how_to_go_on() {
    let agent = BuiltinAgent::echo();
    for _ in 0..4 {
        send(&agent, &"x".repeat(1_024 * 1_024)).await;
    }
    let page = call(&agent, "ListTasks", json!({"includeArtifacts": true})).await;
    assert_eq!((page["tasks"].as_array().unwrap().len(), &page["totalSize"]), (2, &json!(4)));
    let next = json!({"includeArtifacts": true, "pageToken": page["nextPageToken"]});
    let page = call(&agent, "ListTasks", next).await;
    assert_eq!((page["tasks"].as_array().unwrap().len(), &page["nextPageToken"]), (2, &json!("")));
}

#[tokio::test]
async fn a_command_that_writes_for_ever_is_killed() {
    let agent = exec("sh -c 'echo $$; exec yes'");
    let task = send(&agent, "").await;
    assert_eq!(state(&task), "TASK_STATE_FAILED");
    assert_eq!(complaint(&task), "the command wrote more than 1048576 bytes");
    assert_eq!(output(&task).len(), 1_024 * 1_024);
    assert!(is_gone(output(&task).lines().next().unwrap()));
}

#[tokio::test]
async fn a_command_that_complains_for_ever_is_read_and_forgotten() {
    let agent = exec("sh -c 'yes | head -c 5000000 >&2; echo done'");
    assert_eq!(output(&send(&agent, "").await), "done\n");
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_killed() {
    let agent = exec("sh -c 'echo $$; exec sleep 600'");
    let mut events = Asked::rpc("SendStreamingMessage", message("")).stream(&agent).await;
    let pid = events.piece().await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(60)).await;
    tokio::time::resume();
    let rest = events.all().await;
    let last = &rest[rest.len() - 1]["result"]["statusUpdate"];
    assert_eq!((state(last), complaint(last)), ("TASK_STATE_FAILED", "the command took longer than 60s"));
    assert!(is_gone(&pid));
}

#[tokio::test]
async fn a_text_too_long_for_a_command_is_refused() {
    let agent = exec("wc -c");
    let most = "x".repeat(1_024 * 1_024);
    assert_eq!(output(&send(&agent, &most).await).trim(), "1048576");
    let two = parts(json!([{"text": most}, {"text": "x"}]));
    assert_eq!(error(&agent, "SendMessage", two).await, -32602);
}

#[tokio::test]
async fn a_request_too_long_is_refused() {
    let agent = BuiltinAgent::echo();
    let body = " ".repeat(REQUEST_BYTES_MAX + 1);
    let (status, answer) = Asked::new(Method::POST, "/", &body).to(&agent).await;
    assert_eq!((status, &answer["error"]["code"]), (StatusCode::OK, &json!(-32600)));
    let (status, _) = Asked::new(Method::POST, "/message:send", &body).to(&agent).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_request_that_breaks_off_is_refused() {
    let agent = BuiltinAgent::echo();
    let broken = || {
        let part = futures::stream::iter([Err::<hyper::body::Frame<bytes::Bytes>, _>("gone".into())]);
        http_body_util::StreamBody::new(part).boxed_unsync()
    };
    let ask = async |target: &str| {
        let request = Request::post(target).header("a2a-version", "1.0").body(broken()).unwrap();
        agent.ask(request).await.unwrap()
    };
    assert_eq!(ask("/message:send").await.status(), StatusCode::BAD_REQUEST);
    let answer = ask("/").await.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap()["error"]["code"], -32600);
}

#[tokio::test]
async fn a_message_of_too_many_parts_or_too_much_data_is_refused() {
    let agent = BuiltinAgent::echo();
    let part = json!({"text": "x"});
    assert!(
        call(&agent, "SendMessage", parts(json!(vec![part.clone(); PARTS_MAX]))).await.get("task").is_some()
    );
    assert_eq!(error(&agent, "SendMessage", parts(json!(vec![part; PARTS_MAX + 1]))).await, -32602);
    let data = json!(vec![json!([]); 500_000]);
    assert_eq!(error(&agent, "SendMessage", parts(json!([{"data": data}]))).await, -32602);
}
