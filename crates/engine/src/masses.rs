//! Electorates of holders of a skill: whom this node finds and how much reputation stands behind each, and whether it
//! computes the same of what others propose.
//!
//! Masses are those at the end of a rating epoch that was over for a whole one, so that what raters say of it is on every
//! node. They are computed by a job over the ledger without what came later, and asks that need them wait for it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use althing_ballot::{BallotError, Electorate, HolderTerms, Holders, Proposal, SETTLED_AFTER, VOTERS_MAX};
use althing_card::{Query, SkillPath, Term};
use althing_record::{AgentId, Domain, Millis, RecordId};
use althing_store::{ReadError, Snapshot};
use althing_trust::{Attestations, Ledger, Params, Q32, RatingEpoch, Scores};

use crate::engine::Engine;
use crate::{
    Ask, AskNo, DIFFERENCES_MAX, Effect, Event, HoldersDraft, HoldersShown, JobNo, MassCheck, MassDifference,
    MassReport, Now, RefusalKind, ScoreJob, ScoreTable, Source,
};

/// Most rating epochs whose masses are kept: as many as a proposal can be weighed by.
const TABLES_MAX: usize = 8;

/// Most asks that wait for masses.
const WAITING_MAX: usize = 64;

/// Most proposals that are still to be checked.
const CHECKS_MAX: usize = 64;

/// Most attestations on later rating epochs that are left out for masses: it is the event loop that reads them.
const LATER_MAX: usize = 1_024;

/// How long nothing is weighed after something was, in milliseconds: whoever attests again and again must not have a node do
/// nothing else while a client waits.
const REST_MS: u64 = 250;

/// How many rating epochs back masses can be computed.
pub(crate) const MASS_EPOCHS: u64 = 64;

/// Masses that were computed, and what waits for others.
#[derive(Debug, Default)]
pub(crate) struct Masses {
    tables: BTreeMap<RatingEpoch, Arc<MassTable>>,
    waiting: VecDeque<(RatingEpoch, AskNo, Ask)>,
    /// Proposals in which agents of this node vote.
    checks: VecDeque<RecordId>,
    pub(crate) job: Option<(JobNo, RatingEpoch)>,
    /// Whether something came meanwhile that the job does not know.
    is_outdated: bool,
    /// Before then nothing is checked, on the clock of [`Now::ticks`].
    not_before: u64,
    /// Before then nothing is weighed for who waits, on the same clock.
    rests_until: u64,
}

/// Trust and scores at the end of one rating epoch, by agent, of those who have any trust; no evidence takes part.
#[derive(Debug, Default)]
struct MassTable {
    standings: Vec<(AgentId, u64, Q32)>,
}

impl MassTable {
    fn of(scores: &Scores) -> Self {
        let trusted = scores.iter().filter(|(_, standing)| standing.trust.0 > 0);
        let standings = trusted.map(|(agent, standing)| (agent, standing.trust.0, standing.service()));
        Self { standings: standings.collect() }
    }

    /// An agent's mass and score; none if nobody trusts it.
    fn standing(&self, agent: AgentId) -> Option<(u64, Q32)> {
        let at = self.standings.binary_search_by_key(&agent, |(agent, ..)| *agent).ok()?;
        let (_, mass, score) = self.standings[at];
        Some((mass, score))
    }
}

impl Masses {
    /// When the engine wants to look at it again.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        let checks = (!self.checks.is_empty()).then_some(self.not_before);
        let waiting = (!self.waiting.is_empty()).then_some(self.rests_until);
        checks.into_iter().chain(waiting).min().filter(|_| self.job.is_none())
    }

    /// An attestation on a rating epoch came: what was computed of it and of later ones may be no more.
    pub(crate) fn note_attestation(&mut self, epoch: RatingEpoch) {
        drop(self.tables.split_off(&epoch));
        self.is_outdated |= self.job.is_some_and(|(_, of)| of >= epoch);
    }

    /// The ledger is another one.
    pub(crate) fn forget(&mut self) {
        self.tables.clear();
        self.is_outdated = true;
    }
}

/// A ledger, and what is left out of it.
#[derive(Clone, Default)]
pub(crate) struct Later(pub(crate) Vec<Attestations>);

impl Later {
    /// The ledger without them.
    pub(crate) fn left_out_of(&self, ledger: &Arc<Ledger>) -> Arc<Ledger> {
        if self.0.is_empty() {
            return ledger.clone();
        }
        let mut ledger = Ledger::clone(ledger);
        for said in &self.0 {
            for (at, row) in (0..).zip(&said.ratings()) {
                ledger.withdraw(said.id, said.rater, said.epoch, (at, row));
            }
        }
        Arc::new(ledger)
    }
}

