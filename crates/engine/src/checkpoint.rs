//! Checkpoints: what the network's committee decided to count up to a rating epoch, and the scores that follow from it.
//!
//! Which checkpoints there are is read from decisions: each follows one, and of those that were decided after the same one
//! the motion with the lowest id holds. The ledger of the newest is kept beside that of all attestations, for it holds what
//! the committee counted and nothing else.

mod draw;
mod judge;
mod known;
mod motion;
mod propose;
mod scores;
mod show;
mod step;
mod taken;
mod turns;
mod unproved;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use althing_record::{AgentId, NodeId, RecordId};
use althing_store::{ReadError, Snapshot, Table};
use althing_trust::{Attestations, Checkpoint, Ledger, Params, RatingEpoch, Slash, Standing, Unproved};

use self::motion::{Motion, committee};
use self::propose::Draft;
use self::scores::Computed;
pub(crate) use self::scores::ScoreAsk;
pub use self::show::CHECKPOINTS_MAX;
pub(crate) use self::step::{Step, Struck};
use self::unproved::UnprovedRows;
use crate::admit::Admission;
use crate::engine::Engine;
use crate::rows::trust_prefix;
use crate::{Effect, JobNo, Note, Now, ScoreJob, ScoreTable};

/// How often what can only wait is looked at again, in milliseconds.
const LOOK_MS: u64 = 1_000;

/// The ledger of attestations is forgotten in part once in so many rating epochs.
const FORGET_EPOCHS: u64 = 64;

/// A checkpoint that was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Link {
    checkpoint: RecordId,
    proposal: RecordId,
    epoch: RatingEpoch,
    is_full: bool,
}

/// A motion for a checkpoint that follows a decided one, or is the first.
#[derive(Clone, Copy, Debug)]
struct Known {
    motion: Motion,
    /// Who made it.
    mover: AgentId,
    /// Whether it was passed; none: it is not decided.
    passed: Option<bool>,
    /// Whether its checkpoint is one of the chain.
    is_link: bool,
    /// Whether it was rejected and a member here had said yes: what it struck out is disputed.
    is_disputed: bool,
    /// When it was first looked at, on the clock of [`Now::ticks`].
    seen: Option<u64>,
}

/// What a job of the shell computes scores for.
enum Work {
    /// A checkpoint that was proposed, or decided.
    Judge(RecordId),
    /// One that is to be proposed here.
    Propose(Box<Draft>),
}

/// The checkpoints that were decided, and what there is to do for the next one.
#[derive(Default)]
pub(crate) struct Checkpoints {
    chain: Vec<Link>,
    /// Which of these took an attestation, of those that still count.
    taken_by: BTreeMap<(RatingEpoch, RecordId), RecordId>,
    motions: BTreeMap<RecordId, Known>,
    /// Rows that checkpoints struck out.
    pub(crate) struck: Struck,
    /// Exactly what the first `applied` checkpoints took.
    ledger: Arc<Ledger>,
    /// The rows that these struck out.
    struck_there: Struck,
    /// Whose misbehaviour these count.
    slashed: BTreeSet<AgentId>,
    applied: usize,
    /// When the ledger last forgot what counts nothing any more.
    forgotten: RatingEpoch,
    /// Attestations that are here and that these did not take.
    waiting: BTreeSet<(RatingEpoch, RecordId)>,
    /// Rows that were demanded and not proved in time.
    unproved: UnprovedRows,
    /// Scores of the newest checkpoint that were computed here, and of those whose motions are undecided; none: they are
    /// others than the checkpoint says.
    judged: BTreeMap<RecordId, Option<Arc<Computed>>>,
    /// Scores at the newest checkpoint that peers proved.
    fetched: BTreeMap<AgentId, (Standing, NodeId)>,
    job: Option<(JobNo, Work)>,
    /// What is to be signed.
    ready: Option<(Box<Draft>, Arc<Computed>)>,
    /// Whether something came that matters to it.
    is_news: bool,
    /// Since when a checkpoint is due and nobody moved for one, on the clock of [`Now::ticks`].
    due_since: Option<u64>,
    wake_at: Option<u64>,
}

