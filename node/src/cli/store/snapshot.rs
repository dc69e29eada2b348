use std::fs;
use std::path::Path;
use std::time::SystemTime;

use althing_engine::NODE;
use althing_gateway::Client;
use althing_gateway::api::rfc3339;
use althing_record::{Millis, NodeId};
use althing_rocks::{FreezeError, Frozen, Rocks, is_part, require_space};
use althing_store::{Snapshot as _, Table};
use serde_json::json;

use super::super::failure::{Exit, Failure};
use super::super::page::{Page, Text};
use super::super::session::Session;
use super::output::{Hashed, Output, sync_dir, write_new};
use super::progress::Progress;
use super::snapshot_dir::{DB, GENESIS, JOIN, MANIFEST, Manifest, SCHEMA, SUMS, Sums};
use super::{network, parent, running, size, too_little_space, unopened};
use crate::daemon;

/// Bytes that are copied at a time when no node runs.
const PIECE_BYTES: usize = 1 << 20;

/// The files of a database that stand still.
enum Source {
    /// Of a running node, which holds them.
    Running(Client),
    /// Of a node that is down.
    Closed(Frozen),
}

impl Source {
    async fn open(session: &Session) -> Result<(Self, Vec<(String, u64)>), Failure> {
        if let Some(client) = running(session).await? {
            let files = client.checkpoint().await?.files;
            return Ok((
                Self::Running(client),
                files.into_iter().map(|file| (file.name, file.bytes)).collect(),
            ));
        }
        let home = session.home()?;
        let frozen = Frozen::closed(&daemon::store_dir(home)).map_err(|error| match error {
            FreezeError::NoDatabase(_) => Failure::new(Exit::Failed, &error)
                .hint(format!("`althing up --home {}` makes one", home.display())),
            FreezeError::Open(error) => unopened(&error),
            error @ (FreezeError::Space(_) | FreezeError::File { .. }) => Failure::new(Exit::Failed, error),
        })?;
        let files = frozen.files().iter().map(|file| (file.name.clone(), file.bytes)).collect();
        Ok((Self::Closed(frozen), files))
    }

    async fn read(&self, name: &str, offset: u64) -> Result<Vec<u8>, Failure> {
        match self {
            Self::Running(client) => Ok(client.checkpoint_piece(name, offset).await?),
            Self::Closed(frozen) => {
                // Lets an interruption through.
                tokio::task::yield_now().await;
                let read = frozen.read(name, offset, PIECE_BYTES);
                read.map_err(|error| Failure::file("read", Path::new(name), &error))
            }
        }
    }

    async fn release(self) {
        if let Self::Running(client) = self {
            // The node does it by itself after a while.
            let _ = client.release_checkpoint().await;
        }
    }
}

pub(super) async fn snapshot(out: &Path, session: &Session) -> Result<Page, Failure> {
    // Before anything is asked of the node.
    drop(Output::dir(out)?);
    let (source, files) = Source::open(session).await?;
    let made = write(out, session, &source, &files).await;
    source.release().await;
    let manifest = made?;
    let bytes: u64 = files.iter().map(|(_, bytes)| bytes).sum();
    let mut text = Text::default();
    text.line(&format!(
        "wrote {} (commit {}, {} in {} files)",
        out.display(),
        manifest.commit,
        size(bytes),
        files.len()
    ));
    text.line("it holds no keys, no tokens and no vote guard; keep the keys elsewhere");
    let mut document = json!({"schema": "althing.store-snapshot/v1", "dir": out.display().to_string()});
    document["bytes"] = bytes.into();
    document["files"] = files.len().into();
    document["manifest"] = json!(manifest);
    Page::new(&document, text)
}

