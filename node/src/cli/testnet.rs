use std::path::PathBuf;
use std::time::Duration;

use althing_testnet::{Demo, DemoFailure, DemoPlan, DemoStep, How, Plan, Report, demo, down, status, up};

use super::args;
use super::failure::{Exit, Failure};
use super::page::{Page, Screen, Text, clean, note, print};
use super::session::{Session, data_dir};

/// How long the demo may take unless the user says otherwise.
const DEMO_LIMIT: Duration = Duration::from_secs(180);
/// How long starting a testnet may take unless the user says otherwise.
const UP_LIMIT: Duration = Duration::from_secs(120);
/// How much of a digest a table shows, in hex digits.
const SHOWN: usize = 8;

pub(crate) async fn testnet(
    command: args::Testnet,
    session: &Session,
    screen: Screen,
) -> Result<Page, Failure> {
    match command {
        args::Testnet::Up { nodes, dir } => {
            let plan = Plan { program: this_program()?, dir: dir_of(dir)?, nodes: nodes.into() };
            let limit = session.timeout_or(UP_LIMIT);
            let report = up(&plan, limit, &mut |line| note(&clean(&line))).await?;
            let mut text = Text::default();
            table(&report, &mut text);
            let dir = report.dir.display();
            text.line("").line(&format!("homes and logs are in {dir}"));
            text.line(&format!("use a node: `althing status --home {dir}/node-1`"));
            Page::new(&report, text)
        }
        args::Testnet::Status { dir } => {
            let report = status(&dir_of(dir)?).await?;
            let mut text = Text::default();
            table(&report, &mut text);
            for row in &report.nodes {
                if let Some(problem) = &row.problem {
                    text.line(&format!("node {}: {problem}; log: {}", row.number, row.log.display()));
                }
            }
            Page::new(&report, text)
        }
        args::Testnet::Down { dir } => {
            let stopped = down(&dir_of(dir)?).await?;
            let mut text = Text::default();
            for node in &stopped.nodes {
                let how = match node.how {
                    How::NotRunning => "had ended before",
                    How::Asked => "stopped",
                    How::Terminated => "stopped by SIGTERM",
                    How::Killed => "stopped by SIGKILL",
                };
                text.line(&format!("node {} (pid {}): {how}", node.number, node.pid));
            }
            if stopped.nodes.is_empty() {
                text.line(&format!("no testnet runs in {}", stopped.dir.display()));
            }
            Page::new(&stopped, text)
        }
        args::Testnet::Demo { dir } => play(dir, session, screen).await,
    }
}

async fn play(dir: Option<PathBuf>, session: &Session, screen: Screen) -> Result<Page, Failure> {
    let plan = DemoPlan { program: this_program()?, dir, limit: session.timeout_or(DEMO_LIMIT) };
    let mut say = |step: &DemoStep| {
        let line = clean(&format!(
            "{:>2}  {:>6.2} s  {}: {}",
            step.number,
            Duration::from_millis(step.took_ms).as_secs_f64(),
            step.title,
            step.seen
        ));
        if screen.json {
            note(&line);
        } else {
            // A reader that has gone does not stop the demo, which has processes to end.
            let _ = print(format!("{line}\n").as_bytes());
        }
    };
    match demo(&plan, &mut say).await {
        Ok(demo) => Page::new(&demo, summary(&demo)),
        Err(failure) => Err(demo_failure(*failure)),
    }
}

fn demo_failure(failure: DemoFailure) -> Failure {
    if let Some(log) = &failure.log {
        note(&format!("the last lines of {}:", log.display()));
        failure.tail.iter().for_each(|line| note(&format!("  {}", clean(line))));
    }
    let cause = failure.to_string();
    let hint = match (&failure.log, failure.error.hint()) {
        (_, Some(hint)) => Some(hint),
        (Some(log), None) => log.parent().map(|logs| format!("all logs are in {}", logs.display())),
        (None, None) => None,
    };
    Failure::new(Failure::from(failure.error).exit, cause).hint(hint)
}

fn summary(demo: &Demo) -> Text {
    let mut text = Text::default();
    let rows: Vec<Vec<String>> = demo
        .nodes
        .iter()
        .map(|node| {
            vec![
                node.number.to_string(),
                node.node.clone(),
                node.peers.to_string(),
                node.cards.to_string(),
                node.records.to_string(),
                short(&node.directory),
                short(&node.ledger),
                node.decided.clone(),
            ]
        })
        .collect();
    text.line("")
        .table(&["NODE", "ID", "PEERS", "CARDS", "RECORDS", "DIRECTORY", "LEDGER", "DECIDED"], &rows)
        .line("")
        .pairs(&[
            ("steps", format!("{} done", demo.steps.len())),
            ("took", format!("{:.1} s", Duration::from_millis(demo.took_ms).as_secs_f64())),
            ("logs", demo.logs.display().to_string()),
            ("certificate", demo.certificate.display().to_string()),
            ("genesis", demo.genesis.display().to_string()),
        ]);
    text
}

fn table(report: &Report, text: &mut Text) {
    let domains: Vec<String> = report
        .nodes
        .iter()
        .find(|row| !row.domains.is_empty())
        .map(|row| row.domains.iter().map(|domain| domain.name.clone()).collect())
        .unwrap_or_default();
    let titles: Vec<String> = domains.iter().map(|name| name.to_uppercase()).collect();
    let mut head = vec!["NODE", "PID", "ALIVE", "ID", "PEERS", "RECORDS"];
    head.extend(titles.iter().map(String::as_str));
    head.push("AGREES");
    let number = |value: Option<u64>| value.map_or("-".to_owned(), |value| value.to_string());
    let word = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let rows: Vec<Vec<String>> = report
        .nodes
        .iter()
        .map(|row| {
            let mut cells = vec![
                row.number.to_string(),
                row.pid.to_string(),
                word(row.alive),
                row.node.clone().unwrap_or_else(|| "-".to_owned()),
                number(row.peers),
                number(row.records),
            ];
            cells.extend(domains.iter().map(|name| {
                let digest = row.domains.iter().find(|domain| &domain.name == name);
                digest.map_or("-".to_owned(), |domain| short(&domain.digest))
            }));
            cells.push(word(row.agrees));
            cells
        })
        .collect();
    text.table(&head, &rows);
}

fn short(digest: &str) -> String {
    digest.chars().take(SHOWN).collect()
}

pub(super) fn this_program() -> Result<PathBuf, Failure> {
    std::env::current_exe()
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot find this program: {error}")))
}

fn dir_of(dir: args::TestnetDir) -> Result<PathBuf, Failure> {
    dir.dir.map_or_else(|| data_dir("althing-testnet"), Ok)
}
