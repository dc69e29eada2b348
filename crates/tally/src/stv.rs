use std::collections::BTreeSet;

use crate::count::Count;
use crate::{OptionId, Outcome, Profile, Ranking, Reading, TieRule, minneapolis, scottish};

/// Whose rules several seats are filled by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StvStyle {
    /// Scottish local elections: the Scottish Local Government Elections Order 2011 (SSI 2011/399), schedule 1, rules
    /// 45 to 52.
    Scottish,
    /// Minneapolis: Code of Ordinances, title 8.5, chapter 167, sections 167.20 and 167.70, as of 2013.
    Minneapolis {
        /// Whether options for whom it is mathematically impossible to be elected go at once, as the ordinance has it.
        /// They would not be elected one by one either; but votes then move in another order and so at other values,
        /// and who of the others is elected may depend on it.
        batch: bool,
        /// Options that go on the first round in any case: write-ins that nobody declared.
        out_first: BTreeSet<OptionId>,
    },
}

/// Single transferable vote: several seats; votes above the quota, and those of eliminated options, move on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stv {
    /// Whose rules.
    pub style: StvStyle,
    /// How many are elected.
    pub seats: usize,
    /// How ballots are read.
    pub reading: Reading,
    /// How ties are broken.
    pub ties: TieRule,
    /// Options that ballots name and that do not stand; their ranks are passed over.
    pub withdrawn: BTreeSet<OptionId>,
}

impl Stv {
    /// Counts ballots that rank `options` options; ballots name no others.
    #[must_use]
    pub fn count(&self, options: usize, profile: &Profile<Ranking>) -> Outcome {
        let profile = profile.map(|ranking| self.reading.read(ranking));
        let deal = |places| Count::deal(options, &profile, &self.withdrawn, places, &self.ties);
        match &self.style {
            StvStyle::Scottish => scottish::count(deal(scottish::PLACES), self.seats),
            StvStyle::Minneapolis { batch, out_first } => {
                minneapolis::count(deal(minneapolis::PLACES), self.seats, *batch, out_first)
            }
        }
    }
}

/// The votes that elect, in units: the whole votes divided by one more than the seats, without fractions, plus one.
pub(crate) fn droop(valid: u128, seats: usize, places: u32) -> u128 {
    let unit = 10_u128.pow(places);
    (valid / unit / (seats as u128 + 1) + 1) * unit
}

/// ⌊value · part / whole⌋ for a value of at most 2^20 and a part of at most the whole, however large they are.
pub(crate) fn share(value: u128, part: u128, whole: u128) -> u128 {
    // Long division bit by bit: the remainder stays below the whole, which is below 2^117.
    let (mut quotient, mut rest) = (0, 0);
    for bit in (0..u128::BITS - value.leading_zeros()).rev() {
        quotient *= 2;
        rest *= 2;
        if value >> bit & 1 == 1 {
            rest += part;
        }
        quotient += rest / whole;
        rest %= whole;
    }
    quotient
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_exact_where_the_product_would_overflow() {
        assert_eq!(share(100_000, 399, 1_752), 22_773);
        assert_eq!(share(0, 5, 7), 0);
        assert_eq!(share(100_000, 7, 7), 100_000);
        for whole in [1_u128 << 112, (1 << 116) - 1, (1 << 112) + 12_345] {
            let half = whole / 2;
            assert_eq!(share(100_000, half, whole), if whole % 2 == 0 { 50_000 } else { 49_999 });
            assert_eq!(share(99_999, whole - 1, whole), 99_998);
        }
    }

    #[test]
    fn the_quota_ignores_fractions() {
        assert_eq!(droop(541_000_000, 3, 5), 135_300_000);
        assert_eq!(droop(60_000, 1, 4), 40_000);
        assert_eq!(droop(70_000, 1, 4), 40_000);
    }
}
