//! What closers say, as it is taken in: by the records alone, whether or not this node closes the vote.

use althing_agree::{Entry, Instance, Step};
use althing_ballot::{
    Ack, AgreementBody, Ballot, BallotError, Choice, CloseReport, Closing, TrusteeKey, ballots_for,
    decision_of, early_decisions, early_statements, forget_early_statement, index_decision, instance,
    precommits, reports_of, statements_at,
};
use althing_record::{AgentId, Record, RecordId};
use althing_store::{Batch, ReadError, Snapshot};

use super::{INBOX_MAX, INCOMPLETE_MAX, OpenVote, REPORTS_MAX, UNKNOWN, acknowledge, acknowledge_batch};
use crate::Source;
use crate::admit::{Admission, UNKNOWN_KEY};
use crate::body::Body;
use crate::engine::Engine;
use crate::rows::{DOUBLE_REPORT, DOUBLE_STATEMENT};

impl<S: Snapshot> Engine<S> {
    /// Ballots came; those of Closed votes are acknowledged.
    pub(crate) fn close_ballots(&mut self, ballots: &[Ballot], batch: RecordId) -> Result<(), ReadError> {
        for ballot in ballots {
            if let Some(open) = self.closings.open.get(&ballot.proposal) {
                let is_whole = self.knows_keys(&open.proposal, &ballot.choice)?;
                if let Some(open) = self.closings.open.get_mut(&ballot.proposal).filter(|_| is_whole) {
                    acknowledge(open, ballot, batch);
                    self.closings.ready.insert(ballot.proposal);
                }
            } else if self.checkpoints.is_motion(ballot.proposal) {
                self.closings.note_motion(ballot.proposal);
            }
            self.note_closed(ballot.proposal)?;
        }
        Ok(())
    }

    /// Answers to a docket came; they are acknowledged if they count.
    pub(crate) fn close_answers(
        &mut self,
        docket: RecordId,
        voter: AgentId,
        batch: RecordId,
        counts: bool,
    ) -> Result<(), ReadError> {
        if let Some(open) = self.closings.open.get_mut(&docket)
            && counts
        {
            acknowledge_batch(open, voter, batch);
            self.closings.ready.insert(docket);
        }
        Ok(())
    }

    /// A trustee's key came: ballots that are sealed with it and came before are acknowledged now.
    pub(crate) fn close_waiting_ballots(&mut self, said: &TrusteeKey) -> Result<(), ReadError> {
        let is_open = self.closings.open.contains_key(&said.proposal);
        if is_open && let Some(proposal) = self.proposal(said.proposal)? {
            let place = proposal.sealing().and_then(|sealing| sealing.place(said.trustee));
            for cast in ballots_for(&self.store, proposal.id, None)? {
                if let Choice::Sealed(sealed) = &cast.ballot.choice
                    && sealed.shares().any(|share| (Some(share.place), share.key) == (place, said.key))
                {
                    self.close_ballots(std::slice::from_ref(&cast.ballot), cast.batch)?;
                }
            }
        }
        self.note_closed(said.proposal)
    }

    /// A close report came.
    pub(crate) fn close_report(&mut self, report: &CloseReport) -> Result<(), ReadError> {
        let said = reports_of(&self.store, report.proposal, report.closer, REPORTS_MAX)?;
        if let [first, second, ..] = said[..] {
            self.prove(report.closer, DOUBLE_REPORT, &report.proposal.0, [first, second])?;
        }
        if let Some(open) = self.closings.open.get_mut(&report.proposal) {
            open.is_news = true;
            if report.fits(&open.proposal, &open.closers) {
                open.reported.insert(report.closer);
                // Whoever makes more contradicts itself; a value that names them is judged from the store.
                if open.reports.values().filter(|other| other.closer == report.closer).count() < REPORTS_MAX {
                    open.reports.insert(report.id, report.clone());
                }
            }
            self.closings.ready.insert(report.proposal);
        }
        self.note_closed(report.proposal)
    }

