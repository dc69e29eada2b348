use serde_json::Value;

/// Most bytes of one document that are read for how it went.
const DOCUMENT_BYTES_MAX: usize = 64 * 1_024;

/// Errors of JSON-RPC and of A2A for which the agent is not to blame: what was asked was wrong.
const NOT_UNDERSTOOD: [i64; 4] = [-32_700, -32_600, -32_601, -32_602];

/// The one error in A2A's own range that is the agent's fault: its answer was invalid.
const INVALID_ANSWER: i64 = -32_006;

/// What a response says of how its request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ending {
    /// It was answered: by a message, a task that is completed, or something long.
    Done,
    /// It says nothing of that: a card, a task that goes on.
    Open,
    /// The agent failed.
    Failed,
    /// What was asked was wrong, the agent declined it, or it was canceled.
    Refused,
}

/// Reads a response as it comes for how its request went: its status, a JSON-RPC error, the last state of its task.
///
/// It holds at most one document or one line of a stream, and of those at most 64 KiB; a longer line is passed over, and so is
/// whatever is no document of A2A.
#[derive(Clone, Debug)]
pub struct EndingReader {
    ending: Ending,
    is_stream: bool,
    held: Vec<u8>,
    /// Whether what is held is not all of the document or the line.
    is_cut: bool,
}

impl EndingReader {
    /// A response with this HTTP status; `is_stream` if it is of server-sent events.
    #[must_use]
    pub fn new(status: u16, is_stream: bool) -> Self {
        let ending = match status {
            400..500 => Ending::Refused,
            500.. => Ending::Failed,
            _ => Ending::Open,
        };
        Self { ending, is_stream, held: Vec::new(), is_cut: false }
    }

    /// Takes the next part of the body.
    pub fn push(&mut self, part: &[u8]) {
        if self.ending != Ending::Open && !self.is_stream {
            return;
        }
        if !self.is_stream {
            return self.hold(part);
        }
        for piece in part.split_inclusive(|byte| *byte == b'\n') {
            self.hold(piece);
            if piece.ends_with(b"\n") {
                self.end_line();
            }
        }
    }

    /// How it went, now that all of it came.
    #[must_use]
    pub fn end(mut self) -> Ending {
        if self.is_stream {
            self.end_line();
        } else if self.is_cut {
            // Who fails does not say it at such length.
            self.ending = Ending::Done;
        } else {
            let held = std::mem::take(&mut self.held);
            self.read(&held);
        }
        self.ending
    }

    fn hold(&mut self, piece: &[u8]) {
        self.is_cut |= self.held.len() + piece.len() > DOCUMENT_BYTES_MAX;
        if !self.is_cut {
            self.held.extend_from_slice(piece);
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.held);
        if !std::mem::take(&mut self.is_cut)
            && let Some(data) = line.strip_prefix(b"data:")
        {
            self.read(data);
        }
    }

    fn read(&mut self, document: &[u8]) {
        if let Some(ending) = serde_json::from_slice(document).ok().and_then(|document| ending_of(&document))
        {
            self.ending = ending;
        }
    }
}

