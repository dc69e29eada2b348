use std::fmt;

use crate::{BallotError, Electorate};

/// What one option needs to win a Direct decision, beside the safe threshold that always holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// At least this weight; 0: the safe threshold alone.
    Approvals(u64),
    /// At least `num/den` of the total weight, more than a half and at most all of it.
    SuperMajority {
        /// Numerator.
        num: u64,
        /// Denominator.
        den: u64,
    },
    /// The total weight.
    Unanimous,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Approvals(0) => f.write_str("approvals"),
            Self::Approvals(count) => write!(f, "approvals={count}"),
            Self::SuperMajority { num, den } => write!(f, "supermajority={num}/{den}"),
            Self::Unanimous => f.write_str("unanimous"),
        }
    }
}

/// The weight that one option needs: T = ⌊(W + F)/2⌋ + 1 with F = ⌊(W − 1)/3⌋, or the rule's own if that is higher.
///
/// Two options can both reach T only if voters of more than F weight name both.
///
/// # Errors
/// When the rule cannot be met or is no rule, or one voter alone outweighs F in a weighted electorate.
pub fn direct_threshold(electorate: &Electorate, rule: Rule) -> Result<u64, BallotError> {
    let (total, tolerated) = (electorate.total(), electorate.tolerates());
    if !electorate.is_equal()
        && let Some(voter) = electorate.voters().iter().find(|voter| voter.weight > tolerated)
    {
        return Err(BallotError::Weights(format!(
            "{} has {} of {total}; one voter may have at most {tolerated} in a direct decision",
            voter.agent, voter.weight
        )));
    }
    let own = match rule {
        Rule::Approvals(count) if count > total => {
            return Err(BallotError::Rule(format!(
                "{count} approvals are needed, but only {total} can be given"
            )));
        }
        Rule::Approvals(count) => count,
        Rule::SuperMajority { num, den } => {
            if den == 0 || num > den || u128::from(num) * 2 <= u128::from(den) {
                return Err(BallotError::Rule(format!(
                    "a super-majority is more than 1/2 and at most 1/1, found {num}/{den}"
                )));
            }
            let needed = (u128::from(total) * u128::from(num)).div_ceil(u128::from(den));
            // num ≤ den, so the quotient is at most the total.
            u64::try_from(needed).unwrap_or(total)
        }
        Rule::Unanimous => total,
    };
    let safe = u64::midpoint(total, tolerated) + 1;
    Ok(own.max(safe.min(total)))
}

#[cfg(test)]
mod tests {
    use althing_record::AgentId;

    use super::*;
    use crate::Voter;

    fn equal(count: u8) -> Electorate {
        Electorate::equal((0..count).map(|n| AgentId([n; 32])).collect()).unwrap()
    }

    #[test]
    fn thresholds_are_those_of_the_specification() {
        for (voters, tolerates, threshold) in
            [(1, 0, 1), (2, 0, 2), (3, 0, 2), (4, 1, 3), (5, 1, 4), (7, 2, 5), (10, 3, 7)]
        {
            let electorate = equal(voters);
            assert_eq!(electorate.tolerates(), tolerates, "{voters} voters");
            assert_eq!(direct_threshold(&electorate, Rule::Approvals(0)), Ok(threshold), "{voters} voters");
        }
        assert_eq!(direct_threshold(&equal(10), Rule::SuperMajority { num: 4, den: 5 }), Ok(8));
        assert_eq!(direct_threshold(&equal(7), Rule::SuperMajority { num: 2, den: 3 }), Ok(5));
        assert_eq!(direct_threshold(&equal(5), Rule::Unanimous), Ok(5));
        assert_eq!(direct_threshold(&equal(5), Rule::Approvals(2)), Ok(4));
        assert_eq!(direct_threshold(&equal(5), Rule::Approvals(5)), Ok(5));
    }

    #[test]
    fn two_options_never_reach_the_threshold_without_more_cheats_than_tolerated() {
        for count in 1..=60 {
            let electorate = equal(count);
            let (total, tolerated) = (electorate.total(), electorate.tolerates());
            let threshold = direct_threshold(&electorate, Rule::Approvals(0)).unwrap();
            assert!(2 * threshold > total + tolerated, "{count} voters");
            assert!(threshold <= total - tolerated, "{count} voters: honest ones alone can decide");
        }
    }

    #[test]
    fn rules_that_are_none_are_refused() {
        let refused = |rule| direct_threshold(&equal(5), rule).unwrap_err().to_string();
        assert!(refused(Rule::Approvals(6)).contains("6 approvals"));
        assert!(refused(Rule::SuperMajority { num: 1, den: 2 }).contains("1/2"));
        assert!(refused(Rule::SuperMajority { num: 3, den: 2 }).contains("3/2"));
        assert!(refused(Rule::SuperMajority { num: 1, den: 0 }).contains("1/0"));
    }

    #[test]
    fn weights_up_to_the_largest_do_not_overflow_and_no_voter_may_outweigh_the_tolerance() {
        let weighted = |weights: &[u64]| {
            let voters =
                (0..).zip(weights).map(|(n, weight)| Voter { agent: AgentId([n; 32]), weight: *weight });
            Electorate::weighted(voters.collect()).unwrap()
        };
        let quarter = u64::MAX / 4;
        let electorate = weighted(&[quarter; 4]);
        let total = electorate.total();
        assert_eq!(
            direct_threshold(&electorate, Rule::SuperMajority { num: u64::MAX, den: u64::MAX }),
            Ok(total)
        );
        assert!(matches!(
            direct_threshold(&weighted(&[5, 1, 1]), Rule::Unanimous),
            Err(BallotError::Weights(_))
        ));
    }
}