    /// A Closed proposal is in the view.
    pub(crate) fn fold_closing(&mut self, id: RecordId) -> Result<(), ReadError> {
        let Some(proposal) = self.proposal(id)? else { return Ok(()) };
        let Some(instance) = instance(&self.network, &proposal) else { return Ok(()) };
        let mut batch = Batch::default();
        althing_ballot::index_closing(id, &mut batch);
        self.write_all(&batch);
        self.closings.fresh.push(id);
        self.fold_early_statements(id, &instance)
    }

    /// An agent has another key: what waited for it is looked at again.
    pub(crate) fn fold_waiting_statements(&mut self) -> Result<(), ReadError> {
        for id in early_decisions(&self.store)? {
            if let Some(proposal) = self.proposal(id)?
                && let Some(instance) = instance(&self.network, &proposal)
            {
                self.fold_early_statements(id, &instance)?;
            }
        }
        Ok(())
    }

    fn fold_early_statements(&mut self, id: RecordId, instance: &Instance) -> Result<(), ReadError> {
        for early in early_statements(&self.store, id)? {
            let read = match self.record(early)? {
                Some(record) => Some(self.read_entry(&record, instance)?).zip(Some(record)),
                None => None,
            };
            if let Some((Err(BallotError::UnknownKey(_)), _)) = read {
                continue;
            }
            let mut batch = Batch::default();
            forget_early_statement(id, early, &mut batch);
            self.write_all(&batch);
            let Some((Ok(entry), record)) = read else { continue };
            let mut batch = Batch::default();
            althing_ballot::index_statement(&self.store, id, entry.statement(), early, &mut batch)?;
            self.write_all(&batch);
            self.close_statement(id, &record, &entry)?;
        }
        Ok(())
    }

    /// Holds a part of an agreement against its proposal.
    pub(crate) fn read_statement(
        &mut self,
        record: &Record,
        part: AgreementBody,
        source: Source,
    ) -> Result<Result<Body, Admission>, ReadError> {
        let Some(proposal) = self.proposal(part.proposal)? else {
            // What was signed here is kept even if a crash took the proposal.
            let is_kept = source == Source::Guard;
            return Ok(if is_kept { Ok(Body::Agreement(part)) } else { Err(Admission::Early(UNKNOWN)) });
        };
        let Some(instance) = instance(&self.network, &proposal) else {
            return Ok(Err(Admission::Unwanted("the proposal has no closers who can agree".into())));
        };
        Ok(match self.with_keys(|keys| part.entry(record, &instance, keys))? {
            Ok(entry) => Ok(Body::Statement(part.proposal, Box::new(entry))),
            // What was signed here waits for the others' keys.
            Err(BallotError::UnknownKey(_)) if source == Source::Guard => Ok(Body::Agreement(part)),
            Err(BallotError::UnknownKey(_)) => Err(UNKNOWN_KEY),
            Err(error) => Err(Admission::Wrong(error.to_string())),
        })
    }

    /// What a closer's record says in a decision, by the identity records that are here.
    pub(super) fn read_entry(
        &self,
        record: &Record,
        instance: &Instance,
    ) -> Result<Result<Entry, BallotError>, ReadError> {
        let part = match AgreementBody::from_record(record) {
            Ok(part) => part,
            Err(error) => return Ok(Err(error)),
        };
        self.with_keys(|keys| part.entry(record, instance, keys))
    }

    /// A closer's word is taken if it closes the vote that it is about.
    pub(crate) fn weigh_closer(
        &mut self,
        closer: AgentId,
        vote: RecordId,
    ) -> Result<Option<Admission>, ReadError> {
        let Some(proposal) = self.proposal(vote)? else { return Ok(Some(Admission::Early(UNKNOWN))) };
        let closes = |closing: &Closing| closing.closers(&self.network).contains(&closer);
        let stranger = || Admission::Unwanted("its author does not close this vote".into());
        Ok((!proposal.closing().is_some_and(closes)).then(stranger))
    }

