use super::fixed::{ONE, div, mul};
use super::flow::Flow;
use super::standing::Sums;
use super::view::Opinions;

/// Rounds of weighing raters; the last is only the sums that scores are made of.
const ROUNDS: usize = 4;
/// How much heavier a disagreement weighs than an agreement.
const DISAGREEMENT: u128 = 10;
/// How far a sure rater may be from the consensus.
const TOLERANCE_SURE: u64 = div(1, 4);
/// How much further an unsure one may be.
const TOLERANCE_UNSURE: u64 = div(7, 10);
/// The least weight of others that is a consensus.
const CONSENSUS_MIN: u64 = div(3, 10);
/// Agreements and disagreements that are assumed of anchors, and of others.
const HONEST_ANCHOR: (u64, u64) = (2 * ONE, 0);
const HONEST_OTHER: (u64, u64) = (ONE / 2, 5 * ONE / 2);

/// Where trust starts.
#[derive(Debug)]
pub(super) struct Anchors {
    /// Places and weights of anchors, by id.
    pub(super) weights: Vec<(usize, u64)>,
    /// The place of the one who looks; its honesty is not in question.
    pub(super) itself: Option<usize>,
}

/// How far each agent's word counts.
#[derive(Debug)]
pub(super) struct Trust {
    honesty: Vec<u64>,
    weight: Vec<u64>,
    mass: Vec<u64>,
    is_anchor: Vec<bool>,
}

/// One agent's part in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    pub(super) honesty: u64,
    pub(super) weight: u64,
    pub(super) mass: u64,
}

impl Trust {
    /// `count` agents, of whom opinions may know only the first.
    pub(super) fn new(opinions: &Opinions, anchors: &Anchors, count: usize) -> Self {
        let mut is_anchor = vec![false; count];
        for (at, _) in &anchors.weights {
            is_anchor[*at] = true;
        }
        let first = |anchor: &bool| if *anchor { ONE } else { 0 };
        let mut trust = Self {
            honesty: vec![0; count],
            weight: is_anchor.iter().map(first).collect(),
            mass: vec![0; count],
            is_anchor,
        };
        let mut flow = Flow::new(opinions, anchors, count);
        for _ in 1..ROUNDS {
            trust.judge(opinions, anchors);
            trust.spread(&mut flow, anchors);
            trust.weigh();
        }
        trust
    }

    pub(super) fn at(&self, at: usize) -> Share {
        Share { honesty: self.honesty[at], weight: self.weight[at], mass: self.mass[at] }
    }

    pub(super) fn weight(&self, at: usize) -> u64 {
        self.weight[at]
    }

    pub(super) fn is_anchor(&self, at: usize) -> bool {
        self.is_anchor[at]
    }

    /// Honesty: how often a rater agrees with what the others say, by their weight.
    fn judge(&mut self, opinions: &Opinions, anchors: &Anchors) {
        let mut agreed = vec![0_u64; self.honesty.len()];
        let mut disagreed = vec![0_u64; self.honesty.len()];
        for target in 0..opinions.targets() {
            let mut sums = Sums::default();
            for (rater, opinion) in opinions.on(target) {
                sums.add_opinion(self.weight[rater as usize], opinion);
            }
            let Sums { good, all } = sums;
            if all <= CONSENSUS_MIN {
                continue;
            }
            let consensus = |good: u64, all: u64| (div(good + ONE / 4, all + ONE / 2), div(all, all + ONE));
            let of_all = consensus(good, all);
            for (rater, opinion) in opinions.on(target) {
                let rater = rater as usize;
                let (share, sureness) = (u64::from(opinion.share), u64::from(opinion.sureness));
                let own = mul(self.weight[rater], sureness);
                let others = all - own;
                if others <= CONSENSUS_MIN {
                    continue;
                }
                let (consensus, backing) =
                    if own == 0 { of_all } else { consensus(good - mul(own, share), others) };
                let weight = mul(sureness, backing);
                let tolerance = TOLERANCE_SURE + mul(TOLERANCE_UNSURE, ONE - sureness);
                if share.abs_diff(consensus) <= tolerance {
                    agreed[rater] += weight;
                } else {
                    disagreed[rater] += weight;
                }
            }
        }
        for (at, honesty) in self.honesty.iter_mut().enumerate() {
            let (good, bad) = if self.is_anchor[at] { HONEST_ANCHOR } else { HONEST_OTHER };
            let (agreed, disagreed) = (u128::from(agreed[at] + good), u128::from(disagreed[at]));
            let all = agreed + DISAGREEMENT * disagreed + u128::from(bad);
            *honesty = u64::try_from((agreed << 32) / all).expect("a fraction");
        }
        if let Some(itself) = anchors.itself {
            self.honesty[itself] = ONE;
        }
    }

    /// Trust mass: what starts at the anchors and flows along edges; the sum is exactly 1.
    fn spread(&mut self, flow: &mut Flow, anchors: &Anchors) {
        let starts = self.starts(anchors);
        let masses = flow.spread(&starts, &self.honesty);
        self.mass.fill(0);
        for (at, mass) in masses {
            self.mass[at] = mass;
        }
    }

    /// The anchors' shares of what starts at them, by weight and honesty.
    fn starts(&self, anchors: &Anchors) -> Vec<(usize, u64)> {
        let weighed = |(at, weight): &(usize, u64)| (*at, weight * self.honesty[*at]);
        let mut starts: Vec<_> = anchors.weights.iter().map(weighed).collect();
        let all: u64 = starts.iter().map(|(_, weight)| *weight).sum();
        let mut left = ONE;
        for (_, start) in &mut starts {
            *start = div(*start, all.max(1));
            left -= *start;
        }
        starts[0].1 += left;
        starts
    }

    /// How much each rater counts: its mass beside the usual mass, and the third power of its honesty.
    fn weigh(&mut self) {
        let squares: u128 = self.mass.iter().map(|mass| u128::from(*mass) * u128::from(*mass)).sum();
        let effective = (1_u128 << 96) / squares;
        for (at, weight) in self.weight.iter_mut().enumerate() {
            let honesty = self.honesty[at];
            let share = if self.is_anchor[at] {
                ONE
            } else {
                let share = (u128::from(self.mass[at]) * effective) >> 32;
                u64::try_from(share).map_or(ONE, |share| share.min(ONE))
            };
            *weight = mul(share, mul(mul(honesty, honesty), honesty));
        }
    }
}
