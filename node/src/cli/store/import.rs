use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use althing_engine::IMPORT_MAX;
use althing_gateway::Client;
use althing_gateway::api::{ImportOutcome, ImportedRecord};
use serde_json::json;

use super::super::failure::{Exit, Failure};
use super::super::page::{Page, Text, note};
use super::super::session::Session;
use super::export_file::{Decoder, ExportError, Piece};
use super::output::unwritten;
use super::progress::Progress;

/// Most bytes of records that are sent at a time.
const CHUNK_BYTES_MAX: usize = 512 << 10;

/// Most records that are remembered to be sent again; further ones are counted as early.
const EARLY_MAX: usize = 1_000_000;

/// Most different causes that are reported for one kind and outcome.
const CAUSES_MAX: usize = 8;

/// Counts by kind and outcome, with causes.
#[derive(Debug, Default)]
struct Counts(BTreeMap<(String, ImportOutcome), (u64, BTreeMap<String, u64>)>);

impl Counts {
    fn add(&mut self, record: &ImportedRecord) {
        let kind = record.kind.clone().unwrap_or_else(|| "?".to_owned());
        let (count, causes) = self.0.entry((kind, record.outcome)).or_default();
        *count += 1;
        if let Some(cause) = &record.cause
            && (causes.contains_key(cause) || causes.len() < CAUSES_MAX)
        {
            *causes.entry(cause.clone()).or_default() += 1;
        }
    }

    fn of(&self, outcome: ImportOutcome) -> u64 {
        self.0.iter().filter(|((_, of), _)| *of == outcome).map(|(_, (count, _))| count).sum()
    }
}

/// Where a record stands in the file.
#[derive(Clone, Copy, Debug)]
struct Place {
    offset: u64,
    bytes: u32,
}

struct Import {
    client: Client,
    file: File,
    counts: Counts,
    early: Vec<(Place, ImportedRecord)>,
    sent: u64,
}

pub(super) async fn import(path: &Path, session: &Session) -> Result<Page, Failure> {
    let client = session.client().await?;
    let file = open(path).await?;
    let shown = if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() };
    let network = client.status().await?.network;
    let total = check(&file, &shown, &network).await?;
    let mut import = Import { client, file, counts: Counts::default(), early: Vec::new(), sent: 0 };
    let mut progress = Progress::new("import");
    import.all(&shown, total, &mut progress).await?;
    let rounds = import.again(&mut progress).await?;
    drop(progress);
    for (_, record) in std::mem::take(&mut import.early) {
        import.counts.add(&record);
    }
    page(&shown, total, rounds, &import.counts)
}

impl Import {
    /// Sends every record once.
    async fn all(&mut self, shown: &str, total: u64, progress: &mut Progress) -> Result<(), Failure> {
        // The same file and position; nothing else reads it meanwhile.
        let file = self.file.try_clone().map_err(|error| unreadable(shown, &error))?;
        let mut decoder = decoder(&file, shown)?;
        let mut chunk: Vec<Piece> = Vec::new();
        let mut bytes = 0;
        while let Some(piece) = decoder.next().map_err(|error| refused(shown, &error))? {
            if chunk.len() == IMPORT_MAX || bytes + piece.bytes.len() > CHUNK_BYTES_MAX {
                self.send(std::mem::take(&mut chunk)).await?;
                bytes = 0;
                progress.at(|| format!("{} of {total} records", self.sent));
            }
            bytes += piece.bytes.len();
            chunk.push(piece);
        }
        self.send(chunk).await
    }

    /// Sends what was early again until nothing changes; gives how often.
    async fn again(&mut self, progress: &mut Progress) -> Result<u64, Failure> {
        let mut rounds = 0;
        loop {
            let early = std::mem::take(&mut self.early);
            let before = early.len();
            if before == 0 {
                return Ok(rounds);
            }
            rounds += 1;
            let mut chunk = Vec::new();
            let mut bytes = 0;
            for (place, _) in early {
                let piece = self.piece(place)?;
                if chunk.len() == IMPORT_MAX || bytes + piece.bytes.len() > CHUNK_BYTES_MAX {
                    self.send(std::mem::take(&mut chunk)).await?;
                    bytes = 0;
                    progress.at(|| format!("{before} records wait for others, round {rounds}"));
                }
                bytes += piece.bytes.len();
                chunk.push(piece);
            }
            self.send(chunk).await?;
            if self.early.len() == before {
                return Ok(rounds);
            }
        }
    }

    fn piece(&mut self, place: Place) -> Result<Piece, Failure> {
        let mut bytes = vec![0; place.bytes as usize];
        let read =
            self.file.seek(SeekFrom::Start(place.offset)).and_then(|_| self.file.read_exact(&mut bytes));
        read.map_err(|error| Failure::new(Exit::Failed, format!("cannot read the export again: {error}")))?;
        Ok(Piece { offset: place.offset, bytes })
    }

    /// Sends records and waits until the node has them on disk; so the node says how fast this goes.
    async fn send(&mut self, chunk: Vec<Piece>) -> Result<(), Failure> {
        if chunk.is_empty() {
            return Ok(());
        }
        let bytes: Vec<&[u8]> = chunk.iter().map(|piece| &piece.bytes[..]).collect();
        let imported = self.client.import(&bytes).await?;
        if imported.records.len() != chunk.len() {
            let cause = format!("expected {} outcomes, found {}", chunk.len(), imported.records.len());
            return Err(Failure::new(Exit::Failed, cause));
        }
        self.sent += chunk.len() as u64;
        for (piece, record) in chunk.iter().zip(imported.records) {
            let place = u32::try_from(piece.bytes.len()).map(|bytes| Place { offset: piece.offset, bytes });
            match place {
                Ok(place) if record.outcome == ImportOutcome::Early && self.early.len() < EARLY_MAX => {
                    self.early.push((place, record));
                }
                Ok(_) | Err(_) => self.counts.add(&record),
            }
        }
        Ok(())
    }
}

