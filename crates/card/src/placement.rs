//! Where a provider advertises itself under a term: docs/adr/014-pages.md says why the rules are these.

use althing_record::{Millis, NodeId};
use sha2::{Digest, Sha256};

use crate::Page;

/// A page that names so many others takes nobody in. A storing node holds 64, so there is room for those who read it at
/// the same moment.
pub const FULL: usize = 40;

/// Who advertises at a full page stays there, up to so many others. Beyond, one lookup no longer names everybody surely.
pub const STAY_MAX: usize = 48;

/// A page whose parent names fewer others is given up for the parent.
pub const MERGE_MIN: usize = 16;

/// A page further up that names fewer others, while there is something below it, takes in who notices: searchers would
/// soon go no deeper than it.
pub const REFILL_MIN: usize = 32;

/// The longest time between two renewals, in milliseconds: a provider record lives three times as long.
pub const RENEWAL_MS: u64 = 20 * Millis::MINUTE;

/// The time until the first look at whether a new place holds, in milliseconds.
const FIRST_LOOK_MS: u64 = Millis::MINUTE;

/// Where a provider ended its last renewal: what is to be remembered between two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    level: u8,
    /// The levels that it advertises at, a bit for each.
    held: u32,
    /// Renewals since it came here, as far as they matter.
    calm: u8,
}

impl Place {
    /// How many bits its page has.
    #[must_use]
    pub fn level(self) -> u8 {
        self.level
    }

    /// How long to wait for the next renewal, in milliseconds, by a random number: a minute after a move, then twice as
    /// long each time, up to [`RENEWAL_MS`].
    #[must_use]
    pub fn rest_ms(self, draw: u64) -> u64 {
        let longest = (FIRST_LOOK_MS << self.calm.min(10)).min(RENEWAL_MS);
        longest - draw % (longest / 4)
    }

    fn holds(self, level: u8) -> bool {
        self.held >> level & 1 == 1
    }
}

/// One renewal of a provider under one term: which pages to read, one after the other, and then where to advertise.
///
/// ```
/// use althing_card::{Page, Place, Placement};
/// use althing_record::NodeKey;
///
/// let node = NodeKey::from_seed(&[7; 32]).node();
/// let mut placement = Placement::new(&node, &[1; 32], Place::default(), 0);
/// while placement.next().is_some() {
///     placement.answer(Some(3));
/// }
/// assert_eq!(placement.pages(), [Page::ROOT]);
/// ```
#[derive(Clone, Debug)]
pub struct Placement {
    /// The deepest page of this provider.
    deepest: Page,
    level: u8,
    began: Place,
    /// How far up it advertises without looking.
    lot: u8,
    /// How far up it looks this time.
    look: u8,
    /// The levels whose place it keeps this time, if it has one there.
    keeps: u32,
    next: Next,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// The page where the provider is or would be.
    Own,
    /// The one above.
    Parent,
    /// One further up, at this level.
    Ancestor(u8),
    Nothing,
}

impl Placement {
    /// Begins a renewal. `key` is the term's root key, `began` where the last renewal ended, and `draw` a random number.
    #[must_use]
    pub fn new(node: &NodeId, key: &[u8; 32], began: Place, draw: u64) -> Self {
        // Two bits for each level: one chance in four to let go.
        let keeps = (0..Page::BITS_MAX).filter(|level| draw >> (32 + 2 * level) & 3 != 0);
        Self {
            deepest: Page::of(node, Page::BITS_MAX),
            level: began.level,
            began,
            lot: lot(node, key),
            look: u8::try_from(draw.trailing_zeros() + 1).unwrap_or(u8::MAX),
            keeps: keeps.fold(0, |keeps, level| keeps | 1 << level),
            next: Next::Own,
        }
    }

    /// The page to read next; none when the renewal has come to an end.
    #[must_use]
    pub fn next(&self) -> Option<Page> {
        let level = match self.next {
            Next::Own => self.level,
            Next::Parent => self.level - 1,
            Next::Ancestor(level) => level,
            Next::Nothing => return None,
        };
        Some(self.deepest.above(level))
    }

