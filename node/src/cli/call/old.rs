//! A2A 0.3 in the terms of 1.0. What neither knows stays where it is.

use serde_json::{Map, Value, json};

use super::operation::Operation;

/// What every state's name begins with in 1.0.
const STATE: &str = "TASK_STATE_";

/// The method's name in 0.3 by JSON-RPC, if 0.3 has it.
pub(super) fn method(operation: &Operation) -> Option<&'static str> {
    match operation {
        Operation::Send(_) => Some("message/send"),
        Operation::Stream(_) => Some("message/stream"),
        Operation::Get(_) => Some("tasks/get"),
        Operation::List(_) => None,
        Operation::Cancel(_) => Some("tasks/cancel"),
        Operation::Subscribe(_) => Some("tasks/resubscribe"),
    }
}

/// The parameters of a request, from those of 1.0.
pub(super) fn params(mut params: Value) -> Value {
    let Some(members) = params.as_object_mut() else { return params };
    members.remove("tenant");
    if let Some(message) = members.get_mut("message").and_then(Value::as_object_mut) {
        message.insert("kind".into(), "message".into());
        message.insert("role".into(), "user".into());
        each(message, "parts", old_part);
        let configuration = members.entry("configuration").or_insert_with(|| json!({}));
        if let Some(configuration) = configuration.as_object_mut() {
            let at_once = configuration.remove("returnImmediately") == Some(Value::Bool(true));
            configuration.insert("blocking".into(), (!at_once).into());
        }
    }
    params
}

/// An answer of 1.0 from one of 0.3: a task, a message or an event, in a member that says so if `wrapped`.
pub(super) fn answer(mut answer: Value, wrapped: bool) -> Value {
    let Some(members) = answer.as_object_mut() else { return answer };
    let has = |name: &str| members.contains_key(name);
    let member = match members.get("kind").and_then(Value::as_str) {
        Some("task") => "task",
        Some("message") => "message",
        Some("status-update") => "statusUpdate",
        Some("artifact-update") => "artifactUpdate",
        _ if has("artifact") => "artifactUpdate",
        _ if has("status") && has("taskId") => "statusUpdate",
        _ if has("status") => "task",
        _ if has("parts") => "message",
        _ => return answer,
    };
    match member {
        "message" => new_message(members),
        "artifactUpdate" => {
            members.remove("kind");
            with(members, "artifact", new_artifact);
        }
        _ => {
            members.remove("kind");
            members.remove("final");
            with(members, "status", new_status);
            each(members, "artifacts", new_artifact);
            each(members, "history", new_message);
        }
    }
    if wrapped { json!({ member: answer }) } else { answer }
}

fn new_status(status: &mut Map<String, Value>) {
    if let Some(Value::String(state)) = status.get_mut("state")
        && !state.starts_with(STATE)
    {
        *state = match state.as_str() {
            "unknown" => format!("{STATE}UNSPECIFIED"),
            state => format!("{STATE}{}", state.replace('-', "_").to_uppercase()),
        };
    }
    with(status, "message", new_message);
}

fn new_artifact(artifact: &mut Map<String, Value>) {
    each(artifact, "parts", new_part);
}

fn new_message(message: &mut Map<String, Value>) {
    message.remove("kind");
    if let Some(Value::String(role)) = message.get_mut("role") {
        *role = match role.as_str() {
            "user" => "ROLE_USER".to_owned(),
            "agent" => "ROLE_AGENT".to_owned(),
            other => other.to_owned(),
        };
    }
    each(message, "parts", new_part);
}

fn new_part(part: &mut Map<String, Value>) {
    part.remove("kind");
    let Some(Value::Object(file)) = part.remove("file") else { return };
    for (name, value) in file {
        let name = match name.as_str() {
            "bytes" => "raw",
            "uri" => "url",
            "name" => "filename",
            "mimeType" => "mediaType",
            other => other,
        };
        part.insert(name.to_owned(), value);
    }
}

fn old_part(part: &mut Map<String, Value>) {
    let is_file = part.contains_key("raw") || part.contains_key("url");
    if is_file {
        let mut file = Map::new();
        for (new, old) in [("raw", "bytes"), ("url", "uri"), ("filename", "name"), ("mediaType", "mimeType")]
        {
            if let Some(value) = part.remove(new) {
                file.insert(old.to_owned(), value);
            }
        }
        part.insert("file".into(), file.into());
    } else if let Some(media_type) = part.remove("mediaType") {
        // Only files have one in 0.3.
        let metadata = part.entry("metadata").or_insert_with(|| json!({}));
        metadata["mediaType"] = media_type;
    }
    let kind = ["text", "file", "data"].into_iter().find(|kind| part.contains_key(*kind));
    part.insert("kind".into(), kind.into());
}

