use std::collections::BTreeMap;

use althing_record::AgentId;

use super::fixed::{ONE, Q32, div, mul};
use super::relation::{Experience, Sights};
use super::scores::Scores;
use super::standing::{Lasting, Standing, Sums};
use super::trust::{Anchors, Trust};
use super::{Ledger, Params};
use crate::RatingEpoch;

/// Above this share of good calls a rater trusts a target.
const TRUSTED: u64 = div(6, 10);

/// The least decayed count that is an opinion: 1/16, in units of 2⁻¹⁶.
const OPINION_MIN: u64 = 1 << 12;

/// How much the user trusts itself beside each anchor of the genesis.
const SELF_WEIGHT: u64 = 3;

/// What one rater thinks of one target: the share of good calls, and how sure that is; both below 1, in units of 2⁻³².
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opinion {
    pub(super) share: u32,
    pub(super) sureness: u32,
}

impl Opinion {
    pub(super) fn of(experience: Experience) -> Option<Self> {
        let all = experience.good + experience.bad;
        if all < OPINION_MIN {
            return None;
        }
        // In units of 2⁻¹⁶ above and below, so quotients are in units of 2⁻³² after the shift in `div`.
        let share = div(experience.good + (1 << 15), all + (1 << 16));
        let sureness = div(all, all + (2 << 16));
        let below_one = |value| u32::try_from(value).expect("a proper fraction");
        Some(Self { share: below_one(share), sureness: below_one(sureness) })
    }
}

/// Who thinks what of whom at one rating epoch, by target.
#[derive(Debug)]
pub(super) struct Opinions {
    /// Where the opinions on each target begin, and where the last end.
    pub(super) starts: Vec<u32>,
    pub(super) raters: Vec<u32>,
    pub(super) opinions: Vec<Opinion>,
    /// Where the edges from each rater begin, and where the last end.
    pub(super) edge_starts: Vec<u32>,
    /// Targets, and which part of its rater's trust each edge carries, in units of 2⁻³². The only edge of a rater
    /// carries all, whatever stands here.
    pub(super) edges: Vec<(u32, u32)>,
    /// Who has an opinion, or is the object of one.
    pub(super) is_present: Vec<bool>,
}

/// The ledger at one rating epoch.
#[derive(Debug)]
pub struct View<'l> {
    ledger: &'l Ledger,
    epoch: RatingEpoch,
    sights: Sights,
    opinions: Opinions,
}

/// One rater's part in a target's score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contribution {
    /// Who rates.
    pub rater: AgentId,
    /// The share of its calls that went well, at least half a call each way assumed.
    pub share: Q32,
    /// How sure that is, by the number of calls.
    pub sureness: Q32,
    /// How much the rater counts.
    pub weight: Q32,
    /// Its honesty.
    pub honesty: Q32,
    /// Its trust mass.
    pub trust: Q32,
}

impl Contribution {
    pub(super) fn new(rater: AgentId, opinion: Opinion, standing: &Standing) -> Self {
        Self {
            rater,
            share: Q32(opinion.share.into()),
            sureness: Q32(opinion.sureness.into()),
            weight: standing.weight,
            honesty: standing.honesty,
            trust: standing.trust,
        }
    }
}

impl<'l> View<'l> {
    pub(super) fn new(ledger: &'l Ledger, epoch: RatingEpoch) -> Self {
        let sights = Sights::at(u32::try_from(epoch.0).unwrap_or(u32::MAX));
        Self { ledger, epoch, sights, opinions: Opinions::new(ledger, &sights) }
    }

    /// The rating epoch.
    #[must_use]
    pub fn epoch(&self) -> RatingEpoch {
        self.epoch
    }

    /// The scores that every node computes from the same attestations. None without anchors: then there are only views
    /// of single agents.
    #[must_use]
    pub fn scores(&self, params: &Params) -> Option<Scores> {
        let anchors: BTreeMap<_, _> = params.anchors.iter().map(|anchor| (*anchor, 1)).collect();
        (!anchors.is_empty()).then(|| self.scores_from(anchors, None, params))
    }

