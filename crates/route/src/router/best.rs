use super::Choosable;
use crate::chance::Chance;
use crate::{Reason, Score};

/// Below this score an agent is called only if there is no other.
pub const SCORE_MIN: Score = Score::from_per_mille(400);

/// How far below the highest score an agent may be and still be called.
const SCORE_BAND: Score = Score::from_per_mille(150);

/// One call in so many goes to a newcomer, as long as newcomers do well.
const TRIAL_SHARE: u128 = 10;

/// How many trials are counted before the older ones begin to fade.
const TRIALS_MAX: u32 = 1_024;

/// How calls to newcomers went.
#[derive(Clone, Debug, Default)]
pub(super) struct Trials {
    succeeded: u32,
    all: u32,
}

impl Trials {
    pub(super) fn count(&mut self, succeeded: bool) {
        self.succeeded += u32::from(succeeded);
        self.all += 1;
        if self.all >= TRIALS_MAX {
            self.succeeded /= 2;
            self.all /= 2;
        }
    }

    /// One that went well did not.
    pub(super) fn take_back(&mut self) {
        self.succeeded = self.succeeded.saturating_sub(1);
    }

    /// Whether this call tries a newcomer: with a chance of a tenth of the share of trials that went well.
    fn is_due(&self, chance: &mut Chance) -> bool {
        let (due, all) = self.share();
        chance.below(all) < due
    }

    /// That chance, in millionths.
    pub(super) fn per_million(&self) -> u32 {
        let (due, all) = self.share();
        u32::try_from(1_000_000 * due / all).unwrap_or(1_000_000)
    }

    fn share(&self) -> (u128, u128) {
        (u128::from(self.succeeded) + 1, TRIAL_SHARE * (u128::from(self.all) + 1))
    }
}

/// The best of those that can be called, and whether it is a newcomer on trial.
///
/// Where nobody has a reputation, the one with the least latency and load. Else, now and then a newcomer; and otherwise one
/// of the well reputed, by the square of its score, or another one drawn in the same way if that is likely to answer in
/// half the time.
pub(super) fn best<'o, 'c, A>(
    options: &'o [Choosable<'c, A>],
    trials: &Trials,
    chance: &mut Chance,
) -> (Option<&'o Choosable<'c, A>>, bool) {
    let reasons = reasons(options);
    let all = |reason: Reason| -> Vec<&'o Choosable<'c, A>> {
        options.iter().zip(&reasons).filter(|(_, of)| **of == reason).map(|(option, _)| option).collect()
    };
    if reasons.first() == Some(&Reason::Unrated) {
        return (cheapest(options.iter()), false);
    }
    let (new, good) = (all(Reason::Newcomer), all(Reason::Good));
    if !new.is_empty() && (good.is_empty() || trials.is_due(chance)) {
        let at = usize::try_from(chance.below(new.len() as u128)).unwrap_or(0);
        return (new.get(at).copied(), true);
    }
    if good.is_empty() {
        return (all(Reason::LeastBad).first().copied(), false);
    }
    let one = by_square(&good, chance);
    let other = by_square(&good, chance);
    let is_faster = |one: &Choosable<'c, A>, other: &Choosable<'c, A>| {
        other.standing.cost().saturating_mul(2) < one.standing.cost()
    };
    match (one, other) {
        (Some(one), Some(other)) if is_faster(one, other) => (Some(other), false),
        (one, _) => (one, false),
    }
}

/// Why each of those that can be called may be chosen, or is not.
pub(super) fn reasons<A>(options: &[Choosable<'_, A>]) -> Vec<Reason> {
    if options.iter().all(|option| option.candidate.reputation.is_none()) {
        return vec![Reason::Unrated; options.len()];
    }
    let rated = || options.iter().enumerate().filter(|(_, option)| !is_new(option));
    let best = rated().max_by_key(|(_, option)| score(option)).map(|(at, option)| (at, score(option)));
    let (_, highest) = best.unwrap_or_default();
    let is_last_resort = rated().count() == options.len() && highest < SCORE_MIN;
    let reason = |(at, option): (usize, &Choosable<'_, A>)| match score(option) {
        _ if is_new(option) => Reason::Newcomer,
        _ if is_last_resort && best.is_some_and(|(best, _)| best == at) => Reason::LeastBad,
        score if score < SCORE_MIN => Reason::Low,
        score if score < highest.minus(SCORE_BAND) => Reason::Behind,
        _ => Reason::Good,
    };
    options.iter().enumerate().map(reason).collect()
}

/// Whether an agent is one to be tried. One that disappointed the caller itself is not, however little others know of it.
fn is_new<A>(option: &Choosable<'_, A>) -> bool {
    option.candidate.is_newcomer() && !option.standing.disappoints()
}

fn score<A>(option: &Choosable<'_, A>) -> Score {
    option.candidate.reputation.map_or(Score::default(), |reputation| reputation.score)
}

fn cheapest<'o, 'c: 'o, A: 'o>(
    options: impl Iterator<Item = &'o Choosable<'c, A>>,
) -> Option<&'o Choosable<'c, A>> {
    options.min_by_key(|option| (option.standing.cost(), option.chosen))
}

/// One of them, with a chance that grows with the square of its score.
fn by_square<'o, 'c, A>(
    options: &[&'o Choosable<'c, A>],
    chance: &mut Chance,
) -> Option<&'o Choosable<'c, A>> {
    let total: u128 = options.iter().map(|option| score(option).squared()).sum();
    let mut left = chance.below(total);
    for option in options {
        let share = score(option).squared();
        if left < share {
            return Some(option);
        }
        left -= share;
    }
    options.last().copied()
}
