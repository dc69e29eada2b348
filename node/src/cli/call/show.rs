//! Answers as text: one `Label: value` a line. What does not fit on a line is a block: its label, the content with two
//! blanks before each line, and an empty line. So no text of an agent looks like a field.

use serde_json::Value;

use super::Standing;
use crate::cli::page::Text;

/// What was shown of a stream, so that its end can say where the task stands.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    standing: Standing,
    ends_with_standing: bool,
}

impl Shown {
    /// The text of an event of a stream.
    pub(crate) fn event(&mut self, event: &Value) -> Text {
        let mut text = Text::default();
        self.standing = std::mem::take(&mut self.standing).after(event);
        self.ends_with_standing = true;
        if let Some(task) = event.get("task") {
            show_task(task, &mut text);
        } else if let Some(message) = event.get("message") {
            show_message(message, &mut text);
        } else if let Some(update) = event.get("statusUpdate") {
            show_standing(&Standing::of_update(update), &mut text);
            show_status(update, &mut text);
        } else if let Some(update) = event.get("artifactUpdate") {
            show_artifact(update.get("artifact").unwrap_or(&Value::Null), &mut text);
            self.ends_with_standing = false;
        } else {
            block("Event", &pretty(event), &mut text);
            self.ends_with_standing = false;
        }
        text
    }

    /// What is left to say when the stream is over.
    pub(crate) fn end(&self) -> Text {
        let mut text = Text::default();
        if !self.ends_with_standing {
            show_standing(&self.standing, &mut text);
        }
        text
    }
}

/// A task: where it stands, what the agent says of it, and what it made.
pub(crate) fn show_task(task: &Value, text: &mut Text) {
    show_standing(&Standing::of_task(task), text);
    show_status(task, text);
    list(task, "artifacts").for_each(|artifact| show_artifact(artifact, text));
}

/// What was said about a task before.
pub(crate) fn show_history(task: &Value, text: &mut Text) {
    for message in list(task, "history") {
        field("History", said(message, "role").unwrap_or("-"), text);
        show_parts(message, text);
    }
}

/// A message that is all of the answer.
pub(crate) fn show_message(message: &Value, text: &mut Text) {
    field("Message", said(message, "messageId").unwrap_or("-"), text);
    for (label, name) in [("Task", "taskId"), ("Context", "contextId")] {
        if let Some(id) = said(message, name) {
            field(label, id, text);
        }
    }
    show_parts(message, text);
}

/// A page of a list of tasks.
pub(crate) fn show_tasks(answer: &Value, text: &mut Text) {
    for task in list(answer, "tasks") {
        show_standing(&Standing::of_task(task), text);
        if let Some(time) = task.get("status").and_then(|status| said(status, "timestamp")) {
            field("Changed", time, text);
        }
    }
    field("Tasks", &list(answer, "tasks").count().to_string(), text);
    if let Some(token) = said(answer, "nextPageToken") {
        field("Next", token, text);
    }
}

fn show_standing(standing: &Standing, text: &mut Text) {
    field("Task", &standing.task, text);
    field("Context", &standing.context, text);
    field("State", &standing.state, text);
}

/// What the agent says along with a state.
fn show_status(holder: &Value, text: &mut Text) {
    if let Some(message) = holder.get("status").and_then(|status| status.get("message")) {
        field("Message", said(message, "messageId").unwrap_or("-"), text);
        show_parts(message, text);
    }
}

fn show_artifact(artifact: &Value, text: &mut Text) {
    let name = said(artifact, "name").or_else(|| said(artifact, "artifactId"));
    field("Artifact", name.unwrap_or("-"), text);
    show_parts(artifact, text);
}

fn show_parts(holder: &Value, text: &mut Text) {
    list(holder, "parts").for_each(|part| show_part(part, text));
}

fn show_part(part: &Value, text: &mut Text) {
    let file = || {
        let name = said(part, "filename").unwrap_or("-");
        let media_type = said(part, "mediaType").unwrap_or("of no given type");
        (name, media_type)
    };
    if let Some(content) = part.get("text").and_then(Value::as_str) {
        block("Text", content, text);
    } else if let Some(data) = part.get("data") {
        block("Data", &pretty(data), text);
    } else if let Some(raw) = part.get("raw").and_then(Value::as_str) {
        let (name, media_type) = file();
        field("File", &format!("{name} ({media_type}, {} bytes)", decoded_len(raw)), text);
    } else if let Some(url) = part.get("url").and_then(Value::as_str) {
        let (name, media_type) = file();
        field("File", &format!("{name} ({media_type}) at {url}"), text);
    } else {
        block("Part", &pretty(part), text);
    }
}