impl<S: Snapshot> Engine<S> {
    /// An ask that can be answered now; none if it waits for masses, or was refused.
    pub(crate) fn ready_ask(&mut self, no: AskNo, ask: Ask, now: Now) -> Result<Option<Ask>, ReadError> {
        let Some(epoch) = self.masses_needed(&ask, now)? else { return Ok(Some(ask)) };
        if self.masses.tables.contains_key(&epoch) || self.why_not_weighed(epoch).is_some() {
            return Ok(Some(ask));
        }
        if self.masses.waiting.len() >= WAITING_MAX {
            let cause = format!("{WAITING_MAX} questions wait for scores");
            self.refuse(no, RefusalKind::Busy, cause, Some("try again in a moment"));
            return Ok(None);
        }
        self.masses.waiting.push_back((epoch, no, ask));
        Ok(None)
    }

    /// The rating epoch whose masses an ask needs.
    fn masses_needed(&mut self, ask: &Ask, now: Now) -> Result<Option<RatingEpoch>, ReadError> {
        if let Ask::Vote { proposal, .. } = ask {
            let proposal = self.proposal(*proposal)?;
            let holders = proposal.as_ref().and_then(|proposal| proposal.electorate.holders());
            return Ok(holders.map(|holders| RatingEpoch(holders.terms.epoch)));
        }
        let draft = if let Ask::Propose { draft, .. } = ask {
            draft
        } else if let Ask::ProposeDocket { draft, .. } = ask {
            &draft.terms
        } else {
            return Ok(None);
        };
        let present = RatingEpoch::of(self.signing_time(now), self.network.genesis());
        Ok(draft.holders.as_ref().and_then(|_| present.0.checked_sub(SETTLED_AFTER)).map(RatingEpoch))
    }

    /// Why the masses of a rating epoch cannot be computed here, if so.
    fn why_not_weighed(&self, epoch: RatingEpoch) -> Option<String> {
        if self.network.genesis().anchors.is_empty() {
            return Some(
                "the network's genesis names no anchors, so no reputation is the same for all".into(),
            );
        }
        let latest = self.ratings.latest();
        let later = self.ratings.ledger().after(epoch).take(LATER_MAX + 1).count();
        let is_gone = self.pruning.is_faded(Ledger::horizon(epoch));
        let seen_from = latest.max(self.ratings.forgotten());
        if epoch.0.saturating_add(MASS_EPOCHS) < seen_from.0 || is_gone || later > LATER_MAX {
            return Some(format!("rating epoch {epoch} is too long past to be looked at from here"));
        }
        None
    }

    /// Has the masses computed that something waits for.
    pub(crate) fn pump_masses(&mut self, now: Now) -> Result<(), ReadError> {
        if self.masses.job.is_some() || self.ratings.is_working() {
            return Ok(());
        }
        self.check_masses(now)?;
        match self.masses.waiting.front() {
            Some((epoch, ..)) if self.masses.job.is_none() && now.ticks >= self.masses.rests_until => {
                self.start_weighing(*epoch)
            }
            Some(_) | None => Ok(()),
        }
    }

    fn start_weighing(&mut self, epoch: RatingEpoch) -> Result<(), ReadError> {
        let ids: Vec<RecordId> = self.ratings.ledger().after(epoch).take(LATER_MAX).collect();
        let mut later = Vec::with_capacity(ids.len());
        for id in ids {
            let record = self.record(id)?;
            later.extend(
                record.and_then(|record| Attestations::from_record(&record, self.network.genesis()).ok()),
            );
        }
        let anchors = self.network.genesis().anchors.iter().copied().collect();
        let params = Params { anchors, slash: BTreeMap::new() };
        let number = JobNo(self.number());
        let job = ScoreJob::of(self.ratings.settled_ledger(), Later(later), epoch, params);
        self.masses.job = Some((number, epoch));
        self.masses.is_outdated = false;
        self.effect(Effect::Job(number, job));
        Ok(())
    }

    /// The job is done: what waited for it goes on.
    pub(crate) fn on_masses_done(&mut self, table: &ScoreTable, now: Now) -> Result<(), ReadError> {
        let Some((_, epoch)) = self.masses.job.take() else { return Ok(()) };
        self.masses.rests_until = now.ticks.saturating_add(REST_MS);
        let masses = table.network().map(MassTable::of).unwrap_or_default();
        self.masses.tables.insert(epoch, Arc::new(masses));
        while self.masses.tables.len() > TABLES_MAX {
            self.masses.tables.pop_first();
        }
        let waiting = std::mem::take(&mut self.masses.waiting);
        let (ready, waiting) = waiting.into_iter().partition(|(of, ..)| *of == epoch);
        self.masses.waiting = waiting;
        for (_, no, ask) in Vec::from(ready) {
            if self.read_only && ask.writes() {
                self.refuse_while_full(no);
            } else {
                self.on_ready_ask(no, ask, now)?;
            }
        }
        if self.masses.is_outdated {
            self.masses.tables.remove(&epoch);
        }
        Ok(())
    }

