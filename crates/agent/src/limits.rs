use std::time::Duration;

/// Longest body of a request, in bytes.
pub const REQUEST_BYTES_MAX: usize = 2 * 1_024 * 1_024;

/// Most parts of one message.
pub const PARTS_MAX: usize = 256;

/// Longest context id that a client may choose, in bytes.
pub(crate) const CONTEXT_BYTES_MAX: usize = 256;

/// What one message may weigh in memory, in bytes: much data in few bytes of JSON is refused.
pub(crate) const MESSAGE_WEIGHT_MAX: usize = 16 * 1_024 * 1_024;

/// Most tasks on one page of a list, as A2A has it.
pub(crate) const PAGE_MAX: usize = 100;

/// Tasks on a page when the client does not say, as A2A has it.
pub(crate) const PAGE_DEFAULT: usize = 50;

/// What the tasks of one page may weigh, in bytes; a page with less than was asked for says how to go on.
pub(crate) const PAGE_WEIGHT_MAX: usize = 4 * 1_024 * 1_024;

/// Bounds of a built-in agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Commands at once; a message over it is refused as busy, never queued.
    pub running_max: usize,
    /// How long one command may take; then it is killed, and its task has failed.
    pub run_within: Duration,
    /// Longest text of one message to a command, in bytes; more is refused.
    pub input_bytes_max: usize,
    /// Most that a command may write, in bytes; then it is killed, and its task has failed.
    pub output_bytes_max: usize,
    /// Tasks that are kept. The one that ended first makes room; where none has ended, a message is refused as busy.
    pub tasks_max: usize,
    /// What the tasks that have ended may weigh together, in bytes; those that ended first go.
    pub tasks_weight_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            running_max: 8,
            run_within: Duration::from_secs(60),
            input_bytes_max: 1_024 * 1_024,
            output_bytes_max: 1_024 * 1_024,
            tasks_max: 1_000,
            tasks_weight_max: 64 * 1_024 * 1_024,
        }
    }
}
