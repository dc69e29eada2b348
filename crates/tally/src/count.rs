use std::collections::BTreeSet;

use crate::tie::End;
use crate::{Decision, OptionId, Outcome, Profile, Ranking, Round, Tie, TiePurpose, TieRule};

/// A count of ranked ballots under way: which option each ballot counts for now, and at what value.
pub(crate) struct Count<'a> {
    kinds: &'a [(Ranking, u128)],
    ties: &'a TieRule,
    places: u32,
    piles: Vec<Vec<Paper>>,
    /// By place: whether votes can still come to it.
    continues: Vec<bool>,
    tally: Vec<Option<u128>>,
    exhausted: u128,
    lost: u128,
    elected: Vec<OptionId>,
    history: Vec<Vec<Option<u128>>>,
    rounds: Vec<Round>,
}

/// Equal ballots on one pile.
#[derive(Clone, Copy, Debug)]
struct Paper {
    kind: usize,
    /// What each is worth, in units.
    value: u128,
}

impl<'a> Count<'a> {
    /// Deals the ballots, which are read already. Withdrawn options never were there.
    pub(crate) fn deal(
        options: usize,
        profile: &'a Profile<Ranking>,
        withdrawn: &BTreeSet<OptionId>,
        places: u32,
        ties: &'a TieRule,
    ) -> Self {
        let continues: Vec<bool> =
            OptionId::first(options).map(|option| !withdrawn.contains(&option)).collect();
        let mut count = Self {
            kinds: profile.kinds(),
            ties,
            places,
            piles: vec![Vec::new(); continues.len()],
            tally: continues.iter().map(|continues| continues.then_some(0)).collect(),
            continues,
            exhausted: 0,
            lost: 0,
            elected: Vec::new(),
            history: Vec::new(),
            rounds: Vec::new(),
        };
        for kind in 0..count.kinds.len() {
            count.put(Paper { kind, value: 10_u128.pow(places) });
        }
        count
    }

    /// Puts ballots on the pile of the first option that continues.
    fn put(&mut self, paper: Paper) {
        let (ranking, weight) = &self.kinds[paper.kind];
        // At most 2^95 ballots of at most 10^5 units.
        let votes = weight * paper.value;
        match ranking.first(&self.continues) {
            Some(option) => {
                self.piles[option.place()].push(paper);
                *self.tally[option.place()].get_or_insert(0) += votes;
            }
            None => self.exhausted += votes,
        }
    }

    /// Begins a round with the votes as they are now.
    pub(crate) fn begin(&mut self) {
        self.history.extend(self.rounds.last().map(|round| round.tally.clone()));
        self.rounds.push(Round {
            tally: self.tally.clone(),
            exhausted: self.exhausted,
            lost: self.lost,
            ..Round::default()
        });
    }

    /// The round that was begun last.
    pub(crate) fn round(&mut self) -> &mut Round {
        self.rounds.last_mut().expect("a round was begun")
    }

    /// How many rounds were begun.
    pub(crate) fn rounds(&self) -> usize {
        self.rounds.len()
    }

    /// The options that votes can still come to, in order.
    pub(crate) fn continuing(&self) -> Vec<OptionId> {
        OptionId::first(self.continues.len()).filter(|option| self.continues[option.place()]).collect()
    }

    pub(crate) fn votes(&self, option: OptionId) -> u128 {
        self.tally[option.place()].unwrap_or(0)
    }

    /// The votes of all options that continue.
    pub(crate) fn active(&self) -> u128 {
        self.continuing().into_iter().map(|option| self.votes(option)).sum()
    }

    pub(crate) fn elected(&self) -> usize {
        self.elected.len()
    }

    /// The one of these with the fewest votes, or with the most. If several have as many, the tie rule decides; if it
    /// does not, they are the error.
    pub(crate) fn pick(
        &mut self,
        end: End,
        purpose: TiePurpose,
        among: &[OptionId],
    ) -> Result<OptionId, Vec<OptionId>> {
        let votes = among.iter().map(|option| self.votes(*option));
        let sought = match end {
            End::Best => votes.max(),
            End::Worst => votes.min(),
        };
        let tied: Vec<OptionId> =
            among.iter().copied().filter(|option| Some(self.votes(*option)) == sought).collect();
        if let [only] = tied[..] {
            return Ok(only);
        }
        let tie: Tie = self.ties.pick(end, purpose, &tied, &self.history);
        let chosen = tie.chosen.first().copied();
        self.round().ties.push(tie);
        chosen.ok_or(tied)
    }

    /// The options that continue, those with the fewest votes first.
    pub(crate) fn ascending(&self) -> Vec<OptionId> {
        let mut options = self.continuing();
        options.sort_by_key(|option| self.votes(*option));
        options
    }

    /// The options that continue, those with the most votes first.
    pub(crate) fn descending(&self) -> Vec<OptionId> {
        let mut options = self.continuing();
        options.sort_by_key(|option| std::cmp::Reverse(self.votes(*option)));
        options
    }

    /// How many options are in the largest group of the weakest that would together, with `more` votes, still be behind
    /// the next one. At least `keep` stay.
    pub(crate) fn hopeless(&self, more: u128, keep: usize) -> usize {
        let ascending = self.ascending();
        let (mut sum, mut hopeless) = (more, 0);
        for (count, pair) in (1..).zip(ascending.windows(2)) {
            sum += self.votes(pair[0]);
            if sum < self.votes(pair[1]) && ascending.len() - count >= keep {
                hopeless = count;
            }
        }
        hopeless
    }

    /// Elects an option: no more votes come to it.
    pub(crate) fn elect(&mut self, option: OptionId) {
        self.continues[option.place()] = false;
        self.elected.push(option);
        self.round().elected.push(option);
    }

    /// Eliminates options at once.
    pub(crate) fn eliminate(&mut self, options: &[OptionId]) {
        let mut options = options.to_vec();
        options.sort_unstable();
        for option in &options {
            self.continues[option.place()] = false;
        }
        self.round().eliminated.extend_from_slice(&options);
    }

    /// Moves the ballots of those who were eliminated in this round on, at the value that they have.
    pub(crate) fn move_on(&mut self) {
        for option in self.round().eliminated.clone() {
            self.tally[option.place()] = None;
            for paper in std::mem::take(&mut self.piles[option.place()]) {
                self.put(paper);
            }
        }
    }

    /// Moves the votes of an elected option above the threshold on; `value` is what a ballot is worth then.
    pub(crate) fn move_surplus(&mut self, option: OptionId, threshold: u128, value: impl Fn(u128) -> u128) {
        self.round().surplus = Some(option);
        let mut left = self.votes(option) - threshold;
        self.tally[option.place()] = Some(threshold);
        for paper in std::mem::take(&mut self.piles[option.place()]) {
            let moved = Paper { value: value(paper.value), ..paper };
            left -= self.kinds[paper.kind].1 * moved.value;
            self.put(moved);
        }
        self.lost += left;
    }

    pub(crate) fn end(self, decision: Decision) -> Outcome {
        Outcome { places: self.places, ..Outcome::whole(decision, self.rounds) }
    }

    /// Ends with those who were elected.
    pub(crate) fn end_elected(mut self) -> Outcome {
        let elected = std::mem::take(&mut self.elected);
        self.end(if elected.is_empty() { Decision::NoVotes } else { Decision::Elected(elected) })
    }
}