    /// The holders of a skill, to whom a question is put. If that cannot be, the client is told.
    pub(crate) fn holders_electorate(
        &mut self,
        no: AskNo,
        draft: &HoldersDraft,
        now: Now,
    ) -> Result<Option<Result<Electorate, BallotError>>, ReadError> {
        let terms = |epoch: RatingEpoch| HolderTerms::new(draft.skill.as_str(), draft.score_min, epoch.0);
        let made = self.signing_time(now);
        let fits = |epoch: &RatingEpoch| terms(*epoch).is_ok_and(|terms| terms.fit(made, &self.network));
        let newest = self.masses.tables.iter().rev().find(|(epoch, _)| fits(epoch));
        let Some((epoch, table)) = newest.map(|(epoch, table)| (*epoch, table.clone())) else {
            let present = RatingEpoch::of(made, self.network.genesis());
            let settled = RatingEpoch(present.0.saturating_sub(SETTLED_AFTER));
            let cause = match self.why_not_weighed(settled) {
                Some(cause) => cause,
                None if present.0 < SETTLED_AFTER => {
                    "no rating epoch was over for a whole one yet".to_owned()
                }
                None => format!("the scores of rating epoch {settled} are no more"),
            };
            self.refuse(
                no,
                RefusalKind::NotReady,
                cause,
                Some("`althing rep top` shows the scores that there are"),
            );
            return Ok(None);
        };
        let terms = match terms(epoch) {
            Ok(terms) => terms,
            Err(error) => return Ok(Some(Err(error))),
        };
        let masses = self.holders(&draft.skill, draft.score_min, &table, now)?;
        if masses.len() > VOTERS_MAX {
            let cause = BallotError::TooManyVoters(masses.len()).to_string();
            let hint = Some("ask for a higher --min-score, or for a narrower skill");
            self.refuse(no, RefusalKind::Invalid, cause, hint);
            return Ok(None);
        }
        Ok(Some(if masses.is_empty() {
            Err(BallotError::FewHolders(0))
        } else {
            Electorate::of_holders(terms, masses)
        }))
    }

    /// Who has a skill, as this node knows it now, and mass and score enough; not whoever has evidence against them that
    /// nobody forgave.
    fn holders(
        &self,
        skill: &SkillPath,
        score_min: u64,
        table: &MassTable,
        now: Now,
    ) -> Result<Vec<althing_ballot::Voter>, ReadError> {
        let offenders = self.slashes()?;
        let query = Query::from(Term::Skill(skill.clone()));
        let (mut holders, mut after) = (Vec::new(), None);
        loop {
            let hits = althing_card::find(&self.store, &query, now.wall, after, crate::MAX_FOUND)?;
            for hit in &hits {
                if let Some((mass, score)) = table.standing(hit.agent)
                    && suffices(score, score_min)
                    && !offenders.contains_key(&hit.agent)
                {
                    holders.push(althing_ballot::Voter { agent: hit.agent, weight: mass });
                }
            }
            after = hits.last().map(|hit| hit.agent);
            if hits.len() < crate::MAX_FOUND {
                return Ok(holders);
            }
        }
    }

    /// A proposal was taken in. If agents of this node vote in it by reputation, the masses are looked at.
    pub(crate) fn fold_holders(&mut self, id: RecordId, source: Source, now: Now) -> Result<(), ReadError> {
        let Some(proposal) = self.proposal(id)? else { return Ok(()) };
        let votes = |agent| proposal.electorate.weight(agent).is_some();
        if proposal.electorate.holders().is_some()
            && source != Source::Own
            && self.masses.checks.len() < CHECKS_MAX
            && self.agents.iter().any(|hosted| votes(hosted.agent))
        {
            if self.masses.checks.is_empty() {
                self.masses.not_before = now.ticks.saturating_add(self.pause());
            }
            self.masses.checks.push_back(id);
        }
        Ok(())
    }

