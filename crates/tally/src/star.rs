use std::collections::BTreeSet;

use crate::tie::End;
use crate::{Decision, OptionId, Outcome, Profile, Round, Tie, TieBreak, TiePurpose, TieRule};

/// The best score.
pub const SCORE_MAX: u8 = 5;

/// A ballot that gives options scores from 0 to [`SCORE_MAX`], by place; those that it does not reach have 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scores(Box<[u8]>);

/// A score is beyond [`SCORE_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a score from 0 to {SCORE_MAX}, found {0}")]
pub struct ScoresError(pub u8);

impl Scores {
    /// The scores of the options, in their order.
    ///
    /// # Errors
    /// When one is beyond [`SCORE_MAX`].
    pub fn new(scores: &[u8]) -> Result<Self, ScoresError> {
        if let Some(found) = scores.iter().find(|score| **score > SCORE_MAX) {
            return Err(ScoresError(*found));
        }
        let used = scores.iter().rposition(|score| *score > 0).map_or(0, |last| last + 1);
        Ok(Self(scores[..used].into()))
    }

    /// The score of an option.
    #[must_use]
    pub fn of(&self, option: OptionId) -> u8 {
        self.0.get(option.place()).copied().unwrap_or(0)
    }

    /// The same scores of options that are numbered in another way.
    #[must_use]
    pub fn map(&self, options: usize, to: impl Fn(OptionId) -> OptionId) -> Self {
        let mut scores = vec![0; options];
        for option in OptionId::first(self.0.len()) {
            scores[to(option).place()] = self.of(option);
        }
        let used = scores.iter().rposition(|score| *score > 0).map_or(0, |last| last + 1);
        Self(scores[..used].into())
    }
}

/// STAR: score, then automatic runoff. The two options with the highest total scores go to the runoff, where each ballot
/// counts for the one that it scores higher.
///
/// Ties for the runoff are broken by who wins more comparisons with the others that are tied, then by who has more top
/// scores; ties in the runoff by the total score, then by top scores; then, both, by the rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Star {
    /// What breaks ties in the end. By default nothing does.
    pub ties: TieRule,
    /// Options that do not stand.
    pub withdrawn: BTreeSet<OptionId>,
}

impl Star {
    /// Counts ballots that score `options` options; ballots name no others. The first round has total scores; the
    /// second one the votes of the runoff, with ballots that score both the same as exhausted.
    #[must_use]
    pub fn count(&self, options: usize, profile: &Profile<Scores>) -> Outcome {
        let tables = Tables::new(options, profile);
        let standing: Vec<OptionId> =
            OptionId::first(options).filter(|option| !self.withdrawn.contains(option)).collect();
        let tally = OptionId::first(options)
            .map(|option| standing.contains(&option).then(|| tables.totals[option.place()]))
            .collect();
        let mut scoring = Round { tally, ..Round::default() };
        if standing.iter().all(|option| tables.totals[option.place()] == 0) {
            return Outcome::whole(Decision::NoVotes, vec![scoring]);
        }
        let mut finalists = Vec::new();
        while finalists.len() < 2 && finalists.len() < standing.len() {
            let left = standing.iter().copied().filter(|option| !finalists.contains(option));
            let left: Vec<OptionId> = left.collect();
            let leaders = best(&left, |option| tables.totals[option.place()]);
            if leaders.len() <= 2 - finalists.len() {
                finalists.extend(leaders);
                continue;
            }
            let tie = self.break_tie(
                TiePurpose::Advance,
                &leaders,
                &[
                    (TieBreak::HeadToHead, &|option| tables.wins(option, &leaders)),
                    (TieBreak::TopScores, &|option| tables.tops[option.place()]),
                ],
            );
            finalists.extend(tie.chosen.first());
            scoring.ties.push(tie.clone());
            if tie.chosen.is_empty() {
                return Outcome::whole(Decision::Tied(leaders), vec![scoring]);
            }
        }
        finalists.sort_unstable();
        scoring.eliminated = standing.iter().copied().filter(|option| !finalists.contains(option)).collect();
        let (runoff, decision) = self.run_off(&finalists, &tables, profile);
        Outcome::whole(decision, vec![scoring, runoff])
    }

