use std::collections::BTreeMap;

use crate::{Bucket, Rate, Ticks};

/// One [`Bucket`] per key, of up to `max` keys. Of more, the one that was not used for the longest time is forgotten: it has
/// refilled the longest, so it loses the least.
#[derive(Clone, Debug)]
pub struct Buckets<K> {
    rate: Rate,
    max: usize,
    buckets: BTreeMap<K, (Bucket, u64)>,
    /// Keys by when they were used.
    order: BTreeMap<u64, K>,
    uses: u64,
}

impl<K: Ord + Clone> Buckets<K> {
    /// No keys yet. At least one is always remembered.
    #[must_use]
    pub fn new(rate: Rate, max: usize) -> Self {
        Self { rate, max: max.max(1), buckets: BTreeMap::new(), order: BTreeMap::new(), uses: 0 }
    }

    /// Takes `tokens` from the bucket of `key`, all or none.
    ///
    /// # Errors
    /// With the milliseconds after which they will be there; `u64::MAX` if they never will.
    pub fn take(&mut self, key: &K, tokens: u32, now: Ticks) -> Result<(), u64> {
        self.uses += 1;
        let mut bucket = match self.buckets.remove(key) {
            Some((bucket, used)) => {
                self.order.remove(&used);
                bucket
            }
            None => {
                if self.buckets.len() >= self.max
                    && let Some((_, oldest)) = self.order.pop_first()
                {
                    self.buckets.remove(&oldest);
                }
                Bucket::full(self.rate, now)
            }
        };
        let taken = bucket.take(tokens, self.rate, now);
        self.buckets.insert(key.clone(), (bucket, self.uses));
        self.order.insert(self.uses, key.clone());
        taken
    }

    /// How many keys are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Whether no key is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 1, burst: 2 };

    #[test]
    fn keys_do_not_take_from_each_other() {
        let mut buckets = Buckets::new(RATE, 10);
        assert_eq!([1, 1, 1].map(|key| buckets.take(&key, 1, Ticks(0))), [Ok(()), Ok(()), Err(1_000)]);
        assert_eq!(buckets.take(&2, 2, Ticks(0)), Ok(()));
        assert_eq!(buckets.len(), 2);
    }

    #[test]
    fn the_key_that_was_not_used_for_the_longest_time_makes_room() {
        let mut buckets = Buckets::new(RATE, 3);
        for key in [1, 2, 3, 1] {
            assert_eq!(buckets.take(&key, 1, Ticks(0)), Ok(()));
        }
        assert_eq!(buckets.take(&4, 2, Ticks(0)), Ok(()), "2 makes room");
        assert!(buckets.take(&1, 1, Ticks(0)).is_err() && buckets.take(&4, 1, Ticks(0)).is_err());
        assert_eq!(buckets.take(&2, 2, Ticks(0)), Ok(()), "and begins anew");
        for key in 0..100_000 {
            let _ = buckets.take(&key, 1, Ticks(0));
            assert!(buckets.len() <= 3 && buckets.order.len() == buckets.buckets.len());
        }
    }
}
