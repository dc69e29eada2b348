//! Finding agents: the local index first, then a live Kademlia lookup whose providers are asked for signed cards.

use std::collections::{BTreeMap, BTreeSet};

use althing_card::{Lease, Page, Plan, SkillPath, Term, agent_key, skill_key};
use althing_record::{AgentId, Kind, NodeId, Verdict};
use althing_store::{ReadError, Snapshot, Table};

use crate::engine::Engine;
use crate::rows::{SlotHead, slot_key};
use crate::{
    Answer, AskNo, CardAnswer, Effect, Explain, Find, Found, FoundAgent, Key, LeaseAnswer, MAX_FOUND, Now,
    PageAsked, PeerAsked, PeerOutcome, QueryNo, Reached, Refusal, RefusalKind, Request, RequestNo, Response,
    Source,
};

/// Most searches that run at once.
pub const SEARCHES_MAX: usize = 64;

/// Most providers that one search asks.
pub const PROVIDERS_MAX: usize = 64;

/// A search that waits for the network.
#[derive(Debug)]
pub(crate) struct Search {
    ask: AskNo,
    wanted: Wanted,
    providers: BTreeSet<NodeId>,
    waiting: BTreeMap<RequestNo, NodeId>,
    asked: BTreeMap<NodeId, PeerAsked>,
    looked_up: bool,
    started: u64,
    brought: BTreeSet<AgentId>,
    pub(crate) deadline: u64,
}

#[derive(Clone, Debug)]
enum Wanted {
    /// The one skill whose providers are asked, and the parts of the query that it does not lead to.
    Query(Box<Find>, SkillPath, Vec<String>),
    Agent(AgentId),
}

/// A skill that leads to matches, and what it does not lead to.
fn lead(plan: &Plan) -> (Option<SkillPath>, Vec<String>) {
    match plan {
        Plan::Term(Term::Skill(skill)) => (Some(skill.clone()), Vec::new()),
        Plan::Term(Term::Tag(_)) | Plan::Unkeyed(_) => (None, vec![plan.to_string()]),
        Plan::AnyOf(plans) => {
            let leads = plans.iter().map(lead);
            leads.min_by_key(|(_, left)| left.len()).unwrap_or_default()
        }
        Plan::AllOf(plans) => {
            let (mut first, mut left) = (None, Vec::new());
            for plan in plans {
                match lead(plan) {
                    (Some(skill), rest) if first.is_none() => {
                        first = Some(skill);
                        left.extend(rest);
                    }
                    _ => left.push(plan.to_string()),
                }
            }
            (first, left)
        }
    }
}

impl<S: Snapshot> Engine<S> {
    pub(crate) fn on_find(&mut self, no: AskNo, find: &Find, now: Now) -> Result<(), ReadError> {
        if find.limit == 0 || find.limit > MAX_FOUND {
            let cause = format!("limit {} is out of bounds, expected 1 to {MAX_FOUND}", find.limit);
            self.refuse(no, RefusalKind::Invalid, cause, None);
            return Ok(());
        }
        let local = althing_card::find(&self.store, &find.query, now.wall, find.after, 1)?;
        let (skill, left) = lead(&find.query.plan());
        if (find.live || local.is_empty())
            && let Some(skill) = skill
        {
            return self.start_search(no, Wanted::Query(Box::new(find.clone()), skill, left), now);
        }
        let unkeyed = find.query.plan().unkeyed().into_iter().map(str::to_owned).collect();
        let found = Found { unkeyed, ..self.found_agents(find, &BTreeSet::new(), &BTreeMap::new(), now)? };
        self.answer(no, Answer::Found(found));
        Ok(())
    }

    pub(crate) fn on_card(&mut self, no: AskNo, agent: AgentId, now: Now) -> Result<(), ReadError> {
        match self.card_answer(agent, now)? {
            Some(card) => self.answer(no, Answer::Card(Box::new(card))),
            None => self.start_search(no, Wanted::Agent(agent), now)?,
        }
        Ok(())
    }

