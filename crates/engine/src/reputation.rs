//! What raters say of others, and the scores that follow. The ledger is in memory, rebuilt from the records at the start;
//! scores are computed by a job of the shell, so that the event loop does not wait for them.

mod score_job;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use althing_card::{Query, Term};
use althing_record::{AgentId, Content, Genesis, Kind, Millis, Record, RecordId, cbor};
use althing_store::{ReadError, Snapshot, Table, prefix_end};
use althing_trust::{
    Attestations, AttestationsBody, Counts, Ledger, Params, Q32, RatingEpoch, Scores, Standing,
};

pub use self::score_job::{ScoreJob, ScoreTable};
use crate::admit::Admission;
use crate::engine::Engine;
use crate::grounds::shown_row;
use crate::masses::{Later, MASS_EPOCHS};
use crate::rows::{DOUBLE_ATTESTATION, trust_key, trust_prefix};
use crate::{
    Answer, AskNo, EXPERIENCE_EPOCHS_MAX, Effect, JobNo, Now, Offence, RATERS_MAX, Ranked, RatingRow,
    RefusalKind, Reputation, ReputationAsk, Source,
};

/// Most pairs of rater and target that the ledger holds: at 164 bytes each, some 164 MB. Attestations that come when there
/// are as many are not taken in.
pub const RELATIONS_MAX: usize = 1_000_000;

/// Most buckets of evidence that the ledger holds beside the newest ones: at 40 bytes each at most, 320 MB. The same happens then.
const BUCKETS_MAX: usize = 8_000_000;

/// Most records that one page of ratings reads.
const PAGE_RECORDS_MAX: usize = 64;

/// Most rows that a page of ratings has, but for those of its last record.
const PAGE_ROWS: usize = 1_024;

/// What counts nothing any more is forgotten once in so many rating epochs.
const FORGET_EPOCHS: u64 = 64;

/// How long scores are not computed anew after they were, in milliseconds: an eighth of a rating epoch within these.
const PAUSE_MS_MIN: u64 = 250;
const PAUSE_MS_MAX: u64 = 30_000;

/// The ledger of ratings, and the scores from it.
#[derive(Debug, Default)]
pub(crate) struct Ratings {
    ledger: Arc<Ledger>,
    /// The last rating epoch of which the ledger holds an attestation.
    latest: RatingEpoch,
    /// When it last forgot what counts nothing any more.
    forgotten: RatingEpoch,
    /// Whether something came that the scores do not know.
    changed: bool,
    job: Option<JobNo>,
    /// Before then no job begins, on the clock of [`Now::ticks`].
    not_before: u64,
    wake_at: Option<u64>,
    scores: Option<Arc<ScoreTable>>,
    /// How calls of the first agent here went, told of or not.
    own: BTreeMap<RatingEpoch, BTreeMap<AgentId, Counts>>,
}

impl Ratings {
    /// When the engine wants to look at it again.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.wake_at.filter(|_| self.job.is_none())
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The ledger with everything in it where views see it.
    pub(crate) fn settled_ledger(&mut self) -> Arc<Ledger> {
        Arc::make_mut(&mut self.ledger).settle();
        self.ledger.clone()
    }

    /// The last rating epoch of which there is an attestation.
    pub(crate) fn latest(&self) -> RatingEpoch {
        self.latest
    }

    /// When it last forgot what counts nothing any more. How it looked before what was kept then is lost.
    pub(crate) fn forgotten(&self) -> RatingEpoch {
        self.forgotten
    }

    /// Whether scores are being computed.
    pub(crate) fn is_working(&self) -> bool {
        self.job.is_some()
    }

    /// Something that scores depend on beside the ledger has changed.
    pub(crate) fn note_change(&mut self) {
        self.changed = true;
    }
}

/// Whether a record of this rater on this rating epoch is in a store.
///
/// # Errors
/// When the store cannot be read.
pub fn is_attested(store: &impl Snapshot, rater: AgentId, epoch: RatingEpoch) -> Result<bool, ReadError> {
    Ok(!store.scan_prefix(Table::TrustView, &trust_prefix(rater, epoch), 1)?.is_empty())
}

