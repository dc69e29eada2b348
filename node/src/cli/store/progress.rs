use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often the line is written.
const EVERY: Duration = Duration::from_millis(200);

/// A line on standard error that says how far long work is; nothing if that is no terminal. It goes when dropped.
pub(super) struct Progress {
    what: &'static str,
    shown: bool,
    is_terminal: bool,
    last: Instant,
}

impl Progress {
    pub(super) fn new(what: &'static str) -> Self {
        Self { what, shown: false, is_terminal: io::stderr().is_terminal(), last: Instant::now() }
    }

    /// Says how far it is, not too often.
    pub(super) fn at(&mut self, how_far: impl FnOnce() -> String) {
        if self.is_terminal && self.last.elapsed() >= EVERY {
            self.last = Instant::now();
            self.shown = true;
            // Nobody may be there to read it.
            let _ = write!(io::stderr().lock(), "\r\u{1b}[K{}: {}", self.what, how_far());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(io::stderr().lock(), "\r\u{1b}[K");
        }
    }
}
