use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::evidence::Side;

/// How a call ended, for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The response was read to its end.
    Answered,
    /// It was not taken; nothing of it was delivered.
    Refused,
    /// No response began in time.
    Timeout,
    /// It broke off, or whoever called gave it up.
    Broken,
}

impl Ending {
    /// All.
    pub const ALL: [Self; 4] = [Self::Answered, Self::Refused, Self::Timeout, Self::Broken];
}

/// Counts calls. Clones share everything.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<[Counts; 2]>);

#[derive(Debug, Default)]
struct Counts {
    under_way: AtomicUsize,
    ended: [AtomicU64; Ending::ALL.len()],
}

impl Meter {
    /// Calls under way.
    #[must_use]
    pub fn under_way(&self, side: Side) -> usize {
        self.0[side as usize].under_way.load(Ordering::Relaxed)
    }

    /// Calls that ended so.
    #[must_use]
    pub fn ended(&self, side: Side, how: Ending) -> u64 {
        self.0[side as usize].ended[how as usize].load(Ordering::Relaxed)
    }

    /// One more call is under way, until what is given is dropped.
    pub(crate) fn begin(&self, side: Side) -> Metered {
        self.0[side as usize].under_way.fetch_add(1, Ordering::Relaxed);
        Metered { meter: self.clone(), side, ending: AtomicUsize::new(Ending::Broken as usize) }
    }
}

/// A call that is counted. It has broken off unless something else is said before it is dropped.
#[derive(Debug)]
pub(crate) struct Metered {
    meter: Meter,
    side: Side,
    ending: AtomicUsize,
}

impl Metered {
    pub(crate) fn ends(&self, how: Ending) {
        self.ending.store(how as usize, Ordering::Relaxed);
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        let counts = &self.meter.0[self.side as usize];
        counts.under_way.fetch_sub(1, Ordering::Relaxed);
        counts.ended[self.ending.load(Ordering::Relaxed)].fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_while_they_last_and_as_they_end() {
        let meter = Meter::default();
        let (first, second) = (meter.begin(Side::Caller), meter.begin(Side::Caller));
        assert_eq!((meter.under_way(Side::Caller), meter.under_way(Side::Callee)), (2, 0));
        first.ends(Ending::Answered);
        drop((first, second));
        assert_eq!(meter.under_way(Side::Caller), 0);
        let ended = Ending::ALL.map(|how| meter.ended(Side::Caller, how));
        assert_eq!(ended, [1, 0, 0, 1], "one was answered, and one broke off");
    }
}
