use althing_net::{Shelf, ShelfRow};
use althing_rocks::Rocks;
use althing_store::{MAX_SCAN, ReadError, Snapshot, Table};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Batches that wait for the disk; the swarm keeps further changes, and joins them, until there is room.
const BATCHES_MAX: usize = 4;

/// The provider records that an earlier start kept, and the task that writes what changes. It ends after the swarm
/// has: await it before the store is closed.
///
/// # Errors
/// When the store cannot be read.
pub(super) fn open(rocks: Rocks) -> Result<(Shelf, JoinHandle<()>), ReadError> {
    let mut rows = Vec::new();
    let mut from = Vec::new();
    loop {
        // Keys have 64 bytes, so this is behind them all.
        let page = rocks.scan(Table::Providers, &from, &[0xff; 65], MAX_SCAN)?;
        let Some((last, _)) = page.last() else { break };
        from = [last, &[0][..]].concat();
        rows.extend(page);
    }
    let (changes, received) = mpsc::channel(BATCHES_MAX);
    Ok((Shelf { rows, changes }, tokio::spawn(keep(rocks, received))))
}

async fn keep(rocks: Rocks, mut batches: mpsc::Receiver<Vec<ShelfRow>>) {
    while let Some(rows) = batches.recv().await {
        let rocks = rocks.clone();
        let written = tokio::task::spawn_blocking(move || rocks.keep_providers(rows)).await;
        // What is lost is announced again within twenty minutes; a disk that is full is told of elsewhere.
        match written {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "provider records were not written"),
            Err(error) => tracing::debug!(%error, "provider records were not written"),
        }
    }
}
