use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Method, StatusCode};
use tokio::time::Instant;

use crate::api::{Problem, ProblemKind};

/// The media type of RFC 9457.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";
/// Longest path that a problem repeats, in characters.
const INSTANCE_CHARS_MAX: usize = 256;

/// A request that is not done. [`finish`] writes it out, because only there the path is known.
#[derive(Clone, Debug)]
pub(crate) struct Refused(Box<Problem>);

impl Refused {
    /// What is wrong, for people.
    pub(crate) fn detail(&self) -> &str {
        &self.0.detail
    }

    /// Which kind of problem it is.
    pub(crate) fn kind(&self) -> Option<ProblemKind> {
        self.0.kind()
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Marks an answer that is not this node's own: nothing is added to it. A response extension.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Untouched;

/// Takes the mark of an answer that is not this node's own, and logs it. Gives whether it had one.
pub(crate) fn take_untouched(response: &mut Response, method: &Method, started: Instant) -> bool {
    let is_untouched = response.extensions_mut().remove::<Untouched>().is_some();
    if is_untouched {
        let (status, elapsed_us) = (response.status().as_u16(), started.elapsed().as_micros());
        tracing::debug!(%method, status, elapsed_us = %elapsed_us, "request to an agent");
    }
    is_untouched
}

/// Outermost layer: writes problems as RFC 9457 JSON, sets the headers that every answer has, and logs.
pub(crate) async fn finish(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let instance: String = request.uri().path().chars().take(INSTANCE_CHARS_MAX).collect();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let mut response = next.run(request).await;
    if take_untouched(&mut response, &method, started) {
        return response;
    }

    let refused = response.extensions_mut().remove::<Refused>();
    let problem = refused.map(|Refused(problem)| *problem).or_else(|| unwritten(&response));
    if let Some(mut problem) = problem {
        problem.instance = Some(instance);
        write(&mut response, &problem);
    }
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // The page for people allows itself its own style sheet.
    headers
        .entry(CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let (status, elapsed_us) = (response.status().as_u16(), started.elapsed().as_micros());
    tracing::debug!(%method, route, status, elapsed_us = %elapsed_us, "local API request");
    response
}

fn write(response: &mut Response, problem: &Problem) {
    let body = serde_json::to_vec(problem).expect("a problem holds texts and numbers only");
    *response.body_mut() = Body::from(body);
    let headers = response.headers_mut();
    headers.remove(CONTENT_LENGTH);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    match problem.kind() {
        Some(ProblemKind::Unauthorized) => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"althing\""));
        }
        Some(ProblemKind::Scope) => {
            headers.insert(
                WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"althing\", error=\"insufficient_scope\""),
            );
        }
        Some(ProblemKind::Busy) => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        _ => {}
    }
}

/// The problem for an error that a library answered in its own form.
fn unwritten(response: &Response) -> Option<Problem> {
    let status = response.status();
    let ours = response.headers().get(CONTENT_TYPE).is_some_and(|value| value == "application/json");
    if ours || !(status.is_client_error() || status.is_server_error()) {
        return None;
    }
    let kind = match status {
        StatusCode::NOT_FOUND => ProblemKind::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => ProblemKind::MethodNotAllowed,
        StatusCode::PAYLOAD_TOO_LARGE => ProblemKind::TooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ProblemKind::MediaType,
        status if status.is_server_error() => ProblemKind::Internal,
        _ => ProblemKind::Invalid,
    };
    let mut problem =
        Problem::new(kind, status.canonical_reason().unwrap_or("the request failed").to_lowercase());
    problem.status = status.as_u16();
    Some(problem)
}
