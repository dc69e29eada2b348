//! Values that closers agree on: which reports, and so which ballots.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use althing_agree::{Agreement, CommitCertificate, Message, ROUND_MAX, SignedStatement, Value};
use althing_ballot::{
    Choice, CloseReport, ClosedCertificate, Closing, Count, Manifest, Proposal, ReportSet, ballots_of,
    decision_of, instance, precommit_records,
};
use althing_record::{AgentId, Millis, RecordId};
use althing_store::{ReadError, Snapshot};

use super::{COUNTS_CACHED, Counted, JUDGING_MAX, Judged, OpenVote};
use crate::Now;
use crate::engine::Engine;

impl<S: Snapshot> Engine<S> {
    /// What the ballots of a decided Closed vote come to; `None` while it is not decided, or not all of it is here.
    pub(crate) fn closed_count(&self, proposal: &Proposal) -> Result<Option<Counted>, ReadError> {
        if proposal.item.is_some() {
            return Ok(self.question_count(proposal)?.map(Arc::new));
        }
        if let Some(counted) = self.closings.counts.borrow().get(&proposal.id) {
            return Ok(Some(Arc::clone(counted)));
        }
        let sealing = proposal.sealing();
        if let Some(sealing) = sealing
            && !self.may_open(proposal.id, sealing)?
        {
            return Ok(None);
        }
        let Some(reports) = self.agreed_reports(proposal)? else { return Ok(None) };
        let Ok(manifest) = self.unite(proposal, &reports, None)? else { return Ok(None) };
        let manifest = match sealing {
            Some(sealing) => self.open_manifest(proposal, sealing, manifest)?,
            None => Some(manifest),
        };
        let Some(manifest) = manifest else { return Ok(None) };
        let Some(count) = Count::of(proposal, &manifest) else { return Ok(None) };
        let counted = Arc::new((manifest, count));
        let mut counts = self.closings.counts.borrow_mut();
        if counts.len() >= COUNTS_CACHED {
            counts.clear();
        }
        counts.insert(proposal.id, Arc::clone(&counted));
        Ok(Some(counted))
    }

    /// The reports that were agreed on; `None` while it is not decided, or not all of them are here.
    pub(crate) fn agreed_reports(&self, proposal: &Proposal) -> Result<Option<Vec<CloseReport>>, ReadError> {
        let Some(value) = decision_of(&self.store, proposal.id)? else { return Ok(None) };
        Ok(self.reports_in(proposal, &value, None)?.ok())
    }

    /// The reports that a value names, or why there is no outcome with them.
    fn reports_in(
        &self,
        proposal: &Proposal,
        value: &[u8],
        known: Option<&OpenVote>,
    ) -> Result<Result<Vec<CloseReport>, Judged>, ReadError> {
        let Some(closing) = proposal.closing() else { return Ok(Err(Judged::Invalid)) };
        let closers = closing.closers(&self.network);
        let Some(set) = ReportSet::from_bytes(closers.len(), value) else { return Ok(Err(Judged::Invalid)) };
        let mut reports: Vec<CloseReport> = Vec::with_capacity(set.reports().len());
        for id in set.reports() {
            if let Some(report) = known.and_then(|open| open.reports.get(id)) {
                reports.push(report.clone());
                continue;
            }
            let Some(record) = self.record(*id)? else { return Ok(Err(Judged::Unknown)) };
            let report =
                CloseReport::from_record(&record).ok().filter(|report| report.fits(proposal, &closers));
            let Some(report) = report else { return Ok(Err(Judged::Invalid)) };
            reports.push(report);
        }
        let closers: BTreeSet<_> = reports.iter().map(|report| report.closer).collect();
        Ok(if closers.len() < reports.len() { Err(Judged::Invalid) } else { Ok(reports) })
    }

    /// Whether all ballots that reports name are here and may count.
    fn holds(&self, open: &OpenVote, reports: &[CloseReport]) -> Result<Judged, ReadError> {
        match &open.docket {
            Some(docket) => self.judge_answers(docket, reports),
            None => {
                let fault = self.unite(&open.proposal, reports, Some(open))?.err();
                Ok(fault.unwrap_or(Judged::Valid))
            }
        }
    }

    /// The union of reports, or why there is none.
    pub(super) fn unite(
        &self,
        proposal: &Proposal,
        reports: &[CloseReport],
        known: Option<&OpenVote>,
    ) -> Result<Result<Manifest, Judged>, ReadError> {
        let (mut missing, mut fault) = (false, None);
        let manifest = Manifest::unite(proposal, reports, |voter, batch| {
            if let Some(choice) = known.and_then(|open| open.choices.get(&(voter, batch))) {
                return Some(choice.clone());
            }
            match self.record(batch) {
                Ok(Some(record)) => {
                    let ballots = ballots_of(&record).ok()?;
                    let ballot = ballots.into_iter().find(|ballot| ballot.proposal == proposal.id)?;
                    match self.knows_keys(proposal, &ballot.choice) {
                        Ok(true) => (ballot.voter == voter).then_some(ballot.choice),
                        Ok(false) => {
                            missing = true;
                            None
                        }
                        Err(error) => {
                            fault = Some(error);
                            None
                        }
                    }
                }
                Ok(None) => {
                    missing = true;
                    None
                }
                Err(error) => {
                    fault = Some(error);
                    None
                }
            }
        });
        if let Some(error) = fault {
            return Err(error);
        }
        Ok(manifest.ok_or(if missing { Judged::Unknown } else { Judged::Invalid }))
    }

