//! Votes that were open at the start, or are new.

use std::collections::BTreeMap;
use std::sync::Arc;

use althing_agree::{Agreement, Instance, Message, RestoreError};
use althing_ballot::{
    AgreementBody, CloseReport, Proposal, acks_of, ballots_for, decision_of, instance, open_closings,
    reports_of, statements_in, statements_of,
};
use althing_record::{AgentId, Millis, RecordId};
use althing_store::{ReadError, Snapshot};

use super::{
    OF_ONE_MAX, OPEN_MAX, OpenVote, REPORTS_MAX, ROUNDS_FIRST, Seat, WAITING_MAX, acknowledge,
    acknowledge_batch,
};
use crate::engine::Engine;
use crate::{HostedAgent, Note, Now};

impl<S: Snapshot> Engine<S> {
    /// Takes up the Closed votes that are not decided and that this node's agents close.
    pub(crate) fn resume_closings(&mut self, now: Now) -> Result<(), ReadError> {
        let motions = self.checkpoints.undecided();
        for id in motions.into_iter().chain(open_closings(&self.store, WAITING_MAX)?) {
            if let Some(proposal) = self.proposal(id)? {
                self.open_closing(&proposal, true, now)?;
            }
        }
        Ok(())
    }

    /// Takes up a Closed vote if agents of this node close it.
    pub(crate) fn open_closing(
        &mut self,
        proposal: &Arc<Proposal>,
        is_old: bool,
        now: Now,
    ) -> Result<(), ReadError> {
        let Some(closing) = proposal.closing() else { return Ok(()) };
        let closers = closing.closers(&self.network);
        let hosted: Vec<HostedAgent> = self
            .agents
            .iter()
            .filter(|hosted| closers.binary_search(&hosted.agent).is_ok())
            .cloned()
            .collect();
        let is_known = self.closings.open.contains_key(&proposal.id);
        if hosted.is_empty() || is_known {
            return Ok(());
        }
        if self.checkpoints.is_motion(proposal.id) {
            if !self.has_room_for_motion(proposal)? {
                self.closings.motions_wait = true;
                return Ok(());
            }
        } else if self.closings.open.len() >= OPEN_MAX || self.has_enough_of(proposal) {
            self.closings.crowded = true;
            return Ok(());
        }
        if decision_of(&self.store, proposal.id)?.is_some() {
            return Ok(());
        }
        let Some(instance) = instance(&self.network, proposal) else { return Ok(()) };
        // A start does not begin the window again; a clock that is wrong only closes earlier or later.
        let gone = if is_old { now.wall.since(proposal.made) } else { 0 };
        let window = proposal.window_ms.saturating_sub(gone);
        let mut reports = BTreeMap::new();
        let mut known = Vec::new();
        for closer in &closers {
            known.extend(reports_of(&self.store, proposal.id, *closer, REPORTS_MAX)?);
        }
        for id in known {
            let report = self.record(id)?.and_then(|record| CloseReport::from_record(&record).ok());
            let report = report.filter(|report| report.fits(proposal, &closers));
            reports.extend(report.map(|report| (id, report)));
        }
        let mut open = OpenVote {
            reported: reports.values().map(|report| report.closer).collect(),
            reports,
            choices: BTreeMap::new(),
            not_before: 0,
            proposal: Arc::clone(proposal),
            docket: self.docket(proposal.id)?,
            instance,
            closers,
            closes: now.ticks.saturating_add(window),
            is_old,
            seats: BTreeMap::new(),
            inbox: Vec::new(),
            shown: BTreeMap::new(),
            is_news: true,
        };
        for hosted in hosted {
            let seat = self.seat(&open, &hosted, now)?;
            open.seats.extend(seat.map(|seat| (hosted.agent, seat)));
        }
        if open.seats.values().any(|seat| seat.agreement.is_some()) {
            open.inbox = self.said_before(&open)?;
        }
        for cast in ballots_for(&self.store, proposal.id, None)? {
            if !self.knows_keys(proposal, &cast.ballot.choice)? {
                continue;
            }
            acknowledge(&mut open, &cast.ballot, cast.batch);
        }
        if open.docket.is_some() {
            for (voter, batch) in self.docket_batches(proposal.id)? {
                acknowledge_batch(&mut open, voter, batch);
            }
        }
        self.closings.open.insert(proposal.id, open);
        self.closings.ready.insert(proposal.id);
        Ok(())
    }

