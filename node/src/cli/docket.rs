use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use althing_gateway::Client;
use althing_gateway::api::{
    self, Answer, AnswersRequest, DocketQuestion, DocketRequest, DocketsQuery, MAX_QUESTIONS, QuestionsQuery,
    VoteState,
};
use serde_json::json;
use tokio::time::Instant;

use super::args;
use super::failure::{Exit, Failure};
use super::network::write_new;
use super::page::{Page, Screen, Text};
use super::patience::Patience;
use super::session::Session;
use super::vote;

/// Longest file of questions or answers in bytes.
const FILE_BYTES_MAX: u64 = 512 * 1024;
/// How long to wait for outcomes unless the user says otherwise.
const WAIT: Duration = Duration::from_secs(3_600);
/// How long between two looks.
const INTERVAL: Duration = Duration::from_millis(200);

const LIST: &str = "`althing docket ls` lists the dockets";

pub(crate) async fn docket(
    command: args::Docket,
    session: &Session,
    screen: Screen,
) -> Result<Page, Failure> {
    match command {
        args::Docket::Propose(propose) => {
            let questions = questions(&propose.questions)?;
            let mut request = DocketRequest { terms: vote::request(propose.terms)?, questions };
            let client = session.client().await?;
            let voters = vote::complete(&client, &mut request.terms).await?;
            let proposed = client.propose_docket(&request).await.map_err(|error| {
                Failure::from(error)
                    .hint_if_invalid("`althing docket propose --help` shows what a docket needs")
            })?;
            let mut text = Text::default();
            text.pairs(&[
                ("docket", proposed.proposal.clone()),
                ("proposer", proposed.agent.clone()),
                ("questions", request.questions.len().to_string()),
                ("needs", vote::needs(proposed.threshold, voters)),
                ("tolerates", vote::tolerates(proposed.tolerates, proposed.threshold.is_none())),
            ]);
            text.line(&format!(
                "vote with `althing docket cast {} --others CHOICE`",
                vote::short(&proposed.proposal)
            ));
            Page::new(&proposed, text)
        }
        args::Docket::Cast(cast) => {
            let request = AnswersRequest {
                answers: answers(cast.said.each, cast.said.answers.as_deref())?,
                others: cast.said.others.map(Answer::Option),
                agent: cast.agent.map(|agent| agent.to_string()),
            };
            let client = session.client().await?;
            let id = resolve(&client, &cast.id).await?;
            let answered = client.answer_docket(&id, &request).await.map_err(|error| {
                let hint = format!("`althing docket show {}` lists the questions", vote::short(&id));
                Failure::from(error).hint_if_invalid(&hint)
            })?;
            let mut text = Text::default();
            let how = if answered.repeated { "had answered this before" } else { "answered" };
            text.line(&format!("{} {how}: docket {}", answered.agent, vote::short(&answered.docket)));
            Page::new(&answered, text)
        }
        args::Docket::Result { id, wait } => result(&id, wait, session).await,
        args::Docket::Show { id, question } => {
            let client = session.client().await?;
            let id = resolve(&client, &id).await?;
            match question {
                Some(number) => vote::vote_page(&client.question(&id, number).await?),
                None => docket_page(&client.docket(&id, &QuestionsQuery::default()).await?),
            }
        }
        args::Docket::Ls { limit, after } => {
            let client = session.client().await?;
            let mut query = DocketsQuery { limit: limit.map(usize::from), after: None };
            if let Some(after) = &after {
                query.after = Some(resolve(&client, after).await?);
            }
            dockets_page(&client.dockets(&query).await?)
        }
        args::Docket::Certificate { id, question, out } => {
            let to_stdout = out == Path::new("-");
            if to_stdout {
                screen.takes_bytes("a certificate")?;
            }
            let client = session.client().await?;
            let id = resolve(&client, &id).await?;
            let bytes = client.question_certificate(&id, question).await?;
            if !to_stdout {
                write_new(&out, &bytes)?;
            }
            let mut text = Text::default();
            text.line(&format!("wrote {} ({} bytes)", out.display(), bytes.len()));
            let file = out.display().to_string();
            let document = json!({
                "schema": "althing.certificate-file/v1", "proposal": id, "question": question, "file": file,
                "bytes": bytes.len(),
            });
            let page = Page::new(&document, text)?;
            Ok(if to_stdout { page.raw(bytes) } else { page })
        }
    }
}

