use crate::statement::Step;

/// How often an undecided closer sends again what it holds of the present round and the one before.
pub const RESEND_MS: u64 = 1_000;

/// Least time between two answers to one closer that does not know of the decision yet.
pub const ANSWER_MS: u64 = 500;

/// How long to wait in a round: for the proposal, and for votes that disagree to become a majority.
///
/// | step | round 0 | more per round | in rounds 6 to 8 | then more per round | at most |
/// | --- | --- | --- | --- | --- | --- |
/// | proposal | 500 ms | 250 ms | 2,000 ms | 250 ms | 6,000 ms |
/// | prevotes, precommits | 250 ms | 125 ms | 1,000 ms | 250 ms | 6,000 ms |
///
/// So none of the first nine rounds takes longer than 4 s and the time that its messages travel; rounds beyond come where
/// messages take longer than that, and are waited for.
#[must_use]
pub fn timeout_ms(step: Step, round: u32) -> u64 {
    let (first, more, usual) = match step {
        Step::Proposal => (500, 250, 2_000),
        Step::Prevote | Step::Precommit => (250, 125, 1_000),
    };
    let beyond = 250 * u64::from(round.saturating_sub(USUAL_ROUNDS));
    ((first + more * u64::from(round)).min(usual) + beyond).min(MOST_MS)
}

/// Rounds after which messages are taken to be slow.
const USUAL_ROUNDS: u32 = 8;

/// The longest wait.
const MOST_MS: u64 = 6_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ROUND_MAX;

    #[test]
    fn the_first_rounds_end_within_four_seconds_each() {
        let round =
            |round| [Step::Proposal, Step::Prevote, Step::Precommit].map(|step| timeout_ms(step, round));
        assert_eq!(round(0), [500, 250, 250]);
        assert_eq!(round(1), [750, 375, 375]);
        assert_eq!(round(6), [2_000, 1_000, 1_000]);
        assert_eq!(round(8), [2_000, 1_000, 1_000]);
        assert_eq!(round(16), [4_000, 3_000, 3_000]);
        assert_eq!(round(ROUND_MAX), [6_000, 6_000, 6_000]);
    }
}
