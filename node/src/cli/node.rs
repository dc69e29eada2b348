//! The node as a whole: status, peers, down.

use std::time::Duration;

use althing_gateway::api::{self, Stopping};
use althing_rocks::Holder;
use althing_testnet::{ProcessId, Signal};
use tokio::time::Instant;

use super::failure::{Exit, Failure};
use super::page::{Page, Text};
use super::session::Session;
use crate::daemon;

/// How long a node may take to end unless the user says otherwise.
const END_MAX: Duration = Duration::from_secs(30);
/// How long between two looks at a process that is ending.
const INTERVAL: Duration = Duration::from_millis(20);

pub(crate) async fn down(session: &Session) -> Result<Page, Failure> {
    let limit = session.timeout_or(END_MAX);
    let deadline = Instant::now() + limit;
    let asked = tokio::time::timeout_at(deadline, ask_to_stop(session)).await;
    let stopping = match asked {
        Ok(Ok(stopping)) => stopping,
        // A node that starts or stops holds its home without an API.
        Ok(Err(failure)) if failure.exit == Exit::Down => terminate(session).ok_or(failure)?,
        Ok(Err(failure)) => return Err(failure),
        Err(_) => return Err(does_not_end(session, limit, "does not answer")),
    };
    let process = ProcessId::of(stopping.pid);
    while process.as_ref().is_some_and(ProcessId::is_alive) {
        if Instant::now() >= deadline {
            return Err(does_not_end(session, limit, "was asked to stop and has not ended"));
        }
        tokio::time::sleep(INTERVAL).await;
    }
    let mut text = Text::default();
    text.line(&format!("stopped (pid {})", stopping.pid));
    Page::new(&stopping, text)
}

async fn ask_to_stop(session: &Session) -> Result<Stopping, Failure> {
    Ok(session.client().await?.shutdown().await?)
}

/// Sends SIGTERM to the process that has the home open, if there is one.
fn terminate(session: &Session) -> Option<Stopping> {
    let holder = Holder::of(&daemon::store_dir(session.home().ok()?))?;
    let process = ProcessId::of(holder.pid)?;
    process.signal(Signal::Term).ok()?.then(|| Stopping { pid: holder.pid, ..Stopping::this_process() })
}

fn does_not_end(session: &Session, limit: Duration, state: &str) -> Failure {
    let holder = session.home().ok().and_then(|home| Holder::of(&daemon::store_dir(home)));
    let who = holder.as_ref().map_or("the node".to_owned(), ToString::to_string);
    let kill = holder.map_or(String::new(), |holder| {
        format!("; `kill -9 {}` ends it, and what it acknowledged stays", holder.pid)
    });
    Failure::new(Exit::Timeout, format!("{who} {state} within {limit:?}"))
        .hint(format!("`althing logs` shows what it is doing{kill}"))
}

pub(crate) async fn status(session: &Session) -> Result<Page, Failure> {
    let status = session.client().await?.status().await?;
    let mut text = Text::default();
    let state = if status.ready {
        "ready".to_owned()
    } else {
        format!("waiting for {}", status.waiting_for.join(", "))
    };
    let mut pairs = vec![
        ("state", state),
        ("node", status.node.clone()),
        ("network", format!("{} ({})", status.network_name, status.network)),
        ("version", format!("{} (pid {})", status.version, status.pid)),
        ("home", session.home()?.display().to_string()),
        ("api", status.api.clone()),
    ];
    pairs.extend(status.agents.iter().map(|agent| ("agent", agent.clone())));
    pairs.extend(status.listen.iter().map(|address| ("listen", address.clone())));
    pairs.push(("peers", status.peers.to_string()));
    pairs.push(("sync", sync(&status)));
    pairs.push(("records", format!("{} (commit {})", status.records, status.commit)));
    pairs.push(("cards", status.cards.to_string()));
    pairs.push(("proposals", status.proposals.to_string()));
    pairs.push(("evidence", status.evidence.to_string()));
    pairs.push(("incarnation", status.incarnation.clone()));
    if let Some(why) = &status.voting_stopped {
        pairs.push(("voting", format!("stopped: {why}")));
    }
    if let Some(offset) = status.clock_offset_ms {
        pairs.push(("clock", format!("{offset} ms off its peers' median")));
    }
    for other in &status.served_elsewhere {
        pairs.push(("warning", elsewhere(other)));
    }
    if let Some(pruned) = &status.ratings_pruned {
        pairs.push(("pruned", dropped(pruned)));
    }
    let rows: Vec<Vec<String>> = status
        .domains
        .iter()
        .map(|domain| vec![domain.name.clone(), domain.records.to_string(), domain.digest.clone()])
        .collect();
    text.pairs(&pairs).line("").table(&["DOMAIN", "RECORDS", "DIGEST"], &rows);
    Page::new(&status, text)
}

/// An agent that another node serves too.
pub(super) fn elsewhere(other: &api::ServedElsewhere) -> String {
    let api::ServedElsewhere { agent, node, until, .. } = other;
    format!("{agent} is served at node {node} too, until {until}")
}

/// What a node dropped of that which raters publish.
pub(super) fn dropped(pruned: &api::RatingsPruned) -> String {
    let api::RatingsPruned { before_epoch, records } = pruned;
    format!("{records} attestations of rating epochs before {before_epoch}: they count nothing any more")
}

pub(crate) async fn peers(session: &Session) -> Result<Page, Failure> {
    let peers = session.client().await?.peers().await?;
    let mut text = Text::default();
    if peers.peers.is_empty() {
        text.line("no peers");
    } else {
        let rows: Vec<Vec<String>> = peers.peers.iter().map(row).collect();
        text.table(&["NODE", "DIALLED", "NETWORK", "ROUND TRIP", "PATH", "PROGRAM", "ADDRESSES"], &rows);
    }
    Page::new(&peers, text)
}

fn row(peer: &api::Peer) -> Vec<String> {
    let dialled = match peer.direction {
        api::Direction::Inbound => "by peer",
        api::Direction::Outbound => "by us",
    };
    let network = match peer.same_network {
        Some(true) => "same",
        Some(false) => "other",
        None => "?",
    };
    let round_trip = peer.round_trip_us.map_or("-".to_owned(), |us| {
        let tenths = us / 100;
        format!("{}.{} ms", tenths / 10, tenths % 10)
    });
    vec![
        peer.node.clone(),
        dialled.to_owned(),
        network.to_owned(),
        round_trip,
        peer.path.as_ref().map_or("-".to_owned(), ToString::to_string),
        peer.program.clone().unwrap_or_else(|| "-".to_owned()),
        peer.addresses.join(" "),
    ]
}

fn sync(status: &api::Status) -> String {
    match &status.last_sync {
        Some(last) => format!("{} rounds, the last at {last}", status.sync_rounds),
        None => "no round finished yet".to_owned(),
    }
}