fn field(label: &str, value: &str, text: &mut Text) {
    text.line(&format!("{label}: {value}"));
}

fn block(label: &str, content: &str, text: &mut Text) {
    text.line(&format!("{label}:"));
    content.lines().for_each(|line| {
        text.line(&format!("  {line}"));
    });
    text.line("");
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

fn said<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn list<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

/// How many bytes base64 stands for.
fn decoded_len(base64: &str) -> usize {
    base64.trim_end_matches('=').len() * 3 / 4
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(show: impl FnOnce(&mut Text)) -> String {
        let mut text = Text::default();
        show(&mut text);
        text.into_string()
    }

    #[test]
    fn a_task_is_fields_and_blocks() {
        let task = json!({
            "id": "t", "contextId": "c",
            "status": {"state": "TASK_STATE_COMPLETED", "message": {"messageId": "m", "parts": [{"text": "done"}]}},
            "artifacts": [{"artifactId": "a", "name": "report", "parts": [
                {"text": "one\n\nState: forged\u{1b}[2J"},
                {"data": {"k": [1]}},
                {"raw": "AAAAAA==", "filename": "f.png", "mediaType": "image/png"},
                {"url": "http://x/y"},
                {"later": 1},
            ]}],
        });
        assert_eq!(
            shown(|text| show_task(&task, text)),
            "Task: t\nContext: c\nState: TASK_STATE_COMPLETED\nMessage: m\nText:\n  done\n\nArtifact: report\n\
             Text:\n  one\n  \n  State: forged\u{fffd}[2J\n\nData:\n  {\n    \"k\": [\n      1\n    ]\n  }\n\n\
             File: f.png (image/png, 4 bytes)\nFile: - (of no given type) at http://x/y\n\
             Part:\n  {\n    \"later\": 1\n  }\n\n"
        );
    }

    #[test]
    fn a_message_is_shown_with_its_ids() {
        let message =
            json!({"messageId": "m", "contextId": "c", "role": "ROLE_AGENT", "parts": [{"text": "hello"}]});
        assert_eq!(shown(|text| show_message(&message, text)), "Message: m\nContext: c\nText:\n  hello\n\n");
    }

    #[test]
    fn a_stream_ends_with_where_the_task_stands() {
        let mut shown = Shown::default();
        let task = json!({"task": {"id": "t", "contextId": "c", "status": {"state": "TASK_STATE_WORKING"}}});
        assert_eq!(shown.event(&task).into_string(), "Task: t\nContext: c\nState: TASK_STATE_WORKING\n");
        assert_eq!(shown.end().into_string(), "");
        let artifact = json!({"artifactUpdate": {"taskId": "t", "artifact": {"artifactId": "a", "parts": [{"text": "x"}]}}});
        assert_eq!(shown.event(&artifact).into_string(), "Artifact: a\nText:\n  x\n\n");
        assert_eq!(shown.end().into_string(), "Task: t\nContext: c\nState: TASK_STATE_WORKING\n");
    }

    #[test]
    fn history_is_shown_for_itself() {
        let task = json!({"history": [{"role": "ROLE_USER", "parts": [{"text": "hi"}]}]});
        assert_eq!(shown(|text| show_task(&task, text)), "Task: \nContext: \nState: \n");
        assert_eq!(shown(|text| show_history(&task, text)), "History: ROLE_USER\nText:\n  hi\n\n");
    }

    #[test]
    fn a_list_says_how_it_goes_on() {
        let answer = json!({"tasks": [{"id": "t", "contextId": "c",
            "status": {"state": "TASK_STATE_WORKING", "timestamp": "2026-11-20T12:00:00Z"}}], "nextPageToken": "p"});
        assert_eq!(
            shown(|text| show_tasks(&answer, text)),
            "Task: t\nContext: c\nState: TASK_STATE_WORKING\nChanged: 2026-11-20T12:00:00Z\nTasks: 1\nNext: p\n"
        );
    }
}