/// What a document says; none if it is of neither kind.
fn ending_of(document: &Value) -> Option<Ending> {
    if let Some(code) = document.get("error").and_then(|error| error.get("code")).and_then(Value::as_i64) {
        let is_of_request =
            NOT_UNDERSTOOD.contains(&code) || ((-32_099..=-32_000).contains(&code) && code != INVALID_ANSWER);
        return Some(if is_of_request { Ending::Refused } else { Ending::Failed });
    }
    let result = document.get("result").unwrap_or(document);
    if result.get("message").is_some_and(Value::is_object)
        || result.get("kind").is_some_and(|kind| kind == "message")
    {
        return Some(Ending::Done);
    }
    let inner = ["task", "statusUpdate"].iter().find_map(|name| result.get(name)).unwrap_or(result);
    let state = inner.get("status")?.get("state")?.as_str()?;
    Some(match state {
        "TASK_STATE_COMPLETED" | "completed" => Ending::Done,
        "TASK_STATE_FAILED" | "failed" => Ending::Failed,
        "TASK_STATE_REJECTED" | "rejected" | "TASK_STATE_CANCELED" | "canceled" => Ending::Refused,
        _ => Ending::Open,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, is_stream: bool, body: &str, step: usize) -> Ending {
        let mut reader = EndingReader::new(status, is_stream);
        body.as_bytes().chunks(step).for_each(|part| reader.push(part));
        reader.end()
    }

    #[test]
    fn a_status_an_error_and_the_state_of_a_task_say_how_it_went() {
        let whole = |status, body: &str| read(status, false, body, 5);
        assert_eq!(whole(200, "hello"), Ending::Open);
        assert_eq!(whole(200, r#"{"name":"Babel","skills":[]}"#), Ending::Open);
        assert_eq!(whole(200, r#"{"result":{"message":{"parts":[]}}}"#), Ending::Done);
        assert_eq!(whole(200, r#"{"result":{"kind":"message","parts":[]}}"#), Ending::Done);
        assert_eq!(whole(404, r#"{"error":{"code":404}}"#), Ending::Refused);
        assert_eq!(whole(502, ""), Ending::Failed);
        assert_eq!(whole(200, r#"{"jsonrpc":"2.0","error":{"code":-32602}}"#), Ending::Refused);
        assert_eq!(whole(200, r#"{"jsonrpc":"2.0","error":{"code":-32001}}"#), Ending::Refused);
        assert_eq!(whole(200, r#"{"jsonrpc":"2.0","error":{"code":-32603}}"#), Ending::Failed);
        assert_eq!(whole(200, r#"{"jsonrpc":"2.0","error":{"code":-32006}}"#), Ending::Failed);
        for (state, ending) in [
            ("TASK_STATE_FAILED", Ending::Failed),
            ("failed", Ending::Failed),
            ("TASK_STATE_REJECTED", Ending::Refused),
            ("TASK_STATE_COMPLETED", Ending::Done),
            ("canceled", Ending::Refused),
            ("working", Ending::Open),
            ("TASK_STATE_INPUT_REQUIRED", Ending::Open),
        ] {
            let task = format!(r#"{{"id":"t","status":{{"state":"{state}"}}}}"#);
            assert_eq!(whole(200, &task), ending, "{state}");
            assert_eq!(whole(200, &format!(r#"{{"result":{{"task":{task}}}}}"#)), ending, "{state}");
            assert_eq!(whole(200, &format!(r#"{{"result":{task}}}"#)), ending, "{state}");
        }
    }

    #[test]
    fn of_a_stream_the_last_state_counts_however_it_is_cut() {
        let event = |state: &str| {
            format!("data: {{\"result\":{{\"statusUpdate\":{{\"status\":{{\"state\":\"{state}\"}}}}}}}}\n\n")
        };
        let failed = event("TASK_STATE_WORKING") + &event("TASK_STATE_FAILED") + ": the end\n";
        for step in [1, 7, 1_000] {
            assert_eq!(read(200, true, &failed, step), Ending::Failed, "{step}");
            assert_eq!(
                read(200, true, &(failed.clone() + event("completed").trim_end()), step),
                Ending::Done
            );
        }
    }

    #[test]
    fn what_is_too_long_is_passed_over_and_not_held() {
        let long = format!(r#"{{"status":{{"state":"failed"}},"x":"{}"}}"#, "x".repeat(DOCUMENT_BYTES_MAX));
        assert_eq!(read(200, false, &long, 1_000), Ending::Done);
        let mut reader = EndingReader::new(200, true);
        reader.push(format!("data: {long}").as_bytes());
        assert!(reader.held.len() <= DOCUMENT_BYTES_MAX);
        reader.push(b"\ndata: {\"status\":{\"state\":\"failed\"}}\n");
        assert_eq!(reader.end(), Ending::Failed);
    }
}
