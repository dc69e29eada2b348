//! Certificates of votes.

use std::collections::BTreeSet;

use althing_ballot::{Certificate, Mode, Outcome, Proposal};
use althing_record::{AgentId, Record, RecordId};
use althing_store::{ReadError, Snapshot, Table};

use crate::engine::Engine;
use crate::{Answer, AskNo, RefusalKind};

impl<S: Snapshot> Engine<S> {
    pub(crate) fn on_certificate(
        &mut self,
        no: AskNo,
        id: RecordId,
        question: Option<u16>,
    ) -> Result<(), ReadError> {
        let Some(proposal) = self.asked(no, id, question)? else { return Ok(()) };
        let certificate = match proposal.mode {
            Mode::Direct { .. } => self.certificate(&proposal)?.map(|certificate| certificate.to_bytes()),
            Mode::Closed(_) => self.closed_certificate(&proposal)?.map(|certificate| certificate.to_bytes()),
        };
        match certificate {
            Some(certificate) => self.answer(no, Answer::Certificate(certificate)),
            None if proposal.closing().is_some() => {
                let cause = format!("{id} is not decided, or not all that it was decided from is here");
                let hint = "`althing vote show` says where it stands";
                self.refuse(no, RefusalKind::NotReady, cause, Some(hint));
            }
            None => {
                let tally = self.tally(&proposal)?;
                let conflict = matches!(tally.outcome(&proposal), Outcome::Conflicting(_));
                let certifiable =
                    (0..).zip(&tally.weights).filter(|(index, _)| proposal.against != Some(*index));
                let most = certifiable.map(|(_, weight)| *weight).max().unwrap_or(0);
                let cause = if conflict {
                    format!("{id} has no outcome: too many voters voted twice")
                } else {
                    format!(
                        "{id} is not decided: {most} of {} needed votes",
                        proposal.threshold().unwrap_or(0)
                    )
                };
                self.refuse(
                    no,
                    RefusalKind::NotReady,
                    cause,
                    Some("`althing vote show` lists who has voted"),
                );
            }
        }
        Ok(())
    }

    fn certificate(&self, proposal: &Proposal) -> Result<Option<Certificate>, ReadError> {
        let Some(record) = self.record(proposal.id)? else { return Ok(None) };
        let mut batches: Vec<Record> = Vec::new();
        if proposal.item.is_some() {
            batches = self.batches_with_answers(proposal)?;
        } else {
            let standing = self.standing_ballots(proposal.id, None)?;
            let ids: BTreeSet<_> = standing.iter().map(|cast| cast.batch).collect();
            for id in ids {
                batches.extend(self.record(id)?);
            }
        }
        let mut others = self.group_records(proposal)?;
        others.extend(self.identities_of(batches.iter().chain(&others).chain([&record]), [])?);
        Ok(Certificate::write_item(&self.network, &record, proposal.item, &batches, &others))
    }

    /// The identity records of those whose rotated keys signed something, and of others who are `rotated`.
    pub(crate) fn identities_of<'r>(
        &self,
        signed: impl IntoIterator<Item = &'r Record>,
        rotated: impl IntoIterator<Item = AgentId>,
    ) -> Result<Vec<Record>, ReadError> {
        let signers = signed.into_iter().filter(|record| record.header().key.is_some()).map(Record::agent);
        let rotated: BTreeSet<_> = signers.chain(rotated).collect();
        let mut identities = Vec::new();
        for agent in rotated {
            for (key, _) in self.store.scan_prefix(Table::IdentityView, &agent.0, usize::MAX)? {
                if let Ok(id) = RecordId::try_from(&key[32..]) {
                    identities.extend(self.record(id)?);
                }
            }
        }
        Ok(identities)
    }
}
