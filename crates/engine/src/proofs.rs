//! Demands: members of the committee ask raters for the receipts behind their attestations, once a checkpoint that nobody
//! could know before says which. A row whose receipts are not shown, at several times, is unproved.
//!
//! What is known of a record is a row of [`Table::ProofView`], so that a restart asks for nothing twice. Nodes that host no
//! member ask for nothing and keep none.

mod check;
mod rows;
mod show;

use std::collections::{BTreeMap, BTreeSet};

use althing_record::{AgentId, Digest, Kind, NodeId, Record, RecordId};
use althing_store::{ReadError, Snapshot, Table};
use althing_trust::{Attestations, RatingEpoch, Unproved};

pub use self::check::{CheckedRow, ProofCheck};
use self::rows::{Place, Waiting, place_of, verdict_key, verdict_prefix, waiting_key};
pub use self::show::ReceiptsDemanded;
use crate::engine::Engine;
use crate::rows::{SlotHead, slot_key};
use crate::{Effect, Event, JobNo, Note, Now, ROWS_ASKED_MAX, Request, RequestNo, Response};

/// How often a rater that shows nothing, or not all, is asked again before a row counts as unproved.
pub const PROOF_TRIES_MAX: u8 = 5;

/// How often a rater's node that has no room for a demand is asked again before that counts as shown nothing: others may keep
/// it busy, and it must not say so for ever.
const BUSY_MAX: u8 = 24;

/// Most records whose receipts are to be demanded; of more, the later ones are not asked for.
pub const PROOFS_WAITING_MAX: usize = 65_536;

/// Most demands under way at once.
pub const PROOFS_RUNNING_MAX: usize = 4;

/// How long nobody is asked again, in milliseconds: an eighth of a rating epoch within these.
const PAUSE_MS_MIN: u64 = 1_000;
const PAUSE_MS_MAX: u64 = 3_600_000;

/// Most leases of a rater that are looked at.
const LEASES_MAX: usize = 8;

/// A demand that waits for its answer.
#[derive(Debug)]
struct Asked {
    place: Place,
    peer: NodeId,
    rows: Vec<u16>,
}

/// What this node demands of raters.
#[derive(Debug, Default)]
pub(crate) struct Proofs {
    waiting: BTreeMap<Place, Waiting>,
    /// Those that no checkpoint has taken.
    unready: BTreeMap<(RatingEpoch, RecordId), Place>,
    /// Those that one has taken just now.
    taken: Vec<Place>,
    /// When the others that nobody is asked for now are asked for, on the clock of [`Now::ticks`].
    due: BTreeSet<(u64, Place)>,
    asked: BTreeMap<RequestNo, Asked>,
    checked: BTreeMap<JobNo, Asked>,
}

impl Proofs {
    /// When the engine wants to look at it again.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        if !self.taken.is_empty() {
            return Some(0);
        }
        if self.asked.len() + self.checked.len() >= PROOFS_RUNNING_MAX {
            return None;
        }
        self.due.first().map(|(due, _)| *due)
    }

    /// Whether a rater is still asked for receipts of a rating epoch.
    fn is_asking(&self, rater: AgentId, epoch: RatingEpoch) -> bool {
        let first = Place { epoch, rater, record: RecordId([0; 32]) };
        let next = self.waiting.range(first..).next();
        next.is_some_and(|(place, _)| (place.epoch, place.rater) == (epoch, rater))
    }

    fn wait(&mut self, place: Place, waiting: Waiting) {
        if self.waiting.len() < PROOFS_WAITING_MAX {
            self.waiting.insert(place, waiting);
            self.unready.insert((place.epoch, place.record), place);
        }
    }

    /// Nobody is asked any more for receipts of rating epochs before `horizon`.
    pub(crate) fn forget(&mut self, horizon: RatingEpoch) {
        let first = Place { epoch: horizon, rater: AgentId([0; 32]), record: RecordId([0; 32]) };
        self.waiting = self.waiting.split_off(&first);
        self.unready = self.unready.split_off(&(horizon, RecordId([0; 32])));
        self.taken.retain(|place| place.epoch >= horizon);
        self.due.retain(|(_, place)| place.epoch >= horizon);
    }

    /// A checkpoint took an attestation. It was not known when that was signed, and says which receipts to show.
    pub(crate) fn note_taken(&mut self, epoch: RatingEpoch, record: RecordId) {
        self.taken.extend(self.unready.remove(&(epoch, record)));
    }
}

