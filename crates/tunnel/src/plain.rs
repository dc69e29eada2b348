//! Plain HTTP over libp2p (`/http/1.1`): the same agents, without call and Accept, so nothing of it is counted.

use std::convert::Infallible;
use std::sync::Arc;

use althing_record::{AgentId, NodeId};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;

use crate::callee::Callee;
use crate::serve::{self, Failure};
use crate::{Body, body};

/// Where agents are.
const AGENTS: &str = "/agents/";

/// Where libp2p's HTTP peers look for what is served.
const PROTOCOLS: &str = "/.well-known/libp2p/protocols";

/// The answer to that: A2A agents, each below its did.
const SERVED: &str = r#"{"/a2a/1":{"path":"/agents/"}}"#;

pub(crate) async fn respond(
    callee: &Callee,
    from: NodeId,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    if request.uri().path() == PROTOCOLS {
        let mut response = Response::new(body::full(SERVED));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        return Ok(response);
    }
    let not_found =
        || Failure::new(StatusCode::NOT_FOUND, "not-exposed", "expected /agents/<did>/…").response();
    if request.uri().scheme().is_some() || request.uri().authority().is_some() {
        let cause = "target is in absolute form and names a host";
        return Ok(Failure::new(StatusCode::BAD_REQUEST, "target", cause).response());
    }
    let target = request.uri().path_and_query().map_or("", |target| target.as_str());
    let Some((did, rest)) =
        target.strip_prefix(AGENTS).map(|rest| rest.split_once('/').unwrap_or((rest, "")))
    else {
        return Ok(not_found());
    };
    let agent = did.parse::<AgentId>().ok();
    let Some(exposure) = agent.and_then(|agent| callee.exposures().of(agent)) else { return Ok(not_found()) };
    let Ok(target) = format!("/{rest}").parse() else { return Ok(not_found()) };
    *request.uri_mut() = target;
    match callee.asking(from, exposure) {
        Ok(asking) => serve::respond(Arc::new(asking), request).await,
        Err(_) => {
            Ok(Failure::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "too many calls are under way")
                .response())
        }
    }
}
