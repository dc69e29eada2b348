//! What this node announces of itself in the network's directory: its agents by their ids, and itself under every term of
//! their cards. A little at a time, whatever the number of terms.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use althing_card::{Card, Page, Place, Placement, RENEWAL_MS, Term, agent_key, term_key};
use althing_record::{AgentId, Kind, NodeId, RecordId};
use althing_store::{ReadError, Snapshot};
use rand_core::Rng;

use crate::engine::Engine;
use crate::rows::slot_key;
use crate::{Effect, Key, Now, QueryNo};

/// Most terms and agents that a node announces; the rest is found by gossip and reconciliation alone.
pub const ANNOUNCED_MAX: usize = 1_000;

/// Most keys that it announces them at: what `althing_net` keeps announced.
pub const PROVIDED_MAX: usize = 1_024;

/// Most terms that are being placed at once, each with one lookup under way.
pub const PLACING_MAX: usize = 4;

/// Most keys that are announced in one second.
pub const BURST_MAX: usize = 64;

/// See [`BURST_MAX`]; in milliseconds.
const WINDOW_MS: u64 = 1_000;

/// With so few peers, a new one may be closer to any key.
const FEW_PEERS: usize = 20;

/// How long to wait for more new peers, in milliseconds.
const GATHER_MS: u64 = 500;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Item {
    Term(Term),
    Agent(AgentId),
}

#[derive(Debug, Default)]
struct Announced {
    /// When it is announced next.
    due: u64,
    place: Place,
    keys: BTreeSet<Key>,
}

/// A term whose page is being read.
#[derive(Debug)]
struct Placing {
    term: Term,
    placement: Placement,
    others: BTreeSet<NodeId>,
    deadline: u64,
}

#[derive(Debug)]
struct OwnCard {
    record: RecordId,
    card: Arc<Card>,
}

#[derive(Debug, Default)]
pub(crate) struct Announcer {
    items: BTreeMap<Item, Announced>,
    queue: BTreeSet<(u64, Item)>,
    placing: BTreeMap<u64, Placing>,
    /// When the present window began, and how many keys were announced in it.
    window: (u64, usize),
    cards: BTreeMap<AgentId, OwnCard>,
}

impl Announcer {
    /// When there is something to do without being told anything.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        let due = self.queue.first().map(|(due, item)| match item {
            // The end of a lookup makes room.
            Item::Term(_) if self.placing.len() >= PLACING_MAX => u64::MAX,
            Item::Term(_) | Item::Agent(_) if self.window.1 >= BURST_MAX => {
                (*due).max(self.window.0 + WINDOW_MS)
            }
            Item::Term(_) | Item::Agent(_) => *due,
        });
        self.placing.values().map(|placing| placing.deadline).chain(due).min()
    }

    pub(crate) fn is_placing(&self, number: u64) -> bool {
        self.placing.contains_key(&number)
    }

    /// Has a peer arrived whom everything may concern? Then everything is announced again soon.
    pub(crate) fn met(&mut self, peers: usize, ticks: u64) {
        if peers > FEW_PEERS {
            return;
        }
        for (item, announced) in &mut self.items {
            let due = ticks + GATHER_MS;
            if announced.due > due && self.queue.remove(&(announced.due, item.clone())) {
                announced.due = due;
                self.queue.insert((due, item.clone()));
            }
        }
    }

    fn want(&mut self, item: Item, now: Now) {
        if self.items.len() < ANNOUNCED_MAX && !self.items.contains_key(&item) {
            self.queue.insert((now.ticks, item.clone()));
            self.items.insert(item, Announced { due: now.ticks, ..Announced::default() });
        }
    }

    /// Forgets what is not wanted any more and gives the keys that it was announced at.
    fn retain(&mut self, wanted: &BTreeSet<Item>) -> Vec<Key> {
        self.queue.retain(|(_, item)| wanted.contains(item));
        let mut gone = Vec::new();
        self.items.retain(|item, announced| {
            let stays = wanted.contains(item);
            if !stays {
                gone.extend(std::mem::take(&mut announced.keys));
            }
            stays
        });
        gone
    }

    /// Whether there is room for one more announcement in the present window.
    fn has_room(&mut self, ticks: u64) -> bool {
        if ticks >= self.window.0 + WINDOW_MS {
            self.window = (ticks, 0);
        }
        self.window.1 < BURST_MAX
    }
}

impl<S: Snapshot> Engine<S> {
    /// The card of an agent hosted here, if it counts.
    pub(crate) fn own_card(&mut self, agent: AgentId, now: Now) -> Result<Option<Arc<Card>>, ReadError> {
        let head = self.slot_head(&slot_key(agent, Kind::Card, ""))?;
        let Some(head) = head.filter(|head| head.deadline > now.wall) else { return Ok(None) };
        if let Some(own) = self.announcer.cards.get(&agent).filter(|own| own.record == head.id) {
            return Ok(Some(own.card.clone()));
        }
        let card = self.record(head.id)?.and_then(|record| Card::from_record(&record).ok().flatten());
        let Some(card) = card.map(Arc::new) else { return Ok(None) };
        self.announcer.cards.insert(agent, OwnCard { record: head.id, card: card.clone() });
        Ok(Some(card))
    }

