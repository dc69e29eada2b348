use std::fs;
use std::io;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// One process, told apart from any later one with the same pid by when it started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// The number.
    pub pid: u32,
    /// When it started, in clock ticks since the machine did (field 22 of `/proc/<pid>/stat`, proc(5)).
    pub started_ticks: u64,
    /// Which start of the machine that was.
    pub boot: String,
}

/// A signal that ends a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: please stop.
    Term,
    /// SIGKILL: stopped at once, as by a crash.
    Kill,
}

impl ProcessId {
    /// The process that has this pid now; `None` if there is none, or only the remains of one.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let started_ticks = started_ticks(&stat)?;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned();
        Some(Self { pid, started_ticks, boot })
    }

    /// Whether it still runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Sends it a signal. Says whether there was a process to get it; another one with the same pid never does.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn signal(&self, signal: Signal) -> io::Result<bool> {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else { return Ok(false) };
        let handle = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(handle) => handle,
            Err(Errno::SRCH) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        // The handle names whoever had the pid when it was opened; only now is it sure that this is the process meant.
        if !self.is_alive() {
            return Ok(false);
        }
        let signal = match signal {
            Signal::Term => rustix::process::Signal::TERM,
            Signal::Kill => rustix::process::Signal::KILL,
        };
        match pidfd_send_signal(&handle, signal) {
            Ok(()) => Ok(true),
            Err(Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// The start time of a process that has not ended. The name before it may hold spaces and parentheses.
fn started_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X" | "x") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn start_time_is_read_past_a_hostile_name() {
        let fields: String = (4..=21).map(|number| format!("{number} ")).collect();
        assert_eq!(started_ticks(&format!("7 (a) Z (b) S {fields}12345 0 0")), Some(12_345));
        assert_eq!(started_ticks(&format!("7 (a) Z {fields}12345 0 0")), None);
        assert_eq!(started_ticks("7 (a) S 1 2"), None);
    }

    #[test]
    fn a_reused_pid_is_not_hit() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let process = ProcessId::of(child.id()).unwrap();
        let earlier = ProcessId { started_ticks: process.started_ticks - 1, ..process.clone() };
        let other_boot = ProcessId { boot: "x".into(), ..process.clone() };
        assert!(!earlier.signal(Signal::Kill).unwrap() && !other_boot.signal(Signal::Kill).unwrap());
        assert!(process.is_alive() && !earlier.is_alive());
        assert!(process.signal(Signal::Kill).unwrap());
        child.wait().unwrap();
        assert!(!process.is_alive() && !process.signal(Signal::Kill).unwrap());
    }
}
