use std::num::NonZeroU32;

use crate::fraction::part;
use crate::{Decision, Outcome};

/// How much weight has to take part, abstentions included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quorum {
    /// Any.
    #[default]
    None,
    /// At least this.
    Weight(u128),
    /// At least this part of the electorate.
    Share {
        /// Numerator.
        num: u32,
        /// Denominator.
        den: NonZeroU32,
        /// The weight of all who may vote.
        electorate: u128,
    },
}

impl Quorum {
    /// Whether so much weight is enough.
    #[must_use]
    pub fn is_met(&self, participating: u128) -> bool {
        match self {
            Self::None => true,
            Self::Weight(weight) => participating >= *weight,
            Self::Share { num, den, electorate } => participating >= part(*electorate, *num, *den),
        }
    }

    /// The outcome, or that too few took part.
    #[must_use]
    pub fn hold(&self, participating: u128, outcome: Outcome) -> Outcome {
        if self.is_met(participating) { outcome } else { Outcome { decision: Decision::NoQuorum, ..outcome } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WEIGHT_MAX;

    #[test]
    fn shares_are_compared_without_rounding_and_without_overflow() {
        let third = |electorate| Quorum::Share { num: 1, den: NonZeroU32::new(3).unwrap(), electorate };
        assert!(third(9).is_met(3) && !third(10).is_met(3) && third(10).is_met(4));
        let most = Quorum::Share { num: u32::MAX, den: NonZeroU32::MAX, electorate: WEIGHT_MAX };
        assert!(most.is_met(WEIGHT_MAX) && !most.is_met(WEIGHT_MAX - 1));
        assert!(third(u128::MAX).is_met(u128::MAX / 3) && !third(u128::MAX).is_met(u128::MAX / 3 - 1));
        assert!(Quorum::None.is_met(0) && Quorum::Weight(5).is_met(5) && !Quorum::Weight(5).is_met(4));
    }
}
