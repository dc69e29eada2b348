use crate::OptionId;

/// One way to break a tie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TieStep {
    /// By the most recent earlier round in which the tied options differ.
    PreviousRounds,
    /// The earlier option is better.
    OptionOrder,
    /// The one that stands earlier in this list is better, as drawn by lot before. Options that it does not name follow
    /// in their own order.
    Order(Vec<OptionId>),
}

/// The ways to break a tie, in the order in which they are tried. None: ties are not broken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TieRule(pub Vec<TieStep>);

/// What a tie was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TiePurpose {
    /// Who is eliminated.
    Eliminate,
    /// Who is elected.
    Elect,
    /// Whose surplus moves on first.
    Transfer,
    /// Who is in the runoff.
    Advance,
    /// Who comes first in the ranking.
    Rank,
}

/// What broke a tie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TieBreak {
    /// The tallies of this round, counted from 1.
    Round(usize),
    /// The order of the options.
    OptionOrder,
    /// The list in the rules.
    Order,
    /// Who won more comparisons with the others.
    HeadToHead,
    /// Who has the higher total score.
    Total,
    /// Who has more top scores.
    TopScores,
    /// Nothing: the rules do not break it.
    Nothing,
}

/// A tie, and how it was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tie {
    /// What it was about.
    pub purpose: TiePurpose,
    /// The options that were equal, in order.
    pub among: Vec<OptionId>,
    /// Those that were chosen: eliminated, elected, and so on. Empty if nothing broke the tie.
    pub chosen: Vec<OptionId>,
    /// What broke it.
    pub by: TieBreak,
}

/// Which end of the order is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Best,
    Worst,
}

impl TieRule {
    /// By previous rounds, then by the order of the options.
    #[must_use]
    pub fn rounds_then_order() -> Self {
        Self(vec![TieStep::PreviousRounds, TieStep::OptionOrder])
    }

    /// The best or worst of options that are equal now. `history` has the tallies of the earlier rounds, oldest first.
    pub(crate) fn pick(
        &self,
        end: End,
        purpose: TiePurpose,
        tied: &[OptionId],
        history: &[Vec<Option<u128>>],
    ) -> Tie {
        let mut left = tied.to_vec();
        for step in &self.0 {
            let by = match step {
                TieStep::PreviousRounds => previous(end, &mut left, history),
                TieStep::OptionOrder => {
                    ordered(end, &mut left, |option| option.place());
                    TieBreak::OptionOrder
                }
                TieStep::Order(order) => {
                    ordered(end, &mut left, |option| rank_in(order, option));
                    TieBreak::Order
                }
            };
            if left.len() == 1 {
                return Tie { purpose, among: tied.to_vec(), chosen: left, by };
            }
        }
        Tie { purpose, among: tied.to_vec(), chosen: Vec::new(), by: TieBreak::Nothing }
    }
}

/// Listed options by their place in the list, the others behind them in their own order.
fn rank_in(order: &[OptionId], option: OptionId) -> usize {
    order.iter().position(|listed| *listed == option).unwrap_or(order.len() + option.place())
}

/// Keeps those that were the best or worst in the most recent round in which they differ, then in those before.
fn previous(end: End, left: &mut Vec<OptionId>, history: &[Vec<Option<u128>>]) -> TieBreak {
    let mut by = TieBreak::Nothing;
    for (at, tally) in history.iter().enumerate().rev() {
        let votes = |option: &OptionId| tally[option.place()].unwrap_or(0);
        let sought = match end {
            End::Best => left.iter().map(votes).max(),
            End::Worst => left.iter().map(votes).min(),
        };
        let before = left.len();
        left.retain(|option| Some(votes(option)) == sought);
        if left.len() < before {
            by = TieBreak::Round(at + 1);
        }
        if left.len() == 1 {
            break;
        }
    }
    by
}

fn ordered(end: End, left: &mut Vec<OptionId>, place: impl Fn(OptionId) -> usize) {
    let sought = match end {
        End::Best => left.iter().copied().min_by_key(|option| place(*option)),
        End::Worst => left.iter().copied().max_by_key(|option| place(*option)),
    };
    left.retain(|option| Some(*option) == sought);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options<const N: usize>(places: [usize; N]) -> [OptionId; N] {
        places.map(|place| OptionId::new(place).unwrap())
    }

    #[test]
    fn the_most_recent_round_that_differs_decides() {
        let [a, b, c] = options([0, 1, 2]);
        let history = [
            vec![Some(1), Some(2), Some(3)],
            vec![Some(5), Some(4), Some(4)],
            vec![Some(5), Some(5), Some(5)],
        ];
        let rule = TieRule::rounds_then_order();
        let worst = rule.pick(End::Worst, TiePurpose::Eliminate, &[a, b, c], &history);
        assert_eq!((worst.chosen, worst.by), (vec![b], TieBreak::Round(1)));
        let worst = rule.pick(End::Worst, TiePurpose::Eliminate, &[a, b], &history);
        assert_eq!((worst.chosen, worst.by), (vec![b], TieBreak::Round(2)));
        let best = rule.pick(End::Best, TiePurpose::Transfer, &[b, c], &history);
        assert_eq!((best.chosen, best.by), (vec![c], TieBreak::Round(1)));
    }

    #[test]
    fn then_the_later_option_goes() {
        let [a, b, c] = options([0, 1, 2]);
        let tie = TieRule::rounds_then_order().pick(End::Worst, TiePurpose::Eliminate, &[a, b, c], &[]);
        assert_eq!((tie.chosen, tie.by), (vec![c], TieBreak::OptionOrder));
        let lots = TieRule(vec![TieStep::Order(vec![c, a])]);
        let tie = lots.pick(End::Worst, TiePurpose::Eliminate, &[a, b, c], &[]);
        assert_eq!((tie.chosen, tie.by), (vec![b], TieBreak::Order));
        let tie = lots.pick(End::Best, TiePurpose::Elect, &[a, b, c], &[]);
        assert_eq!(tie.chosen, [c]);
    }

    #[test]
    fn without_a_rule_nothing_is_chosen() {
        let [a, b] = options([0, 1]);
        let rule = TieRule(vec![TieStep::PreviousRounds]);
        let tie = rule.pick(End::Best, TiePurpose::Elect, &[a, b], &[vec![Some(1), Some(1)]]);
        assert_eq!((tie.chosen, tie.by), (vec![], TieBreak::Nothing));
    }
}
