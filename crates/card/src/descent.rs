use std::collections::{BTreeMap, BTreeSet};

use crate::Page;

/// A page that names so many providers has more below it. More than one address range can bring into a page (16), and
/// fewer than a page above others is kept filled with ([`crate::REFILL_MIN`]).
pub const DESCEND_MIN: usize = 24;

/// A search under one term: which pages to read, in which order, and whether all were read.
///
/// Pages are read from the root and from those that are remembered as split, in any order, so that the root is not asked
/// first by everybody.
#[derive(Clone, Debug)]
pub struct Descent {
    waiting: BTreeSet<Page>,
    under_way: BTreeSet<Page>,
    /// How many providers each page named; none if it did not answer.
    read: BTreeMap<Page, Option<usize>>,
    remembered: BTreeSet<Page>,
    pages_max: usize,
    /// Pages beyond the bound.
    left: bool,
}

impl Descent {
    /// Begins a search that reads at most `pages_max` pages. `remembered` are the pages that were split when they were
    /// last read.
    #[must_use]
    pub fn new(remembered: BTreeSet<Page>, pages_max: usize) -> Self {
        let mut descent = Self {
            waiting: BTreeSet::new(),
            under_way: BTreeSet::new(),
            read: BTreeMap::new(),
            remembered: BTreeSet::new(),
            pages_max,
            left: false,
        };
        descent.want(Page::ROOT);
        for page in &remembered {
            descent.want(*page);
            page.children().into_iter().flatten().for_each(|page| descent.want(page));
        }
        descent.remembered = remembered;
        descent
    }

    fn want(&mut self, page: Page) {
        if self.read.contains_key(&page) || self.under_way.contains(&page) || self.waiting.contains(&page) {
            return;
        }
        if self.pages() < self.pages_max {
            self.waiting.insert(page);
        } else {
            self.left = true;
        }
    }

    /// A page to read now, chosen by a random number; none if none waits.
    pub fn next(&mut self, draw: u64) -> Option<Page> {
        let count = u64::try_from(self.waiting.len()).unwrap_or(u64::MAX).max(1);
        let at = usize::try_from(draw % count).unwrap_or(0);
        let page = *self.waiting.iter().nth(at)?;
        self.waiting.remove(&page);
        self.under_way.insert(page);
        Some(page)
    }

    /// Has a page read now, if it waits.
    pub fn take(&mut self, page: Page) -> bool {
        self.waiting.remove(&page) && self.under_way.insert(page)
    }

    /// Takes how many providers a page named; none if it did not answer.
    pub fn answer(&mut self, page: Page, named: Option<usize>) {
        if !self.under_way.remove(&page) {
            return;
        }
        self.read.insert(page, named);
        // What is below a silent page is not lost if it was seen before.
        let is_split = named.map_or(self.remembered.contains(&page), |named| named >= DESCEND_MIN);
        if is_split {
            page.children().into_iter().flatten().for_each(|page| self.want(page));
        }
    }

