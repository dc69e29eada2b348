//! A search that goes on: what changes in its answer, as it changes.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use althing_gateway::api::{EventsQuery, FindQuery, FoundAgent};
use althing_gateway::{Client, EventReader};
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout};

use super::super::failure::{Exit, Failure};
use super::super::page::{Page, Screen, clean, note, print};
use super::super::session::Session;
use super::{reach_name, remaining};

/// How often the index is asked although nothing was told: leases end without a word.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// How often the network is asked.
const LOOK_UP_AGAIN: Duration = Duration::from_secs(60);
/// Events that come together are answered together.
const SETTLE: Duration = Duration::from_millis(100);
/// How long to wait before the node is looked for again.
const PAUSE: Duration = Duration::from_secs(1);

/// One change, as a line of JSON.
#[derive(Debug, Serialize)]
struct Line<'a> {
    schema: &'static str,
    change: Change,
    agent: &'a FoundAgent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Change {
    Appeared,
    Changed,
    Gone,
}

type Known = BTreeMap<String, FoundAgent>;

pub(crate) async fn watch(query: FindQuery, session: &Session, screen: Screen) -> Result<Page, Failure> {
    tokio::select! {
        done = follow(query, session, screen) => done,
        interrupted = tokio::signal::ctrl_c() => match interrupted {
            Ok(()) => Ok(Page::nothing()),
            Err(error) => Err(Failure::new(Exit::Failed, format!("cannot wait for Ctrl-C: {error}"))),
        },
    }
}

async fn follow(query: FindQuery, session: &Session, screen: Screen) -> Result<Page, Failure> {
    let mut known = Known::new();
    let mut was_there = false;
    loop {
        let failure = match run(&query, &mut known, &mut was_there, session, screen).await {
            Ok(()) => return Ok(Page::nothing()),
            Err(failure) => failure,
        };
        let may_come_back = matches!(failure.exit, Exit::Down | Exit::Timeout) || failure.is_busy();
        if !was_there || !may_come_back {
            return Err(failure);
        }
        note(&format!("{}; waiting for the node", clean(failure.cause())));
        sleep(PAUSE).await;
    }
}

/// Prints changes until nobody reads them any more, or the node is away.
async fn run(
    query: &FindQuery,
    known: &mut Known,
    was_there: &mut bool,
    session: &Session,
    screen: Screen,
) -> Result<(), Failure> {
    let client = session.client().await?;
    // Listened to first, so that nothing happens between the first answer and the first event.
    let types = Some("card,lease,agent.key-changed".to_owned());
    let mut events = client.events(&EventsQuery { types, ..EventsQuery::default() }, None).await?;
    let mut looked_up: Option<Instant> = None;
    loop {
        let is_due = looked_up.is_none_or(|at| at.elapsed() >= LOOK_UP_AGAIN);
        let live = query.live == Some(true) && is_due;
        let found = find(&client, query, live).await?;
        if live {
            looked_up = Some(Instant::now());
        }
        if found.cut && !*was_there {
            note(&format!("only the first {} agents are watched; --limit takes more", found.agents.len()));
        }
        *was_there = true;
        for (change, agent) in changes(known, found.agents) {
            if !say(change, &agent, screen)? {
                return Ok(());
            }
        }
        wait(&mut events).await?;
    }
}

async fn find(client: &Client, query: &FindQuery, live: bool) -> Result<althing_gateway::api::Find, Failure> {
    Ok(client.find(&FindQuery { live: Some(live), ..query.clone() }).await?)
}

/// Waits until something happened, or for long enough.
async fn wait(events: &mut EventReader) -> Result<(), Failure> {
    let ended = || Failure::new(Exit::Down, "the node ended the stream");
    let Ok(first) = timeout(LOOK_AGAIN, events.next()).await else { return Ok(()) };
    first?.ok_or_else(ended)?;
    while let Ok(next) = timeout(SETTLE, events.next()).await {
        next?.ok_or_else(ended)?;
    }
    Ok(())
}

