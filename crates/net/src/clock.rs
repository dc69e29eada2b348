use std::time::{Instant, SystemTime};

/// The monotonic clock: the one place in this crate that reads it.
#[expect(clippy::disallowed_methods, reason = "this crate is part of the shell, which owns the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The wall clock, for what people read.
#[expect(clippy::disallowed_methods, reason = "this crate is part of the shell, which owns the clock")]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}
