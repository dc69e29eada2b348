use althing_a2a::Binding;
use althing_gateway::ClientError;
use althing_gateway::api::Problem;
use serde_json::Value;

use super::answer::Answer;
use super::interface::Interface;
use super::{Envelope, old};
use crate::cli::failure::{Exit, Failure};

/// The header by which a node says that an error is its own, not the agent's.
const CAUSE_HEADER: &str = "althing-error";
/// The domain of a node's errors in details.
const CAUSE_DOMAIN: &str = "althing.dev";
/// Longest message of an error that is shown, in characters.
const MESSAGE_CHARS_MAX: usize = 2_000;

/// A whole answer to a call.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    status: u16,
    /// What a node says of a call that did not get through.
    cause: Option<String>,
    media_type: String,
    body: Vec<u8>,
}

impl Reply {
    pub(super) async fn read(answer: Answer) -> Result<Self, Failure> {
        let (status, media_type) = (answer.status(), answer.media_type());
        let cause = answer.header(CAUSE_HEADER).map(str::to_owned);
        Ok(Self { status, cause, media_type, body: answer.bytes().await? })
    }

    /// Whether nothing is there.
    pub(super) fn is_absent(&self) -> bool {
        self.status == 404
    }

    /// The JSON of the body, whatever it is.
    pub(super) fn json(&self) -> Result<Value, Failure> {
        let body = serde_json::from_slice::<Value>(&self.body);
        if self.media_type == "application/problem+json"
            && let Ok(problem) = serde_json::from_slice::<Problem>(&self.body)
        {
            let failure = Failure::from(ClientError::Problem(Box::new(problem)));
            return Err(match &self.cause {
                Some(cause) => of_cause(cause, failure.cause()),
                None => failure,
            });
        }
        if let Ok(body) = &body
            && let Some(error) = body.get("error").filter(|error| error.is_object())
        {
            return Err(self.refined(of_error(error, self.cause.as_deref())));
        }
        if let Some(cause) = &self.cause {
            return Err(of_cause(cause, &format!("the call failed: {cause}")));
        }
        if !(200..300).contains(&self.status) {
            return Err(self.refined(invalid(&format!("the agent answered with status {}", self.status))));
        }
        body.map_err(|error| invalid(&format!("the agent's answer is not JSON: {error}")))
    }

    /// What the operation gave, in the form of 1.0.
    pub(super) fn result(&self, interface: &Interface, wrapped: bool) -> Result<Value, Failure> {
        result(self.json()?, interface, wrapped)
    }

    /// Whoever must log in is told so, whatever else the answer says.
    fn refined(&self, failure: Failure) -> Failure {
        if self.cause.is_none() && matches!(self.status, 401 | 403) {
            let a2a_code = Some(i64::from(self.status));
            let envelope = Envelope { code: "A2ACLI_ERR_AUTH_FAILED", a2a_code };
            let hint = "the agent wants credentials: --bearer or --api-key; its card says which".to_owned();
            let cause = format!("the agent does not let this caller in: {}", failure.cause());
            return Failure::new(Exit::Auth, cause).hint(hint).envelope(envelope);
        }
        failure
    }
}

/// What an event of a stream says, in the form of 1.0.
pub(super) fn event(data: &str, interface: &Interface) -> Result<Value, Failure> {
    let value: Value = serde_json::from_str(data)
        .map_err(|error| invalid(&format!("an event of the stream is not JSON: {error}")))?;
    if let Some(error) = value.get("error").filter(|error| error.is_object()) {
        return Err(of_error(error, None));
    }
    result(value, interface, true)
}

fn result(mut value: Value, interface: &Interface, wrapped: bool) -> Result<Value, Failure> {
    if interface.binding != Binding::HttpJson {
        let Some(result) = value.get_mut("result").filter(|result| !result.is_null()) else {
            return Err(invalid("the agent's answer has neither a result nor an error"));
        };
        value = result.take();
    }
    Ok(match interface.protocol {
        althing_a2a::Protocol::V1 => value,
        althing_a2a::Protocol::V0 => old::answer(value, wrapped),
    })
}

