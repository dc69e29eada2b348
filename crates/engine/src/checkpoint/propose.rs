//! What the committee's members here propose: by turns, and the next one when nobody did.

use std::collections::BTreeSet;
use std::sync::Arc;

use althing_record::{Content, Domain, Kind, RecordId, cbor};
use althing_store::{ReadError, Snapshot};
use althing_trust::{CheckpointChanges, Ledger, Params, RatingEpoch, Unproved};
use rand_core::Rng;

use super::motion::{Motion, window_ms, yes_needed};
use super::scores::Computed;
use super::turns::Turns;
use super::{LOOK_MS, Work, committee, draw};
use crate::engine::Engine;
use crate::publish::SignError;
use crate::{HostedAgent, Note, Now, RefusalKind};

/// How long attestations of a rating epoch are waited for at most, in milliseconds; else for a fifth of one.
const SETTLE_MS_MAX: u64 = 120_000;

/// A checkpoint that a member here is about to propose.
pub(super) struct Draft {
    member: HostedAgent,
    epoch: RatingEpoch,
    prev: Option<RecordId>,
    changes: CheckpointChanges,
    params: Params,
}

impl<S: Snapshot> Engine<S> {
    /// Proposes a checkpoint if one is due and it is the turn of a member here.
    pub(super) fn move_checkpoint(&mut self, now: Now) -> Result<(), ReadError> {
        if let Some((draft, computed)) = self.checkpoints.ready.take() {
            return self.sign_checkpoint(&draft, &computed, now);
        }
        let members = self.members_here();
        let every = self.timing.checkpoint_ms;
        if members.is_empty() || every == 0 || self.restored {
            return Ok(());
        }
        let (due, next) = self.due_epoch(now);
        let Some(epoch) = due else {
            self.wake_checkpoints(next);
            return Ok(());
        };
        let turns = Turns::of(&self.checkpoints, &self.network);
        let (prev, waits) = self.open_motions(&turns, now.ticks);
        let is_alone = committee(&self.network).iter().all(|member| self.hosted(*member).is_some());
        let may_speak =
            is_alone || [Domain::Ledger, Domain::Ratings].iter().all(|of| self.reconciler.has_synced(*of));
        if waits || !may_speak || !self.has_changes(epoch, prev)? || !self.checkpoints.is_applied() {
            self.checkpoints.due_since = None;
            let is_blocked = waits || !may_speak;
            self.wake_checkpoints(if is_blocked { now.ticks + LOOK_MS } else { next });
            return Ok(());
        }
        let since = *self.checkpoints.due_since.get_or_insert(now.ticks);
        let Some((member, at)) = self.turn(&members, &turns, since) else { return Ok(()) };
        if at > now.ticks || self.checkpoints.job.is_some() {
            self.wake_checkpoints(at.max(now.ticks + LOOK_MS));
            return Ok(());
        }
        let changes = self.changes(epoch, prev)?;
        let mut slashed = self.checkpoints.slashed.clone();
        slashed.extend(&changes.slashed);
        slashed.retain(|agent| changes.cleared.binary_search(agent).is_err());
        let params = self.params_with(&slashed);
        let draft = Draft { member, epoch, prev, changes, params: params.clone() };
        if let Ok(step) = self.step_to(epoch, &draft.changes)? {
            self.start_job(Work::Propose(Box::new(draft)), epoch, params, Some(step));
        }
        Ok(())
    }

    /// The rating epoch of which a checkpoint is due now, if one is, and when a later one may be, on the clock of
    /// [`Now::ticks`].
    fn due_epoch(&self, now: Now) -> (Option<RatingEpoch>, u64) {
        let genesis = self.network.genesis();
        let (length, created) = (genesis.rating_epoch_ms.max(1), genesis.created);
        let settle = (length / 5).min(SETTLE_MS_MAX);
        let every = self.timing.checkpoint_ms.div_ceil(length).max(1);
        let wall = self.signing_time(now);
        let ended = RatingEpoch::of(wall.minus(settle), genesis).0.checked_sub(1);
        let first = match self.checkpoints.chain.last() {
            None => 0,
            // What had no room is not kept waiting.
            Some(tip) if tip.is_full => tip.epoch.0,
            Some(tip) => tip.epoch.0.saturating_add(every),
        };
        let due = ended.filter(|ended| *ended >= first);
        let later = due.map_or(first, |due| due.saturating_add(1));
        let at = created.plus(later.saturating_add(1).saturating_mul(length)).plus(settle);
        (due.map(RatingEpoch), now.ticks.saturating_add(at.since(wall)).saturating_add(1))
    }

    /// What the next checkpoint follows, and whether a motion for it may still be passed that others wait for.
    fn open_motions(&self, turns: &Turns, ticks: u64) -> (Option<RecordId>, bool) {
        let prev = self.checkpoints.chain.last().map(|link| link.checkpoint);
        let patience = 4 * window_ms(&self.network);
        let waits = self.checkpoints.motions.values().any(|known| {
            let until = known.seen.unwrap_or(ticks).saturating_add(patience);
            let is_open = known.motion.prev == prev && known.passed.is_none() && ticks < until;
            is_open && turns.is_awaited(known.mover)
        });
        (prev, waits)
    }