impl Checkpoints {
    /// When the engine wants to look at it again.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        if self.is_news { Some(0) } else { self.wake_at }
    }

    /// Something came that a checkpoint may wait for.
    pub(crate) fn note_change(&mut self) {
        self.is_news = true;
    }

    /// A row was demanded and not proved.
    pub(crate) fn note_unproved(&mut self, row: Unproved) {
        self.unproved.insert(row);
        self.is_news = true;
    }

    /// An attestation is in the ledger of this node.
    pub(crate) fn note_attestation(&mut self, epoch: RatingEpoch, id: RecordId) {
        if !self.ledger.holds(id, epoch) {
            self.waiting.insert((epoch, id));
        }
        self.is_news = true;
    }

    /// Those that were decided, the newest first.
    pub(crate) fn newest(&self) -> impl Iterator<Item = RecordId> {
        self.chain.iter().rev().map(|link| link.checkpoint)
    }

    /// The newest checkpoint whose attestations are all here.
    fn tip(&self) -> Option<&Link> {
        self.chain.get(self.applied.checked_sub(1)?)
    }

    /// Whether a proposal moves for a checkpoint in a place of the chain that is known.
    pub(crate) fn is_motion(&self, proposal: RecordId) -> bool {
        self.motions.contains_key(&proposal)
    }

    /// Motions for what follows the newest checkpoint that are not decided.
    pub(crate) fn undecided(&self) -> Vec<RecordId> {
        let prev = self.chain.last().map(|link| link.checkpoint);
        let open =
            self.motions.iter().filter(|(_, known)| known.passed.is_none() && known.motion.prev == prev);
        open.map(|(id, _)| *id).collect()
    }

    fn is_applied(&self) -> bool {
        self.applied == self.chain.len()
    }

    /// Attestations of rating epochs before `horizon` count nothing any more, and go.
    pub(crate) fn forget(&mut self, horizon: RatingEpoch) {
        self.waiting = self.waiting.split_off(&(horizon, RecordId([0; 32])));
        self.unproved.forget(horizon);
    }

    /// Where a checkpoint that follows this one stands in the chain.
    fn place_after(&self, prev: Option<RecordId>) -> Option<usize> {
        match prev {
            None => Some(0),
            Some(prev) => self.chain.iter().rposition(|link| link.checkpoint == prev).map(|at| at + 1),
        }
    }
}

impl Link {
    /// Whether a checkpoint may follow this one: it is of a later rating epoch, or goes on with what had no room.
    fn is_followed_by(&self, checkpoint: &Checkpoint) -> bool {
        checkpoint.epoch > self.epoch || (checkpoint.epoch == self.epoch && self.is_full)
    }
}

impl<S: Snapshot> Engine<S> {
    /// The checkpoint that was decided first after a rating epoch, if there is one: attestations of the rating epoch that
    /// were there in time are in it or in an earlier one.
    #[must_use]
    pub fn next_checkpoint(&self, epoch: RatingEpoch) -> Option<RecordId> {
        let chain = &self.checkpoints.chain;
        let at = chain.partition_point(|link| link.epoch < epoch);
        chain.get(at).map(|link| link.checkpoint)
    }

    /// The rating epoch of the newest checkpoint.
    pub(crate) fn newest_checkpointed(&self) -> Option<RatingEpoch> {
        self.checkpoints.chain.last().map(|link| link.epoch)
    }

    /// Rows of a rating epoch or an earlier one that were demanded and not proved in time, as far as this node knows, and
    /// that no checkpoint struck out.
    fn unproved(&self, epoch: RatingEpoch) -> impl Iterator<Item = Unproved> {
        let struck = &self.checkpoints.struck;
        // What counts nothing at the end of it is not struck out either.
        let counts = Ledger::horizon(epoch)..=epoch;
        self.checkpoints
            .unproved
            .iter()
            .filter(move |one| counts.contains(&one.epoch) && !struck.contains(one.rater, one.epoch, one.row))
    }

    /// Whether this network has checkpoints: somebody to decide on them, and scores that are the same for everybody.
    fn has_checkpoints(&self) -> bool {
        let genesis = self.network.genesis();
        !genesis.committee.is_empty() && !genesis.anchors.is_empty()
    }

    /// A checkpoint record that is here.
    pub(crate) fn checkpoint(&self, id: RecordId) -> Result<Option<Checkpoint>, ReadError> {
        Ok(self.record(id)?.and_then(|record| Checkpoint::from_record(&record).ok()))
    }

    /// Reads from the records which checkpoints were decided.
    pub(crate) fn resume_checkpoints(&mut self) -> Result<(), ReadError> {
        let unproved = std::mem::take(&mut self.checkpoints.unproved);
        self.checkpoints = Checkpoints { unproved, is_news: true, ..Checkpoints::default() };
        if self.has_checkpoints() {
            self.load_motions(None)?;
            self.follow_checkpoints()?;
        }
        Ok(())
    }

