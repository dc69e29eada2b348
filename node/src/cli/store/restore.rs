use std::fs;
use std::io::Read;
use std::path::Path;

use althing_record::Network;
use althing_rocks::{OpenError, Restore, RestoreError, SCHEMA, require_space};
use althing_store::CommitNo;
use serde_json::json;

use super::super::failure::{Exit, Failure};
use super::super::page::{Page, Text};
use super::super::session::Session;
use super::output::Hashed;
use super::progress::Progress;
use super::snapshot_dir::{DB, GENESIS, JOIN, MANIFEST, Manifest, SnapshotDir, damaged, differs, open_plain};
use super::{network, size, too_little_space, unopened};
use crate::daemon;

/// Bytes that are copied at a time.
const PIECE_BYTES: usize = 1 << 20;

/// What a store has beside its database: a reserve, a guard, room to open.
const STORE_BYTES: u64 = 16 << 20;

pub(super) async fn restore(from: &Path, session: &Session) -> Result<Page, Failure> {
    let home = session.home()?;
    let snapshot = SnapshotDir::open(from)?;
    let manifest = Manifest::read(&snapshot.small(MANIFEST)?.unwrap_or_default(), &snapshot.path(MANIFEST))?;
    let genesis = snapshot.small(GENESIS)?.unwrap_or_default();
    let of = Network::from_bytes(&genesis)
        .map_err(|error| damaged(&snapshot.path(GENESIS), &error.to_string()))?;
    if of.id().to_string() != manifest.network {
        return Err(damaged(&snapshot.path(GENESIS), "it is not that of the manifest's network"));
    }
    if manifest.store_schema > SCHEMA {
        let cause = format!(
            "the snapshot's store has schema {}, this version reads up to {SCHEMA}",
            manifest.store_schema
        );
        return Err(Failure::new(Exit::Failed, cause)
            .hint(format!("use the version that wrote it ({}) or a newer one", manifest.program)));
    }
    let addresses = snapshot.small(JOIN)?;

    daemon::home::make(home).map_err(|error| Failure::new(Exit::Failed, &error).hint(error.hint()))?;
    let has_genesis = home.join(GENESIS).exists();
    if has_genesis {
        let here = network(home)?;
        if here.id() != of.id() {
            let cause = format!(
                "{} is in network {} ({}), the snapshot is of {} ({})",
                home.display(),
                &*here.genesis().name,
                here.id(),
                manifest.network_name,
                of.id()
            );
            return Err(Failure::new(Exit::Failed, cause).hint("use another --home".to_owned()));
        }
    }
    let bytes = snapshot.bytes()?;
    require_space(home, bytes + STORE_BYTES).map_err(|error| too_little_space(&error, home))?;
    let target = daemon::store_dir(home);
    let restore = Restore::begin(&target).map_err(|error| refused(&error))?;
    copy(&snapshot, &restore.db_dir(), bytes).await?;
    // Before the store: without it they only say which network a fresh node is in.
    let kept = |error| Failure::new(Exit::Failed, error);
    if !has_genesis {
        daemon::home::write_whole(&home.join(GENESIS), &genesis).map_err(kept)?;
    }
    if let Some(addresses) = addresses.filter(|_| !home.join(JOIN).exists()) {
        daemon::home::write_whole(&home.join(JOIN), &addresses).map_err(kept)?;
    }
    let commit = CommitNo(manifest.commit);
    restore.finish(commit, &althing_engine::restored(commit)).map_err(|error| refused(&error))?;
    page(home, &manifest, bytes)
}

async fn copy(snapshot: &SnapshotDir, to: &Path, total: u64) -> Result<(), Failure> {
    let (mut copied, mut progress) = (0, Progress::new("restore"));
    for (name, sum) in snapshot.database() {
        let at = snapshot.path(DB).join(name);
        let mut from = open_plain(&at)?;
        let mut file = Hashed::create(&to.join(name))?;
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            // Lets an interruption through.
            tokio::task::yield_now().await;
            let read = from.read(&mut piece).map_err(|error| Failure::file("read", &at, &error))?;
            if read == 0 {
                break;
            }
            file.write(&piece[..read])?;
            copied += read as u64;
            progress.at(|| format!("{} of {}", size(copied), size(total)));
        }
        if file.finish()? != *sum {
            return Err(differs(&at));
        }
    }
    Ok(())
}

fn refused(error: &RestoreError) -> Failure {
    match error {
        RestoreError::Exists(path) => {
            let held = fs::read_dir(path).map(|entries| entries.flatten().count()).unwrap_or_default();
            let cause =
                format!("{} exists already, with {held} entries in it; nothing was changed", path.display());
            Failure::new(Exit::Failed, cause).hint(
                "restore into another --home, or stop the node and move that directory away: whatever it signed, only it knows"
                    .to_owned(),
            )
        }
        RestoreError::Open(OpenError::Locked { .. }) => Failure::new(Exit::Failed, error)
            .hint("another restore into this home is under way; wait for it".to_owned()),
        RestoreError::Open(error) => unopened(error),
        RestoreError::File { .. } => Failure::new(Exit::Failed, error),
        RestoreError::OtherCommit { .. } => {
            Failure::new(Exit::Invalid, format!("the database is not the one of the manifest: {error}"))
                .hint("take another copy of the snapshot, or another snapshot".to_owned())
        }
    }
}

fn page(home: &Path, manifest: &Manifest, bytes: u64) -> Result<Page, Failure> {
    let has_keys = home.join("keys").exists();
    let mut text = Text::default();
    text.line(&format!(
        "restored {} from commit {} of {} ({})",
        daemon::store_dir(home).display(),
        manifest.commit,
        manifest.made,
        size(bytes)
    ));
    if !has_keys {
        text.line("there are no keys in this home: the first start makes a new node and a new agent");
        text.line("to go on as the old agent, copy its keys/ directory there before that");
    }
    text.line("before a ballot it asks the nodes of the other voters what its agent cast since");
    text.line(&format!("next: `althing up --home {}`", home.display()));
    let document = json!({
        "schema": "althing.store-restore/v1",
        "home": home.display().to_string(),
        "network": manifest.network,
        "commit": manifest.commit,
        "made": manifest.made,
        "made_ms": manifest.made_ms,
        "bytes": bytes,
        "keys": has_keys,
    });
    Page::new(&document, text)
}