impl<S: Snapshot> Engine<S> {
    /// The newest scores, if any were computed.
    #[must_use]
    pub fn scores(&self) -> Option<&ScoreTable> {
        self.ratings.scores.as_deref()
    }

    /// What this node chooses by of an agent: the newest scores, and calls of its own that they do not rest on.
    pub(crate) fn standing(&self, agent: AgentId) -> Option<Standing> {
        match self.known_and_own(agent) {
            (known, None) => known,
            (known, Some(own)) => Some(known.unwrap_or_else(|| Standing::unknown(Q32::ONE)).with_calls(own)),
        }
    }

    /// The newest scores of an agent, and calls to it of this node's own that they do not rest on.
    pub(crate) fn known_and_own(&self, agent: AgentId) -> (Option<Standing>, Option<Counts>) {
        let scores = self.ratings.scores.as_ref();
        let known = scores.and_then(|scores| scores.standing(agent));
        let is_in = |epoch: &RatingEpoch| scores.is_some_and(|scores| scores.told.contains(epoch));
        let own = self.ratings.own.iter().filter(|(epoch, _)| !is_in(epoch));
        (known, own.filter_map(|(_, calls)| calls.get(&agent).copied()).reduce(Counts::plus))
    }

    /// Reads the ledger from the records.
    pub(crate) fn resume_ratings(&mut self) -> Result<(), ReadError> {
        self.masses.forget();
        // Scores stay until there are others; a job under way is of a ledger that is no more.
        let own = std::mem::take(&mut self.ratings.own);
        self.ratings = Ratings { scores: self.ratings.scores.take(), own, ..Ratings::default() };
        let mut from = Vec::new();
        loop {
            let rows = self.store.scan(Table::TrustView, &from, &prefix_end(&[]), 1_024)?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            from = [last, &[0][..]].concat();
            for (key, _) in &rows {
                if let Some(said) = self.attestations_at(key)? {
                    self.take_ratings(&said);
                }
            }
        }
    }

    /// The record that a row of the view names.
    pub(crate) fn attestations_at(&self, key: &[u8]) -> Result<Option<Attestations>, ReadError> {
        let Some(id) = key.get(40..).and_then(|id| RecordId::try_from(id).ok()) else { return Ok(None) };
        let record = self.record(id)?;
        Ok(record.and_then(|record| Attestations::from_record(&record, self.network.genesis()).ok()))
    }

    fn take_ratings(&mut self, said: &Attestations) {
        if !self.keeps_ledger || self.pruning.is_faded(said.epoch) {
            return;
        }
        self.withdraw_rows(said);
        let ledger = Arc::make_mut(&mut self.ratings.ledger);
        if ledger.apply(said.id, said.rater, said.epoch, &said.ratings()) {
            self.ratings.latest = self.ratings.latest.max(said.epoch);
            self.masses.note_attestation(said.epoch);
            self.ratings.changed = true;
            self.checkpoints.note_attestation(said.epoch, said.id);
        }
    }

    /// Takes the rows out that checkpoints struck out, whether the attestation was taken in before or is after.
    pub(crate) fn withdraw_rows(&mut self, said: &Attestations) {
        let rows: Vec<_> = self.checkpoints.struck.of(said).collect();
        if !rows.is_empty() {
            let ledger = Arc::make_mut(&mut self.ratings.ledger);
            let withdrawn = rows.iter().filter(|row| row.apply(ledger)).count();
            if withdrawn > 0 {
                self.masses.note_attestation(said.epoch);
                self.ratings.changed = true;
            }
        }
    }

    /// Attestations are taken while there is room for more; of others only if this node holds the ledger.
    pub(crate) fn weigh_attestations(&self, said: &Attestations, source: Source) -> Option<Admission> {
        if !self.keeps_ledger && self.hosted(said.rater).is_none() {
            return Some(Admission::Unwanted("this node does not hold what raters publish".into()));
        }
        if self.pruning.is_faded(said.epoch) {
            let cause = format!("attestations of rating epoch {} count nothing any more", said.epoch);
            return Some(Admission::Unwanted(cause));
        }
        let ledger = &self.ratings.ledger;
        let is_full = ledger.relations() >= RELATIONS_MAX || ledger.buckets() >= BUCKETS_MAX;
        let is_own = matches!(source, Source::Own | Source::Guard);
        (is_full && !is_own).then(|| Admission::Unwanted("the ledger of ratings is full".into()))
    }

