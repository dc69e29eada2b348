//! Finding agents: the local index first, then a live Kademlia lookup whose providers are asked for signed cards.

use std::collections::BTreeSet;

use althing_card::{Lease, Page, SkillPath, agent_key, skill_key};
use althing_record::{AgentId, Kind, NodeId, Verdict};
use althing_store::{ReadError, Snapshot, Table};

use crate::engine::Engine;
use crate::rows::{SlotHead, slot_key};
use crate::{
    Answer, AskNo, CardAnswer, Effect, Find, Found, FoundAgent, Key, LeaseAnswer, MAX_FOUND, Now, QueryNo,
    Refusal, RefusalKind, Request, RequestNo, Response, Source,
};

/// Most searches that run at once.
pub const SEARCHES_MAX: usize = 64;

/// Most providers that one search asks.
pub const PROVIDERS_MAX: usize = 64;

/// Connected peers whose index a search asks beside the lookup. Whoever surrounds a key in Kademlia does not surround
/// these, which were chosen before by others and by chance.
pub(crate) const NEIGHBOURS_ASKED: usize = 3;

/// A search that waits for the network.
#[derive(Debug)]
pub(crate) struct Search {
    ask: AskNo,
    wanted: Wanted,
    limit: usize,
    providers: BTreeSet<NodeId>,
    waiting: BTreeSet<RequestNo>,
    /// Requests to neighbours; waited for only while nothing was brought.
    neighbours: BTreeSet<RequestNo>,
    silent: u64,
    looked_up: bool,
    brought: BTreeSet<AgentId>,
    pub(crate) deadline: u64,
}

#[derive(Clone, Debug)]
enum Wanted {
    Skill(SkillPath),
    Agent(AgentId),
}

impl Wanted {
    fn request(&self) -> Request {
        match self {
            Self::Skill(skill) => Request::Providers { skill: skill.clone() },
            Self::Agent(agent) => Request::Agent { agent: *agent },
        }
    }
}

impl<S: Snapshot> Engine<S> {
    pub(crate) fn on_find(&mut self, no: AskNo, find: &Find, now: Now) -> Result<(), ReadError> {
        let skill: SkillPath = match find.skill.parse() {
            Ok(skill) => skill,
            Err(error) => {
                let error: althing_card::SkillError = error;
                self.refuse(
                    no,
                    RefusalKind::Invalid,
                    error.to_string(),
                    Some("a skill is written text/translate"),
                );
                return Ok(());
            }
        };
        if find.limit == 0 || find.limit > MAX_FOUND {
            let cause = format!("limit {} is out of bounds, expected 1 to {MAX_FOUND}", find.limit);
            self.refuse(no, RefusalKind::Invalid, cause, None);
            return Ok(());
        }
        let local = althing_card::find(&self.store, &skill, now.wall, find.limit)?;
        if find.live || local.is_empty() {
            return self.start_search(no, Wanted::Skill(skill), find.limit, now);
        }
        let found = Found {
            agents: self.found_agents(&skill, find.limit, &BTreeSet::new(), now)?,
            pages: 0,
            pages_answered: 0,
            providers: 0,
            providers_silent: 0,
            live: false,
        };
        self.answer(no, Answer::Found(found));
        Ok(())
    }

    pub(crate) fn on_card(&mut self, no: AskNo, agent: AgentId, now: Now) -> Result<(), ReadError> {
        match self.card_answer(agent, now)? {
            Some(card) => self.answer(no, Answer::Card(Box::new(card))),
            None => self.start_search(no, Wanted::Agent(agent), 1, now)?,
        }
        Ok(())
    }

