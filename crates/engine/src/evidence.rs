//! Proven misbehaviour: which cases there are, whom they bind, and who is left to pay for them.

use althing_record::{AgentId, Record, RecordId};
use althing_store::{ReadError, Snapshot, Table};

use crate::engine::Engine;
use crate::rows::{DOUBLE_ACCEPT, case_id, evidence_key, offence_name};
use crate::{EvidenceRow, Note};

/// A row of [`Table::EvidenceView`].
pub(crate) struct Case {
    pub(crate) key: Vec<u8>,
    pub(crate) agent: AgentId,
    offence: u8,
    records: Vec<RecordId>,
}

impl Case {
    pub(crate) fn read(key: &[u8], value: &[u8]) -> Option<Self> {
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
    /// Keeps the two records that prove an offence.
    pub(crate) fn prove(
        &mut self,
        agent: AgentId,
        offence: u8,
        subject: &[u8],
        [first, second]: [RecordId; 2],
    ) -> Result<(), ReadError> {
        let key = evidence_key(agent, offence, subject);
        if self.store.get(Table::EvidenceView, &key)?.is_none() {
            let name = offence_name(offence);
            self.note(Note::Misbehaviour { offence: format!("{name} by {agent}") });
            self.tell_evidence(agent, name, &[first, second])?;
        }
        self.ratings.note_change();
        self.checkpoints.note_change();
        self.cases.get_mut().note_case(key.clone());
        self.put(Table::EvidenceView, key, [first.0, second.0].concat());
        Ok(())
    }

    /// Keeps the lowest of all records that say something and the lowest that says something else, when one more came. They
    /// are among those of which this was so before, and the new one; before there were two that differ, among all that are
    /// `known`.
    pub(crate) fn prove_lowest<T: PartialEq>(
        &mut self,
        (agent, offence, subject): (AgentId, u8, &[u8]),
        new: (RecordId, T),
        known: Vec<(RecordId, T)>,
        read: impl Fn(&Record) -> Option<T>,
    ) -> Result<(), ReadError> {
        let mut said = known;
        if let Some(pair) = self.proved((agent, offence, subject))? {
            said.clear();
            for id in pair {
                let what = self.record(id)?.as_ref().and_then(&read);
                said.extend(what.map(|what| (id, what)));
            }
        }
        said.push(new);
        said.sort_unstable_by_key(|(id, _)| *id);
        let pair = said.first().and_then(|(first, what)| {
            let (second, _) = said.iter().find(|(_, other)| other != what)?;
            Some([*first, *second])
        });
        pair.map_or(Ok(()), |pair| self.prove(agent, offence, subject, pair))
    }

    /// The two records that prove an offence, if it is proved.
    pub(crate) fn proved(
        &self,
        (agent, offence, subject): (AgentId, u8, &[u8]),
    ) -> Result<Option<[RecordId; 2]>, ReadError> {
        let row = self.store.get(Table::EvidenceView, &evidence_key(agent, offence, subject))?;
        Ok(row.as_deref().and_then(|row| {
            let (first, second) = row.split_first_chunk::<32>()?;
            Some([RecordId(*first), RecordId::try_from(second).ok()?])
        }))
    }

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
        for case in cases {
            let (binds, pardoned_by) = self.case_standing(&case)?;
            if binds {
                shown.push(EvidenceRow {
                    agent: case.agent,
                    case: case_id(&case.key),
                    offence: offence_name(case.offence).to_owned(),
                    records: case.records,
                    pardoned_by,
                });
            }
        }
        Ok(shown)
    }

    /// Whether a case binds, as far as is known now.
    pub(crate) fn case_binds(&self, case: &Case) -> Result<bool, ReadError> {
        let Some(keys) = case.keys() else { return self.binds(case.agent, &case.records) };
        let history = self.key_history(case.agent)?;
        Ok(keys.iter().all(|key| history.speaks(key)))
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
}
