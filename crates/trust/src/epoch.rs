use std::fmt;

use althing_record::{Genesis, Millis};

/// The time unit of the reputation ledger, counted from the beginning of the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RatingEpoch(pub u64);

impl RatingEpoch {
    /// The rating epoch that `made` falls into: ⌊(made − created) / rating_epoch_ms⌋. What was made before the network
    /// began, by a clock that is behind, falls into the first.
    #[must_use]
    pub fn of(made: Millis, genesis: &Genesis) -> Self {
        Self(made.since(genesis.created) / genesis.rating_epoch_ms.max(1))
    }
}

impl fmt::Display for RatingEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_begin_with_the_network_and_have_its_length() {
        let mut genesis = Genesis::plain("x".try_into().unwrap(), Millis(5_000));
        genesis.rating_epoch_ms = 10_000;
        let epoch = |made| RatingEpoch::of(Millis(made), &genesis).0;
        assert_eq!([epoch(0), epoch(5_000), epoch(14_999), epoch(15_000)], [0, 0, 0, 1]);
        assert_eq!(epoch(u64::MAX), (u64::MAX - 5_000) / 10_000);
    }
}
