//! Evidence that is not in two records of the offender: Accepts that contradict each other, in a record of whoever holds
//! both.

use althing_record::cbor;
use althing_record::{AgentId, Content, Kind, RecordId};
use althing_store::{ReadError, Snapshot, Table};
use althing_trust::{Accept, Accusation, DoubleAccept};

use crate::admit::Admission;
use crate::engine::Engine;
use crate::rows::{DOUBLE_ACCEPT, evidence_key, offence_name, sync_key};
use crate::{Answer, AskNo, Event, Note, Now, RefusalKind};

/// Most cases of contradicting Accepts that are kept of one callee for each pair of keys that signed them: those of the
/// latest rating epochs, each in the record with the lowest id. So every node keeps the same, in whatever order they came.
pub const DOUBLE_ACCEPTS_MAX: usize = 4;

/// The row of a case, and what the rows of those begin with that are kept beside it. Cases under keys that bind nobody
/// never take the place of those that do.
fn case_key(case: &DoubleAccept) -> (Vec<u8>, Vec<u8>) {
    let prefix = evidence_key(case.callee(), DOUBLE_ACCEPT, case.keys().as_flattened());
    let key = [&prefix[..], &case.place()].concat();
    (prefix, key)
}

impl<S: Snapshot> Engine<S> {
    /// Publishes that a callee contradicts itself.
    pub(crate) fn on_accuse(
        &mut self,
        no: AskNo,
        agent: AgentId,
        [one, other]: &[Accept; 2],
        now: Now,
    ) -> Result<(), ReadError> {
        let Some(hosted) = self.hosted(agent).cloned() else {
            self.refuse_unhosted(no, agent);
            return Ok(());
        };
        let Some(case) = DoubleAccept::new(one, other, &self.network) else {
            self.refuse(no, RefusalKind::Invalid, "the two accepts do not contradict each other", None);
            return Ok(());
        };
        let (prefix, key) = case_key(&case);
        if self.store.get(Table::EvidenceView, &key)?.is_some() || self.is_passed(&prefix, &key)? {
            self.answer(no, Answer::Accused(None));
            return Ok(());
        }
        let content = Content::Body(cbor::to_vec(&case.body()));
        match self.sign_link(&hosted, Kind::Evidence, content, now) {
            Ok(record) => self.answer(no, Answer::Accused(Some(record.id()))),
            Err(error) => return self.refuse_unsigned(no, error),
        }
        Ok(())
    }

    /// Whether there are as many cases as are kept, all later than this one.
    fn is_passed(&self, prefix: &[u8], key: &[u8]) -> Result<bool, ReadError> {
        let kept = self.store.scan_prefix(Table::EvidenceView, prefix, DOUBLE_ACCEPTS_MAX)?;
        Ok(kept.len() >= DOUBLE_ACCEPTS_MAX && kept.first().is_some_and(|(first, _)| key < &first[..]))
    }

    /// Evidence is taken if it is of a new case, or in a record with a lower id than the one that is here.
    pub(crate) fn weigh_accusation(&self, said: &Accusation) -> Result<Option<Admission>, ReadError> {
        let history = self.key_history(said.case.callee())?;
        if !said.case.keys().iter().all(|key| history.has(key)) {
            return Ok(Some(Admission::Early("a key in it is not known to speak for the callee")));
        }
        let (prefix, key) = case_key(&said.case);
        let is_passed = match self.store.get(Table::EvidenceView, &key)? {
            Some(kept) => kept[..] < said.id.0[..],
            None => self.is_passed(&prefix, &key)?,
        };
        Ok(is_passed.then(|| match self.hosted(said.accuser) {
            // Nobody who asks whether all that was signed here is here has to wait for it.
            Some(_) => Admission::Known,
            None => Admission::Unwanted("the case, or as many later ones as are kept, is known".into()),
        }))
    }

    pub(crate) fn fold_accusation(&mut self, said: &Accusation) -> Result<(), ReadError> {
        let (prefix, key) = case_key(&said.case);
        match self.store.get(Table::EvidenceView, &key)? {
            Some(row) => self.drop_accusation(&row)?,
            None => {
                let (agent, name) = (said.case.callee(), offence_name(DOUBLE_ACCEPT));
                self.note(Note::Misbehaviour { offence: format!("{name} by {agent}") });
                let history = self.key_history(agent)?;
                if said.case.keys().iter().all(|signing| history.speaks(signing)) {
                    let (offence, records) = (name.to_owned(), vec![said.id]);
                    self.tell(&Event::EvidenceFound { agent, offence, records });
                }
            }
        }
        self.cases.get_mut().note_case(key.clone());
        self.put(Table::EvidenceView, key, said.id.0.to_vec());
        let kept = self.store.scan_prefix(Table::EvidenceView, &prefix, DOUBLE_ACCEPTS_MAX + 1)?;
        if kept.len() > DOUBLE_ACCEPTS_MAX
            && let Some((first, row)) = kept.into_iter().next()
        {
            self.drop_accusation(&row)?;
            self.cases.get_mut().note_case(first.clone());
            self.delete(Table::EvidenceView, first);
        }
        self.ratings.note_change();
        self.checkpoints.note_change();
        Ok(())
    }

    /// Removes a record whose place another one takes. Its position in its author's chain stays taken.
    fn drop_accusation(&mut self, row: &[u8]) -> Result<(), ReadError> {
        let Ok(id) = RecordId::try_from(row) else { return Ok(()) };
        let Some(record) = self.record(id)? else { return Ok(()) };
        self.delete(Table::Records, id.0.to_vec());
        if let Some(domain) = record.kind().domain() {
            self.delete(Table::SyncView, sync_key(domain, record.made(), id));
            self.reconciler.changed(domain);
        }
        Ok(())
    }
}
