//! Where a provider advertises itself under a term: docs/adr/014-pages.md says why the rules are these.

use althing_record::{Millis, NodeId};
use sha2::{Digest, Sha256};

use crate::Page;

/// A page that names so many others takes nobody in. A storing node holds 64, so there is room for those who read it at
/// the same moment.
pub const FULL: usize = 40;

/// Who is named by a full page stays there, up to so many others. Beyond, one lookup no longer names everybody surely.
pub const STAY_MAX: usize = 48;

/// A page whose parent names fewer others is given up for the parent.
pub const MERGE_MIN: usize = 16;

/// A page further up that names fewer others, while there is something below it, takes in who notices: searchers would
/// soon go no deeper than it.
pub const REFILL_MIN: usize = 32;

/// What a page answered to a provider who read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// How many other providers it named.
    pub others: usize,
    /// Whether it named the reader.
    pub named: bool,
}

impl Reading {
    /// Whether the reader can rely on this page alone.
    fn carries(self) -> bool {
        self.others < FULL || self.named && self.others < STAY_MAX
    }

    /// Whether it is worth while to be named there by the way.
    fn has_a_place(self) -> bool {
        self.others < FULL || self.named
    }
}

/// The longest time between two renewals, in milliseconds: a provider record lives three times as long.
pub const RENEWAL_MS: u64 = 20 * Millis::MINUTE;

/// The time until the first look at whether a new place holds, in milliseconds.
const FIRST_LOOK_MS: u64 = Millis::MINUTE;

/// Where a provider ended its last renewal: what is to be remembered between two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    level: u8,
    /// The levels above at which it was named when it went on: it keeps its place there.
    kept: u16,
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
}

