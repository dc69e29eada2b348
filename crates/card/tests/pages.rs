//! Placement and descent against a model of the stores: whoever lives is found, while the network grows, shrinks and
//! crashes.
//!
//! The model has what the real stores have: the twenty closest nodes hold a key's providers, 64 each, for an hour;
//! an answer holds twenty of them, the next one begins where it ended; who comes new holds nothing, and what a dead node
//! held is gone. Nothing can be taken back.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

use althing_card::{Descent, Page, Place, Placement, RENEWAL_MS};
use althing_record::{NodeId, NodeKey};
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;

const STORING: usize = 20;
const ANSWER_MAX: usize = 20;
const PER_KEY_MAX: usize = 64;
const LIFETIME: u64 = 60 * MINUTE;
/// From reading a page to being stored there.
const ANNOUNCING: u64 = 2 * SECOND;

type Key = [u8; 32];

const NOBODY: [usize; 0] = [];

#[derive(Default)]
struct Store {
    keys: BTreeMap<Key, BTreeMap<usize, u64>>,
    turn: usize,
}

struct Node {
    id: NodeId,
    place: Key,
    store: Option<Store>,
    placed: Place,
    since: u64,
}

enum Event {
    Renew(usize),
    Announce(usize, Vec<Page>),
}

struct Model {
    random: ChaCha8Rng,
    time: u64,
    nodes: Vec<Node>,
    queue: BTreeMap<(u64, u64), Event>,
    queued: u64,
    /// The closest of each key; until somebody comes or goes.
    closest: BTreeMap<Key, Vec<usize>>,
    /// Nodes that provide the term.
    providers: BTreeSet<usize>,
    reads: u64,
    renewals: u64,
}

fn key(page: Page) -> Key {
    Sha256::digest(format!("term {page}")).into()
}

