//! What this node's agents know of others by their own calls.

use althing_gateway::api::{CallProof, ListQuery};

use super::failure::Failure;
use super::page::{Page, Text};
use super::session::Session;

/// How many characters of ids are shown.
const ID_CHARS: usize = 20;

pub(crate) async fn receipts(limit: usize, session: &Session) -> Result<Page, Failure> {
    let found = session.client().await?.receipts(&ListQuery { limit: Some(limit) }).await?;
    let mut text = Text::default();
    if found.calls.is_empty() {
        text.line("no call that both sides signed is kept here");
    } else {
        let rows: Vec<Vec<String>> = found.calls.iter().map(row).collect();
        text.table(&["ENDED", "TASK", "SIDE", "OTHER", "SKILL", "INDEX", "OUTCOME", "MS"], &rows);
    }
    Page::new(&found, text)
}

fn row(call: &CallProof) -> Vec<String> {
    let other = if call.side == "caller" { &call.callee } else { &call.caller };
    let short = |id: &str| id.chars().take(ID_CHARS).chain(['…']).collect::<String>();
    let outcome = if call.outcome == "answered" { call.status.to_string() } else { call.outcome.clone() };
    vec![
        call.made.clone(),
        short(&call.task),
        call.side.clone(),
        short(other),
        if call.skill.is_empty() { "-".to_owned() } else { call.skill.clone() },
        call.index.to_string(),
        outcome,
        call.latency_ms.to_string(),
    ]
}
