use std::time::Duration;

use althing_gateway::{Client, ClientError};
use althing_rocks::Holder;
use serde_json::json;
use tokio::time::Instant;

use super::failure::{Exit, Failure};
use super::page::{Page, Text};
use super::session::Session;
use crate::daemon;

/// How long to wait unless the user says otherwise.
const LIMIT: Duration = Duration::from_secs(30);
/// How long between two looks.
const INTERVAL: Duration = Duration::from_millis(100);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  althing up & althing wait
  althing wait --for peers=3 --timeout 2m
  althing down; althing wait --for stopped

Exit code 3: no node came up in time. Exit code 5: it did, and something is still missing.")]
pub(crate) struct Args {
    /// ready, peers=N or stopped
    #[arg(long = "for", value_name = "STATE", default_value = "ready", value_parser = target)]
    pub(crate) target: Target,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Nothing is missing.
    Ready,
    /// At least so many peers of the same network.
    Peers(u64),
    /// No process has the home open.
    Stopped,
}

/// What one look found.
enum Look {
    There,
    Missing(String),
    /// No node answers.
    Down(Failure),
}

pub(crate) async fn wait(args: Args, session: &Session) -> Result<Page, Failure> {
    let limit = session.timeout_or(LIMIT);
    let start = Instant::now();
    let deadline = start + limit;
    let mut last = Look::Missing("an answer of the node".to_owned());
    loop {
        if let Ok(found) = tokio::time::timeout_at(deadline, look(args.target, session)).await {
            last = found?;
        }
        if let Look::There = last {
            return page(args.target, start.elapsed());
        }
        if Instant::now() + INTERVAL >= deadline {
            break;
        }
        tokio::time::sleep(INTERVAL).await;
    }
    Err(match last {
        Look::Down(failure) => failure,
        Look::There => Failure::new(Exit::Timeout, "too late"),
        Look::Missing(what) => {
            let failure = Failure::new(Exit::Timeout, format!("still waiting for {what} after {limit:?}"));
            match args.target {
                Target::Stopped => failure,
                Target::Ready | Target::Peers(_) => {
                    failure.hint("`althing status` and `althing logs` show how the node is doing".to_owned())
                }
            }
        }
    })
}

async fn look(target: Target, session: &Session) -> Result<Look, Failure> {
    let asked = match target {
        Target::Stopped => {
            let holder = Holder::of(&daemon::store_dir(session.home()?));
            return Ok(holder.map_or(Look::There, |holder| Look::Missing(format!("the end of {holder}"))));
        }
        Target::Ready => match session.client().await {
            Ok(client) => waiting_for(&client).await,
            Err(failure) => return down(failure),
        },
        Target::Peers(wanted) => match session.client().await {
            Ok(client) => missing_peers(&client, wanted).await,
            Err(failure) => return down(failure),
        },
    };
    match asked {
        Ok(None) => Ok(Look::There),
        Ok(Some(missing)) => Ok(Look::Missing(missing)),
        Err(error) => down(error.into()),
    }
}

async fn waiting_for(client: &Client) -> Result<Option<String>, ClientError> {
    let missing = client.ready().await?.waiting_for;
    Ok((!missing.is_empty()).then(|| missing.join(", ")))
}

async fn missing_peers(client: &Client, wanted: u64) -> Result<Option<String>, ClientError> {
    let found = client.status().await?.peers;
    Ok((found < wanted).then(|| format!("peers={wanted}, found {found}")))
}

/// A node that does not answer may yet; anything else stays wrong.
fn down(failure: Failure) -> Result<Look, Failure> {
    match failure.exit {
        Exit::Down | Exit::Timeout => Ok(Look::Down(failure)),
        Exit::Done | Exit::Failed | Exit::Usage | Exit::Auth | Exit::Invalid => Err(failure),
    }
}

fn page(target: Target, waited: Duration) -> Result<Page, Failure> {
    let (name, said) = match target {
        Target::Ready => ("ready".to_owned(), "ready".to_owned()),
        Target::Peers(wanted) => (format!("peers={wanted}"), format!("{wanted} peers or more")),
        Target::Stopped => ("stopped".to_owned(), "stopped".to_owned()),
    };
    let mut text = Text::default();
    text.line(&said);
    let waited_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
    Page::new(&json!({"schema": "althing.wait/v1", "for": name, "waited_ms": waited_ms}), text)
}

fn target(text: &str) -> Result<Target, String> {
    let peers =
        text.strip_prefix("peers=").and_then(|number| number.parse().ok()).filter(|number| *number > 0);
    match (text, peers) {
        ("ready", _) => Ok(Target::Ready),
        ("stopped", _) => Ok(Target::Stopped),
        (_, Some(peers)) => Ok(Target::Peers(peers)),
        _ => Err("expected ready, peers=N with N from 1, or stopped".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read() {
        assert_eq!(target("ready"), Ok(Target::Ready));
        assert_eq!(target("peers=3"), Ok(Target::Peers(3)));
        assert_eq!(target("stopped"), Ok(Target::Stopped));
        for wrong in ["", "peers", "peers=", "peers=0", "peers=-1", "Ready"] {
            assert!(target(wrong).is_err(), "{wrong}");
        }
    }
}
