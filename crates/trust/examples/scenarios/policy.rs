use std::collections::{BTreeMap, BTreeSet};

use althing_record::{AgentId, RecordId};
use althing_trust::{Counts, Ledger, Params, Q32, Rating, RatingEpoch, Scores};

use crate::draw::Draw;

/// Calls that one peer reports of another in one cycle: how many, and how many it calls good.
pub(crate) type Reports = BTreeMap<(u64, u64), (u64, u64)>;

/// How a peer chooses whom to call.
pub(crate) trait Policy {
    /// Takes in all reports of a cycle.
    fn learn(&mut self, cycle: usize, reports: &Reports);

    /// One of the candidates.
    fn choose(&mut self, caller: u64, candidates: &[u64], draw: &mut Draw) -> usize;

    /// Hears how a call went that the caller has just made.
    fn hear(&mut self, caller: u64, callee: u64, was_good: bool);
}

/// Any of them.
pub(crate) struct Blind;

impl Policy for Blind {
    fn learn(&mut self, _: usize, _: &Reports) {}

    fn choose(&mut self, _: u64, candidates: &[u64], draw: &mut Draw) -> usize {
        draw.below(candidates.len())
    }

    fn hear(&mut self, _: u64, _: u64, _: bool) {}
}

/// EigenTrust (Kamvar, Schlosser, Garcia-Molina, WWW 2003): the stationary trust of a walk along local trust, which
/// restarts at peers trusted from the beginning. One call in ten goes to a peer without trust.
pub(crate) struct EigenTrust {
    anchors: BTreeSet<u64>,
    /// Good calls less bad ones, as each peer reports them.
    balance: BTreeMap<(u64, u64), f64>,
    trust: BTreeMap<u64, f64>,
}

impl EigenTrust {
    const RESTART: f64 = 0.1;
    const STEPS: usize = 40;
    const TRIALS: f64 = 0.1;

    pub(crate) fn new(anchors: BTreeSet<u64>) -> Self {
        Self { anchors, balance: BTreeMap::new(), trust: BTreeMap::new() }
    }
}

impl Policy for EigenTrust {
    fn learn(&mut self, _: usize, reports: &Reports) {
        for (pair, (count, good)) in reports {
            *self.balance.entry(*pair).or_default() += 2.0 * *good as f64 - *count as f64;
        }
        let mut given: BTreeMap<u64, f64> = BTreeMap::new();
        for ((rater, _), balance) in &self.balance {
            *given.entry(*rater).or_default() += balance.max(0.0);
        }
        let start = 1.0 / self.anchors.len() as f64;
        let mut trust: BTreeMap<u64, f64> = self.anchors.iter().map(|anchor| (*anchor, start)).collect();
        for _ in 0..Self::STEPS {
            let mut next: BTreeMap<u64, f64> = BTreeMap::new();
            for ((rater, target), balance) in self.balance.iter().filter(|(_, balance)| **balance > 0.0) {
                let held = trust.get(rater).copied().unwrap_or_default();
                if held > 0.0 {
                    *next.entry(*target).or_default() +=
                        (1.0 - Self::RESTART) * held * balance / given[rater];
                }
            }
            // Who trusts nobody trusts the anchors.
            let rest = 1.0 - next.values().sum::<f64>();
            for anchor in &self.anchors {
                *next.entry(*anchor).or_default() += rest * start;
            }
            trust = next;
        }
        self.trust = trust;
    }

    fn choose(&mut self, _: u64, candidates: &[u64], draw: &mut Draw) -> usize {
        let trust = |peer: &u64| self.trust.get(peer).copied().unwrap_or_default();
        let strangers: Vec<_> = (0..candidates.len()).filter(|at| trust(&candidates[*at]) <= 0.0).collect();
        if !strangers.is_empty() && draw.happens(Self::TRIALS) {
            return strangers[draw.below(strangers.len())];
        }
        draw.weighted(&candidates.iter().map(trust).collect::<Vec<_>>())
    }

    fn hear(&mut self, _: u64, _: u64, _: bool) {}
}

