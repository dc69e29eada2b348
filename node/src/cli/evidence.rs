use althing_gateway::api::ListQuery;

use super::failure::Failure;
use super::page::{Page, Text};
use super::session::Session;

pub(crate) async fn ls(session: &Session) -> Result<Page, Failure> {
    let evidence = session.client().await?.evidence(&ListQuery::default()).await?;
    let mut text = Text::default();
    if evidence.evidence.is_empty() {
        text.line("no proven misbehaviour is known here");
    } else {
        let rows: Vec<Vec<String>> = evidence
            .evidence
            .iter()
            .map(|row| vec![row.agent.clone(), row.offence.clone(), row.records.join(" ")])
            .collect();
        text.table(&["AGENT", "OFFENCE", "RECORDS"], &rows);
    }
    Page::new(&evidence, text)
}