    /// Looks at the masses of proposals that came, and tells of those that are not what they should be.
    fn check_masses(&mut self, now: Now) -> Result<(), ReadError> {
        if self.masses.checks.is_empty() || now.ticks < self.masses.not_before {
            return Ok(());
        }
        self.masses.not_before = now.ticks.saturating_add(self.pause());
        // Who has not heard of attestations yet computes other masses.
        if !self.reconciler.has_synced(Domain::Ratings) {
            return Ok(());
        }
        while let Some(id) = self.masses.checks.front().copied() {
            if let Some(proposal) = self.proposal(id)?
                && let Some(holders) = proposal.electorate.holders()
            {
                let epoch = RatingEpoch(holders.terms.epoch);
                if !self.masses.tables.contains_key(&epoch) && self.why_not_weighed(epoch).is_none() {
                    return self.start_weighing(epoch);
                }
                if let MassCheck::Checked(report) = self.mass_check(&proposal, holders, now)?
                    && !report.agrees()
                {
                    let (differing, too_low) = (report.differing_known, report.too_low_known);
                    self.tell(&Event::ElectorateDiffers { proposal: id, differing, too_low });
                }
            }
            self.masses.checks.pop_front();
        }
        Ok(())
    }

    /// An electorate of holders, and what this node thinks of it.
    pub(crate) fn holders_shown(
        &self,
        proposal: &Proposal,
        now: Now,
    ) -> Result<Option<HoldersShown>, ReadError> {
        let Some(holders) = proposal.electorate.holders() else { return Ok(None) };
        let listed = proposal.electorate.voters().iter().zip(&holders.masses);
        let capped = listed.filter(|(voter, mass)| **mass > voter.weight);
        Ok(Some(HoldersShown {
            skill: holders.terms.skill.to_string(),
            score_min: holders.terms.score_min,
            epoch: RatingEpoch(holders.terms.epoch),
            cap: holders.cap,
            capped: capped.map(|(voter, mass)| (voter.agent, *mass)).collect(),
            check: self.mass_check(proposal, holders, now)?,
        }))
    }

    /// What this node computes of the voters of a proposal, if it has the masses.
    fn mass_check(&self, proposal: &Proposal, holders: &Holders, now: Now) -> Result<MassCheck, ReadError> {
        let epoch = RatingEpoch(holders.terms.epoch);
        let Some(table) = self.masses.tables.get(&epoch) else {
            let cause = self.why_not_weighed(epoch);
            let cause = cause.unwrap_or_else(|| "`althing vote show` looks at the masses of one vote".into());
            return Ok(MassCheck::Unchecked { cause });
        };
        let mut report = MassReport::default();
        for (voter, listed) in proposal.electorate.voters().iter().zip(&holders.masses) {
            let (here, score) = table.standing(voter.agent).unwrap_or_default();
            if here != *listed {
                report.differing.push(MassDifference { agent: voter.agent, listed: *listed, here });
            }
            if !suffices(score, holders.terms.score_min) {
                report.too_low.push(voter.agent);
            }
        }
        if let Ok(skill) = holders.terms.skill.parse::<SkillPath>() {
            let known = self.holders(&skill, holders.terms.score_min, table, now)?;
            let left_out = known.into_iter().filter(|one| proposal.electorate.weight(one.agent).is_none());
            report.left_out = left_out.map(|one| one.agent).collect();
        }
        report.differing.sort_by_key(|one| (std::cmp::Reverse(one.listed.abs_diff(one.here)), one.agent));
        let known = |count: usize| count as u64;
        report.differing_known = known(report.differing.len());
        report.too_low_known = known(report.too_low.len());
        report.left_out_known = known(report.left_out.len());
        report.differing.truncate(DIFFERENCES_MAX);
        report.too_low.truncate(DIFFERENCES_MAX);
        report.left_out.truncate(DIFFERENCES_MAX);
        Ok(MassCheck::Checked(report))
    }

    /// Whether holders of a skill can be the voters of a question that was put then.
    pub(crate) fn why_no_holders(&self, electorate: &Electorate, made: Millis) -> Option<String> {
        let terms = &electorate.holders()?.terms;
        if let Err(error) = terms.skill.parse::<SkillPath>() {
            return Some(format!("its electorate: {error}"));
        }
        let fits = terms.fit(made, &self.network);
        (!fits).then(|| "its electorate is of a rating epoch that was not settled, or long past".to_owned())
    }
}

/// Whether a score is at least so many thousandths.
fn suffices(score: Q32, thousandths: u64) -> bool {
    u128::from(score.0) * 1_000 >= u128::from(thousandths) * u128::from(Q32::ONE.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_suffices_from_the_very_thousandth_on() {
        let half = Q32(Q32::ONE.0 / 2);
        assert!(suffices(half, 500) && !suffices(Q32(half.0 - 1), 500));
        assert!(suffices(Q32::ONE, 1_000) && !suffices(Q32(Q32::ONE.0 - 1), 1_000));
        assert!(suffices(Q32(0), 0) && !suffices(Q32(0), 1));
    }
}
