//! What the operating system asks of a node.

use std::fs::{self, File};
use std::io;

use althing_telemetry::LogFile;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

/// SIGINT and SIGTERM stop the node. SIGHUP does too if it means that the terminal has gone; a node without one opens its
/// log again.
#[derive(Debug)]
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    hangup_stops: bool,
}

impl Signals {
    /// Catches them from now on; before, they end the process at once.
    pub(super) fn catch() -> io::Result<Self> {
        let hangup_stops = File::open("/dev/tty").is_ok() && !is_ignored(SignalKind::hangup());
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            hangup_stops,
        })
    }

    /// Waits until the node is asked to stop, here or by its API.
    pub(super) async fn stop(&mut self, shutdown: &Notify, log: &LogFile) {
        loop {
            let why = tokio::select! {
                () = shutdown.notified() => "a client asked for it",
                _ = self.interrupt.recv() => "SIGINT",
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.hangup.recv() => {
                    if !self.hangup_stops {
                        match log.reopen() {
                            Ok(()) => tracing::info!("log opened again"),
                            Err(error) => tracing::warn!(%error, "log not opened again"),
                        }
                        continue;
                    }
                    "SIGHUP"
                }
            };
            tracing::info!(why, "stopping");
            return;
        }
    }

    /// Ends the process at once when it is interrupted once more. What was acknowledged is on disk already.
    pub(super) async fn kill_if_interrupted(&mut self) {
        self.interrupt.recv().await;
        tracing::warn!("interrupted again: ending at once");
        // Not by exit(3), which would run the database's destructors under its threads.
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        std::future::pending().await
    }
}

/// Whether whoever started this process had it ignore a signal, as nohup(1) does.
fn is_ignored(kind: SignalKind) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignored(&status, kind.as_raw_value())
}

/// `SigIgn` of proc(5): a mask in hex, signal 1 the lowest bit.
fn ignored(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    mask >> (signal - 1) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_the_mask() {
        let status = "Name:\tx\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000001001\n";
        assert!(ignored(status, 1) && ignored(status, 13) && !ignored(status, 2));
        assert!(!ignored("", 1));
    }
}
