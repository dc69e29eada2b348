use super::decay::Sight;

/// No older bucket.
const NONE: u32 = u32::MAX;

/// Exact sums of counts times weights, in buckets of one half-life. The newest bucket lies inside, older ones in a
/// shared arena, for most relations have one. Adding is commutative, and what was added can be taken out again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Buckets<const N: usize> {
    bucket: u32,
    older: u32,
    sums: [u64; N],
}

impl<const N: usize> Buckets<N> {
    pub(super) fn new(bucket: u32, sums: [u64; N]) -> Self {
        Self { bucket, older: NONE, sums }
    }

    /// Adds sums to a bucket, or takes them out.
    pub(super) fn change(&mut self, arena: &mut Vec<Self>, (bucket, sums): (u32, [u64; N]), out: bool) {
        let into = |to: &mut [u64; N]| {
            for (to, sum) in to.iter_mut().zip(sums) {
                // Exact as long as what is in does not pass 2⁶⁴; see `Counts`.
                *to = if out { to.wrapping_sub(sum) } else { to.wrapping_add(sum) };
            }
        };
        if bucket == self.bucket {
            into(&mut self.sums);
            return;
        }
        let mut next = self.older;
        while let Some(node) = arena.get_mut(next as usize) {
            if node.bucket == bucket {
                into(&mut node.sums);
                return;
            }
            next = node.older;
        }
        let mut node = Self { bucket, older: self.older, sums: [0; N] };
        into(&mut node.sums);
        let at = u32::try_from(arena.len()).expect("fewer than 2³² buckets");
        if bucket > self.bucket {
            arena.push(*self);
            *self = Self { older: at, ..node };
        } else {
            arena.push(node);
            self.older = at;
        }
    }

    /// The total of one of the sums over all buckets in sight.
    pub(super) fn total(&self, arena: &[Self], sight: &Sight, at: usize) -> u128 {
        let mut total = sight.weigh(self.bucket, self.sums[at]);
        let mut next = self.older;
        while let Some(node) = arena.get(next as usize) {
            total += sight.weigh(node.bucket, node.sums[at]);
            next = node.older;
        }
        total
    }

    /// The totals of all sums over all buckets in sight.
    pub(super) fn totals(&self, arena: &[Self], sight: &Sight) -> [u128; N] {
        let mut totals = self.sums.map(|sum| sight.weigh(self.bucket, sum));
        let mut next = self.older;
        while let Some(node) = arena.get(next as usize) {
            for (total, sum) in totals.iter_mut().zip(node.sums) {
                *total += sight.weigh(node.bucket, sum);
            }
            next = node.older;
        }
        totals
    }

    /// The same buckets in another arena, without those below `oldest`, but for the newest.
    pub(super) fn moved(&self, from: &[Self], to: &mut Vec<Self>, oldest: u32) -> Self {
        let mut moved = Self { older: NONE, ..*self };
        let mut next = self.older;
        while let Some(node) = from.get(next as usize) {
            if node.bucket >= oldest {
                let at = u32::try_from(to.len()).expect("fewer than 2³² buckets");
                to.push(Self { older: moved.older, ..*node });
                moved.older = at;
            }
            next = node.older;
        }
        moved
    }

    pub(super) fn is_older_than(&self, oldest: u32) -> bool {
        self.bucket < oldest
    }
}

#[cfg(test)]
mod tests {
    use super::super::decay::RECENT;
    use super::*;

    #[test]
    fn order_does_not_matter_and_what_is_taken_out_leaves_nothing() {
        let sight = RECENT.seen_from(30, 1);
        let changes = [(4, [5]), (1, [7]), (2, [1]), (4, [2]), (1, [1]), (3, [9])];
        let total = |order: &[usize]| {
            let (mut arena, mut buckets) = (Vec::new(), Buckets::new(0, [0]));
            for at in order {
                buckets.change(&mut arena, changes[*at], false);
            }
            buckets.change(&mut arena, (2, [4]), false);
            buckets.change(&mut arena, (2, [4]), true);
            buckets.totals(&arena, &sight)
        };
        let expected = total(&[0, 1, 2, 3, 4, 5]);
        for order in [[5, 4, 3, 2, 1, 0], [1, 3, 5, 0, 2, 4], [4, 0, 5, 1, 3, 2]] {
            assert_eq!(total(&order), expected);
        }
        assert_eq!(expected, [(7 << 31) + (9 << 30) + (1 << 29) + (8 << 28)]);
    }

    #[test]
    fn a_move_leaves_old_buckets_behind() {
        let (mut arena, mut buckets) = (Vec::new(), Buckets::new(5, [1]));
        for bucket in 0..5 {
            buckets.change(&mut arena, (bucket, [1]), false);
        }
        let mut kept = Vec::new();
        let moved = buckets.moved(&arena, &mut kept, 3);
        assert_eq!(kept.len(), 2);
        let sight = RECENT.seen_from(35, 1);
        assert_eq!(moved.totals(&kept, &sight), [(1 << 31) + (1 << 30) + (1 << 29)]);
    }
}