async fn write(
    out: &Path,
    session: &Session,
    source: &Source,
    files: &[(String, u64)],
) -> Result<Manifest, Failure> {
    let total: u64 = files.iter().map(|(_, bytes)| bytes).sum();
    let at = parent(out);
    require_space(&at, total).map_err(|error| too_little_space(&error, &at))?;
    let output = Output::dir(out)?;
    let (dir, db) = (output.path(), output.path().join(DB));
    let make_db = fs::create_dir(&db);
    make_db.map_err(|error| Failure::file("make", &db, &error))?;
    private(&db)?;
    let mut sums = Sums::default();
    let (mut copied, mut progress) = (0, Progress::new("snapshot"));
    for (name, bytes) in files {
        // The names come from the node, and this program may have more rights than it.
        if !is_part(name) {
            let shown: String = name.chars().take(80).collect();
            let cause = format!("expected the name of a file of a database from the node, found \"{shown}\"");
            let hint = "stop the node and take the snapshot again: nothing is asked of it then".to_owned();
            return Err(Failure::new(Exit::Failed, cause).hint(hint));
        }
        let mut file = Hashed::create(&db.join(name))?;
        let mut offset = 0;
        while offset < *bytes {
            let piece = source.read(name, offset).await?;
            if piece.is_empty() {
                let cause = format!("{name}: expected {bytes} bytes, found {offset}");
                return Err(Failure::new(Exit::Failed, cause).hint("take the snapshot again".to_owned()));
            }
            file.write(&piece)?;
            offset += piece.len() as u64;
            copied += piece.len() as u64;
            progress.at(|| format!("{} of {}", size(copied), size(total)));
        }
        sums.0.insert(format!("{DB}/{name}"), file.finish()?);
    }
    drop(progress);
    let (commit, store_schema, node) = inspect(dir)?;
    tidy(dir, files)?;

    let home = session.home()?;
    let network = network(home)?;
    let made = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let made = Millis(u64::try_from(made.as_millis()).unwrap_or_default());
    let manifest = Manifest {
        schema: SCHEMA.to_owned(),
        store_schema,
        network: network.id().to_string(),
        network_name: network.genesis().name.to_string(),
        node: node.map(|node| node.to_string()),
        commit,
        made: rfc3339(made),
        made_ms: made.0,
        program: concat!("althing/", env!("CARGO_PKG_VERSION")).to_owned(),
    };
    let mut json = serde_json::to_vec_pretty(&manifest)
        .map_err(|error| Failure::new(Exit::Failed, format!("{MANIFEST}: {error}")))?;
    json.push(b'\n');
    sums.0.insert(MANIFEST.to_owned(), write_new(&dir.join(MANIFEST), &json)?);
    sums.0.insert(GENESIS.to_owned(), write_new(&dir.join(GENESIS), &network.to_bytes())?);
    if let Ok(addresses) = fs::read(home.join(JOIN)) {
        sums.0.insert(JOIN.to_owned(), write_new(&dir.join(JOIN), &addresses)?);
    }
    write_new(&dir.join(SUMS), sums.to_text().as_bytes())?;
    sync_dir(&db).map_err(|error| Failure::file("write", &db, &error))?;
    output.finish()?;
    Ok(manifest)
}

/// Reads every block of the copy: damage is found now and not when the copy is needed.
fn inspect(dir: &Path) -> Result<(u64, u32, Option<NodeId>), Failure> {
    let unsound = |cause: String| {
        Failure::new(Exit::Failed, format!("the store is damaged, no snapshot was made: {cause}"))
            .hint("stop the node and run `althing store check`: it names the damaged file".to_owned())
    };
    let report = althing_rocks::check(dir).map_err(|error| unsound(error.to_string()))?;
    if let Some(damage) = report.damage {
        let file = damage.file.map(|file| format!("{file}: ")).unwrap_or_default();
        return Err(unsound(format!("{file}{}", damage.cause)));
    }
    let (Some(commit), Some(schema)) = (report.commit, report.schema) else {
        return Err(unsound("its commit number or schema version is missing".to_owned()));
    };
    let node = Rocks::open_to_read(dir)
        .map_err(|error| unopened(&error))?
        .get(Table::Meta, NODE)
        .map_err(|error| unsound(error.to_string()))?;
    let node = node.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()).map(NodeId);
    Ok((commit.0, schema, node))
}

/// Removes what looking at the copy left: locks and RocksDB's own logs.
fn tidy(dir: &Path, files: &[(String, u64)]) -> Result<(), Failure> {
    for (at, keep) in
        [(dir.to_owned(), vec![DB]), (dir.join(DB), files.iter().map(|(name, _)| name.as_str()).collect())]
    {
        let failed = |error| Failure::file("read", &at, &error);
        for entry in fs::read_dir(&at).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if !keep.iter().any(|name| entry.file_name() == *name) {
                fs::remove_file(entry.path())
                    .map_err(|error| Failure::file("remove", &entry.path(), &error))?;
            }
        }
    }
    Ok(())
}

fn private(dir: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
        .map_err(|error| Failure::file("protect", dir, &error))
}
