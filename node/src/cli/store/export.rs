use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::SystemTime;

use althing_engine::live_records;
use althing_gateway::{Client, RecordBytes};
use althing_record::{Kind, Millis, Network, Record};
use althing_rocks::Rocks;
use serde_json::json;

use super::super::failure::{Exit, Failure};
use super::super::page::{Page, Screen, Text};
use super::super::session::Session;
use super::export_file::Encoder;
use super::output::{Output, unwritten};
use super::progress::Progress;
use super::{network, running, size, unopened};
use crate::daemon;

/// Where live records come from.
enum Source {
    Running(Client),
    Closed(Box<(Rocks, Network)>),
}

impl Source {
    async fn page(&self, kind: Option<Kind>, from: &[u8]) -> Result<RecordBytes, Failure> {
        match self {
            Self::Running(client) => Ok(client.records(kind.map(Kind::name), from).await?),
            Self::Closed(store) => {
                // Lets an interruption through.
                tokio::task::yield_now().await;
                let (rocks, network) = store.as_ref();
                let page = live_records(rocks, network, kind, from, now()).map_err(|error| {
                    Failure::new(Exit::Failed, format!("store: {error}"))
                        .hint("`althing store check` names the damaged file".to_owned())
                })?;
                let records = page.records.iter().map(Record::bytes).map(<[u8]>::to_vec).collect();
                Ok(RecordBytes { records, next: page.next })
            }
        }
    }
}

/// Where an export goes.
enum Sink {
    Stdout,
    File(Output, File),
}

impl Sink {
    fn open(out: &Path, screen: Screen) -> Result<Self, Failure> {
        if out != Path::new("-") {
            return Output::file(out).map(|(output, file)| Self::File(output, file));
        }
        screen.takes_bytes("an export")?;
        Ok(Self::Stdout)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Stdout => {
                io::stdout().lock().write_all(bytes).map_err(|error| unwritten(Path::new("-"), &error))
            }
            Self::File(output, file) => {
                file.write_all(bytes).map_err(|error| unwritten(output.path(), &error))
            }
        }
    }

    fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Stdout => io::stdout().lock().flush().map_err(|error| unwritten(Path::new("-"), &error)),
            Self::File(output, file) => {
                file.sync_all().map_err(|error| unwritten(output.path(), &error))?;
                output.finish()
            }
        }
    }
}

pub(super) async fn export(
    out: &Path,
    kind: Option<Kind>,
    session: &Session,
    screen: Screen,
) -> Result<Page, Failure> {
    let mut sink = Sink::open(out, screen)?;
    let is_stdout = matches!(sink, Sink::Stdout);
    let network = network(session.home()?)?;
    let id = network.id();
    let source = match running(session).await? {
        Some(client) => Source::Running(client),
        None => {
            let dir = daemon::store_dir(session.home()?);
            let rocks = Rocks::open_to_read(&dir).map_err(|error| unopened(&error))?;
            Source::Closed(Box::new((rocks, network)))
        }
    };
    let (mut encoder, header) = Encoder::new(id);
    sink.write(&header)?;
    let (mut from, mut bytes, mut progress) = (Vec::new(), header.len() as u64, Progress::new("export"));
    loop {
        let RecordBytes { records, next } = source.page(kind, &from).await?;
        for record in records {
            let encoded = encoder.record(&record);
            bytes += encoded.len() as u64;
            sink.write(&encoded)?;
        }
        progress.at(|| format!("{} records, {}", encoder.count(), size(bytes)));
        match next {
            Some(next) => from = next,
            None => break,
        }
    }
    drop(progress);
    let count = encoder.count();
    let end = encoder.end();
    bytes += end.len() as u64;
    sink.write(&end)?;
    sink.finish()?;
    if is_stdout {
        return Ok(Page::nothing());
    }
    let mut text = Text::default();
    text.line(&format!("wrote {} ({count} records, {})", out.display(), size(bytes)));
    let document = json!({
        "schema": "althing.store-export/v1",
        "file": out.display().to_string(),
        "network": id.to_string(),
        "kind": kind.map(Kind::name),
        "records": count,
        "bytes": bytes,
    });
    Page::new(&document, text)
}

fn now() -> Millis {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}