    /// Checkpoints are taken of those who may propose them.
    pub(crate) fn weigh_checkpoint(&self, author: AgentId) -> Option<Admission> {
        let is_member = self.has_checkpoints() && committee(&self.network).binary_search(&author).is_ok();
        (!is_member).then(|| Admission::Unwanted("its author does not decide on checkpoints".into()))
    }

    /// The checkpoint that was decided after another, or as the first.
    fn decided_after(&self, at: usize) -> Result<Option<(Link, Checkpoint)>, ReadError> {
        let before = at.checked_sub(1).and_then(|at| self.checkpoints.chain.get(at));
        let prev = before.map(|link| link.checkpoint);
        for (proposal, known) in &self.checkpoints.motions {
            if known.passed != Some(true) || known.motion.prev != prev {
                continue;
            }
            let Some(checkpoint) = self.checkpoint(known.motion.checkpoint)? else { continue };
            if checkpoint.prev == prev && before.is_none_or(|before| before.is_followed_by(&checkpoint)) {
                let link = Link {
                    checkpoint: checkpoint.id,
                    proposal: *proposal,
                    epoch: checkpoint.epoch,
                    is_full: checkpoint.is_full(),
                };
                return Ok(Some((link, checkpoint)));
            }
        }
        Ok(None)
    }

    /// Goes on to the newest checkpoint.
    fn follow_checkpoints(&mut self) -> Result<(), ReadError> {
        if self.is_overtaken()? {
            self.resume_checkpoints()?;
            return self.resume_ratings();
        }
        while let Some((link, checkpoint)) = self.decided_after(self.checkpoints.chain.len())? {
            let state = &mut self.checkpoints;
            state.chain.push(link);
            for (epoch, id) in &checkpoint.changes.taken {
                state.taken_by.entry((*epoch, *id)).or_insert(link.checkpoint);
                self.proofs.note_taken(*epoch, *id);
            }
            state.due_since = None;
            state.fetched.clear();
            if let Some(known) = state.motions.get_mut(&link.proposal) {
                known.is_link = true;
            }
            // What was not passed in an earlier place never will be.
            state.motions.retain(|_, known| known.passed != Some(false));
            for row in &checkpoint.changes.unproved {
                self.checkpoints.struck.insert(row.rater, row.epoch, row.row);
                self.checkpoints.unproved.remove(row);
                self.strike(row)?;
            }
            self.load_motions(Some(link.checkpoint))?;
        }
        self.apply_checkpoints()
    }

