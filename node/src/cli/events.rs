//! What happened at a node, and what happens.

use std::io;
use std::time::Duration;

use althing_gateway::api::{CloudEvent, EVENT_TYPE_PREFIX, EVENTS_LOST, EventsQuery};
use althing_gateway::{ClientError, EventReader};
use serde_json::Value;
use tokio::time::Instant;

use super::args;
use super::failure::{Exit, Failure};
use super::page::{Page, Screen, clean, note, print};
use super::session::Session;

/// How many events are shown unless the user says otherwise.
const SHOWN: u32 = 20;
/// Characters of an id that are shown.
const ID_CHARS: usize = 16;
/// How long to wait before the node is looked for again: from the first time on, and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

/// Event types that the node knows, so that a wrong one is a usage error.
pub(crate) fn types(text: &str) -> Result<String, String> {
    match althing_gateway::api::parse_event_types(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(name) => {
            Err(format!("no event type is or begins with \"{name}\"; vote and card.published are some"))
        }
    }
}

/// What concerns an agent's card and where it is served.
pub(crate) const SUBJECT_TYPES: &str = "card,lease,agent.key-changed";

/// Prints what happens to one agent from now on, until Ctrl-C.
pub(crate) async fn of_subject(
    agent: &str,
    types: &str,
    session: &Session,
    screen: Screen,
) -> Result<Page, Failure> {
    let args = args::Events { follow: true, after: None, types: Some(types.to_owned()), limit: Some(0) };
    until_interrupted(follow(args, Some(agent), session, screen)).await
}

/// Whether an event is about an agent and of one of these types.
pub(crate) fn is_of(event: &CloudEvent, agent: &str, types: &str) -> bool {
    let kind = event.kind.strip_prefix(EVENT_TYPE_PREFIX).unwrap_or(&event.kind);
    let begins =
        |name: &str| kind.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    event.subject == agent && types.split(',').any(begins)
}

/// Prints events until there are no more, the reader has seen enough, or Ctrl-C.
pub(crate) async fn events(args: args::Events, session: &Session, screen: Screen) -> Result<Page, Failure> {
    until_interrupted(follow(args, None, session, screen)).await
}

async fn until_interrupted(printing: impl Future<Output = Result<Page, Failure>>) -> Result<Page, Failure> {
    tokio::select! {
        done = printing => done,
        interrupted = tokio::signal::ctrl_c() => match interrupted {
            Ok(()) => Ok(Page::nothing()),
            Err(error) => Err(Failure::new(Exit::Failed, format!("cannot wait for Ctrl-C: {error}"))),
        },
    }
}

async fn follow(
    args: args::Events,
    subject: Option<&str>,
    session: &Session,
    screen: Screen,
) -> Result<Page, Failure> {
    let mut left = args.limit.filter(|_| args.after.is_some());
    let query = EventsQuery {
        after: args.after.map(|id| id.to_string()),
        last: args.after.is_none().then(|| args.limit.unwrap_or(SHOWN)),
        types: args.types,
        follow: Some(args.follow),
    };
    let mut last_id: Option<String> = None;
    let mut absence = Absence::default();
    loop {
        let (ended, ends) = match open(session, &query, last_id.as_deref()).await {
            Ok(mut events) => {
                if absence.is_over() {
                    note("the node is back; going on");
                }
                let shown = show(&mut events, subject, screen, &mut left).await?;
                last_id = events.last_id().map(str::to_owned).or(last_id);
                match shown {
                    Shown::Enough => return Ok(Page::nothing()),
                    Shown::Ended if !args.follow => return Ok(Page::nothing()),
                    Shown::Ended => ("the node ended the stream".to_owned(), None),
                    Shown::Broken(error) if args.follow => (error.to_string(), None),
                    Shown::Broken(error) => return Err(error.into()),
                }
            }
            // Before the first event nothing is known that waiting could bring back.
            Err(failure) if last_id.is_none() || !is_absence(&failure) => return Err(failure),
            Err(failure) => (failure.cause().to_owned(), Some(failure)),
        };
        let pause = absence.begin(&ended);
        if let Some(failure) = ends.filter(|_| absence.lasts_longer_than(session)) {
            return Err(failure);
        }
        tokio::time::sleep(pause).await;
    }
}