/// An answer that is none of A2A's.
pub(crate) fn invalid(cause: &str) -> Failure {
    let code = Envelope::of_protocol(i64::from(a2a::error_code::INVALID_AGENT_RESPONSE)).code;
    Failure::new(Exit::Failed, cause).envelope(Envelope::own(code))
}

/// An error as JSON-RPC or HTTP+JSON write it; `cause` if it is the node's own.
fn of_error(error: &Value, cause: Option<&str>) -> Failure {
    let number = error.get("code").and_then(Value::as_i64);
    let message = error.get("message").and_then(Value::as_str).unwrap_or_default();
    let message: String = message.chars().take(MESSAGE_CHARS_MAX).collect();
    let details = error.get("data").or_else(|| error.get("details")).and_then(Value::as_array);
    let text = |detail: &Value, name: &str| detail.get(name).and_then(Value::as_str).map(str::to_owned);
    let reason =
        details.into_iter().flatten().find_map(|detail| text(detail, "reason").zip(text(detail, "domain")));
    let own = reason.as_ref().filter(|(_, domain)| domain == CAUSE_DOMAIN);
    let own = own.map(|(reason, _)| reason.to_ascii_lowercase().replace('_', "-"));
    if let Some(cause) = own.as_deref().or(cause) {
        let message = if message.is_empty() { format!("the call failed: {cause}") } else { message };
        return of_cause(cause, &message);
    }
    // HTTP+JSON has the name in the reason, and a status as its number.
    let known = reason.and_then(|(reason, _)| a2a::reason_to_error_code(&reason)).map(i64::from);
    let mut envelope = Envelope::of_protocol(known.or(number).unwrap_or_default());
    envelope.a2a_code = number;
    let message = if message.is_empty() { format!("the agent refused: {}", envelope.code) } else { message };
    Failure::new(Exit::Failed, message).envelope(envelope)
}

/// What a node says of a call that did not get through: the names of the binding's page.
fn of_cause(cause: &str, message: &str) -> Failure {
    let (exit, hint) = match cause {
        "agent-not-found" => (Exit::Down, Some("`althing find` shows who is there")),
        "agent-unreachable" | "connection-lost" => {
            (Exit::Down, Some("`althing ping` with the agent's did says whether its node answers"))
        }
        "origin-unreachable" => (Exit::Down, Some("its node answers, but the agent itself does not run")),
        "not-exposed" | "stopping" => (Exit::Down, None),
        "not-allowed" => (Exit::Auth, None),
        "timeout" | "origin-timeout" => (Exit::Timeout, Some("--async returns before the task has ended")),
        "busy" | "origin-busy" => (Exit::Failed, Some("try again after a while")),
        _ => (Exit::Failed, None),
    };
    let envelope = if cause == "agent-not-found" {
        Envelope::own("A2ACLI_ERR_CARD_NOT_FOUND")
    } else {
        Envelope::of(exit)
    };
    Failure::new(exit, message).hint(hint.map(str::to_owned)).envelope(envelope)
}

#[cfg(test)]
mod tests {
    use althing_a2a::Protocol;
    use serde_json::json;

    use super::*;

    fn interface(binding: Binding, protocol: Protocol) -> Interface {
        Interface { binding, protocol, tenant: None, url: String::new() }
    }

    fn reply(status: u16, cause: Option<&str>, media_type: &str, body: &str) -> Reply {
        let (cause, media_type) = (cause.map(str::to_owned), media_type.to_owned());
        Reply { status, cause, media_type, body: body.as_bytes().to_vec() }
    }

    fn failed(reply: &Reply) -> (u8, Value) {
        let failure = reply.result(&interface(Binding::JsonRpc, Protocol::V1), true).unwrap_err();
        let json = failure.clone().of_call().json();
        (failure.exit.code(), json["error"].clone())
    }