/// Reads the whole file once, so that nothing is taken from one that is not whole; gives how many records it has.
async fn check(file: &File, shown: &str, network: &str) -> Result<u64, Failure> {
    let mut decoder = decoder(file, shown)?;
    if decoder.network().to_string() != network {
        let cause = format!("{shown} is of network {}, the node is in {network}", decoder.network());
        return Err(
            Failure::new(Exit::Failed, cause).hint("use the --home of a node in that network".to_owned())
        );
    }
    let mut count = 0_u64;
    while decoder.next().map_err(|error| refused(shown, &error))?.is_some() {
        count += 1;
        if count.is_multiple_of(1_024) {
            // Lets an interruption through.
            tokio::task::yield_now().await;
        }
    }
    Ok(count)
}

fn decoder<'a>(mut file: &'a File, shown: &str) -> Result<Decoder<BufReader<&'a File>>, Failure> {
    file.rewind().map_err(|error| unreadable(shown, &error))?;
    Decoder::new(BufReader::new(file)).map_err(|error| refused(shown, &error))
}

fn unreadable(shown: &str, error: &io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("cannot read {shown}: {error}"))
}

fn refused(shown: &str, error: &ExportError) -> Failure {
    let (exit, hint) = match error {
        ExportError::Io(_) => (Exit::Failed, None),
        ExportError::Newer(_) => {
            (Exit::Failed, Some("use the version of althing that wrote it, or a newer one".to_owned()))
        }
        ExportError::Malformed(_) => {
            (Exit::Failed, Some("name a file that `althing store export` wrote".to_owned()))
        }
        ExportError::Truncated(_) | ExportError::Damaged(_) => {
            (Exit::Invalid, Some("nothing was imported; take another copy, or export again".to_owned()))
        }
    };
    Failure::new(exit, format!("{shown}: {error}")).hint(hint)
}

/// The file; standard input is kept in a file without a name, because it is read more than once.
async fn open(path: &Path) -> Result<File, Failure> {
    if path != Path::new("-") {
        return File::open(path).map_err(|error| Failure::file("read", path, &error));
    }
    let spool = std::env::temp_dir().join(format!("althing-import-{}", std::process::id()));
    let mut options = OpenOptions::new();
    let made = options.read(true).write(true).create_new(true).mode(0o600).open(&spool);
    let file = made.map_err(|error| Failure::file("make", &spool, &error))?;
    std::fs::remove_file(&spool).map_err(|error| Failure::file("remove", &spool, &error))?;
    let mut to = file.try_clone().map_err(|error| unwritten(&spool, &error))?;
    let (send, copied) = tokio::sync::oneshot::channel();
    // A thread of its own: nobody waits for a read that does not end when the command is interrupted.
    std::thread::spawn(move || {
        let copied = io::copy(&mut io::stdin().lock(), &mut to).and_then(|_| to.flush());
        // The command may have been interrupted.
        let _ = send.send(copied);
    });
    let copied = copied.await.unwrap_or_else(|_| Err(io::Error::other("the copying thread ended")));
    copied.map_err(|error| unwritten(&spool, &error))?;
    Ok(file)
}

fn page(shown: &str, total: u64, rounds: u64, counts: &Counts) -> Result<Page, Failure> {
    let outcomes = [
        ImportOutcome::New,
        ImportOutcome::Known,
        ImportOutcome::Early,
        ImportOutcome::Unwanted,
        ImportOutcome::Wrong,
    ];
    let mut text = Text::default();
    text.line(&format!("{total} records in {shown}"));
    let mut rows = Vec::new();
    let mut lines = Vec::new();
    for ((kind, outcome), (count, causes)) in &counts.0 {
        rows.push(vec![kind.clone(), outcome.name().to_owned(), count.to_string()]);
        lines.extend(
            causes.iter().map(|(cause, count)| format!("{kind} {}: {count} × {cause}", outcome.name())),
        );
    }
    if !rows.is_empty() {
        text.table(&["KIND", "OUTCOME", "RECORDS"], &rows);
    }
    for line in &lines {
        text.line(line);
    }
    let mut document = json!({"schema": "althing.store-import/v1", "file": shown, "records": total});
    for outcome in outcomes {
        document[outcome.name()] = counts.of(outcome).into();
    }
    document["rounds"] = (rounds + 1).into();
    let kinds = counts.0.iter().map(|((kind, outcome), (count, causes))| {
        json!({"kind": kind, "outcome": outcome.name(), "records": count, "causes": causes})
    });
    document["kinds"] = kinds.collect();
    let page = Page::new(&document, text)?;
    if counts.of(ImportOutcome::Early) > 0 {
        note(
            "hint: some records depend on others that are neither here nor in the file; import again when they have come",
        );
    }
    if counts.of(ImportOutcome::Wrong) == 0 {
        return Ok(page);
    }
    note("error: some records are wrong: whoever wrote the file is not to be trusted");
    note("hint: what was taken in is valid by itself and stays");
    Ok(page.exit(Exit::Invalid))
}
