use althing_gateway::api::{self, FindQuery, Source};

use super::args;
use super::failure::Failure;
use super::page::{Page, Text};
use super::session::Session;

pub(crate) async fn find(args: args::Find, session: &Session) -> Result<Page, Failure> {
    let query =
        FindQuery { skill: args.skill.to_string(), limit: Some(args.limit.into()), live: Some(!args.local) };
    let found = session.client().await?.find(&query).await?;
    let mut text = Text::default();
    if !found.agents.is_empty() {
        let rows: Vec<Vec<String>> = found.agents.iter().map(row).collect();
        text.table(&["AGENT", "NAME", "SKILLS", "FROM", "SERVED BY"], &rows).line("");
    }
    text.line(&completeness(&found));
    Page::new(&found, text)
}

fn row(agent: &api::FoundAgent) -> Vec<String> {
    let from = match agent.source {
        Source::Lookup => "lookup",
        Source::Index => "index",
    };
    let served: Vec<&str> = agent.leases.iter().map(|lease| lease.node.as_str()).collect();
    let served = if served.is_empty() { "offline".to_owned() } else { served.join(" ") };
    vec![agent.agent.clone(), agent.name.clone(), agent.skills.join(" "), from.to_owned(), served]
}

/// How many were found, and how much that says.
fn completeness(found: &api::Find) -> String {
    let count = match found.agents.len() {
        0 => "no agent found".to_owned(),
        1 => "1 agent".to_owned(),
        count => format!("{count} agents"),
    };
    if !found.live {
        return format!("{count}; from this node's own index, the network was not asked");
    }
    format!(
        "{count}; asked {} of {} pages, {} of {} providers silent",
        found.pages_answered, found.pages, found.providers_silent, found.providers
    )
}
