//! What this node's agents say as closers.

use std::sync::Arc;

use althing_agree::{Agreement, Output};
use althing_ballot::{ACKS_MAX, Ack, AgreementBody, CloseReport, decision_of, open_closings, statements_in};
use althing_record::cbor::{self, Encode};
use althing_record::{AgentId, Content, Domain, Kind, Millis, Record, RecordId};
use althing_store::{MAX_PENDING, ReadError, Snapshot};
use rand_core::Rng;

use super::{
    ACKS_MS, BLOCKED_MS, HASTE_MS, HASTE_PEERS, HASTE_PERIOD_MS, LOOK_MS, OPEN_MAX, OpenVote, SIGNED_MAX,
    Seat, WAITING_MAX,
};
use crate::engine::Engine;
use crate::publish::SignError;
use crate::{HostedAgent, Note, Now};

impl<S: Snapshot> Engine<S> {
    /// Does what there is to do for the Closed votes.
    pub(crate) fn pump_closings(&mut self, now: Now) -> Result<(), ReadError> {
        for id in std::mem::take(&mut self.closings.fresh) {
            if let Some(proposal) = self.proposal(id)? {
                self.open_closing(&proposal, false, now)?;
            }
        }
        self.open_motions_late(now)?;
        let is_time = now.ticks >= self.closings.looked.saturating_add(LOOK_MS);
        if self.closings.crowded && is_time && self.closings.open.len() <= OPEN_MAX / 4 * 3 {
            (self.closings.crowded, self.closings.looked) = (false, now.ticks);
            for id in open_closings(&self.store, WAITING_MAX)? {
                if self.closings.open.len() >= OPEN_MAX {
                    self.closings.crowded = true;
                    break;
                }
                if let Some(proposal) = self.proposal(id)? {
                    self.open_closing(&proposal, true, now)?;
                }
            }
        }
        let due: Vec<RecordId> = self
            .closings
            .open
            .iter()
            .filter(|(_, open)| open.next_deadline() <= now.ticks)
            .map(|(id, _)| *id)
            .collect();
        self.closings.ready.extend(due);
        let asked = self.closings.asked;
        while self.signed.len() < SIGNED_MAX {
            let Some(id) = self.closings.ready.pop_first() else { break };
            // It is put back unless it is decided meanwhile.
            let Some(mut open) = self.closings.open.remove(&id) else { continue };
            self.pump_closing(&mut open, now)?;
            if decision_of(&self.store, id)?.is_some() {
                continue;
            }
            if self.closings.lost.remove(&id) {
                let (proposal, closes, not_before) = (open.proposal, open.closes, open.not_before);
                self.open_closing(&proposal, open.is_old, now)?;
                if let Some(open) = self.closings.open.get_mut(&id) {
                    (open.closes, open.not_before) = (closes, not_before);
                }
                self.closings.ready.remove(&id);
            } else {
                self.closings.open.insert(id, open);
            }
        }
        self.ask_for_missing(now)?;
        if self.closings.asked != asked {
            self.pump_sync(now)?;
        }
        Ok(())
    }

    /// Asks peers for what decided votes are counted from and is not here, for a while.
    fn ask_for_missing(&mut self, now: Now) -> Result<(), ReadError> {
        let ids: Vec<RecordId> = self.closings.incomplete.keys().copied().collect();
        for id in ids {
            let is_told = self.is_told(id)?;
            let Some(until) = self.closings.incomplete.get_mut(&id) else { continue };
            if is_told || now.ticks >= *until.get_or_insert(now.ticks + HASTE_MS) {
                self.closings.incomplete.remove(&id);
            }
        }
        if !self.closings.incomplete.is_empty() {
            self.ask_around(now);
        }
        Ok(())
    }

