//! Round trips to a node, and which way they go.

use std::time::Duration;

use althing_gateway::api::{Ping, PingQuery};
use althing_record::{AgentId, NodeId};
use tokio::time::{Instant, sleep_until};

use super::args;
use super::failure::{Exit, Failure};
use super::page::{Page, Screen, clean, print};
use super::session::Session;

/// How long between two pings.
const INTERVAL: Duration = Duration::from_secs(1);
/// How many are sent to find a direct path, unless the user says otherwise.
const TRIES: u32 = 10;

/// Whom to ping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Node(NodeId),
    Agent(AgentId),
}

impl std::str::FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |error: &dyn std::fmt::Display| {
            format!("expected a node (12D3Koo…) or an agent (did:key:…): {error}")
        };
        if text.starts_with("did:") {
            text.parse().map(Self::Agent).map_err(|error| wrong(&error))
        } else {
            text.parse().map(Self::Node).map_err(|error| wrong(&error))
        }
    }
}

pub(crate) async fn ping(args: args::Ping, session: &Session, screen: Screen) -> Result<Page, Failure> {
    let query = match &args.target {
        Target::Node(node) => PingQuery { node: Some(node.to_string()), agent: None },
        Target::Agent(agent) => PingQuery { node: None, agent: Some(agent.to_string()) },
    };
    let client = session.client().await?;
    let (count, until_direct) = (args.count.unwrap_or(TRIES), args.count.is_none());
    let mut last: Option<Ping> = None;
    let (mut answered, mut next) = (false, Instant::now());
    for number in 0..count {
        if number > 0 {
            sleep_until(next).await;
        }
        next = Instant::now() + INTERVAL;
        let pinged = client.ping(&query).await?;
        show(&pinged, screen)?;
        answered |= pinged.round_trip_us.is_some();
        let direct = pinged.path.as_ref().is_some_and(|path| path.is_direct());
        last = Some(pinged);
        if until_direct && direct {
            break;
        }
    }
    let Some(last) = last else { return Ok(Page::nothing()) };
    if !answered {
        let cause = last.cause.unwrap_or_else(|| "no answer".to_owned());
        let hint = "`althing doctor` says whether this node can reach others; `althing peers` shows whom it is connected to";
        return Err(Failure::new(Exit::Failed, format!("no answer from {}: {cause}", last.node))
            .hint(hint.to_owned()));
    }
    if until_direct && !last.path.is_some_and(|path| path.is_direct()) {
        super::page::note(
            "no direct path; a relay passes on what both sides say, without being able to read it",
        );
    }
    Ok(Page::nothing())
}

fn show(ping: &Ping, screen: Screen) -> Result<(), Failure> {
    let mut line = if screen.json {
        serde_json::to_string(ping).map_err(|error| Failure::new(Exit::Failed, error))?
    } else {
        clean(&line_of(ping))
    };
    line.push('\n');
    print(line.as_bytes())
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot write to standard output: {error}")))
}

fn line_of(ping: &Ping) -> String {
    match (ping.round_trip_us, &ping.path) {
        (Some(us), Some(path)) => {
            format!("answer from {} in {}.{} ms, {path}", ping.node, us / 1_000, us % 1_000 / 100)
        }
        (Some(us), None) => format!("answer from {} in {}.{} ms", ping.node, us / 1_000, us % 1_000 / 100),
        (None, _) => format!("no answer from {}: {}", ping.node, ping.cause.as_deref().unwrap_or("unknown")),
    }
}

#[cfg(test)]
mod tests {
    use althing_gateway::api::{PathKind, PeerPath};

    use super::*;

    #[test]
    fn lines_say_which_way_an_answer_came() {
        let path = |kind, transport: Option<&str>, relay: Option<&str>| PeerPath {
            kind,
            transport: transport.map(str::to_owned),
            relay: relay.map(str::to_owned),
        };
        let line = |path| line_of(&Ping::new("12D3".to_owned(), Ok((20_450, path))));
        assert_eq!(
            line(path(PathKind::Direct, Some("quic"), None)),
            "answer from 12D3 in 20.4 ms, direct (QUIC)"
        );
        assert!(line(path(PathKind::HolePunched, Some("tcp"), None)).ends_with("direct (TCP, hole punched)"));
        assert!(line(path(PathKind::Relayed, None, Some("12D3r"))).ends_with("via relay 12D3r"));
        let silent = Ping::new("12D3".to_owned(), Err("the node cannot be reached".to_owned()));
        assert_eq!(line_of(&silent), "no answer from 12D3: the node cannot be reached");
    }

    #[test]
    fn targets_are_nodes_or_agents() {
        assert!(matches!(NodeId([9; 32]).to_string().parse(), Ok(Target::Node(_))));
        assert!(matches!(AgentId([9; 32]).to_string().parse(), Ok(Target::Agent(_))));
        assert!("babel".parse::<Target>().is_err_and(|error| error.contains("did:key:…")));
    }
}
