use crate::{OptionId, Pairwise, Tie};

/// How a count ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// These won, in the order in which they did.
    Elected(Vec<OptionId>),
    /// The rules do not say which of these goes on.
    Tied(Vec<OptionId>),
    /// No option has what the rule asks for.
    Rejected,
    /// Too little weight took part.
    NoQuorum,
    /// No ballot counts for any option.
    NoVotes,
}

/// What a round found, and what was decided on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// The votes of each option, in units; `None` if it was out before this round.
    pub tally: Vec<Option<u128>>,
    /// The votes of ballots that count for no option any more, in units. In the first round: of those that never did.
    pub exhausted: u128,
    /// What was lost to rounding so far, in units.
    pub lost: u128,
    /// The votes that elect in this round, in units; `None` where there is no such number.
    pub threshold: Option<u128>,
    /// Who was elected on this tally.
    pub elected: Vec<OptionId>,
    /// Who was eliminated on this tally; their votes move on in the next round.
    pub eliminated: Vec<OptionId>,
    /// Whose surplus moves on in the next round.
    pub surplus: Option<OptionId>,
    /// The ties that came up, in order.
    pub ties: Vec<Tie>,
}

/// The result of a count with the way to it. It depends on the ballots and the rules alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub decision: Decision,
    /// Decimal places of a vote: one vote is 10^places units.
    pub places: u32,
    /// Round by round.
    pub rounds: Vec<Round>,
    /// All options that took part, best first, for rules that say so; otherwise empty.
    pub ranking: Vec<OptionId>,
    /// Who beats whom, for rules that compare pairs.
    pub pairwise: Option<Pairwise>,
}

impl Outcome {
    /// The units that one vote has.
    #[must_use]
    pub fn unit(&self) -> u128 {
        10_u128.pow(self.places)
    }

    /// An amount of units as a decimal number of votes.
    #[must_use]
    pub fn votes(&self, units: u128) -> String {
        let (whole, rest) = (units / self.unit(), units % self.unit());
        if self.places == 0 {
            whole.to_string()
        } else {
            format!("{whole}.{rest:0width$}", width = self.places as usize)
        }
    }

    /// A count of one or more rounds of whole votes.
    pub(crate) fn whole(decision: Decision, rounds: Vec<Round>) -> Self {
        Self { decision, places: 0, rounds, ranking: Vec::new(), pairwise: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn votes_are_written_with_their_decimal_places() {
        let mut outcome = Outcome::whole(Decision::Rejected, Vec::new());
        assert_eq!(outcome.votes(1_353), "1353");
        outcome.places = 5;
        assert_eq!(outcome.votes(135_300_042), "1353.00042");
        assert_eq!(outcome.votes(7), "0.00007");
    }
}
