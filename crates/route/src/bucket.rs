use crate::Ticks;

/// How often something may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How often a second in the long run; 0: never beyond the burst.
    pub per_second: u32,
    /// How often at once.
    pub burst: u32,
}

/// Tokens that come back with time: one that is new is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// In thousandths of a token: what a rate of one a second brings in a millisecond.
    level: u64,
    at: Ticks,
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub fn full(rate: Rate, now: Ticks) -> Self {
        Self { level: capacity(rate), at: now }
    }

    /// Takes `tokens`, all or none.
    ///
    /// # Errors
    /// With the milliseconds after which they will be there; `u64::MAX` if they never will.
    pub fn take(&mut self, tokens: u32, rate: Rate, now: Ticks) -> Result<(), u64> {
        self.refill(rate, now);
        let wanted = u64::from(tokens) * 1_000;
        if self.level >= wanted {
            self.level -= wanted;
            return Ok(());
        }
        if wanted > capacity(rate) || rate.per_second == 0 {
            return Err(u64::MAX);
        }
        Err((wanted - self.level).div_ceil(u64::from(rate.per_second)))
    }

    /// Brings back what time brings. A clock that went back brings nothing.
    fn refill(&mut self, rate: Rate, now: Ticks) {
        let brought = now.since(self.at).saturating_mul(u64::from(rate.per_second));
        self.level = self.level.saturating_add(brought).min(capacity(rate));
        self.at = self.at.max(now);
    }
}

fn capacity(rate: Rate) -> u64 {
    u64::from(rate.burst) * 1_000
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let rate = Rate { per_second: 10, burst: 3 };
        let mut bucket = Bucket::full(rate, Ticks(1_000));
        for _ in 0..3 {
            assert_eq!(bucket.take(1, rate, Ticks(1_000)), Ok(()));
        }
        assert_eq!(bucket.take(1, rate, Ticks(1_000)), Err(100));
        assert_eq!(bucket.take(1, rate, Ticks(1_099)), Err(1));
        assert_eq!(bucket.take(1, rate, Ticks(1_100)), Ok(()));
        assert_eq!(bucket.take(1, rate, Ticks(500)), Err(100), "a clock that went back brings nothing");
        assert_eq!(bucket.take(4, rate, Ticks(9_000)), Err(u64::MAX), "more than the burst never passes");
        assert_eq!(bucket.take(3, rate, Ticks(9_000)), Ok(()));
        let never = Rate { per_second: 0, burst: 1 };
        let mut bucket = Bucket::full(never, Ticks(0));
        assert_eq!(bucket.take(1, never, Ticks(0)), Ok(()));
        assert_eq!(bucket.take(1, never, Ticks(u64::MAX)), Err(u64::MAX));
    }

    proptest! {
        #[test]
        fn no_more_passes_than_the_burst_and_what_time_brings(
            per_second in 0_u32..5_000,
            burst in 0_u32..5_000,
            steps in prop::collection::vec((0_u64..2_000, 1_u32..20), 1..200),
        ) {
            let rate = Rate { per_second, burst };
            let (mut bucket, mut now, mut taken) = (Bucket::full(rate, Ticks(0)), Ticks(0), 0_u64);
            for (ms, tokens) in steps {
                now = now.plus(ms);
                match bucket.take(tokens, rate, now) {
                    Ok(()) => taken += u64::from(tokens),
                    Err(u64::MAX) => prop_assert!(tokens > burst || per_second == 0),
                    Err(wait_ms) => {
                        let mut later = bucket;
                        prop_assert!(later.take(tokens, rate, now.plus(wait_ms - 1)).is_err());
                        let mut later = bucket;
                        prop_assert_eq!(later.take(tokens, rate, now.plus(wait_ms)), Ok(()));
                    }
                }
                let allowed = u64::from(burst) * 1_000 + now.0 * u64::from(per_second);
                prop_assert!(taken * 1_000 <= allowed);
            }
        }
    }
}
