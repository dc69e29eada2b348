//! What the committee's members here say of checkpoints that were proposed.

use std::collections::BTreeSet;

use althing_ballot::{Choice, ballots_for, leaf};
use althing_record::{AgentId, Content, Kind, RecordId};
use althing_store::{ReadError, Snapshot};
use althing_trust::{Attestations, Checkpoint, CheckpointChanges, Ledger, RatingEpoch};

use super::step::{Step, Withdrawal};
use super::{LOOK_MS, Work, committee};
use crate::engine::Engine;
use crate::publish::SignError;
use crate::{HostedAgent, Note, Now};

/// Places of ballots on the options of a motion.
const YES: u32 = 0;
const NO: u32 = 1;

/// Something that a checkpoint takes is not here.
pub(super) struct Missing;

/// What is to be said of a checkpoint.
enum Judgement {
    Yes,
    No(&'static str),
    /// Something that it is judged by is not here yet.
    Wait,
}

impl<S: Snapshot> Engine<S> {
    /// The agents of this node that decide on checkpoints.
    pub(super) fn members_here(&self) -> Vec<HostedAgent> {
        if !self.keeps_ledger {
            return Vec::new();
        }
        committee(&self.network).into_iter().filter_map(|member| self.hosted(member).cloned()).collect()
    }

