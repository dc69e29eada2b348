//! What a searcher gets to hear: the agents that this node serves itself.

use althing_card::{Card, Query, SkillPath, Term};
use althing_record::{AgentId, Kind, RecordId};
use althing_store::{ReadError, Snapshot, Table};

use crate::Now;
use crate::engine::Engine;
use crate::frame::{RECORDS_MAX, cards_response};
use crate::reconcile::ANSWER_BYTES_MAX;
use crate::rows::slot_key;

/// Whether a card is found under a term.
pub(crate) fn is_under(card: &Card, term: &Term) -> bool {
    match term {
        Term::Skill(path) => card.skills().iter().any(|skill: &SkillPath| path.covers(skill)),
        Term::Tag(tag) => card.tags().contains(tag),
    }
}

impl<S: Snapshot> Engine<S> {
    /// The records of agents hosted here, ascending, as far as they fit into one answer.
    pub(crate) fn serve_cards(
        &mut self,
        term: &Term,
        query: Option<&Query>,
        after: Option<AgentId>,
        now: Now,
    ) -> Result<Vec<u8>, ReadError> {
        let hosted = self.agents.iter().map(|hosted| hosted.agent);
        let mut agents: Vec<_> = hosted.filter(|agent| after.is_none_or(|after| *agent > after)).collect();
        agents.sort_unstable();
        let (mut rows, mut size, mut last): (Vec<Vec<u8>>, _, _) = (Vec::new(), 0, None);
        for agent in agents {
            let Some(card) = self.own_card(agent, now)? else { continue };
            if !is_under(&card, term) || query.is_some_and(|query| !query.matches(&card.facts())) {
                continue;
            }
            let proof = self.proof(agent, now)?;
            size += proof.iter().map(Vec::len).sum::<usize>();
            if last.is_some() && (size > ANSWER_BYTES_MAX || rows.len() + proof.len() > RECORDS_MAX) {
                return Ok(cards_response(last, &rows));
            }
            rows.extend(proof);
            last = Some(agent);
        }
        Ok(cards_response(None, &rows))
    }

    /// What proves to a stranger that this node serves an agent: its identity chain, its card, and its lease here.
    /// Nothing if that lease is over.
    fn proof(&self, agent: AgentId, now: Now) -> Result<Vec<Vec<u8>>, ReadError> {
        let lease = self.slot_head(&slot_key(agent, Kind::Lease, &self.node().to_string()))?;
        let Some(lease) = lease.filter(|lease| lease.deadline > now.wall) else { return Ok(Vec::new()) };
        let mut ids = Vec::new();
        for (key, _) in self.store.scan_prefix(Table::IdentityView, &agent.0, 4)? {
            ids.extend(key.get(32..).and_then(|id| RecordId::try_from(id).ok()));
        }
        ids.extend(self.slot_head(&slot_key(agent, Kind::Card, ""))?.map(|head| head.id));
        ids.push(lease.id);
        let mut rows = Vec::new();
        for id in ids {
            rows.extend(self.live_bytes(id, now)?);
        }
        Ok(rows)
    }
}
