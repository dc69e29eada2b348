//! Files with shares.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use althing_gateway::api::rfc3339;
use althing_keystore::{Share, ShareError};
use zeroize::Zeroizing;

use super::super::failure::{Exit, Failure};

/// Most bytes of a file with shares: room for a whole set, with lines for people.
const FILE_BYTES_MAX: usize = 64 * 1_024;
/// Most shares that are read in one go.
const TEXTS_MAX: usize = 256;
/// What a share begins with.
const BEGINS: &str = "althing-share-";

/// A text that should be a share, and where it was found.
pub(super) struct Found {
    pub(super) place: String,
    pub(super) share: Result<Share, ShareError>,
}

/// Reads the shares in files, in the order given.
pub(super) fn read(files: &[PathBuf]) -> Result<Vec<Found>, Failure> {
    if files.iter().filter(|file| is_standard_input(file)).count() > 1 {
        return Err(Failure::new(Exit::Usage, "standard input (-) can be read once only"));
    }
    let mut found = Vec::new();
    for file in files {
        let (place, bytes) = if is_standard_input(file) {
            ("standard input".to_owned(), contents(io::stdin().lock()))
        } else {
            (file.display().to_string(), File::open(file).and_then(contents))
        };
        let bytes = bytes.map_err(|error| Failure::file("read the share", Path::new(&place), &error))?;
        if bytes.len() > FILE_BYTES_MAX {
            let cause = format!("{place} has more than {FILE_BYTES_MAX} bytes; it is no file with shares");
            return Err(Failure::new(Exit::Invalid, cause));
        }
        found.extend(shares(&place, &bytes));
        if found.len() > TEXTS_MAX {
            return Err(Failure::new(
                Exit::Usage,
                format!("expected at most {TEXTS_MAX} shares, found more"),
            )
            .hint("as many as the threshold are enough".to_owned()));
        }
    }
    Ok(found)
}

fn is_standard_input(file: &Path) -> bool {
    file == Path::new("-")
}

fn contents(from: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    // One allocation of the full size: a growing buffer would leave copies of a secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX + 1));
    from.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The shares of a file. One begins with its magic and goes on over the lines that follow, up to an empty one, one for
/// people (`#`) or the next share.
pub(super) fn shares(place: &str, bytes: &[u8]) -> Vec<Found> {
    let nothing = || vec![Found { place: place.to_owned(), share: Err(ShareError::NotAShare) }];
    let Ok(text) = std::str::from_utf8(bytes) else { return nothing() };
    let mut texts: Vec<(usize, Zeroizing<String>)> = Vec::new();
    let mut goes_on = false;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            goes_on = false;
        } else if goes_on && !line.starts_with(BEGINS) {
            texts.last_mut().expect("it began").1.push_str(line);
        } else {
            // No share is longer than its file, so it never grows.
            let mut text = Zeroizing::new(String::with_capacity(text.len()));
            text.push_str(line);
            texts.push((at + 1, text));
            goes_on = true;
        }
    }
    if texts.is_empty() {
        return nothing();
    }
    let alone = texts.len() == 1;
    texts
        .iter()
        .map(|(line, text)| Found {
            place: if alone { place.to_owned() } else { format!("{place}, line {line}") },
            share: Share::parse(text),
        })
        .collect()
}

/// What is written for one share: what it is, for whoever finds it years later, and the share.
pub(super) fn text(share: &Share) -> Zeroizing<String> {
    let deal = share.deal();
    let made = rfc3339(share.made());
    let mut text = Zeroizing::new(String::with_capacity(2_048));
    text.push_str(&format!(
        "# Share {} of {} of the {} of {}\n\
         # Set {}, split on {}. Any {} of its shares restore the key:\n\
         # althing key restore FILE FILE …\n",
        share.index(),
        deal.shares(),
        share.part(),
        share.agent(),
        share.set(),
        &made[..10],
        deal.threshold()
    ));
    text.push_str(&share.to_text());
    text.push('\n');
    text
}

/// Writes one file for each share, mode 0600, all of them or none.
pub(super) fn write(dir: &Path, shares: &[Share]) -> Result<Vec<PathBuf>, Failure> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(Failure::file("make", dir, &error));
        }
        Ok(()) | Err(_) => {}
    }
    let paths: Vec<PathBuf> = shares
        .iter()
        .map(|share| dir.join(format!("share-{}-of-{}.txt", share.index(), share.deal().shares())))
        .collect();
    for (at, (path, share)) in paths.iter().zip(shares).enumerate() {
        if let Err(error) = create(path, text(share).as_bytes()) {
            // One that exists is somebody else's, and not half written either.
            let mine = if error.kind() == ErrorKind::AlreadyExists { at } else { at + 1 };
            paths[..mine].iter().for_each(|path| drop(fs::remove_file(path)));
            let failure = Failure::file("write", path, &error);
            return Err(if error.kind() == ErrorKind::AlreadyExists {
                failure.hint("choose another directory with --out; no share was written".to_owned())
            } else {
                failure
            });
        }
    }
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| Failure::file("write", dir, &error))?;
    Ok(paths)
}

// Without a link into place: the file systems of USB sticks have none.
fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
