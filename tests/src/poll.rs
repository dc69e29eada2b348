use std::time::{Duration, Instant};

/// How long anything may take here.
const LIMIT: Duration = Duration::from_secs(60);
/// How long between two looks.
const INTERVAL: Duration = Duration::from_millis(25);

/// Looks until there is something.
///
/// # Panics
/// When that takes longer than a minute.
pub fn poll<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    poll_or_say(what, look, String::new)
}

/// Looks until there is something, and says what was there instead if that never comes.
///
/// # Panics
/// When that takes longer than a minute.
pub fn poll_or_say<T>(what: &str, mut look: impl FnMut() -> Option<T>, say: impl FnOnce() -> String) -> T {
    let start = Instant::now();
    while start.elapsed() < LIMIT {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(INTERVAL);
    }
    panic!("{what}: not within {LIMIT:?} {}", say());
}