    /// Which member here proposes, and when: the one whose turn it is at once, those after it when it was silent.
    fn turn(&self, members: &[HostedAgent], turns: &Turns, since: u64) -> Option<(HostedAgent, u64)> {
        let places = members.iter().filter_map(|member| Some((turns.place(member.agent)?, member)));
        let (place, member) = places.min_by_key(|(place, _)| *place)?;
        let wait = u64::try_from(place).unwrap_or(u64::MAX).saturating_mul(2 * window_ms(&self.network));
        Some((member.clone(), since.saturating_add(wait)))
    }

    /// The rows that the next checkpoint may strike out, as far as this node knows. Of what was moved in this place in vain
    /// with the yes of a member here, others hold proofs; and once the motions of so many members failed that one of them is
    /// honest, no row may hold the rest up any longer.
    fn undisputed(&self, epoch: RatingEpoch, prev: Option<RecordId>) -> Result<Vec<Unproved>, ReadError> {
        let motions = self.checkpoints.motions.values().filter(|known| known.motion.prev == prev);
        let rejected: Vec<_> = motions.filter(|known| known.passed == Some(false)).collect();
        let members = committee(&self.network).len();
        let movers: BTreeSet<_> = rejected.iter().map(|known| known.mover).collect();
        if movers.len() > members - yes_needed(members) {
            return Ok(Vec::new());
        }
        let mut disputed = BTreeSet::new();
        for known in rejected.iter().filter(|known| known.is_disputed) {
            let checkpoint = self.checkpoint(known.motion.checkpoint)?;
            disputed.extend(checkpoint.into_iter().flat_map(|checkpoint| checkpoint.changes.unproved));
        }
        Ok(self.unproved(epoch).filter(|row| !disputed.contains(row)).collect())
    }

    /// Attestations up to a rating epoch that were not taken and still count.
    fn waiting(&self, epoch: RatingEpoch) -> impl Iterator<Item = (RatingEpoch, RecordId)> {
        let horizon = Ledger::horizon(epoch);
        let waiting = self.checkpoints.waiting.range((horizon, RecordId([0; 32]))..);
        waiting.take_while(move |(of, _)| *of <= epoch).copied()
    }

    /// Whether something is new up to a rating epoch.
    fn has_changes(&self, epoch: RatingEpoch, prev: Option<RecordId>) -> Result<bool, ReadError> {
        Ok(self.waiting(epoch).next().is_some()
            || self.accused()? != self.checkpoints.slashed
            || !self.undisputed(epoch, prev)?.is_empty())
    }

    /// What is new up to a rating epoch, as far as one checkpoint has room for it.
    fn changes(&self, epoch: RatingEpoch, prev: Option<RecordId>) -> Result<CheckpointChanges, ReadError> {
        let (accused, slashed) = (self.accused()?, &self.checkpoints.slashed);
        Ok(CheckpointChanges {
            taken: draw::taken(prev, self.waiting(epoch)),
            slashed: draw::agents(prev, accused.difference(slashed).copied()),
            cleared: draw::agents(prev, slashed.difference(&accused).copied()),
            unproved: draw::rows(prev, self.undisputed(epoch, prev)?.into_iter()),
        })
    }

    /// Signs a checkpoint and moves for it, if nothing was decided or moved meanwhile.
    fn sign_checkpoint(
        &mut self,
        draft: &Draft,
        computed: &Arc<Computed>,
        now: Now,
    ) -> Result<(), ReadError> {
        let turns = Turns::of(&self.checkpoints, &self.network);
        let (prev, waits) = self.open_motions(&turns, now.ticks);
        if prev != draft.prev || waits {
            return Ok(());
        }
        let agents = u32::try_from(computed.scores.iter().len()).unwrap_or(u32::MAX);
        let root = (computed.tree.root(), agents);
        let Some(body) = draft.changes.body(draft.epoch, draft.prev, root, draft.params.hash()) else {
            return Ok(());
        };
        let mut nonce = [0; 8];
        self.random.fill_bytes(&mut nonce);
        let content = Content::Body(cbor::to_vec(&body));
        let signed = self.sign_link(&draft.member, Kind::Checkpoint, content, now).and_then(|record| {
            let motion = Motion { prev, checkpoint: record.id() };
            self.checkpoints.judged.insert(record.id(), Some(Arc::clone(computed)));
            let body = motion.body(&self.network, nonce);
            let body = body.map_err(|error| SignError::Refused(RefusalKind::Internal, error.to_string()))?;
            self.sign_link(&draft.member, Kind::Proposal, Content::Body(cbor::to_vec(&body)), now)
        });
        match signed {
            Ok(_) => self.judge_motions(now),
            Err(SignError::Read(error)) => Err(error),
            Err(SignError::Refused(_, cause)) => {
                self.note(Note::NotClosed { cause });
                self.wake_checkpoints(now.ticks + 10 * LOOK_MS);
                Ok(())
            }
        }
    }
}
