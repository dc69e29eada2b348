use std::time::Duration;

use althing_gateway::Client;
use althing_gateway::api::CompactionState;
use althing_rocks::{CompactError, Options, Rocks};
use serde_json::json;

use super::super::failure::{Exit, Failure};
use super::super::page::{Page, Text};
use super::super::session::Session;
use super::progress::Progress;
use super::{running, size, too_little_space, unopened};
use crate::daemon;

/// How often a running node is asked how far it is.
const POLL_EVERY: Duration = Duration::from_millis(100);

pub(super) async fn compact(session: &Session) -> Result<Page, Failure> {
    let [before, after] = match running(session).await? {
        Some(client) => follow(&client).await?,
        None => closed(session)?,
    };
    let mut text = Text::default();
    text.pairs(&[("before", size(before)), ("after", size(after))]);
    let document =
        json!({"schema": "althing.store-compact/v1", "bytes_before": before, "bytes_after": after});
    Page::new(&document, text)
}

/// Has a running node do it, and waits.
async fn follow(client: &Client) -> Result<[u64; 2], Failure> {
    let mut progress = Progress::new("compact");
    let mut compaction = client.compact().await?;
    loop {
        match compaction.state {
            CompactionState::Running => {}
            CompactionState::Done => return Ok([compaction.bytes_before, compaction.bytes_after]),
            CompactionState::Failed | CompactionState::None => {
                let cause = compaction.cause.unwrap_or_else(|| "the node was started again".to_owned());
                return Err(Failure::new(Exit::Failed, cause).hint(compaction.hint));
            }
        }
        progress.at(|| {
            format!("{}, {}", compaction.table.as_deref().unwrap_or("begins"), size(compaction.bytes_before))
        });
        tokio::time::sleep(POLL_EVERY).await;
        compaction = client.compaction().await?;
    }
}

/// Opens the store of a node that is down. Interrupting it harms nothing: RocksDB begins again another time.
fn closed(session: &Session) -> Result<[u64; 2], Failure> {
    let home = session.home()?;
    let dir = daemon::store_dir(home);
    if !dir.join("db").exists() {
        return Err(Failure::new(Exit::Failed, format!("{}: no database here", dir.display()))
            .hint(format!("`althing up --home {}` makes one", home.display())));
    }
    let opened = Rocks::open(&dir, Options::default()).map_err(|error| unopened(&error))?;
    let mut progress = Progress::new("compact");
    let done = opened.rocks.compact(|table| progress.at(|| table.name().to_owned()));
    done.map_err(|error| match error {
        CompactError::Space(error) => too_little_space(&error, &dir),
        CompactError::Disk(error) => unopened(&error),
    })
}
