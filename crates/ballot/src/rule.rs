use std::fmt;

use crate::{BallotError, Electorate};

/// How an outcome comes of the ballots. Direct decisions know the first three, beside the safe threshold that always
/// holds there; Closed ones all but the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// At least this weight; 0: the safe threshold alone.
    Approvals(u64),
    /// At least `num/den`, more than a half and at most all: of the total weight in a Direct decision, of the weight cast
    /// for options in a Closed one.
    SuperMajority {
        /// Numerator.
        num: u64,
        /// Denominator.
        den: u64,
    },
    /// All: the total weight in a Direct decision, all that is cast for options in a Closed one.
    Unanimous,
    /// More than half of the weight cast for options.
    Majority,
    /// The most approvals.
    Approval,
    /// Ranked choice: the weakest option goes until one has more than half.
    Ranked,
    /// The Schulze method on winning votes.
    Schulze,
    /// Scores, then a runoff of the best two.
    Star,
}

impl Rule {
    /// Whether it can decide by ballots alone, without agreement on which ones count.
    #[must_use]
    pub fn is_direct(self) -> bool {
        matches!(self, Self::Approvals(_) | Self::SuperMajority { .. } | Self::Unanimous)
    }

    /// Its number in a proposal.
    pub(crate) fn code(self) -> u64 {
        match self {
            Self::Approvals(_) => 1,
            Self::SuperMajority { .. } => 2,
            Self::Unanimous => 3,
            Self::Majority => 4,
            Self::Approval => 5,
            Self::Ranked => 6,
            Self::Schulze => 7,
            Self::Star => 8,
        }
    }

    /// The rule of a proposal.
    ///
    /// # Errors
    /// When the threshold is not one of the rule, or the rule is of a newer version.
    pub(crate) fn read(code: u64, threshold: Option<&[u64]>) -> Result<Self, BallotError> {
        match (code, threshold) {
            (1, None) => Ok(Self::Approvals(0)),
            (1, Some([count])) if *count > 0 => Ok(Self::Approvals(*count)),
            (2, Some([num, den])) => Ok(Self::SuperMajority { num: *num, den: *den }),
            (3, None) => Ok(Self::Unanimous),
            (4, None) => Ok(Self::Majority),
            (5, None) => Ok(Self::Approval),
            (6, None) => Ok(Self::Ranked),
            (7, None) => Ok(Self::Schulze),
            (8, None) => Ok(Self::Star),
            (1..=8, _) => Err(BallotError::Rule("the threshold does not fit the strategy".into())),
            (value, _) => {
                let (of, what) = ("proposal", "strategy");
                Err(BallotError::Body(althing_record::cbor::DecodeError::Newer { of, what, value }))
            }
        }
    }

    /// Its threshold in a proposal.
    pub(crate) fn threshold(self) -> Option<Vec<u64>> {
        match self {
            Self::Approvals(count) if count > 0 => Some(vec![count]),
            Self::SuperMajority { num, den } => Some(vec![num, den]),
            Self::Approvals(_)
            | Self::Unanimous
            | Self::Majority
            | Self::Approval
            | Self::Ranked
            | Self::Schulze
            | Self::Star => None,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Approvals(0) => f.write_str("approvals"),
            Self::Approvals(count) => write!(f, "approvals={count}"),
            Self::SuperMajority { num, den } => write!(f, "supermajority={num}/{den}"),
            Self::Unanimous => f.write_str("unanimous"),
            Self::Majority => f.write_str("majority"),
            Self::Approval => f.write_str("approval"),
            Self::Ranked => f.write_str("ranked"),
            Self::Schulze => f.write_str("schulze"),
            Self::Star => f.write_str("star"),
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
            check_super_majority(num, den)?;
            let needed = (u128::from(total) * u128::from(num)).div_ceil(u128::from(den));
            // num ≤ den, so the quotient is at most the total.
            u64::try_from(needed).unwrap_or(total)
        }
        Rule::Unanimous => total,
        Rule::Majority | Rule::Approval | Rule::Ranked | Rule::Schulze | Rule::Star => {
            return Err(BallotError::Rule(format!("{rule} needs a closed decision")));
        }
    };
    let safe = u64::midpoint(total, tolerated) + 1;
    Ok(own.max(safe.min(total)))
}

/// Whether a fraction is a super-majority.
pub(crate) fn check_super_majority(num: u64, den: u64) -> Result<(), BallotError> {
    if den == 0 || num > den || u128::from(num) * 2 <= u128::from(den) {
        let cause = format!("a super-majority is more than 1/2 and at most 1/1, found {num}/{den}");
        return Err(BallotError::Rule(cause));
    }
    Ok(())
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