async fn result(id: &str, wait: bool, session: &Session) -> Result<Page, Failure> {
    let deadline = Instant::now() + session.timeout_or(WAIT);
    let mut node = Patience::new(session, wait.then_some(deadline))?;
    let id = resolve(&node.client().await?, id).await?;
    loop {
        let none = QuestionsQuery { from: None, limit: Some(0) };
        let summary = node.ask(async |client| client.docket(&id, &none).await).await?.summary;
        if summary.state == VoteState::Decided {
            let all = QuestionsQuery::default();
            return docket_page(&node.ask(async |client| client.docket(&id, &all).await).await?);
        }
        let open = summary.questions - summary.decided - summary.rejected;
        let cause =
            format!("{open} of {} questions of {} have no outcome", summary.questions, vote::short(&id));
        if !wait {
            return Err(Failure::new(Exit::Timeout, cause).hint("--wait waits for the outcomes".to_owned()));
        }
        if Instant::now() >= deadline {
            return Err(Failure::new(Exit::Timeout, cause).hint("--timeout says how long to wait".to_owned()));
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// The text of a file, or of standard input.
fn text_of(file: &Path, what: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().take(FILE_BYTES_MAX + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|open| open.take(FILE_BYTES_MAX + 1).read_to_string(&mut text))
    };
    read.map_err(|error| Failure::file(&format!("read the {what}"), file, &error))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        let cause = format!("{} is larger than the {FILE_BYTES_MAX} bytes of {what}", file.display());
        return Err(Failure::new(Exit::Usage, cause).hint("put fewer at once".to_owned()));
    }
    Ok(text)
}

/// A question on each line, options behind it, each after a bar.
fn questions(file: &Path) -> Result<Vec<DocketQuestion>, Failure> {
    let text = text_of(file, "questions")?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let questions: Vec<DocketQuestion> = lines
        .map(|line| {
            let mut parts = line.split('|').map(|part| part.trim().to_owned());
            DocketQuestion { question: parts.next().unwrap_or_default(), options: parts.collect() }
        })
        .collect();
    if questions.is_empty() || questions.len() > MAX_QUESTIONS {
        let cause =
            format!("{} has {} questions, expected 1 to {MAX_QUESTIONS}", file.display(), questions.len());
        return Err(Failure::new(Exit::Usage, cause).hint("write one question on each line".to_owned()));
    }
    Ok(questions)
}

fn answers(each: Vec<(u16, String)>, file: Option<&Path>) -> Result<BTreeMap<u16, Answer>, Failure> {
    let mut answers = BTreeMap::new();
    for (number, choice) in each {
        if answers.insert(number, Answer::Option(choice)).is_some() {
            let cause = format!("question {number} has two answers");
            return Err(Failure::new(Exit::Usage, cause).hint("give each question one answer".to_owned()));
        }
    }
    let Some(file) = file else { return Ok(answers) };
    let text = text_of(file, "answers")?;
    serde_json::from_str(&text).map_err(|error| {
        let cause = format!("{}: {error}", file.display());
        let hint =
            "answers are a JSON object such as {\"1\": \"yes\", \"3\": {\"rank\": [\"Ann\", \"Bob\"]}}";
        Failure::new(Exit::Usage, cause).hint(hint.to_owned())
    })
}

/// The full id of a docket of which the user gave all or the beginning.
async fn resolve(client: &Client, id: &str) -> Result<String, Failure> {
    if let Some(id) = vote::whole_id(id, "docket", LIST)? {
        return Ok(id);
    }
    let known = dockets(client).await?;
    vote::matching(id, known.iter().map(String::as_str), "docket", LIST)
}

/// The ids of all known dockets.
pub(super) async fn dockets(client: &Client) -> Result<Vec<String>, Failure> {
    let (mut ids, mut query) = (Vec::new(), DocketsQuery::default());
    loop {
        let page = client.dockets(&query).await?;
        ids.extend(page.dockets.into_iter().map(|docket| docket.docket));
        query.after = page.next;
        if query.after.is_none() {
            return Ok(ids);
        }
    }
}

fn docket_page(docket: &api::Docket) -> Result<Page, Failure> {
    let summary = &docket.summary;
    let mut text = Text::default();
    text.pairs(&[
        ("title", summary.title.clone()),
        ("state", state(summary)),
        ("docket", summary.docket.clone()),
        ("proposer", summary.proposer.clone()),
        ("method", summary.method.clone()),
        ("needs", vote::needs(docket.threshold, docket.voters.len() as u64)),
        ("tolerates", vote::tolerates(docket.tolerates, docket.threshold.is_none())),
        ("made", summary.made.clone()),
        ("closes", summary.closes.clone()),
    ]);
    vote::show_group(docket.group.as_ref(), docket.group_head.as_ref(), &mut text);
    let weights = docket.voters.iter().map(|voter| voter.weight);
    vote::holders::show(docket.holders.as_ref(), weights, &mut text);
    let rows: Vec<Vec<String>> = docket
        .asked
        .iter()
        .map(|asked| {
            let votes = asked.options.iter().map(|option| format!("{} {}", option.text, option.votes));
            let outcome = match (&asked.decided, &asked.rejected) {
                (Some(option), _) => option.clone(),
                (None, Some(cause)) => format!("rejected: {cause}"),
                (None, None) if asked.conflicting.is_empty() => "-".to_owned(),
                (None, None) => format!("conflicting: {}", asked.conflicting.join(", ")),
            };
            let votes = votes.collect::<Vec<_>>().join(", ");
            vec![asked.number.to_string(), asked.question.clone(), outcome, votes]
        })
        .collect();
    if !rows.is_empty() {
        text.line("").table(&["NO", "QUESTION", "OUTCOME", "VOTES"], &rows);
    }
    let rows: Vec<Vec<String>> = docket
        .voters
        .iter()
        .map(|voter| {
            let answered = if voter.answered { "answered" } else { "-" };
            vec![voter.agent.clone(), voter.weight.to_string(), answered.to_owned()]
        })
        .collect();
    text.line("").table(&["VOTER", "WEIGHT", "BALLOT"], &rows);
    Page::new(docket, text)
}

fn dockets_page(dockets: &api::Dockets) -> Result<Page, Failure> {
    let mut text = Text::default();
    if dockets.dockets.is_empty() {
        text.line("no dockets are known here");
    } else {
        let row = |docket: &api::DocketSummary| {
            vec![vote::short(&docket.docket), state(docket), docket.method.clone(), docket.title.clone()]
        };
        let rows: Vec<Vec<String>> = dockets.dockets.iter().map(row).collect();
        text.table(&["DOCKET", "STATE", "METHOD", "TITLE"], &rows);
    }
    if let Some(next) = &dockets.next {
        text.line(&format!("there are older ones: --after {}", vote::short(next)));
    }
    Page::new(dockets, text)
}

fn state(docket: &api::DocketSummary) -> String {
    let so_far = format!("{} decided, {} rejected of {}", docket.decided, docket.rejected, docket.questions);
    match docket.state {
        VoteState::Decided | VoteState::Rejected | VoteState::Conflicting => so_far,
        VoteState::Closing | VoteState::Opening | VoteState::Unopened => {
            "closing: the closers agree on the ballots".to_owned()
        }
        VoteState::Expired => format!("expired here: {so_far}"),
        VoteState::Open => format!("open: {so_far}"),
    }
}
