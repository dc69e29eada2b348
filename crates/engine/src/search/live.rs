use std::collections::{BTreeMap, BTreeSet};

use althing_card::{DESCEND_MIN, Descent, FULL, Page, Plan, Term};
use althing_record::{AgentId, NodeId};

use super::choice::{Choice, Size, choose};
use crate::{AskNo, Explain, Find, Found, Key, PageAsked, PeerAsked, PeerOutcome, RequestNo};

/// Most pages of one term that one search reads.
pub const PAGES_MAX: usize = 1_024;

/// Most lookups that one search has under way.
pub const LOOKUPS_MAX: usize = 8;

/// Most providers that one search asks.
pub const PROVIDERS_MAX: usize = 4_096;

/// Most requests that one search has under way.
pub const REQUESTS_MAX: usize = 32;

/// Most agents that one search takes in.
pub const AGENTS_FOUND_MAX: usize = 131_072;

/// Most pages and most peers that an answer's explanation names.
pub const EXPLAINED_MAX: usize = 256;

/// A search in the network that is under way. It decides what is read and asked next, and does neither.
#[derive(Debug)]
pub(crate) struct Live {
    pub(super) ask: AskNo,
    pub(super) find: Find,
    plan: Plan,
    /// When it ends whatever is missing.
    pub(super) until: u64,
    guesses: BTreeMap<Term, u64>,
    chosen: Option<BTreeSet<Term>>,
    descents: BTreeMap<Term, Descent>,
    /// Whom the root pages named of terms that may be chosen.
    named: BTreeMap<Term, BTreeSet<NodeId>>,
    lookups: BTreeMap<u64, Lookup>,
    providers: BTreeSet<NodeId>,
    known: BTreeSet<(NodeId, Term)>,
    waiting: BTreeSet<Question>,
    requests: BTreeMap<RequestNo, Asked>,
    /// What neighbours were asked, and until when they are waited for while nothing was brought.
    neighbours: BTreeMap<RequestNo, (Term, u64)>,
    peers: BTreeMap<NodeId, PeerAsked>,
    /// Agents whose node answered with them in this search.
    pub(super) brought: BTreeSet<AgentId>,
    pages_read: u64,
    pages_answered: u64,
    explained: Vec<PageAsked>,
    /// Whether a bound kept something from being read or asked.
    bounded: bool,
}

#[derive(Debug)]
pub(super) struct Lookup {
    pub(super) term: Term,
    pub(super) page: Page,
    key: Key,
    nodes: BTreeSet<NodeId>,
    since: u64,
    deadline: u64,
}

/// What a provider is to be asked: for its agents under a term, after this one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Question {
    pub(super) node: NodeId,
    pub(super) term: Term,
    pub(super) after: Option<AgentId>,
}

#[derive(Debug)]
pub(super) struct Asked {
    pub(super) question: Question,
    since: u64,
    deadline: u64,
}

impl Live {
    /// `split` are the pages of each term that were split when last seen, `guesses` how many providers each may have.
    pub(super) fn new(
        (ask, find): (AskNo, &Find),
        until: u64,
        split: BTreeMap<Term, BTreeSet<Page>>,
        guesses: BTreeMap<Term, u64>,
    ) -> Self {
        let descents = split.into_iter().map(|(term, split)| (term, Descent::new(split, PAGES_MAX)));
        Self {
            ask,
            find: find.clone(),
            plan: find.query.plan(),
            until,
            guesses,
            chosen: None,
            descents: descents.collect(),
            named: BTreeMap::new(),
            lookups: BTreeMap::new(),
            providers: BTreeSet::new(),
            known: BTreeSet::new(),
            waiting: BTreeSet::new(),
            requests: BTreeMap::new(),
            neighbours: BTreeMap::new(),
            peers: BTreeMap::new(),
            brought: BTreeSet::new(),
            pages_read: 0,
            pages_answered: 0,
            explained: Vec::new(),
            bounded: false,
        }
    }

    /// The page to look up now, if there is one and room for it.
    pub(super) fn next_page(&mut self, draw: u64) -> Option<(Term, Page)> {
        if self.lookups.len() >= LOOKUPS_MAX || self.is_enough() {
            return None;
        }
        while self.chosen.is_none() {
            match choose(&self.plan, &|term| self.size(term)) {
                Choice::Read(term) => {
                    let taken = self.descents.get_mut(&term).is_some_and(|descent| descent.take(Page::ROOT));
                    return taken.then_some((term, Page::ROOT));
                }
                Choice::Terms(terms) => self.go_for(terms),
            }
        }
        let terms: Vec<Term> = self.chosen.iter().flatten().cloned().collect();
        // Begins with any of them, so that no term is always first.
        let first = usize::try_from(draw >> 32).unwrap_or(0) % terms.len().max(1);
        terms.iter().cycle().skip(first).take(terms.len()).find_map(|term| {
            let page = self.descents.get_mut(term)?.next(draw)?;
            Some((term.clone(), page))
        })
    }