/// One renewal of a provider under one term: which pages to read, one after the other, and then where to advertise.
///
/// ```
/// use althing_card::{Page, Place, Placement, Reading};
/// use althing_record::NodeKey;
///
/// let node = NodeKey::from_seed(&[7; 32]).node();
/// let mut placement = Placement::new(&node, &[1; 32], Place::default(), 0);
/// while placement.next().is_some() {
///     placement.answer(Some(Reading { others: 3, named: false }));
/// }
/// assert_eq!(placement.pages(), [Page::ROOT]);
/// ```
#[derive(Clone, Debug)]
pub struct Placement {
    /// The deepest page of this provider.
    deepest: Page,
    level: u8,
    kept: u16,
    began: Place,
    /// How far up it advertises without looking.
    lot: u8,
    /// How far up it looks this time.
    look: u8,
    next: Next,
    /// Whether the parent has a place.
    in_parent: bool,
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
        let look = u8::try_from(draw.trailing_zeros() + 1).unwrap_or(u8::MAX);
        let deepest = Page::of(node, Page::BITS_MAX);
        Self {
            deepest,
            level: began.level,
            kept: began.kept,
            began,
            lot: lot(node, key),
            look,
            next: Next::Own,
            in_parent: true,
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

    /// Takes what the page of [`Placement::next`] answered; none if it did not.
    pub fn answer(&mut self, reading: Option<Reading>) {
        self.next = match (self.next, reading) {
            (Next::Nothing, _) => Next::Nothing,
            // Nothing is known, so nothing is changed.
            (Next::Own | Next::Ancestor(_), None) => Next::Nothing,
            (Next::Own, Some(page)) if page.carries() || self.level == Page::BITS_MAX => {
                if self.level > self.began.level || self.level == 0 {
                    // It came from above just now and knows what is there.
                    Next::Nothing
                } else {
                    Next::Parent
                }
            }
            (Next::Own, Some(page)) => {
                self.kept |= u16::from(page.named) << self.level;
                self.level += 1;
                self.in_parent = page.has_a_place();
                Next::Own
            }
            (Next::Parent, Some(page)) if page.others < MERGE_MIN => self.rise(self.level - 1),
            (Next::Parent, page) => {
                self.in_parent = page.is_none_or(Reading::has_a_place);
                // Each of the pages above is looked at with half the chance of the one below it: as the pages
                // below double with each level, all are looked at equally often.
                match self.level.checked_sub(std::mem::replace(&mut self.look, 0)) {
                    Some(level) if level + 1 < self.level => Next::Ancestor(level),
                    Some(_) | None => Next::Nothing,
                }
            }
            (Next::Ancestor(level), Some(page)) if page.others < REFILL_MIN => self.rise(level),
            (Next::Ancestor(_), Some(_)) => Next::Nothing,
        };
    }

    fn rise(&mut self, level: u8) -> Next {
        self.level = level;
        self.kept &= !(u16::MAX.checked_shl(level.into()).unwrap_or(0));
        self.in_parent = true;
        if level > 0 { Next::Parent } else { Next::Nothing }
    }

    /// Where the provider is now.
    #[must_use]
    pub fn place(&self) -> Place {
        let calm = if self.level == self.began.level { self.began.calm.saturating_add(1) } else { 0 };
        Place { level: self.level, kept: self.kept, calm }
    }

    /// Where to advertise now, its page first: there, at the parent, at those above that its lot names, and where it was
    /// named before.
    #[must_use]
    pub fn pages(&self) -> Vec<Page> {
        let is_wanted = |level: &u8| {
            let distance = self.level - level;
            distance == 0
                || distance == 1 && self.in_parent
                || distance > 1 && distance <= self.lot.saturating_add(1)
                || self.kept >> level & 1 == 1
        };
        (0..=self.level).rev().filter(is_wanted).map(|level| self.deepest.above(level)).collect()
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

    const QUIET: u64 = 1;

    fn placement(level: u8, draw: u64) -> Placement {
        let place = Place { level, ..Place::default() };
        Placement::new(&NodeKey::from_seed(&[7; 32]).node(), &[1; 32], place, draw)
    }

    /// Answers each page by its number of bits, and says which were read.
    fn renew(placement: &mut Placement, answer: impl Fn(u8) -> (usize, bool)) -> Vec<u8> {
        let mut read = Vec::new();
        while let Some(page) = placement.next() {
            read.push(page.bits());
            let (others, named) = answer(page.bits());
            placement.answer(Some(Reading { others, named }));
        }
        read
    }

    #[test]
    fn the_first_page_that_is_not_full_is_taken() {
        let mut new = placement(0, QUIET);
        assert_eq!(renew(&mut new, |bits| (if bits < 3 { FULL } else { FULL - 1 }, false)), [0, 1, 2, 3]);
        assert_eq!(new.level, 3);
        // The parent is full and does not name it: there is no place.
        assert!(!new.pages().contains(&new.deepest.above(2)));
        let mut new = placement(0, QUIET);
        assert_eq!(renew(&mut new, |_| (FULL - 1, false)), [0]);
        assert_eq!(new.pages(), [Page::ROOT]);
    }

    #[test]
    fn who_is_named_stays_while_the_page_can_name_everybody() {
        let mut old = placement(2, QUIET);
        assert_eq!(renew(&mut old, |_| (STAY_MAX - 1, true)), [2, 1]);
        assert_eq!(old.level, 2);
        assert_eq!(old.pages()[..2], [old.deepest.above(2), old.deepest.above(1)]);
        let mut old = placement(2, QUIET);
        assert_eq!(renew(&mut old, |bits| (if bits == 2 { STAY_MAX } else { 20 }, true)), [2, 3]);
        assert_eq!(old.level, 3);
        let above = old.deepest.above(2);
        assert!(old.pages().contains(&above), "it keeps its place above");
        // Also when it goes on, and even if that one is over full by then; until it rises.
        let mut later = Placement { began: old.place(), ..old };
        later.next = Next::Own;
        renew(&mut later, |bits| (if bits < 5 { 60 } else { 20 }, false));
        assert_eq!((later.level, later.pages().contains(&above)), (5, true));
        let mut back = Placement { began: later.place(), ..later };
        back.next = Next::Own;
        renew(&mut back, |_| (3, false));
        assert_eq!((back.level, back.kept), (0, 0));
    }

    #[test]
    fn an_emptied_parent_takes_back_what_split_off() {
        let mut last = placement(5, QUIET);
        assert_eq!(renew(&mut last, |bits| (if bits < 2 { 30 } else { 3 }, true)), [5, 4, 3, 2, 1]);
        assert_eq!(last.level, 2);
        let mut last = placement(5, QUIET);
        renew(&mut last, |_| (MERGE_MIN - 1, true));
        assert_eq!((last.level, last.pages()), (0, vec![Page::ROOT]));
    }

    #[test]
    fn a_hollow_page_further_up_is_refilled_by_who_looks() {
        // A draw with two zeros looks three levels up.
        let mut who = placement(5, 0b100);
        assert_eq!(renew(&mut who, |bits| (if bits == 2 { REFILL_MIN - 1 } else { 35 }, true)), [5, 4, 2, 1]);
        assert_eq!(who.level, 2);
        let mut who = placement(5, 0b100);
        assert_eq!(renew(&mut who, |bits| (if bits == 2 { REFILL_MIN } else { 35 }, true)), [5, 4, 2]);
        assert_eq!(who.level, 5);
        for draw in [1, 1 << 5, 1 << 40, 0] {
            assert_eq!(renew(&mut placement(5, draw), |_| (35, true)), [5, 4], "draw {draw}");
        }
    }

    #[test]
    fn silence_changes_nothing() {
        let mut who = placement(4, 0b100);
        while who.next().is_some() {
            who.answer(None);
        }
        assert_eq!(who.level, 4);
        assert_eq!(who.pages()[..2], [who.deepest.above(4), who.deepest.above(3)]);
        who.answer(Some(Reading { others: 0, named: false }));
        assert_eq!(who.level, 4, "nothing was asked");
    }

    #[test]
    fn a_renewal_ends_whatever_is_answered() {
        for answer in [0, MERGE_MIN, FULL, STAY_MAX, usize::MAX] {
            for level in [0, 1, 9, Page::BITS_MAX] {
                let mut who = placement(level, 0b100);
                assert!(renew(&mut who, |_| (answer, false)).len() <= 2 * usize::from(Page::BITS_MAX) + 1);
            }
        }
    }

    #[test]
    fn renewals_are_frequent_after_a_move_and_never_too_late() {
        let rests = |mut place: Place, draw: u64| {
            let rests = (0..8).map(|_| {
                let mut who = Placement::new(&NodeKey::from_seed(&[7; 32]).node(), &[1; 32], place, QUIET);
                renew(&mut who, |_| (5, false));
                place = who.place();
                place.rest_ms(draw) / 1_000
            });
            rests.collect::<Vec<_>>()
        };
        let start = Place { level: 1, calm: 9, ..Place::default() };
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
