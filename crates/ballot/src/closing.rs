use std::fmt;

use althing_record::{AgentId, Network};

use crate::{BallotError, Electorate, Sealing};

/// Most closers of one decision.
pub const CLOSERS_MAX: usize = 31;

/// How much weight has to take part, abstentions included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quorum {
    /// At least this.
    Weight(u64),
    /// At least `num/den` of the electorate.
    Share {
        /// Numerator.
        num: u32,
        /// Denominator.
        den: u32,
    },
}

impl Quorum {
    pub(crate) fn to_parts(self) -> Vec<u64> {
        match self {
            Self::Weight(weight) => vec![weight],
            Self::Share { num, den } => vec![num.into(), den.into()],
        }
    }

    pub(crate) fn from_parts(parts: &[u64]) -> Result<Self, BallotError> {
        let part = |value: u64| {
            u32::try_from(value).map_err(|_| BallotError::Rule(format!("{value} is too large in a quorum")))
        };
        match parts {
            [weight] => Ok(Self::Weight(*weight)),
            [num, den] => Ok(Self::Share { num: part(*num)?, den: part(*den)? }),
            _ => Err(BallotError::Rule("a quorum is a weight or a fraction".into())),
        }
    }

    fn check(self, electorate: &Electorate) -> Result<(), BallotError> {
        let total = electorate.total();
        match self {
            Self::Weight(weight) if (1..=total).contains(&weight) => Ok(()),
            Self::Share { num, den } if num > 0 && num <= den => Ok(()),
            Self::Weight(_) | Self::Share { .. } => Err(BallotError::Rule(format!(
                "quorum {self} cannot be met: expected up to {total}, or a fraction up to 1"
            ))),
        }
    }
}

impl fmt::Display for Quorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Weight(weight) => write!(f, "{weight}"),
            Self::Share { num, den } => write!(f, "{num}/{den}"),
        }
    }
}

/// The terms of a Closed decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// How much weight has to take part.
    pub quorum: Option<Quorum>,
    /// Whether the earlier of tied options is better; otherwise ties decide nothing, but for the rounds of ranked choice.
    pub option_order: bool,
    /// Whether voters may let others vote for them.
    pub delegation: bool,
    /// Whether the network's committee closes the vote instead of the voters.
    pub by_committee: bool,
    /// Who opens the ballots, if they are sealed.
    pub sealing: Option<Sealing>,
    voters: Vec<AgentId>,
}

impl Closing {
    pub(crate) fn new(
        electorate: &Electorate,
        quorum: Option<Quorum>,
        by_committee: bool,
        option_order: bool,
        delegation: bool,
    ) -> Result<Self, BallotError> {
        if let Some(quorum) = quorum {
            quorum.check(electorate)?;
        }
        let voters: Vec<_> = electorate.voters().iter().map(|voter| voter.agent).collect();
        if !by_committee && voters.len() > CLOSERS_MAX {
            return Err(BallotError::Rule(format!(
                "{} voters are too many to close a vote, at most {CLOSERS_MAX}; the network's committee can",
                voters.len()
            )));
        }
        Ok(Self { quorum, option_order, delegation, by_committee, sealing: None, voters })
    }

    /// Who agrees on the ballots, ascending: the voters, or the network's committee.
    #[must_use]
    pub fn closers(&self, network: &Network) -> Vec<AgentId> {
        if !self.by_committee {
            return self.voters.clone();
        }
        let mut committee = network.genesis().committee.to_vec();
        committee.sort_unstable();
        committee.truncate(CLOSERS_MAX);
        committee
    }

    /// How many reports a manifest is made of: n − f of n closers.
    #[must_use]
    pub fn reports_needed(closers: usize) -> usize {
        closers - closers.saturating_sub(1) / 3
    }
}

impl fmt::Display for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.by_committee { "closed by the committee" } else { "closed by its voters" })?;
        if let Some(quorum) = self.quorum {
            write!(f, ", quorum {quorum}")?;
        }
        if let Some(sealing) = &self.sealing {
            write!(f, ", {sealing}")?;
        }
        Ok(())
    }
}
