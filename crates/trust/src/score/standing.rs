use super::counts::Counts;
use super::fixed::{ONE, Q32, div, mul};
use super::relation::{Experience, QUALITY, RELIABILITY, RESPONSIVENESS};
use super::trust::Share;
use super::view::Opinion;

/// How many calls one fully sure word of a fully weighty rater counts as.
const CALLS_PER_WORD: u64 = 4;

/// How own experience is weighed against what others say: as n to 5.
const OWN_BALANCE: u64 = 5 * ONE;

const HALF: u64 = div(5, 10);
const THREE_TENTHS: u64 = div(3, 10);
const TWO_TENTHS: u64 = div(2, 10);

/// What weighty raters say of one target in one respect: Σ weight · sureness · share, and Σ weight · sureness.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) good: u64,
    pub(super) all: u64,
}

/// The sums of the three factors over the long half-lives and the short one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lasting {
    pub(super) long: [Sums; 3],
    pub(super) recent: [Sums; 3],
}

/// One of the three things that an agent is rated for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Factor {
    /// The lower of the two bounds below; seen by one agent, also its own experience.
    pub score: Q32,
    /// A lower bound from all that is remembered.
    pub long: Q32,
    /// A lower bound that gives what happened lately a greater part.
    pub recent: Q32,
}

/// What is known of one agent at one rating epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Whether its calls go well.
    pub reliability: Factor,
    /// How good its answers are.
    pub quality: Factor,
    /// Whether it answers in the promised time.
    pub responsiveness: Factor,
    /// Whether what it says of others agrees with what they say. Who says nothing has 1/6.
    pub honesty: Q32,
    /// 1, less what proven misbehaviour costs.
    pub slash: Q32,
    /// How many calls the score of its reliability rests on, by the weight of who rated them.
    pub evidence: Q32,
    /// Its part of all trust.
    pub trust: Q32,
    /// How much its word counts: 0 to 1.
    pub weight: Q32,
}

impl Sums {
    pub(super) fn add_opinion(&mut self, weight: u64, opinion: Opinion) {
        let weight = mul(weight, opinion.sureness.into());
        self.good += mul(weight, opinion.share.into());
        self.all += weight;
    }

    /// As counts of good calls and all calls.
    fn calls(self) -> (u64, u64) {
        (CALLS_PER_WORD * self.good, CALLS_PER_WORD * self.all)
    }
}

impl Factor {
    fn new(long: Sums, recent: Sums) -> Self {
        let (good, all) = long.calls();
        let mean = mean(good, all);
        let long = bound(mean, all + 5 * ONE / 2);
        let (good, all) = recent.calls();
        let recent = bound(div(good + 2 * mean, all + 2 * ONE), all + 3 * ONE);
        Self { score: Q32(long.min(recent)), long: Q32(long), recent: Q32(recent) }
    }

    /// Lets own experience take part, as far as there is any.
    fn mix(&mut self, own: Experience) {
        // Calls that were counted in units of 2⁻¹⁶.
        let (good, all) = (own.good << 16, (own.good + own.bad) << 16);
        let own = bound(mean(good, all), all + 5 * ONE / 2);
        let part = div(all, all + OWN_BALANCE);
        self.score = Q32(mul(ONE - part, self.score.0) + mul(part, own));
    }
}

impl Standing {
    pub(super) fn new(share: &Share, lasting: &Lasting, slash: Q32) -> Self {
        let factor = |at: usize| Factor::new(lasting.long[at], lasting.recent[at]);
        Self {
            reliability: factor(RELIABILITY),
            quality: factor(QUALITY),
            responsiveness: factor(RESPONSIVENESS),
            honesty: Q32(share.honesty),
            slash,
            evidence: Q32(lasting.long[RELIABILITY].calls().1),
            trust: Q32(share.mass),
            weight: Q32(share.weight),
        }
    }

    /// An agent of whom nothing is known but what proven misbehaviour costs it.
    #[must_use]
    pub fn unknown(slash: Q32) -> Self {
        Self { slash, ..Self::default() }
    }

    /// The same with calls of one's own that it does not rest on yet: they take part as other own experience does.
    #[must_use]
    pub fn with_calls(mut self, counts: Counts) -> Self {
        let own = counts.experience();
        self.mix(own);
        let calls = own[RELIABILITY].good + own[RELIABILITY].bad;
        self.evidence = Q32(self.evidence.0.saturating_add(calls << 16));
        self
    }

    pub(super) fn mix(&mut self, own: [Experience; 3]) {
        self.reliability.mix(own[RELIABILITY]);
        self.quality.mix(own[QUALITY]);
        self.responsiveness.mix(own[RESPONSIVENESS]);
    }

    /// What to choose by: 0.5 reliability, 0.3 quality, 0.2 responsiveness, less what misbehaviour costs.
    #[must_use]
    pub fn service(&self) -> Q32 {
        let sum = mul(HALF, self.reliability.score.0)
            + mul(THREE_TENTHS, self.quality.score.0)
            + mul(TWO_TENTHS, self.responsiveness.score.0);
        self.slash.times(Q32(sum))
    }

    /// The same times honesty: how the agent does as one who serves and as one who rates.
    #[must_use]
    pub fn composite(&self) -> Q32 {
        let sum = mul(HALF, self.reliability.score.0)
            + mul(THREE_TENTHS, self.quality.score.0)
            + mul(TWO_TENTHS, self.responsiveness.score.0);
        self.slash.times(self.honesty.times(Q32(sum)))
    }

    /// How sure the score is: n / (n + 2) of n calls.
    #[must_use]
    pub fn confidence(&self) -> Q32 {
        Q32(div(self.evidence.0, self.evidence.0 + 2 * ONE))
    }
}

/// The mean of a share of good calls, with half a call each way and another half against.
fn mean(good: u64, all: u64) -> u64 {
    div(good + ONE / 2, all + 3 * ONE / 2)
}

/// mean − √(mean · (1 − mean) / calls), at least 0.
fn bound(mean: u64, calls: u64) -> u64 {
    let variance = u128::from(mul(mean, ONE - mean));
    let square = u64::try_from((variance << 64) / u128::from(calls)).expect("below 2⁶²");
    mean.saturating_sub(square.isqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_calls_count_at_once() {
        let bad = Counts::new(3, 0, 0, 3).unwrap();
        let good = Counts::new(20, 20, 2_000, 20).unwrap();
        let unknown = Standing::unknown(Q32::ONE);
        assert_eq!((unknown.service(), unknown.evidence), (Q32(0), Q32(0)));
        let liked = unknown.with_calls(good);
        assert!(liked.service() > Q32(Q32::ONE.0 / 2), "{liked:?}");
        assert_eq!(liked.evidence, Q32(20 * ONE));
        let then = liked.with_calls(bad);
        assert!(then.service() < liked.service(), "{then:?}");
        // In time, and useless: responsiveness alone goes on.
        assert!(then.responsiveness.score >= then.reliability.score);
        let proven = Standing::unknown(Q32(0)).with_calls(good);
        assert_eq!(proven.service(), Q32(0), "no good call outweighs proven misbehaviour");
    }
}
