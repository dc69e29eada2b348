/// How far a call came before it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Progress {
    /// It was refused, or no stream came about: nothing of the request reached the agent.
    Undelivered,
    /// The request, or a part of it, may have reached the agent.
    Delivered,
    /// A part of the answer was passed on to whoever waits for it.
    Answering,
}

/// Whether an agent that gets a request twice does no more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Repeat {
    /// Nothing says so.
    Unsafe,
    /// The request reads only, or carries a message id, by which an agent knows a message that it has.
    Idempotent,
}

/// Whether a call that failed may be made again, here or elsewhere: nothing was delivered, or it is idempotent and nobody
/// has seen a part of its answer. Agents are free to ignore message ids, and two agents do not share theirs, so a call
/// that is to happen at most once must not be taken for idempotent.
#[must_use]
pub fn may_retry(progress: Progress, repeat: Repeat) -> bool {
    match (progress, repeat) {
        (Progress::Undelivered, _) | (Progress::Delivered, Repeat::Idempotent) => true,
        (Progress::Delivered, Repeat::Unsafe) | (Progress::Answering, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_made_again_only_while_that_is_safe() {
        assert!(may_retry(Progress::Undelivered, Repeat::Unsafe));
        assert!(may_retry(Progress::Undelivered, Repeat::Idempotent));
        assert!(may_retry(Progress::Delivered, Repeat::Idempotent));
        assert!(!may_retry(Progress::Delivered, Repeat::Unsafe));
        assert!(!may_retry(Progress::Answering, Repeat::Idempotent));
        assert!(!may_retry(Progress::Answering, Repeat::Unsafe));
    }
}