/// TrustFlow: network-wide scores with the caller's own experience, and the rule of choosing.
pub(crate) struct TrustFlow {
    ledger: Ledger,
    params: Params,
    /// What each caller sees, from what was known at the end of the last cycle.
    seen: BTreeMap<u64, Scores>,
    network: Option<Scores>,
    /// For each caller: calls to newcomers that went well, and all.
    trials: BTreeMap<u64, (u64, u64)>,
}

impl TrustFlow {
    const EVIDENCE_MIN: u64 = 3;
    const TRIALS: f64 = 0.1;
    const SCORE_MIN: f64 = 0.4;
    const SCORE_BAND: f64 = 0.15;

    pub(crate) fn new(anchors: &BTreeSet<u64>) -> Self {
        let anchors = anchors.iter().map(|anchor| agent(*anchor)).collect();
        Self {
            ledger: Ledger::default(),
            params: Params { anchors, slash: BTreeMap::new() },
            seen: BTreeMap::new(),
            network: None,
            trials: BTreeMap::new(),
        }
    }

    /// Score and whole calls of evidence.
    fn of(&self, caller: u64, peer: u64) -> (f64, u64) {
        let scores = self.seen.get(&caller).or(self.network.as_ref());
        let standing = scores.and_then(|scores| scores.of(agent(peer))).unwrap_or_default();
        (standing.reliability.score.0 as f64 / Q32::ONE.0 as f64, standing.evidence.whole())
    }
}

impl Policy for TrustFlow {
    fn learn(&mut self, cycle: usize, reports: &Reports) {
        let epoch = RatingEpoch(cycle as u64);
        let mut rows: BTreeMap<u64, Vec<Rating>> = BTreeMap::new();
        for ((rater, target), (count, good)) in reports {
            let counts = Counts::new(*count, *good, 100 * good, *count).expect("counts in bounds");
            rows.entry(*rater).or_default().push(Rating { target: agent(*target), counts });
        }
        for (rater, rows) in &rows {
            self.ledger.apply(RecordId(id(*rater, epoch.0 + 1)), agent(*rater), epoch, rows);
        }
        let view = self.ledger.view(epoch);
        let Some(network) = view.scores(&self.params) else { return };
        let seen = |rater: &u64| (*rater, view.with_experience_of(agent(*rater), &network));
        self.seen = rows.keys().map(seen).collect();
        self.network = Some(network);
    }

    fn choose(&mut self, caller: u64, candidates: &[u64], draw: &mut Draw) -> usize {
        let of: Vec<_> = candidates.iter().map(|peer| self.of(caller, *peer)).collect();
        let newcomers: Vec<_> = (0..of.len()).filter(|at| of[*at].1 < Self::EVIDENCE_MIN).collect();
        let is_known = |at: &usize| of[*at].1 >= Self::EVIDENCE_MIN;
        let highest = (0..of.len()).filter(is_known).map(|at| of[at].0).fold(0.0, f64::max);
        let least = Self::SCORE_MIN.max(highest - Self::SCORE_BAND);
        let weight = |at: usize| {
            let score = of[at].0;
            if is_known(&at) && score >= least { score * score } else { 0.0 }
        };
        let weights: Vec<_> = (0..of.len()).map(weight).collect();
        let is_any_good = weights.iter().any(|weight| *weight > 0.0);
        let (well, all) = self.trials.get(&caller).copied().unwrap_or_default();
        let chance = Self::TRIALS * (well + 1) as f64 / (all + 1) as f64;
        if !newcomers.is_empty() && (!is_any_good || draw.happens(chance)) {
            return newcomers[draw.below(newcomers.len())];
        }
        if is_any_good {
            return draw.weighted(&weights);
        }
        let best = (0..of.len()).max_by(|one, other| of[*one].0.total_cmp(&of[*other].0));
        best.expect("there are candidates")
    }

    fn hear(&mut self, caller: u64, callee: u64, was_good: bool) {
        if self.of(caller, callee).1 < Self::EVIDENCE_MIN {
            let (well, all) = self.trials.entry(caller).or_default();
            *well += u64::from(was_good);
            *all += 1;
        }
    }
}

fn agent(peer: u64) -> AgentId {
    AgentId(id(peer, 0))
}

fn id(peer: u64, number: u64) -> [u8; 32] {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&peer.to_be_bytes());
    id[8..16].copy_from_slice(&number.to_be_bytes());
    id
}
