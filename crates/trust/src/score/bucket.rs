use super::decay::Window;

/// No older bucket.
const NONE: u32 = u32::MAX;

/// Exact sums of counts times weights, in buckets of one half-life. The totals over all buckets lie inside, older buckets
/// in a shared arena, where they are looked up only when one of them leaves the window or is changed. Adding is
/// commutative, and what was added can be taken out again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Buckets<const N: usize> {
    /// The newest bucket; totals are seen from it. Its own sums are what the older ones leave of them.
    newest: u32,
    /// No bucket in the totals is older.
    oldest: u32,
    older: u32,
    totals: [Total; N],
}

/// An older bucket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket<const N: usize> {
    bucket: u32,
    older: u32,
    sums: [u64; N],
}

/// A total, low part first. It is below 2⁹⁶, for the newest of its sums below 2⁶⁴ weighs 2³¹, and each other half as much as the
/// one after it. It has no padding, as `u128` would.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Total([u32; 3]);

impl<const N: usize> Buckets<N> {
    pub(super) fn new(bucket: u32, sums: [u64; N]) -> Self {
        let totals = sums.map(|sum| Total::new(Window { top: bucket }.weigh(bucket, sum)));
        Self { newest: bucket, oldest: bucket, older: NONE, totals }
    }

    /// Adds sums to a bucket, or takes them out. What passes 2⁶⁴, which honest counts do not (see `Counts`), begins anew at 0,
    /// so that the order never matters.
    pub(super) fn change(&mut self, arena: &mut Vec<Bucket<N>>, (bucket, sums): (u32, [u64; N]), out: bool) {
        if bucket > self.newest {
            self.begin(arena, bucket);
        }
        let window = Window { top: self.newest };
        if bucket == self.newest && !out && self.has_room(sums) {
            for (total, sum) in self.totals.iter_mut().zip(sums) {
                *total = Total::new(total.value() + window.weigh(bucket, sum));
            }
            return;
        }
        let changed =
            |before: u64, sum: u64| if out { before.wrapping_sub(sum) } else { before.wrapping_add(sum) };
        let before = if bucket == self.newest {
            self.newest_sums(arena)
        } else {
            let at = self.older_bucket(arena, bucket);
            let before = arena[at].sums;
            for (to, sum) in arena[at].sums.iter_mut().zip(sums) {
                *to = changed(*to, sum);
            }
            before
        };
        if window.sees(bucket) {
            self.oldest = self.oldest.min(bucket);
        }
        for ((total, sum), before) in self.totals.iter_mut().zip(sums).zip(before) {
            let rest = total.value() - window.weigh(bucket, before);
            *total = Total::new(rest + window.weigh(bucket, changed(before, sum)));
        }
    }

    /// The total of one of the sums over all buckets in sight.
    pub(super) fn total(&self, arena: &[Bucket<N>], window: Window, at: usize) -> u128 {
        match self.age(window) {
            Some(age) => self.totals[at].value() >> age,
            None => self.walk(arena, window)[at],
        }
    }

    /// The totals of all sums over all buckets in sight.
    pub(super) fn totals(&self, arena: &[Bucket<N>], window: Window) -> [u128; N] {
        match self.age(window) {
            Some(age) => self.totals.map(|total| total.value() >> age),
            None => self.walk(arena, window),
        }
    }

    /// The same buckets in another arena, without those below `oldest`, but for the newest.
    pub(super) fn moved(&self, from: &[Bucket<N>], to: &mut Vec<Bucket<N>>, oldest: u32) -> Self {
        let mut moved = Self { older: NONE, oldest: self.newest, ..*self };
        let window = Window { top: self.newest };
        for node in self.older(from) {
            if node.bucket >= oldest {
                let at = place(to);
                to.push(Bucket { older: moved.older, ..*node });
                moved.older = at;
                if window.sees(node.bucket) {
                    moved.oldest = moved.oldest.min(node.bucket);
                }
            } else {
                for (total, sum) in moved.totals.iter_mut().zip(node.sums) {
                    *total = Total::new(total.value() - window.weigh(node.bucket, sum));
                }
            }
        }
        moved
    }

    pub(super) fn is_older_than(&self, oldest: u32) -> bool {
        self.newest < oldest
    }

    /// By how many half-lives a window is later than that of the totals, if it sees all that is in them. Then they only have
    /// to be divided by a power of two, and nothing is left over.
    fn age(&self, window: Window) -> Option<u32> {
        (self.newest <= window.top && window.sees(self.oldest)).then(|| window.top - self.newest)
    }

    /// The totals from one bucket after the other.
    fn walk(&self, arena: &[Bucket<N>], window: Window) -> [u128; N] {
        let newest = self.newest_sums(arena);
        let mut totals = newest.map(|sum| window.weigh(self.newest, sum));
        for node in self.older(arena) {
            for (total, sum) in totals.iter_mut().zip(node.sums) {
                *total += window.weigh(node.bucket, sum);
            }
        }
        totals
    }

    /// Whether the newest bucket takes as much more, by what all buckets together have.
    fn has_room(&self, sums: [u64; N]) -> bool {
        let mut both = self.totals.iter().zip(sums);
        both.all(|(total, sum)| Window::newest_at_most(total.value()) <= u128::from(u64::MAX - sum))
    }

