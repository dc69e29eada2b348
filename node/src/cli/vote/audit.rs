use althing_ballot::verify_file;
use althing_gateway::api::{ListQuery, VoteState};
use serde_json::json;

use super::{short, state};
use crate::cli::failure::{Exit, Failure};
use crate::cli::page::{Page, Text};
use crate::cli::session::Session;
use crate::cli::verify::outcome;

/// Verifies the certificate of every decided vote, oldest first.
pub(super) async fn audit(session: &Session) -> Result<Page, Failure> {
    let client = session.client().await?;
    let mut votes = client.votes(&ListQuery::default()).await?.votes;
    votes.retain(|vote| matches!(vote.state, VoteState::Decided | VoteState::Rejected));
    votes.reverse();
    let (mut rows, mut documents, mut wrong) = (Vec::new(), Vec::new(), 0);
    for vote in &votes {
        let shown = vote.decided.clone().or_else(|| vote.rejected.clone()).unwrap_or_default();
        let (bytes, proved) = match client.certificate(&vote.proposal).await {
            Ok(bytes) => {
                let proved = verify_file(&bytes, None).map(|verified| outcome(&verified));
                (bytes.len(), proved.map_err(|error| error.to_string()))
            }
            Err(error) => (0, Err(error.to_string())),
        };
        let fault = match &proved {
            Ok(proved) if *proved == shown => None,
            Ok(proved) => Some(format!("the certificate proves \"{proved}\"")),
            Err(error) => Some(error.clone()),
        };
        wrong += usize::from(fault.is_some());
        rows.push(vec![
            vote.made.clone(),
            short(&vote.proposal),
            vote.question.clone(),
            state(vote),
            fault.clone().unwrap_or_else(|| format!("valid, {bytes} bytes")),
        ]);
        documents.push(json!({
            "proposal": vote.proposal, "made": vote.made, "question": vote.question, "outcome": shown,
            "valid": fault.is_none(), "fault": fault, "bytes": bytes,
        }));
    }
    let mut text = Text::default();
    if rows.is_empty() {
        text.line("no votes are decided here");
    } else {
        text.table(&["MADE", "PROPOSAL", "QUESTION", "OUTCOME", "CERTIFICATE"], &rows);
    }
    let page = Page::new(&json!({"schema": "althing.audit/v1", "votes": documents}), text)?;
    Ok(if wrong == 0 { page } else { page.exit(Exit::Invalid) })
}
