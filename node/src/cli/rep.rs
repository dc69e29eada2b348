//! How calls of this node's agents went, and what is known of others by everybody's calls.

mod explain;

use std::io;

use althing_gateway::api::{
    AttestationsQuery, Attested, CallProof, ListQuery, RankingQuery, RateRequest, Reputation, Scores,
};

use super::args;
use super::failure::{Exit, Failure};
use super::node::dropped;
use super::page::{Page, Screen, Text, print};
use super::session::Session;
use super::vote::short;

/// How many characters of ids are shown.
const ID_CHARS: usize = 20;

/// The columns of an export.
const COLUMNS: &str = "record,rater,epoch,made,target,skill,count,ok,quality_sum,in_time";

pub(crate) async fn rep(command: args::Rep, session: &Session) -> Result<Page, Failure> {
    match command {
        args::Rep::Receipts { limit } => receipts(usize::from(limit), session).await,
        args::Rep::Show { agent } => show(&agent.to_string(), session).await,
        args::Rep::Explain { agent } => explain::explain(&agent.to_string(), session).await,
        args::Rep::Top { skill, limit } => {
            let skill = skill.map(|skill| skill.to_string());
            top(RankingQuery { skill, limit: Some(limit.into()) }, session).await
        }
        args::Rep::Rate { task, quality, comment } => {
            rate(&task, &RateRequest { quality, comment }, session).await
        }
        args::Rep::Checkpoints { limit } => checkpoints(limit.into(), session).await,
        args::Rep::Checkpoint { id } => checkpoint(&id.to_string(), session).await,
        args::Rep::Export => Ok(Page::nothing()),
    }
}

async fn show(agent: &str, session: &Session) -> Result<Page, Failure> {
    let found = session.client().await?.reputation(agent).await?;
    let mut text = Text::default();
    head(&found, &mut text);
    let decided = found.checkpoint.as_ref().and_then(|at| at.scores);
    let views = [("network", &found.network), ("seen from here", &found.seen), ("checkpoint", &decided)];
    let rows: Vec<Vec<String>> =
        views.iter().filter_map(|(name, of)| of.as_ref().map(|of| standing(name, of))).collect();
    if !rows.is_empty() {
        let head = [
            "",
            "SERVICE",
            "RELIABLE",
            "QUALITY",
            "RESPONSIVE",
            "HONESTY",
            "COMPOSITE",
            "CONFIDENCE",
            "CALLS",
        ];
        text.line("").table(&head, &rows);
    }
    if let Some(at) = &found.checkpoint {
        let proved =
            at.proved_by.as_ref().map_or("computed here".to_owned(), |peer| format!("proved by {peer}"));
        let how = if decided.is_some() { proved } else { "no scores there".to_owned() };
        text.line("").line(&format!("The checkpoint is that of rating epoch {}, {how}:", at.epoch));
        text.line("as trustworthy as the network's committee.");
    }
    Page::new(&found, text)
}

async fn top(query: RankingQuery, session: &Session) -> Result<Page, Failure> {
    let found = session.client().await?.ranking(&query).await?;
    let mut text = Text::default();
    if found.agents.is_empty() {
        text.line("nobody is rated");
    } else {
        let network = |of: Option<Scores>| of.map_or("-".to_owned(), |of| thousandths(of.service));
        let rows: Vec<Vec<String>> = found
            .agents
            .iter()
            .map(|one| {
                let own = [one.seen.service, one.seen.confidence, one.seen.evidence].map(thousandths);
                [one.agent.clone()].into_iter().chain(own).chain([network(one.network)]).collect()
            })
            .collect();
        text.table(&["AGENT", "SERVICE", "CONFIDENCE", "CALLS", "NETWORK"], &rows);
    }
    Page::new(&found, text)
}

async fn checkpoints(limit: usize, session: &Session) -> Result<Page, Failure> {
    let client = session.client().await?;
    let found = client.score_checkpoints(&ListQuery { limit: Some(limit) }).await?;
    let pruned = client.status().await?.ratings_pruned;
    let mut text = Text::default();
    if found.checkpoints.is_empty() {
        text.line("no checkpoint was decided, as far as this node knows");
    } else {
        let rows: Vec<Vec<String>> = found
            .checkpoints
            .iter()
            .map(|one| {
                let numbers = [one.taken, one.agents, one.unproved].map(|number| number.to_string());
                let ids =
                    [one.checkpoint.clone(), one.score_root.chars().take(ID_CHARS).chain(['…']).collect()];
                let same = same(one.agrees).to_owned();
                [one.epoch.to_string()].into_iter().chain(numbers).chain([same]).chain(ids).collect()
            })
            .collect();
        text.table(&["EPOCH", "RATINGS", "AGENTS", "STRUCK", "SAME", "CHECKPOINT", "SCORES"], &rows);
    }
    if let Some(pruned) = &pruned {
        text.line("").line(&format!("dropped: {}", dropped(pruned)));
    }
    Page::new(&found, text)
}

