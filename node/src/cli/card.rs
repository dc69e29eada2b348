mod history;
mod verify;
mod watch;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use althing_card::JSON_BYTES_MAX;
use althing_gateway::api;

pub(crate) use self::watch::watch;
use super::args;
use super::failure::{Exit, Failure};
use super::page::{Page, Screen, Text};
use super::session::Session;

/// Longest file that is read as a card: far more than a card may have, so that the node names the real bound.
const FILE_BYTES_MAX: u64 = 256 * 1_024;

pub(crate) async fn card(command: args::Card, session: &Session) -> Result<Page, Failure> {
    match command {
        args::Card::Publish { file, agent } => {
            let json = read(&file, FILE_BYTES_MAX)?;
            let agent = agent.map(|agent| agent.to_string());
            let published = session.client().await?.publish_card(&json, agent.as_deref()).await?;
            publish_page(&published)
        }
        args::Card::Retract { agent } => {
            let client = session.client().await?;
            let agent = match agent {
                Some(agent) => agent.to_string(),
                None => {
                    let hosted = client.status().await?.agents.into_iter().next();
                    hosted.ok_or_else(|| Failure::not_found("this node hosts no agent"))?
                }
            };
            retract_page(&client.retract_card(&agent).await?)
        }
        args::Card::History { agent } => history::history(agent, session).await,
        args::Card::Verify { card } => verify::verify(&card, session).await,
        args::Card::Watch { agent } => watch(agent, session, Screen { json: false }).await,
        args::Card::Get { agent, raw } => {
            let card = session.client().await?.card(&agent.to_string()).await?;
            let page = card_page(&card)?;
            Ok(if raw { page.raw(card.json.into_bytes()) } else { page })
        }
    }
}

fn read(file: &Path, bytes_max: u64) -> Result<Vec<u8>, Failure> {
    let mut json = Vec::new();
    let read = if file == Path::new("-") {
        io::stdin().lock().take(bytes_max + 1).read_to_end(&mut json)
    } else {
        File::open(file).and_then(|open| open.take(bytes_max + 1).read_to_end(&mut json))
    };
    read.map_err(|error| Failure::file("read the card", file, &error))?;
    if json.len() as u64 > bytes_max {
        let cause = format!(
            "card {} has more than {bytes_max} bytes of JSON, at most {JSON_BYTES_MAX} are allowed",
            file.display()
        );
        return Err(
            Failure::new(Exit::Failed, cause).hint("leave out what can be fetched elsewhere".to_owned())
        );
    }
    Ok(json)
}

fn publish_page(published: &api::Published) -> Result<Page, Failure> {
    let mut text = Text::default();
    text.pairs(&[
        ("published", published.card.clone()),
        ("agent", published.agent.clone()),
        ("revision", published.revision.to_string()),
        ("skills", list(&published.skills)),
        ("expires", published.expires.clone()),
    ]);
    Page::new(published, text)
}

fn retract_page(retracted: &api::Retracted) -> Result<Page, Failure> {
    let mut text = Text::default();
    text.pairs(&[
        ("retracted", retracted.card.clone()),
        ("agent", retracted.agent.clone()),
        ("by", retracted.record.clone()),
        ("revision", retracted.revision.to_string()),
        ("leases ended", retracted.leases_ended.to_string()),
        ("stands until", retracted.expires.clone()),
    ]);
    Page::new(retracted, text)
}

fn card_page(card: &api::Card) -> Result<Page, Failure> {
    let field = |name: &str| card.a2a.get(name).and_then(|value| value.as_str()).unwrap_or("-").to_owned();
    let mut text = Text::default();
    text.pairs(&[
        ("name", field("name")),
        ("description", field("description")),
        ("agent", card.agent.clone()),
        ("card", card.card.clone()),
        ("revision", card.revision.to_string()),
        ("signed with", card.key.clone()),
        ("made", card.made.clone()),
        ("expires", card.expires.clone()),
        ("skills", list(&card.skills)),
    ]);
    if card.leases.is_empty() {
        text.pairs(&[("served by  ", "nobody at the moment".to_owned())]);
    } else {
        let rows: Vec<Vec<String>> = card
            .leases
            .iter()
            .map(|lease| vec![lease.node.clone(), lease.expires.clone(), lease.addresses.join(" ")])
            .collect();
        text.line("").table(&["SERVED BY", "UNTIL", "ADDRESSES"], &rows);
    }
    Page::new(card, text)
}

fn list(items: &[String]) -> String {
    if items.is_empty() { "none".to_owned() } else { items.join(" ") }
}
