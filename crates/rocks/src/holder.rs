use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use crate::lock;

/// Longest part of a command line that is told, in characters.
const COMMAND_CHARS_MAX: usize = 200;

/// The process that has a data directory open, as far as `/proc` tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its id.
    pub pid: u32,
    /// Its command line.
    pub command: Option<String>,
    /// For how long it has had the directory.
    pub held: Option<Duration>,
}

impl Holder {
    /// Who has this directory open now. Takes no lock, so that it never stands in the way of a node that starts.
    #[must_use]
    pub fn of(dir: &Path) -> Option<Self> {
        let path = dir.join(lock::LOCK_FILE);
        let holder = Self::named(&path, fs::read_to_string(&path).ok()?.trim())?;
        // The id may be left over from a process that was killed, and belong to another one by now.
        let lock = fs::metadata(&path).ok()?;
        let open = fs::read_dir(format!("/proc/{}/fd", holder.pid)).ok()?.flatten();
        let mut open = open.filter_map(|entry| fs::metadata(entry.path()).ok());
        open.any(|file| (file.dev(), file.ino()) == (lock.dev(), lock.ino())).then_some(holder)
    }

    /// The process of the id that the lock file holds.
    pub(crate) fn named(lock: &Path, pid: &str) -> Option<Self> {
        let pid: u32 = pid.parse().ok()?;
        let command = fs::read(format!("/proc/{pid}/cmdline")).ok().map(|words| {
            let text = String::from_utf8_lossy(&words).replace('\0', " ");
            text.trim().chars().take(COMMAND_CHARS_MAX).collect::<String>()
        });
        // The lock file is written when it is taken, and never again.
        let taken = fs::metadata(lock).and_then(|meta| meta.modified()).ok();
        let held = taken.and_then(|taken| taken.elapsed().ok());
        Some(Self { pid, command: command.filter(|text| !text.is_empty()), held })
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.pid)?;
        if let Some(command) = &self.command {
            write!(f, " (`{command}`)")?;
        }
        let Some(held) = self.held.map(|held| held.as_secs()) else { return Ok(()) };
        match held {
            0..=59 => write!(f, " for {held} s"),
            60..=3_599 => write!(f, " for {} min", held / 60),
            3_600..=172_799 => write!(f, " for {} h", held / 3_600),
            _ => write!(f, " for {} days", held / 86_400),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::Lock;

    #[test]
    fn the_holder_is_known_as_long_as_it_holds() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Holder::of(dir.path()), None);
        let lock = Lock::take(dir.path()).unwrap();
        let holder = Holder::of(dir.path()).unwrap();
        assert_eq!(holder.pid, std::process::id());
        assert!(holder.command.is_some() && holder.held < Some(Duration::from_secs(60)), "{holder:?}");
        drop(lock);
        assert_eq!(Holder::of(dir.path()), None, "the file still names this process, which does not hold it");
    }

    #[test]
    fn time_is_told_in_one_unit() {
        let told = |secs| {
            Holder { pid: 7, command: Some("a b".into()), held: Some(Duration::from_secs(secs)) }.to_string()
        };
        assert_eq!(told(5), "process 7 (`a b`) for 5 s");
        assert!(
            told(90).ends_with(" 1 min")
                && told(7_200).ends_with(" 2 h")
                && told(864_000).ends_with(" 10 days")
        );
    }
}