    /// Whether a decision came that takes the place of one in the chain: more members than may be are faulty.
    fn is_overtaken(&self) -> Result<bool, ReadError> {
        let rivals =
            self.checkpoints.motions.values().filter(|known| known.passed == Some(true) && !known.is_link);
        for at in rivals.filter_map(|known| self.checkpoints.place_after(known.motion.prev)) {
            if let Some(link) = self.checkpoints.chain.get(at)
                && self.decided_after(at)?.is_some_and(|(other, _)| other != *link)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes the row out of this node's own ledger, of all attestations of the rater that are here.
    fn strike(&mut self, row: &Unproved) -> Result<(), ReadError> {
        for said in self.said_by(row.rater, row.epoch)? {
            self.withdraw_rows(&said);
        }
        Ok(())
    }

    /// All attestations of a rater on a rating epoch.
    fn said_by(&self, rater: AgentId, epoch: RatingEpoch) -> Result<Vec<Attestations>, ReadError> {
        let mut all = Vec::new();
        for (key, _) in self.store.scan_prefix(Table::TrustView, &trust_prefix(rater, epoch), usize::MAX)? {
            all.extend(self.attestations_at(&key)?);
        }
        Ok(all)
    }

    /// Takes in what the decided checkpoints took, as far as it is here.
    fn apply_checkpoints(&mut self) -> Result<(), ReadError> {
        let mut is_cut = false;
        while let Some(link) = self.checkpoints.chain.get(self.checkpoints.applied).copied() {
            let Some(checkpoint) = self.checkpoint(link.checkpoint)? else { break };
            let step = match self.step_to(link.epoch, &checkpoint.changes)? {
                Ok(step) => step,
                Err(judge::Missing) => break,
            };
            let state = &mut self.checkpoints;
            let ledger = Arc::make_mut(&mut state.ledger);
            step.apply(ledger);
            if link.epoch.0 >= state.forgotten.0 + FORGET_EPOCHS {
                state.forgotten = link.epoch;
                ledger.forget(link.epoch);
                let horizon = Ledger::horizon(link.epoch);
                is_cut |= state.unproved.take_cut();
                state.taken_by = state.taken_by.split_off(&(horizon, RecordId([0; 32])));
                state.struck.forget(horizon);
                state.struck_there.forget(horizon);
            }
            for (epoch, id) in &checkpoint.changes.taken {
                state.waiting.remove(&(*epoch, *id));
            }
            for row in &checkpoint.changes.unproved {
                state.struck_there.insert(row.rater, row.epoch, row.row);
            }
            state.slashed.extend(&checkpoint.changes.slashed);
            checkpoint.changes.cleared.iter().for_each(|agent| {
                state.slashed.remove(agent);
            });
            state.applied += 1;
            state.judged.retain(|id, _| *id == link.checkpoint);
        }
        if is_cut { self.read_unproved() } else { Ok(()) }
    }

    /// What scores depend on beside attestations, if these are the agents whose misbehaviour counts.
    fn params_with(&self, slashed: &BTreeSet<AgentId>) -> Params {
        let anchors = self.network.genesis().anchors.iter().copied().collect();
        Params { anchors, slash: slashed.iter().map(|agent| (*agent, Slash::Zero)).collect() }
    }

    /// Does what there is to do for checkpoints.
    pub(crate) fn pump_checkpoints(&mut self, now: Now) -> Result<(), ReadError> {
        if !self.has_checkpoints() {
            self.checkpoints.is_news = false;
            return Ok(());
        }
        let is_due = self.checkpoints.wake_at.is_some_and(|at| at <= now.ticks);
        if !std::mem::take(&mut self.checkpoints.is_news) && !is_due {
            return Ok(());
        }
        self.checkpoints.wake_at = None;
        for known in self.checkpoints.motions.values_mut() {
            known.seen.get_or_insert(now.ticks);
        }
        self.follow_checkpoints()?;
        self.checkpoints.is_news = false;
        if !self.read_only && self.signing_stopped.is_none() {
            self.judge_motions(now)?;
            self.move_checkpoint(now)?;
        }
        self.compute_newest();
        Ok(())
    }

    fn wake_checkpoints(&mut self, at: u64) {
        let wake = &mut self.checkpoints.wake_at;
        *wake = Some(wake.map_or(at, |earlier| earlier.min(at)));
    }

    /// Has the scores of the newest checkpoint computed, if they are not known.
    fn compute_newest(&mut self) {
        let Some(tip) = self.checkpoints.tip().copied() else { return };
        if self.checkpoints.job.is_none() && !self.checkpoints.judged.contains_key(&tip.checkpoint) {
            let params = self.params_with(&self.checkpoints.slashed);
            self.start_job(Work::Judge(tip.checkpoint), tip.epoch, params, None);
        }
    }

    fn start_job(&mut self, work: Work, epoch: RatingEpoch, params: Params, step: Option<Step>) {
        let no = JobNo(self.number());
        let job = ScoreJob::of_checkpoint(self.checkpoints.ledger.clone(), epoch, params, step);
        self.checkpoints.job = Some((no, work));
        self.effect(Effect::Job(no, job));
    }

    /// A job is done; gives whether it was one for checkpoints.
    pub(crate) fn on_checkpoint_job(&mut self, no: JobNo, table: &ScoreTable) -> Result<bool, ReadError> {
        let Some((_, work)) = self.checkpoints.job.take_if(|(job, _)| *job == no) else { return Ok(false) };
        self.checkpoints.is_news = true;
        let Some((scores, tree)) = table.network().cloned().zip(table.tree().cloned()) else {
            return Ok(true);
        };
        let computed = Computed::new(scores, tree);
        match work {
            Work::Judge(id) => {
                let Some(checkpoint) = self.checkpoint(id)? else { return Ok(true) };
                let is_so = agrees(&checkpoint, &computed);
                if !is_so {
                    let cause = "its scores are not those that follow from what it takes".to_owned();
                    self.note(Note::CheckpointDoubted { checkpoint: id, cause });
                }
                self.checkpoints.judged.insert(id, is_so.then_some(computed));
            }
            Work::Propose(draft) => self.checkpoints.ready = Some((draft, computed)),
        }
        Ok(true)
    }
}

/// Whether the scores are those that a checkpoint says.
fn agrees(checkpoint: &Checkpoint, computed: &Computed) -> bool {
    usize::try_from(checkpoint.agents).is_ok_and(|agents| agents == computed.scores.iter().len())
        && checkpoint.score_root == computed.tree.root()
}
