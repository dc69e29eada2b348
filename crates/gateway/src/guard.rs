use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderMap;
use http::header::{HOST, ORIGIN};

use crate::api::{Problem, ProblemKind};
use crate::body;
use crate::edge::Edge;
use crate::refused::Refused;

/// Longest foreign value that a problem repeats, in characters.
const REPEATED_CHARS_MAX: usize = 80;

/// By which of the two listeners a request came; a request extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Loopback TCP, which any local user and any web page in a local browser can reach.
    Tcp,
    /// The Unix socket, which only this user can reach.
    Unix,
}

/// Refuses requests that a web page made a browser send: by DNS rebinding (Host) or directly (Origin).
pub(crate) async fn admit(
    State(edge): State<Edge>,
    request: Request,
    next: Next,
) -> Result<Response, Refused> {
    match check(&edge, &request) {
        Ok(()) => Ok(next.run(request).await),
        Err(refused) => {
            body::discard(request.into_body()).await;
            Err(refused)
        }
    }
}

/// Whether a request is none that [`admit`] refuses.
pub(crate) fn admits(edge: &Edge, request: &Request) -> bool {
    check(edge, request).is_ok()
}

fn check(edge: &Edge, request: &Request) -> Result<(), Refused> {
    let unix = request.extensions().get() == Some(&Transport::Unix);
    check_host(edge, unix, request).and_then(|()| check_origin(edge, request.headers()))
}

fn check_host(edge: &Edge, unix: bool, request: &Request) -> Result<(), Refused> {
    // Over the Unix socket there is no port to name.
    let ours = |host: &str| edge.hosts().iter().any(|name| name == host) || (unix && host == "localhost");
    let mut hosts: Vec<String> = header_texts(request.headers(), HOST.as_str());
    // An absolute-form target overrides Host (RFC 9112, 3.2.2), so both must be ours.
    hosts.extend(request.uri().authority().map(ToString::to_string));
    let detail = match hosts.iter().find(|host| !ours(host)) {
        Some(foreign) => {
            format!("expected the host {}, found \"{}\"", edge.hosts().join(" or "), cut(foreign))
        }
        None if request.headers().get_all(HOST).iter().count() == 1 => return Ok(()),
        None => format!("expected one Host header naming {}", edge.hosts().join(" or ")),
    };
    Err(Problem::new(ProblemKind::ForeignHost, detail).with_hint(format!("use {}", edge.url())).into())
}

fn check_origin(edge: &Edge, headers: &HeaderMap) -> Result<(), Refused> {
    let ours = |origin: &str| {
        let host = origin.split_once("://").filter(|(scheme, _)| *scheme == edge.scheme());
        host.is_some_and(|(_, host)| edge.hosts().iter().any(|name| name == host))
    };
    match header_texts(headers, ORIGIN.as_str()).iter().find(|origin| !ours(origin)) {
        None => Ok(()),
        Some(foreign) => {
            let detail = format!("requests from the origin \"{}\" are not accepted", cut(foreign));
            Err(Problem::new(ProblemKind::ForeignOrigin, detail)
                .with_hint("web pages cannot use this API; call it from a program of your own")
                .into())
        }
    }
}

/// The values of a header; what is not visible ASCII shows as replacement characters, which match nothing.
fn header_texts(headers: &HeaderMap, name: &str) -> Vec<String> {
    headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
}

fn cut(text: &str) -> String {
    text.chars().take(REPEATED_CHARS_MAX).collect()
}
