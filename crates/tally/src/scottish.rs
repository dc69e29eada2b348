use crate::count::Count;
use crate::stv::{droop, share};
use crate::tie::End;
use crate::{Decision, OptionId, Outcome, TiePurpose};

/// Transfer values have five decimal places; what remains is ignored (rule 48).
pub(crate) const PLACES: u32 = 5;

/// Counts as in Scottish local elections; each round is a stage.
///
/// All ballots of an elected option move on, each at the value that it came with times surplus over votes. One
/// candidate's votes move in one stage. Where the options left are as many as the seats left, they are elected.
pub(crate) fn count(mut count: Count<'_>, seats: usize) -> Outcome {
    let quota = droop(count.active(), seats, PLACES);
    let mut surpluses: Vec<OptionId> = Vec::new();
    loop {
        count.begin();
        count.round().threshold = Some(quota);
        for option in count.descending().into_iter() {
            if count.votes(option) >= quota {
                count.elect(option);
                surpluses.extend((count.votes(option) > quota).then_some(option));
            }
        }
        let left = seats.saturating_sub(count.elected());
        let continuing = count.continuing();
        if left == 0 || continuing.len() <= left {
            for option in count.descending().into_iter().take(left) {
                count.elect(option);
            }
            return count.end_elected();
        }
        if surpluses.is_empty() {
            match count.pick(End::Worst, TiePurpose::Eliminate, &continuing) {
                Ok(weakest) => count.eliminate(&[weakest]),
                Err(tied) => return count.end(Decision::Tied(tied)),
            }
            count.move_on();
        } else {
            match count.pick(End::Best, TiePurpose::Transfer, &surpluses) {
                Ok(largest) => {
                    surpluses.retain(|option| *option != largest);
                    let votes = count.votes(largest);
                    count.move_surplus(largest, quota, |value| share(value, votes - quota, votes));
                }
                Err(tied) => return count.end(Decision::Tied(tied)),
            }
        }
    }
}
