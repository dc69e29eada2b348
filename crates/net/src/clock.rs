use std::time::{Instant, SystemTime};

/// The monotonic clock: the one place in this crate that reads it.
#[allow(clippy::disallowed_methods, reason = "this crate is part of the shell, which owns the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The wall clock, for what people read.
#[allow(clippy::disallowed_methods, reason = "this crate is part of the shell, which owns the clock")]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}
