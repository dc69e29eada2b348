use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use althing_record::{AgentId, RecordId};

use super::counts::{Counts, Weighed};
use super::decay::BAD;
use super::relation::{Arena, Relation, Sights};
use super::scores::Scores;
use super::view::{Contribution, Opinion, View};
use crate::RatingEpoch;

/// One row of an attestation, as the ledger takes it. Rows for several skills of one target add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rating {
    /// Who was called.
    pub target: AgentId,
    /// How that went.
    pub counts: Counts,
}

/// What raters attested, as sums by rater and target.
///
/// The same attestations give the same sums, whatever the order, grouping and repetition in which they come; time enters
/// when the ledger is viewed. It grows with relations, not with calls.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    agents: Vec<AgentId>,
    places: BTreeMap<AgentId, u32>,
    taken: BTreeMap<u32, BTreeSet<RecordId>>,
    lost: BTreeMap<u32, BTreeSet<(RecordId, u32)>>,
    /// Target and rater of each relation, ascending.
    keys: Vec<u64>,
    relations: Vec<Relation>,
    /// Relations that came since the last view.
    fresh: BTreeMap<u64, Relation>,
    arena: Arena,
    /// Attestations of earlier rating epochs count nothing any more.
    horizon: u32,
}

impl Ledger {
    /// Adds an attestation of `rater`, which the record `id` holds. The same again changes nothing, and neither do rows
    /// about the rater itself. Gives whether it was new.
    pub fn apply(&mut self, id: RecordId, rater: AgentId, epoch: RatingEpoch, rows: &[Rating]) -> bool {
        let Some(epoch) = self.counted(epoch) else { return false };
        if !self.taken.entry(epoch).or_default().insert(id) {
            return false;
        }
        let by = self.place(rater);
        for (at, row) in (0_u32..).zip(rows) {
            let is_lost = self.lost.get(&epoch).is_some_and(|lost| lost.contains(&(id, at)));
            if row.target != rater && !is_lost {
                let target = self.place(row.target);
                self.change(key(target, by), &Weighed::new(row.counts, epoch), false);
            }
        }
        true
    }

    /// Takes the row at place `at` out of an attestation, for its rater could not prove it. The attestation may come
    /// later. The same again changes nothing. Gives whether it was new.
    pub fn withdraw(
        &mut self,
        id: RecordId,
        rater: AgentId,
        epoch: RatingEpoch,
        (at, row): (u32, &Rating),
    ) -> bool {
        let Some(epoch) = self.counted(epoch) else { return false };
        if !self.lost.entry(epoch).or_default().insert((id, at)) {
            return false;
        }
        if row.target != rater && self.taken.get(&epoch).is_some_and(|taken| taken.contains(&id)) {
            let (by, target) = (self.place(rater), self.place(row.target));
            self.change(key(target, by), &Weighed::new(row.counts, epoch), true);
        }
        true
    }

    /// The first rating epoch that still counts something, seen from `now`.
    #[must_use]
    pub fn horizon(now: RatingEpoch) -> RatingEpoch {
        RatingEpoch(u32::try_from(now.0).map_or(0, |now| BAD.horizon(now)).into())
    }

    /// Forgets what counts nothing at `now` or later: 32 half-lives of bad experience are 3,584 rating epochs. Views of
    /// earlier epochs than `now` are wrong from then on.
    pub fn forget(&mut self, now: RatingEpoch) {
        let Ok(now) = u32::try_from(now.0) else { return };
        self.settle();
        self.horizon = self.horizon.max(BAD.horizon(now));
        self.taken = self.taken.split_off(&self.horizon);
        self.lost = self.lost.split_off(&self.horizon);
        let mut arena = Arena::default();
        let mut kept = Vec::with_capacity(self.keys.len());
        let mut relations = Vec::with_capacity(self.keys.len());
        for (key, relation) in self.keys.iter().zip(&self.relations) {
            if !relation.is_faded(now) {
                kept.push(*key);
                relations.push(relation.moved(&self.arena, &mut arena, now));
            }
        }
        (self.keys, self.relations, self.arena) = (kept, relations, arena);
    }

