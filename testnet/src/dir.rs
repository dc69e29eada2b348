use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::TestnetError;

/// What marks a directory as a testnet's; locked while a command works on it.
const LOCK: &str = "testnet.lock";

/// A testnet's directory, locked against other commands.
#[derive(Debug)]
pub(crate) struct Dir {
    path: PathBuf,
    _lock: File,
}

impl Dir {
    /// Takes a directory for a testnet: one that does not exist, is empty, or was a testnet's before.
    pub(crate) fn take(path: &Path) -> Result<Self, TestnetError> {
        let failed = |what| TestnetError::io(what, path);
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("make the directory"))?;
        if !path.join(LOCK).exists() {
            let mut entries = fs::read_dir(path).map_err(failed("read"))?;
            if entries.next().is_some() {
                return Err(TestnetError::DirInUse { dir: path.to_owned() });
            }
        }
        Self::lock(path, true)
    }

    /// Opens the directory of a testnet that was started before.
    pub(crate) fn open(path: &Path) -> Result<Self, TestnetError> {
        Self::lock(path, false)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path.join("testnet.json")
    }

    pub(crate) fn genesis(&self) -> PathBuf {
        self.path.join("genesis.cbor")
    }

    pub(crate) fn home(&self, number: usize) -> PathBuf {
        self.path.join(format!("node-{number}"))
    }

    pub(crate) fn log(&self, number: usize) -> PathBuf {
        self.path.join("logs").join(format!("node-{number}.log"))
    }

    /// Makes the directory of logs.
    pub(crate) fn make_logs(&self) -> Result<(), TestnetError> {
        let logs = self.path.join("logs");
        fs::create_dir_all(&logs).map_err(TestnetError::io("make the directory", &logs))
    }

    /// Removes what the nodes of a stopped testnet have stored; logs stay.
    pub(crate) fn clear(&self) -> Result<(), TestnetError> {
        let entries = fs::read_dir(&self.path).map_err(TestnetError::io("read", &self.path))?;
        for entry in entries.flatten() {
            let name = entry.file_name();
            let is_home = name.to_str().and_then(|name| name.strip_prefix("node-")).is_some_and(is_number);
            if is_home {
                fs::remove_dir_all(entry.path()).map_err(TestnetError::io("remove", &entry.path()))?;
            }
        }
        for file in [self.genesis(), self.state()] {
            match fs::remove_file(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(TestnetError::io("remove", &file)(error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    fn lock(path: &Path, create: bool) -> Result<Self, TestnetError> {
        let file = path.join(LOCK);
        let opened =
            OpenOptions::new().read(true).write(true).create(create).truncate(false).mode(0o600).open(&file);
        let lock = match opened {
            Ok(lock) => lock,
            Err(error) if !create && error.kind() == io::ErrorKind::NotFound => {
                return Err(TestnetError::NotRunning { dir: path.to_owned() });
            }
            Err(error) => return Err(TestnetError::io("open", &file)(error)),
        };
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(TestnetError::Locked { dir: path.to_owned() }),
            Err(error) => return Err(TestnetError::io("lock", &file)(error.into())),
        }
        let path = fs::canonicalize(path).map_err(TestnetError::io("find", path))?;
        Ok(Self { path, _lock: lock })
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_with_other_files_is_not_touched() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("node-1")).unwrap();
        assert!(matches!(Dir::take(home.path()), Err(TestnetError::DirInUse { .. })));
        assert!(matches!(Dir::open(home.path()), Err(TestnetError::NotRunning { .. })));
        assert!(home.path().join("node-1").exists());
    }

    #[test]
    fn one_command_at_a_time() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("net");
        let dir = Dir::take(&path).unwrap();
        assert!(matches!(Dir::open(&path), Err(TestnetError::Locked { .. })));
        drop(dir);
        assert!(Dir::open(&path).is_ok());
    }

    #[test]
    fn clearing_keeps_logs_and_what_is_not_a_node() {
        let home = tempfile::tempdir().unwrap();
        let dir = Dir::take(&home.path().join("net")).unwrap();
        dir.make_logs().unwrap();
        for name in ["node-1", "node-12", "node-x", "mine"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        fs::write(dir.genesis(), b"").unwrap();
        dir.clear().unwrap();
        let mut left: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["logs", "mine", "node-x", "testnet.lock"]);
    }
}
