use std::collections::BTreeSet;

use crate::count::Count;
use crate::tie::End;
use crate::{Decision, OptionId, Outcome, Profile, Ranking, Reading, TiePurpose, TieRule};

/// Of which votes a winner needs more than half.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Threshold {
    /// Of those that count for an option in that round.
    #[default]
    Active,
    /// Of those that counted for an option in the first round. If nobody gets there, the better of the last two wins.
    Valid,
}

/// When the rounds end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stop {
    /// As soon as an option has reached the threshold.
    #[default]
    Majority,
    /// When two options are left.
    UntilTwo,
}

/// Ranked choice with one winner (instant runoff): in each round the weakest option is eliminated, and its ballots
/// count for the next one that they name, until an option has more than half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Irv {
    /// How ballots are read.
    pub reading: Reading,
    /// How ties are broken.
    pub ties: TieRule,
    /// What a winner needs.
    pub threshold: Threshold,
    /// When the rounds end.
    pub stop: Stop,
    /// Whether all options are eliminated at once that could not even together get past the next one.
    ///
    /// This never changes who is elected. Two rules depend on the rounds that it leaves out: a tie may be broken by one
    /// of them, and an overvote ([`Overvotes::ExhaustIfSeveral`](crate::Overvotes::ExhaustIfSeveral)) may come up in one
    /// while several of its options are left. If the decision is another one for that, options go one by one. Only a tie
    /// among options that go together need not be broken.
    pub batch: bool,
    /// Options with fewer votes in the first round are eliminated on it, all at once. If all options have fewer, none
    /// is for that reason.
    pub minimum_votes: u128,
    /// The same for options that fewer ballots name at all.
    pub minimum_mentions: u128,
    /// Options that are eliminated on the first round in any case, such as write-ins nobody declared.
    pub out_first: BTreeSet<OptionId>,
    /// Options that ballots name and that do not stand; their ranks are passed over.
    pub withdrawn: BTreeSet<OptionId>,
}

impl Default for Irv {
    /// More than half of the active votes wins; ties are broken by previous rounds, then the later option goes.
    fn default() -> Self {
        Self {
            reading: Reading::default(),
            ties: TieRule::rounds_then_order(),
            threshold: Threshold::default(),
            stop: Stop::default(),
            batch: false,
            minimum_votes: 0,
            minimum_mentions: 0,
            out_first: BTreeSet::new(),
            withdrawn: BTreeSet::new(),
        }
    }
}

impl Irv {
    /// Counts ballots that rank `options` options; ballots name no others.
    #[must_use]
    pub fn count(&self, options: usize, profile: &Profile<Ranking>) -> Outcome {
        let profile = profile.map(|ranking| self.reading.read(ranking));
        let one_by_one = || self.eliminate(options, &profile, false);
        if !self.batch {
            return one_by_one();
        }
        let at_once = self.eliminate(options, &profile, true);
        let single = one_by_one();
        let is_same = at_once.decision == single.decision;
        if is_same || is_tie_within_a_batch(&single, &at_once) { at_once } else { single }
    }

    fn eliminate(&self, options: usize, profile: &Profile<Ranking>, batch: bool) -> Outcome {
        let mut count = Count::deal(options, profile, &self.withdrawn, 0, &self.ties);
        let valid = count.active();
        loop {
            count.begin();
            let active = count.active();
            if active == 0 {
                return count.end(Decision::NoVotes);
            }
            let base = match self.threshold {
                Threshold::Active => active,
                Threshold::Valid => valid,
            };
            let needed = base / 2 + 1;
            count.round().threshold = Some(needed);
            let continuing = count.continuing();
            let best = continuing.iter().map(|option| count.votes(*option)).max().unwrap_or(0);
            let leaders: Vec<OptionId> =
                continuing.iter().copied().filter(|option| count.votes(*option) == best).collect();
            let is_won = continuing.len() <= 2 || (self.stop == Stop::Majority && best >= needed);
            if let [winner] = leaders[..]
                && is_won
            {
                count.elect(winner);
                return count.end_elected();
            }
            match self.weakest(&mut count, profile, batch) {
                Ok(weakest) => count.eliminate(&weakest),
                Err(tied) => return count.end(Decision::Tied(tied)),
            }
            count.move_on();
        }
    }

    /// Who goes on this round's votes.
    fn weakest(
        &self,
        count: &mut Count<'_>,
        profile: &Profile<Ranking>,
        batch: bool,
    ) -> Result<Vec<OptionId>, Vec<OptionId>> {
        if count.rounds() == 1 {
            let few = self.too_few(count, profile);
            if !few.is_empty() {
                return Ok(few);
            }
        }
        if batch {
            let hopeless = count.hopeless(0, 2);
            if hopeless > 1 {
                return Ok(count.ascending()[..hopeless].to_vec());
            }
        }
        let continuing = count.continuing();
        Ok(vec![count.pick(End::Worst, TiePurpose::Eliminate, &continuing)?])
    }

    /// The options that go for the number of their first votes or mentions, unless all would.
    fn too_few(&self, count: &Count<'_>, profile: &Profile<Ranking>) -> Vec<OptionId> {
        let continuing = count.continuing();
        let mut mentions = vec![0; crate::OPTIONS_MAX];
        if self.minimum_mentions > 0 {
            for (ranking, weight) in profile.kinds() {
                for option in ranking.mentions().collect::<BTreeSet<_>>() {
                    mentions[option.place()] += weight;
                }
            }
        }
        let few: Vec<OptionId> = continuing
            .iter()
            .copied()
            .filter(|option| {
                count.votes(*option) < self.minimum_votes
                    || mentions[option.place()] < self.minimum_mentions
                    || self.out_first.contains(option)
            })
            .collect();
        if few.len() == continuing.len() { Vec::new() } else { few }
    }
}

/// Whether the count of options one by one ends with a tie among some that went together in the other one.
fn is_tie_within_a_batch(single: &Outcome, at_once: &Outcome) -> bool {
    let Decision::Tied(tied) = &single.decision else { return false };
    at_once.rounds.iter().any(|round| tied.iter().all(|option| round.eliminated.contains(option)))
}
