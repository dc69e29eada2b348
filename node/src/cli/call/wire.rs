//! Requests in the form of each binding.

use a2a::{JsonRpcId, JsonRpcRequest};
use althing_a2a::{Binding, Protocol};
use althing_gateway::percent_encoded;
use serde_json::Value;

use super::interface::Interface;
use super::operation::Operation;
use super::request::Request;
use super::{Envelope, old};
use crate::cli::failure::{Exit, Failure};

/// The id of the one request that a connection carries by JSON-RPC.
const ID: i64 = 1;

/// The request for an operation, whose path begins with `base`: of a door, or of the interface itself. Paths of HTTP+JSON
/// are joined to it as it is.
pub(super) fn request(
    base: &str,
    query: &str,
    interface: &Interface,
    operation: &Operation,
) -> Result<Request, Failure> {
    let params = operation.params(interface.tenant.as_deref())?;
    let request = match (&interface.binding, interface.protocol) {
        (Binding::HttpJson, _) => http_json(base, query, interface, operation, &params)?,
        (_, Protocol::V1) => json_rpc(base, query, operation.method(), params)?,
        (_, Protocol::V0) => {
            let method = old::method(operation).ok_or_else(not_in_0_3)?;
            json_rpc(base, query, method, old::params(params))?
        }
    };
    let accept = if operation.streams() { "text/event-stream" } else { "application/json" };
    Ok(request.header("accept", accept).header("a2a-version", interface.protocol.version()))
}

fn json_rpc(base: &str, query: &str, method: &str, params: Value) -> Result<Request, Failure> {
    let request = JsonRpcRequest::new(JsonRpcId::Number(ID), method, Some(params));
    Ok(Request::post(target(base, "", query), written(&request)?))
}

/// Sections 11.3 and 11.5 of A2A 1.0.
fn http_json(
    base: &str,
    query: &str,
    interface: &Interface,
    operation: &Operation,
    params: &Value,
) -> Result<Request, Failure> {
    let tenant = interface.tenant.as_deref().map(percent_encoded);
    let base = tenant.map_or_else(|| base.to_owned(), |tenant| format!("{base}{tenant}/"));
    let task = |id: &str| format!("tasks/{}", percent_encoded(id));
    Ok(match operation {
        Operation::Send(_) => Request::post(target(&base, "message:send", query), written(params)?),
        Operation::Stream(_) => Request::post(target(&base, "message:stream", query), written(params)?),
        Operation::Cancel(request) => {
            Request::post(target(&base, &format!("{}:cancel", task(&request.id)), query), b"{}".to_vec())
        }
        Operation::Subscribe(request) => {
            Request::post(target(&base, &format!("{}:subscribe", task(&request.id)), query), b"{}".to_vec())
        }
        Operation::Get(request) => {
            Request::get(target(&base, &task(&request.id), &with_members(query, params, &["historyLength"])))
        }
        Operation::List(_) => {
            let members = ["contextId", "status", "pageSize", "pageToken"];
            Request::get(target(&base, "tasks", &with_members(query, params, &members)))
        }
    })
}

fn target(base: &str, path: &str, query: &str) -> String {
    if query.is_empty() { format!("{base}{path}") } else { format!("{base}{path}?{query}") }
}

/// A query with further members of the parameters, as far as they are there.
fn with_members(query: &str, params: &Value, names: &[&str]) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let member = |name: &&str| {
        let value = params.get(*name).filter(|value| !value.is_null())?;
        Some(format!("{name}={}", percent_encoded(&text(value))))
    };
    let members = names.iter().filter_map(member);
    let given = (!query.is_empty()).then(|| query.to_owned());
    given.into_iter().chain(members).collect::<Vec<_>>().join("&")
}

fn written(request: &impl serde::Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(request)
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot write the request: {error}")))
}

fn not_in_0_3() -> Failure {
    let envelope = Envelope::of_protocol(i64::from(a2a::error_code::UNSUPPORTED_OPERATION));
    Failure::new(Exit::Failed, "the agent speaks A2A 0.3, which cannot list tasks").envelope(envelope)
}

#[cfg(test)]
mod tests {
    use a2a::ListTasksRequest;

    use super::*;

    fn interface(binding: Binding, protocol: Protocol, tenant: Option<&str>) -> Interface {
        Interface { binding, protocol, tenant: tenant.map(str::to_owned), url: String::new() }
    }

    fn shown(interface: &Interface, operation: &Operation, query: &str) -> String {
        format!("{:?}", request("/a2a/agents/x/", query, interface, operation).unwrap())
    }

    fn body(interface: &Interface, operation: &Operation) -> Value {
        let params = operation.params(interface.tenant.as_deref()).unwrap();
        let method = match interface.protocol {
            Protocol::V1 => operation.method(),
            Protocol::V0 => old::method(operation).unwrap(),
        };
        serde_json::to_value(JsonRpcRequest::new(JsonRpcId::Number(ID), method, Some(params))).unwrap()
    }

    #[test]
    fn json_rpc_posts_to_the_door_itself() {
        let new = interface(Binding::JsonRpc, Protocol::V1, Some("t"));
        let get = Operation::get("a b", Some(2));
        let said = shown(&new, &get, "");
        assert!(said.contains("method: POST, target: \"/a2a/agents/x/\""), "{said}");
        assert_eq!(
            body(&new, &get).to_string(),
            r#"{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{"id":"a b","historyLength":2,"tenant":"t"}}"#
        );
        let old = interface(Binding::JsonRpc, Protocol::V0, None);
        assert_eq!(body(&old, &Operation::subscribe("a"))["method"], "tasks/resubscribe");
    }

    #[test]
    fn http_json_has_a_path_for_each_operation() {
        let rest = interface(Binding::HttpJson, Protocol::V1, None);
        for (operation, expected) in [
            (
                Operation::get("a b/..", Some(2)),
                "method: GET, target: \"/a2a/agents/x/tasks/a%20b%2F..?historyLength=2\"",
            ),
            (Operation::cancel("a"), "method: POST, target: \"/a2a/agents/x/tasks/a:cancel\""),
            (Operation::subscribe("a"), "method: POST, target: \"/a2a/agents/x/tasks/a:subscribe\""),
        ] {
            let said = shown(&rest, &operation, "");
            assert!(said.contains(expected), "{said}");
        }
        let list = ListTasksRequest {
            context_id: Some("c&d".into()),
            status: Some(a2a::TaskState::Working),
            page_size: Some(5),
            page_token: None,
            history_length: None,
            status_timestamp_after: None,
            include_artifacts: None,
            tenant: None,
        };
        let said = shown(&rest, &Operation::List(list), "key=1");
        assert!(said.contains("/tasks?key=1&contextId=c%26d&status=TASK_STATE_WORKING&pageSize=5"), "{said}");
        let tenant = interface(Binding::HttpJson, Protocol::V1, Some("a/b"));
        assert!(shown(&tenant, &Operation::cancel("x"), "").contains("/a2a/agents/x/a%2Fb/tasks/x:cancel"));
    }

    #[test]
    fn what_0_3_does_not_have_is_an_error_of_the_protocol() {
        let old = interface(Binding::JsonRpc, Protocol::V0, None);
        let list = serde_json::from_str(r#"{}"#).map(Operation::List).unwrap();
        let failure = request("/a2a/agents/x/", "", &old, &list).unwrap_err();
        assert_eq!(failure.json()["error"]["code"], "UnsupportedOperationError");
    }
}
