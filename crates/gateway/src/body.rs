use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Bytes};
use serde::de::DeserializeOwned;

use crate::api::{Problem, ProblemKind};
use crate::edge::Edge;
use crate::refused::Refused;

/// Largest card that the API reads. The engine takes less, and names the length of what is a little more.
pub(crate) const CARD_BYTES_MAX: usize = 20 * 1024;
/// Longest JSON of a card, as the engine checks it.
const CARD_JSON_BYTES_MAX: usize = 15 * 1024;
/// Largest body of every other request.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;
/// Largest body that carries the questions of a docket, or answers to them.
pub(crate) const DOCKET_BYTES_MAX: usize = 512 * 1024;
/// Largest body that carries records.
pub(crate) const RECORDS_BYTES_MAX: usize = 1024 * 1024;
/// Most bytes of a refused body that are read all the same.
const DISCARDED_BYTES_MAX: usize = 1024 * 1024;
const JSON: &str = "application/json";
const CBOR: &str = "application/cbor";
/// How long reading a refused body may take.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(1);

/// Reads a JSON body into a request type.
///
/// # Errors
/// When it is too large, too slow, not declared as JSON, or not of the form that the route takes.
pub(crate) async fn json<T: DeserializeOwned>(edge: &Edge, request: Request) -> Result<T, Refused> {
    json_up_to(edge, request, BODY_BYTES_MAX).await
}

/// The same for a request that may be longer or shorter than others.
///
/// # Errors
/// As [`json`].
pub(crate) async fn json_up_to<T: DeserializeOwned>(
    edge: &Edge,
    request: Request,
    bytes_max: usize,
) -> Result<T, Refused> {
    let too_large =
        |_| Problem::new(ProblemKind::TooLarge, format!("expected a body of at most {bytes_max} bytes"));
    let bytes = declared(edge, request, JSON, bytes_max, too_large).await?;
    // First whether it is JSON at all: an error in that comes before what is missing in it.
    parse::<serde::de::IgnoredAny>(&bytes)?;
    parse(&bytes)
}

/// Reads the exact bytes of a card. Whether they are one, the engine says.
///
/// # Errors
/// When it is too large, too slow or not declared as JSON.
pub(crate) async fn card(edge: &Edge, request: Request) -> Result<Vec<u8>, Refused> {
    declared(edge, request, JSON, CARD_BYTES_MAX, card_too_large).await
}

/// Reads the exact bytes of a CBOR body.
///
/// # Errors
/// When it is too large, too slow or not declared as CBOR.
pub(crate) async fn cbor(edge: &Edge, request: Request) -> Result<Vec<u8>, Refused> {
    let too_large = |_| {
        let detail = format!("expected a body of at most {RECORDS_BYTES_MAX} bytes");
        Problem::new(ProblemKind::TooLarge, detail).with_hint("send fewer records at a time")
    };
    declared(edge, request, CBOR, RECORDS_BYTES_MAX, too_large).await
}

/// The problem of a card that is not even read; `bytes`: its length, if that is known.
pub(crate) fn card_too_large(bytes: Option<u64>) -> Problem {
    let bytes = bytes.map_or_else(|| format!("more than {CARD_BYTES_MAX}"), |bytes| bytes.to_string());
    let detail = format!("card has {bytes} bytes of JSON, at most {CARD_JSON_BYTES_MAX} are allowed");
    Problem::new(ProblemKind::TooLarge, detail).with_hint("leave out what can be fetched elsewhere")
}

/// Reads a body that is declared to be of a type; `too_large` gets the length that the client declared, if it did.
async fn declared(
    edge: &Edge,
    request: Request,
    content_type: &str,
    bytes_max: usize,
    too_large: impl FnOnce(Option<u64>) -> Problem,
) -> Result<Vec<u8>, Refused> {
    let (head, body) = request.into_parts();
    if let Err(refused) = check_type(&head.headers, content_type) {
        discard(body).await;
        return Err(refused);
    }
    let limit = edge.body_timeout();
    let declared = body.size_hint().exact();
    let Ok(bytes) = tokio::time::timeout(limit, read(body, bytes_max)).await else {
        let detail = format!("the body did not arrive within {limit:?}");
        return Err(Problem::new(ProblemKind::SlowBody, detail).into());
    };
    bytes?.ok_or_else(|| too_large(declared).into())
}

/// Reads and forgets the body of a request that is refused anyway, within bounds: closing a connection with bytes
/// unread resets it, and the client might never see why it was refused.
pub(crate) async fn discard(mut body: Body) {
    if body.size_hint().lower() > DISCARDED_BYTES_MAX as u64 {
        return;
    }
    let all = async {
        let mut bytes = 0;
        while let Some(Ok(frame)) = body.frame().await {
            bytes += frame.data_ref().map_or(0, Bytes::len);
            if bytes > DISCARDED_BYTES_MAX {
                return;
            }
        }
    };
    // Whether it came to its end or not: the request is refused either way.
    let _ = tokio::time::timeout(DISCARD_TIMEOUT, all).await;
}

fn check_type(headers: &HeaderMap, expected: &str) -> Result<(), Refused> {
    let found = headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let essence = found.as_deref().map(|value| value.split(';').next().unwrap_or_default().trim());
    if essence.is_some_and(|essence| essence.eq_ignore_ascii_case(expected)) {
        return Ok(());
    }
    let found = found
        .map_or("none".to_owned(), |found| format!("\"{}\"", found.chars().take(80).collect::<String>()));
    Err(Problem::new(ProblemKind::MediaType, format!("expected the content type {expected}, found {found}"))
        .with_hint(format!("send `Content-Type: {expected}`"))
        .into())
}

/// The whole body; `None` if it is larger than `bytes_max`.
async fn read(mut body: Body, bytes_max: usize) -> Result<Option<Vec<u8>>, Refused> {
    let mut bytes = Vec::new();
    let mut fits = body.size_hint().lower() <= bytes_max as u64;
    while fits {
        let Some(frame) = body.frame().await else { return Ok(Some(bytes)) };
        let frame = frame.map_err(|error| {
            Problem::new(ProblemKind::Invalid, format!("the body did not arrive whole: {error}"))
        })?;
        let data = frame.data_ref().map_or(&[][..], |data| data);
        fits = bytes.len() + data.len() <= bytes_max;
        bytes.extend_from_slice(if fits { data } else { &[] });
    }
    discard(body).await;
    Ok(None)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(bytes).map_err(|error| {
        // serde_json numbers columns from 1, and says 0 when a line ended before its first character.
        let (line, column) = (error.line() as u64, error.column().max(1) as u64);
        let mut problem =
            Problem::new(ProblemKind::Invalid, format!("the JSON body is not as expected: {error}"));
        (problem.line, problem.column) = (Some(line), Some(column));
        problem.into()
    })
}
