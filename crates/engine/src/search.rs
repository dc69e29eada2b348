//! Finding agents: in the local index, and live in the network's directory, whose providers are asked for the signed
//! cards of the agents that they serve.

mod agent;
mod answer;
mod choice;
mod live;
mod memory;
mod spread;

use std::collections::{BTreeMap, BTreeSet};

use althing_card::{Card, Lease, Plan, Query, Term, term_key};
use althing_record::{AgentId, Kind, NodeId, Record, Verdict};
use althing_store::{ReadError, Snapshot};
use rand_core::Rng;

use self::agent::AgentSearch;
use self::live::{Asked, Live};
pub(crate) use self::memory::Memory;
use self::spread::Spread;
pub use self::{
    agent::AGENT_PROVIDERS_MAX,
    live::{AGENTS_FOUND_MAX, EXPLAINED_MAX, LOOKUPS_MAX, PAGES_MAX, PROVIDERS_MAX, REQUESTS_MAX},
    memory::{READINGS_MAX, TERMS_REMEMBERED_MAX},
    spread::SPREAD_PEERS_MAX,
};
use crate::engine::Engine;
use crate::serve_cards::is_under;
use crate::{
    Answer, AskNo, Effect, Find, Found, Key, LookupEnd, MAX_FOUND, Now, PeerOutcome, QueryNo, RefusalKind,
    Request, RequestNo, Response, Source,
};

/// Most searches that run at once.
pub const SEARCHES_MAX: usize = 64;

/// Connected peers whose index a search asks beside the lookup. Whoever surrounds a key in Kademlia does not surround
/// these, which were chosen before by others and by chance.
pub(crate) const NEIGHBOURS_ASKED: usize = 3;

/// A live search takes at most so many times [`crate::Timing::search_ms`].
const PATIENCE: u64 = 5;

/// How many local hits are looked at to guess how rare a term is.
const GUESS_MAX: usize = 32;

/// A search that waits for the network.
#[derive(Debug)]
pub(crate) enum Search {
    Agent(AgentSearch),
    Live(Box<Live>),
    Spread(Spread),
}

impl Search {
    pub(crate) fn next_deadline(&self) -> u64 {
        match self {
            Self::Agent(search) => search.deadline,
            Self::Live(search) => search.next_deadline(),
            Self::Spread(search) => search.deadline,
        }
    }

    fn waits_for(&self, no: RequestNo) -> bool {
        match self {
            Self::Agent(search) => search.requests.contains(&no) || search.neighbours.contains(&no),
            Self::Live(search) => search.waits_for(no),
            Self::Spread(search) => search.requests.contains(&no),
        }
    }
}

fn terms_of(plan: &Plan, terms: &mut BTreeSet<Term>) {
    match plan {
        Plan::Term(term) => drop(terms.insert(term.clone())),
        Plan::AnyOf(plans) | Plan::AllOf(plans) => plans.iter().for_each(|plan| terms_of(plan, terms)),
        Plan::Unkeyed(_) => {}
    }
}

impl<S: Snapshot> Engine<S> {
    pub(crate) fn on_find(&mut self, no: AskNo, find: &Find, now: Now) -> Result<(), ReadError> {
        if find.limit == 0 || find.limit > MAX_FOUND {
            let cause = format!("limit {} is out of bounds, expected 1 to {MAX_FOUND}", find.limit);
            self.refuse(no, RefusalKind::Invalid, cause, None);
            return Ok(());
        }
        let mut terms = BTreeSet::new();
        terms_of(&find.query.plan(), &mut terms);
        let is_live =
            find.live || althing_card::find(&self.store, &find.query, now.wall, find.after, 1)?.is_empty();
        let read = find.after.and_then(|_| self.memory.reading(&find.query.to_string(), now.ticks)).cloned();
        if is_live && read.is_none() && !terms.is_empty() {
            return self.start_live(no, find, terms, now);
        }
        let unkeyed = find.query.plan().unkeyed().into_iter().map(str::to_owned).collect();
        let how = read.filter(|_| is_live).unwrap_or(Found { unkeyed, ..Found::default() });
        let local = self.found_agents(find, &BTreeSet::new(), &BTreeMap::new(), now)?;
        self.answer(no, Answer::Found(Found { agents: local.agents, cut: local.cut || how.cut, ..how }));
        Ok(())
    }

    /// A number for a search, unless there are too many: then the client is told.
    fn search_number(&mut self, ask: AskNo) -> Option<u64> {
        if self.searches.len() >= SEARCHES_MAX {
            let cause = format!("{SEARCHES_MAX} searches are running");
            self.refuse(ask, RefusalKind::Busy, cause, Some("try again in a moment"));
            return None;
        }
        Some(self.number())
    }

