use std::time::{Duration, Instant};

use althing_gateway::api::{self, GroupChange, GroupVote, GroupVoteRequest, VoteState};

use super::{resolve, short};
use crate::cli::args;
use crate::cli::failure::{Exit, Failure};
use crate::cli::page::{Page, Text};
use crate::cli::session::Session;

/// How long to wait for the decision unless the user says otherwise.
const WAIT: Duration = Duration::from_secs(3_600);
/// How long between two looks.
const INTERVAL: Duration = Duration::from_millis(200);

/// Has the members decide on a change, and makes it once they did, if its agent put the vote.
pub(super) async fn change(
    session: &Session,
    change: GroupChange,
    given: &args::GroupChange,
) -> Result<Page, Failure> {
    let client = session.client().await?;
    let id = resolve(&client, &given.group).await?;
    let request = GroupVoteRequest {
        change,
        about: given.about.to_string(),
        window_ms: given.window.map(|window| u64::try_from(window.as_millis()).unwrap_or(u64::MAX)),
        agent: given.agent.map(|agent| agent.to_string()),
    };
    let deadline = Instant::now() + session.timeout_or(WAIT);
    let mut vote = client.vote_on_group(&id, &request).await?;
    while let Some(proposal) = vote.proposal.clone().filter(|_| given.wait) {
        let state = client.vote(&proposal).await?.summary.state;
        if state == VoteState::Decided {
            if vote.proposer.as_deref() != Some(&vote.agent[..]) {
                break;
            }
            vote = client.vote_on_group(&id, &request).await?;
        } else if Instant::now() >= deadline {
            let cause = format!("the members have not decided: {}", super::super::vote::short(&proposal));
            return Err(Failure::new(Exit::Timeout, cause).hint("--timeout says how long to wait".to_owned()));
        } else {
            tokio::time::sleep(INTERVAL).await;
        }
    }
    page(&vote)
}

fn page(vote: &GroupVote) -> Result<Page, Failure> {
    let mut text = Text::default();
    let change = format!("{} {}", word(vote.change), vote.about);
    text.pairs(&[("group", vote.group.clone()), ("change", change), ("agent", vote.agent.clone())]);
    if let Some(record) = &vote.record {
        text.pairs(&[("made by", record.clone())]);
        return Page::new(vote, text);
    }
    let (proposal, proposer) = (vote.proposal.clone().unwrap_or_default(), vote.proposer.clone());
    text.pairs(&[("proposal", proposal.clone()), ("put by", proposer.clone().unwrap_or_default())]);
    let how = format!("althing group {} {} {} --by-vote", word(vote.change), short(&vote.group), vote.about);
    if proposer.as_deref() == Some(&vote.agent[..]) {
        text.line(&format!("the others vote with `{how}`;"));
        text.line("once enough have, the same command here makes the change, and --wait waits for it");
    } else {
        text.line("once enough have voted, whoever put it makes the change with the same command");
    }
    text.line(&format!("see `althing vote show {}`", super::super::vote::short(&proposal)));
    Page::new(vote, text)
}

fn word(change: api::GroupChange) -> &'static str {
    match change {
        GroupChange::Invite => "invite",
        GroupChange::Remove => "remove",
        GroupChange::Promote => "promote",
        GroupChange::Demote => "demote",
    }
}
