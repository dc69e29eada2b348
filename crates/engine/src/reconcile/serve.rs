//! Answers to peers that reconcile, fetch and search.

use std::collections::BTreeSet;

use althing_card::{Query, Term};
use althing_record::{Kind, RecordId};
use althing_store::{ReadError, Snapshot, Table};
use althing_sync::FETCH_MAX;

use super::ANSWER_BYTES_MAX;
use crate::engine::Engine;
use crate::frame::{RECORDS_MAX, records_response};
use crate::rows::{StoredRecord, slot_key};
use crate::{Now, Request, Response};

impl<S: Snapshot> Engine<S> {
    /// Answers a peer, as bytes.
    pub(crate) fn serve(&mut self, request: &Request, now: Now) -> Result<Vec<u8>, ReadError> {
        match request {
            Request::Reconcile { domain, cut, message } => {
                let elements = self.elements(*domain, *cut, now)?;
                Ok(match althing_sync::answer(&elements, message) {
                    Ok(message) => Response::Reconcile { message, clock: now.wall },
                    Err(_) => Response::Busy,
                }
                .to_bytes())
            }
            Request::Fetch { ids } => {
                let (mut served, mut rows, mut size) = (0, Vec::new(), 0);
                let mut given = BTreeSet::new();
                for id in ids.iter().take(FETCH_MAX) {
                    if given.insert(id)
                        && let Some(bytes) = self.live_bytes(*id, now)?
                    {
                        size += bytes.len();
                        if size > ANSWER_BYTES_MAX {
                            break;
                        }
                        rows.push(bytes);
                    }
                    served += 1;
                }
                Ok(records_response(served, &rows))
            }
            Request::Cards { term, query, after } => self.serve_cards(term, query.as_deref(), *after, now),
            Request::Known { query } => self.serve_known(query, now),
            Request::Providers { skill } => self.serve_known(&Query::from(Term::Skill(skill.clone())), now),
            // The shell shows receipts: see proofs/show.rs.
            Request::Prove { .. } => Ok(Response::Busy.to_bytes()),
            Request::Scores { checkpoint, agents } => Ok(self.serve_scores(*checkpoint, agents).to_bytes()),
            Request::Agent { agent } => {
                let rows = self.agent_rows(*agent, now)?;
                Ok(records_response(rows.len() as u64, &rows))
            }
        }
    }

    /// The records of agents that match, as far as they fit into one answer.
    fn serve_known(&mut self, query: &Query, now: Now) -> Result<Vec<u8>, ReadError> {
        let hits = althing_card::find(&self.store, query, now.wall, None, RECORDS_MAX / 4)?;
        let (mut rows, mut size) = (Vec::new(), 0);
        for hit in hits {
            let agent = self.agent_rows(hit.agent, now)?;
            size += agent.iter().map(Vec::len).sum::<usize>();
            if size > ANSWER_BYTES_MAX || rows.len() + agent.len() > RECORDS_MAX {
                break;
            }
            rows.extend(agent);
        }
        Ok(records_response(rows.len() as u64, &rows))
    }

    /// The carried bytes of a record that is live.
    pub(crate) fn live_bytes(&self, id: RecordId, now: Now) -> Result<Option<Vec<u8>>, ReadError> {
        let row = self.store.get(Table::Records, &id.0)?;
        let stored = row.as_deref().and_then(StoredRecord::read);
        Ok(stored
            .filter(|stored| stored.deadline > now.wall && !stored.bytes.is_empty())
            .map(|stored| stored.bytes.to_vec()))
    }

    /// What proves an agent to a stranger: its identity chain, its card and up to four leases.
    fn agent_rows(&self, agent: althing_record::AgentId, now: Now) -> Result<Vec<Vec<u8>>, ReadError> {
        let mut ids = Vec::new();
        for (key, _) in self.store.scan_prefix(Table::IdentityView, &agent.0, 4)? {
            ids.extend(RecordId::try_from(&key[32..]));
        }
        ids.extend(self.slot_head(&slot_key(agent, Kind::Card, ""))?.map(|head| head.id));
        let leases = slot_key(agent, Kind::Lease, "");
        for (_, row) in self.store.scan_prefix(Table::Slot, &leases, 4)? {
            ids.extend(crate::rows::SlotHead::read(&row).map(|head| head.id));
        }
        let mut rows = Vec::new();
        for id in ids {
            rows.extend(self.live_bytes(id, now)?);
        }
        Ok(rows)
    }
}
