use althing_rocks::{CheckError, Report};
use serde_json::json;

use super::super::failure::{Exit, Failure};
use super::super::page::{Page, Text, note};
use super::super::session::Session;
use crate::daemon;

pub(super) fn check(session: &Session) -> Result<Page, Failure> {
    let home = session.home()?;
    let dir = daemon::store_dir(home);
    let report = althing_rocks::check(&dir).map_err(|error| match &error {
        CheckError::NoDatabase(_) => Failure::new(Exit::Failed, &error)
            .hint(format!("`althing up --home {}` makes one", home.display())),
        CheckError::Open(_) => {
            Failure::new(Exit::Failed, &error).hint("`althing down` stops the node that uses it".to_owned())
        }
    })?;
    page(&report, &dir.display().to_string())
}

fn page(report: &Report, dir: &str) -> Result<Page, Failure> {
    let mut text = Text::default();
    report.to_string().lines().for_each(|line| {
        text.line(line);
    });
    let rows: Vec<_> =
        report.rows.iter().map(|(table, rows)| json!({"table": table.name(), "rows": rows})).collect();
    let damage = report
        .damage
        .as_ref()
        .map(|damage| json!({"table": damage.table, "file": damage.file, "cause": damage.cause}));
    let document = json!({
        "schema": "althing.store-check/v1",
        "sound": report.is_sound(),
        "dir": dir,
        "schema_version": report.schema,
        "commit": report.commit.map(|commit| commit.0),
        "guard": report.guard.to_string(),
        "files": report.files,
        "bytes": report.bytes,
        "tables": rows,
        "damage": damage,
    });
    let page = Page::new(&document, text)?;
    if report.is_sound() {
        return Ok(page);
    }
    note(&format!("error: the store in {dir} is not sound"));
    note(
        "hint: keep a copy of it, and restore a snapshot into another home; a fresh home gets the network's records from its peers",
    );
    Ok(page.exit(Exit::Failed))
}
