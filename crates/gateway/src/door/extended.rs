//! The card that an agent shows to those who are logged in, for a client of this node.

use althing_a2a::{OriginCard, local_view, sign};
use althing_tunnel::{Body as CallBody, Identity, full, read};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH};
use http::{Method, Response, StatusCode};
use serde_json::Value;

use super::failure::{Cause, Failure};
use super::request::Incoming;
use crate::edge::Edge;

/// Longest request that may ask for the card, and longest answer.
const REQUEST_MAX: usize = 16 * 1_024;
const ANSWER_MAX: usize = 256 * 1_024;

/// What asks for it by JSON-RPC, in A2A 1.0 and 0.3.
const METHODS: [&str; 2] = ["GetExtendedAgentCard", "agent/getAuthenticatedExtendedCard"];

/// The last segment of its path by HTTP+JSON, in A2A 1.0 and 0.3.
const SEGMENTS: [&str; 2] = ["extendedAgentCard", "card"];

/// How a request asked for the card, and what stands for the agent on this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    form: Form,
    base: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Rpc,
    Rest,
}

impl Wish {
    /// The wish of a request, if it is one for the card. The answer to it comes uncompressed then.
    pub(super) fn of(incoming: &mut Incoming, base: &str) -> Option<Self> {
        let form = form_of(incoming.method(), incoming.path(), &incoming.bytes())?;
        incoming.headers_mut().remove(ACCEPT_ENCODING);
        Some(Self { form, base: base.to_owned() })
    }

    /// The agent's answer with its card as the local view of it. What is no card passes as it is.
    pub(super) async fn view(
        &self,
        edge: &Edge,
        response: Response<CallBody>,
    ) -> Result<Response<CallBody>, Failure> {
        if response.status() != StatusCode::OK || response.headers().contains_key(CONTENT_ENCODING) {
            return Ok(response);
        }
        let (mut head, body) = response.into_parts();
        let bytes = read(body, ANSWER_MAX).await.map_err(|cause| {
            Failure::new(Cause::ConnectionLost, format!("the agent's extended card {cause}"))
        })?;
        let identity = edge.backend().calls.identity.as_ref();
        let key = identity.map(Identity::key);
        let viewed =
            viewed(self.form, &bytes, &self.base, |card| key.as_ref().and_then(|key| sign(card, key).ok()));
        if let Some(viewed) = viewed {
            head.headers.remove(CONTENT_LENGTH);
            return Ok(Response::from_parts(head, full(viewed)));
        }
        Ok(Response::from_parts(head, full(bytes)))
    }
}

fn form_of(method: &Method, path: &str, body: &[u8]) -> Option<Form> {
    if *method == Method::GET {
        let is_below_tasks = path.split('/').any(|segment| segment == "tasks");
        let is_card = path.rsplit('/').next().is_some_and(|last| SEGMENTS.contains(&last));
        return (is_card && !is_below_tasks).then_some(Form::Rest);
    }
    // Other requests are not read for it.
    let may_ask = body.len() <= REQUEST_MAX && body.windows(8).any(|part| part == b"Extended");
    if *method != Method::POST || path != "/" || !may_ask {
        return None;
    }
    let request: Value = serde_json::from_slice(body).ok()?;
    let method = request.get("method")?.as_str()?;
    METHODS.contains(&method).then_some(Form::Rpc)
}

/// An answer with the local view of its card in place of the card, signed if that can be; none if there is no card in it.
fn viewed(
    form: Form,
    answer: &[u8],
    base: &str,
    sign: impl FnOnce(&Value) -> Option<Value>,
) -> Option<Vec<u8>> {
    let mut document: Value = serde_json::from_slice(answer).ok()?;
    let place = match form {
        Form::Rpc => document.get_mut("result")?,
        Form::Rest => &mut document,
    };
    let card = OriginCard::parse(place.to_string().as_bytes()).ok()?;
    let view = local_view(&card, &base.parse().ok()?);
    *place = sign(&view).unwrap_or(view);
    Some(document.to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const BASE: &str = "http://127.0.0.1:4500/a2a/agents/x/";

    fn asked(method: Method, path: &str, body: &str) -> Option<Form> {
        form_of(&method, path, body.as_bytes())
    }

    #[test]
    fn requests_for_the_card_are_told_from_others() {
        for path in ["/extendedAgentCard", "/v1/card", "/acme/extendedAgentCard"] {
            assert_eq!(asked(Method::GET, path, ""), Some(Form::Rest), "{path}");
        }
        for path in ["/tasks/card", "/v1/tasks/extendedAgentCard", "/tasks", "/card/x"] {
            assert_eq!(asked(Method::GET, path, ""), None, "{path}");
        }
        for method in METHODS {
            let body = json!({"jsonrpc": "2.0", "id": 1, "method": method}).to_string();
            assert_eq!(asked(Method::POST, "/", &body), Some(Form::Rpc));
            assert_eq!(asked(Method::POST, "/message:send", &body), None);
        }
        let message = r#"{"method":"SendMessage","params":{"text":"GetExtendedAgentCard"}}"#;
        assert_eq!(asked(Method::POST, "/", message), None);
        let long = format!(r#"{{"method":"GetExtendedAgentCard","x":"{}"}}"#, "x".repeat(REQUEST_MAX));
        assert_eq!(asked(Method::POST, "/", &long), None);
    }

    #[test]
    fn its_urls_lead_here_and_its_signatures_are_this_nodes() {
        let card = json!({
            "name": "x", "skills": [{"id": "secret"}], "signatures": [{"protected": "a", "signature": "b"}],
            "supportedInterfaces": [
                {"url": "http://10.0.0.1/rpc", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"},
                {"url": "10.0.0.1:50051", "protocolBinding": "GRPC", "protocolVersion": "1.0"},
            ],
        });
        let signed = |view: &Value| {
            let mut view = view.clone();
            view["signatures"] = json!("ours");
            Some(view)
        };
        let local = json!({
            "name": "x", "skills": [{"id": "secret"}], "signatures": "ours",
            "supportedInterfaces": [{"url": BASE, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}],
        });
        let rest = viewed(Form::Rest, card.to_string().as_bytes(), BASE, signed).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&rest).unwrap(), local);
        let answer = json!({"jsonrpc": "2.0", "id": 7, "result": card});
        let rpc = viewed(Form::Rpc, answer.to_string().as_bytes(), BASE, signed).unwrap();
        let rpc: Value = serde_json::from_slice(&rpc).unwrap();
        assert_eq!(rpc, json!({"jsonrpc": "2.0", "id": 7, "result": local}));
        // Whoever cannot sign shows it unsigned.
        let plain = viewed(Form::Rest, card.to_string().as_bytes(), BASE, |_| None).unwrap();
        assert!(serde_json::from_slice::<Value>(&plain).unwrap().get("signatures").is_none());
    }

    #[test]
    fn what_is_no_card_stays_as_it_is() {
        let error = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32007,"message":"none"}}"#;
        for (form, answer) in [(Form::Rpc, error), (Form::Rest, error), (Form::Rpc, "no"), (Form::Rest, "{}")]
        {
            assert_eq!(viewed(form, answer.as_bytes(), BASE, |_| None), None, "{answer}");
        }
    }
}