    fn start_live(
        &mut self,
        ask: AskNo,
        find: &Find,
        terms: BTreeSet<Term>,
        now: Now,
    ) -> Result<(), ReadError> {
        let Some(number) = self.search_number(ask) else { return Ok(()) };
        let (mut split, mut guesses) = (BTreeMap::new(), BTreeMap::new());
        for term in terms {
            let query = Query::from(term.clone());
            let known = althing_card::find(&self.store, &query, now.wall, None, GUESS_MAX)?;
            guesses.insert(term.clone(), known.len() as u64);
            split.insert(term.clone(), self.memory.split(&term));
        }
        let until = now.ticks + PATIENCE * self.timing.search_ms;
        let mut live = Live::new((ask, find), until, split, guesses);
        let deadline = now.ticks + self.timing.search_ms;
        for no in self.ask_neighbours(&Request::Known { query: Box::new(find.query.clone()) }) {
            live.asked_neighbour(no, deadline);
        }
        self.advance(number, Box::new(live), now)
    }

    /// Asks a few connected peers, chosen by chance.
    fn ask_neighbours(&mut self, request: &Request) -> Vec<RequestNo> {
        let mut peers: Vec<_> = self.peers.iter().copied().collect();
        let mut asked = Vec::new();
        while asked.len() < NEIGHBOURS_ASKED && !peers.is_empty() {
            let peer = peers.swap_remove(self.random_below(peers.len()));
            let no = self.request_no();
            asked.push(no);
            self.effect(Effect::Request(no, peer, request.clone()));
        }
        asked
    }

    /// Reads and asks what is next, and ends the search when nothing is.
    fn advance(&mut self, number: u64, mut live: Box<Live>, now: Now) -> Result<(), ReadError> {
        while let Some((term, page)) = live.next_page(self.random.next_u64()) {
            let lookup = self.number();
            let key = Key(term_key(self.network.id(), &term, page));
            // The swarm gives up a little earlier by itself.
            let deadline = now.ticks + self.timing.search_ms * 3 / 2;
            live.looked_up(lookup, (term, page), key, (now.ticks, deadline));
            self.lookups.insert(lookup, number);
            self.effect(Effect::Lookup(QueryNo(lookup), key));
        }
        while let Some(question) = live.next_question(self.random.next_u64()) {
            let no = self.request_no();
            let request = Request::Cards {
                term: question.term.clone(),
                query: Some(Box::new(live.find.query.clone())),
                after: question.after.or(live.find.after),
            };
            self.effect(Effect::Request(no, question.node, request));
            live.asked(no, question, (now.ticks, now.ticks + self.timing.search_ms));
        }
        if live.is_over() || live.until <= now.ticks {
            return self.end_live(*live, now);
        }
        self.searches.insert(number, Search::Live(live));
        Ok(())
    }

    fn end_live(&mut self, mut live: Live, now: Now) -> Result<(), ReadError> {
        for lookup in live.lookups() {
            self.lookups.remove(&lookup);
        }
        for (term, split) in live.split() {
            self.memory.remember(term, split, now.ticks);
        }
        let is_whole = live.is_whole();
        let how = live.outcome(now.ticks);
        let local = self.found_agents(&live.find, &live.brought, live.peers(), now)?;
        if is_whole {
            let query = live.find.query.to_string();
            self.memory.note_reading(query, how.clone(), now.ticks);
        }
        let found = Found { agents: local.agents, cut: how.cut || local.cut, ..how };
        self.answer(live.ask, Answer::Found(found));
        Ok(())
    }

