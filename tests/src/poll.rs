use std::time::{Duration, Instant};

/// How long anything may take here.
const LIMIT: Duration = Duration::from_secs(60);
/// How long between two looks.
const INTERVAL: Duration = Duration::from_millis(25);

/// Looks until there is something.
///
/// # Panics
/// When that takes longer than a minute.
pub fn poll<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < LIMIT, "{what}: not within {LIMIT:?}");
        std::thread::sleep(INTERVAL);
    }
}
