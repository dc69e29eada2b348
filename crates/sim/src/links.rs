/// How the simulated network and disks behave. Delays are drawn evenly between their bounds, in milliseconds; so
/// messages overtake each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Links {
    /// Of a thousand messages, how many are lost.
    pub loss_permille: u64,
    /// Of a thousand gossip messages, how many arrive twice.
    pub duplicate_permille: u64,
    /// Shortest and longest time that a message takes.
    pub delay_ms: (u64, u64),
    /// Shortest and longest time that a commit takes.
    pub commit_ms: (u64, u64),
    /// After how long a request counts as failed.
    pub request_ms_max: u64,
}

impl Default for Links {
    fn default() -> Self {
        Self {
            loss_permille: 0,
            duplicate_permille: 0,
            delay_ms: (5, 80),
            commit_ms: (1, 6),
            request_ms_max: 10_000,
        }
    }
}

impl Links {
    /// Loses `percent` of all messages, duplicates as many, and takes up to two seconds.
    #[must_use]
    pub fn lossy(percent: u64) -> Self {
        Self {
            loss_permille: 10 * percent,
            duplicate_permille: 10 * percent,
            delay_ms: (5, 2_000),
            commit_ms: (1, 40),
            ..Self::default()
        }
    }
}
