use std::time::Instant;

use althing_rocks::{Committer, Opened, Options, Rocks};
use althing_store::{Batch, CommitNo, Snapshot, Table};

use super::figure::Runs;
use super::lab::Lab;
use super::{BenchError, Benchmark, Figure, ms};

/// Bytes of a row, about those of a record.
const ROW_BYTES: usize = 420;
/// Commits of one run that are waited for one by one.
const ALONE: u64 = 500;
/// Commits of one run that are handed over without waiting.
const GROUPED: u64 = 20_000;

/// The committing thread and RocksDB without a node around them; every commit is one row, synced.
pub(crate) async fn store(lab: &Lab, say: &mut dyn FnMut(String)) -> Result<Vec<Figure>, BenchError> {
    let mut runs = Runs::new(Benchmark::Store);
    for run in 1..=lab.runs {
        say(format!("store: run {run} of {}, {} commits", lab.runs, ALONE + GROUPED));
        let dir = lab.dir().join(format!("store-{run}"));
        let opened = Rocks::open(&dir, Options::default()).map_err(|error| BenchError::unexpected(&error))?;
        let Opened { rocks, committer, .. } = opened;
        let mut samples = Vec::new();
        for no in 1..=ALONE {
            let start = Instant::now();
            submit(&committer, no).await?;
            durable(&committer, no).await?;
            samples.push(ms(start.elapsed()));
        }
        runs.times("synced commit, one at a time", samples);

        let start = Instant::now();
        for no in ALONE + 1..=ALONE + GROUPED {
            submit(&committer, no).await?;
        }
        durable(&committer, ALONE + GROUPED).await?;
        runs.one("synced commits, in groups", "1/s", rate(GROUPED, start), 1);

        let start = Instant::now();
        for no in 1..=GROUPED {
            // In an order that is not that of the keys.
            let key = key(1 + no.wrapping_mul(7_919) % GROUPED);
            let found = rocks.get(Table::Records, &key).map_err(|error| BenchError::unexpected(&error))?;
            if found.is_none_or(|row| row.len() != ROW_BYTES) {
                return Err(BenchError::unexpected(&"a row is missing"));
            }
        }
        runs.one("reads of single rows", "1/s", rate(GROUPED, start), 1);
        if let Some((_, failure)) = committer.close().failed {
            return Err(BenchError::unexpected(&failure));
        }
    }
    Ok(runs.figures())
}

async fn submit(committer: &Committer, no: u64) -> Result<(), BenchError> {
    let mut batch = Batch::default();
    batch.put(Table::Records, key(no), vec![no.to_be_bytes()[7]; ROW_BYTES]);
    batch.require_sync();
    committer.submit(CommitNo(no), batch).await.map_err(|error| BenchError::unexpected(&error))
}

pub(super) async fn durable(committer: &Committer, no: u64) -> Result<(), BenchError> {
    let mut durable = committer.durable();
    let reached = durable.wait_for(|durable| durable.no >= CommitNo(no) || durable.failed.is_some()).await;
    match reached.map_err(|error| BenchError::unexpected(&error))?.failed.as_ref() {
        None => Ok(()),
        Some((_, failure)) => Err(BenchError::unexpected(failure)),
    }
}

/// A key as scattered as the ids of records are.
fn key(no: u64) -> Vec<u8> {
    let mut key = [0; 32];
    for (place, chunk) in key.chunks_mut(8).enumerate() {
        let word = no.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(u32::try_from(place * 13).unwrap_or(0));
        chunk.copy_from_slice(&word.to_be_bytes());
    }
    key.to_vec()
}

fn rate(count: u64, start: Instant) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let count = count as f64;
    count / start.elapsed().as_secs_f64()
}