    fn start_search(&mut self, ask: AskNo, wanted: Wanted, now: Now) -> Result<(), ReadError> {
        if self.searches.len() >= SEARCHES_MAX {
            let cause = format!("{SEARCHES_MAX} searches are running");
            self.refuse(ask, RefusalKind::Busy, cause, Some("try again in a moment"));
            return Ok(());
        }
        let network = self.network.id();
        let key = match &wanted {
            Wanted::Query(_, skill, _) => skill_key(network, skill, Page::ROOT),
            Wanted::Agent(agent) => agent_key(network, *agent),
        };
        let number = self.number();
        let search = Search {
            ask,
            wanted,
            providers: BTreeSet::new(),
            waiting: BTreeMap::new(),
            asked: BTreeMap::new(),
            looked_up: false,
            started: now.ticks,
            brought: BTreeSet::new(),
            deadline: now.ticks + self.timing.search_ms,
        };
        self.searches.insert(number, search);
        self.effect(Effect::Lookup(QueryNo(number), Key(key)));
        Ok(())
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
                let request = match &search.wanted {
                    Wanted::Query(_, skill, _) => Request::Providers { skill: skill.clone() },
                    Wanted::Agent(agent) => Request::Agent { agent: *agent },
                };
                let no = self.request_no();
                search.waiting.insert(no, *provider);
                self.effect(Effect::Request(no, *provider, request));
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
        let Some((number, node, mut search)) = self.take_search(no) else { return Ok(()) };
        let ms = now.ticks.saturating_sub(search.started);
        let (outcome, count) = match response {
            Response::Records { records, invalid, .. }
                if invalid.iter().all(|error| error.verdict() != Verdict::Reject) =>
            {
                for record in &records {
                    // Nothing that was not asked for is taken from an answer.
                    let asked = match &search.wanted {
                        Wanted::Agent(agent) => record.agent() == *agent,
                        Wanted::Query(..) => true,
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
                (PeerOutcome::Answered, records.len() as u64)
            }
            Response::Records { .. } | Response::Reconcile { .. } => (PeerOutcome::Invalid, 0),
            Response::Busy => (PeerOutcome::Silent, 0),
        };
        search.asked.insert(node, PeerAsked { node, outcome, records: count, ms });
        self.settle(number, search, now)
    }

    pub(crate) fn on_search_failure(&mut self, no: RequestNo, now: Now) -> Result<(), ReadError> {
        let Some((number, node, mut search)) = self.take_search(no) else { return Ok(()) };
        let ms = now.ticks.saturating_sub(search.started);
        search.asked.insert(node, PeerAsked { node, outcome: PeerOutcome::Silent, records: 0, ms });
        self.settle(number, search, now)
    }

    fn take_search(&mut self, no: RequestNo) -> Option<(u64, NodeId, Search)> {
        let number = *self.searches.iter().find(|(_, search)| search.waiting.contains_key(&no))?.0;
        let mut search = self.searches.remove(&number)?;
        let node = search.waiting.remove(&no)?;
        Some((number, node, search))
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
        if search.looked_up && search.waiting.is_empty() {
            return self.end_search(search, now);
        }
        self.searches.insert(number, search);
        Ok(())
    }

    fn end_search(&mut self, mut search: Search, now: Now) -> Result<(), ReadError> {
        let ms = now.ticks.saturating_sub(search.started);
        for node in search.waiting.values() {
            let late = PeerAsked { node: *node, outcome: PeerOutcome::Silent, records: 0, ms };
            search.asked.insert(*node, late);
        }
        match &search.wanted {
            Wanted::Query(find, skill, left) => {
                let page = PageAsked {
                    term: Term::Skill(skill.clone()),
                    bits: 0,
                    page: String::new(),
                    key: Key(skill_key(self.network.id(), skill, Page::ROOT)),
                    providers: search.providers.len() as u64,
                    // A lookup that had nobody to ask has ended, and was answered by nobody.
                    answered: search.looked_up && !self.peers.is_empty(),
                    ms,
                };
                let silent = |asked: &&PeerAsked| asked.outcome != PeerOutcome::Answered;
                let found = Found {
                    pages: 1,
                    pages_answered: u64::from(page.answered),
                    providers: search.providers.len() as u64,
                    providers_asked: search.asked.len() as u64,
                    providers_silent: search.asked.values().filter(silent).count() as u64,
                    unkeyed: left.clone(),
                    live: true,
                    explain: Explain { pages: vec![page], peers: search.asked.values().copied().collect() },
                    ..self.found_agents(find, &search.brought, &search.asked, now)?
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

    /// What the local index finds, ascending.
    fn found_agents(
        &self,
        find: &Find,
        brought: &BTreeSet<AgentId>,
        asked: &BTreeMap<NodeId, PeerAsked>,
        now: Now,
    ) -> Result<Found, ReadError> {
        let mut hits = althing_card::find(&self.store, &find.query, now.wall, find.after, find.limit + 1)?;
        let cut = hits.len() > find.limit;
        hits.truncate(find.limit);
        let mut agents = Vec::with_capacity(hits.len());
        for hit in hits {
            if let Some(card) = self.card_answer(hit.agent, now)? {
                let from_lookup = brought.contains(&hit.agent);
                let reached = reached(&card, asked, self.node());
                agents.push(FoundAgent { card, from_lookup, reached });
            }
        }
        Ok(Found { agents, cut, ..Found::default() })
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

/// The quickest of the nodes that serve an agent.
fn reached(card: &CardAnswer, asked: &BTreeMap<NodeId, PeerAsked>, own: NodeId) -> Reached {
    if card.leases.iter().any(|lease| lease.node == own) {
        return Reached::Answered { ms: 0 };
    }
    let asked: Vec<_> = card.leases.iter().filter_map(|lease| asked.get(&lease.node)).collect();
    let answered = asked.iter().filter(|asked| asked.outcome == PeerOutcome::Answered).map(|asked| asked.ms);
    match answered.min() {
        Some(ms) => Reached::Answered { ms },
        None if asked.is_empty() => Reached::NotAsked,
        None => Reached::Silent,
    }
}