/// What is not as it was; ages and round trips change all the time and are no change.
fn changes(known: &mut Known, agents: Vec<FoundAgent>) -> Vec<(Change, FoundAgent)> {
    let mut before = std::mem::take(known);
    let mut changes = Vec::new();
    for agent in agents {
        match before.remove(&agent.agent) {
            None => changes.push((Change::Appeared, agent.clone())),
            Some(old) if essence(&old) != essence(&agent) => changes.push((Change::Changed, agent.clone())),
            Some(_) => {}
        }
        known.insert(agent.agent.clone(), agent);
    }
    changes.extend(before.into_values().map(|agent| (Change::Gone, agent)));
    changes
}

fn essence(agent: &FoundAgent) -> impl PartialEq + use<> {
    let mut places: Vec<_> =
        agent.leases.iter().map(|lease| (lease.node.clone(), lease.addresses.clone())).collect();
    places.sort_unstable();
    (agent.card.clone(), places)
}

/// Prints a change; false when nobody reads any more.
fn say(change: Change, agent: &FoundAgent, screen: Screen) -> Result<bool, Failure> {
    let line = if screen.json {
        serde_json::to_string(&Line { schema: "althing.find-change/v1", change, agent })
            .map_err(|error| Failure::new(Exit::Failed, format!("cannot write JSON: {error}")))?
    } else {
        clean(&written(change, agent))
    };
    match print(format!("{line}\n").as_bytes()) {
        Ok(()) => Ok(true),
        // Whoever read this has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::new(Exit::Failed, format!("cannot write to standard output: {error}"))),
    }
}

fn written(change: Change, agent: &FoundAgent) -> String {
    let head = |sign| format!("{sign} {} \"{}\" {}", agent.agent, agent.name, agent.skills.join(" "));
    let nodes: Vec<&str> = agent.leases.iter().map(|lease| lease.node.as_str()).collect();
    let now = format!("{}, lease {}, at {}", reach_name(agent.reach), remaining(agent), nodes.join(" "));
    match change {
        Change::Appeared => format!("{} ({now})", head('+')),
        Change::Changed => format!("{} ({now})", head('~')),
        Change::Gone => head('-'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(name: &str, card: &str, node: &str) -> FoundAgent {
        let lease = serde_json::json!({
            "node": node, "addresses": [], "made": "", "made_ms": 0, "expires": "", "expires_ms": 9,
        });
        serde_json::from_value(serde_json::json!({
            "agent": format!("did:{name}"), "name": name, "description": "", "skills": [], "card": card,
            "revision": 1, "age_ms": 1, "expires": "", "expires_ms": 1, "source": "index",
            "reach": "unknown", "round_trip_us": null, "lease_age_ms": 1, "served_until": "",
            "served_until_ms": 9, "leases": [lease],
        }))
        .unwrap()
    }

    #[test]
    fn changes_are_told_once() {
        let mut known = Known::new();
        let mut told = |agents: Vec<FoundAgent>| {
            let changes = changes(&mut known, agents);
            changes.into_iter().map(|(change, agent)| (change, agent.name)).collect::<Vec<_>>()
        };
        let (a, b) = (agent("a", "1", "x"), agent("b", "1", "x"));
        assert_eq!(
            told(vec![a.clone(), b.clone()]),
            [(Change::Appeared, "a".to_owned()), (Change::Appeared, "b".to_owned())]
        );
        let renewed = FoundAgent { age_ms: 7, served_until_ms: 99, ..a.clone() };
        assert_eq!(told(vec![renewed, b]), []);
        assert_eq!(
            told(vec![agent("a", "2", "x"), agent("b", "1", "x")]),
            [(Change::Changed, "a".to_owned())]
        );
        let moved = agent("a", "2", "y");
        assert_eq!(told(vec![moved]), [(Change::Changed, "a".to_owned()), (Change::Gone, "b".to_owned())]);
        assert_eq!(told(Vec::new()), [(Change::Gone, "a".to_owned())]);
    }
}