    fn size(&self, term: &Term) -> Size {
        let Some(descent) = self.descents.get(term) else { return Size::Whole(0) };
        let below = (descent.split().len() * FULL / 2) as u64;
        match descent.named(Page::ROOT) {
            None => Size::Unknown(self.guesses.get(term).copied().unwrap_or(0).max(below)),
            Some(Some(named)) if named < DESCEND_MIN => Size::Whole(named as u64),
            Some(Some(named)) => Size::Split(below.max(named as u64)),
            // Whoever else there is, is better.
            Some(None) => Size::Split(u64::from(u32::MAX)),
        }
    }

    fn go_for(&mut self, terms: BTreeSet<Term>) {
        for term in &terms {
            for node in self.named.remove(term).unwrap_or_default() {
                self.meet(node, term);
            }
        }
        self.named.clear();
        self.chosen = Some(terms);
    }

    pub(super) fn looked_up(&mut self, number: u64, (term, page): (Term, Page), key: Key, time: (u64, u64)) {
        let (since, deadline) = time;
        let nodes = BTreeSet::new();
        self.lookups.insert(number, Lookup { term, page, key, nodes, since, deadline });
    }

    /// A lookup names providers.
    pub(super) fn name(&mut self, number: u64, nodes: &[NodeId], own: NodeId) {
        let Some(lookup) = self.lookups.get_mut(&number) else { return };
        lookup.nodes.extend(nodes);
        let term = lookup.term.clone();
        for node in nodes.iter().filter(|node| **node != own) {
            match &self.chosen {
                Some(_) => self.meet(*node, &term),
                None => {
                    self.named.entry(term.clone()).or_default().insert(*node);
                }
            }
        }
    }

    fn meet(&mut self, node: NodeId, term: &Term) {
        if self.providers.len() >= PROVIDERS_MAX && !self.providers.contains(&node) {
            self.bounded = true;
            return;
        }
        self.providers.insert(node);
        if self.known.insert((node, term.clone())) {
            self.waiting.insert(Question { node, term: term.clone(), after: None });
        }
    }

    /// A lookup has ended.
    pub(super) fn end_lookup(&mut self, number: u64, is_answered: bool, ticks: u64) {
        let Some(lookup) = self.lookups.remove(&number) else { return };
        self.pages_read += 1;
        self.pages_answered += u64::from(is_answered);
        if let Some(descent) = self.descents.get_mut(&lookup.term) {
            descent.answer(lookup.page, is_answered.then_some(lookup.nodes.len()));
        }
        if self.explained.len() < EXPLAINED_MAX {
            self.explained.push(PageAsked {
                term: lookup.term,
                bits: lookup.page.bits(),
                page: lookup.page.to_string(),
                key: lookup.key,
                providers: lookup.nodes.len() as u64,
                answered: is_answered,
                ms: ticks.saturating_sub(lookup.since),
            });
        }
    }

    /// The question to send now, if there is one and room for it; one of them by chance.
    pub(super) fn next_question(&mut self, draw: u64) -> Option<Question> {
        if self.requests.len() >= REQUESTS_MAX || self.is_enough() {
            return None;
        }
        if self.brought.len() >= AGENTS_FOUND_MAX {
            self.bounded |= !self.waiting.is_empty();
            return None;
        }
        let count = u64::try_from(self.waiting.len()).unwrap_or(u64::MAX).max(1);
        let at = usize::try_from(draw % count).unwrap_or(0);
        let question = self.waiting.iter().nth(at)?.clone();
        self.waiting.remove(&question);
        Some(question)
    }

    pub(super) fn asked(&mut self, no: RequestNo, question: Question, (since, deadline): (u64, u64)) {
        self.requests.insert(no, Asked { question, since, deadline });
    }

    pub(super) fn asked_neighbour(&mut self, no: RequestNo, term: Term, deadline: u64) {
        self.neighbours.insert(no, (term, deadline));
    }

    /// What a neighbour was asked whose request has ended.
    pub(super) fn end_neighbour(&mut self, no: RequestNo) -> Option<Term> {
        self.neighbours.remove(&no).map(|(term, _)| term)
    }

    pub(super) fn waits_for(&self, no: RequestNo) -> bool {
        self.requests.contains_key(&no) || self.neighbours.contains_key(&no)
    }

    /// What a request asked that has ended.
    pub(super) fn end_request(&mut self, no: RequestNo) -> Option<Asked> {
        self.requests.remove(&no)
    }

    /// Notes what came of asking a peer. A peer that was asked more than once is no better than its worst answer.
    pub(super) fn note(&mut self, asked: &Asked, outcome: PeerOutcome, records: u64, ticks: u64) {
        let (node, ms) = (asked.question.node, ticks.saturating_sub(asked.since));
        let new = PeerAsked { node, outcome, records: 0, ms };
        let peer = self.peers.entry(node).or_insert(new);
        if peer.outcome == PeerOutcome::Answered {
            peer.outcome = outcome;
        }
        peer.records += records;
        peer.ms = peer.ms.max(ms);
    }