fn with(members: &mut Map<String, Value>, name: &str, change: fn(&mut Map<String, Value>)) {
    if let Some(Value::Object(member)) = members.get_mut(name) {
        change(member);
    }
}

fn each(members: &mut Map<String, Value>, name: &str, change: fn(&mut Map<String, Value>)) {
    let list = members.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten();
    list.filter_map(Value::as_object_mut).for_each(change);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_gets_the_shape_of_0_3() {
        let new = json!({
            "message": {"messageId": "m", "taskId": "t", "role": "ROLE_USER", "parts": [
                {"text": "a"},
                {"text": "b", "mediaType": "text/markdown"},
                {"raw": "AAAA", "filename": "f", "mediaType": "image/png"},
                {"url": "http://x/y"},
                {"data": {"k": 1}},
            ]},
            "configuration": {"returnImmediately": true},
            "metadata": {"n": 1},
            "tenant": "x",
        });
        let old = json!({
            "message": {"messageId": "m", "taskId": "t", "role": "user", "kind": "message", "parts": [
                {"kind": "text", "text": "a"},
                {"kind": "text", "text": "b", "metadata": {"mediaType": "text/markdown"}},
                {"kind": "file", "file": {"bytes": "AAAA", "name": "f", "mimeType": "image/png"}},
                {"kind": "file", "file": {"uri": "http://x/y"}},
                {"kind": "data", "data": {"k": 1}},
            ]},
            "configuration": {"blocking": false},
            "metadata": {"n": 1},
        });
        assert_eq!(params(new), old);
        assert_eq!(params(json!({"message": {}}))["configuration"], json!({"blocking": true}));
        assert_eq!(params(json!({"id": "t", "historyLength": 2})), json!({"id": "t", "historyLength": 2}));
    }

    #[test]
    fn answers_get_the_shape_of_1_0_and_keep_what_is_not_known() {
        let message = json!({"kind": "message", "messageId": "m", "role": "agent", "new": [1.5], "parts": [
            {"kind": "text", "text": "a", "metadata": {"b": 1}},
            {"kind": "file", "file": {"bytes": "AAAA", "name": "f", "mimeType": "a/b", "else": 1}},
            {"kind": "data", "data": [1]},
        ]});
        let expected = json!({"messageId": "m", "role": "ROLE_AGENT", "new": [1.5], "parts": [
            {"text": "a", "metadata": {"b": 1}},
            {"raw": "AAAA", "filename": "f", "mediaType": "a/b", "else": 1},
            {"data": [1]},
        ]});
        assert_eq!(answer(message.clone(), true), json!({"message": expected}));
        let task = json!({
            "kind": "task", "id": "t", "contextId": "c", "extra": null,
            "status": {"state": "input-required", "message": message},
            "history": [message], "artifacts": [{"artifactId": "a", "parts": [{"kind": "text", "text": "x"}]}],
        });
        let new = json!({
            "id": "t", "contextId": "c", "extra": null,
            "status": {"state": "TASK_STATE_INPUT_REQUIRED", "message": expected},
            "history": [expected], "artifacts": [{"artifactId": "a", "parts": [{"text": "x"}]}],
        });
        assert_eq!(answer(task.clone(), false), new);
        assert_eq!(answer(task, true), json!({"task": new}));
    }

    #[test]
    fn events_are_known_by_kind_or_else_by_what_they_have() {
        let status = json!({"kind": "status-update", "taskId": "t", "contextId": "c", "final": true,
            "status": {"state": "unknown"}});
        let new = json!({"statusUpdate": {"taskId": "t", "contextId": "c",
            "status": {"state": "TASK_STATE_UNSPECIFIED"}}});
        assert_eq!(answer(status, true), new);
        assert_eq!(
            answer(json!({"taskId": "t", "contextId": "c", "status": {"state": "unknown"}}), true),
            new
        );
        let artifact =
            json!({"taskId": "t", "append": true, "artifact": {"parts": [{"kind": "text", "text": "x"}]}});
        assert_eq!(
            answer(artifact, true),
            json!({"artifactUpdate": {"taskId": "t", "append": true, "artifact": {"parts": [{"text": "x"}]}}})
        );
        assert_eq!(answer(json!({"neither": 1}), true), json!({"neither": 1}));
    }
}
