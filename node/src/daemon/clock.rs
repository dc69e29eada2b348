use std::time::{Duration, SystemTime, UNIX_EPOCH};

use althing_engine::Now;
use althing_record::Millis;

/// The two clocks of the shell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    start: tokio::time::Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { start: tokio::time::Instant::now() }
    }

    #[expect(clippy::disallowed_methods, reason = "the shell reads the clocks for the engine")]
    pub(super) fn now(self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { wall: Millis(millis(wall)), ticks: millis(self.start.elapsed()) }
    }

    pub(super) fn at(self, ticks: u64) -> tokio::time::Instant {
        self.start + Duration::from_millis(ticks)
    }
}

/// A time in milliseconds.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