    /// The scores as one agent sees them: its trust starts with itself, three times as much as with each anchor, and its
    /// own experience takes part as far as there is any.
    #[must_use]
    pub fn seen_by(&self, agent: AgentId, params: &Params) -> Scores {
        let mut anchors: BTreeMap<_, _> = params.anchors.iter().map(|anchor| (*anchor, 1)).collect();
        anchors.insert(agent, SELF_WEIGHT);
        self.with_experience_of(agent, &self.scores_from(anchors, Some(agent), params))
    }

    /// Scores of this view in which one agent's own experience takes part, as far as there is any.
    #[must_use]
    pub fn with_experience_of(&self, agent: AgentId, scores: &Scores) -> Scores {
        let mut scores = scores.clone();
        let Some(own) = self.ledger.place_of(agent) else { return scores };
        for (target, standing) in scores.standings_mut() {
            let relation = self.ledger.place_of(*target).and_then(|target| self.ledger.relation(target, own));
            if let Some(relation) = relation {
                standing.mix(relation.long(self.ledger.arena(), &self.sights));
            }
        }
        scores
    }

    /// Who rates a target, the weightiest first, under given scores of this view.
    #[must_use]
    pub fn raters_of(&self, target: AgentId, scores: &Scores) -> Vec<Contribution> {
        self.ledger.raters_of(target, self.epoch, scores)
    }

    fn scores_from(
        &self,
        weights: BTreeMap<AgentId, u64>,
        itself: Option<AgentId>,
        params: &Params,
    ) -> Scores {
        let known = self.ledger.agents().len();
        let mut strangers = Vec::new();
        let mut place = |agent: AgentId| {
            self.ledger.place_of(agent).map_or_else(
                || {
                    strangers.push(agent);
                    known + strangers.len() - 1
                },
                |place| place as usize,
            )
        };
        let places: Vec<_> = weights.iter().map(|(agent, weight)| (place(*agent), *weight)).collect();
        let at = itself.and_then(|agent| weights.keys().position(|anchor| *anchor == agent));
        let anchors = Anchors { itself: at.map(|at| places[at].0), weights: places };
        let trust = Trust::new(&self.opinions, &anchors, known + strangers.len());
        let of = |agent: AgentId, at: usize, lasting: &Lasting| {
            let slash = params.slash.get(&agent).copied().unwrap_or_default().factor();
            (agent, Standing::new(&trust.at(at), lasting, slash))
        };
        // By id in the end, and by target where they come from.
        let takes_part = |at: usize| self.opinions.is_present[at] || trust.is_anchor(at);
        let mut ranks = vec![0_u32; known];
        let mut standings = Vec::with_capacity(known + strangers.len());
        for (agent, at) in self.ledger.by_id().filter(|(_, at)| takes_part(*at as usize)) {
            ranks[at as usize] = u32::try_from(standings.len()).expect("fewer than 2³² agents");
            standings.push((agent, Standing::default()));
        }
        for (at, lasting) in self.sums(&trust).enumerate().filter(|(at, _)| takes_part(*at)) {
            let standing = &mut standings[ranks[at] as usize];
            *standing = of(standing.0, at, &lasting);
        }
        standings
            .extend(strangers.iter().zip(known..).map(|(agent, at)| of(*agent, at, &Lasting::default())));
        if !strangers.is_empty() {
            standings.sort_by_key(|(agent, _)| *agent);
        }
        Scores::new(self.epoch, standings)
    }

    /// What weighty raters say of each target, in the order of places.
    fn sums(&self, trust: &Trust) -> impl Iterator<Item = Lasting> {
        let arena = self.ledger.arena();
        let mut relations = self.ledger.settled().peekable();
        (0..self.opinions.targets()).map(move |target| {
            let mut of = Lasting::default();
            // Raters without an opinion have none here either; both are in the order of raters.
            let mut opinions = self.opinions.on(target).peekable();
            while let Some((_, rater, relation)) = relations.next_if(|(of, ..)| *of as usize == target) {
                let opinion = opinions.next_if(|(by, _)| *by == rater).map(|(_, opinion)| opinion);
                let weight = trust.weight(rater as usize);
                if weight > 0 {
                    add_each(&mut of.long, weight, relation.long_opinions(arena, &self.sights, opinion));
                    add_each(&mut of.recent, weight, relation.recent_opinions(arena, &self.sights));
                }
            }
            of
        })
    }
}

