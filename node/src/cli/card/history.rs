use althing_gateway::api::{CloudEvent, EventsQuery, MAX_LAST};
use althing_record::AgentId;
use serde::Serialize;

use super::super::events::{SUBJECT_TYPES, is_of, line};
use super::super::failure::Failure;
use super::super::page::{Page, Text};
use super::super::session::Session;

/// What happened to an agent's card.
#[derive(Debug, Serialize)]
struct History {
    schema: &'static str,
    agent: String,
    /// When the oldest event of the journal was written, whomever it is about.
    journal_since: Option<String>,
    /// Whether the journal holds every event since the directory was made.
    journal_whole: bool,
    /// The events, oldest first.
    events: Vec<CloudEvent>,
}

pub(crate) async fn history(agent: AgentId, session: &Session) -> Result<Page, Failure> {
    let agent = agent.to_string();
    // All types: the oldest event of any says how far back the answer goes.
    let query = EventsQuery { last: Some(MAX_LAST), follow: Some(false), ..EventsQuery::default() };
    let mut stream = session.client().await?.events(&query, None).await?;
    let (mut oldest, mut events) = (None, Vec::new());
    while let Some(event) = stream.next().await? {
        oldest.get_or_insert_with(|| (event.time.clone(), event.id.ends_with("-1")));
        if is_of(&event, &agent, SUBJECT_TYPES) {
            events.push(event);
        }
    }
    let (journal_since, journal_whole) = oldest.unwrap_or((None, false));
    let mut text = Text::default();
    for event in &events {
        text.line(&line(event));
    }
    let count = match events.len() {
        0 => format!("nothing happened to the card of {agent}"),
        1 => "1 event".to_owned(),
        count => format!("{count} events"),
    };
    let since = journal_since.as_deref().unwrap_or("-");
    let start = if journal_whole { "since the store was made" } else { "older events are gone" };
    text.line(&format!("{count}; the journal goes back to {since} ({start})"));
    Page::new(
        &History { schema: "althing.card-history/v1", agent, journal_since, journal_whole, events },
        text,
    )
}
