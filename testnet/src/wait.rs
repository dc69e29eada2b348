use std::time::{Duration, Instant};

use crate::TestnetError;

/// How long between two looks.
pub(crate) const INTERVAL: Duration = Duration::from_millis(25);

/// What one look at something that takes time has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look<T> {
    /// It is done.
    Done(T),
    /// It is not: what is missing, for the error if time runs out.
    NotYet(String),
}

/// Looks until it is done, and once more when the time is up.
///
/// # Errors
/// What a look fails with, or [`TestnetError::TimedOut`] naming the node, `what`, and what was missing at the last look.
pub async fn until<T>(
    number: Option<usize>,
    what: &str,
    limit: Duration,
    mut look: impl AsyncFnMut() -> Result<Look<T>, TestnetError>,
) -> Result<T, TestnetError> {
    let start = Instant::now();
    loop {
        let last = start.elapsed() >= limit;
        match look().await? {
            Look::Done(value) => return Ok(value),
            Look::NotYet(missing) if last => {
                return Err(TestnetError::TimedOut { number, what: what.to_owned(), limit, missing });
            }
            Look::NotYet(_) => tokio::time::sleep(INTERVAL).await,
        }
    }
}
