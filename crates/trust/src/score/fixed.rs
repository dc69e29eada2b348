//! Numbers in units of 2⁻³², with floor division, the same on every machine.

use std::fmt;

/// 1 in units of 2⁻³².
pub(crate) const ONE: u64 = 1 << 32;

/// A number of at least 0, in units of 2⁻³².
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Q32(pub u64);

impl Q32 {
    /// 1.
    pub const ONE: Self = Self(ONE);

    /// The whole part.
    #[must_use]
    pub const fn whole(self) -> u64 {
        self.0 >> 32
    }

    /// In thousandths, rounded down.
    #[must_use]
    pub const fn per_mille(self) -> u64 {
        self.whole() * 1_000 + (((self.0 & (ONE - 1)) * 1_000) >> 32)
    }

    /// ⌊self · other⌋.
    #[must_use]
    pub const fn times(self, other: Self) -> Self {
        Self(mul(self.0, other.0))
    }
}

impl fmt::Display for Q32 {
    /// With three places, rounded down.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_mille = self.per_mille();
        write!(f, "{}.{:03}", per_mille / 1_000, per_mille % 1_000)
    }
}

/// ⌊a · b⌋; one factor is at most 1 wherever the other is large.
pub(crate) const fn mul(a: u64, b: u64) -> u64 {
    ((a as u128 * b as u128) >> 32) as u64
}

/// ⌊a / b⌋ of numbers whose quotient is below 2³².
pub(crate) const fn div(a: u64, b: u64) -> u64 {
    if a < ONE { (a << 32) / b } else { (((a as u128) << 32) / b as u128) as u64 }
}

/// Divides by one number many times, exactly.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Divider {
    by: u64,
    reciprocal: u64,
}

impl Divider {
    pub(crate) fn new(by: u64) -> Self {
        Self { by, reciprocal: u64::MAX / by }
    }

    /// ⌊value / by⌋.
    pub(crate) fn divide(self, value: u64) -> u64 {
        // The estimate is at most 2 too low, since the reciprocal lacks less than 2⁻⁶⁴ · 2 of its value.
        let mut quotient = ((u128::from(value) * u128::from(self.reciprocal)) >> 64) as u64;
        let mut rest = value - quotient * self.by;
        while rest >= self.by {
            rest -= self.by;
            quotient += 1;
        }
        quotient
    }

    /// The same for a value that may be longer; the quotient fits 64 bits.
    pub(crate) fn divide_long(self, value: u128) -> u64 {
        match u64::try_from(value) {
            Ok(value) => self.divide(value),
            Err(_) => u64::try_from(value / u128::from(self.by)).unwrap_or(u64::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_printed_rounded_down() {
        assert_eq!(Q32(div(2, 3)).to_string(), "0.666");
        assert_eq!(Q32(5 * ONE / 2).to_string(), "2.500");
        assert_eq!((Q32(5 * ONE / 2).whole(), Q32::ONE.per_mille()), (2, 1_000));
        assert_eq!(Q32(ONE / 2).times(Q32(ONE / 2)), Q32(ONE / 4));
    }

    proptest! {
        #[test]
        fn a_divider_divides_exactly(value: u64, by in 1..=u64::from(u32::MAX)) {
            prop_assert_eq!(Divider::new(by).divide(value), value / by);
            prop_assert_eq!(Divider::new(by).divide_long(u128::from(value) << 20), {
                u64::try_from((u128::from(value) << 20) / u128::from(by)).unwrap_or(u64::MAX)
            });
        }

        #[test]
        fn division_is_floored_for_small_and_large_numerators(a in 0..1_u64 << 60, b in 1_u64 << 30..1 << 62) {
            prop_assert_eq!(u128::from(div(a, b)), (u128::from(a) << 32) / u128::from(b));
        }
    }

    #[test]
    fn dividers_hold_at_the_ends() {
        for by in [1, 2, 3, 100, 1 << 24, (1 << 25) - 1, 100 * ((1 << 25) - 1), u64::MAX] {
            for value in [0, 1, by - 1, by, u64::MAX - 1, u64::MAX] {
                assert_eq!(Divider::new(by).divide(value), value / by);
            }
        }
    }
}
