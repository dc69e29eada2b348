use std::collections::BTreeSet;

use crate::count::Count;
use crate::stv::{droop, share};
use crate::tie::End;
use crate::{Decision, OptionId, Outcome, TiePurpose};

/// Surplus fractions and transfer values have four decimal places; what remains is ignored (167.20).
pub(crate) const PLACES: u32 = 4;
const ONE: u128 = 10_u128.pow(PLACES);

/// Counts as in Minneapolis, where several seats are to be filled.
///
/// In each round, in this order: those at the threshold are elected if they are as many as the seats left; those who
/// cannot be elected any more go; the largest surplus moves on; the weakest goes. A ballot's value becomes the surplus
/// fraction, cut, times its value, cut. Votes of those who go last, so that all others are elected, do not move.
pub(crate) fn count(
    mut count: Count<'_>,
    seats: usize,
    batch: bool,
    out_first: &BTreeSet<OptionId>,
) -> Outcome {
    let threshold = droop(count.active(), seats, PLACES);
    loop {
        count.begin();
        count.round().threshold = Some(threshold);
        let left = seats.saturating_sub(count.elected());
        let descending = count.descending();
        let reached: Vec<OptionId> =
            descending.iter().copied().filter(|option| count.votes(*option) >= threshold).collect();
        if reached.len() >= left || descending.len() <= left {
            let winners = if reached.len() >= left { reached } else { descending };
            winners.into_iter().take(left).for_each(|option| count.elect(option));
            return count.end_elected();
        }
        let surplus: u128 = reached.iter().map(|option| count.votes(*option) - threshold).sum();
        let mut out: Vec<OptionId> = Vec::new();
        if count.rounds() == 1 {
            out.extend(
                descending.iter().filter(|option| out_first.contains(option) && !reached.contains(option)),
            );
            out.truncate(descending.len() - left);
        }
        if batch && out.is_empty() {
            out = count.ascending();
            out.truncate(count.hopeless(surplus, left));
        }
        if out.is_empty() && !reached.is_empty() {
            match count.pick(End::Best, TiePurpose::Transfer, &reached) {
                Ok(largest) => {
                    count.elect(largest);
                    let votes = count.votes(largest);
                    let fraction = share(ONE, votes - threshold, votes);
                    count.move_surplus(largest, threshold, |value| value * fraction / ONE);
                }
                Err(tied) => return count.end(Decision::Tied(tied)),
            }
            continue;
        }
        if out.is_empty() {
            match count.pick(End::Worst, TiePurpose::Eliminate, &descending) {
                Ok(weakest) => out.push(weakest),
                Err(tied) => return count.end(Decision::Tied(tied)),
            }
        }
        count.eliminate(&out);
        if count.continuing().len() == left {
            count.descending().into_iter().for_each(|option| count.elect(option));
            return count.end_elected();
        }
        count.move_on();
    }
}