    #[test]
    fn results_are_the_agents_own() {
        let body = r#"{"jsonrpc":"2.0","id":1,"result":{"task":{"id":"t","later":[1.0]}}}"#;
        let result = reply(200, None, "application/json", body)
            .result(&interface(Binding::JsonRpc, Protocol::V1), true);
        assert_eq!(result.unwrap().to_string(), r#"{"task":{"id":"t","later":[1.0]}}"#);
        let rest = reply(200, None, "application/a2a+json", r#"{"task":{"id":"t"}}"#);
        let result = rest.result(&interface(Binding::HttpJson, Protocol::V1), true);
        assert_eq!(result.unwrap(), json!({"task": {"id": "t"}}));
        let old = reply(200, None, "application/json", r#"{"result":{"kind":"task","id":"t","status":{}}}"#);
        let result = old.result(&interface(Binding::JsonRpc, Protocol::V0), false);
        assert_eq!(result.unwrap(), json!({"id": "t", "status": {}}));
    }

    #[test]
    fn errors_of_the_agent_have_the_names_of_the_protocol() {
        let body = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":"Task not found"}}"#;
        let (exit, error) = failed(&reply(200, None, "application/json", body));
        assert_eq!(
            (exit, error),
            (
                1,
                json!({"code": "TaskNotFoundError", "message": "Task not found", "hint": null, "a2aCode": -32001})
            )
        );
        let rest = r#"{"error":{"code":400,"status":"FAILED_PRECONDITION","message":"no","details":[
            {"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"TASK_NOT_CANCELABLE","domain":"a2a-protocol.org"}
        ]}}"#;
        let (exit, error) = failed(&reply(400, None, "application/json", rest));
        assert_eq!(
            (exit, &error["code"], &error["a2aCode"]),
            (1, &json!("TaskNotCancelableError"), &json!(400))
        );
    }

    #[test]
    fn errors_of_nodes_say_how_far_the_call_came() {
        let details = |reason: &str| {
            let info = json!({"@type": "x", "reason": reason, "domain": "althing.dev"});
            json!({"error": {"code": -32603, "message": "gone", "data": [info]}}).to_string()
        };
        for (reason, exit, code) in [
            ("AGENT_NOT_FOUND", 3, "A2ACLI_ERR_CARD_NOT_FOUND"),
            ("AGENT_UNREACHABLE", 3, "A2ACLI_ERR_UNREACHABLE"),
            ("ORIGIN_TIMEOUT", 5, "A2ACLI_ERR_TIMEOUT"),
            ("NOT_ALLOWED", 4, "A2ACLI_ERR_AUTH_FAILED"),
            ("ORIGIN_BROKE", 1, "A2ACLI_ERR_INTERNAL"),
        ] {
            let header = reason.to_lowercase().replace('_', "-");
            for reply in [
                reply(200, Some(&header), "application/json", &details(reason)),
                reply(200, None, "application/json", &details(reason)),
                reply(502, Some(&header), "text/plain", "nothing to read"),
            ] {
                let (found, error) = failed(&reply);
                assert_eq!((found, error["code"].as_str()), (exit, Some(code)), "{reason}");
            }
            let event = event(&details(reason), &interface(Binding::HttpJson, Protocol::V1)).unwrap_err();
            assert_eq!(event.exit.code(), exit);
        }
    }

    #[test]
    fn problems_of_the_node_are_told_apart_from_the_agents_answers() {
        let problem = json!({
            "schema": "althing.problem/v1", "type": "urn:althing:problem:foreign-host", "title": "t",
            "status": 403, "detail": "no",
        });
        let (exit, error) = failed(&reply(403, None, "application/problem+json", &problem.to_string()));
        assert_eq!((exit, error["message"].as_str()), (4, Some("no")));
        let (exit, error) =
            failed(&reply(503, Some("agent-unreachable"), "application/problem+json", &problem.to_string()));
        assert_eq!((exit, error["code"].as_str()), (3, Some("A2ACLI_ERR_UNREACHABLE")));
    }

    #[test]
    fn what_is_no_answer_of_a2a_is_named_so() {
        for (status, body) in
            [(200, "{}"), (200, "<html>"), (502, "bad gateway"), (200, r#"{"result":null}"#)]
        {
            let (exit, error) = failed(&reply(status, None, "text/html", body));
            assert_eq!((exit, error["code"].as_str()), (1, Some("InvalidAgentResponseError")), "{body}");
        }
        let (exit, error) = failed(&reply(401, None, "text/html", "who are you"));
        assert_eq!((exit, error["code"].as_str()), (4, Some("A2ACLI_ERR_AUTH_FAILED")));
    }
}