    /// Acknowledgements are taken if their author closes every vote that they are about, and there are these voters: so they
    /// are no more than there can be ballots.
    pub(crate) fn weigh_acks(
        &mut self,
        closer: AgentId,
        acks: &[Ack],
    ) -> Result<Option<Admission>, ReadError> {
        let mut early = None;
        for ack in acks {
            match self.weigh_closer(closer, ack.proposal)? {
                Some(Admission::Early(cause)) => early = Some(Admission::Early(cause)),
                Some(refused) => return Ok(Some(refused)),
                None => {}
            }
            let proposal = self.proposal(ack.proposal)?;
            let voters = proposal.map(|proposal| proposal.electorate.voters().len());
            if voters.is_some_and(|voters| usize::from(ack.voter) >= voters) {
                return Ok(Some(Admission::Unwanted("it acknowledges a ballot of nobody".into())));
            }
        }
        Ok(early)
    }

    /// A statement of an agreement came and is in the view.
    pub(crate) fn close_statement(
        &mut self,
        id: RecordId,
        record: &Record,
        entry: &Entry,
    ) -> Result<(), ReadError> {
        let statement = entry.statement();
        if let [first, second, ..] = statements_at(&self.store, id, statement)?[..] {
            let (first, second) = (first.min(second), first.max(second));
            let round = statement.round.to_be_bytes();
            let subject = [&id.0[..], &round, &[statement.step as u8]].concat();
            self.prove(record.agent(), DOUBLE_STATEMENT, &subject, [first, second])?;
        }
        // Until a seat has reported nothing is kept here: then it is read from the store.
        if let Some(open) = self.closings.open.get_mut(&id)
            && open.seats.values().any(|seat| seat.agreement.is_some())
            && open.inbox.len() < INBOX_MAX
        {
            open.inbox.push((record.agent(), entry.message().clone()));
            self.closings.ready.insert(id);
        }
        let (Step::Precommit, Some(value), Some(bytes)) = (statement.step, statement.value, entry.locked())
        else {
            return Ok(());
        };
        if decision_of(&self.store, id)?.is_some() {
            return Ok(());
        }
        let Some(proposal) = self.proposal(id)? else { return Ok(()) };
        let Some(closing) = proposal.closing() else { return Ok(()) };
        let closers = closing.closers(&self.network);
        let said = precommits(&self.store, id, statement.round, value)?;
        let count = said.iter().filter(|closer| closers.binary_search(closer).is_ok()).count();
        if count >= Closing::reports_needed(closers.len()) {
            let mut batch = Batch::default();
            index_decision(id, bytes.bytes(), &mut batch);
            self.write_all(&batch);
            self.closings.open.remove(&id);
            self.closings.ready.remove(&id);
            self.open_decided(&proposal);
            self.note_closed(id)?;
        }
        Ok(())
    }

    /// Tells the outcome of a Closed vote, once all that it is counted from is here.
    pub(crate) fn note_closed(&mut self, id: RecordId) -> Result<(), ReadError> {
        if decision_of(&self.store, id)?.is_none() || self.is_told(id)? {
            return Ok(());
        }
        if self.docket(id)?.is_some() {
            self.note_docket(id)?;
        } else if let Some(proposal) = self.proposal(id)? {
            self.note_outcome(&proposal)?;
        }
        if !self.is_told(id)? && self.closings.incomplete.len() < INCOMPLETE_MAX {
            self.closings.incomplete.entry(id).or_default();
        }
        Ok(())
    }

    /// Whether the ballots of a vote are no longer taken here: it is decided, or this node's agents have reported.
    pub(crate) fn is_closed(&self, proposal: RecordId) -> Result<bool, ReadError> {
        let reported = |open: &OpenVote| open.seats.values().any(|seat| seat.agreement.is_some());
        Ok(decision_of(&self.store, proposal)?.is_some()
            || self.closings.open.get(&proposal).is_some_and(reported))
    }
}
