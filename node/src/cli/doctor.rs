//! What is wrong with a node, and what to do about it.

mod check;
mod facts;
mod network;
mod place;

use serde_json::json;

use self::check::{Check, State};
use self::facts::Facts;
use super::failure::{Exit, Failure};
use super::page::{Page, Text};
use super::session::Session;
use crate::settings::{Settings, Sources};

pub(crate) async fn doctor(session: &Session, sources: &Sources) -> Result<Page, Failure> {
    let facts = Facts::gather(session, Settings::read(sources).map_err(Failure::from)).await?;
    let checks = examine(&facts);
    let worst = checks.iter().map(|check| check.state).max().unwrap_or(State::Ok);
    let document = json!({
        "schema": "althing.doctor/v1",
        "state": worst,
        "running": facts.node.is_some(),
        "home": facts.home.display().to_string(),
        "checks": checks,
        "reach": facts.node.as_ref().map(|node| &node.reach),
    });
    let mut text = Text::default();
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or_default();
    for check in &checks {
        text.line(&format!("{:4}  {:width$}  {}", check.state.name(), check.name, check.finding));
        if let Some(fix) = &check.fix {
            text.line(&format!("{:4}  {:width$}  fix: {fix}", "", ""));
        }
    }
    let count = |state| checks.iter().filter(|check| check.state == state).count();
    text.line("").line(&format!("{} failed, {} to look at", count(State::Fail), count(State::Warn)));
    let page = Page::new(&document, text)?;
    Ok(if worst == State::Fail { page.exit(Exit::Failed) } else { page })
}

/// Everything that can be said from the facts, in the order in which it is shown.
fn examine(facts: &Facts) -> Vec<Check> {
    let mut checks = vec![place::node(facts), place::settings(facts), place::versions(facts)];
    if let Some(node) = &facts.node {
        checks.extend([
            network::listening(node),
            network::reachability(node),
            network::router(node),
            network::holes(node),
            network::relaying(node),
            network::kademlia(node),
            network::peers(node),
            network::protocols(node),
            network::clock(node),
            network::agents(node),
        ]);
    }
    checks.extend([place::disk(facts), place::store(facts), place::files(facts), place::modes(facts)]);
    checks
}

#[cfg(test)]
mod tests;
