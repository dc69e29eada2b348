use std::path::Path;
use std::time::Duration;

use althing_gateway::Client;
use althing_gateway::api::{self, BallotRequest, ListQuery, ProposeRequest, VoteState};
use althing_record::{AgentId, RecordId};
use serde_json::json;

use super::args;
use super::failure::{Exit, Failure};
use super::network::write_new;
use super::page::{Page, Screen, Text};
use super::session::Session;

/// Shortest beginning of a proposal's id that is looked up, in hex digits.
const PREFIX_MIN: usize = 4;
/// How much of a proposal's id a table shows, in hex digits: enough for `vote show`.
const SHOWN: usize = 16;

pub(crate) async fn vote(command: args::Vote, session: &Session, screen: Screen) -> Result<Page, Failure> {
    match command {
        args::Vote::Propose { question, voters, method, options, window, agent } => {
            let request = request(question, options, &voters, method, window, agent);
            let proposed = session.client().await?.propose(&request).await;
            let proposed = proposed.map_err(|error| Failure::from(error).hint_if_invalid(PROPOSE))?;
            proposed_page(&proposed, voters.len())
        }
        args::Vote::Cast { id, choice, agent } => {
            let client = session.client().await?;
            let id = resolve(&client, &id).await?;
            let request = BallotRequest { choice, agent: agent.map(|agent| agent.to_string()) };
            let ballot = client.cast(&id, &request).await.map_err(|error| {
                let hint = format!("`althing vote show {}` lists the options and the voters", short(&id));
                Failure::from(error).hint_if_invalid(&hint)
            })?;
            let mut text = Text::default();
            let how = if ballot.repeated { "had voted this before" } else { "voted" };
            text.line(&format!("{} {how}: {}", ballot.agent, ballot.choice));
            Page::new(&ballot, text)
        }
        args::Vote::Show { id } => {
            let client = session.client().await?;
            let id = resolve(&client, &id).await?;
            vote_page(&client.vote(&id).await?)
        }
        args::Vote::Ls => votes_page(&session.client().await?.votes(&ListQuery::default()).await?),
        args::Vote::Certificate { id, out } => {
            let to_stdout = out == Path::new("-");
            if to_stdout {
                screen.takes_bytes("a certificate")?;
            }
            let client = session.client().await?;
            let id = resolve(&client, &id).await?;
            let bytes = client.certificate(&id).await?;
            if !to_stdout {
                write_new(&out, &bytes)?;
            }
            let mut text = Text::default();
            text.line(&format!("wrote {} ({} bytes)", out.display(), bytes.len()));
            let file = out.display().to_string();
            let document = json!({
                "schema": "althing.certificate-file/v1", "proposal": id, "file": file, "bytes": bytes.len(),
            });
            let page = Page::new(&document, text)?;
            Ok(if to_stdout { page.raw(bytes) } else { page })
        }
        args::Vote::Count { rules, ballots } => super::count::count(&rules, &ballots),
        args::Vote::Verify { file, genesis } => super::verify::verify(&file, genesis.as_deref()),
    }
}

fn request(
    question: String,
    options: Vec<String>,
    voters: &[AgentId],
    method: String,
    window: Option<Duration>,
    agent: Option<AgentId>,
) -> ProposeRequest {
    ProposeRequest {
        question,
        options,
        voters: voters.iter().map(ToString::to_string).collect(),
        method,
        window_ms: window.map(|window| u64::try_from(window.as_millis()).unwrap_or(u64::MAX)),
        agent: agent.map(|agent| agent.to_string()),
    }
}

/// The full id of a proposal of which the user gave all or the beginning.
async fn resolve(client: &Client, id: &str) -> Result<String, Failure> {
    let id = id.to_ascii_lowercase();
    if id.parse::<RecordId>().is_ok() {
        return Ok(id);
    }
    let hex = id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !hex || id.len() < PREFIX_MIN || id.len() > 2 * RecordId::LEN {
        let cause =
            format!("expected a proposal's id, or its first {PREFIX_MIN} or more hex digits, found \"{id}\"");
        return Err(Failure::new(Exit::Usage, cause).hint(LIST.to_owned()));
    }
    let votes = client.votes(&ListQuery::default()).await?.votes;
    let mut matching = votes.iter().map(|vote| &vote.proposal).filter(|proposal| proposal.starts_with(&id));
    match (matching.next(), matching.next()) {
        (Some(only), None) => Ok(only.clone()),
        (None, _) => {
            Err(Failure::not_found(format!("no proposal here begins with {id}")).hint(LIST.to_owned()))
        }
        (Some(_), Some(_)) => Err(Failure::new(Exit::Failed, format!("several proposals begin with {id}"))
            .hint("give more of its digits".to_owned())),
    }
}

