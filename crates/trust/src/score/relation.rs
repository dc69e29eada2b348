use super::bucket::{Bucket, Buckets};
use super::counts::Weighed;
use super::decay::{BAD, GOOD, RECENT, Sight};
use super::view::Opinion;

/// Qualities are summed in hundredths of a call.
const HUNDRED: u64 = super::QUALITY_MAX as u64;

/// All that one rater says of one target: decayed sums of the three factors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Relation {
    good: Buckets<3>,
    bad: Buckets<3>,
    recent: Buckets<4>,
}

/// The older buckets of all relations.
#[derive(Clone, Debug, Default)]
pub(super) struct Arena {
    good: Vec<Bucket<3>>,
    bad: Vec<Bucket<3>>,
    recent: Vec<Bucket<4>>,
}

/// How the sums of every kind look from one rating epoch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sights {
    good: [Sight; 2],
    bad: [Sight; 2],
    recent: [Sight; 2],
}

/// Decayed counts of good and bad calls, in units of 2⁻¹⁶.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Experience {
    pub(super) good: u64,
    pub(super) bad: u64,
}

/// What is rated, in the order of the sums.
pub(super) const RELIABILITY: usize = 0;
pub(super) const QUALITY: usize = 1;
pub(super) const RESPONSIVENESS: usize = 2;

impl Arena {
    pub(super) fn len(&self) -> usize {
        self.good.len() + self.bad.len() + self.recent.len()
    }
}

impl Sights {
    pub(super) fn at(epoch: u32) -> Self {
        let of = |half_life: &super::decay::HalfLife| {
            [half_life.seen_from(epoch, 1), half_life.seen_from(epoch, HUNDRED)]
        };
        Self { good: of(&GOOD), bad: of(&BAD), recent: of(&RECENT) }
    }
}

impl Relation {
    pub(super) fn new(weighed: &Weighed) -> Self {
        Self {
            good: Buckets::new(weighed.good.0, weighed.good.1),
            bad: Buckets::new(weighed.bad.0, weighed.bad.1),
            recent: Buckets::new(weighed.recent.0, weighed.recent.1),
        }
    }

    /// Adds counts, or takes them out.
    pub(super) fn change(&mut self, arena: &mut Arena, weighed: &Weighed, out: bool) {
        self.good.change(&mut arena.good, weighed.good, out);
        self.bad.change(&mut arena.bad, weighed.bad, out);
        self.recent.change(&mut arena.recent, weighed.recent, out);
    }

    /// How well the target answered, over the long half-lives.
    pub(super) fn reliability(&self, arena: &Arena, sights: &Sights) -> Experience {
        let good = self.good.total(&arena.good, sights.good[0].window, RELIABILITY);
        let bad = self.bad.total(&arena.bad, sights.bad[0].window, RELIABILITY);
        Experience { good: sights.good[0].decayed(good), bad: sights.bad[0].decayed(bad) }
    }

    /// All three factors over the long half-lives.
    pub(super) fn long(&self, arena: &Arena, sights: &Sights) -> [Experience; 3] {
        let good = self.good.totals(&arena.good, sights.good[0].window);
        let bad = self.bad.totals(&arena.bad, sights.bad[0].window);
        [RELIABILITY, QUALITY, RESPONSIVENESS].map(|factor| {
            let scale = usize::from(factor == QUALITY);
            Experience {
                good: sights.good[scale].decayed(good[factor]),
                bad: sights.bad[scale].decayed(bad[factor]),
            }
        })
    }

    /// What follows for the three factors over the long half-lives, when what follows for reliability is known.
    pub(super) fn long_opinions(
        &self,
        arena: &Arena,
        sights: &Sights,
        reliability: Option<Opinion>,
    ) -> [Option<Opinion>; 3] {
        let good = self.good.totals(&arena.good, sights.good[0].window);
        let bad = self.bad.totals(&arena.bad, sights.bad[0].window);
        let of = |factor: usize, scale: usize| {
            let parts = if scale == 0 { 1 } else { u128::from(HUNDRED) };
            // Mostly the factors have the same numbers, and then the same opinion.
            if good[factor] == parts * good[RELIABILITY] && bad[factor] == parts * bad[RELIABILITY] {
                return reliability;
            }
            Opinion::of(Experience {
                good: sights.good[scale].decayed(good[factor]),
                bad: sights.bad[scale].decayed(bad[factor]),
            })
        };
        [reliability, of(QUALITY, 1), of(RESPONSIVENESS, 0)]
    }

    /// What follows for the three factors over the short half-life.
    pub(super) fn recent_opinions(&self, arena: &Arena, sights: &Sights) -> [Option<Opinion>; 3] {
        let [ok, quality, in_time, count] = self.recent.totals(&arena.recent, sights.recent[0].window);
        let of = |scale: usize, good: u128, all: u128| {
            Opinion::of(Experience {
                good: sights.recent[scale].decayed(good),
                // Sums that passed 2⁶⁴ begin anew, each by itself.
                bad: sights.recent[scale].decayed(all.saturating_sub(good)),
            })
        };
        let reliability = of(0, ok, count);
        let hundred = u128::from(HUNDRED);
        let quality = if quality == hundred * ok { reliability } else { of(1, quality, hundred * count) };
        let responsiveness = if in_time == ok { reliability } else { of(0, in_time, count) };
        [reliability, quality, responsiveness]
    }

    /// The same in another arena, without buckets that count nothing any more from `epoch` on.
    pub(super) fn moved(&self, from: &Arena, to: &mut Arena, epoch: u32) -> Self {
        let oldest = |half_life: &super::decay::HalfLife| half_life.place(half_life.horizon(epoch)).0;
        Self {
            good: self.good.moved(&from.good, &mut to.good, oldest(&GOOD)),
            bad: self.bad.moved(&from.bad, &mut to.bad, oldest(&BAD)),
            recent: self.recent.moved(&from.recent, &mut to.recent, oldest(&RECENT)),
        }
    }

    /// Whether nothing of it counts any more from `epoch` on.
    pub(super) fn is_faded(&self, epoch: u32) -> bool {
        self.bad.is_older_than(BAD.place(BAD.horizon(epoch)).0)
    }
}
