use std::collections::{BTreeMap, BTreeSet};

use althing_card::Lease;
use althing_record::{AgentId, Kind, NodeId};
use althing_store::{ReadError, Snapshot, Table};

use crate::engine::Engine;
use crate::rows::{SlotHead, slot_key};
use crate::{CardAnswer, Find, Found, FoundAgent, LeaseAnswer, Now, PeerAsked, PeerOutcome, Reached};

impl<S: Snapshot> Engine<S> {
    /// What the local index finds, ascending.
    pub(super) fn found_agents(
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
                let standing = self.standing(hit.agent);
                agents.push(FoundAgent { card, from_lookup, reached, standing });
            }
        }
        Ok(Found { agents, cut, at: now.wall, ..Found::default() })
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
                    made: record.made(),
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
