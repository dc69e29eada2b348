use super::decay::{BAD, GOOD, RECENT};
use super::relation::Experience;
use crate::{Outcome, ProvenReceipt};

/// The best quality of one call.
pub const QUALITY_MAX: u8 = 100;

/// Most calls that one row weighs as; what is above is scaled down, which keeps the shares. Volume saturates, so no
/// score notices, and no sum of 64 bits overflows: 64 skills · 2¹⁸ · 100 · the sum of 112 weights is below 2⁶³.
const WEIGHED_MAX: u64 = 1 << 18;

/// What one rater says of its calls to one target in one rating epoch, summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Counts {
    ok: u64,
    bad: u64,
    quality_sum: u64,
    in_time: u64,
}

/// Why numbers are not counts of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CountsError {
    /// No call, or more than there can be Accepts.
    #[error("{0} calls, expected 1 to 4294967296")]
    Calls(u64),
    /// More calls went well than there were.
    #[error("{ok} of {count} calls went well")]
    Ok {
        /// How many went well.
        ok: u64,
        /// How many there were.
        count: u64,
    },
    /// The quality is out of range.
    #[error("quality sums up to {sum}, at most {} is possible in {count} calls", count * u64::from(QUALITY_MAX))]
    Quality {
        /// The sum of qualities.
        sum: u64,
        /// How many calls there were.
        count: u64,
    },
    /// More calls were in time than there were.
    #[error("{in_time} of {count} calls were in time")]
    InTime {
        /// How many were in time.
        in_time: u64,
        /// How many there were.
        count: u64,
    },
}

impl Counts {
    /// `count` calls, of which `ok` went well and `in_time` were in time, with qualities of 0 to 100 each.
    ///
    /// # Errors
    /// When there was no call, or a number is out of its bounds.
    pub fn new(count: u64, ok: u64, quality_sum: u64, in_time: u64) -> Result<Self, CountsError> {
        if !(1..=crate::INDEX_MAX).contains(&count) {
            return Err(CountsError::Calls(count));
        }
        if ok > count {
            return Err(CountsError::Ok { ok, count });
        }
        if quality_sum > count * u64::from(QUALITY_MAX) {
            return Err(CountsError::Quality { sum: quality_sum, count });
        }
        if in_time > count {
            return Err(CountsError::InTime { in_time, count });
        }
        Ok(Self { ok, bad: count - ok, quality_sum, in_time })
    }

    /// One call.
    #[must_use]
    pub fn of(call: &ProvenReceipt) -> Self {
        let ok = u64::from(call.receipt().outcome == Outcome::Ok);
        Self {
            ok,
            bad: 1 - ok,
            quality_sum: call.receipt().quality.into(),
            in_time: u64::from(call.is_in_time()),
        }
    }

    /// These calls and others.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            ok: self.ok.saturating_add(other.ok),
            bad: self.bad.saturating_add(other.bad),
            quality_sum: self.quality_sum.saturating_add(other.quality_sum),
            in_time: self.in_time.saturating_add(other.in_time),
        }
    }

    /// These calls without others that are among them.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self {
            ok: self.ok.saturating_sub(other.ok),
            bad: self.bad.saturating_sub(other.bad),
            quality_sum: self.quality_sum.saturating_sub(other.quality_sum),
            in_time: self.in_time.saturating_sub(other.in_time),
        }
    }

    /// How many calls.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.ok + self.bad
    }

    /// How many of them went well.
    #[must_use]
    pub fn ok(&self) -> u64 {
        self.ok
    }

    /// How many did not: bad, invalid, or without an answer in time.
    #[must_use]
    pub fn bad(&self) -> u64 {
        self.bad
    }

    /// The sum of their qualities.
    #[must_use]
    pub fn quality_sum(&self) -> u64 {
        self.quality_sum
    }

    /// How many were answered in the promised time.
    #[must_use]
    pub fn in_time(&self) -> u64 {
        self.in_time
    }

    /// As what one agent knows of another, in the three respects.
    pub(super) fn experience(self) -> [Experience; 3] {
        let Self { ok, bad, quality_sum, in_time } = self.scaled();
        let of = |good: u64, all: u64| Experience { good: good << 16, bad: (all - good.min(all)) << 16 };
        let count = ok + bad;
        let quality = (quality_sum << 16) / u64::from(QUALITY_MAX);
        let quality = Experience { good: quality, bad: (count << 16) - quality.min(count << 16) };
        [of(ok, count), quality, of(in_time, count)]
    }

    fn scaled(self) -> Self {
        let count = self.count();
        if count <= WEIGHED_MAX {
            return self;
        }
        let scaled = |value: u64| {
            let value = u128::from(value) * u128::from(WEIGHED_MAX) / u128::from(count);
            u64::try_from(value).expect("a share of 100 · 2¹⁸")
        };
        let ok = scaled(self.ok);
        let (quality_sum, in_time) = (scaled(self.quality_sum), scaled(self.in_time));
        Self { ok, bad: WEIGHED_MAX - ok, quality_sum, in_time }
    }
}

