use a2a::{A2AError, JsonRpcId, JsonRpcResponse, StreamResponse};
use althing_tunnel::{Body, full};
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Response, StatusCode};
use serde_json::{Map, Value, json};

use crate::agent::Answer;
use crate::operation::Operation;

/// A request in JSON-RPC (A2A, section 9).
#[derive(Debug)]
pub(crate) struct RpcRequest {
    pub(crate) id: JsonRpcId,
    method: String,
    params: Value,
}

impl RpcRequest {
    /// Reads a request. What is wrong is told to the request's id as far as it could be read.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, (JsonRpcId, A2AError)> {
        let mut request: Value = serde_json::from_slice(body)
            .map_err(|error| (JsonRpcId::Null, A2AError::parse_error(format!("invalid JSON: {error}"))))?;
        let id = request.get("id").cloned().map(serde_json::from_value);
        let wrong =
            |id, cause: &str| Err((id, A2AError::invalid_request(format!("invalid request: {cause}"))));
        let Some(Ok(id)) = id else {
            return wrong(JsonRpcId::Null, "id must be a text or a whole number");
        };
        if request.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
            return wrong(id, "jsonrpc must be \"2.0\"");
        }
        let Some(method) = request.get("method").and_then(Value::as_str).map(ToOwned::to_owned) else {
            return wrong(id, "method must be a text");
        };
        let params = match request.get_mut("params").map(Value::take) {
            None | Some(Value::Null) => Value::Object(Map::new()),
            Some(params) => params,
        };
        Ok(Self { id, method, params })
    }

    /// What is asked for.
    pub(crate) fn operation(self) -> Result<Operation, A2AError> {
        Operation::of_method(&self.method, self.params)
    }
}

/// The answer to a request.
pub(crate) fn answer(id: JsonRpcId, answer: Answer) -> Response<Body> {
    match answer {
        Answer::Document(value) => respond(&JsonRpcResponse::success(id, value)),
        Answer::Events(events) => events.into_response(move |event| result(&id, &event)),
    }
}

/// What went wrong with a request.
pub(crate) fn fault(id: JsonRpcId, error: &A2AError) -> Response<Body> {
    respond(&JsonRpcResponse::error(id, error.to_jsonrpc_error()))
}

/// JSON-RPC is posted.
pub(crate) fn method_refusal(method: &Method) -> Option<Response<Body>> {
    (method != Method::POST).then(|| {
        let mut response = Response::new(full("JSON-RPC is posted\n"));
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        response
    })
}

fn result(id: &JsonRpcId, event: &StreamResponse) -> Vec<u8> {
    let document = json!({"jsonrpc": "2.0", "id": id, "result": event});
    document.to_string().into_bytes()
}

fn respond(document: &JsonRpcResponse) -> Response<Body> {
    let document = serde_json::to_vec(document).expect("its keys are texts");
    let mut response = Response::new(full(document));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