impl<S: Snapshot> Engine<S> {
    /// Whether an agent of this node decides on checkpoints.
    fn demands_proofs(&self) -> bool {
        self.network.genesis().committee.iter().any(|member| self.hosted(*member).is_some())
    }

    /// The rows of attestations of a rating epoch that were demanded and not proved, by rater and place, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn unproved_rows(&self, epoch: RatingEpoch, limit: usize) -> Result<Vec<(AgentId, u32)>, ReadError> {
        let mut unproved = BTreeSet::new();
        self.for_each_row(Table::ProofView, &verdict_prefix(Some(epoch)), |key, rows| {
            let rows = place_of(key).into_iter().flat_map(|place| place.unproved(rows));
            unproved.extend(rows.map(|one| (one.rater, one.row)));
        })?;
        Ok(unproved.into_iter().take(limit).collect())
    }

    /// Whether this node cannot say yet if a rater's rows are proved: it still asks, or others ask for what its own agents
    /// say.
    pub(crate) fn is_demanding(&self, rater: AgentId, epoch: RatingEpoch) -> bool {
        self.hosted(rater).is_some() || self.proofs.is_asking(rater, epoch)
    }

    /// Reads what is still to be demanded.
    pub(crate) fn resume_proofs(&mut self) -> Result<(), ReadError> {
        self.proofs = Proofs::default();
        let mut waiting = Vec::new();
        self.for_each_row(Table::ProofView, &waiting_key(None), |key, row| {
            waiting.extend(place_of(key).map(|place| (place, Waiting::read(row))));
        })?;
        waiting.into_iter().for_each(|(place, state)| self.proofs.wait(place, state));
        if !self.proofs.unready.is_empty() {
            let unready: Vec<_> = self.proofs.unready.keys().copied().collect();
            for (epoch, record) in unready {
                if self.checkpoint_with(epoch, record).is_some() {
                    self.proofs.note_taken(epoch, record);
                }
            }
        }
        self.read_unproved()
    }

    /// Reads which rows were not proved.
    pub(crate) fn read_unproved(&mut self) -> Result<(), ReadError> {
        let mut unproved = Vec::new();
        self.for_each_row(Table::ProofView, &verdict_prefix(None), |key, rows| {
            unproved.extend(place_of(key).into_iter().flat_map(|place| place.unproved(rows)));
        })?;
        let struck = |row: &Unproved| self.checkpoints.struck.contains(row.rater, row.epoch, row.row);
        unproved.retain(|row| !struck(row));
        unproved.into_iter().for_each(|row| self.checkpoints.note_unproved(row));
        Ok(())
    }

    /// Whether a row was demanded and not proved in time, by what is in the store.
    pub(crate) fn was_not_proved(&self, row: &Unproved) -> Result<bool, ReadError> {
        let (mut prefix, mut is_so) = (verdict_prefix(Some(row.epoch)), false);
        prefix.extend(row.rater.0);
        self.for_each_row(Table::ProofView, &prefix, |key, rows| {
            is_so |= place_of(key).into_iter().flat_map(|place| place.unproved(rows)).any(|one| one == *row);
        })?;
        Ok(is_so)
    }

    /// Attestations were taken in. What this node's own agents say, others ask for.
    pub(crate) fn await_proofs(&mut self, said: &Attestations) -> Result<(), ReadError> {
        if !self.demands_proofs() || self.hosted(said.rater).is_some() || said.rows.is_empty() {
            return Ok(());
        }
        let place = Place { epoch: said.epoch, rater: said.rater, record: said.id };
        if self.store.get(Table::ProofView, &verdict_key(place))?.is_none() {
            self.put(Table::ProofView, waiting_key(Some(place)), Waiting::default().to_row());
            self.proofs.wait(place, Waiting::default());
            // It may be late.
            if self.checkpoint_with(place.epoch, place.record).is_some() {
                self.proofs.note_taken(place.epoch, place.record);
            }
        }
        Ok(())
    }

    /// Drops what is known of a record.
    pub(crate) fn drop_proofs(&mut self, epoch: RatingEpoch, rater: AgentId, record: RecordId) {
        let place = Place { epoch, rater, record };
        self.delete(Table::ProofView, waiting_key(Some(place)));
        self.delete(Table::ProofView, verdict_key(place));
    }

    /// Demands what is due.
    pub(crate) fn pump_proofs(&mut self, now: Now) -> Result<(), ReadError> {
        if self.read_only {
            return Ok(());
        }
        let taken = std::mem::take(&mut self.proofs.taken);
        self.proofs.due.extend(taken.into_iter().map(|place| (now.ticks, place)));
        while self.proofs.asked.len() + self.proofs.checked.len() < PROOFS_RUNNING_MAX
            && let Some((due, place)) = self.proofs.due.first().copied()
            && due <= now.ticks
        {
            self.proofs.due.remove(&(due, place));
            self.demand(place, now)?;
        }
        Ok(())
    }

    /// Asks for the next rows of a record.
    fn demand(&mut self, place: Place, now: Now) -> Result<(), ReadError> {
        let Some(said) = self.attestations(place.record)? else {
            self.proofs.waiting.remove(&place);
            self.delete(Table::ProofView, waiting_key(Some(place)));
            return Ok(());
        };
        let Some(state) = self.proofs.waiting.get(&place) else { return Ok(()) };
        let tries = usize::from(state.tries);
        let rows = state.missing(said.rows.len(), ROWS_ASKED_MAX);
        let nodes = self.nodes_of(place.rater, now)?;
        let checkpoint = self.checkpoint_with(place.epoch, place.record);
        match (rows.is_empty(), nodes.get(tries % nodes.len().max(1)), checkpoint) {
            (false, Some(peer), Some(checkpoint)) => {
                let (no, peer) = (self.request_no(), *peer);
                let request = Request::Prove { record: place.record, checkpoint, rows: rows.clone() };
                self.effect(Effect::Request(no, peer, request));
                self.proofs.asked.insert(no, Asked { place, peer, rows });
                Ok(())
            }
            (_, _, _) => self.end_try(place, &said, now),
        }
    }

    /// The nodes that serve a rater, by their ids.
    fn nodes_of(&self, rater: AgentId, now: Now) -> Result<Vec<NodeId>, ReadError> {
        let prefix = slot_key(rater, Kind::Lease, "");
        let mut nodes = Vec::new();
        for (key, row) in self.store.scan_prefix(Table::Slot, &prefix, LEASES_MAX)? {
            let name = key.get(prefix.len()..).and_then(|name| std::str::from_utf8(name).ok());
            if let (Some(head), Some(Ok(node))) = (SlotHead::read(&row), name.map(str::parse))
                && head.deadline > now.wall
                && node != self.node()
            {
                nodes.push(node);
            }
        }
        Ok(nodes)
    }

    fn attestations(&self, id: RecordId) -> Result<Option<Attestations>, ReadError> {
        let read = |record: Record| Attestations::from_record(&record, self.network.genesis()).ok();
        Ok(self.record(id)?.and_then(read))
    }

    /// The answer to a demand, if the request was one; otherwise the response comes back.
    pub(crate) fn on_proofs(
        &mut self,
        no: RequestNo,
        response: Response,
        now: Now,
    ) -> Result<Option<Response>, ReadError> {
        let Some(asked) = self.proofs.asked.remove(&no) else { return Ok(Some(response)) };
        let said = self.attestations(asked.place.record)?;
        let checkpoint = self.checkpoint_with(asked.place.epoch, asked.place.record);
        let (Some(said), Some(checkpoint)) = (said, checkpoint) else {
            return Ok(None);
        };
        match response {
            Response::Proofs { proofs } if proofs.len() == asked.rows.len() => {
                let job = JobNo(self.number());
                let shown = asked.rows.iter().copied().zip(proofs).collect();
                let check = ProofCheck::new(self.network.clone(), said, Digest(checkpoint.0), shown);
                self.proofs.checked.insert(job, asked);
                self.effect(Effect::Check(job, Box::new(check)));
            }
            Response::Proofs { .. }
            | Response::Reconcile { .. }
            | Response::Records { .. }
            | Response::Cards { .. }
            | Response::Scores { .. } => self.end_try(asked.place, &said, now)?,
            Response::Busy => self.put_off(asked.place, &said, now)?,
        }
        Ok(None)
    }

    /// A rater's node has no room for a demand just now.
    fn put_off(&mut self, place: Place, said: &Attestations, now: Now) -> Result<(), ReadError> {
        let pause = self.demand_pause_ms() / u64::from(BUSY_MAX);
        let Some(state) = self.proofs.waiting.get_mut(&place) else { return Ok(()) };
        if state.busy >= BUSY_MAX {
            return self.end_try(place, said, now);
        }
        state.busy += 1;
        self.proofs.due.insert((now.ticks.saturating_add(pause), place));
        Ok(())
    }

    /// After how long a rater is asked again.
    fn demand_pause_ms(&self) -> u64 {
        let eighth = (self.network.genesis().rating_epoch_ms / 8).clamp(PAUSE_MS_MIN, PAUSE_MS_MAX);
        self.timing.demand_ms.unwrap_or(eighth)
    }

    /// Nobody answered a demand; gives whether the request was one.
    pub(crate) fn on_proofs_failed(&mut self, no: RequestNo, now: Now) -> Result<bool, ReadError> {
        let Some(asked) = self.proofs.asked.remove(&no) else { return Ok(false) };
        if let Some(said) = self.attestations(asked.place.record)? {
            self.end_try(asked.place, &said, now)?;
        }
        Ok(true)
    }

    /// What was shown is checked.
    pub(crate) fn on_checked(&mut self, no: JobNo, rows: &[CheckedRow], now: Now) -> Result<(), ReadError> {
        let Some(asked) = self.proofs.checked.remove(&no) else { return Ok(()) };
        let mut is_wrong = false;
        let mut proved = Vec::new();
        for checked in rows {
            let refused = match &checked.outcome {
                Ok(keys) => match self.who_does_not_speak(keys)? {
                    None => {
                        proved.push(checked.row);
                        continue;
                    }
                    Some(_) => "unknown_key",
                },
                Err(reason) => reason.name(),
            };
            is_wrong |= checked.outcome.as_ref().is_err_and(|reason| !reason.is_silence());
            self.note(Note::RatingRefused { reason: refused });
        }
        if is_wrong {
            self.effect(Effect::Blame(asked.peer));
        }
        let Some(said) = self.attestations(asked.place.record)? else { return Ok(()) };
        let Some(state) = self.proofs.waiting.get_mut(&asked.place) else { return Ok(()) };
        state.proved.extend(proved);
        state.cursor = asked.rows.last().map_or(0, |row| row.saturating_add(1));
        let row = state.to_row();
        if state.missing(said.rows.len(), 1).is_empty() {
            return self.end_try(asked.place, &said, now);
        }
        self.put(Table::ProofView, waiting_key(Some(asked.place)), row);
        self.proofs.due.insert((now.ticks, asked.place));
        Ok(())
    }

    /// The first agent whose key is not known to speak for it.
    fn who_does_not_speak(&self, keys: &[(AgentId, [u8; 32])]) -> Result<Option<AgentId>, ReadError> {
        for (agent, key) in keys {
            if !self.key_history(*agent)?.speaks(key) {
                return Ok(Some(*agent));
            }
        }
        Ok(None)
    }

    /// A rater was asked for all that was missing, or did not answer. Settles the record if that was often enough.
    fn end_try(&mut self, place: Place, said: &Attestations, now: Now) -> Result<(), ReadError> {
        let pause = self.demand_pause_ms();
        let Some(state) = self.proofs.waiting.get_mut(&place) else { return Ok(()) };
        (state.cursor, state.busy) = (0, 0);
        state.tries += 1;
        let unproved = state.missing(said.rows.len(), usize::MAX);
        if !unproved.is_empty() && state.tries < PROOF_TRIES_MAX {
            let row = state.to_row();
            self.put(Table::ProofView, waiting_key(Some(place)), row);
            self.proofs.due.insert((now.ticks.saturating_add(pause), place));
            return Ok(());
        }
        self.proofs.waiting.remove(&place);
        self.delete(Table::ProofView, waiting_key(Some(place)));
        let row: Vec<u8> = unproved.iter().flat_map(|row| u32::from(*row).to_be_bytes()).collect();
        place.unproved(&row).for_each(|row| self.checkpoints.note_unproved(row));
        self.put(Table::ProofView, verdict_key(place), row);
        if !unproved.is_empty() {
            let (rater, record, rows) = (place.rater, place.record, unproved.len() as u64);
            self.tell(&Event::RatingUnproved { rater, record, rows });
        }
        Ok(())
    }
}
