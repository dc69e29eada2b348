mod audit;
pub(super) mod holders;
mod result;
mod sealed;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use althing_gateway::Client;
use althing_gateway::api::{self, BallotRequest, ProposeRequest, VoteState, VotesQuery};
use althing_record::{AgentId, RecordId};
use serde_json::json;

use super::args;
use super::docket;
use super::failure::{Exit, Failure};
use super::group;
use super::network::write_new;
use super::page::{Page, Screen, Text};
use super::session::Session;
use super::words::{Options, Scores};

/// Shortest beginning of a proposal's id that is looked up, in hex digits.
const PREFIX_MIN: usize = 4;
/// Longest file of weights in bytes.
const WEIGHTS_BYTES_MAX: u64 = 1 << 20;
/// How much of a proposal's id a table shows, in hex digits: enough for `vote show`.
const SHOWN: usize = 16;

pub(crate) async fn vote(command: args::Vote, session: &Session, screen: Screen) -> Result<Page, Failure> {
    match command {
        args::Vote::Propose(propose) => {
            let mut request = request(*propose)?;
            let client = session.client().await?;
            let voters = complete(&client, &mut request).await?;
            let proposed = client.propose(&request).await;
            let proposed = proposed.map_err(|error| Failure::from(error).hint_if_invalid(PROPOSE))?;
            let voters = match request.pardon {
                Some(_) => client.vote(&proposed.proposal).await?.summary.electorate,
                None => voters,
            };
            proposed_page(&proposed, voters)
        }
        args::Vote::Result { id, wait, on_pass } => {
            result::result(&id, wait, on_pass.as_deref(), session, screen).await
        }
        args::Vote::Audit(listed) => audit::audit(listed, session, screen).await,
        args::Vote::Watch { id } => result::watch(&id, session, screen).await,
        args::Vote::Cast { id, said, agent } => {
            let score = scores(Scores::all(said.score))?;
            let client = session.client().await?;
            let id = resolve(&client, &id).await?;
            let request = BallotRequest {
                choice: said.choice.unwrap_or_default(),
                rank: Options::all(said.rank),
                approve: Options::all(said.approve),
                score,
                delegate: said.delegate.map(|to| to.to_string()),
                agent: agent.map(|agent| agent.to_string()),
            };
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
        args::Vote::Ls(listed) => {
            let client = session.client().await?;
            let mut query = VotesQuery { limit: listed.limit.map(usize::from), ..VotesQuery::default() };
            if let Some(after) = &listed.after {
                query.after = Some(resolve(&client, after).await?);
            }
            if let Some(group) = &listed.group {
                query.group = Some(group::resolve(&client, group).await?);
            }
            votes_page(&client.votes(&query).await?)
        }
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

/// Puts whole ids where beginnings were given, and counts the voters.
pub(super) async fn complete(client: &Client, request: &mut ProposeRequest) -> Result<u64, Failure> {
    if let Some(after) = &request.after {
        request.after = Some(resolve(client, after).await?);
    }
    let Some(group) = &request.group else { return Ok(request.voters.len() as u64) };
    let id = group::resolve(client, group).await?;
    let members = client.group(&id).await?.summary.size;
    request.group = Some(id);
    Ok(members)
}

pub(super) fn request(propose: args::Propose) -> Result<ProposeRequest, Failure> {
    let (voters, weights) = match &propose.weights {
        None => (propose.voters, Vec::new()),
        Some(file) => weights(file)?.into_iter().unzip(),
    };
    Ok(ProposeRequest {
        question: propose.question,
        options: propose.options,
        voters: voters.iter().map(ToString::to_string).collect(),
        weights,
        group: propose.group,
        skill: propose.skill.map(|skill| skill.to_string()),
        min_score: propose.min_score,
        subject: propose.subject,
        after: propose.after,
        pardon: propose.pardon.map(|agent| agent.to_string()),
        method: propose.method,
        window_ms: propose.window.map(|window| u64::try_from(window.as_millis()).unwrap_or(u64::MAX)),
        closed: propose.closed,
        quorum: propose.quorum,
        committee: propose.committee,
        delegation: propose.delegation,
        sealed: sealed::request(&propose.sealed),
        tie: propose.tie,
        agent: propose.agent.map(|agent| agent.to_string()),
    })
}

/// Scores by option. A ballot is final, so which of two was meant is not guessed.
fn scores(given: Vec<(String, u8)>) -> Result<BTreeMap<String, u8>, Failure> {
    let mut scores = BTreeMap::new();
    for (option, score) in given {
        if let Some(first) = scores.insert(option.clone(), score) {
            let cause = format!("option \"{option}\" has two scores, {first} and {score}");
            return Err(Failure::new(Exit::Usage, cause).hint("give each option one score".to_owned()));
        }
    }
    Ok(scores)
}

/// A file of voters and how much their ballots count: a did and a number on each line; # begins a remark.
fn weights(file: &Path) -> Result<Vec<(AgentId, u64)>, Failure> {
    let mut text = String::new();
    std::fs::File::open(file)
        .and_then(|open| open.take(WEIGHTS_BYTES_MAX + 1).read_to_string(&mut text))
        .map_err(|error| {
            let hint = "--weights names a file with a did and a number on each line";
            Failure::file("read the weights", file, &error).hint(hint.to_owned())
        })?;
    if text.len() as u64 > WEIGHTS_BYTES_MAX {
        let cause = format!("{} is larger than the {WEIGHTS_BYTES_MAX} bytes of weights", file.display());
        return Err(Failure::new(Exit::Usage, cause).hint("leave remarks out".to_owned()));
    }
    let mut voters = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let parts: Vec<&str> = line.split([' ', '\t', ',']).filter(|part| !part.is_empty()).collect();
        let read = match parts[..] {
            [did, weight] => did.parse::<AgentId>().ok().zip(weight.parse::<u64>().ok()),
            _ => None,
        };
        voters.push(read.ok_or_else(|| {
            let shown: String = line.chars().take(80).collect();
            let cause =
                format!("{}:{number}: expected a did and a number, found \"{shown}\"", file.display());
            Failure::new(Exit::Usage, cause).hint("a line is such as: did:key:z6Mk… 12".to_owned())
        })?);
    }
    Ok(voters)
}

/// The full id of a proposal of which the user gave all or the beginning.
async fn resolve(client: &Client, id: &str) -> Result<String, Failure> {
    if let Some(id) = whole_id(id, "proposal", LIST)? {
        return Ok(id);
    }
    let known = proposals(client).await?;
    matching(id, known.iter().map(String::as_str), "proposal", LIST)
}

/// The ids of all known proposals.
async fn proposals(client: &Client) -> Result<Vec<String>, Failure> {
    let (mut ids, mut query) = (Vec::new(), VotesQuery::default());
    loop {
        let page = client.votes(&query).await?;
        ids.extend(page.votes.into_iter().map(|vote| vote.proposal));
        query.after = page.next;
        if query.after.is_none() {
            return Ok(ids);
        }
    }
}

/// A place among the decisions: the id of a proposal or a docket, all or the beginning, and perhaps a question's number.
async fn after(client: &Client, place: &str) -> Result<String, Failure> {
    let (id, number) = place.split_once('/').map_or((place, None), |(id, number)| (id, Some(number)));
    let id = match whole_id(id, "decision", LIST)? {
        Some(id) => id,
        None => {
            let mut known = proposals(client).await?;
            known.extend(docket::dockets(client).await?);
            matching(id, known.iter().map(String::as_str), "decision", LIST)?
        }
    };
    Ok(number.map_or(id.clone(), |number| format!("{id}/{number}")))
}

/// An id if it is given whole, none if only its beginning is; `what` it is of.
pub(super) fn whole_id(id: &str, what: &str, list: &str) -> Result<Option<String>, Failure> {
    let id = id.to_ascii_lowercase();
    if id.parse::<RecordId>().is_ok() {
        return Ok(Some(id));
    }
    let hex = id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !hex || id.len() < PREFIX_MIN || id.len() > 2 * RecordId::LEN {
        let cause =
            format!("expected a {what}'s id, or its first {PREFIX_MIN} or more hex digits, found \"{id}\"");
        return Err(Failure::new(Exit::Usage, cause).hint(list.to_owned()));
    }
    Ok(None)
}

/// The one of these ids that begins so.
pub(super) fn matching<'a>(
    id: &str,
    known: impl Iterator<Item = &'a str>,
    what: &str,
    list: &str,
) -> Result<String, Failure> {
    let id = id.to_ascii_lowercase();
    let mut matching = known.filter(|known| known.starts_with(&id));
    match (matching.next(), matching.next()) {
        (Some(only), None) => Ok(only.to_owned()),
        (None, _) => {
            Err(Failure::not_found(format!("no {what} here begins with {id}")).hint(list.to_owned()))
        }
        (Some(_), Some(_)) => Err(Failure::new(Exit::Failed, format!("several {what}s begin with {id}"))
            .hint("give more of its digits".to_owned())),
    }
}

const LIST: &str = "`althing vote ls` lists the proposals";
const PROPOSE: &str = "`althing vote propose --help` shows what a proposal needs";

fn proposed_page(proposed: &api::Proposed, voters: u64) -> Result<Page, Failure> {
    let mut text = Text::default();
    text.pairs(&[
        ("proposal", proposed.proposal.clone()),
        ("proposer", proposed.agent.clone()),
        ("needs", needs(proposed.threshold, voters)),
        ("tolerates", tolerates(proposed.tolerates, proposed.threshold.is_none())),
    ]);
    text.line(&format!("vote with `althing vote cast {} CHOICE`", short(&proposed.proposal)));
    Page::new(proposed, text)
}

pub(super) fn vote_page(vote: &api::Vote) -> Result<Page, Failure> {
    let summary = &vote.summary;
    let mut text = Text::default();
    text.pairs(&[
        ("question", summary.question.clone()),
        ("state", state(summary)),
        ("proposal", summary.proposal.clone()),
        ("proposer", summary.proposer.clone()),
        ("method", summary.method.clone()),
        ("needs", needs(summary.threshold, summary.electorate)),
        ("tolerates", tolerates(summary.tolerates, summary.threshold.is_none())),
        ("made", summary.made.clone()),
        ("closes", summary.closes.clone()),
    ]);
    if let Some(subject) = &summary.subject {
        text.pairs(&[("subject", format!("{}: {}", subject.name, standing(subject)))]);
    }
    if let Some(pardon) = &summary.pardon {
        let cases = pardon.cases.len();
        let effect = if pardon.entitled { "" } else { ", without effect: others decide on pardons" };
        text.pairs(&[("pardons", format!("{} ({cases} cases{effect})", pardon.agent))]);
    }
    show_group(summary.group.as_ref(), summary.group_head.as_ref(), &mut text);
    holders::show(vote.holders.as_ref(), vote.voters.iter().map(|voter| voter.weight), &mut text);
    let is_shut = sealed::is_shut(summary);
    let votes = |votes: u64| if is_shut { "sealed".to_owned() } else { votes.to_string() };
    let mut rows: Vec<Vec<String>> =
        summary.options.iter().map(|option| vec![option.text.clone(), votes(option.votes)]).collect();
    rows.push(vec!["(abstain)".to_owned(), votes(summary.abstentions)]);
    text.line("").table(&["OPTION", "VOTES"], &rows);
    sealed::show(summary, &mut text);
    if let Some(closing) = &vote.closing {
        let reported = format!(
            "{}; {} of {} closers have closed it",
            closing.terms,
            closing.reported,
            closing.closers.len()
        );
        text.line("").line(&reported);
    }
    for (number, round) in (1..).zip(&vote.rounds).filter(|_| vote.rounds.len() > 1) {
        text.line(&round_line(number, round, summary));
    }
    let is_weighted = vote.voters.iter().any(|voter| voter.weight != 1);
    let rows: Vec<Vec<String>> = vote
        .voters
        .iter()
        .map(|voter| {
            let not_counted = match (voter.void, voter.invalid) {
                (true, _) => " (void)",
                (false, true) => " (invalid)",
                (false, false) => "",
            };
            let mut row = vec![voter.agent.clone(), choices(&voter.choices) + not_counted];
            if is_weighted {
                row.insert(1, voter.weight.to_string());
            }
            row
        })
        .collect();
    let heads: &[&str] = if is_weighted { &["VOTER", "WEIGHT", "CHOICE"] } else { &["VOTER", "CHOICE"] };
    text.line("").table(heads, &rows);
    Page::new(vote, text)
}

/// Shows whose members vote, if they are a group's.
pub(super) fn show_group(group: Option<&String>, head: Option<&String>, text: &mut Text) {
    if let (Some(group), Some(head)) = (group, head) {
        text.pairs(&[("group", group.clone()), ("after", head.clone())]);
    }
}

/// One round of a count on a line.
fn round_line(number: usize, round: &api::Round, vote: &api::VoteSummary) -> String {
    let tallies = vote.options.iter().zip(&round.tally);
    let tallies = tallies.filter_map(|(option, votes)| votes.map(|votes| format!("{} {votes}", option.text)));
    let tallies = tallies.collect::<Vec<_>>().join(", ");
    let out = if round.eliminated.is_empty() {
        String::new()
    } else {
        format!("; out: {}", round.eliminated.join(", "))
    };
    format!("round {number}: {tallies}{out}")
}

pub(super) fn needs(threshold: Option<u64>, electorate: u64) -> String {
    match threshold {
        Some(threshold) => format!("{threshold} of {electorate} votes for one option"),
        None => "agreement of the closers on the ballots that count".to_owned(),
    }
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
    if let Some(next) = &votes.next {
        text.line(&format!("there are older ones: --after {}", short(next)));
    }
    Page::new(votes, text)
}

fn state(vote: &api::VoteSummary) -> String {
    match vote.state {
        VoteState::Open => "open".to_owned(),
        VoteState::Expired => "expired here".to_owned(),
        VoteState::Closing => "closing: the closers agree on the ballots".to_owned(),
        VoteState::Opening => format!("opening: {}", sealed::openings(vote)),
        VoteState::Unopened => {
            format!("unopened: {}; not by {}", sealed::openings(vote), sealed::silent(vote).join(", "))
        }
        VoteState::Rejected => format!("rejected: {}", vote.rejected.as_deref().unwrap_or("?")),
        VoteState::Decided => format!("decided: {}", vote.decided.as_deref().unwrap_or("?")),
        VoteState::Conflicting => format!("conflicting: {}", vote.conflicting.join(", ")),
    }
}

/// Where a decision stands among those on its subject.
pub(super) fn standing(subject: &api::Subject) -> String {
    let by = subject.by.as_deref().map(short);
    match (subject.standing, by) {
        (None, _) => match &subject.after {
            Some(after) => format!("to take the place of {}", short(after)),
            None => "nothing is in force before it".to_owned(),
        },
        (Some(api::Standing::InForce), _) => "in force".to_owned(),
        (Some(api::Standing::Superseded), by) => format!("superseded by {}", by.unwrap_or_default()),
        (Some(api::Standing::Overruled), Some(by)) => format!("overruled: {by} was decided beside it"),
        (Some(api::Standing::Overruled), None) => "overruled: what it follows does not hold".to_owned(),
    }
}

fn choices(choices: &[String]) -> String {
    match choices {
        [] => "-".to_owned(),
        [choice] => choice.clone(),
        several => format!("voted twice: {}", several.join(", ")),
    }
}

pub(super) fn tolerates(count: u64, is_closed: bool) -> String {
    let who = if is_closed { "closer" } else { "voter" };
    match count {
        0 => format!("no cheating {who}"),
        1 => format!("1 cheating {who}"),
        count => format!("{count} cheating {who}s"),
    }
}

pub(super) fn short(proposal: &str) -> String {
    proposal.chars().take(SHOWN).collect()
}