    /// Takes how many other providers the page of [`Placement::next`] named; none if it did not answer.
    pub fn answer(&mut self, others: Option<usize>) {
        self.next = match (self.next, others) {
            (Next::Nothing, _) => Next::Nothing,
            // Nothing is known, so nothing is changed.
            (Next::Own | Next::Ancestor(_), None) => Next::Nothing,
            (Next::Own, Some(others)) if self.level == Page::BITS_MAX || self.can_rely_on(others) => {
                // Who came from above just now knows what is there.
                if self.level > self.began.level || self.level == 0 { Next::Nothing } else { Next::Parent }
            }
            (Next::Own, Some(_)) => {
                self.level += 1;
                Next::Own
            }
            (Next::Parent, Some(others)) if others < MERGE_MIN => self.rise(self.level - 1),
            (Next::Parent, _) => {
                // Each of the pages above is looked at with half the chance of the one below it: as the providers
                // below double with each level, all pages are looked at equally often.
                match self.level.checked_sub(std::mem::replace(&mut self.look, 0)) {
                    Some(level) if level + 1 < self.level => Next::Ancestor(level),
                    Some(_) | None => Next::Nothing,
                }
            }
            (Next::Ancestor(level), Some(others)) if others < REFILL_MIN => self.rise(level),
            (Next::Ancestor(_), Some(_)) => Next::Nothing,
        };
    }

    fn rise(&mut self, level: u8) -> Next {
        self.level = level;
        if level > 0 { Next::Parent } else { Next::Nothing }
    }

    /// Whether the own page, with so many others, is enough to be found.
    fn can_rely_on(&self, others: usize) -> bool {
        others < FULL || self.began.holds(self.level) && others < STAY_MAX
    }

    /// Where the provider is now.
    #[must_use]
    pub fn place(&self) -> Place {
        let calm = if self.level == self.began.level { self.began.calm.saturating_add(1) } else { 0 };
        let held = self.levels().fold(0, |held, level| held | 1 << level);
        Place { level: self.level, held, calm }
    }

    /// Where to advertise now, its page first: there, at the parent, at those above that its lot names, and for a while
    /// where it was before.
    #[must_use]
    pub fn pages(&self) -> Vec<Page> {
        self.levels().map(|level| self.deepest.above(level)).collect()
    }

    fn levels(&self) -> impl Iterator<Item = u8> + '_ {
        (0..=self.level).rev().filter(|level| match self.level - level {
            0 | 1 => true,
            distance => {
                distance <= self.lot.saturating_add(1)
                    || self.began.holds(*level) && self.keeps >> level & 1 == 1
            }
        })
    }
}

/// How many pages above its parent a provider advertises at, for good: one of two providers none, one of four one, and so
/// on. So a page gets as many from five levels below as from two.
fn lot(node: &NodeId, key: &[u8; 32]) -> u8 {
    let hash: [u8; 32] = Sha256::new()
        .chain_update(b"althing/lot/1")
        .chain_update(key)
        .chain_update(node.to_peer_id_bytes())
        .finalize()
        .into();
    u8::try_from(u128::from_be_bytes(std::array::from_fn(|at| hash[at])).leading_zeros())
        .unwrap_or(0)
        .min(Page::BITS_MAX)
}

#[cfg(test)]
mod tests {
    use althing_record::NodeKey;

    use super::*;

    /// Looks no further than the parent and lets nothing go.
    const QUIET: u64 = u64::MAX;

    fn at(level: u8, held: &[u8]) -> Place {
        Place { level, held: held.iter().fold(0, |held, level| held | 1 << level), calm: 0 }
    }

    fn placement(place: Place, draw: u64) -> Placement {
        // The lot of this one names no page.
        let who = Placement::new(&NodeKey::from_seed(&[7; 32]).node(), &[1; 32], place, draw);
        Placement { lot: 0, ..who }
    }

    /// Answers each page by its number of bits, and says which were read.
    fn renew(placement: &mut Placement, others: impl Fn(u8) -> usize) -> Vec<u8> {
        let mut read = Vec::new();
        while let Some(page) = placement.next() {
            read.push(page.bits());
            placement.answer(Some(others(page.bits())));
        }
        read
    }

    fn levels(placement: &Placement) -> Vec<u8> {
        placement.pages().iter().map(|page| page.bits()).collect()
    }

    #[test]
    fn the_first_page_that_is_not_full_is_taken() {
        let mut new = placement(at(0, &[]), QUIET);
        assert_eq!(renew(&mut new, |bits| if bits < 3 { FULL } else { FULL - 1 }), [0, 1, 2, 3]);
        assert_eq!(levels(&new), [3, 2]);
        let mut new = placement(at(0, &[]), QUIET);
        assert_eq!(renew(&mut new, |_| FULL - 1), [0]);
        assert_eq!(new.pages(), [Page::ROOT]);
    }

