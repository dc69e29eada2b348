use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use althing_gateway::Client;
use althing_gateway::api::{Peer, Reach, Status};
use althing_rocks::{CheckError, Holder};
use rustix::fs::{StatVfsMountFlags, statvfs};

use super::super::failure::{Exit, Failure};
use super::super::session::Session;
use crate::daemon;
use crate::settings::Settings;

/// Files whose modes are looked at.
const FILES_MAX: usize = 1_000;

/// What was gathered, to be judged.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) home: PathBuf,
    /// How others are told of the home: ` --home DIR`, or nothing.
    pub(super) home_flag: String,
    /// Why the settings cannot be read, if they cannot.
    pub(super) settings: Result<(), String>,
    /// This program's version.
    pub(super) version: String,
    pub(super) node: Option<Running>,
    /// Why there is no node to ask, unless none runs.
    pub(super) unreachable: Option<String>,
    pub(super) disk: Result<Disk, String>,
    pub(super) store: Store,
    /// How many files the node, or one that is started here, may have open, and how many it may need.
    pub(super) files: Files,
    /// What lies in the home, and the modes of it that let others in.
    pub(super) open_modes: Vec<(PathBuf, u32)>,
}

/// A node that answers.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) status: Status,
    pub(super) reach: Reach,
    pub(super) peers: Vec<Peer>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Disk {
    pub(super) free: u64,
    pub(super) read_only: bool,
}

/// The database and its vote guard, as far as they can be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Store {
    /// The node has it; what it says is in its status.
    InUse,
    /// There is none yet.
    None,
    /// It was read from end to end.
    Read { damage: Option<String>, guard: String, trusted: bool },
    /// It cannot be opened.
    Unreadable(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Files {
    pub(super) allowed: Option<u64>,
    pub(super) needed: u64,
}

impl Facts {
    pub(super) async fn gather(
        session: &Session,
        settings: Result<Settings, Failure>,
    ) -> Result<Self, Failure> {
        let home = session.home()?.to_owned();
        let (node, unreachable) = match session.client().await {
            Ok(client) => match ask(&client).await {
                Ok(running) => (Some(running), None),
                Err(failure) => (None, Some(failure.cause().to_owned())),
            },
            Err(failure) => {
                let held = Holder::of(&daemon::store_dir(&home));
                let held = held.map(|holder| format!("{holder} has the store open and does not answer"));
                (None, if failure.exit == Exit::Down { held } else { Some(failure.cause().to_owned()) })
            }
        };
        let store = match (&node, &unreachable) {
            (None, None) => store(&home),
            _ => Store::InUse,
        };
        Ok(Self {
            disk: disk(&home),
            open_modes: open_modes(&home),
            files: Files {
                allowed: files_allowed(node.as_ref().map(|node| node.status.pid)),
                needed: daemon::files_needed(),
            },
            home_flag: session.home_flag().to_owned(),
            settings: settings.map(drop).map_err(|failure| failure.cause().to_owned()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            home,
            node,
            unreachable,
            store,
        })
    }
}

async fn ask(client: &Client) -> Result<Running, Failure> {
    let (status, reach) = (client.status().await?, client.reach().await?);
    Ok(Running { status, reach, peers: client.peers().await?.peers })
}

fn disk(home: &Path) -> Result<Disk, String> {
    // A home that is not there yet will lie on the disk of what is there above it.
    let mut at = home;
    while !at.exists() {
        at = at.parent().ok_or_else(|| format!("{} does not exist", home.display()))?;
    }
    let at = if at.as_os_str().is_empty() { Path::new(".") } else { at };
    let found = statvfs(at).map_err(|error| format!("{}: {error}", at.display()))?;
    Ok(Disk {
        free: found.f_bavail.saturating_mul(found.f_frsize),
        read_only: found.f_flag.contains(StatVfsMountFlags::RDONLY),
    })
}

fn store(home: &Path) -> Store {
    match althing_rocks::check(&daemon::store_dir(home)) {
        Ok(report) => Store::Read {
            damage: report.damage.as_ref().map(|damage| match &damage.file {
                Some(file) => format!("{file}: {}", damage.cause),
                None => damage.cause.clone(),
            }),
            trusted: report.guard.is_trusted(),
            guard: report.guard.to_string(),
        },
        Err(CheckError::NoDatabase(_)) => Store::None,
        Err(error @ CheckError::Open(_)) => Store::Unreadable(error.to_string()),
    }
}

/// The limit of a process, or of this one.
fn files_allowed(pid: Option<u32>) -> Option<u64> {
    let process = pid.map_or("self".to_owned(), |pid| pid.to_string());
    let limits = fs::read_to_string(format!("/proc/{process}/limits")).ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let mut words = line.split_whitespace();
    let (soft, hard) = (words.next()?, words.next()?);
    // A node that starts raises its limit as far as it may.
    let counts = if pid.is_some() { soft } else { hard };
    if counts == "unlimited" { Some(u64::MAX) } else { counts.parse().ok() }
}

/// What in a home lets others in: its own directory, keys and token are for its owner alone, and a store that others can
/// write is nobody's.
fn open_modes(home: &Path) -> Vec<(PathBuf, u32)> {
    let mut found = Vec::new();
    let mut look = |path: &Path, forbidden: u32| {
        let mode = fs::symlink_metadata(path).map(|meta| meta.mode() & 0o7777);
        if let Ok(mode) = mode
            && mode & forbidden != 0
        {
            found.push((path.to_owned(), mode));
        }
    };
    look(home, 0o077);
    for file in ["api.token", "store", "store/safety.0", "store/safety.1"] {
        look(&home.join(file), if file == "store" { 0o022 } else { 0o077 });
    }
    let keys = home.join("keys");
    look(&keys, 0o077);
    let inside = |dir: &Path| {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).take(FILES_MAX).collect::<Vec<_>>()
    };
    for path in inside(&keys).into_iter().chain(inside(&keys.join("agents"))) {
        look(&path, 0o077);
    }
    found
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_lets_others_in_is_found_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        let agents = home.join("keys/agents");
        fs::create_dir_all(&agents).unwrap();
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        for dir in [&home, &home.join("keys"), &agents] {
            mode(dir, 0o700);
        }
        let (key, token) = (agents.join("default.key"), home.join("api.token"));
        for file in [&key, &token] {
            fs::write(file, "x").unwrap();
            mode(file, 0o600);
        }
        assert_eq!(open_modes(&home), []);
        mode(&key, 0o640);
        mode(&home, 0o750);
        assert_eq!(open_modes(&home), [(home.clone(), 0o750), (key, 0o640)]);
    }

    #[test]
    fn this_process_has_limits_and_a_disk() {
        assert!(files_allowed(None).is_some_and(|allowed| allowed > 0));
        assert!(files_allowed(Some(std::process::id())).is_some());
        let dir = tempfile::tempdir().unwrap();
        let not_yet = dir.path().join("not/there/yet");
        assert!(disk(&not_yet).unwrap().free > 0);
    }
}