    /// Asks on where an answer ended, if that gets further.
    pub(super) fn go_on(&mut self, question: &Question, next: Option<AgentId>) {
        if let Some(next) = next.filter(|next| question.after.is_none_or(|after| *next > after)) {
            self.waiting.insert(Question { after: Some(next), ..question.clone() });
        }
    }

    /// Whether the client has as many as it wants. Who goes through all of them in order needs to have all.
    fn is_enough(&self) -> bool {
        self.find.after.is_none() && self.brought.len() >= self.find.limit
    }

    /// Whether there is nothing to wait for any more.
    pub(super) fn is_over(&self) -> bool {
        let hears = self.brought.is_empty() && !self.neighbours.is_empty();
        let rests = self.lookups.is_empty() && self.requests.is_empty() && !hears;
        let is_full = self.brought.len() >= AGENTS_FOUND_MAX;
        self.is_enough()
            || rests && self.chosen.is_some() && self.is_read() && (self.waiting.is_empty() || is_full)
    }

    fn is_read(&self) -> bool {
        self.chosen.iter().flatten().all(|term| self.descents.get(term).is_none_or(Descent::is_done))
    }

    /// Ends what has taken too long: lookups, and requests with their numbers.
    pub(super) fn late(&self, ticks: u64) -> (Vec<u64>, Vec<RequestNo>) {
        let lookups = self.lookups.iter().filter(|(_, lookup)| lookup.deadline <= ticks);
        let requests = self.requests.iter().map(|(no, asked)| (no, asked.deadline));
        let requests = requests.chain(self.neighbours.iter().map(|(no, (_, deadline))| (no, *deadline)));
        let requests = requests.filter(|(_, deadline)| *deadline <= ticks);
        (lookups.map(|(number, _)| *number).collect(), requests.map(|(no, _)| *no).collect())
    }

    pub(super) fn next_deadline(&self) -> u64 {
        let lookups = self.lookups.values().map(|lookup| lookup.deadline);
        let requests = self.requests.values().map(|asked| asked.deadline);
        let requests = requests.chain(self.neighbours.values().map(|(_, deadline)| *deadline));
        lookups.chain(requests).chain([self.until]).min().unwrap_or(self.until)
    }

    pub(super) fn lookups(&self) -> impl Iterator<Item = u64> + '_ {
        self.lookups.keys().copied()
    }

    /// The pages of each term that was searched, as far as they are known to be split.
    pub(super) fn split(&self) -> impl Iterator<Item = (&Term, BTreeSet<Page>)> {
        self.descents
            .iter()
            .filter(|(_, descent)| descent.answered() > 0)
            .map(|(term, it)| (term, it.split()))
    }

    pub(super) fn peers(&self) -> &BTreeMap<NodeId, PeerAsked> {
        &self.peers
    }

    /// Whether all that the query leads to was read and asked, whatever was answered.
    pub(super) fn is_whole(&self) -> bool {
        let is_cut = |term: &Term| self.descents.get(term).is_some_and(Descent::is_cut);
        let was_cut = self.chosen.iter().flatten().any(is_cut);
        self.chosen.is_some()
            && self.is_read()
            && self.waiting.is_empty()
            && self.requests.is_empty()
            && !self.bounded
            && !was_cut
    }

    /// How it went, without the agents. Who was asked and had its time has not answered.
    pub(super) fn outcome(&mut self, ticks: u64) -> Found {
        let is_enough = self.is_enough();
        let open: Vec<RequestNo> = self.requests.keys().copied().collect();
        let is_whole = self.is_whole();
        for no in open {
            if let Some(asked) = self.end_request(no).filter(|_| !is_enough) {
                self.note(&asked, PeerOutcome::Silent, 0, ticks);
            }
        }
        let unread = match &self.chosen {
            Some(terms) => terms.iter().filter_map(|term| self.descents.get(term)).map(Descent::unread).sum(),
            None => self.lookups.len(),
        };
        let is_silent = |peer: &&PeerAsked| peer.outcome != PeerOutcome::Answered;
        let not_asked = self.providers.iter().filter(|node| !self.peers.contains_key(node));
        let not_asked = not_asked.map(|node| PeerAsked {
            node: *node,
            outcome: PeerOutcome::NotAsked,
            records: 0,
            ms: 0,
        });
        let peers = self.peers.values().copied().chain(not_asked).take(EXPLAINED_MAX).collect();
        Found {
            pages: self.pages_read + unread as u64,
            pages_answered: self.pages_answered,
            providers: self.providers.len() as u64,
            providers_asked: self.peers.len() as u64,
            providers_silent: self.peers.values().filter(is_silent).count() as u64,
            unkeyed: self.plan.unkeyed().into_iter().map(str::to_owned).collect(),
            cut: !is_whole && (is_enough || self.bounded),
            live: true,
            explain: Explain { pages: std::mem::take(&mut self.explained), peers },
            ..Found::default()
        }
    }
}