/// What counts of one rating epoch add to the three buckets of a relation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weighed {
    /// Bucket of [`GOOD`], and the sums ok, quality, in time.
    pub(super) good: (u32, [u64; 3]),
    /// Bucket of [`BAD`], and what is missing to count, 100 · count, count.
    pub(super) bad: (u32, [u64; 3]),
    /// Bucket of [`RECENT`], and the sums ok, quality, in time, count.
    pub(super) recent: (u32, [u64; 4]),
}

impl Weighed {
    pub(super) fn new(counts: Counts, epoch: u32) -> Self {
        let Counts { ok, bad, quality_sum, in_time } = counts.scaled();
        let count = ok + bad;
        let well = [ok, quality_sum, in_time];
        let ill = [bad, count * u64::from(QUALITY_MAX) - quality_sum, count - in_time];
        let (good, good_weight) = GOOD.place(epoch);
        let (bad, bad_weight) = BAD.place(epoch);
        let (recent, recent_weight) = RECENT.place(epoch);
        Self {
            good: (good, well.map(|value| value * good_weight)),
            bad: (bad, ill.map(|value| value * bad_weight)),
            recent: (recent, [ok, quality_sum, in_time, count].map(|value| value * recent_weight)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_bounds_are_no_counts() {
        assert_eq!(Counts::new(0, 0, 0, 0), Err(CountsError::Calls(0)));
        assert_eq!(Counts::new((1 << 32) + 1, 0, 0, 0), Err(CountsError::Calls((1 << 32) + 1)));
        assert_eq!(Counts::new(3, 4, 0, 0), Err(CountsError::Ok { ok: 4, count: 3 }));
        assert_eq!(Counts::new(3, 3, 301, 0), Err(CountsError::Quality { sum: 301, count: 3 }));
        assert_eq!(Counts::new(3, 3, 300, 4), Err(CountsError::InTime { in_time: 4, count: 3 }));
        let counts = Counts::new(3, 2, 250, 1).unwrap();
        assert_eq!((counts.count(), counts.ok(), counts.bad()), (3, 2, 1));
        assert_eq!((counts.quality_sum(), counts.in_time()), (250, 1));
    }

    #[test]
    fn counts_are_experience_in_each_respect() {
        let counts = Counts::new(4, 3, 250, 2).unwrap().plus(Counts::new(1, 0, 0, 0).unwrap());
        assert_eq!(counts, Counts::new(5, 3, 250, 2).unwrap());
        let calls = |experience: Experience| (experience.good >> 16, experience.bad >> 16);
        // 250 of 500 is as much as two and a half good calls of five.
        assert_eq!(counts.experience().map(calls), [(3, 2), (2, 2), (2, 3)]);
        assert_eq!(counts.without(Counts::new(1, 0, 0, 0).unwrap()), Counts::new(4, 3, 250, 2).unwrap());
        let most = Counts::new(crate::INDEX_MAX, crate::INDEX_MAX, 0, 0).unwrap();
        assert_eq!(most.experience().map(calls)[0], (WEIGHED_MAX, 0));
    }

    #[test]
    fn large_counts_keep_their_shares_and_their_sums_fit() {
        let all = crate::INDEX_MAX;
        let scaled = Counts::new(all, all / 4, all * 50, all).unwrap().scaled();
        assert_eq!((scaled.count(), scaled.ok), (WEIGHED_MAX, WEIGHED_MAX / 4));
        assert_eq!((scaled.quality_sum, scaled.in_time), (WEIGHED_MAX * 50, WEIGHED_MAX));
        let worst = Counts::new(all, 0, 0, 0).unwrap();
        let sum: u128 = (0..112).map(|epoch| 64 * u128::from(Weighed::new(worst, epoch).bad.1[1])).sum();
        assert!(sum < 1 << 63);
    }
}
