use a2a::TaskState;
use serde_json::Value;

/// Whether there is something to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The agent works, or does not say.
    UnderWay,
    /// The agent waits for the caller.
    Interrupted,
    /// Nothing will change any more.
    Ended,
}

/// Where a task stands: what the next command needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) task: String,
    pub(crate) context: String,
    /// As the agent wrote it.
    pub(crate) state: String,
}

impl Standing {
    pub(crate) fn of_task(task: &Value) -> Self {
        Self { task: text(task, "id"), context: text(task, "contextId"), state: state(task) }
    }

    /// After a status update.
    pub(crate) fn of_update(update: &Value) -> Self {
        Self { task: text(update, "taskId"), context: text(update, "contextId"), state: state(update) }
    }

    /// After an event of a stream. What makes an artifact known does not change the state.
    pub(crate) fn after(self, event: &Value) -> Self {
        match (event.get("task"), event.get("statusUpdate")) {
            (Some(task), _) => Self::of_task(task),
            (None, Some(update)) => Self::of_update(update),
            (None, None) => self,
        }
    }

    pub(crate) fn progress(&self) -> Progress {
        let state = serde_json::from_value(Value::from(self.state.as_str())).unwrap_or_default();
        match state {
            TaskState::Completed | TaskState::Failed | TaskState::Canceled | TaskState::Rejected => {
                Progress::Ended
            }
            TaskState::InputRequired | TaskState::AuthRequired => Progress::Interrupted,
            TaskState::Unspecified | TaskState::Submitted | TaskState::Working => Progress::UnderWay,
        }
    }

    /// The state in words, such as `input required`.
    pub(crate) fn words(&self) -> String {
        self.state.trim_start_matches("TASK_STATE_").replace('_', " ").to_lowercase()
    }

    pub(crate) fn is_completed(&self) -> bool {
        self.state == "TASK_STATE_COMPLETED"
    }
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn state(value: &Value) -> String {
    value.get("status").map(|status| text(status, "state")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_known_states_end_a_wait() {
        for (state, progress) in [
            ("TASK_STATE_SUBMITTED", Progress::UnderWay),
            ("TASK_STATE_WORKING", Progress::UnderWay),
            ("TASK_STATE_UNSPECIFIED", Progress::UnderWay),
            ("TASK_STATE_OF_LATER_VERSIONS", Progress::UnderWay),
            ("", Progress::UnderWay),
            ("TASK_STATE_INPUT_REQUIRED", Progress::Interrupted),
            ("TASK_STATE_AUTH_REQUIRED", Progress::Interrupted),
            ("TASK_STATE_COMPLETED", Progress::Ended),
            ("TASK_STATE_FAILED", Progress::Ended),
            ("TASK_STATE_CANCELED", Progress::Ended),
            ("TASK_STATE_REJECTED", Progress::Ended),
        ] {
            assert_eq!(
                Standing::of_task(&json!({"status": {"state": state}})).progress(),
                progress,
                "{state}"
            );
        }
    }

    #[test]
    fn events_say_where_the_task_stands() {
        let task = json!({"task": {"id": "t", "contextId": "c", "status": {"state": "TASK_STATE_WORKING"}}});
        let artifact = json!({"artifactUpdate": {"taskId": "t", "artifact": {}}});
        let update = json!({"statusUpdate": {"taskId": "t", "contextId": "c",
            "status": {"state": "TASK_STATE_INPUT_REQUIRED"}}});
        let standing = Standing::default().after(&task).after(&artifact);
        assert_eq!((standing.task.as_str(), standing.context.as_str()), ("t", "c"));
        assert_eq!(standing.words(), "working");
        let standing = standing.after(&update);
        assert_eq!(
            (standing.progress(), standing.words().as_str()),
            (Progress::Interrupted, "input required")
        );
    }
}
