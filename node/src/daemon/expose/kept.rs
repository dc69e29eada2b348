//! What stays exposed over restarts: a file for each local name in `exposed/` of the home.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use althing_engine::{Refusal, RefusalKind};
use althing_gateway::api::ExposeRequest;
use serde::{Deserialize, Serialize};

use super::refuse;
use crate::daemon::home::write_whole;

/// Longest such file that is read.
const FILE_BYTES_MAX: u64 = 16 * 1_024;

/// A wish to expose an agent, for the first time or again.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) wish: ExposeRequest,
    /// The card that was exposed, if it is to be the same.
    pub(super) pin: Option<String>,
    pub(super) is_again: bool,
    /// What it takes the place of; if that is gone, nothing is exposed.
    pub(super) instead_of: Option<Instead>,
}

/// What an exposure takes the place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instead {
    /// An earlier one, by its number.
    Open(u64),
    /// One that waits.
    Waiting,
}

impl Kept {
    pub(super) fn first(wish: ExposeRequest) -> Self {
        Self { wish, pin: None, is_again: false, instead_of: None }
    }

    pub(super) fn again(file: File) -> Self {
        Self { wish: file.wish, pin: Some(file.pin), is_again: true, instead_of: Some(Instead::Waiting) }
    }
}

/// What such a file says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct File {
    #[serde(flatten)]
    pub(super) wish: ExposeRequest,
    pub(super) pin: String,
    /// Who it was, and what was behind it: shown while it is not exposed.
    #[serde(default)]
    pub(super) agent: Option<String>,
    #[serde(default)]
    pub(super) origin: Option<String>,
}

fn path(home: &Path, name: &str) -> PathBuf {
    home.join("exposed").join(format!("{name}.json"))
}

pub(super) fn write(home: &Path, name: &str, file: &File) -> Result<(), Refusal> {
    let failed = |error: &dyn std::fmt::Display| {
        refuse(RefusalKind::Internal, format!("{} cannot be kept: {error}", path(home, name).display()), None)
    };
    let dir = home.join("exposed");
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(|error| failed(&error))?;
    let json = serde_json::to_vec_pretty(file).map_err(|error| failed(&error))?;
    write_whole(&path(home, name), &json).map_err(|error| failed(&error))
}

pub(super) fn remove(home: &Path, name: &str) {
    match fs::remove_file(path(home, name)) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(name, %error, "it will be exposed again at the next start"),
    }
}

/// All that was to stay exposed. What cannot be read is reported and left alone.
pub(super) fn read_all(home: &Path) -> Vec<File> {
    let Ok(entries) = fs::read_dir(home.join("exposed")) else { return Vec::new() };
    let mut files = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let is_short = entry.metadata().is_ok_and(|file| file.is_file() && file.len() <= FILE_BYTES_MAX);
        let read = is_short.then(|| fs::read(&path).ok()).flatten();
        match read.as_deref().map(serde_json::from_slice) {
            Some(Ok(file)) => files.push(file),
            Some(Err(error)) => tracing::warn!(path = %path.display(), %error, "not exposed again"),
            None => tracing::warn!(path = %path.display(), "not exposed again: it cannot be read"),
        }
    }
    files
}
