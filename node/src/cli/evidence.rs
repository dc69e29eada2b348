use althing_gateway::api::ListQuery;

use super::failure::Failure;
use super::page::{Page, Text};
use super::session::Session;
use super::vote::short;

pub(crate) async fn ls(session: &Session) -> Result<Page, Failure> {
    let evidence = session.client().await?.evidence(&ListQuery::default()).await?;
    let mut text = Text::default();
    if evidence.evidence.is_empty() {
        text.line("no proven misbehaviour is known here");
    } else {
        let rows: Vec<Vec<String>> = evidence
            .evidence
            .iter()
            .map(|row| {
                let pardon = row.pardoned_by.as_deref().map_or("-".to_owned(), short);
                vec![row.agent.clone(), row.offence.clone(), pardon, row.records.join(" ")]
            })
            .collect();
        text.table(&["AGENT", "OFFENCE", "PARDONED BY", "RECORDS"], &rows);
    }
    Page::new(&evidence, text)
}