    /// Attestations were taken in. Two of one rater on one rating epoch prove that it counts falsely; both count.
    pub(crate) fn fold_attestations(
        &mut self,
        record: &Record,
        said: &Attestations,
    ) -> Result<(), ReadError> {
        let prefix = trust_prefix(said.rater, said.epoch);
        let others = self.store.scan_prefix(Table::TrustView, &prefix, 2)?;
        let others = others.iter().filter_map(|(key, _)| RecordId::try_from(&key[prefix.len()..]).ok());
        let mut ids: Vec<_> = others.chain([record.id()]).collect();
        ids.sort_unstable();
        self.put(Table::TrustView, trust_key(said.rater, said.epoch, record.id()), Vec::new());
        if let [first, second, ..] = ids[..] {
            self.prove(said.rater, DOUBLE_ATTESTATION, &said.epoch.0.to_be_bytes(), [first, second])?;
        }
        self.take_ratings(said);
        self.await_proofs(said)
    }

    /// Has scores computed if there are newer ones to be had.
    pub(crate) fn pump_ratings(&mut self, now: Now) -> Result<(), ReadError> {
        self.ratings.wake_at = None;
        let is_busy = self.ratings.job.is_some() || self.masses.job.is_some();
        if self.ratings.ledger.relations() == 0 || is_busy {
            return Ok(());
        }
        let wall = self.signing_time(now);
        let (epoch, until) = ended(wall, self.network.genesis());
        // Raters whose clocks are ahead may have ended one that has not ended here.
        let epoch = epoch.max(self.ratings.latest);
        let is_current = self.ratings.scores.as_ref().is_some_and(|scores| scores.epoch == epoch);
        if is_current && !self.ratings.changed {
            self.ratings.wake_at = Some(now.ticks.saturating_add(until.since(wall)).saturating_add(1));
            return Ok(());
        }
        if now.ticks < self.ratings.not_before {
            self.ratings.wake_at = Some(self.ratings.not_before);
            return Ok(());
        }
        let params = self.params()?;
        let number = JobNo(self.number());
        let ledger = Arc::make_mut(&mut self.ratings.ledger);
        ledger.settle();
        if epoch.0 >= self.ratings.forgotten.0 + FORGET_EPOCHS {
            self.ratings.forgotten = epoch;
            ledger.forget(RatingEpoch(epoch.0.saturating_sub(MASS_EPOCHS)));
        }
        let job = ScoreJob {
            ledger: self.ratings.ledger.clone(),
            later: Later(Vec::new()),
            epoch,
            params,
            viewer: self.agents.first().map(|hosted| hosted.agent),
            told: self.told_epochs()?,
            is_checkpoint: false,
            step: None,
        };
        self.ratings.changed = false;
        self.ratings.job = Some(number);
        self.effect(Effect::Job(number, job));
        Ok(())
    }

    pub(crate) fn on_job_done(&mut self, no: JobNo, table: ScoreTable, now: Now) -> Result<(), ReadError> {
        if self.on_checkpoint_job(no, &table)? {
            return Ok(());
        }
        if self.masses.job.is_some_and(|(job, _)| job == no) {
            return self.on_masses_done(&table, now);
        }
        if self.ratings.job == Some(no) {
            self.ratings.job = None;
            self.ratings.not_before = now.ticks.saturating_add(self.pause());
            self.ratings.scores = Some(Arc::new(table));
        }
        Ok(())
    }

    /// How long nothing of this kind is computed again, in milliseconds.
    pub(crate) fn pause(&self) -> u64 {
        (self.network.genesis().rating_epoch_ms / 8).clamp(PAUSE_MS_MIN, PAUSE_MS_MAX)
    }

    /// The rating epochs with own calls of which the first agent's word is in the ledger.
    fn told_epochs(&self) -> Result<BTreeSet<RatingEpoch>, ReadError> {
        let Some(hosted) = self.agents.first() else { return Ok(BTreeSet::new()) };
        let mut told = BTreeSet::new();
        for epoch in self.ratings.own.keys() {
            if is_attested(&self.store, hosted.agent, *epoch)? {
                told.insert(*epoch);
            }
        }
        Ok(told)
    }