    /// Whether no page waits and none is under way.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_empty()
    }

    /// Whether there were more pages than it may read.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.left
    }

    /// How many pages are known of, read or not.
    #[must_use]
    pub fn pages(&self) -> usize {
        self.waiting.len() + self.under_way.len() + self.read.len()
    }

    /// How many pages answered.
    #[must_use]
    pub fn answered(&self) -> usize {
        self.read.values().flatten().count()
    }

    /// How many pages are known of and not read yet.
    #[must_use]
    pub fn unread(&self) -> usize {
        self.waiting.len() + self.under_way.len()
    }

    /// What the page named, if it was read; none inside if it did not answer.
    #[must_use]
    pub fn named(&self, page: Page) -> Option<Option<usize>> {
        self.read.get(&page).copied()
    }

    /// The pages that are known to be split now: what to remember.
    #[must_use]
    pub fn split(&self) -> BTreeSet<Page> {
        let now = |page: &Page| match self.read.get(page) {
            Some(Some(named)) => *named >= DESCEND_MIN,
            Some(None) | None => self.remembered.contains(page),
        };
        self.read.keys().chain(&self.remembered).copied().filter(now).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads everything, in an order that `draw` decides.
    fn read(descent: &mut Descent, draw: u64, named: impl Fn(Page) -> Option<usize>) -> BTreeSet<String> {
        let mut pages = BTreeSet::new();
        while let Some(page) = descent.next(draw) {
            assert!(pages.insert(page.to_string()), "read twice");
            descent.answer(page, named(page));
        }
        assert!(descent.is_done());
        pages
    }

    fn pages<const N: usize>(texts: [&str; N]) -> BTreeSet<String> {
        texts.map(ToOwned::to_owned).into()
    }

    fn left_half(page: Page) -> Option<usize> {
        // "" and "0" are split.
        Some(if page.bits() == 0 || page.to_string() == "0" { DESCEND_MIN } else { DESCEND_MIN - 1 })
    }

    #[test]
    fn both_halves_of_every_split_page_are_read_in_any_order() {
        for draw in 0..5 {
            let mut descent = Descent::new(BTreeSet::new(), 100);
            assert_eq!(read(&mut descent, draw, left_half), pages(["", "0", "1", "00", "01"]));
            assert_eq!((descent.pages(), descent.answered(), descent.is_cut()), (5, 5, false));
            let split: BTreeSet<_> = descent.split().iter().map(ToString::to_string).collect();
            assert_eq!(split, pages(["", "0"]));
        }
    }

    #[test]
    fn what_was_split_is_read_at_once_and_forgotten_when_it_is_not() {
        let mut first = Descent::new(BTreeSet::new(), 100);
        read(&mut first, 0, left_half);
        let mut second = Descent::new(first.split(), 100);
        assert_eq!(second.pages(), 5, "before anything is answered");
        let small = |_| Some(1);
        assert_eq!(read(&mut second, 0, small).len(), 5);
        assert_eq!(second.split(), BTreeSet::new());
    }

    #[test]
    fn a_silent_page_hides_nothing_that_was_seen_before() {
        let mut first = Descent::new(BTreeSet::new(), 100);
        read(&mut first, 0, left_half);
        let mut second = Descent::new(first.split(), 100);
        let silent = |page: Page| if page.bits() == 1 { None } else { left_half(page) };
        assert_eq!(read(&mut second, 0, silent), pages(["", "0", "1", "00", "01"]));
        assert_eq!((second.pages(), second.answered()), (5, 3));
        assert_eq!(second.split(), first.split());
    }

    #[test]
    fn pages_beyond_the_bound_are_left_and_that_is_said() {
        let mut descent = Descent::new(BTreeSet::new(), 9);
        assert_eq!(read(&mut descent, 0, |_| Some(DESCEND_MIN)).len(), 9);
        assert!(descent.is_cut());
    }

    #[test]
    fn one_page_can_be_read_before_all_others() {
        let mut first = Descent::new(BTreeSet::new(), 100);
        read(&mut first, 0, left_half);
        let mut second = Descent::new(first.split(), 100);
        assert!(second.take(Page::ROOT) && !second.take(Page::ROOT));
        assert_eq!((second.named(Page::ROOT), second.unread()), (None, 5));
        second.answer(Page::ROOT, None);
        assert_eq!((second.named(Page::ROOT), second.unread()), (Some(None), 4));
        assert_eq!(read(&mut second, 0, left_half).len(), 4);
    }

    #[test]
    fn the_order_depends_on_the_draw() {
        let mut first = Descent::new(BTreeSet::new(), 100);
        read(&mut first, 0, left_half);
        let begin = |draw| Descent::new(first.split(), 100).next(draw).map(|page| page.to_string());
        assert_eq!((0..5).filter_map(begin).collect::<BTreeSet<_>>().len(), 5);
    }
}
