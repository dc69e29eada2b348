use std::collections::BTreeSet;

use althing_card::agent_key;
use althing_record::{AgentId, Kind, NodeId, Verdict};
use althing_store::{ReadError, Snapshot};

use super::Search;
use crate::engine::Engine;
use crate::rows::slot_key;
use crate::{
    Answer, AskNo, Effect, Key, Now, QueryNo, Refusal, RefusalKind, Request, RequestNo, Response, Source,
};

/// Most providers of one agent that are asked.
pub const AGENT_PROVIDERS_MAX: usize = 64;

/// A search for one agent's card.
#[derive(Debug)]
pub(crate) struct AgentSearch {
    ask: AskNo,
    agent: AgentId,
    providers: BTreeSet<NodeId>,
    pub(super) requests: BTreeSet<RequestNo>,
    /// Requests to neighbours; waited for only while there is no card.
    pub(super) neighbours: BTreeSet<RequestNo>,
    is_over: bool,
    pub(super) deadline: u64,
}

impl<S: Snapshot> Engine<S> {
    pub(crate) fn on_card(&mut self, no: AskNo, agent: AgentId, now: Now) -> Result<(), ReadError> {
        if let Some(card) = self.card_answer(agent, now)? {
            self.answer(no, Answer::Card(Box::new(card)));
            return Ok(());
        }
        let Some(number) = self.search_number(no) else { return Ok(()) };
        let search = AgentSearch {
            ask: no,
            agent,
            providers: BTreeSet::new(),
            requests: BTreeSet::new(),
            neighbours: self.ask_neighbours(&Request::Agent { agent }).into_iter().collect(),
            is_over: false,
            deadline: now.ticks + self.timing.search_ms,
        };
        self.searches.insert(number, Search::Agent(search));
        self.lookups.insert(number, number);
        self.effect(Effect::Lookup(QueryNo(number), Key(agent_key(self.network.id(), agent))));
        Ok(())
    }

    pub(super) fn ask_about_agent(&mut self, search: &mut AgentSearch, providers: &[NodeId]) {
        let own = self.node();
        for provider in providers.iter().filter(|provider| **provider != own) {
            if search.providers.len() < AGENT_PROVIDERS_MAX && search.providers.insert(*provider) {
                let no = self.request_no();
                search.requests.insert(no);
                self.effect(Effect::Request(no, *provider, Request::Agent { agent: search.agent }));
            }
        }
    }

    pub(super) fn take_agent(
        &mut self,
        search: &AgentSearch,
        response: Response,
        now: Now,
    ) -> Result<(), ReadError> {
        let Response::Records { records, invalid, .. } = response else { return Ok(()) };
        if invalid.iter().any(|error| error.verdict() == Verdict::Reject) {
            return Ok(());
        }
        for record in records {
            let shared = matches!(record.kind(), Kind::Inception | Kind::Rotation | Kind::Card | Kind::Lease);
            // Nothing that was not asked for is taken from an answer.
            if shared && record.agent() == search.agent {
                self.admit(&record, Source::Search, now)?;
            }
        }
        Ok(())
    }

    /// Answers when nothing more can come, or keeps the search.
    pub(super) fn settle_agent(
        &mut self,
        number: u64,
        mut search: AgentSearch,
        is_over: bool,
        now: Now,
    ) -> Result<(), ReadError> {
        search.is_over |= is_over;
        let is_late = search.deadline <= now.ticks;
        let is_hopeful = !search.neighbours.is_empty() && self.card_answer(search.agent, now)?.is_none();
        if !is_late && (!search.is_over || !search.requests.is_empty() || is_hopeful) {
            self.searches.insert(number, Search::Agent(search));
            return Ok(());
        }
        self.lookups.remove(&number);
        let agent = search.agent;
        let answer = match self.card_answer(agent, now)? {
            Some(card) => Answer::Card(Box::new(card)),
            None if self.slot_record(&slot_key(agent, Kind::Card, ""), now)?.is_some() => {
                Answer::Refused(Refusal {
                    kind: RefusalKind::NotFound,
                    cause: format!("the card of {agent} was retracted"),
                    hint: Some(format!("`althing card history {agent}` shows when")),
                })
            }
            None if search.is_over => Answer::Refused(Refusal {
                kind: RefusalKind::NotFound,
                cause: match search.providers.len() {
                    1 => format!("no card of {agent} is known here, and 1 provider did not have it"),
                    count => {
                        format!("no card of {agent} is known here, and {count} providers did not have it")
                    }
                },
                hint: Some("the agent may have published none, or its card expired".into()),
            }),
            None => Answer::Refused(Refusal {
                kind: RefusalKind::Timeout,
                cause: format!("nobody answered for {agent} in time"),
                hint: Some("`althing peers` shows whether this node is connected".into()),
            }),
        };
        self.answer(search.ask, answer);
        Ok(())
    }
}