    /// The ledger as it looks at the end of a rating epoch. It must hold no attestation of a later one.
    pub fn view(&mut self, epoch: RatingEpoch) -> View<'_> {
        self.settle();
        View::new(self, epoch)
    }

    /// The same of a ledger that is shared. What was applied since [`Ledger::settle`] is not seen.
    #[must_use]
    pub fn settled_view(&self, epoch: RatingEpoch) -> View<'_> {
        View::new(self, epoch)
    }

    /// Who has an opinion on a target at the end of a rating epoch, the weightiest first, under given scores. What was
    /// applied since [`Ledger::settle`] is not seen.
    #[must_use]
    pub fn raters_of(&self, target: AgentId, epoch: RatingEpoch, scores: &Scores) -> Vec<Contribution> {
        let Some(at) = self.place_of(target) else { return Vec::new() };
        let sights = Sights::at(u32::try_from(epoch.0).unwrap_or(u32::MAX));
        let from = self.keys.partition_point(|of| *of < key(at, 0));
        let relations = self.keys[from..].iter().zip(&self.relations[from..]);
        let mut all: Vec<_> = relations
            .take_while(|(of, _)| parts(**of).0 == at)
            .filter_map(|(of, relation)| {
                let opinion = Opinion::of(relation.reliability(&self.arena, &sights))?;
                let rater = self.agents[parts(*of).1 as usize];
                Some(Contribution::new(rater, opinion, &scores.of(rater).unwrap_or_default()))
            })
            .collect();
        all.sort_by_key(|one| (Reverse(one.weight.times(one.sureness)), one.rater));
        all
    }

    /// How many pairs of rater and target it knows.
    #[must_use]
    pub fn relations(&self) -> usize {
        self.keys.len() + self.fresh.len()
    }

    /// How many buckets of evidence there are beside the newest one of each pair; up to 40 bytes each.
    #[must_use]
    pub fn buckets(&self) -> usize {
        self.arena.len()
    }

    /// The attestations that were applied on rating epochs after this one, those on the first of them first. Without them
    /// the ledger is as it was at the end of this one.
    pub fn after(&self, epoch: RatingEpoch) -> impl Iterator<Item = RecordId> {
        let first = epoch.0.checked_add(1).and_then(|epoch| u32::try_from(epoch).ok());
        first.into_iter().flat_map(|first| self.taken.range(first..)).flat_map(|(_, ids)| ids.iter().copied())
    }

    /// Whether an attestation was applied.
    #[must_use]
    pub fn holds(&self, id: RecordId, epoch: RatingEpoch) -> bool {
        let epoch = u32::try_from(epoch.0).ok();
        epoch.and_then(|epoch| self.taken.get(&epoch)).is_some_and(|taken| taken.contains(&id))
    }

    pub(super) fn agents(&self) -> &[AgentId] {
        &self.agents
    }

    /// Places of all agents, by id.
    pub(super) fn by_id(&self) -> impl Iterator<Item = (AgentId, u32)> {
        self.places.iter().map(|(agent, place)| (*agent, *place))
    }

    pub(super) fn place_of(&self, agent: AgentId) -> Option<u32> {
        self.places.get(&agent).copied()
    }

    /// All relations of a settled ledger as (target, rater, relation), by target and rater.
    pub(super) fn settled(&self) -> impl Iterator<Item = (u32, u32, &Relation)> {
        self.keys.iter().zip(&self.relations).map(|(key, relation)| {
            let (target, rater) = parts(*key);
            (target, rater, relation)
        })
    }

    /// What one settled rater says of one target.
    pub(super) fn relation(&self, target: u32, rater: u32) -> Option<&Relation> {
        self.keys.binary_search(&key(target, rater)).ok().map(|at| &self.relations[at])
    }

    pub(super) fn arena(&self) -> &Arena {
        &self.arena
    }

    /// The rating epoch as a small number, if attestations of it are counted.
    fn counted(&self, epoch: RatingEpoch) -> Option<u32> {
        u32::try_from(epoch.0).ok().filter(|epoch| *epoch >= self.horizon)
    }

    fn place(&mut self, agent: AgentId) -> u32 {
        *self.places.entry(agent).or_insert_with(|| {
            self.agents.push(agent);
            u32::try_from(self.agents.len() - 1).expect("fewer than 2³² agents")
        })
    }

    fn change(&mut self, key: u64, weighed: &Weighed, out: bool) {
        if let Ok(at) = self.keys.binary_search(&key) {
            self.relations[at].change(&mut self.arena, weighed, out);
            return;
        }
        match self.fresh.get_mut(&key) {
            Some(relation) => relation.change(&mut self.arena, weighed, out),
            // Rows are taken out only of attestations that were applied.
            None if out => {}
            None => {
                self.fresh.insert(key, Relation::new(weighed));
            }
        }
    }

    /// Puts the relations that came since the last time where views see them.
    pub fn settle(&mut self) {
        if self.fresh.is_empty() {
            return;
        }
        let fresh = std::mem::take(&mut self.fresh);
        let count = self.keys.len() + fresh.len();
        let old = std::mem::take(&mut self.keys).into_iter().zip(std::mem::take(&mut self.relations));
        self.keys.reserve_exact(count);
        self.relations.reserve_exact(count);
        let (mut old, mut fresh) = (old.peekable(), fresh.into_iter().peekable());
        loop {
            let next = match (old.peek(), fresh.peek()) {
                (Some((one, _)), Some((other, _))) if one < other => old.next(),
                (_, Some(_)) => fresh.next(),
                (_, None) => old.next(),
            };
            let Some((key, relation)) = next else { return };
            self.keys.push(key);
            self.relations.push(relation);
        }
    }
}

fn key(target: u32, rater: u32) -> u64 {
    u64::from(target) << 32 | u64::from(rater)
}

fn parts(key: u64) -> (u32, u32) {
    ((key >> 32) as u32, key as u32)
}