impl Model {
    fn new(seed: u64) -> Self {
        Self {
            random: ChaCha8Rng::seed_from_u64(seed),
            time: 0,
            nodes: Vec::new(),
            queue: BTreeMap::new(),
            queued: 0,
            closest: BTreeMap::new(),
            providers: BTreeSet::new(),
            reads: 0,
            renewals: 0,
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random.next_u64() % bound.max(1)
    }

    fn plan(&mut self, after: u64, event: Event) {
        self.queued += 1;
        self.queue.insert((self.time + after, self.queued), event);
    }

    fn join(&mut self, provides: bool) {
        let number = self.nodes.len();
        let mut seed = [0; 32];
        self.random.fill_bytes(&mut seed);
        let id = NodeKey::from_seed(&seed).node();
        let place = Sha256::digest(id.to_peer_id_bytes()).into();
        self.closest.clear();
        self.nodes.push(Node {
            id,
            place,
            store: Some(Store::default()),
            placed: Place::default(),
            since: self.time,
        });
        if provides {
            self.providers.insert(number);
            self.plan(0, Event::Renew(number));
        }
    }

    /// Ends nodes by chance until only so many providers are left.
    fn crash_down_to(&mut self, left: usize) {
        while self.providers.len() > left {
            let at = self.below(self.providers.len() as u64) as usize;
            let number = *self.providers.iter().nth(at).unwrap();
            self.providers.remove(&number);
            self.nodes[number].store = None;
            self.closest.clear();
        }
    }

    fn run_for(&mut self, ms: u64) {
        let until = self.time + ms;
        while let Some(entry) = self.queue.first_entry()
            && entry.key().0 <= until
        {
            let ((at, _), event) = entry.remove_entry();
            self.time = at;
            match event {
                Event::Renew(number) if self.providers.contains(&number) => self.renew(number),
                Event::Announce(number, pages) if self.providers.contains(&number) => {
                    pages.into_iter().for_each(|page| self.announce(number, page));
                }
                Event::Renew(_) | Event::Announce(..) => {}
            }
        }
        self.time = until;
    }

    fn renew(&mut self, number: usize) {
        let (id, placed, draw) = (self.nodes[number].id, self.nodes[number].placed, self.random.next_u64());
        let mut placement = Placement::new(&id, &key(Page::ROOT), placed, draw);
        self.renewals += 1;
        while let Some(page) = placement.next() {
            self.reads += 1;
            let mut others = self.read(page);
            others.remove(&number);
            placement.answer(Some(others.len()));
        }
        self.nodes[number].placed = placement.place();
        let after = placement.place().rest_ms(self.random.next_u64());
        let announcing = 1 + self.below(ANNOUNCING);
        self.plan(announcing, Event::Announce(number, placement.pages()));
        self.plan(announcing + after, Event::Renew(number));
    }

    fn storing(&mut self, key: &Key) -> Vec<usize> {
        if let Some(closest) = self.closest.get(key) {
            return closest.clone();
        }
        let distance = |place: &Key| -> Key { std::array::from_fn(|at| place[at] ^ key[at]) };
        let mut nodes: Vec<_> = (0..self.nodes.len())
            .filter(|number| self.nodes[*number].store.is_some())
            .map(|number| (distance(&self.nodes[number].place), number))
            .collect();
        nodes.sort_unstable();
        let nodes: Vec<_> = nodes.into_iter().take(STORING).map(|(_, number)| number).collect();
        self.closest.insert(*key, nodes.clone());
        nodes
    }

    fn announce(&mut self, number: usize, page: Page) {
        let (key, time) = (key(page), self.time);
        for at in self.storing(&key) {
            let store = self.nodes[at].store.as_mut().unwrap();
            let entries = store.keys.entry(key).or_default();
            entries.retain(|_, until| *until > time);
            if entries.len() < PER_KEY_MAX || entries.contains_key(&number) {
                entries.insert(number, time + LIFETIME);
            }
        }
    }

    fn read(&mut self, page: Page) -> BTreeSet<usize> {
        let (key, time) = (key(page), self.time);
        let mut named = BTreeSet::new();
        for at in self.storing(&key) {
            let store = self.nodes[at].store.as_mut().unwrap();
            let Some(entries) = store.keys.get(&key) else { continue };
            let mut live: Vec<_> =
                entries.iter().filter(|(_, until)| **until > time).map(|(number, _)| *number).collect();
            if live.len() > ANSWER_MAX {
                let start = (store.turn + 7 * at) % live.len();
                store.turn += ANSWER_MAX;
                live.rotate_left(start);
            }
            named.extend(live.into_iter().take(ANSWER_MAX));
        }
        named
    }

    /// What somebody who comes new finds, and how many pages it reads.
    fn search(&mut self) -> (BTreeSet<usize>, usize) {
        let mut descent = Descent::new(BTreeSet::new(), 1_000);
        let mut found = BTreeSet::new();
        while let Some(page) = descent.next(self.random.next_u64()) {
            let named = self.read(page);
            descent.answer(page, Some(named.len()));
            found.extend(named);
        }
        (found, descent.pages())
    }

    /// Providers that have been there for a while and are not found.
    fn missed(&mut self, settled_ms: u64) -> Vec<usize> {
        let (found, _) = self.search();
        let settled = |number: &&usize| self.nodes[**number].since + settled_ms <= self.time;
        self.providers.difference(&found).filter(settled).copied().collect()
    }

    fn join_some(&mut self, count: usize, gap: u64) {
        for _ in 0..count {
            self.join(true);
            self.run_for(gap);
        }
    }

    /// A network that is not only made of those who provide the term.
    fn begin(seed: u64) -> Self {
        let mut model = Self::new(seed);
        (0..30).for_each(|_| model.join(false));
        model
    }
}

#[test]
fn a_steadily_growing_network_shows_nearly_everybody_all_the_time() {
    let mut model = Model::begin(1);
    let mut missed = Vec::new();
    for _ in 0..60 {
        model.join_some(5, 6 * SECOND);
        missed.push(model.missed(MINUTE).len());
    }
    // The network is ten times as large after half an hour. What the first ones announced lies with nodes that are no
    // longer the closest, until they announce it again.
    assert!(missed.iter().all(|missed| *missed <= 2), "{missed:?}");
    assert!(missed.iter().sum::<usize>() <= 10, "{missed:?}");
    model.run_for(5 * MINUTE);
    assert_eq!(model.missed(0), NOBODY);
    assert!(model.search().1 >= 9, "the pages have split");
}

#[test]
fn a_crowd_that_comes_at_once_is_found_within_minutes_and_still_when_its_first_records_expire() {
    let mut model = Model::begin(2);
    model.join_some(300, 0);
    model.run_for(5 * MINUTE);
    for minute in 5..130 {
        assert_eq!(model.missed(0), NOBODY, "after {minute} minutes");
        model.run_for(MINUTE);
    }
}

#[test]
fn pages_join_when_most_have_died_and_only_then_some_are_missed_for_a_while() {
    let mut model = Model::begin(3);
    model.join_some(300, SECOND);
    model.run_for(90 * MINUTE);
    assert_eq!(model.missed(0), NOBODY);
    let before = model.search().1;
    assert!(before >= 13, "{before} pages");
    model.crash_down_to(150);
    for minute in 0..150 {
        assert_eq!(model.missed(0), NOBODY, "{minute} minutes after every second one died");
        model.run_for(MINUTE);
    }
    model.crash_down_to(20);
    let mut missing = 0;
    for minute in 0..150 {
        let missed = model.missed(0).len();
        missing += u64::from(missed > 2);
        // Until the dead are forgotten, and the next renewal after that.
        assert!((40..85).contains(&minute) || missed <= 2, "{missed} after {minute} minutes");
        model.run_for(MINUTE);
    }
    assert!(missing <= 20, "for {missing} minutes");
    assert_eq!(model.missed(0), NOBODY);
    assert_eq!(model.search().1, 1, "one page again");
}

#[derive(Clone, Debug)]
enum Act {
    Join { count: usize, gap: u64 },
    Crash { left_percent: usize },
    Wait { minutes: u64 },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (1_usize..90, 0_u64..3_000).prop_map(|(count, gap)| Act::Join { count, gap }),
        2 => (5_usize..95).prop_map(|left_percent| Act::Crash { left_percent }),
        1 => (0_u64..90).prop_map(|minutes| Act::Wait { minutes }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn at_rest_whoever_lives_is_found(seed: u64, acts in prop::collection::vec(act(), 1..7)) {
        let mut model = Model::begin(seed);
        for act in acts {
            match act {
                Act::Join { count, gap } => model.join_some(count, gap),
                Act::Crash { left_percent } => {
                    let left = model.providers.len() * left_percent / 100;
                    model.crash_down_to(left);
                }
                Act::Wait { minutes } => model.run_for(minutes * MINUTE),
            }
        }
        // All that is dead is forgotten, and everybody has looked around twice since.
        model.run_for(LIFETIME + 2 * RENEWAL_MS);
        for _ in 0..5 {
            prop_assert_eq!(model.missed(0), Vec::<usize>::new());
            model.run_for(5 * MINUTE);
        }
        let (_, pages) = model.search();
        prop_assert!(pages <= 1 + model.providers.len() / 5, "{} pages", pages);
        let deepest = model.providers.iter().map(|number| model.nodes[*number].placed.level()).max();
        prop_assert!(usize::from(deepest.unwrap_or(0)) <= 3 + model.providers.len() / 40);
        // What one renewal costs does not grow.
        prop_assert!(model.reads <= 4 * model.renewals);
    }
}
