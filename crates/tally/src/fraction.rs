use std::num::NonZeroU32;

/// ⌈whole · num / den⌉ for any whole, or the largest number if it is larger than that.
pub(crate) fn part(whole: u128, num: u32, den: NonZeroU32) -> u128 {
    let (num, den) = (u128::from(num), u128::from(den.get()));
    // The rest is below 2^32, so its product is below 2^64.
    (whole / den).saturating_mul(num).saturating_add((whole % den * num).div_ceil(den))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_exact_however_large_the_whole_is() {
        let part = |whole, num, den| part(whole, num, NonZeroU32::new(den).unwrap());
        assert_eq!([0, 1, 2, 3, 4, 100].map(|whole| part(whole, 2, 3)), [0, 1, 2, 2, 3, 67]);
        assert_eq!(part(7, 0, 3), 0);
        assert_eq!(part(u128::MAX, u32::MAX, u32::MAX), u128::MAX);
        // 2^128 - 1 is a multiple of 3.
        assert_eq!(part(u128::MAX, 2, 3), u128::MAX / 3 * 2);
        assert_eq!(part(u128::MAX, 1, 2), 1 << 127);
        assert_eq!(part(u128::MAX, 3, 2), u128::MAX);
    }
}
