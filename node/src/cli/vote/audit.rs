use std::io;

use althing_ballot::verify_file;
use althing_gateway::Client;
use althing_gateway::api::{Decision, DecisionsQuery};
use serde_json::json;

use super::{after, short};
use crate::cli::args;
use crate::cli::failure::{Exit, Failure};
use crate::cli::group;
use crate::cli::page::{Page, Screen, clean, print};
use crate::cli::session::Session;
use crate::cli::verify::outcome;

/// How many decisions are asked for at once.
const PAGE: usize = 100;

/// Verifies the certificate of every decision as it is listed, and prints each at once: however many there are, only a page
/// of them is held.
pub(super) async fn audit(listed: args::Audit, session: &Session, screen: Screen) -> Result<Page, Failure> {
    let client = session.client().await?;
    let mut query = DecisionsQuery::default();
    if let Some(group) = &listed.group {
        query.group = Some(group::resolve(&client, group).await?);
    }
    if let Some(place) = &listed.after {
        query.after = Some(after(&client, place).await?);
    }
    let (mut seen, mut wrong) = (0, 0);
    let mut out = Out { screen, is_begun: false };
    loop {
        let room = listed.limit.map_or(PAGE, |limit| limit.get() - seen).min(PAGE);
        query.limit = Some(room);
        let page = client.decisions(&query).await?;
        for decision in &page.decisions {
            let (bytes, fault) = fault(&client, decision).await;
            wrong += usize::from(fault.is_some());
            seen += 1;
            if out.say(decision, bytes, fault.as_deref()).is_err() {
                // Nobody reads on.
                return Ok(Page::nothing());
            }
        }
        let is_full = listed.limit.is_some_and(|limit| seen >= limit.get());
        match page.next {
            Some(next) if !is_full => query.after = Some(next),
            rest => {
                if out.end(seen, wrong, rest.as_deref()).is_err() {
                    return Ok(Page::nothing());
                }
                break;
            }
        }
    }
    Ok(if wrong == 0 { Page::nothing() } else { Page::nothing().exit(Exit::Invalid) })
}

/// The size of a decision's certificate, and what is wrong with it.
async fn fault(client: &Client, decision: &Decision) -> (usize, Option<String>) {
    let shown = shown(decision);
    let file = match decision.number {
        Some(number) => client.question_certificate(&decision.proposal, number).await,
        None => client.certificate(&decision.proposal).await,
    };
    match file {
        Err(error) => (0, Some(error.to_string())),
        Ok(bytes) => {
            let fault = match verify_file(&bytes, None).map(|verified| outcome(&verified)) {
                Ok(proved) if proved == shown => None,
                Ok(proved) => Some(format!("the certificate proves \"{proved}\"")),
                Err(error) => Some(error.to_string()),
            };
            (bytes.len(), fault)
        }
    }
}

fn shown(decision: &Decision) -> &str {
    decision.decided.as_deref().or(decision.rejected.as_deref()).unwrap_or_default()
}

/// Standard output, written as there is something to write: lines for people, or one JSON document.
struct Out {
    screen: Screen,
    is_begun: bool,
}

impl Out {
    fn say(&mut self, decision: &Decision, bytes: usize, fault: Option<&str>) -> io::Result<()> {
        if self.screen.json {
            let document = json!({
                "proposal": decision.proposal, "number": decision.number, "made": decision.made,
                "question": decision.question, "outcome": shown(decision), "valid": fault.is_none(),
                "fault": fault, "bytes": bytes,
            });
            let before = self.before();
            return print(format!("{before}{document}").as_bytes());
        }
        let head = if std::mem::replace(&mut self.is_begun, true) { "" } else { HEAD };
        let mut id = short(&decision.proposal);
        if let Some(number) = decision.number {
            id = format!("{id}/{number}");
        }
        let proved = fault.map_or_else(|| format!("valid, {bytes} bytes"), str::to_owned);
        let line = format!(
            "{:<24}  {id:<21}  {proved:<20}  {}: {}",
            decision.made,
            decision.question,
            if decision.decided.is_some() {
                shown(decision).to_owned()
            } else {
                format!("rejected, {}", shown(decision))
            },
        );
        print(format!("{head}{}\n", clean(&line)).as_bytes())
    }

    fn end(&mut self, seen: usize, wrong: usize, rest: Option<&str>) -> io::Result<()> {
        if self.screen.json {
            let before = if self.is_begun { "\n" } else { BEGIN };
            return print(format!("{before}],\"next\":{}}}\n", json!(rest)).as_bytes());
        }
        let mut text = match (seen, wrong) {
            (0, _) => "nothing is decided here\n".to_owned(),
            (_, 0) => format!("{seen} decisions, all with a valid certificate\n"),
            _ => format!("{wrong} of {seen} decisions have no valid certificate\n"),
        };
        if let Some(rest) = rest {
            text += &format!("there are older ones: --after {rest}\n");
        }
        print(text.as_bytes())
    }

    fn before(&mut self) -> &'static str {
        if std::mem::replace(&mut self.is_begun, true) { ",\n" } else { BEGIN }
    }
}

const BEGIN: &str = "{\"schema\":\"althing.audit/v1\",\"votes\":[\n";
const HEAD: &str =
    "MADE                      PROPOSAL               CERTIFICATE           QUESTION AND OUTCOME\n";