    /// A value that can be proposed: enough reports of which everything is here.
    pub(super) fn offer(&self, open: &OpenVote) -> Result<Option<Value>, ReadError> {
        let needed = Closing::reports_needed(open.closers.len());
        let mut chosen: BTreeMap<AgentId, RecordId> = BTreeMap::new();
        for (id, report) in &open.reports {
            if chosen.contains_key(&report.closer) || chosen.len() == needed {
                continue;
            }
            if matches!(self.holds(open, std::slice::from_ref(report))?, Judged::Valid) {
                chosen.insert(report.closer, *id);
            }
        }
        let set = ReportSet::new(open.closers.len(), chosen.into_values());
        Ok(set.and_then(|set| Value::new(&set.to_bytes()).ok()))
    }

    pub(super) fn judge(
        &mut self,
        open: &OpenVote,
        (judging, agreement): (&mut Vec<Value>, &mut Agreement),
        value: Value,
        now: Now,
        sign: althing_agree::Signer<'_>,
    ) -> Result<(), ReadError> {
        let judged = match self.reports_in(&open.proposal, value.bytes(), Some(open))? {
            Ok(reports) => self.holds(open, &reports)?,
            Err(judged) => judged,
        };
        match judged {
            Judged::Valid => agreement.judge(Millis(now.ticks), value.id(), true, sign),
            Judged::Invalid => agreement.judge(Millis(now.ticks), value.id(), false, sign),
            Judged::Unknown if judging.len() < JUDGING_MAX => judging.push(value),
            Judged::Unknown => {}
        }
        Ok(())
    }

    /// The certificate of a Closed decision; `None` while not everything for it is here.
    pub(crate) fn closed_certificate(
        &self,
        proposal: &Proposal,
    ) -> Result<Option<ClosedCertificate>, ReadError> {
        let (Some(record), Some(value)) = (self.record(proposal.id)?, decision_of(&self.store, proposal.id)?)
        else {
            return Ok(None);
        };
        let Some(closing) = proposal.closing() else { return Ok(None) };
        let closers = closing.closers(&self.network);
        let (Some(set), Some(instance)) =
            (ReportSet::from_bytes(closers.len(), &value), instance(&self.network, proposal))
        else {
            return Ok(None);
        };
        let (mut reports, mut batches) = (Vec::new(), BTreeMap::new());
        for id in set.reports() {
            let Some(report) = self.record(*id)? else { return Ok(None) };
            for (_, batch) in CloseReport::from_record(&report).map_or(Vec::new(), |report| report.ballots) {
                let Some(batch) = self.record(batch)? else { return Ok(None) };
                batches.insert(batch.id(), batch);
            }
            reports.push(report);
        }
        let Ok(value) = Value::new(&value) else { return Ok(None) };
        let mut commit = None;
        for round in 0..=ROUND_MAX {
            let ids = precommit_records(&self.store, proposal.id, round, value.id())?;
            if ids.len() < instance.quorum() {
                continue;
            }
            let mut messages = Vec::with_capacity(ids.len());
            for id in ids {
                messages.extend(self.message(&instance, id)?.map(|(_, message)| message));
            }
            let signed = messages.iter().filter_map(Message::signed);
            commit = CommitCertificate::gather(&instance, round, &value, signed);
            break;
        }
        let Some(commit) = commit else { return Ok(None) };
        let batches: Vec<_> = batches.into_values().collect();
        let mut openings = Vec::new();
        if let Some(sealing) = proposal.sealing() {
            let ballots = batches.iter().flat_map(|batch| ballots_of(batch).unwrap_or_default());
            let choices: Vec<Choice> =
                ballots.filter(|ballot| ballot.proposal == proposal.id).map(|ballot| ballot.choice).collect();
            let sealed = choices.iter().filter_map(Choice::sealed);
            openings = self.openings_for(proposal.id, sealing, sealed)?;
        }
        let signed = [&record].into_iter().chain(&reports).chain(&batches).chain(&openings);
        let mut others = self.group_records(proposal)?;
        let said = commit.votes().iter().map(SignedStatement::statement);
        let closers = said.filter(|statement| statement.key.is_some()).map(|statement| statement.closer);
        others.extend(self.identities_of(signed.chain(&others), closers)?);
        let (network, put, commit) = (&self.network, (&record, proposal.item), commit.bytes());
        Ok(ClosedCertificate::write_item(network, put, &reports, &batches, &openings, &others, commit))
    }
}
