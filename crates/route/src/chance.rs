/// Independent numbers from the one that the caller drew (SplitMix64 by Steele, Lea and Flood).
#[derive(Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn of(draw: u64) -> Self {
        Self(draw)
    }

    /// The next number, each of 64 bits as likely as any.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, or 0 if that is 0.
    pub(crate) fn below(&mut self, end: u128) -> u128 {
        // Of the product with 64 bits of chance, the part above them. `end` has at most 96 bits wherever it is used.
        let (high, low) = (end >> 32, end & 0xffff_ffff);
        let chance = u128::from(self.next());
        ((high * chance) + ((low * chance) >> 32)) >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spread_evenly_below_their_end() {
        let mut chance = Chance::of(1);
        for end in [1_u128, 3, 10, 1 << 32, (1 << 90) + 12_345] {
            let mut halves = [0_u32; 2];
            for _ in 0..4_000 {
                let number = chance.below(end);
                assert!(number < end);
                halves[usize::from(number >= end.div_ceil(2))] += 1;
            }
            assert!(end == 1 || end == 3 || halves[0].abs_diff(halves[1]) < 400, "{end} {halves:?}");
        }
        assert_eq!(chance.below(0), 0);
    }
}
