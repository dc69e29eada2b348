//! How fast experience fades: exact weights by rating epoch, and sums of them in buckets.

use super::fixed::Divider;

/// How many of the newest buckets count; what lies in older ones counts 0.
const WINDOW: u64 = 32;

/// Most that a decayed count is taken for, in units of 2⁻¹⁶. With one record of each rating epoch it cannot be reached: 65 rows
/// of 2¹⁸ calls in each of all rating epochs come to 0.65 of it. Who publishes more records than one could pass any bound.
const COUNT_MAX: u64 = 1 << 48;

/// A half-life in rating epochs: evidence of epoch e has the weight table[e mod H] · 2^(e div H).
#[derive(Debug)]
pub(crate) struct HalfLife {
    /// round(2^(24 + i/H)) for i from 0 to H − 1.
    table: &'static [u32],
}

/// Good experience: 28 rating epochs.
pub(crate) const GOOD: HalfLife = HalfLife { table: &TABLE_28 };
/// Bad experience, which is remembered four times longer.
pub(crate) const BAD: HalfLife = HalfLife { table: &TABLE_112 };
/// Recent experience of both kinds.
pub(crate) const RECENT: HalfLife = HalfLife { table: &TABLE_7 };

#[rustfmt::skip]
const TABLE_7: [u32; 7] = [
    16_777_216, 18_523_548, 20_451_655, 22_580_458, 24_930_847, 27_525_887, 30_391_043,
];

#[rustfmt::skip]
const TABLE_28: [u32; 28] = [
    16_777_216, 17_197_724, 17_628_771, 18_070_622, 18_523_548, 18_987_826, 19_463_741, 19_951_585,
    20_451_655, 20_964_260, 21_489_713, 22_028_335, 22_580_458, 23_146_420, 23_726_566, 24_321_254,
    24_930_847, 25_555_719, 26_196_253, 26_852_842, 27_525_887, 28_215_802, 28_923_008, 29_647_941,
    30_391_043, 31_152_771, 31_933_590, 32_733_981,
];

#[rustfmt::skip]
const TABLE_112: [u32; 112] = [
    16_777_216, 16_881_369, 16_986_169, 17_091_619, 17_197_724, 17_304_487, 17_411_914, 17_520_007,
    17_628_771, 17_738_211, 17_848_329, 17_959_132, 18_070_622, 18_182_805, 18_295_684, 18_409_263,
    18_523_548, 18_638_543, 18_754_251, 18_870_677, 18_987_826, 19_105_703, 19_224_311, 19_343_656,
    19_463_741, 19_584_572, 19_706_153, 19_828_489, 19_951_585, 20_075_444, 20_200_073, 20_325_475,
    20_451_655, 20_578_619, 20_706_372, 20_834_917, 20_964_260, 21_094_406, 21_225_360, 21_357_128,
    21_489_713, 21_623_121, 21_757_357, 21_892_427, 22_028_335, 22_165_087, 22_302_688, 22_441_144,
    22_580_458, 22_720_638, 22_861_688, 23_003_613, 23_146_420, 23_290_113, 23_434_698, 23_580_181,
    23_726_566, 23_873_861, 24_022_070, 24_171_199, 24_321_254, 24_472_241, 24_624_164, 24_777_031,
    24_930_847, 25_085_618, 25_241_350, 25_398_048, 25_555_719, 25_714_369, 25_874_004, 26_034_630,
    26_196_253, 26_358_880, 26_522_516, 26_687_168, 26_852_842, 27_019_544, 27_187_282, 27_356_060,
    27_525_887, 27_696_768, 27_868_709, 28_041_718, 28_215_802, 28_390_965, 28_567_217, 28_744_562,
    28_923_008, 29_102_563, 29_283_231, 29_465_022, 29_647_941, 29_831_995, 30_017_193, 30_203_539,
    30_391_043, 30_579_711, 30_769_550, 30_960_567, 31_152_771, 31_346_167, 31_540_764, 31_736_570,
    31_933_590, 32_131_834, 32_331_309, 32_532_022, 32_733_981, 32_937_193, 33_141_668, 33_347_411,
];

impl HalfLife {
    fn epochs(&self) -> u64 {
        self.table.len() as u64
    }

