use std::fmt;

use althing_record::cbor::Blob;
use althing_record::{AgentId, cbor_map};

use crate::BallotError;

/// Most trustees of one proposal.
pub const TRUSTEES_MAX: usize = 16;

cbor_map! {
    /// Who opens the ballots of a sealed proposal, as it stands in the proposal.
    pub struct Privacy {
        /// How many trustees are enough to open a ballot.
        1 => pub threshold: u64,
        /// The trustees' 32-byte ids one after the other, ascending.
        2 => pub trustees: Blob<{ TRUSTEES_MAX * 32 }>,
    }
}

/// The terms of a sealed proposal: ballots are read only when this many of these trustees open them.
///
/// Of n trustees up to f = ⌊(n − 1)/3⌋ may do anything: f < threshold ≤ n − f, so that they can neither read a ballot
/// before the others open it nor keep it shut when the others do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealing {
    threshold: usize,
    trustees: Vec<AgentId>,
}

impl Sealing {
    /// The terms with these trustees, in any order. Without a threshold the least one that there may be.
    ///
    /// # Errors
    /// When there are no trustees or too many, one is named twice, or the threshold is out of its range.
    pub fn new(mut trustees: Vec<AgentId>, threshold: Option<u64>) -> Result<Self, BallotError> {
        if !(1..=TRUSTEES_MAX).contains(&trustees.len()) {
            let found = trustees.len();
            return Err(BallotError::Sealing(format!(
                "expected 1 to {TRUSTEES_MAX} trustees, found {found}"
            )));
        }
        trustees.sort_unstable();
        if let Some(pair) = trustees.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(BallotError::Sealing(format!("trustee {} is named twice", pair[0])));
        }
        let (count, tolerated) = (trustees.len(), tolerated(trustees.len()));
        let least = tolerated + 1;
        let threshold = threshold.map_or(Some(least), |given| usize::try_from(given).ok());
        match threshold.filter(|threshold| (least..=count - tolerated).contains(threshold)) {
            Some(threshold) => Ok(Self { threshold, trustees }),
            None => Err(BallotError::Sealing(format!(
                "expected a threshold of {least} to {} for {count} trustees",
                count - tolerated
            ))),
        }
    }

    /// Reads the terms in a proposal.
    ///
    /// # Errors
    /// As [`Sealing::new`]; also when the trustees are not in order.
    pub(crate) fn read(privacy: &Privacy) -> Result<Self, BallotError> {
        let odd = || BallotError::Sealing("the list of trustees has an odd length".to_owned());
        let trustees: Vec<AgentId> = privacy
            .trustees
            .chunks(32)
            .map(AgentId::try_from)
            .collect::<Result<_, _>>()
            .map_err(|_| odd())?;
        if trustees.windows(2).any(|pair| pair[0] > pair[1]) {
            return Err(BallotError::Sealing("the trustees are not in ascending order".to_owned()));
        }
        Self::new(trustees, Some(privacy.threshold))
    }

    /// The terms as they stand in a proposal.
    pub(crate) fn privacy(&self) -> Option<Privacy> {
        let trustees: Vec<u8> = self.trustees.iter().flat_map(|trustee| trustee.0).collect();
        Some(Privacy { threshold: self.threshold as u64, trustees: Blob::try_from(trustees).ok()? })
    }

    /// How many trustees are enough to open a ballot.
    #[must_use]
    pub fn threshold(&self) -> usize {
        self.threshold
    }

    /// For how many trustees a ballot is sealed at least, so that so many are left when f of them never open.
    #[must_use]
    pub fn keys_needed(&self) -> usize {
        self.threshold + tolerated(self.trustees.len())
    }

    /// The trustees, ascending.
    #[must_use]
    pub fn trustees(&self) -> &[AgentId] {
        &self.trustees
    }

    /// A trustee's position among them, from 0.
    #[must_use]
    pub fn place(&self, trustee: AgentId) -> Option<u8> {
        self.trustees.binary_search(&trustee).ok().and_then(|place| u8::try_from(place).ok())
    }
}

impl fmt::Display for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sealed, {} of {} trustees open", self.threshold, self.trustees.len())
    }
}

/// How many of so many trustees may do anything.
fn tolerated(trustees: usize) -> usize {
    trustees.saturating_sub(1) / 3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trustees(count: u8) -> Vec<AgentId> {
        (0..count).rev().map(|n| AgentId([n; 32])).collect()
    }

    #[test]
    fn thresholds_lie_between_those_who_may_cheat_and_those_who_do_not() {
        for (count, least, most) in [(1, 1, 1), (2, 1, 2), (3, 1, 3), (4, 2, 3), (7, 3, 5), (16, 6, 11)] {
            for threshold in 0..=17 {
                let sealing = Sealing::new(trustees(count), Some(threshold));
                assert_eq!(sealing.is_ok(), (least..=most).contains(&threshold), "{threshold} of {count}");
            }
            let sealing = Sealing::new(trustees(count), None).unwrap();
            assert_eq!(sealing.threshold() as u64, least);
            assert!(sealing.keys_needed() <= usize::from(count));
            assert!(sealing.trustees().is_sorted());
        }
        let error = Sealing::new(trustees(4), Some(4)).unwrap_err().to_string();
        assert!(error.contains("a threshold of 2 to 3 for 4 trustees"), "{error}");
    }

    #[test]
    fn trustees_are_one_to_sixteen_different_ones_in_order() {
        let fault = |trustees| Sealing::new(trustees, None).unwrap_err().to_string();
        assert!(fault(Vec::new()).contains("1 to 16 trustees, found 0"));
        assert!(fault(trustees(17)).contains("1 to 16 trustees, found 17"));
        assert!(fault([trustees(3), trustees(1)].concat()).contains("named twice"));
        let mut privacy = Sealing::new(trustees(3), None).unwrap().privacy().unwrap();
        assert!(Sealing::read(&privacy).is_ok());
        privacy.trustees = [[2; 32], [1; 32]].concat().try_into().unwrap();
        assert!(Sealing::read(&privacy).unwrap_err().to_string().contains("ascending order"));
        privacy.trustees = vec![1; 33].try_into().unwrap();
        assert!(Sealing::read(&privacy).unwrap_err().to_string().contains("odd length"));
    }
}
