use std::fmt;

use althing_record::cbor::Text;
use althing_record::{Millis, Network};

use crate::{BallotError, Electorate, Voter};

/// The part of an electorate of holders that one of them weighs at most: one in so many.
pub const HOLDERS_CAP: u64 = 10;

/// The fewest voters of an electorate of holders: fewer cannot all weigh a tenth at most.
pub const HOLDERS_MIN: usize = HOLDERS_CAP as usize;

/// All trust that there is, in units of 2⁻³²: what the masses of an electorate sum to at most.
pub const MASS_MAX: u64 = 1 << 32;

/// How many rating epochs must be over since the one by which holders are weighed: in the one after it raters publish.
pub const SETTLED_AFTER: u64 = 2;

/// How many rating epochs may be over since then.
pub const SETTLED_BEFORE: u64 = 8;

/// Longest skill in bytes.
const SKILL_BYTES_MAX: usize = 128;

/// Most thousandths of a score.
const SCORE_MAX: u64 = 1_000;

/// Which agents an electorate says to be of: the holders of a skill, by what raters had published of a rating epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HolderTerms {
    /// The skill's path; who has one below it has it, too.
    pub skill: Text<SKILL_BYTES_MAX>,
    /// The least score, in thousandths, at most 1,000.
    pub score_min: u64,
    /// The rating epoch.
    pub epoch: u64,
}

/// The holders of a skill that vote: the terms, how much reputation stands behind each, and what one may weigh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holders {
    /// Who they say to be.
    pub terms: HolderTerms,
    /// The most that one voter weighs: the largest L with 10 · L ≤ Σ min(mass, L).
    pub cap: u64,
    /// The mass of each voter, in the order of the voters, in units of 2⁻³² of all trust.
    pub masses: Vec<u64>,
}

impl HolderTerms {
    /// Terms in their bounds. Whether the text is the path of a skill is for others to say.
    ///
    /// # Errors
    /// When one is out of bounds.
    pub fn new(skill: &str, score_min: u64, epoch: u64) -> Result<Self, BallotError> {
        let fault = || BallotError::Holders("a skill has 1 to 128 bytes".to_owned());
        let terms = Self { skill: Text::try_from(skill).map_err(|_| fault())?, score_min, epoch };
        if terms.skill.trim().is_empty() {
            return Err(fault());
        }
        if score_min > SCORE_MAX {
            let cause = format!("a score has at most {SCORE_MAX} thousandths, found {score_min}");
            return Err(BallotError::Holders(cause));
        }
        Ok(terms)
    }

    /// Whether these terms can be of a question that was put then: by a rating epoch that was settled, and lately.
    #[must_use]
    pub fn fit(&self, made: Millis, network: &Network) -> bool {
        let genesis = network.genesis();
        let present = made.since(genesis.created) / genesis.rating_epoch_ms.max(1);
        (SETTLED_AFTER..=SETTLED_BEFORE).any(|age| self.epoch.checked_add(age) == Some(present))
    }
}

impl fmt::Display for HolderTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "holders of {}", &*self.skill)?;
        if self.score_min > 0 {
            write!(f, " with a score of {}.{:03} or more", self.score_min / 1_000, self.score_min % 1_000)?;
        }
        write!(f, ", by reputation at rating epoch {}", self.epoch)
    }
}

impl Holders {
    /// The voters with what they weigh, and how that came about. `masses`: ascending by agent.
    pub(crate) fn weigh(terms: HolderTerms, masses: Vec<Voter>) -> Result<(Vec<Voter>, Self), BallotError> {
        let terms = HolderTerms::new(&terms.skill, terms.score_min, terms.epoch)?;
        if masses.len() < HOLDERS_MIN {
            return Err(BallotError::FewHolders(masses.len()));
        }
        if let Some(voter) = masses.iter().find(|voter| voter.weight == 0) {
            return Err(BallotError::Holders(format!("nobody trusts {}", voter.agent)));
        }
        let all: u128 = masses.iter().map(|voter| u128::from(voter.weight)).sum();
        if all > u128::from(MASS_MAX) {
            return Err(BallotError::Holders(format!(
                "the voters have {all} of {MASS_MAX} parts of all trust"
            )));
        }
        let own: Vec<u64> = masses.iter().map(|voter| voter.weight).collect();
        let cap = cap_of(&own);
        let weigh = |voter: &Voter| Voter { agent: voter.agent, weight: voter.weight.min(cap) };
        Ok((masses.iter().map(weigh).collect(), Self { terms, cap, masses: own }))
    }
}

/// The largest L with 10 · L ≤ Σ min(mass, L), or 2⁶⁴ − 1 if that is larger. Nobody who weighs min(mass, L) weighs more
/// than a tenth of all. 0 if fewer than ten masses are above 0.
#[must_use]
pub fn cap_of(masses: &[u64]) -> u64 {
    // What is left over at L is concave in L and 0 at 0: it holds up to some L and for none above.
    let holds = |cap: u64| {
        let sum: u128 = masses.iter().map(|mass| u128::from(*mass.min(&cap))).sum();
        u128::from(HOLDERS_CAP) * u128::from(cap) <= sum
    };
    let (mut low, mut high) = (0, u64::MAX);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if holds(middle) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    low
}

/// Checks that the voters of a proposal can be holders of a skill: they are weighed by a rating epoch that was settled
/// when it was made.
pub(crate) fn check(electorate: &Electorate, made: Millis, network: &Network) -> Result<(), BallotError> {
    match electorate.holders() {
        Some(holders) if !holders.terms.fit(made, network) => Err(BallotError::Holders(format!(
            "rating epoch {} was not settled when the question was put, or long past",
            holders.terms.epoch
        ))),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