    pub(super) fn pump_closing(&mut self, open: &mut OpenVote, now: Now) -> Result<(), ReadError> {
        let may_sign = self.may_close(open);
        open.not_before = if may_sign { 0 } else { now.ticks + BLOCKED_MS };
        let agents: Vec<AgentId> = open.seats.keys().copied().collect();
        for agent in &agents {
            let (Some(hosted), Some(mut seat)) = (self.hosted(*agent).cloned(), open.seats.remove(agent))
            else {
                continue;
            };
            if may_sign {
                self.report(&hosted, open, &mut seat, now)?;
                self.say_acks(&hosted, open, &mut seat, now)?;
            }
            open.seats.insert(*agent, seat);
        }
        // Who may not speak yet stands still: what is passed over in silence is not said later.
        if !may_sign || open.seats.values().all(|seat| seat.agreement.is_none()) {
            return Ok(());
        }
        let is_news = std::mem::take(&mut open.is_news);
        let offer = if is_news { self.offer(open)? } else { None };
        let inbox = std::mem::take(&mut open.inbox);
        for agent in agents {
            let (Some(hosted), Some(mut seat)) = (self.hosted(agent).cloned(), open.seats.remove(&agent))
            else {
                continue;
            };
            let Some(mut agreement) = seat.agreement.take() else {
                open.seats.insert(agent, seat);
                continue;
            };
            let key = &hosted.key;
            let ticks = Millis(now.ticks);
            if let Some(value) = &offer {
                agreement.offer(ticks, value.clone(), key);
            }
            for (author, message) in &inbox {
                if *author != agent {
                    agreement.handle(ticks, message, key);
                }
            }
            if now.ticks >= seat.wake {
                seat.wake = u64::MAX;
                agreement.wake(ticks, key);
            }
            if is_news {
                for value in std::mem::take(&mut seat.judging) {
                    self.judge(open, (&mut seat.judging, &mut agreement), value, now, key)?;
                }
            }
            self.carry_out(&hosted, open, (&mut seat, &mut agreement), now)?;
            seat.agreement = Some(agreement);
            open.seats.insert(agent, seat);
        }
        Ok(())
    }

    /// Whether this node's agents may speak in a vote: in one from before this start only when a peer has told since what
    /// a copy of this directory may have said, and from a restored directory never.
    pub(super) fn may_close(&self, open: &OpenVote) -> bool {
        if self.signing_stopped.is_some() {
            return false;
        }
        let alone = open.closers.iter().all(|closer| self.hosted(*closer).is_some());
        !self.restored && (!open.is_old || alone || self.reconciler.has_synced(Domain::Ledger))
    }

    /// Signs what was acknowledged a while ago and no report has told.
    pub(super) fn say_acks(
        &mut self,
        hosted: &HostedAgent,
        open: &mut OpenVote,
        seat: &mut Seat,
        now: Now,
    ) -> Result<(), ReadError> {
        if seat.fresh.is_empty() || now.ticks < *seat.acks_due.get_or_insert(now.ticks + ACKS_MS) {
            return Ok(());
        }
        seat.acks_due = None;
        while !seat.fresh.is_empty() {
            let rest = seat.fresh.split_off(seat.fresh.len().min(ACKS_MAX));
            let acks = std::mem::replace(&mut seat.fresh, rest);
            let Some(body) = Ack::body(&acks) else { continue };
            if self.say(hosted, Kind::BallotAck, &body, now)?.is_none() {
                seat.fresh.splice(..0, acks);
                open.not_before = now.ticks + BLOCKED_MS;
                return Ok(());
            }
        }
        Ok(())
    }

    /// Closes the vote at one seat if its time has come.
    pub(super) fn report(
        &mut self,
        hosted: &HostedAgent,
        open: &mut OpenVote,
        seat: &mut Seat,
        now: Now,
    ) -> Result<(), ReadError> {
        if seat.agreement.is_some() || !open.is_over(seat, now) {
            return Ok(());
        }
        let ballots: Vec<_> = seat.acked.iter().map(|(voter, batch)| (*voter, *batch)).collect();
        let Some(body) = CloseReport::body(open.proposal.id, &ballots) else { return Ok(()) };
        if let Some(record) = self.say(hosted, Kind::CloseReport, &body, now)? {
            open.reported.insert(hosted.agent);
            let (id, proposal, closer) = (record.id(), open.proposal.id, hosted.agent);
            open.reports.insert(id, CloseReport { id, proposal, closer, ballots });
            open.is_news = true;
            // The report promises more than they would.
            seat.fresh.clear();
            seat.acks_due = None;
            let (instance, ticks) = (Arc::clone(&open.instance), Millis(now.ticks));
            seat.agreement = Some(Agreement::new(instance, Some(hosted.agent), ticks));
            let said = self.said_before(open)?;
            open.inbox.extend(said);
            self.closings.ready.insert(open.proposal.id);
        } else {
            open.not_before = now.ticks + BLOCKED_MS;
        }
        Ok(())
    }

