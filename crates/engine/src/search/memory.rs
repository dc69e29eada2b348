use std::collections::{BTreeMap, BTreeSet};

use althing_card::{Page, Term};

use crate::Found;

/// Most terms whose split pages are remembered; beyond, the one that was searched for longest ago is forgotten.
pub const TERMS_REMEMBERED_MAX: usize = 64;

/// Most finished readings that are remembered; beyond, the oldest is forgotten.
pub const READINGS_MAX: usize = 16;

/// How long what a reading brought is gone through page by page without asking again, in milliseconds.
const READING_MS: u64 = 60_000;

/// What searches leave behind for the next one.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// The pages that were split when they were last read, and when the term was last searched for.
    split: BTreeMap<Term, (u64, BTreeSet<Page>)>,
    /// When the network was read in full for a query, and how.
    readings: BTreeMap<String, (u64, Found)>,
}

impl Memory {
    pub(crate) fn split(&self, term: &Term) -> BTreeSet<Page> {
        self.split.get(term).map(|(_, pages)| pages.clone()).unwrap_or_default()
    }

    pub(crate) fn remember(&mut self, term: &Term, split: BTreeSet<Page>, ticks: u64) {
        if split.is_empty() {
            self.split.remove(term);
            return;
        }
        self.split.insert(term.clone(), (ticks, split));
        if self.split.len() > TERMS_REMEMBERED_MAX {
            let oldest = self.split.iter().min_by_key(|(_, (at, _))| *at).map(|(term, _)| term.clone());
            oldest.map(|term| self.split.remove(&term));
        }
    }

    /// How the network was read for a query a moment ago, without the agents.
    pub(crate) fn reading(&self, query: &str, ticks: u64) -> Option<&Found> {
        let (at, found) = self.readings.get(query)?;
        (ticks.saturating_sub(*at) < READING_MS).then_some(found)
    }

    pub(crate) fn note_reading(&mut self, query: String, found: Found, ticks: u64) {
        self.readings.insert(query, (ticks, found));
        if self.readings.len() > READINGS_MAX {
            let oldest = self.readings.iter().min_by_key(|(_, (at, _))| *at).map(|(query, _)| query.clone());
            oldest.map(|query| self.readings.remove(&query));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(n: usize) -> Term {
        Term::Skill(format!("skill-{n}").parse().unwrap())
    }

    #[test]
    fn the_term_that_was_searched_for_longest_ago_is_forgotten() {
        let mut memory = Memory::default();
        for n in 0..=TERMS_REMEMBERED_MAX {
            memory.remember(&term(n), [Page::ROOT].into(), n as u64);
        }
        assert_eq!(memory.split.len(), TERMS_REMEMBERED_MAX);
        assert!(memory.split(&term(0)).is_empty() && !memory.split(&term(1)).is_empty());
        memory.remember(&term(1), BTreeSet::new(), 99);
        assert!(memory.split(&term(1)).is_empty(), "what is not split needs no memory");
    }

    #[test]
    fn readings_are_few_and_short() {
        let mut memory = Memory::default();
        for n in 0..=READINGS_MAX {
            memory.note_reading(n.to_string(), Found { pages: 7, ..Found::default() }, n as u64);
        }
        assert_eq!(memory.readings.len(), READINGS_MAX);
        assert_eq!(memory.reading("0", 20), None);
        assert_eq!(memory.reading("5", 5 + READING_MS - 1).map(|found| found.pages), Some(7));
        assert_eq!(memory.reading("5", 5 + READING_MS), None);
    }
}