const LIST: &str = "`althing vote ls` lists the proposals";
const PROPOSE: &str = "`althing vote propose --help` shows what a proposal needs";

fn proposed_page(proposed: &api::Proposed, voters: usize) -> Result<Page, Failure> {
    let mut text = Text::default();
    text.pairs(&[
        ("proposal", proposed.proposal.clone()),
        ("proposer", proposed.agent.clone()),
        ("needs", format!("{} of {voters} votes for one option", proposed.threshold)),
        ("tolerates", tolerates(proposed.tolerates)),
    ]);
    text.line(&format!("vote with `althing vote cast {} CHOICE`", short(&proposed.proposal)));
    Page::new(proposed, text)
}

fn vote_page(vote: &api::Vote) -> Result<Page, Failure> {
    let summary = &vote.summary;
    let mut text = Text::default();
    text.pairs(&[
        ("question", summary.question.clone()),
        ("state", state(summary)),
        ("proposal", summary.proposal.clone()),
        ("proposer", summary.proposer.clone()),
        ("method", summary.method.clone()),
        ("needs", format!("{} of {} votes for one option", summary.threshold, summary.electorate)),
        ("tolerates", tolerates(summary.tolerates)),
        ("made", summary.made.clone()),
        ("closes", summary.closes.clone()),
    ]);
    let mut rows: Vec<Vec<String>> =
        summary.options.iter().map(|option| vec![option.text.clone(), option.votes.to_string()]).collect();
    rows.push(vec!["(abstain)".to_owned(), summary.abstentions.to_string()]);
    text.line("").table(&["OPTION", "VOTES"], &rows);
    let rows: Vec<Vec<String>> =
        vote.voters.iter().map(|voter| vec![voter.agent.clone(), choices(&voter.choices)]).collect();
    text.line("").table(&["VOTER", "CHOICE"], &rows);
    Page::new(vote, text)
}

fn votes_page(votes: &api::Votes) -> Result<Page, Failure> {
    let mut text = Text::default();
    if votes.votes.is_empty() {
        text.line("no proposals are known here");
    } else {
        let rows: Vec<Vec<String>> = votes
            .votes
            .iter()
            .map(|vote| {
                let voted = format!("{} of {}", vote.voted, vote.electorate);
                vec![short(&vote.proposal), state(vote), voted, vote.method.clone(), vote.question.clone()]
            })
            .collect();
        text.table(&["PROPOSAL", "STATE", "VOTED", "METHOD", "QUESTION"], &rows);
    }
    let shown = votes.votes.len() as u64;
    if votes.total > shown {
        text.line(&format!("{} older ones are not shown", votes.total - shown));
    }
    Page::new(votes, text)
}

fn state(vote: &api::VoteSummary) -> String {
    match vote.state {
        VoteState::Open => "open".to_owned(),
        VoteState::Expired => "expired here".to_owned(),
        VoteState::Decided => format!("decided: {}", vote.decided.as_deref().unwrap_or("?")),
        VoteState::Conflicting => format!("conflicting: {}", vote.conflicting.join(", ")),
    }
}

fn choices(choices: &[String]) -> String {
    match choices {
        [] => "-".to_owned(),
        [choice] => choice.clone(),
        several => format!("voted twice: {}", several.join(", ")),
    }
}

fn tolerates(count: u64) -> String {
    match count {
        0 => "no cheating voter".to_owned(),
        1 => "1 cheating voter".to_owned(),
        count => format!("{count} cheating voters"),
    }
}

fn short(proposal: &str) -> String {
    proposal.chars().take(SHOWN).collect()
}
