//! The agent that is called: as little work as an A2A agent can have.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use futures::stream;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Bytes in one part of a long body.
pub(super) const PART: usize = 64 * 1_024;

/// What each call is answered with.
const ANSWER: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"message":{"messageId":"a1","role":"ROLE_AGENT","parts":[{"text":"Hello from the other side."}]}}}"#;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Serves until `end` ends; `ready` hears where.
///
/// # Errors
/// When no port can be had.
pub(crate) async fn serve(
    end: impl Future<Output = ()>,
    ready: impl FnOnce(SocketAddr) -> io::Result<()>,
) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    ready(address)?;
    let (events, _) = watch::channel(0_u64);
    let mut end = std::pin::pin!(end);
    loop {
        let (stream, _) = tokio::select! {
            accepted = listener.accept() => accepted?,
            () = end.as_mut() => return Ok(()),
        };
        stream.set_nodelay(true)?;
        let events = events.clone();
        let service = service_fn(move |request| answer(request, address, events.clone()));
        // A client that goes away ends its connection.
        tokio::spawn(Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(
    request: Request<Incoming>,
    address: SocketAddr,
    events: watch::Sender<u64>,
) -> Result<Response<Body>, Infallible> {
    let (head, mut body) = request.into_parts();
    let mut received = 0;
    while let Some(Ok(frame)) = body.frame().await {
        received += frame.data_ref().map_or(0, Bytes::len);
    }
    let response = match (&head.method, head.uri.path()) {
        (&Method::GET, "/.well-known/agent-card.json") => whole(card(address)),
        (&Method::POST, "/") => whole(ANSWER),
        (&Method::POST, "/rest/tasks/sink") => whole(received.to_string()),
        (&Method::GET, "/rest/tasks/parts") => parts(head.uri.query().and_then(|count| count.parse().ok())),
        (&Method::GET, "/rest/tasks/events") => stream_of(events.subscribe()),
        (&Method::POST, "/rest/tasks/event") => {
            events.send_modify(|number| *number += 1);
            whole(events.receiver_count().to_string())
        }
        _ => {
            let mut response = whole("");
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    };
    Ok(response)
}

fn whole(bytes: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(bytes.into()).boxed_unsync());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// So many parts, without saying how many.
fn parts(count: Option<usize>) -> Response<Body> {
    let part = Bytes::from(vec![0x61; PART]);
    let parts = stream::iter((0..count.unwrap_or(0)).map(move |_| Ok(Frame::data(part.clone()))));
    Response::new(StreamBody::new(parts).boxed_unsync())
}

/// A stream of events: one at once, then one each time that something happens.
fn stream_of(events: watch::Receiver<u64>) -> Response<Body> {
    let first = stream::iter([Ok(Frame::data(Bytes::from_static(b"data: begun\n\n")))]);
    let rest = stream::unfold(events, |mut events| async move {
        events.changed().await.ok()?;
        let number = *events.borrow_and_update();
        Some((Ok(Frame::data(Bytes::from(format!("data: {number}\n\n")))), events))
    });
    let mut response = Response::new(StreamBody::new(futures::StreamExt::chain(first, rest)).boxed_unsync());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response
}

fn card(address: SocketAddr) -> String {
    let interface = |binding: &str, path: &str| {
        serde_json::json!({
            "url": format!("http://{address}{path}"), "protocolBinding": binding, "protocolVersion": "1.0",
        })
    };
    serde_json::json!({
        "name": "Measured",
        "description": "Answers at once, always the same.",
        "version": "1.0.0",
        "supportedInterfaces": [interface("JSONRPC", "/"), interface("HTTP+JSON", "/rest")],
        "capabilities": {"streaming": true},
        "defaultInputModes": ["text/plain"],
        "defaultOutputModes": ["text/plain"],
        "skills": [{"id": "bench/call", "name": "Call", "description": "To be called.", "tags": ["bench"]}],
    })
    .to_string()
}
