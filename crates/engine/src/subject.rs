//! Subjects: of the decisions of one electorate on one subject, one is in force.

use std::collections::BTreeMap;

use althing_ballot::{Outcome, Proposal, Standing, Subject, proposals_on, standings};
use althing_record::{Digest, RecordId};
use althing_store::{Batch, ReadError, Snapshot};

use crate::engine::Engine;
use crate::{AskNo, RefusalKind, SubjectTerms};

/// Most proposals on one subject that are looked at, those with the lowest ids.
const ON_SUBJECT_MAX: usize = 256;

impl<S: Snapshot> Engine<S> {
    /// A proposal is in the view; it is found by its subject from now on.
    pub(crate) fn fold_subject(&mut self, id: RecordId) -> Result<(), ReadError> {
        let Some(proposal) = self.proposal(id)? else { return Ok(()) };
        if let Some(subject) = &proposal.subject {
            let mut batch = Batch::default();
            althing_ballot::index_subject(subject.key(&proposal.electorate), id, &mut batch);
            self.write_all(&batch);
        }
        Ok(())
    }

    /// What a proposal decides about, and whether its decision holds.
    pub(crate) fn subject_terms(&mut self, proposal: &Proposal) -> Result<Option<SubjectTerms>, ReadError> {
        let Some(subject) = &proposal.subject else { return Ok(None) };
        let standing = self.standings_on(subject.key(&proposal.electorate))?.remove(&proposal.id);
        Ok(Some(SubjectTerms { name: subject.name.to_string(), basis: subject.basis, standing }))
    }

    /// Where the decided proposals on a subject stand. One that leaves things as they are decides nothing on it.
    fn standings_on(&mut self, subject: Digest) -> Result<BTreeMap<RecordId, Standing>, ReadError> {
        let mut decided = BTreeMap::new();
        for id in proposals_on(&self.store, subject, ON_SUBJECT_MAX)? {
            let Some(proposal) = self.proposal(id)? else { continue };
            if let Outcome::Decided(option) = self.outcome(&proposal)?
                && proposal.against != Some(option)
            {
                decided.insert(id, proposal.subject.as_ref().and_then(|subject| subject.basis));
            }
        }
        Ok(standings(&decided))
    }

    /// Whether a question may be put on a subject now: with the decision in force as its basis. If not, the client is
    /// told.
    pub(crate) fn may_follow(
        &mut self,
        no: AskNo,
        subject: &Subject,
        electorate: &althing_ballot::Electorate,
    ) -> Result<bool, ReadError> {
        let standings = self.standings_on(subject.key(electorate))?;
        let in_force =
            standings.iter().find(|(_, standing)| **standing == Standing::InForce).map(|(id, _)| *id);
        if subject.basis == in_force {
            return Ok(true);
        }
        let (cause, hint) = match in_force {
            Some(id) => (
                format!("on \"{}\" decision {id} is in force", &*subject.name),
                format!("to take its place, name it: --after {id}"),
            ),
            None => (
                format!("nothing is decided on \"{}\" by these voters", &*subject.name),
                "leave --after out".to_owned(),
            ),
        };
        self.refuse(no, RefusalKind::Conflict, cause, Some(&hint));
        Ok(false)
    }
}
