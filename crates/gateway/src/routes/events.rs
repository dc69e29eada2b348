//! What happens here, as it happens.

use althing_engine::EventsFrom;
use axum::Extension;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use crate::api::{CloudEvent, EventsQuery, MAX_LAST, Problem, ProblemKind, parse_event_types};
use crate::edge::Edge;
use crate::event_stream::{EventBody, EventStream, Wanted};
use crate::life::Life;
use crate::query;
use crate::refused::Refused;

/// What happens here, as server-sent events
///
/// Every `data:` line is one CloudEvent 1.0 in the JSON format, and `id:` its id. A client that reconnects with the
/// header `Last-Event-ID`, as EventSource does, gets what it missed, in order and once. If some of that is gone, an
/// event of the type `io.althing.events.lost` says so, and the stream goes on with what there is.
///
/// Events are told when they are on disk. They are this node's own account: other nodes have other ids and another order.
/// A comment line every 15 s shows that the connection lives. A stream that nobody reads for two minutes is cut.
#[utoipa::path(
    get,
    path = "/v1/events",
    tag = "events",
    params(
        EventsQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "Begin after this event; goes before `after` and `last`."),
    ),
    responses((
        status = 200,
        description = "A stream that does not end by itself; the schema is that of the JSON in each `data:` line.",
        body = CloudEvent,
        content_type = "text/event-stream",
    ))
)]
pub(super) async fn events(
    State(edge): State<Edge>,
    life: Option<Extension<Life>>,
    headers: HeaderMap,
    query: Result<Query<EventsQuery>, QueryRejection>,
) -> Result<Response, Refused> {
    let query = query::read(query)?;
    let kinds = query.types.as_deref().map_or(Ok(Vec::new()), parse_event_types).map_err(|name| {
        Problem::new(ProblemKind::Invalid, format!("types: no event type is or begins with \"{name}\""))
            .with_hint("GET /openapi.json lists the types under EventData, such as vote or card.published")
    })?;
    let from = from(&headers, &query)?;
    let wanted = Wanted { from, kinds, follow: query.follow.unwrap_or(true) };
    let life = life.map_or_else(Life::default, |Extension(life)| life);
    let stream = EventStream::open(edge, wanted, life).await?;
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        // A proxy that collects an answer before it passes it on would hold events back.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    Ok((headers, Body::new(EventBody::new(stream))).into_response())
}

fn from(headers: &HeaderMap, query: &EventsQuery) -> Result<EventsFrom, Refused> {
    let invalid = |detail: String| Refused::from(Problem::new(ProblemKind::Invalid, detail));
    let header = headers.get("last-event-id").map(|value| String::from_utf8_lossy(value.as_bytes()));
    let (name, id) = match (&header, &query.after) {
        (Some(id), _) if !id.is_empty() => ("Last-Event-ID", &**id),
        (_, Some(_)) if query.last.is_some() => {
            return Err(invalid("expected after or last, found both".to_owned()));
        }
        (_, Some(id)) => ("after", id.as_str()),
        (_, None) => {
            let last = query.last.unwrap_or(0);
            if last > MAX_LAST {
                return Err(invalid(format!("last: expected at most {MAX_LAST}, found {last}")));
            }
            return Ok(EventsFrom::Newest(usize::try_from(last).unwrap_or(usize::MAX)));
        }
    };
    let found: String = id.chars().take(80).collect();
    let id = id.parse().map_err(|error| invalid(format!("{name}: {error}, found \"{found}\"")))?;
    Ok(EventsFrom::After(id))
}
