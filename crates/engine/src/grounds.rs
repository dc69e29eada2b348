//! What the scores of one agent rest on. Everything that is read is bounded: a few raters, a few records of each.

use althing_record::{AgentId, RecordId};
use althing_store::{ReadError, Snapshot, Table, prefix_end};
use althing_trust::{Attestations, Counts, Q32, RatingEpoch, Row, Standing, Unproved};

use crate::engine::Engine;
use crate::rows::trust_prefix;
use crate::{GOOD_CALLS_MAX, GROUNDS_RATERS_MAX, GROUNDS_RECORDS_MAX, Grounds, GroundsRow, RatingRow};

/// Most records of one rater that are read to find those on one agent.
const READ_MAX: usize = 8;

/// Most rows of one record on one agent that are shown; it has one for each skill.
const RECORD_ROWS_MAX: usize = 4;

/// Rating epochs in which the newest records of a rater are looked for, until there are some.
const WINDOWS: [u64; 3] = [64, 512, 3_584];

/// Most checkpoints in which struck rows are looked for, the newest.
const CHECKPOINTS_READ_MAX: usize = 64;

/// Most struck rows of others than the raters that are looked at.
const STRUCK_READ_MAX: usize = 64;

impl<S: Snapshot> Engine<S> {
    /// What is behind an agent's scores as they are now, and what would lift them to `goal`.
    pub(crate) fn grounds(&self, agent: AgentId, goal: Q32) -> Result<Grounds, ReadError> {
        let known = self.reputation(agent)?;
        let latest = known.epoch.unwrap_or_default().max(self.ratings.latest());
        let mut rows = Vec::new();
        let raters: Vec<_> = known.raters.iter().take(GROUNDS_RATERS_MAX).map(|one| one.rater).collect();
        for rater in &raters {
            self.rows_of(*rater, agent, latest, &mut rows)?;
        }
        self.struck_of_others(agent, &raters, &mut rows)?;
        Ok(Grounds { rows, good_calls: self.good_calls(agent, goal) })
    }

    /// The newest rows of a rater on an agent.
    fn rows_of(
        &self,
        rater: AgentId,
        agent: AgentId,
        latest: RatingEpoch,
        rows: &mut Vec<GroundsRow>,
    ) -> Result<(), ReadError> {
        let (mut read, mut shown) = (0, 0);
        for key in self.newest_of(rater, latest)? {
            if read == READ_MAX || shown == GROUNDS_RECORDS_MAX {
                break;
            }
            read += 1;
            let Some(said) = self.attestations_at(&key)? else { continue };
            let on_it = (0_u32..).zip(&said.rows).filter(|(_, row)| row.target == agent);
            let before = rows.len();
            for (at, row) in on_it.take(RECORD_ROWS_MAX) {
                let is_struck = self.checkpoints.struck.contains(rater, said.epoch, at);
                let struck_by = if is_struck { self.struck_by(&said, at)? } else { None };
                rows.push(GroundsRow { row: shown_row(&said, row), is_struck, struck_by });
            }
            shown += usize::from(rows.len() > before);
        }
        Ok(())
    }

    /// Where the newest attestations of a rater are, the newest first.
    fn newest_of(&self, rater: AgentId, latest: RatingEpoch) -> Result<Vec<Vec<u8>>, ReadError> {
        for window in WINDOWS {
            let from = RatingEpoch(latest.0.saturating_sub(window - 1));
            let until = prefix_end(&rater.0);
            // Two of one rating epoch are evidence and so are few.
            let limit = usize::try_from(2 * window).unwrap_or(usize::MAX);
            let found = self.store.scan(Table::TrustView, &trust_prefix(rater, from), &until, limit)?;
            if !found.is_empty() {
                return Ok(found.into_iter().rev().map(|(key, _)| key).take(READ_MAX).collect());
            }
        }
        Ok(Vec::new())
    }

    /// The checkpoint that struck out a row.
    fn struck_by(&self, said: &Attestations, row: u32) -> Result<Option<RecordId>, ReadError> {
        for id in self.checkpoints.newest().take(CHECKPOINTS_READ_MAX) {
            let Some(checkpoint) = self.checkpoint(id)? else { continue };
            let is_it = |of: &Unproved| (of.rater, of.epoch, of.row) == (said.rater, said.epoch, row);
            if checkpoint.changes.unproved.iter().any(is_it) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Struck rows on an agent of those that are no raters of it, or not any more.
    fn struck_of_others(
        &self,
        agent: AgentId,
        raters: &[AgentId],
        rows: &mut Vec<GroundsRow>,
    ) -> Result<(), ReadError> {
        let mut left = STRUCK_READ_MAX;
        for id in self.checkpoints.newest().take(CHECKPOINTS_READ_MAX) {
            let Some(checkpoint) = self.checkpoint(id)? else { continue };
            for struck in checkpoint.changes.unproved.iter().filter(|one| !raters.contains(&one.rater)) {
                if left == 0 {
                    return Ok(());
                }
                left -= 1;
                let prefix = trust_prefix(struck.rater, struck.epoch);
                let Some((key, _)) = self.store.scan_prefix(Table::TrustView, &prefix, 1)?.pop() else {
                    continue;
                };
                let Some(said) = self.attestations_at(&key)? else { continue };
                let row = usize::try_from(struck.row).ok().and_then(|at| said.rows.get(at));
                if let Some(row) = row.filter(|row| row.target == agent) {
                    let row = shown_row(&said, row);
                    rows.push(GroundsRow { row, is_struck: true, struck_by: Some(id) });
                }
            }
        }
        Ok(())
    }

    /// How many good calls of the first agent here lift what this node chooses by of an agent to `goal`.
    fn good_calls(&self, agent: AgentId, goal: Q32) -> Option<u32> {
        self.agents.first()?;
        let (known, own) = self.known_and_own(agent);
        let known = known.unwrap_or_else(|| Standing::unknown(Q32::ONE));
        let with = |calls: u32| {
            let calls = u64::from(calls);
            let more = Counts::new(calls, calls, 100 * calls, calls).ok();
            let own = [own, more].into_iter().flatten().reduce(Counts::plus);
            own.map_or(known, |own| known.with_calls(own)).service()
        };
        (0..=GOOD_CALLS_MAX).find(|calls| with(*calls) >= goal)
    }
}

/// A row of an attestation, as clients see it.
pub(crate) fn shown_row(said: &Attestations, row: &Row) -> RatingRow {
    RatingRow {
        record: said.id,
        rater: said.rater,
        epoch: said.epoch,
        made: said.made,
        target: row.target,
        skill: row.skill.to_string(),
        counts: row.counts,
    }
}
