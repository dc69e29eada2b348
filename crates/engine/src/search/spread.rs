use std::collections::BTreeSet;

use althing_record::{AgentId, Kind, RecordId};
use althing_store::{ReadError, Snapshot};

use super::Search;
use crate::engine::Engine;
use crate::rows::slot_key;
use crate::{Answer, AskNo, Effect, Now, RefusalKind, Request, RequestNo, Response};

/// Most connected peers that are asked whether they have a card.
pub const SPREAD_PEERS_MAX: usize = 16;

/// Counts the connected peers that have an agent's newest card.
#[derive(Debug)]
pub(crate) struct Spread {
    ask: AskNo,
    card: RecordId,
    asked: u64,
    found: u64,
    pub(super) requests: BTreeSet<RequestNo>,
    pub(super) deadline: u64,
}

impl<S: Snapshot> Engine<S> {
    pub(crate) fn on_spread(&mut self, no: AskNo, agent: AgentId, now: Now) -> Result<(), ReadError> {
        let Some(head) = self.slot_head(&slot_key(agent, Kind::Card, ""))? else {
            self.refuse(no, RefusalKind::NotFound, format!("no card of {agent} is known here"), None);
            return Ok(());
        };
        let Some(number) = self.search_number(no) else { return Ok(()) };
        let peers: Vec<_> = self.peers.iter().copied().take(SPREAD_PEERS_MAX).collect();
        let mut requests = BTreeSet::new();
        for peer in &peers {
            let request = self.request_no();
            requests.insert(request);
            self.effect(Effect::Request(request, *peer, Request::Agent { agent }));
        }
        let deadline = now.ticks + self.timing.search_ms;
        let spread =
            Spread { ask: no, card: head.id, asked: peers.len() as u64, found: 0, requests, deadline };
        self.settle_spread(number, spread, now);
        Ok(())
    }

    /// Takes an answer; only whether the card is in it matters.
    pub(super) fn take_spread(spread: &mut Spread, response: &Response) {
        if let Response::Records { records, .. } = response
            && records.iter().any(|record| record.id() == spread.card)
        {
            spread.found += 1;
        }
    }

    pub(super) fn settle_spread(&mut self, number: u64, spread: Spread, now: Now) {
        if spread.requests.is_empty() || spread.deadline <= now.ticks {
            let (asked, found) = (spread.asked, spread.found);
            self.answer(spread.ask, Answer::Spread { asked, found });
        } else {
            self.searches.insert(number, Search::Spread(spread));
        }
    }
}
