/// SplitMix64: a run follows from its seed.
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.number() % end as u64).expect("below a usize")
    }

    /// Between 0 and 1.
    pub(crate) fn share(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn happens(&mut self, chance: f64) -> bool {
        self.share() < chance
    }

    /// One of the places, with a chance that grows with its weight; any of them if all weights are 0.
    pub(crate) fn weighted(&mut self, weights: &[f64]) -> usize {
        let all: f64 = weights.iter().sum();
        if all <= 0.0 {
            return self.below(weights.len());
        }
        let mut left = self.share() * all;
        let heavier = weights.iter().position(|weight| {
            left -= weight;
            left < 0.0
        });
        heavier.unwrap_or(weights.len() - 1)
    }
}
