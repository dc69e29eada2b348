use serde_json::json;

use super::failure::Failure;
use super::page::{Page, Text};
use super::session::Session;

pub(crate) async fn ls(session: &Session) -> Result<Page, Failure> {
    let status = session.client().await?.status().await?;
    let agents: Vec<_> = status
        .agents
        .iter()
        .enumerate()
        .map(|(index, agent)| json!({"agent": agent, "default": index == 0}))
        .collect();
    let rows: Vec<Vec<String>> = status
        .agents
        .iter()
        .enumerate()
        .map(|(index, agent)| vec![agent.clone(), if index == 0 { "default" } else { "" }.to_owned()])
        .collect();
    let mut text = Text::default();
    text.table(&["AGENT", ""], &rows);
    Page::new(&json!({"schema": "althing.agents/v1", "agents": agents}), text)
}