async fn open(session: &Session, query: &EventsQuery, last_id: Option<&str>) -> Result<EventReader, Failure> {
    Ok(session.client().await?.events(query, last_id).await?)
}

/// Whether the node may come back: it is down, too slow, or too busy.
fn is_absence(failure: &Failure) -> bool {
    match failure.exit {
        Exit::Down | Exit::Timeout => true,
        Exit::Done | Exit::Failed | Exit::Usage | Exit::Auth | Exit::Invalid => failure.is_busy(),
    }
}

/// A time without the node.
#[derive(Debug, Default)]
struct Absence {
    since: Option<Instant>,
    pause: Duration,
}

impl Absence {
    /// The node is not there; gives how long to wait.
    fn begin(&mut self, cause: &str) -> Duration {
        if self.since.is_none() {
            self.since = Some(Instant::now());
            self.pause = PAUSE.0;
            note(&format!("{}; waiting for the node", clean(cause)));
        } else {
            self.pause = (self.pause * 2).min(PAUSE.1);
        }
        self.pause
    }

    /// The node is there; says whether it was not before.
    fn is_over(&mut self) -> bool {
        self.since.take().is_some()
    }

    fn lasts_longer_than(&self, session: &Session) -> bool {
        self.since.is_some_and(|since| since.elapsed() >= session.timeout_or(Duration::MAX))
    }
}

/// Why no more of a stream is shown.
enum Shown {
    Enough,
    Ended,
    Broken(ClientError),
}

async fn show(
    events: &mut EventReader,
    subject: Option<&str>,
    screen: Screen,
    left: &mut Option<u32>,
) -> Result<Shown, Failure> {
    loop {
        if *left == Some(0) {
            return Ok(Shown::Enough);
        }
        let event = match events.next().await {
            Ok(Some(event)) => event,
            Ok(None) => return Ok(Shown::Ended),
            Err(error @ ClientError::Protocol(_)) => return Err(error.into()),
            Err(error) => return Ok(Shown::Broken(error)),
        };
        // That events were lost concerns everyone.
        let is_lost = event.kind == EVENTS_LOST;
        if subject.is_some_and(|subject| event.subject != subject && !is_lost) {
            continue;
        }
        let line = if screen.json {
            serde_json::to_string(&event)
                .map_err(|error| Failure::new(Exit::Failed, format!("cannot write JSON: {error}")))?
        } else {
            clean(&line(&event))
        };
        match print(format!("{line}\n").as_bytes()) {
            Ok(()) => {}
            // Whoever read this has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Shown::Enough),
            Err(error) => {
                let cause = format!("cannot write to standard output: {error}");
                return Err(Failure::new(Exit::Failed, cause));
            }
        }
        *left = left.map(|left| left - 1);
    }
}

/// An event in a line for people: when, and what happened.
pub(crate) fn line(event: &CloudEvent) -> String {
    let kind = event.kind.strip_prefix(EVENT_TYPE_PREFIX).unwrap_or(&event.kind);
    let time = event.time.as_deref().unwrap_or("-                       ");
    format!("{time}  {kind:17}  {}", what(kind, &event.data))
}