    fn start_search(&mut self, ask: AskNo, wanted: Wanted, limit: usize, now: Now) -> Result<(), ReadError> {
        if self.searches.len() >= SEARCHES_MAX {
            let cause = format!("{SEARCHES_MAX} searches are running");
            self.refuse(ask, RefusalKind::Busy, cause, Some("try again in a moment"));
            return Ok(());
        }
        let network = self.network.id();
        let key = match &wanted {
            Wanted::Skill(skill) => skill_key(network, skill, Page::ROOT),
            Wanted::Agent(agent) => agent_key(network, *agent),
        };
        let number = self.number();
        let search = Search {
            ask,
            neighbours: self.ask_neighbours(&wanted),
            wanted,
            limit,
            providers: BTreeSet::new(),
            waiting: BTreeSet::new(),
            silent: 0,
            looked_up: false,
            brought: BTreeSet::new(),
            deadline: now.ticks + self.timing.search_ms,
        };
        self.searches.insert(number, search);
        self.effect(Effect::Lookup(QueryNo(number), Key(key)));
        Ok(())
    }

    /// Asks a few connected peers, chosen by chance.
    fn ask_neighbours(&mut self, wanted: &Wanted) -> BTreeSet<RequestNo> {
        let mut peers: Vec<_> = self.peers.iter().copied().collect();
        let mut asked = BTreeSet::new();
        while asked.len() < NEIGHBOURS_ASKED && !peers.is_empty() {
            let peer = peers.swap_remove(self.random_below(peers.len()));
            let no = self.request_no();
            asked.insert(no);
            self.effect(Effect::Request(no, peer, wanted.request()));
        }
        asked
    }

    pub(crate) fn on_lookup(
        &mut self,
        number: u64,
        providers: &[NodeId],
        last: bool,
        now: Now,
    ) -> Result<(), ReadError> {
        let own = self.node();
        let Some(mut search) = self.searches.remove(&number) else { return Ok(()) };
        for provider in providers {
            if search.providers.len() >= PROVIDERS_MAX || !search.providers.insert(*provider) {
                continue;
            }
            if *provider != own {
                let no = self.request_no();
                search.waiting.insert(no);
                self.effect(Effect::Request(no, *provider, search.wanted.request()));
            }
        }
        search.looked_up |= last;
        self.settle(number, search, now)
    }

    pub(crate) fn on_search_response(
        &mut self,
        no: RequestNo,
        response: Response,
        now: Now,
    ) -> Result<(), ReadError> {
        let Some((number, mut search, neighbour)) = self.take_search(no) else { return Ok(()) };
        match response {
            Response::Records { records, invalid, .. }
                if invalid.iter().all(|error| error.verdict() != Verdict::Reject) =>
            {
                for record in &records {
                    // Nothing that was not asked for is taken from an answer.
                    let asked = match &search.wanted {
                        Wanted::Agent(agent) => record.agent() == *agent,
                        Wanted::Skill(_) => true,
                    };
                    let shared =
                        matches!(record.kind(), Kind::Inception | Kind::Rotation | Kind::Card | Kind::Lease);
                    if asked && shared {
                        self.admit(record, Source::Search, now)?;
                        if record.kind() == Kind::Card {
                            search.brought.insert(record.agent());
                        }
                    }
                }
            }
            Response::Records { .. } | Response::Reconcile { .. } | Response::Busy if neighbour => {}
            Response::Records { .. } | Response::Reconcile { .. } | Response::Busy => search.silent += 1,
        }
        self.settle(number, search, now)
    }

    pub(crate) fn on_search_failure(&mut self, no: RequestNo, now: Now) -> Result<(), ReadError> {
        let Some((number, mut search, neighbour)) = self.take_search(no) else { return Ok(()) };
        search.silent += u64::from(!neighbour);
        self.settle(number, search, now)
    }

    /// Takes the search that a request belongs to, and whether a neighbour was asked.
    fn take_search(&mut self, no: RequestNo) -> Option<(u64, Search, bool)> {
        let waits = |search: &Search| search.waiting.contains(&no) || search.neighbours.contains(&no);
        let number = *self.searches.iter().find(|(_, search)| waits(search))?.0;
        let mut search = self.searches.remove(&number)?;
        search.waiting.remove(&no);
        let neighbour = search.neighbours.remove(&no);
        Some((number, search, neighbour))
    }