    /// Votes on motions that this node's members did not vote on.
    pub(super) fn judge_motions(&mut self, now: Now) -> Result<(), ReadError> {
        let members = self.members_here();
        if members.is_empty() {
            return Ok(());
        }
        for (id, motion) in self.checkpoints.looked_at(&self.network) {
            let mut silent = Vec::new();
            for member in &members {
                if ballots_for(&self.store, id, Some(member.agent))?.is_empty() {
                    silent.push(member.clone());
                }
            }
            let Some(proposal) = self.proposal(id)? else { continue };
            let is_over = self.is_closed(id)? || proposal.closes() <= now.wall;
            if silent.is_empty() || is_over {
                continue;
            }
            if !self.may_vote_unasked(&proposal, now)? {
                self.wake_checkpoints(now.ticks + LOOK_MS);
                continue;
            }
            let judgement = match self.checkpoint(motion.checkpoint)? {
                _ if self.checkpoints.place_after(motion.prev) != Some(self.checkpoints.chain.len()) => {
                    Judgement::No("another checkpoint was decided in its place")
                }
                Some(checkpoint) => self.judge_checkpoint(&checkpoint, now)?,
                None => Judgement::Wait,
            };
            let option = match judgement {
                Judgement::Yes => YES,
                Judgement::No(cause) => {
                    let checkpoint = motion.checkpoint;
                    self.note(Note::CheckpointDoubted { checkpoint, cause: cause.to_owned() });
                    NO
                }
                Judgement::Wait => {
                    self.wake_checkpoints(now.ticks + LOOK_MS);
                    continue;
                }
            };
            for member in silent {
                // Two checkpoints in one place would need an honest member that says yes to both.
                if option == YES && self.has_said_yes(member.agent, motion.prev)? {
                    self.wake_checkpoints(now.ticks + LOOK_MS);
                    continue;
                }
                let content = Content::Leaves(vec![leaf(id, &Choice::Option(option))]);
                match self.sign_link(&member, Kind::BallotBatch, content, now) {
                    Ok(_) => {}
                    Err(SignError::Read(error)) => return Err(error),
                    Err(SignError::Refused(_, cause)) => {
                        self.note(Note::NotClosed { cause });
                        self.wake_checkpoints(now.ticks + LOOK_MS);
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether a member here said yes to a motion.
    pub(super) fn is_wanted_here(&self, motion: RecordId) -> Result<bool, ReadError> {
        let cast = ballots_for(&self.store, motion, None)?;
        let yes = cast.iter().filter(|cast| cast.ballot.choice == Choice::Option(YES));
        Ok(yes.into_iter().any(|cast| self.hosted(cast.ballot.voter).is_some()))
    }

    /// Whether a member said yes to a motion in this place that may still be passed.
    fn has_said_yes(&self, member: AgentId, prev: Option<RecordId>) -> Result<bool, ReadError> {
        for (id, known) in &self.checkpoints.motions {
            if known.motion.prev == prev && known.passed != Some(false) {
                let said = ballots_for(&self.store, *id, Some(member))?;
                if said.iter().any(|cast| cast.ballot.choice == Choice::Option(YES)) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn judge_checkpoint(&mut self, checkpoint: &Checkpoint, now: Now) -> Result<Judgement, ReadError> {
        let state = &self.checkpoints;
        let tip = state.chain.last();
        let follows = checkpoint.prev == tip.map(|tip| tip.checkpoint)
            && tip.is_none_or(|tip| tip.is_followed_by(checkpoint));
        if !follows {
            return Ok(Judgement::No("it does not follow the checkpoint before it"));
        }
        if let Some(judged) = state.judged.get(&checkpoint.id) {
            let differs = Judgement::No("its scores are not those that follow from what it takes");
            return Ok(judged.as_ref().map_or(differs, |_| Judgement::Yes));
        }
        let is_over = checkpoint.epoch < RatingEpoch::of(self.signing_time(now), self.network.genesis());
        if !is_over || !state.is_applied() || state.job.is_some() {
            return Ok(Judgement::Wait);
        }
        if let Some(judgement) = self.judge_changes(checkpoint, now)? {
            return Ok(judgement);
        }
        let mut slashed = self.checkpoints.slashed.clone();
        slashed.extend(&checkpoint.changes.slashed);
        slashed.retain(|agent| checkpoint.changes.cleared.binary_search(agent).is_err());
        let params = self.params_with(&slashed);
        if params.hash() != checkpoint.params_hash {
            return Ok(Judgement::No("its scores are computed with other parameters"));
        }
        if let Ok(step) = self.step_to(checkpoint.epoch, &checkpoint.changes)? {
            self.start_job(Work::Judge(checkpoint.id), checkpoint.epoch, params, Some(step));
        }
        Ok(Judgement::Wait)
    }

    /// What is wrong with what a checkpoint changes, or that something of it is not here; none: nothing.
    fn judge_changes(&mut self, checkpoint: &Checkpoint, now: Now) -> Result<Option<Judgement>, ReadError> {
        let changes = &checkpoint.changes;
        let mut is_missing = false;
        if changes.taken.first().is_some_and(|(epoch, _)| *epoch < Ledger::horizon(checkpoint.epoch)) {
            return Ok(Some(Judgement::No("it takes what counts nothing any more")));
        }
        for taken in &changes.taken {
            if !self.checkpoints.waiting.contains(taken) {
                let Some(record) = self.record(taken.1)? else {
                    is_missing = true;
                    continue;
                };
                let is_attestation = record.kind() == Kind::Attestations;
                let cause = if !is_attestation {
                    "it takes what is no attestation"
                } else if self.checkpoints.ledger.holds(taken.1, taken.0) {
                    "it takes an attestation that was taken before"
                } else {
                    "it takes an attestation of another rating epoch"
                };
                return Ok(Some(Judgement::No(cause)));
            }
        }
        let slashed = &self.checkpoints.slashed;
        if changes.slashed.iter().any(|agent| slashed.contains(agent)) {
            return Ok(Some(Judgement::No("it slashes an agent that is slashed")));
        }
        if changes.cleared.iter().any(|agent| !slashed.contains(agent)) {
            return Ok(Some(Judgement::No("it clears an agent that is not slashed")));
        }
        if !changes.slashed.is_empty() || !changes.cleared.is_empty() {
            let accused = self.accused()?;
            is_missing |= changes.slashed.iter().any(|agent| !accused.contains(agent));
            is_missing |= changes.cleared.iter().any(|agent| accused.contains(agent));
        }
        let unproved: BTreeSet<_> = self.unproved(checkpoint.epoch).collect();
        let (struck, horizon) = (&self.checkpoints.struck, Ledger::horizon(checkpoint.epoch));
        for row in changes.unproved.iter().filter(|row| !unproved.contains(row)) {
            // There may have been no room for it in memory.
            let may_be = (horizon..=checkpoint.epoch).contains(&row.epoch)
                && !struck.contains(row.rater, row.epoch, row.row);
            if may_be && self.was_not_proved(row)? {
                continue;
            }
            if !self.is_demanding(row.rater, row.epoch) {
                return Ok(Some(Judgement::No("it strikes out a row that is proved, or was not demanded")));
            }
            is_missing = true;
        }
        if is_missing {
            self.ask_around(now);
            return Ok(Some(Judgement::Wait));
        }
        Ok(None)
    }

    /// What a checkpoint does to the ledger of the one before it. What it cannot mean, it does not do: members who are
    /// honest decide on no such checkpoint.
    pub(super) fn step_to(
        &self,
        epoch: RatingEpoch,
        changes: &CheckpointChanges,
    ) -> Result<Result<Step, Missing>, ReadError> {
        let state = &self.checkpoints;
        // What counts nothing at the newest checkpoint may be gone here, or with all others before it came here.
        let newest = state.chain.last().map_or(epoch, |newest| newest.epoch.max(epoch));
        let horizon = Ledger::horizon(newest);
        let mut step = Step::default();
        for (epoch, id) in &changes.taken {
            if *epoch < horizon || state.ledger.holds(*id, *epoch) {
                continue;
            }
            let Some(record) = self.record(*id)? else { return Ok(Err(Missing)) };
            let said = Attestations::from_record(&record, self.network.genesis()).ok();
            if let Some(said) = said.filter(|said| said.epoch == *epoch) {
                step.withdrawn.extend(state.struck_there.of(&said));
                step.take(&said);
            }
        }
        for row in &changes.unproved {
            for said in self.said_by(row.rater, row.epoch)? {
                let is_taken = state.ledger.holds(said.id, said.epoch)
                    || changes.taken.binary_search(&(said.epoch, said.id)).is_ok();
                if is_taken {
                    step.withdrawn.extend(Withdrawal::of(&said, row.row));
                }
            }
        }
        Ok(Ok(step))
    }
}