    /// In which bucket evidence of `epoch` lies, and with which weight.
    pub(crate) fn place(&self, epoch: u32) -> (u32, u64) {
        let epochs = u32::try_from(self.table.len()).expect("tables are short");
        (epoch / epochs, u64::from(self.table[(epoch % epochs) as usize]))
    }

    /// How sums look from `epoch`, in units of 1/`parts` of a count.
    pub(crate) fn seen_from(&self, epoch: u32, parts: u64) -> Sight {
        let (top, weight) = self.place(epoch);
        Sight { window: Window { top }, divider: Divider::new(weight * parts) }
    }

    /// The first epoch whose evidence can still count at `epoch`.
    pub(crate) fn horizon(&self, epoch: u32) -> u32 {
        let oldest = (u64::from(epoch) / self.epochs() + 1).saturating_sub(WINDOW);
        u32::try_from(oldest * self.epochs()).unwrap_or(u32::MAX)
    }
}

/// The newest buckets as seen from one of them: each weighs half as much as the next newer one, and what is older than 32
/// half-lives nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) top: u32,
}

impl Window {
    /// Whether a bucket counts.
    pub(crate) fn sees(self, bucket: u32) -> bool {
        bucket <= self.top && u64::from(self.top - bucket) < WINDOW
    }

    /// What a bucket's sum adds to a total; buckets outside the window add nothing.
    pub(crate) fn weigh(self, bucket: u32, sum: u64) -> u128 {
        if self.sees(bucket) { u128::from(sum) << (WINDOW - 1 - u64::from(self.top - bucket)) } else { 0 }
    }

    /// The sum of the newest bucket, where nothing else is in a total.
    pub(crate) fn newest(total: u128) -> u64 {
        u64::try_from(Self::newest_at_most(total)).expect("one sum")
    }

    /// What the sum of the newest bucket in a total cannot pass.
    pub(crate) fn newest_at_most(total: u128) -> u128 {
        total >> (WINDOW - 1)
    }
}

/// A rating epoch from which decayed sums are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight {
    pub(crate) window: Window,
    divider: Divider,
}

impl Sight {
    /// The decayed count that a total stands for, in units of 2⁻¹⁶, rounded down once, and at most [`COUNT_MAX`].
    pub(crate) fn decayed(&self, total: u128) -> u64 {
        // ⌊total · 2¹⁶ / (weight · 2³¹)⌋: the powers of two first, which changes no floor.
        self.divider.divide_long(total >> 15).min(COUNT_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_the_rounded_powers_of_two() {
        for (table, half_life) in [(&TABLE_7[..], 7_u32), (&TABLE_28, 28), (&TABLE_112, 112)] {
            assert_eq!(table.len(), half_life as usize);
            for (at, weight) in (0_u32..).zip(table) {
                let exact = 2_f64.powf(24.0 + f64::from(at) / f64::from(half_life)).round();
                assert_eq!(f64::from(*weight).to_bits(), exact.to_bits(), "{at} of {half_life}");
            }
        }
    }

    #[test]
    fn a_count_halves_in_its_half_life_and_ends_at_the_horizon() {
        for (half_life, epochs) in [(&RECENT, 7), (&GOOD, 28), (&BAD, 112)] {
            let (bucket, weight) = half_life.place(3);
            let at = |epoch| {
                let sight = half_life.seen_from(epoch, 1);
                sight.decayed(sight.window.weigh(bucket, 1_000 * weight))
            };
            assert_eq!(at(3), 1_000 << 16);
            assert_eq!(at(3 + epochs), 500 << 16);
            assert_eq!(at(3 + 10 * epochs), (1_000 << 16) >> 10);
            assert!(at(32 * epochs - 1) < 5);
            assert_eq!((half_life.horizon(32 * epochs - 1), half_life.horizon(32 * epochs)), (0, epochs));
            assert_eq!(at(32 * epochs), 0);
        }
    }

    #[test]
    fn ten_thousand_epochs_of_the_largest_sums_do_not_overflow() {
        for half_life in [&RECENT, &GOOD, &BAD] {
            let top = half_life.place(10_000).0;
            let sight = half_life.seen_from(10_000, 1);
            let total: u128 = (0..=top).map(|bucket| sight.window.weigh(bucket, u64::MAX)).sum();
            assert!(total < 1 << 97);
            let decayed = sight.decayed(total);
            assert!(decayed > 0 && decayed < 1 << 58);
        }
    }
}