    fn run_off(
        &self,
        finalists: &[OptionId],
        tables: &Tables,
        profile: &Profile<Scores>,
    ) -> (Round, Decision) {
        let votes = |option: OptionId| match finalists {
            [one, other] if *one == option => tables.preferring(option, *other),
            [one, _] => tables.preferring(option, *one),
            // The only one that stands runs against nobody.
            _ => profile
                .kinds()
                .iter()
                .filter(|(scores, _)| scores.of(option) > 0)
                .map(|(_, weight)| weight)
                .sum(),
        };
        let mut tally = vec![None; tables.totals.len()];
        for option in finalists {
            tally[option.place()] = Some(votes(*option));
        }
        let exhausted = profile.weight() - tally.iter().flatten().sum::<u128>();
        let mut runoff = Round { tally, exhausted, ..Round::default() };
        let mut leaders = best(finalists, votes);
        if leaders.len() > 1 {
            let tie = self.break_tie(
                TiePurpose::Elect,
                &leaders,
                &[
                    (TieBreak::Total, &|option| tables.totals[option.place()]),
                    (TieBreak::TopScores, &|option| tables.tops[option.place()]),
                ],
            );
            leaders.clone_from(&tie.chosen);
            runoff.ties.push(tie);
        }
        let decision = match leaders[..] {
            [] => Decision::Tied(finalists.to_vec()),
            _ => Decision::Elected(leaders.clone()),
        };
        runoff.elected = leaders;
        (runoff, decision)
    }

    fn break_tie(
        &self,
        purpose: TiePurpose,
        among: &[OptionId],
        steps: &[(TieBreak, &dyn Fn(OptionId) -> u128)],
    ) -> Tie {
        let mut left = among.to_vec();
        for (by, number) in steps {
            left = best(&left, number);
            if left.len() == 1 {
                return Tie { purpose, among: among.to_vec(), chosen: left, by: *by };
            }
        }
        Tie { among: among.to_vec(), ..self.ties.pick(End::Best, purpose, &left, &[]) }
    }
}

/// Those with the highest number, in order.
fn best(options: &[OptionId], number: impl Fn(OptionId) -> u128) -> Vec<OptionId> {
    let highest = options.iter().map(|option| number(*option)).max();
    options.iter().copied().filter(|option| Some(number(*option)) == highest).collect()
}

/// Sums over all ballots.
struct Tables {
    totals: Vec<u128>,
    tops: Vec<u128>,
    /// Who scores the row's option higher than the column's, row by row.
    preferring: Vec<u128>,
}

impl Tables {
    fn new(options: usize, profile: &Profile<Scores>) -> Self {
        let mut tables =
            Self { totals: vec![0; options], tops: vec![0; options], preferring: vec![0; options * options] };
        for (ballot, weight) in profile.kinds() {
            for one in OptionId::first(options) {
                let score = ballot.of(one);
                tables.totals[one.place()] += weight * u128::from(score);
                tables.tops[one.place()] += if score == SCORE_MAX { *weight } else { 0 };
                for other in OptionId::first(options).filter(|other| ballot.of(*other) < score) {
                    tables.preferring[one.place() * options + other.place()] += weight;
                }
            }
        }
        tables
    }

    fn preferring(&self, one: OptionId, other: OptionId) -> u128 {
        self.preferring[one.place() * self.totals.len() + other.place()]
    }

    /// How many of the others an option wins against.
    fn wins(&self, option: OptionId, others: &[OptionId]) -> u128 {
        let won = |other: &&OptionId| self.preferring(option, **other) > self.preferring(**other, option);
        others.iter().filter(won).count() as u128
    }
}