    fn params(&self) -> Result<Params, ReadError> {
        let anchors = self.network.genesis().anchors.iter().copied().collect();
        Ok(Params { anchors, slash: self.slashes()? })
    }

    /// Whose misbehaviour is proved, binds, and is not pardoned.
    pub(crate) fn accused(&self) -> Result<BTreeSet<AgentId>, ReadError> {
        Ok(self.slashes()?.into_keys().collect())
    }

    /// Signs what an agent says of a rating epoch that is over, once.
    pub(crate) fn on_attest(
        &mut self,
        no: AskNo,
        agent: AgentId,
        body: &AttestationsBody,
        now: Now,
    ) -> Result<(), ReadError> {
        let Some(hosted) = self.hosted(agent).cloned() else {
            self.refuse_unhosted(no, agent);
            return Ok(());
        };
        let epoch = RatingEpoch(body.rating_epoch);
        let genesis = self.network.genesis();
        if epoch >= RatingEpoch::of(self.signing_time(now), genesis) {
            let cause = format!("rating epoch {epoch} is not over");
            self.refuse(no, RefusalKind::NotReady, cause, None);
            return Ok(());
        }
        if self.pruning.is_faded(epoch) {
            let cause = format!("what is said of rating epoch {epoch} counts nothing any more");
            self.refuse(no, RefusalKind::Invalid, cause, None);
            return Ok(());
        }
        if self.restored && epoch < RatingEpoch::of(self.began, genesis) {
            let cause = format!(
                "this directory was restored and does not know what was said of rating epoch {epoch}"
            );
            self.refuse(no, RefusalKind::Conflict, cause, None);
            return Ok(());
        }
        if is_attested(&self.store, agent, epoch)? {
            let cause = format!("{agent} has said how its calls of rating epoch {epoch} went");
            self.refuse(no, RefusalKind::Conflict, cause, None);
            return Ok(());
        }
        let content = Content::Body(cbor::to_vec(body));
        match self.sign_link(&hosted, Kind::Attestations, content, now) {
            Ok(record) => self.answer(no, Answer::Attested(record.id())),
            Err(error) => return self.refuse_unsigned(no, error),
        }
        self.serve_rater(&hosted, now)
    }

    /// Whether an agent has ever told of its calls.
    pub(crate) fn has_attested(&self, agent: AgentId) -> Result<bool, ReadError> {
        Ok(!self.store.scan_prefix(Table::TrustView, &agent.0, 1)?.is_empty())
    }

    pub(crate) fn on_reputation_ask(
        &mut self,
        no: AskNo,
        ask: ReputationAsk,
        now: Now,
    ) -> Result<(), ReadError> {
        let answer = match ask {
            ReputationAsk::Show { agent } => return self.on_show_agent(no, agent, now),
            ReputationAsk::Grounds { agent, goal } => Answer::Grounds(Box::new(self.grounds(agent, goal)?)),
            ReputationAsk::Top { skill, limit } => {
                Answer::Ranking { epoch: self.scored_epoch(), agents: self.ranking(skill, limit, now)? }
            }
            ReputationAsk::Experience { mut calls } => {
                while calls.len() > EXPERIENCE_EPOCHS_MAX {
                    calls.pop_first();
                }
                self.ratings.own = calls;
                Answer::Experienced
            }
            ReputationAsk::Rows { after } => {
                let (rows, next) = self.rating_rows(after.as_deref())?;
                Answer::Ratings { rows, next }
            }
            ReputationAsk::Checkpoints { limit } => Answer::Checkpoints(self.checkpoints_shown(limit)?),
            ReputationAsk::Checkpoint { id } => return self.on_show_checkpoint(no, id),
        };
        self.answer(no, answer);
        Ok(())
    }

    fn scored_epoch(&self) -> Option<RatingEpoch> {
        self.ratings.scores.as_ref().map(|scores| scores.epoch)
    }