    /// Looks through the cards of all agents hosted here for what is to be announced from now on, and what no longer.
    pub(crate) fn announce(&mut self, now: Now) -> Result<(), ReadError> {
        let mut wanted = BTreeSet::new();
        let agents: Vec<_> = self.agents.iter().map(|hosted| hosted.agent).collect();
        for agent in agents {
            if let Some(card) = self.own_card(agent, now)? {
                wanted.extend(card.terms().into_iter().map(Item::Term));
                wanted.insert(Item::Agent(agent));
            }
        }
        let gone = self.announcer.retain(&wanted);
        gone.into_iter().for_each(|key| self.effect(Effect::StopProviding(key)));
        wanted.into_iter().for_each(|item| self.announcer.want(item, now));
        self.pump_announcements(now);
        Ok(())
    }

    /// Announces what an agent's card brought. What it no longer says is noticed at the next [`Engine::announce`].
    pub(crate) fn announce_card(&mut self, agent: AgentId, card: &Card, now: Now) {
        for item in card.terms().into_iter().map(Item::Term).chain([Item::Agent(agent)]) {
            self.announcer.want(item, now);
        }
        self.pump_announcements(now);
    }

    /// Starts what is due, as far as there is room, and gives up lookups that take too long.
    pub(crate) fn pump_announcements(&mut self, now: Now) {
        let late = self.announcer.placing.iter().filter(|(_, placing)| placing.deadline <= now.ticks);
        let late: Vec<u64> = late.map(|(number, _)| *number).collect();
        late.into_iter().for_each(|number| self.on_page_read(number, false, now));
        while let Some((due, item)) = self.announcer.queue.first()
            && *due <= now.ticks
        {
            let is_blocked = matches!(item, Item::Term(_)) && self.announcer.placing.len() >= PLACING_MAX;
            if is_blocked || !self.announcer.has_room(now.ticks) {
                return;
            }
            match self.announcer.queue.pop_first() {
                Some((_, Item::Term(term))) => self.place(term, now),
                Some((_, Item::Agent(agent))) => {
                    let key = Key(agent_key(self.network.id(), agent));
                    self.provide(&Item::Agent(agent), vec![key], now);
                    let early = self.random.next_u64() % (RENEWAL_MS / 4);
                    self.announce_again(Item::Agent(agent), RENEWAL_MS - early, now);
                }
                None => return,
            }
        }
    }

    fn place(&mut self, term: Term, now: Now) {
        let Some(announced) = self.announcer.items.get(&Item::Term(term.clone())) else { return };
        let root = term_key(self.network.id(), &term, Page::ROOT);
        let draw = self.random.next_u64();
        let placement = Placement::new(&self.node(), &root, announced.place, draw);
        self.read_next_page(term, placement, now);
    }

    fn read_next_page(&mut self, term: Term, placement: Placement, now: Now) {
        match placement.next() {
            Some(page) => {
                let key = Key(term_key(self.network.id(), &term, page));
                let (number, deadline) = (self.number(), now.ticks + 2 * self.timing.search_ms);
                let placing = Placing { term, placement, others: BTreeSet::new(), deadline };
                self.announcer.placing.insert(number, placing);
                self.effect(Effect::Lookup(QueryNo(number), key));
            }
            None => self.settle_term(term, &placement, now),
        }
    }

    /// Takes what a lookup for placing brought.
    pub(crate) fn on_page_named(&mut self, number: u64, providers: &[NodeId]) {
        let own = self.node();
        if let Some(placing) = self.announcer.placing.get_mut(&number) {
            let room = crate::PROVIDERS_MAX.saturating_sub(placing.others.len());
            placing.others.extend(providers.iter().filter(|node| **node != own).take(room));
        }
    }

    /// A lookup for placing has ended.
    pub(crate) fn on_page_read(&mut self, number: u64, answered: bool, now: Now) {
        let Some(Placing { term, mut placement, others, .. }) = self.announcer.placing.remove(&number) else {
            return;
        };
        placement.answer(answered.then_some(others.len()));
        self.read_next_page(term, placement, now);
    }

    fn settle_term(&mut self, term: Term, placement: &Placement, now: Now) {
        let network = self.network.id();
        let keys = placement.pages().into_iter().map(|page| Key(term_key(network, &term, page))).collect();
        let place = placement.place();
        let rest = place.rest_ms(self.random.next_u64());
        let item = Item::Term(term);
        if let Some(announced) = self.announcer.items.get_mut(&item) {
            announced.place = place;
            self.provide(&item, keys, now);
            self.announce_again(item, rest, now);
        }
    }

    /// Announces an item at these keys, the first of them first if not all fit, and no longer at others.
    fn provide(&mut self, item: &Item, keys: Vec<Key>, now: Now) {
        let all: usize = self.announcer.items.values().map(|announced| announced.keys.len()).sum();
        let Some(announced) = self.announcer.items.get_mut(item) else { return };
        let room = PROVIDED_MAX - (all - announced.keys.len()).min(PROVIDED_MAX);
        let wanted: BTreeSet<Key> = keys.iter().copied().take(room).collect();
        let gone: Vec<Key> = announced.keys.difference(&wanted).copied().collect();
        announced.keys.clone_from(&wanted);
        self.announcer.has_room(now.ticks);
        self.announcer.window.1 += wanted.len();
        gone.into_iter().for_each(|key| self.effect(Effect::StopProviding(key)));
        wanted.into_iter().for_each(|key| self.effect_when_durable(Effect::Provide(key)));
    }

    fn announce_again(&mut self, item: Item, rest_ms: u64, now: Now) {
        if let Some(announced) = self.announcer.items.get_mut(&item) {
            announced.due = now.ticks + rest_ms;
            self.announcer.queue.insert((announced.due, item));
        }
    }
}