    /// What of the totals is in the newest bucket.
    fn newest_sums(&self, arena: &[Bucket<N>]) -> [u64; N] {
        let window = Window { top: self.newest };
        let mut totals = self.totals.map(Total::value);
        for node in self.older(arena) {
            for (total, sum) in totals.iter_mut().zip(node.sums) {
                *total -= window.weigh(node.bucket, sum);
            }
        }
        totals.map(Window::newest)
    }

    /// Begins a newer bucket with nothing in it.
    fn begin(&mut self, arena: &mut Vec<Bucket<N>>, bucket: u32) {
        let window = Window { top: bucket };
        let totals = self.totals(arena, window).map(Total::new);
        let node = Bucket { bucket: self.newest, older: self.older, sums: self.newest_sums(arena) };
        let older = place(arena);
        arena.push(node);
        *self = Self { newest: bucket, oldest: bucket, older, totals };
        let seen = self.older(arena).map(|node| node.bucket).filter(|bucket| window.sees(*bucket));
        self.oldest = seen.min().unwrap_or(bucket);
    }

    fn older<'a>(&self, arena: &'a [Bucket<N>]) -> impl Iterator<Item = &'a Bucket<N>> {
        let node = |at: u32| arena.get(at as usize);
        std::iter::successors(node(self.older), move |last| node(last.older))
    }

    /// The place of an older bucket in the arena, which has one if it had none.
    fn older_bucket(&mut self, arena: &mut Vec<Bucket<N>>, bucket: u32) -> usize {
        let mut next = self.older;
        while let Some(node) = arena.get(next as usize) {
            if node.bucket == bucket {
                return next as usize;
            }
            next = node.older;
        }
        let at = place(arena);
        arena.push(Bucket { bucket, older: self.older, sums: [0; N] });
        self.older = at;
        at as usize
    }
}

impl Total {
    fn new(value: u128) -> Self {
        Self([value as u32, (value >> 32) as u32, (value >> 64) as u32])
    }

    fn value(self) -> u128 {
        let [low, middle, high] = self.0.map(u128::from);
        low | middle << 32 | high << 64
    }
}

fn place<T>(arena: &[T]) -> u32 {
    u32::try_from(arena.len()).expect("fewer than 2³² buckets")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::decay::RECENT;
    use super::*;

    #[test]
    fn order_does_not_matter_and_what_is_taken_out_leaves_nothing() {
        let window = RECENT.seen_from(30, 1).window;
        let changes = [(4, [5]), (1, [7]), (2, [1]), (4, [2]), (1, [1]), (3, [9])];
        let total = |order: &[usize]| {
            let (mut arena, mut buckets) = (Vec::new(), Buckets::new(0, [0]));
            for at in order {
                buckets.change(&mut arena, changes[*at], false);
            }
            buckets.change(&mut arena, (2, [4]), false);
            buckets.change(&mut arena, (2, [4]), true);
            buckets.totals(&arena, window)
        };
        let expected = total(&[0, 1, 2, 3, 4, 5]);
        for order in [[5, 4, 3, 2, 1, 0], [1, 3, 5, 0, 2, 4], [4, 0, 5, 1, 3, 2]] {
            assert_eq!(total(&order), expected);
        }
        assert_eq!(expected, [(7 << 31) + (9 << 30) + (1 << 29) + (8 << 28)]);
    }

    proptest! {
        /// Against sums by bucket, whatever comes in which order and from where it is seen.
        #[test]
        fn totals_are_those_of_all_buckets_in_sight(
            changes in vec((0..80_u32, prop_oneof![0..=1_u64 << 50, any::<u64>()], any::<bool>()), 1..40),
            views in vec(0..120_u32, 1..8),
            moved in 0..3_usize,
        ) {
            let (first, mut arena) = (changes[0], Vec::new());
            let mut buckets = Buckets::new(first.0, [first.1, 1]);
            let mut plain = BTreeMap::from([(first.0, first.1)]);
            for (bucket, sum, again) in &changes[1..] {
                buckets.change(&mut arena, (*bucket, [*sum, 0]), false);
                if *again {
                    buckets.change(&mut arena, (*bucket, [*sum, 0]), true);
                } else {
                    let plain: &mut u64 = plain.entry(*bucket).or_default();
                    *plain = plain.wrapping_add(*sum);
                }
            }
            // What is out of sight from the newest on can go.
            let newest = changes.iter().map(|(bucket, ..)| *bucket).max().unwrap();
            let now = newest + moved as u32 * 16;
            if moved > 0 {
                let mut kept = Vec::new();
                buckets = buckets.moved(&arena, &mut kept, (now + 1).saturating_sub(32));
                arena = kept;
            }
            for top in views.into_iter().filter(|top| moved == 0 || *top >= now) {
                let window = Window { top };
                let expected: u128 = plain.iter().map(|(bucket, sum)| window.weigh(*bucket, *sum)).sum();
                prop_assert_eq!(buckets.total(&arena, window, 0), expected);
                prop_assert_eq!(buckets.totals(&arena, window), [expected, window.weigh(first.0, 1)]);
            }
        }
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
        let window = RECENT.seen_from(35, 1).window;
        assert_eq!(moved.totals(&kept, window), [(1 << 31) + (1 << 30) + (1 << 29)]);
    }
}
