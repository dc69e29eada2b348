use althing_engine::EventKind;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::EVENT_TYPE_PREFIX;

/// The query of `GET /v1/events`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventsQuery {
    /// Begin after this event. The header `Last-Event-ID` says the same and goes before it. Without either, and without
    /// `last`, the stream begins with what happens next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Begin with so many of the newest events, up to 100,000. With `types`: of those, among the newest 8,192.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<u32>,
    /// Only these types, separated by commas; each a whole type or its beginning up to a dot, with or without
    /// `io.althing.`: `vote,card.published`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub types: Option<String>,
    /// Whether the stream goes on with what happens next; true if not given. If not, it ends with the newest event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follow: Option<bool>,
}

/// The kinds that a list of types names.
///
/// # Errors
/// With the first name that means nothing.
pub fn parse_event_types(types: &str) -> Result<Vec<EventKind>, String> {
    let mut kinds = Vec::new();
    for name in types.split(',').map(str::trim) {
        let short = name.strip_prefix(EVENT_TYPE_PREFIX).unwrap_or(name);
        let meant = |kind: &&EventKind| {
            kind.name().strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let before = kinds.len();
        kinds.extend(EventKind::ALL.iter().filter(meant));
        if kinds.len() == before {
            return Err(name.chars().take(80).collect());
        }
    }
    kinds.sort_unstable();
    kinds.dedup();
    Ok(kinds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_whole_or_end_at_a_dot() {
        let one = Ok(vec![EventKind::VoteCast]);
        assert_eq!(parse_event_types("io.althing.vote.cast"), one);
        assert_eq!(parse_event_types("vote.cast, vote.cast"), one);
        assert_eq!(parse_event_types("vote").map(|kinds| kinds.len()), Ok(7));
        assert_eq!(parse_event_types("vote,card").map(|kinds| kinds.len()), Ok(12));
        for wrong in ["vot", "io.althing.vote.", "", "vote,nothing", "org.example", "events.lost"] {
            assert!(parse_event_types(wrong).is_err(), "{wrong}");
        }
    }
}