    /// Signs a link of an agent's chain, if that is possible.
    pub(super) fn say(
        &mut self,
        hosted: &HostedAgent,
        kind: Kind,
        body: &impl Encode,
        now: Now,
    ) -> Result<Option<Record>, ReadError> {
        // More than that no vote guard takes.
        if self.signed.len() >= MAX_PENDING {
            return Ok(None);
        }
        match self.sign_link(hosted, kind, Content::Body(cbor::to_vec(body)), now) {
            Ok(record) => Ok(Some(record)),
            Err(SignError::Read(error)) => Err(error),
            Err(SignError::Refused(_, cause)) => {
                self.note(Note::NotClosed { cause });
                Ok(None)
            }
        }
    }

    /// Does what the agreement at one seat wants.
    pub(super) fn carry_out(
        &mut self,
        hosted: &HostedAgent,
        open: &mut OpenVote,
        (seat, agreement): (&mut Seat, &mut Agreement),
        now: Now,
    ) -> Result<(), ReadError> {
        while let Some(output) = agreement.poll() {
            match output {
                Output::Keep(entry) => {
                    let body = AgreementBody::of(open.proposal.id, &entry);
                    let kept = match body {
                        Some(body) => self.say(hosted, Kind::Agreement, &body, now)?.is_some(),
                        None => false,
                    };
                    if !kept {
                        // The message stays unsent; the agreement is rebuilt from what was kept.
                        open.not_before = now.ticks + BLOCKED_MS;
                        self.closings.lost.insert(open.proposal.id);
                        agreement.set_silent(true);
                        continue;
                    }
                    // For the other seats here.
                    if !open.seats.is_empty() {
                        open.inbox.push((hosted.agent, entry.message().clone()));
                        self.closings.ready.insert(open.proposal.id);
                    }
                }
                Output::Judge(value) => {
                    self.judge(open, (&mut seat.judging, agreement), value, now, &hosted.key)?
                }
                Output::WakeAt(at) => seat.wake = at.0,
                // What is here and was too far ahead when it came, or had no room, is shown again.
                Output::Send(_) => {
                    let round = agreement.round();
                    let mut shown = std::mem::take(&mut open.shown);
                    for round in [round.saturating_sub(1), round] {
                        for id in statements_in(&self.store, open.proposal.id, round)? {
                            let message = match shown.remove(&id) {
                                Some(message) => Some(message),
                                None => self.message(&open.instance, id)?,
                            };
                            if let Some(message) = message {
                                open.inbox.push(message.clone());
                                open.shown.insert(id, message);
                            }
                        }
                    }
                    self.closings.ready.insert(open.proposal.id);
                    // And what is not here reconciliation brings.
                    if now.ticks < open.closes.saturating_add(HASTE_MS) {
                        self.ask_around(now);
                    }
                }
                Output::Answer(_) => {}
                // Both are read from the records, here as everywhere.
                Output::Decided { .. } | Output::Evidence(_) => {}
                Output::Doubled(signed) => {
                    let (agent, id) = (hosted.agent, open.proposal.id);
                    // Whoever holds a key that was replaced silences the seat here, which says nothing more, and not the node.
                    if signed.statement().signing_key() != hosted.key.public() {
                        let cause = format!(
                            "{agent} takes no more part in closing {id}: one of its former keys said something there"
                        );
                        self.note(Note::NotClosed { cause });
                        continue;
                    }
                    self.stop_signing(format!(
                        "{agent} said something in the closing of {id} that is not here"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Asks some peers for what they heard: something that was said in a closing may have been lost.
    pub(crate) fn ask_around(&mut self, now: Now) {
        if now.ticks < self.closings.asked + HASTE_PERIOD_MS {
            return;
        }
        self.closings.asked = now.ticks;
        self.due.sync = self.due.sync.min(now.ticks + 1);
        let peers: Vec<_> = self.peers.iter().copied().collect();
        if peers.is_empty() {
            return;
        }
        let from = usize::try_from(self.random.next_u64() % peers.len() as u64).unwrap_or(0);
        for peer in peers.iter().cycle().skip(from).take(peers.len().min(HASTE_PEERS)) {
            self.reconciler.seek(*peer);
        }
    }
}
