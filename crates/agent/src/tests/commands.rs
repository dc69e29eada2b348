use super::*;

const DID: &str = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK";

#[tokio::test]
async fn a_command_makes_an_artifact_of_the_text() {
    let agent = exec("tr a-z A-Z");
    let task = send(&agent, "hello\n").await;
    assert_eq!((state(&task), output(&task)), ("TASK_STATE_COMPLETED", "HELLO\n"));
    let two = parts(json!([{"text": "a"}, {"text": "b", "mediaType": "text/markdown"}]));
    assert_eq!(output(&call(&agent, "SendMessage", two).await["task"]), "AB");
}

#[tokio::test]
async fn any_text_passes_through_a_command_unchanged() {
    let agent = exec("cat");
    let long = "þ".repeat(512 * 1_024);
    for text in [&long, "'\"`$(reboot)\\", "a\n\r\n\tb", "nul\0nul", "þ🙂\u{2028}", "--help", ""] {
        assert_eq!(output(&send(&agent, text).await), text);
    }
}

#[tokio::test]
async fn what_a_command_writes_is_streamed_while_it_runs() {
    let gate = Fifo::new();
    let agent = exec(&format!("sh -c 'echo one; read line < {}; echo $line; echo three'", gate.path()));
    let mut events = Asked::rpc("SendStreamingMessage", message("")).stream(&agent).await;
    assert_eq!(state(&events.next().await.unwrap()["result"]["task"]), "TASK_STATE_SUBMITTED");
    assert_eq!(state(&events.next().await.unwrap()["result"]["statusUpdate"]), "TASK_STATE_WORKING");
    let first = events.next().await.unwrap()["result"]["artifactUpdate"].clone();
    assert_eq!((&first["artifact"]["parts"][0]["text"], first.get("append")), (&json!("one\n"), None));

    // Who subscribes now has what came before in the task, and then hears what the first one hears.
    let id = json!({"id": first["taskId"]});
    let mut late = Asked::rpc("SubscribeToTask", id.clone()).stream(&agent).await;
    let task = late.next().await.unwrap()["result"]["task"].clone();
    assert_eq!((state(&task), output(&task)), ("TASK_STATE_WORKING", "one\n"));
    let _open = gate.write("two\n").await;
    let (rest, rest_of_late) = (events.all().await, late.all().await);
    assert_eq!(rest, rest_of_late);
    let last = &rest[rest.len() - 1]["result"]["statusUpdate"];
    assert_eq!(state(last), "TASK_STATE_COMPLETED");
    let pieces = rest[..rest.len() - 1].iter().map(|event| &event["result"]["artifactUpdate"]);
    let text: String = pieces
        .map(|piece| {
            assert_eq!(piece["append"], true);
            piece["artifact"]["parts"][0]["text"].as_str().unwrap()
        })
        .collect();
    assert_eq!(text, "two\nthree\n");
    assert_eq!(output(&call(&agent, "GetTask", id).await), "one\ntwo\nthree\n");
}

#[tokio::test]
async fn a_client_need_not_wait_and_a_task_goes_on_without_it() {
    let gate = Fifo::new();
    let agent = exec(&format!("sh -c 'read line < {}; echo $line'", gate.path()));
    let id = begin(&agent, "").await;
    let stream = Asked::rpc("SubscribeToTask", json!({"id": id})).stream(&agent).await;
    drop(stream);
    let late = Asked::rpc("SubscribeToTask", json!({"id": id})).stream(&agent).await;
    let _open = gate.write("done\n").await;
    late.all().await;
    let task = call(&agent, "GetTask", json!({"id": id})).await;
    assert_eq!((state(&task), output(&task)), ("TASK_STATE_COMPLETED", "done\n"));
}

#[tokio::test]
async fn a_cancelled_command_is_gone_with_all_that_it_started() {
    let mut held = Fifo::new();
    let agent = exec(&format!("sh -c 'exec 3> {}; sleep 600 & echo $$; wait'", held.path()));
    let mut events = Asked::rpc("SendStreamingMessage", message("")).stream(&agent).await;
    let id = json!({"id": events.next().await.unwrap()["result"]["task"]["id"]});
    let pid = events.piece().await;
    let mut further = message("b");
    further["message"]["taskId"] = id["id"].clone();
    assert_eq!(error(&agent, "SendMessage", further).await, -32004);
    assert!(!is_gone(&pid));

    let task = call(&agent, "CancelTask", id.clone()).await;
    assert_eq!((state(&task), output(&task)), ("TASK_STATE_CANCELED", &*pid));
    assert!(is_gone(&pid));
    held.let_go().await;
    let rest = events.all().await;
    assert_eq!(state(&rest[rest.len() - 1]["result"]["statusUpdate"]), "TASK_STATE_CANCELED");
    assert_eq!(state(&call(&agent, "CancelTask", id.clone()).await), "TASK_STATE_CANCELED");
    assert_eq!(error(&agent, "SubscribeToTask", id).await, -32004);
}

