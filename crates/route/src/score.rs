/// A reputation between 0 and 1, in units of 2⁻³².
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Score(u64);

impl Score {
    /// 1.
    pub const ONE: Self = Self(1 << 32);

    /// So many units of 2⁻³²; what is above 1 is 1.
    #[must_use]
    pub const fn from_units(units: u64) -> Self {
        if units > Self::ONE.0 { Self::ONE } else { Self(units) }
    }

    /// `per_mille` thousandths, rounded down; what is above 1 is 1.
    #[must_use]
    pub const fn from_per_mille(per_mille: u32) -> Self {
        Self::from_units(((per_mille as u64) << 32) / 1_000)
    }

    /// In units of 2⁻³².
    #[must_use]
    pub const fn units(self) -> u64 {
        self.0
    }

    /// This minus another, at least 0.
    pub(crate) const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Its square, in units of 2⁻⁶⁴.
    pub(crate) fn squared(self) -> u128 {
        u128::from(self.0) * u128::from(self.0)
    }
}
