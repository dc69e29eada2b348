//! What a user does with a node's store: check, snapshot, restore, export, import, compact.

mod check;
mod compact;
mod export;
mod export_file;
mod import;
mod output;
mod progress;
mod restore;
mod snapshot;
mod snapshot_dir;

use std::path::{Path, PathBuf};

use althing_gateway::Client;
use althing_record::Network;
use althing_rocks::{OpenError, SpaceError};
use tokio::signal::unix::{SignalKind, signal};

use super::args;
use super::failure::{Exit, Failure};
use super::page::{Page, Screen};
use super::session::Session;

pub(super) use output::sync_dir;

pub(crate) fn store(command: args::Store, session: &Session, screen: Screen) -> Result<Page, Failure> {
    match command {
        args::Store::Check => check::check(session),
        args::Store::Snapshot { out } => session.block_on(interruptible(snapshot::snapshot(&out, session))),
        args::Store::Restore { snapshot } => {
            session.block_on(interruptible(restore::restore(&snapshot, session)))
        }
        args::Store::Export { out, kind } => {
            session.block_on(interruptible(export::export(&out, kind, session, screen)))
        }
        args::Store::Import { file } => session.block_on(interruptible(import::import(&file, session))),
        args::Store::Compact => session.block_on(interruptible(compact::compact(session))),
    }
}

/// Runs long work until it is done, or somebody presses Ctrl-C or ends the process: then it is dropped, and what it has
/// made with it. It has to yield now and then.
async fn interruptible(work: impl Future<Output = Result<Page, Failure>>) -> Result<Page, Failure> {
    let interrupted = || {
        Failure::new(Exit::Failed, "interrupted").hint("nothing half done is left; run it again".to_owned())
    };
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        // The signals first, so that they are caught before there is anything to leave behind.
        biased;
        _ = tokio::signal::ctrl_c() => Err(interrupted()),
        _ = terminated => Err(interrupted()),
        done = work => done,
    }
}

/// The running node of the home; none if there is none.
async fn running(session: &Session) -> Result<Option<Client>, Failure> {
    match session.client().await {
        Ok(client) => Ok(Some(client)),
        Err(failure) if failure.exit == Exit::Down => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// The network that a home is in.
fn network(home: &Path) -> Result<Network, Failure> {
    super::network::read(&home.join("genesis.cbor"))
}

fn unopened(error: &OpenError) -> Failure {
    Failure::new(Exit::Failed, error).hint(error.hint())
}

fn too_little_space(error: &SpaceError, dir: &Path) -> Failure {
    Failure::new(Exit::Failed, format!("{}: {error}", dir.display()))
        .hint("free some space there, or choose another place".to_owned())
}

/// The directory that a path is in.
fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}

/// Bytes as people read them.
fn size(bytes: u64) -> String {
    let (mut whole, mut tenths, mut unit) = (bytes, 0, "B");
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if whole < 1_024 {
            break;
        }
        (tenths, whole, unit) = (whole % 1_024 * 10 / 1_024, whole / 1_024, larger);
    }
    if unit == "B" { format!("{whole} B") } else { format!("{whole}.{tenths} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        let cases = [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_536, "1.5 KiB"),
            (3 << 20, "3.0 MiB"),
            (u64::MAX, "16777215.9 TiB"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(size(bytes), expected);
        }
    }
}