#[tokio::test]
async fn what_a_command_leaves_behind_is_killed_when_it_ends() {
    let mut held = Fifo::new();
    let agent = exec(&format!("sh -c 'exec 3> {}; sleep 600 & echo $$'", held.path()));
    let task = send(&agent, "").await;
    assert_eq!(state(&task), "TASK_STATE_COMPLETED");
    held.let_go().await;
    assert!(is_gone(output(&task)));
}

#[tokio::test]
async fn commands_end_with_their_agent() {
    let agent = exec("sh -c 'echo $$; exec sleep 600'");
    let mut events = Asked::rpc("SendStreamingMessage", message("")).stream(&agent).await;
    let pid = events.piece().await;
    drop(agent);
    let rest = events.all().await;
    assert_eq!(state(&rest[rest.len() - 1]["result"]["statusUpdate"]), "TASK_STATE_CANCELED");
    assert!(is_gone(&pid));
}

#[tokio::test]
async fn a_command_that_fails_fails_its_task_with_its_last_complaints() {
    let agent = exec("sh -c 'echo half; seq 1 2000 >&2; exit 3'");
    let task = send(&agent, "").await;
    assert_eq!((state(&task), output(&task)), ("TASK_STATE_FAILED", "half\n"));
    let lines: Vec<_> = complaint(&task).lines().collect();
    assert_eq!(lines[0], "the command ended with exit status: 3");
    assert_eq!((lines.len(), lines[1], lines[10]), (11, "1991", "2000"));
    assert_eq!(task["status"]["message"]["role"], "ROLE_AGENT");

    let task = send(&exec("sh -c 'kill -9 $$'"), "").await;
    assert_eq!(complaint(&task), "the command ended with signal: 9 (SIGKILL)");
    assert!(task.get("artifacts").is_none());
}

#[tokio::test]
async fn a_program_that_is_gone_since_fails_its_task() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent");
    std::fs::copy("/bin/sh", &path).unwrap();
    let agent = exec(path.to_str().unwrap());
    std::fs::remove_file(&path).unwrap();
    let task = send(&agent, "").await;
    assert_eq!(state(&task), "TASK_STATE_FAILED");
    assert!(complaint(&task).starts_with("the command could not be started: "), "{}", complaint(&task));
}

#[tokio::test]
async fn a_command_sees_who_calls_and_little_else() {
    let agent = exec("env");
    let names = |task: &Value| {
        let mut lines: Vec<_> = output(task).lines().map(ToOwned::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    let (_, answer) =
        Asked::rpc("SendMessage", message("X=1")).header("althing-caller", DID).to(&agent).await;
    let lines = names(&answer["result"]["task"]);
    assert_eq!(lines.iter().filter(|line| **line == format!("ALTHING_CALLER={DID}")).count(), 1);
    let allowed = ["ALTHING_CALLER", "HOME", "LANG", "PATH"];
    assert!(lines.iter().all(|line| allowed.contains(&line.split_once('=').unwrap().0)), "{lines:?}");

    let (_, answer) =
        Asked::rpc("SendMessage", message("")).header("althing-caller", "did:key:z6Mk;x").to(&agent).await;
    let lines = names(&answer["result"]["task"]);
    assert!(lines.iter().all(|line| !line.starts_with("ALTHING")), "{lines:?}");
}

#[tokio::test]
async fn a_command_that_reads_nothing_ends_well() {
    let text = "x".repeat(1_024 * 1_024);
    assert_eq!(output(&send(&exec("true"), &text).await), "");
    assert_eq!(output(&send(&exec("sh -c 'exec <&-; echo $$'"), &text).await).lines().count(), 1);
}

#[tokio::test]
async fn a_command_takes_texts_only() {
    let agent = exec("cat");
    for other in [json!({"data": {}}), json!({"raw": "AA=="}), json!({"url": "https://example.org/"})] {
        let params = parts(json!([{"text": "a"}, other]));
        assert_eq!(error(&agent, "SendMessage", params).await, -32005, "{other}");
    }
}

#[tokio::test]
async fn no_process_waits_to_be_reaped_after_many_commands() {
    let agent = exec("sh -c 'echo $$; cat >&2; exit 1'");
    for _ in 0..20 {
        let (_, answer) = Asked::rpc("SendMessage", message("a")).to(&agent).await;
        assert!(is_gone(output(&answer["result"]["task"])));
    }
}