    /// Whether the proposer has as many votes open here as one elsewhere may have.
    fn has_enough_of(&self, proposal: &Proposal) -> bool {
        let by = |open: &&OpenVote| open.proposal.proposer == proposal.proposer;
        self.hosted(proposal.proposer).is_none()
            && self.closings.open.values().filter(by).count() >= OF_ONE_MAX
    }

    /// What an agent of this node said in a vote before.
    pub(super) fn seat(
        &mut self,
        open: &OpenVote,
        hosted: &HostedAgent,
        now: Now,
    ) -> Result<Option<Seat>, ReadError> {
        let (id, agent) = (open.proposal.id, hosted.agent);
        let acked = acks_of(&self.store, id, Some(agent))?;
        let mut entries: Vec<Vec<u8>> = Vec::new();
        let mut is_by_former_key = false;
        for statement in statements_of(&self.store, id, Some(agent))? {
            let record = self.record(statement)?;
            let key = record.as_ref().map(|record| *record.signing_key());
            is_by_former_key |= key.is_some_and(|key| key != hosted.key.public());
            let part = record.and_then(|record| AgreementBody::from_record(&record).ok());
            entries.extend(part.map(|part| part.entry.into_inner()));
        }
        let mut seat = Seat {
            acked: acked.into_iter().map(|(_, voter, batch)| (voter, batch)).collect(),
            fresh: Vec::new(),
            acks_due: None,
            agreement: None,
            wake: now.ticks,
            judging: Vec::new(),
        };
        if !open.reported.contains(&agent) && entries.is_empty() {
            return Ok(Some(seat));
        }
        let (instance, ticks) = (Arc::clone(&open.instance), Millis(now.ticks));
        let restored =
            self.with_keys(|keys| Agreement::restore(instance, Some(agent), &entries, keys, ticks))?;
        match restored {
            Ok(agreement) => {
                seat.agreement = Some(agreement);
                Ok(Some(seat))
            }
            // Who holds a key that was replaced makes the seat stand still, and not the node.
            Err(error @ RestoreError::Twice { .. }) if is_by_former_key => {
                let cause = format!("{agent} takes no more part in closing {id}: {error}");
                self.note(Note::NotClosed { cause });
                Ok(None)
            }
            Err(error) => {
                self.stop_signing(format!("{agent} cannot go on closing {id}: {error}"));
                Ok(None)
            }
        }
    }

    /// The author and the message of a record of an agreement.
    pub(super) fn message(
        &self,
        instance: &Instance,
        id: RecordId,
    ) -> Result<Option<(AgentId, Message)>, ReadError> {
        let Some(record) = self.record(id)? else { return Ok(None) };
        let entry = self.read_entry(&record, instance)?;
        Ok(entry.ok().map(|entry| (record.agent(), entry.message().clone())))
    }

    /// What was said in the rounds in which the seats here are or were, and in the first ones.
    pub(super) fn said_before(&self, open: &OpenVote) -> Result<Vec<(AgentId, Message)>, ReadError> {
        let rounds = open.seats.values().filter_map(|seat| seat.agreement.as_ref()).map(Agreement::round);
        let last = rounds.max().unwrap_or(0);
        let first = last.saturating_sub(1);
        let mut said = Vec::new();
        for round in (0..ROUNDS_FIRST).chain(first..first + ROUNDS_FIRST) {
            for id in statements_in(&self.store, open.proposal.id, round)? {
                said.extend(self.message(&open.instance, id)?);
            }
        }
        Ok(said)
    }
}
