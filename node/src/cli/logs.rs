//! The log in the home: lines as they were written, also those of earlier starts.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use althing_telemetry::{LogFile, Rotation};
use rustix::event::{PollFd, PollFlags};
use serde_json::json;

use super::failure::{Exit, Failure};
use super::page::{Page, Screen, Text, print};
use super::session::Session;
use crate::daemon;

/// How long between two looks for new lines.
const INTERVAL: Duration = Duration::from_millis(100);
/// How much is copied at once.
const COPY_BYTES: usize = 64 << 10;
/// Longest line that becomes one document; a longer one becomes several.
const LINE_BYTES_MAX: usize = 1 << 20;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  althing logs -n 20
  althing logs --follow
  althing logs --follow --lines 0 | grep WARN
  althing logs --follow --json | jq -r .line

With --json --follow prints a document for each line.

A node writes its log to node.log in its home and, at 10 MiB, moves it to node.log.1; three files are kept.")]
pub(crate) struct Args {
    /// Go on with lines as they come, also after a restart of the node
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// How many of the last lines to show
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
    pub(crate) lines: usize,
}

pub(crate) fn logs(args: &Args, session: &Session, screen: Screen) -> Result<Page, Failure> {
    let path = daemon::log_file(session.home()?);
    let failed = |error: io::Error| Failure::file("read", &path, &error);
    let there = |age| LogFile::path(&path, age).try_exists();
    let mut absent = true;
    for age in 0..Rotation::default().files_max {
        absent &= !there(age).map_err(failed)?;
    }
    if absent && !(args.follow && session.home()?.is_dir()) {
        let hint = format!("`althing up --home {}` makes one", session.home()?.display());
        return Err(Failure::new(Exit::Failed, format!("no log at {}", path.display())).hint(hint));
    }
    let (lines, current) = last_lines(&path, args.lines).map_err(failed)?;
    if !args.follow {
        let text: Vec<_> =
            lines.iter().map(|line| String::from_utf8_lossy(line).trim_end().to_owned()).collect();
        let document = json!({"schema": "althing.logs/v1", "file": path, "lines": text});
        return Ok(Page::new(&document, Text::default())?.raw(lines.into_iter().flatten().collect()));
    }
    let mut out = Printer { json: screen.json, begun: Vec::new() };
    let shown = lines.iter().try_for_each(|line| out.print(line));
    let followed = match shown {
        Ok(()) => session.block_on(async { Ok(follow(&path, current, &mut out).await) })?,
        Err(error) => Err(error),
    };
    match followed {
        // Whoever read this has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Page::nothing()),
        Err(error) => Err(failed(error)),
        Ok(()) => Ok(Page::nothing()),
    }
}

/// The last lines of all files, and the newest file, read to its end.
fn last_lines(path: &Path, count: usize) -> io::Result<(VecDeque<Vec<u8>>, Option<File>)> {
    let mut lines = VecDeque::new();
    let mut current = None;
    for age in (0..Rotation::default().files_max).rev() {
        let Some(file) = open(&LogFile::path(path, age))? else { continue };
        let mut reader = BufReader::new(file);
        loop {
            let mut line = Vec::new();
            if reader.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            lines.push_back(line);
            if lines.len() > count {
                lines.pop_front();
            }
        }
        // All that was buffered has been taken.
        current = (age == 0).then(|| reader.into_inner());
    }
    Ok((lines, current))
}

/// Prints what is added, from one file to the next.
async fn follow(path: &Path, mut current: Option<File>, out: &mut Printer) -> io::Result<()> {
    loop {
        // Looked at before reading: what is in the old file once it has been moved away is all that it will ever get.
        let next = next(path, current.as_ref())?;
        if let Some(file) = &mut current {
            copy(file, out)?;
        }
        match next {
            Some(file) => {
                out.end_line()?;
                current = Some(file);
            }
            None if reader_left() => return Ok(()),
            None => tokio::time::sleep(INTERVAL).await,
        }
    }
}

/// The file after this one, if this one is no longer the newest.
fn next(path: &Path, current: Option<&File>) -> io::Result<Option<File>> {
    let ages = Rotation::default().files_max;
    let Some(current) = current else { return open(path) };
    let known = current.metadata()?;
    for age in 0..ages {
        let Some(file) = open(&LogFile::path(path, age))? else { continue };
        let found = file.metadata()?;
        if (found.dev(), found.ino()) == (known.dev(), known.ino()) {
            return if age == 0 { Ok(None) } else { open(&LogFile::path(path, age - 1)) };
        }
    }
    // It has gone: what is left begins with the oldest.
    let oldest: Vec<PathBuf> = (0..ages).rev().map(|age| LogFile::path(path, age)).collect();
    oldest.iter().find_map(|path| open(path).transpose()).transpose()
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Prints what is read: as it is, or line by line in documents.
struct Printer {
    json: bool,
    /// The beginning of a line whose end is not there yet.
    begun: Vec<u8>,
}

impl Printer {
    fn print(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.json {
            return print(bytes);
        }
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.begun.extend(piece);
            if piece.ends_with(b"\n") || self.begun.len() > LINE_BYTES_MAX {
                self.end_line()?;
            }
        }
        Ok(())
    }

    /// Prints a line of which no more comes.
    fn end_line(&mut self) -> io::Result<()> {
        if self.begun.is_empty() {
            return Ok(());
        }
        let line = String::from_utf8_lossy(&self.begun);
        let document = json!({"schema": "althing.log-line/v1", "line": line.trim_end()});
        self.begun.clear();
        print(format!("{document}\n").as_bytes())
    }
}

fn copy(file: &mut File, out: &mut Printer) -> io::Result<()> {
    let mut bytes = vec![0; COPY_BYTES];
    loop {
        match file.read(&mut bytes)? {
            0 => return Ok(()),
            length => out.print(&bytes[..length])?,
        }
    }
}

/// Whether nobody can read standard output any more; a quiet log would never find out by writing.
fn reader_left() -> bool {
    let out = io::stdout();
    let mut fds = [PollFd::new(&out, PollFlags::empty())];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut fds, Some(&now)).is_ok_and(|_| fds[0].revents().contains(PollFlags::ERR))
}