    pub(crate) fn on_lookup(
        &mut self,
        lookup: u64,
        providers: &[NodeId],
        end: Option<LookupEnd>,
        now: Now,
    ) -> Result<(), ReadError> {
        if self.announcer.is_placing(lookup) {
            self.on_page_named(lookup, providers);
            if let Some(end) = end {
                self.on_page_read(lookup, end == LookupEnd::Answered, now);
                self.pump_announcements(now);
            }
            return Ok(());
        }
        let Some(number) = self.lookups.get(&lookup).copied() else { return Ok(()) };
        if end.is_some() {
            self.lookups.remove(&lookup);
        }
        match self.searches.remove(&number) {
            Some(Search::Agent(mut search)) => {
                self.ask_about_agent(&mut search, providers);
                self.settle_agent(number, search, end.is_some(), now)
            }
            Some(Search::Live(mut live)) => {
                live.name(lookup, providers, self.node());
                if let Some(end) = end {
                    live.end_lookup(lookup, end == LookupEnd::Answered, now.ticks);
                }
                self.advance(number, live, now)
            }
            Some(Search::Spread(spread)) => {
                // It looks nothing up.
                self.settle_spread(number, spread, now);
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub(crate) fn on_search_response(
        &mut self,
        no: RequestNo,
        response: Response,
        now: Now,
    ) -> Result<(), ReadError> {
        match self.take_search(no) {
            Some((number, Search::Agent(search))) => {
                self.take_agent(&search, response, now)?;
                self.settle_agent(number, search, false, now)
            }
            Some((number, Search::Live(mut live))) => {
                if let Some(asked) = live.end_request(no) {
                    self.take_answer(&mut live, &asked, response, now)?;
                } else if live.end_neighbour(no) {
                    self.take_neighbour(&mut live, response, now)?;
                }
                self.advance(number, live, now)
            }
            Some((number, Search::Spread(mut spread))) => {
                Self::take_spread(&mut spread, &response);
                self.settle_spread(number, spread, now);
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub(crate) fn on_search_failure(&mut self, no: RequestNo, now: Now) -> Result<(), ReadError> {
        match self.take_search(no) {
            Some((number, Search::Agent(search))) => self.settle_agent(number, search, false, now),
            Some((number, Search::Live(mut live))) => {
                if let Some(asked) = live.end_request(no) {
                    live.note(&asked, PeerOutcome::Silent, 0, now.ticks);
                }
                live.end_neighbour(no);
                self.advance(number, live, now)
            }
            Some((number, Search::Spread(spread))) => {
                self.settle_spread(number, spread, now);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// The search that waits for a request, which from now on it does not.
    fn take_search(&mut self, no: RequestNo) -> Option<(u64, Search)> {
        let number = *self.searches.iter().find(|(_, search)| search.waits_for(no))?.0;
        let mut search = self.searches.remove(&number)?;
        match &mut search {
            Search::Agent(search) => {
                search.requests.remove(&no);
                search.neighbours.remove(&no);
            }
            Search::Spread(search) => {
                search.requests.remove(&no);
            }
            Search::Live(_) => {}
        }
        Some((number, search))
    }

    pub(crate) fn end_late_searches(&mut self, now: Now) -> Result<(), ReadError> {
        let late = self.searches.iter().filter(|(_, search)| search.next_deadline() <= now.ticks);
        let late: Vec<u64> = late.map(|(number, _)| *number).collect();
        for number in late {
            match self.searches.remove(&number) {
                Some(Search::Agent(search)) => self.settle_agent(number, search, false, now)?,
                Some(Search::Spread(spread)) => self.settle_spread(number, spread, now),
                Some(Search::Live(mut live)) => {
                    let (lookups, requests) = live.late(now.ticks);
                    for lookup in lookups {
                        self.lookups.remove(&lookup);
                        live.end_lookup(lookup, false, now.ticks);
                    }
                    for no in requests {
                        live.end_neighbour(no);
                        if let Some(asked) = live.end_request(no) {
                            live.note(&asked, PeerOutcome::Silent, 0, now.ticks);
                        }
                    }
                    self.advance(number, live, now)?;
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Takes in what a connected peer knows. A peer that answers with what no honest node admits is not believed.
    fn take_neighbour(&mut self, live: &mut Live, response: Response, now: Now) -> Result<(), ReadError> {
        if let Response::Records { records, invalid, .. } = response
            && invalid.iter().all(|error| error.verdict() != Verdict::Reject)
        {
            let brought = self.take_agents(&records, &live.find.query, None, None, now)?;
            live.brought.extend(brought);
        }
        Ok(())
    }

    fn take_answer(
        &mut self,
        live: &mut Live,
        asked: &Asked,
        response: Response,
        now: Now,
    ) -> Result<(), ReadError> {
        let (next, records, invalid, by) = match response {
            Response::Cards { next, records, invalid } => (next, records, invalid, Some(asked.question.node)),
            // Version 1 answers with all that it knows to have the skill, whoever serves it.
            Response::Records { records, invalid, .. } => (None, records, invalid, None),
            Response::Busy => {
                live.note(asked, PeerOutcome::Silent, 0, now.ticks);
                return Ok(());
            }
            Response::Reconcile { .. } | Response::Proofs { .. } | Response::Scores { .. } => {
                live.note(asked, PeerOutcome::Invalid, 0, now.ticks);
                return Ok(());
            }
        };
        if invalid.iter().any(|error| error.verdict() == Verdict::Reject) {
            // The peer stores what no honest node admits: nothing else of this answer is believed.
            live.note(asked, PeerOutcome::Invalid, 0, now.ticks);
            return Ok(());
        }
        let brought = self.take_agents(&records, &live.find.query, Some(&asked.question.term), by, now)?;
        live.note(asked, PeerOutcome::Answered, records.len() as u64, now.ticks);
        live.brought.extend(brought);
        live.go_on(&asked.question, next);
        Ok(())
    }

    /// Takes in the agents of an answer that were asked for: those whose card matches, with a lease that counts, at the
    /// node that answered if `by` says which. Nothing else is taken from it.
    fn take_agents(
        &mut self,
        records: &[Record],
        query: &Query,
        term: Option<&Term>,
        by: Option<NodeId>,
        now: Now,
    ) -> Result<BTreeSet<AgentId>, ReadError> {
        let (mut matching, mut served) = (BTreeSet::new(), BTreeSet::new());
        for record in records {
            if let Ok(Some(card)) = Card::from_record(record) {
                if term.is_none_or(|term| is_under(&card, term)) && query.matches(&card.facts()) {
                    matching.insert(record.agent());
                }
            } else if let Ok(Some(lease)) = Lease::from_record(record)
                && lease.expires > now.wall
                && by.is_none_or(|node| node == lease.node)
            {
                served.insert(record.agent());
            }
        }
        matching.retain(|agent| served.contains(agent));
        for record in records {
            let shared = matches!(record.kind(), Kind::Inception | Kind::Rotation | Kind::Card | Kind::Lease);
            if shared && matching.contains(&record.agent()) {
                self.admit(record, Source::Search, now)?;
            }
        }
        Ok(matching)
    }
}