    #[test]
    fn who_is_at_a_full_page_stays_while_one_lookup_names_everybody() {
        let mut old = placement(at(2, &[1, 2]), QUIET);
        assert_eq!(renew(&mut old, |_| STAY_MAX - 1), [2, 1]);
        assert_eq!(levels(&old), [2, 1]);
        let mut old = placement(at(2, &[1, 2]), QUIET);
        assert_eq!(renew(&mut old, |bits| if bits == 2 { STAY_MAX } else { 20 }), [2, 3]);
        assert_eq!(levels(&old), [3, 2, 1], "it keeps its places above");
    }

    #[test]
    fn places_above_are_let_go_one_after_the_other() {
        let mut place = at(9, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        let (mut draw, mut kept) = (0x9e37_79b9_7f4a_7c15_u64, Vec::new());
        for _ in 0..12 {
            draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1) | 1;
            let mut who = placement(place, draw);
            renew(&mut who, |_| FULL - 1);
            place = who.place();
            kept.push(who.pages().len() - 2);
        }
        assert!(kept.windows(2).all(|two| two[0] >= two[1]), "{kept:?}");
        assert!(kept[0] > 3 && kept[11] < 3, "{kept:?}");
    }

    #[test]
    fn an_emptied_parent_takes_back_what_split_off() {
        let mut last = placement(at(5, &[]), QUIET);
        assert_eq!(renew(&mut last, |bits| if bits < 2 { 30 } else { 3 }), [5, 4, 3, 2, 1]);
        assert_eq!(levels(&last), [2, 1]);
        let mut last = placement(at(5, &[0, 5]), QUIET);
        renew(&mut last, |_| MERGE_MIN - 1);
        assert_eq!(last.place(), at(0, &[0]));
    }

    #[test]
    fn a_hollow_page_further_up_is_refilled_by_who_looks() {
        // A draw with two zeros at its end looks three levels up.
        let three = u64::MAX << 2;
        let mut who = placement(at(5, &[]), three);
        assert_eq!(renew(&mut who, |bits| if bits == 2 { REFILL_MIN - 1 } else { 35 }), [5, 4, 2, 1]);
        assert_eq!(levels(&who), [2, 1]);
        let mut who = placement(at(5, &[]), three);
        assert_eq!(renew(&mut who, |bits| if bits == 2 { REFILL_MIN } else { 35 }), [5, 4, 2]);
        assert_eq!(levels(&who), [5, 4]);
        for draw in [1, 1 << 5, 1 << 40, 0] {
            assert_eq!(renew(&mut placement(at(5, &[]), draw), |_| 35), [5, 4], "draw {draw}");
        }
    }

    #[test]
    fn silence_changes_nothing() {
        let mut who = placement(at(4, &[3, 4]), QUIET);
        while who.next().is_some() {
            who.answer(None);
        }
        assert_eq!(levels(&who), [4, 3]);
        who.answer(Some(0));
        assert_eq!(levels(&who), [4, 3], "nothing was asked");
    }

    #[test]
    fn a_renewal_ends_whatever_is_answered() {
        for others in [0, MERGE_MIN, FULL, STAY_MAX, usize::MAX] {
            for level in [0, 1, 9, Page::BITS_MAX] {
                let mut who = placement(at(level, &[0, 1, 16]), u64::MAX << 2);
                assert!(renew(&mut who, |_| others).len() <= 2 * usize::from(Page::BITS_MAX) + 1);
            }
        }
    }

    #[test]
    fn renewals_are_frequent_after_a_move_and_never_too_late() {
        let rests = |mut place: Place, draw: u64| {
            let rests = (0..8).map(|_| {
                let mut who = placement(place, QUIET);
                renew(&mut who, |_| 5);
                place = who.place();
                place.rest_ms(draw) / 1_000
            });
            rests.collect::<Vec<_>>()
        };
        let start = Place { calm: 9, ..at(1, &[]) };
        assert_eq!(rests(start, 0), [60, 120, 240, 480, 960, 1_200, 1_200, 1_200]);
        assert_eq!(rests(start, 299_999)[7], 900, "a quarter earlier at most");
    }

    #[test]
    fn lots_halve_with_each_level_and_last() {
        let far = (0..2_000_u16).map(|n| {
            let mut seed = [0; 32];
            seed[..2].copy_from_slice(&n.to_be_bytes());
            lot(&NodeKey::from_seed(&seed).node(), &[1; 32])
        });
        let lots: Vec<_> = far.collect();
        let of = |least: u8| lots.iter().filter(|lot| **lot >= least).count();
        assert!((900..1_100).contains(&of(1)) && (190..310).contains(&of(3)), "{} {}", of(1), of(3));
    }
}