fn what(kind: &str, data: &Value) -> String {
    let text = |name: &str| data[name].as_str().unwrap_or("?");
    let id = |name: &str| text(name).chars().take(ID_CHARS).collect::<String>();
    match kind {
        "node.started" => match data["signing_stopped"].as_str() {
            Some(why) => format!("start {}; signs no votes: {why}", data["start"]),
            None => format!("start {}", data["start"]),
        },
        "agent.known" => text("agent").to_owned(),
        "agent.key-changed" => format!("{} signs with {}", text("agent"), id("key")),
        "card.published" | "card.updated" => {
            let changed: Vec<&str> =
                data["changed"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let changed = match changed.len() {
                0 => String::new(),
                _ => format!(", other {}", changed.join(", ")),
            };
            let revision = &data["revision"];
            format!("{} \"{}\" of {}, revision {revision}{changed}", id("card"), text("name"), text("agent"))
        }
        "card.retracted" if data["revision"].is_u64() => {
            format!("{} of {}, revision {}", id("card"), text("agent"), data["revision"])
        }
        "lease.began" | "lease.ended" => format!("{} at {}", text("agent"), text("node")),
        "lease.moved" => format!("{} at {}, before at {}", text("agent"), text("node"), text("from")),
        "card.retracted" | "card.expired" | "card.withdrawn" => {
            format!("{} of {}", id("card"), text("agent"))
        }
        "vote.proposed" => format!("{} \"{}\" by {}", id("proposal"), text("question"), text("proposer")),
        "vote.cast" => format!("{} \"{}\" by {}", id("proposal"), text("choice"), text("voter")),
        "vote.decided" => format!("{} \"{}\"", id("proposal"), text("option")),
        "docket.proposed" => format!(
            "{} \"{}\" with {} questions by {}",
            id("docket"),
            text("title"),
            data["questions"],
            text("proposer")
        ),
        "docket.answered" => format!("{} by {}", id("docket"), text("voter")),
        "docket.decided" => format!(
            "{} {} of {} questions decided, {} rejected",
            id("docket"),
            data["decided"],
            data["questions"],
            data["rejected"]
        ),
        "vote.opened" => format!("{} by {}", id("proposal"), text("trustee")),
        "vote.electorate-differs" => format!(
            "{} {} voters have another mass here, {} too low a score",
            id("proposal"),
            data["differing"],
            data["too_low"]
        ),
        "vote.rejected" => format!("{} {}", id("proposal"), text("cause")),
        "vote.conflicting" => {
            let options = data["options"].as_array().map(Vec::as_slice).unwrap_or_default();
            let options: Vec<&str> = options.iter().filter_map(Value::as_str).collect();
            format!("{} \"{}\"", id("proposal"), options.join("\", \""))
        }
        "group.changed" => format!("{} {} {}", id("group"), text("change"), text("agent")),
        "evidence.found" => format!("{} by {}", text("offence"), text("agent")),
        "rating.unproved" => format!("{} rows in {} by {}", data["rows"], id("record"), text("rater")),
        "agent.pardoned" => format!("{} by {}", text("agent"), id("proposal")),
        "signing.stopped" => text("cause").to_owned(),
        "disk.writable" => format!("full since {}: {}", text("full_since"), text("cause")),
        "events.lost" => match (text("reason"), data["count"].as_u64()) {
            ("trimmed", Some(count)) => format!("{count} events are no longer in the journal"),
            ("other-journal", _) => "the id is from another journal; this is all of this one".to_owned(),
            ("rolled-back", _) => {
                "the journal was taken back to before the id; what follows is new".to_owned()
            }
            (reason, _) => reason.to_owned(),
        },
        // A later version's.
        _ => data.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_says_when_and_what() {
        let event: CloudEvent = serde_json::from_value(json!({
            "specversion": "1.0",
            "id": "x",
            "source": "urn:althing:node:a",
            "type": "io.althing.vote.cast",
            "subject": "b",
            "time": "2026-11-20T12:00:00.000Z",
            "datacontenttype": "application/json",
            "data": {
                "proposal": "0123456789abcdef0123456789abcdef", "voter": "did:key:z6Mk", "choice": "yes",
            },
        }))
        .unwrap();
        let expected =
            "2026-11-20T12:00:00.000Z  vote.cast          0123456789abcdef \"yes\" by did:key:z6Mk";
        assert_eq!(line(&event), expected);
    }

    #[test]
    fn every_kind_has_words() {
        let data = json!({
            "start": 1, "agent": "a", "record": "b", "key": "c", "card": "d", "revision": 2, "name": "e",
            "proposal": "f", "proposer": "g", "question": "h", "voter": "i", "ballot": "j", "choice": "k",
            "option": "l", "options": ["m", "n"], "offence": "o", "records": ["p", "q"], "cause": "r",
            "full_since": "s", "full_since_ms": 3, "node": "t", "from": "u", "changed": ["v"],
            "group": "w", "change": "x", "height": 4,
            "trustee": "w", "docket": "y", "title": "z", "questions": 5, "decided": 3, "rejected": 1,
            "rows": 2, "rater": "ra", "record": "re",
        });
        for kind in althing_engine::EventKind::ALL {
            let said = what(kind.name(), &data);
            let is_raw = said.starts_with('{');
            assert_eq!(is_raw, *kind == althing_engine::EventKind::Unknown, "{}: {said}", kind.name());
            assert!(!said.contains('?'), "{}: {said}", kind.name());
        }
    }
}
