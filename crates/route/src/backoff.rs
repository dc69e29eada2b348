use crate::chance::Chance;

/// How long to wait before a call is made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The longest first wait, in milliseconds.
    pub first_ms: u64,
    /// The longest wait of all, in milliseconds.
    pub ms_max: u64,
    /// Most attempts, the first included.
    pub attempts_max: u32,
}

impl Default for Backoff {
    /// Three attempts, at most 100 ms and 200 ms apart.
    fn default() -> Self {
        Self { first_ms: 100, ms_max: 5_000, attempts_max: 3 }
    }
}

impl Backoff {
    /// How long to wait, in milliseconds, after `attempts` that failed; none if that is enough. Between half of the longest
    /// wait and all of it, which doubles with each attempt.
    #[must_use]
    pub fn wait_ms(&self, attempts: u32, draw: u64) -> Option<u64> {
        if attempts == 0 {
            return Some(0);
        }
        (attempts < self.attempts_max)
            .then(|| jittered(doubled(self.first_ms, attempts - 1, self.ms_max), draw))
    }
}

/// `first` doubled so many times, at most `max`.
pub(crate) fn doubled(first: u64, times: u32, max: u64) -> u64 {
    let factor = 1_u64.checked_shl(times).unwrap_or(u64::MAX);
    first.saturating_mul(factor).min(max)
}

/// A number between half of `longest` and all of it.
pub(crate) fn jittered(longest: u64, draw: u64) -> u64 {
    let half = longest / 2;
    let above = Chance::of(draw).below(u128::from(longest - half) + 1);
    half.saturating_add(u64::try_from(above).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_end() {
        let backoff = Backoff { first_ms: 100, ms_max: 350, attempts_max: 5 };
        for draw in 0..200 {
            assert_eq!(backoff.wait_ms(0, draw), Some(0));
            assert!((50..=100).contains(&backoff.wait_ms(1, draw).unwrap()));
            assert!((100..=200).contains(&backoff.wait_ms(2, draw).unwrap()));
            assert!((175..=350).contains(&backoff.wait_ms(3, draw).unwrap()));
            assert!((175..=350).contains(&backoff.wait_ms(4, draw).unwrap()));
            assert_eq!(backoff.wait_ms(5, draw), None);
            assert_eq!(backoff.wait_ms(u32::MAX, draw), None);
        }
        let different: std::collections::BTreeSet<_> =
            (0..200).map(|draw| backoff.wait_ms(1, draw)).collect();
        assert!(different.len() > 30, "callers do not come back together");
    }

    #[test]
    fn no_setting_overflows() {
        let backoff = Backoff { first_ms: u64::MAX, ms_max: u64::MAX, attempts_max: u32::MAX };
        assert!(backoff.wait_ms(1_000, u64::MAX).unwrap() >= u64::MAX / 2);
        assert_eq!(Backoff { first_ms: 0, ms_max: 0, attempts_max: 2 }.wait_ms(1, 9), Some(0));
    }
}
