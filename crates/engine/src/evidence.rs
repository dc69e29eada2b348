//! Proven misbehaviour: which cases there are, whom they bind, and who is left to pay for them.

use std::collections::BTreeMap;

use althing_record::{AgentId, RecordId};
use althing_store::{ReadError, Snapshot, Table};
use althing_trust::Slash;

use crate::EvidenceRow;
use crate::engine::Engine;
use crate::rows::{DOUBLE_ACCEPT, case_id, offence_name};

/// A row of [`Table::EvidenceView`].
struct Case {
    key: Vec<u8>,
    agent: AgentId,
    offence: u8,
    records: Vec<RecordId>,
}

impl Case {
    fn read(key: &[u8], value: &[u8]) -> Option<Self> {
        let (agent, rest) = key.split_first_chunk::<32>()?;
        let (records, []) = value.as_chunks::<32>() else { return None };
        let records = records.iter().copied().map(RecordId).collect();
        Some(Self { key: key.to_vec(), agent: AgentId(*agent), offence: *rest.first()?, records })
    }

    /// The keys that signed the statements of a case whose records are by somebody else.
    fn keys(&self) -> Option<&[[u8; 32]]> {
        (self.offence == DOUBLE_ACCEPT).then(|| self.key.get(33..97).map(|keys| keys.as_chunks().0)).flatten()
    }
}

impl<S: Snapshot> Engine<S> {
    /// The cases that bind, by agent.
    pub(crate) fn evidence(&self) -> Result<Vec<EvidenceRow>, ReadError> {
        self.evidence_under(&[])
    }

    /// The same of one agent.
    pub(crate) fn evidence_against(&self, agent: AgentId) -> Result<Vec<EvidenceRow>, ReadError> {
        self.evidence_under(&agent.0)
    }

    fn evidence_under(&self, prefix: &[u8]) -> Result<Vec<EvidenceRow>, ReadError> {
        let mut cases = Vec::new();
        self.for_each_row(Table::EvidenceView, prefix, |key, value| cases.extend(Case::read(key, value)))?;
        let mut shown = Vec::with_capacity(cases.len());
        // Rows are by agent.
        let mut pardons = (None, BTreeMap::new());
        for case in cases {
            if pardons.0 != Some(case.agent) {
                pardons = (Some(case.agent), self.pardons_of(case.agent)?);
            }
            let history = self.key_history(case.agent)?;
            let binds = match case.keys() {
                Some(keys) => keys.iter().all(|key| history.speaks(key)),
                None => self.binds(case.agent, &case.records)?,
            };
            if binds {
                let id = case_id(&case.key);
                shown.push(EvidenceRow {
                    agent: case.agent,
                    case: id,
                    offence: offence_name(case.offence).to_owned(),
                    records: case.records,
                    pardoned_by: pardons.1.get(&id).copied(),
                });
            }
        }
        Ok(shown)
    }

    /// Whether all records were signed by keys that speak for the agent: what a thief signed after the recovery key
    /// spoke is kept, but does not bind its victim.
    pub(crate) fn binds(&self, agent: AgentId, records: &[RecordId]) -> Result<bool, ReadError> {
        let history = self.key_history(agent)?;
        for id in records {
            if let Some(record) = self.record(*id)?
                && history.rank(&record).is_none()
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What proven misbehaviour takes from whose score.
    pub(crate) fn slashes(&self) -> Result<BTreeMap<AgentId, Slash>, ReadError> {
        let unpardoned = self.evidence()?.into_iter().filter(|row| row.pardoned_by.is_none());
        Ok(unpardoned.map(|row| (row.agent, Slash::Zero)).collect())
    }
}