    pub(crate) fn reputation(&self, agent: AgentId) -> Result<Reputation, ReadError> {
        let table = self.ratings.scores.as_deref();
        let of = |scores: Option<&Scores>| scores.and_then(|scores| scores.of(agent));
        let weighed =
            table.and_then(|table| table.seen.as_ref().or(table.network.as_ref()).map(|of| (table, of)));
        let mut raters = weighed.map_or_else(Vec::new, |(table, scores)| {
            self.ratings.ledger.raters_of(agent, table.epoch, scores)
        });
        let raters_known = raters.len() as u64;
        raters.truncate(RATERS_MAX);
        let evidence = self.evidence_against(agent)?;
        Ok(Reputation {
            agent,
            epoch: self.scored_epoch(),
            network: of(table.and_then(ScoreTable::network)),
            seen: self.agents.first().and_then(|_| self.standing(agent)),
            viewer: self.agents.first().map(|hosted| hosted.agent),
            keeps_ledger: self.keeps_ledger,
            checkpointed: None,
            raters,
            raters_known,
            offences: evidence
                .into_iter()
                .map(|row| Offence { offence: row.offence, case: row.case, pardoned_by: row.pardoned_by })
                .collect(),
        })
    }

    /// Agents by what this node chooses by, the best first.
    fn ranking(
        &self,
        skill: Option<althing_card::SkillPath>,
        limit: usize,
        now: Now,
    ) -> Result<Vec<Ranked>, ReadError> {
        let table = self.ratings.scores.as_deref();
        let agents: Vec<AgentId> = match skill {
            Some(skill) => {
                let query = Query::from(Term::Skill(skill));
                let hits = althing_card::find(&self.store, &query, now.wall, None, crate::MAX_FOUND)?;
                hits.into_iter().map(|hit| hit.agent).collect()
            }
            None => {
                let scores = table.and_then(|table| table.seen.as_ref().or(table.network.as_ref()));
                scores.into_iter().flat_map(|scores| scores.iter().map(|(agent, _)| agent)).collect()
            }
        };
        let of = |agent| table.and_then(ScoreTable::network).and_then(|scores| scores.of(agent));
        let mut ranking: Vec<_> = agents
            .into_iter()
            .filter_map(|agent| {
                let standing = self.standing(agent)?;
                Some(Ranked { agent, standing, network: of(agent) })
            })
            .collect();
        ranking.sort_by_key(|one| (std::cmp::Reverse(one.standing.service()), one.agent));
        ranking.truncate(limit);
        Ok(ranking)
    }

    /// A page of all rows of all attestations, by rater and rating epoch, and where the next begins.
    fn rating_rows(&self, after: Option<&[u8]>) -> Result<(Vec<RatingRow>, Option<Vec<u8>>), ReadError> {
        let from = after.map_or_else(Vec::new, |after| [after, &[0][..]].concat());
        let keys = self.store.scan(Table::TrustView, &from, &prefix_end(&[]), PAGE_RECORDS_MAX)?;
        let (mut rows, mut next) = (Vec::new(), None);
        let is_last = keys.len() < PAGE_RECORDS_MAX;
        let mut left = keys.len();
        for (key, _) in keys {
            let said = self.attestations_at(&key)?;
            left -= 1;
            next = Some(key);
            if let Some(said) = said {
                rows.extend(said.rows.iter().map(|row| shown_row(&said, row)));
            }
            if rows.len() >= PAGE_ROWS {
                break;
            }
        }
        Ok((rows, next.filter(|_| !is_last || left > 0)))
    }
}

/// The rating epoch that ended last, or the first if none has; and when the present one ends.
fn ended(now: Millis, genesis: &Genesis) -> (RatingEpoch, Millis) {
    let present = RatingEpoch::of(now, genesis);
    let until = genesis.rating_epoch_ms.saturating_mul(present.0.saturating_add(1));
    (RatingEpoch(present.0.saturating_sub(1)), genesis.created.plus(until))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_epoch_that_ended_last_and_the_end_of_the_present_one() {
        let mut genesis = Genesis::plain("x".try_into().unwrap(), Millis(5_000));
        genesis.rating_epoch_ms = 1_000;
        assert_eq!(ended(Millis(5_999), &genesis), (RatingEpoch(0), Millis(6_000)));
        assert_eq!(ended(Millis(6_000), &genesis), (RatingEpoch(0), Millis(7_000)));
        assert_eq!(ended(Millis(8_500), &genesis), (RatingEpoch(2), Millis(9_000)));
    }
}