async fn checkpoint(id: &str, session: &Session) -> Result<Page, Failure> {
    let found = session.client().await?.score_checkpoint(id).await?;
    let mut pairs = vec![
        ("checkpoint", found.checkpoint.clone()),
        ("rating epoch", found.epoch.to_string()),
        ("after", found.prev.clone().unwrap_or_else(|| "nothing, it is the first".to_owned())),
        ("proposed by", found.author.clone()),
        ("made", found.made.clone()),
        ("decided by", format!("vote {}", found.proposal)),
        ("ratings taken", found.taken.to_string()),
        ("agents", found.agents.to_string()),
        ("scores", found.score_root.clone()),
        ("parameters", found.params_hash.clone()),
        ("same scores here", same(found.agrees).to_owned()),
    ];
    pairs.extend(found.slashed.iter().map(|agent| ("slashed", agent.clone())));
    pairs.extend(found.cleared.iter().map(|agent| ("cleared", agent.clone())));
    let struck = found
        .unproved
        .iter()
        .map(|row| format!("row {} of {} on rating epoch {}", row.row, row.rater, row.epoch));
    pairs.extend(struck.map(|row| ("struck out", row)));
    let mut text = Text::default();
    text.pairs(&pairs);
    Page::new(&found, text)
}

/// Whether this node computed the scores that were decided.
fn same(agrees: Option<bool>) -> &'static str {
    match agrees {
        Some(true) => "yes",
        Some(false) => "NO",
        None => "-",
    }
}

/// Prints every row as it is read.
pub(crate) async fn export(session: &Session, screen: Screen) -> Result<Page, Failure> {
    let client = session.client().await?;
    let mut query = AttestationsQuery::default();
    if !screen.json {
        put(&format!("{COLUMNS}\n"))?;
    }
    loop {
        let page = client.attestations(&query).await?;
        let lines: String =
            page.rows.iter().map(|row| if screen.json { json_line(row) } else { csv_line(row) }).collect();
        match page.next {
            Some(next) if put(&lines)? => query.after = Some(next),
            Some(_) => return Ok(Page::nothing()),
            None => return put(&lines).map(|_| Page::nothing()),
        }
    }
}

/// Whether whoever reads it wants more.
fn put(lines: &str) -> Result<bool, Failure> {
    match print(lines.as_bytes()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::new(Exit::Failed, format!("cannot write to standard output: {error}"))),
    }
}

async fn rate(task: &str, wish: &RateRequest, session: &Session) -> Result<Page, Failure> {
    let rated = session.client().await?.rate(task, wish).await?;
    let mut pairs = vec![
        ("rated", rated.task.clone()),
        ("agent", rated.callee.clone()),
        ("quality", rated.quality.to_string()),
        ("epoch", rated.epoch.to_string()),
    ];
    pairs.extend(rated.comment.iter().map(|comment| ("comment, kept here", comment.clone())));
    let mut text = Text::default();
    text.pairs(&pairs);
    Page::new(&rated, text)
}

fn head(found: &Reputation, text: &mut Text) {
    let mut pairs = vec![("agent", found.agent.clone())];
    match found.epoch {
        None if !found.ledger => {
            let what = "not held here (reputation.ledger is false): scores of checkpoints alone";
            pairs.push(("ratings", what.to_owned()));
        }
        Some(epoch) if found.seen.is_some() => pairs.push(("after rating epoch", epoch.to_string())),
        Some(_) | None => pairs.push(("rated by", "nobody that this node knows of".to_owned())),
    }
    pairs.extend(found.offences.iter().map(|of| match &of.pardoned_by {
        Some(proposal) => ("proven", format!("{}, pardoned by {}", of.offence, short(proposal))),
        None => ("proven", format!("{}: its score is 0 until a vote pardons it", of.offence)),
    }));
    text.pairs(&pairs);
}

fn standing(name: &str, of: &Scores) -> Vec<String> {
    let numbers = [
        of.service,
        of.reliability.score,
        of.quality.score,
        of.responsiveness.score,
        of.honesty,
        of.composite,
        of.confidence,
        of.evidence,
    ];
    [name.to_owned()].into_iter().chain(numbers.map(thousandths)).collect()
}

fn thousandths(value: u64) -> String {
    format!("{}.{:03}", value / 1_000, value % 1_000)
}

fn json_line(row: &Attested) -> String {
    serde_json::to_string(row).expect("a row is JSON") + "\n"
}

/// No field has a comma or a quote: skills are paths.
fn csv_line(row: &Attested) -> String {
    let Attested { record, rater, epoch, made, target, skill, count, ok, quality_sum, in_time } = row;
    format!("{record},{rater},{epoch},{made},{target},{skill},{count},{ok},{quality_sum},{in_time}\n")
}

async fn receipts(limit: usize, session: &Session) -> Result<Page, Failure> {
    let found = session.client().await?.receipts(&ListQuery { limit: Some(limit) }).await?;
    let mut text = Text::default();
    if found.calls.is_empty() {
        text.line("no call that both sides signed is kept here");
    } else {
        let rows: Vec<Vec<String>> = found.calls.iter().map(row).collect();
        text.table(
            &["ENDED", "TASK", "SIDE", "OTHER", "SKILL", "INDEX", "OUTCOME", "QUALITY", "MS", "COMMENT"],
            &rows,
        );
    }
    Page::new(&found, text)
}

fn row(call: &CallProof) -> Vec<String> {
    let other = if call.side == "caller" { &call.callee } else { &call.caller };
    let cut = |id: &str| id.chars().take(ID_CHARS).chain(['…']).collect::<String>();
    vec![
        call.made.clone(),
        call.task.clone(),
        call.side.clone(),
        cut(other),
        if call.skill.is_empty() { "-".to_owned() } else { call.skill.clone() },
        call.index.to_string(),
        outcome(call),
        call.quality.map_or("-".to_owned(), |quality| quality.to_string()),
        call.latency_ms.to_string(),
        call.comment.clone().unwrap_or_default(),
    ]
}

fn outcome(call: &CallProof) -> String {
    if call.outcome == "answered" { call.status.to_string() } else { call.outcome.clone() }
}