impl Opinions {
    fn new(ledger: &Ledger, sights: &Sights) -> Self {
        let (agents, relations) = (ledger.agents().len(), ledger.relations());
        let mut all = Self {
            starts: Vec::with_capacity(agents + 1),
            raters: Vec::with_capacity(relations),
            opinions: Vec::with_capacity(relations),
            edge_starts: vec![0; agents + 1],
            edges: Vec::new(),
            is_present: vec![false; agents],
        };
        let mut given = vec![0_u64; agents];
        for (target, rater, relation) in ledger.settled() {
            let Some(opinion) = Opinion::of(relation.reliability(ledger.arena(), sights)) else { continue };
            all.begin(target);
            all.raters.push(rater);
            all.opinions.push(opinion);
            all.is_present[target as usize] = true;
            all.is_present[rater as usize] = true;
            let edge = edge(opinion);
            given[rater as usize] += edge;
            all.edge_starts[rater as usize] += u32::from(edge > 0);
        }
        all.begin(u32::try_from(agents).expect("fewer than 2³² agents"));
        all.normalise(&given);
        all
    }

    /// Begins the opinions on `target`; those on all before it are complete.
    fn begin(&mut self, target: u32) {
        let at = u32::try_from(self.raters.len()).expect("fewer than 2³² relations");
        self.starts.resize(self.starts.len().max(target as usize + 1), at);
    }

    /// Turns opinions above the threshold into edges that share out each rater's trust. What each rater gives in all is
    /// known, and how many edges it has.
    fn normalise(&mut self, given: &[u64]) {
        let mut end = 0;
        for start in &mut self.edge_starts {
            end += *start;
            *start = end;
        }
        self.edges = vec![(0, 0); end as usize];
        // From the ends: what is an end now is a beginning when all are in.
        for target in 0..self.targets() {
            for at in self.starts[target] as usize..self.starts[target + 1] as usize {
                let (rater, edge) = (self.raters[at] as usize, edge(self.opinions[at]));
                if edge > 0 {
                    let share = u32::try_from(div(edge, given[rater])).unwrap_or(u32::MAX);
                    self.edge_starts[rater] -= 1;
                    let target = u32::try_from(target).expect("fewer than 2³² agents");
                    self.edges[self.edge_starts[rater] as usize] = (target, share);
                }
            }
        }
    }

    /// The opinions on one target, with their raters.
    pub(super) fn on(&self, target: usize) -> impl Iterator<Item = (u32, Opinion)> + Clone {
        let range = self.starts[target] as usize..self.starts[target + 1] as usize;
        self.raters[range.clone()].iter().copied().zip(self.opinions[range].iter().copied())
    }

    /// The edges from one rater: targets, and shares of its trust unless there is only one.
    pub(super) fn edges_from(&self, rater: usize) -> &[(u32, u32)] {
        &self.edges[self.edge_starts[rater] as usize..self.edge_starts[rater + 1] as usize]
    }

    pub(super) fn targets(&self) -> usize {
        self.is_present.len()
    }
}

/// Adds what a rater says in each respect.
fn add_each(to: &mut [Sums; 3], weight: u64, opinions: [Option<Opinion>; 3]) {
    for (to, opinion) in to.iter_mut().zip(opinions) {
        if let Some(opinion) = opinion {
            to.add_opinion(weight, opinion);
        }
    }
}

/// How much a rater wants to trust a target: sureness · max(0, (share − 0.6) / 0.4).
fn edge(opinion: Opinion) -> u64 {
    let share = u64::from(opinion.share);
    if share <= TRUSTED { 0 } else { mul(opinion.sureness.into(), div(share - TRUSTED, ONE - TRUSTED)) }
}