    pub(crate) fn end_late_searches(&mut self, now: Now) -> Result<(), ReadError> {
        let late: Vec<u64> = self
            .searches
            .iter()
            .filter(|(_, search)| search.deadline <= now.ticks)
            .map(|(no, _)| *no)
            .collect();
        for number in late {
            if let Some(search) = self.searches.remove(&number) {
                self.end_search(search, now)?;
            }
        }
        Ok(())
    }

    /// Ends a search that waits for nothing more, or keeps it.
    fn settle(&mut self, number: u64, search: Search, now: Now) -> Result<(), ReadError> {
        let nothing_yet = search.brought.is_empty() && !search.neighbours.is_empty();
        if search.looked_up && search.waiting.is_empty() && !nothing_yet {
            return self.end_search(search, now);
        }
        self.searches.insert(number, search);
        Ok(())
    }

    fn end_search(&mut self, search: Search, now: Now) -> Result<(), ReadError> {
        let silent = search.silent + search.waiting.len() as u64;
        match &search.wanted {
            Wanted::Skill(skill) => {
                let found = Found {
                    agents: self.found_agents(skill, search.limit, &search.brought, now)?,
                    pages: 1,
                    // A lookup that had nobody to ask has ended, and was answered by nobody.
                    pages_answered: u64::from(search.looked_up && !self.peers.is_empty()),
                    providers: search.providers.len() as u64,
                    providers_silent: silent,
                    live: true,
                };
                self.answer(search.ask, Answer::Found(found));
            }
            Wanted::Agent(agent) => {
                let answer = match self.card_answer(*agent, now)? {
                    Some(card) => Answer::Card(Box::new(card)),
                    None if search.looked_up => Answer::Refused(Refusal {
                        kind: RefusalKind::NotFound,
                        cause: format!(
                            "no card of {agent} is known here, and {} providers did not have it",
                            search.providers.len()
                        ),
                        hint: Some("the agent may have published none, or its card expired".into()),
                    }),
                    None => Answer::Refused(Refusal {
                        kind: RefusalKind::Timeout,
                        cause: format!("nobody answered for {agent} in time"),
                        hint: Some("`althing peers` shows whether this node is connected".into()),
                    }),
                };
                self.answer(search.ask, answer);
            }
        }
        Ok(())
    }

    /// The agents of the local index with a skill: those with a current lease first, then by id.
    fn found_agents(
        &self,
        skill: &SkillPath,
        limit: usize,
        brought: &BTreeSet<AgentId>,
        now: Now,
    ) -> Result<Vec<FoundAgent>, ReadError> {
        let mut agents = Vec::new();
        for hit in althing_card::find(&self.store, skill, now.wall, limit)? {
            if let Some(card) = self.card_answer(hit.agent, now)? {
                agents.push(FoundAgent { card, from_lookup: brought.contains(&hit.agent) });
            }
        }
        agents.sort_by_key(|found| (found.card.leases.is_empty(), found.card.agent));
        Ok(agents)
    }

    pub(crate) fn card_answer(&self, agent: AgentId, now: Now) -> Result<Option<CardAnswer>, ReadError> {
        let Some((record, card, revision)) = self.current_card(agent, now)? else { return Ok(None) };
        let mut leases = Vec::new();
        for (_, row) in self.store.scan_prefix(Table::Slot, &slot_key(agent, Kind::Lease, ""), 64)? {
            if let Some(head) = SlotHead::read(&row).filter(|head| head.deadline > now.wall)
                && let Some(record) = self.record(head.id)?
                && let Ok(Some(lease)) = Lease::from_record(&record)
            {
                leases.push(LeaseAnswer {
                    node: lease.node,
                    addresses: lease.addresses,
                    expires: lease.expires,
                });
            }
        }
        Ok(Some(CardAnswer {
            agent,
            card: record.id(),
            revision,
            key: *record.signing_key(),
            made: record.made(),
            expires: record.expires().unwrap_or_default(),
            skills: card.skills().iter().map(ToString::to_string).collect(),
            json: card.json().to_vec(),
            envelope: record.envelope().to_vec(),
            leases,
        }))
    }
}
