use std::collections::BTreeSet;

use althing_ballot::{BallotError, Sealing};
use althing_record::{AgentId, IdError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who opens the ballots of a vote that is proposed with sealed ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SealRequest {
    /// The trustees, each a did; at most 16. Their nodes open the ballots once it is decided which of them count.
    pub trustees: Vec<String>,
    /// How many trustees open a ballot: of n trustees more than f = (n - 1)/3, rounded down, and at most n - f; f + 1 if not
    /// given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<u64>,
}

/// Why a [`SealRequest`] cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// A trustee is not a did.
    #[error("trustee {number}: {error}")]
    Trustee {
        /// Its place in the list, from 1.
        number: usize,
        /// What is wrong with it.
        error: IdError,
    },
    /// A trustee stands in the list twice.
    #[error("trustee {0} is listed twice")]
    Twice(AgentId),
    /// The list or the threshold is out of bounds.
    #[error(transparent)]
    Terms(#[from] BallotError),
}

impl SealRequest {
    /// The terms that the engine takes.
    ///
    /// # Errors
    /// When a trustee is no did or stands there twice, or there are too many, or the threshold is out of its range.
    pub fn terms(&self) -> Result<Sealing, SealError> {
        let (mut trustees, mut seen) = (Vec::new(), BTreeSet::new());
        for (number, text) in (1..).zip(&self.trustees) {
            let trustee: AgentId = text.parse().map_err(|error| SealError::Trustee { number, error })?;
            if !seen.insert(trustee) {
                return Err(SealError::Twice(trustee));
            }
            trustees.push(trustee);
        }
        Ok(Sealing::new(trustees, self.threshold)?)
    }
}

impl SealError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Trustee { .. } => {
                "name trustees by did; `althing status` shows the dids of a node's agents"
            }
            Self::Twice(_) => "list each trustee once",
            Self::Terms(_) => {
                "up to f = (n - 1)/3 of n trustees may cheat or be silent; a threshold is from f + 1 to n - f"
            }
        }
    }
}

/// How the ballots of a vote are sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sealed {
    /// How many trustees open a ballot.
    pub threshold: u64,
    /// How many have published their secrets.
    pub opened: u64,
    /// The trustees.
    pub trustees: Vec<Trustee>,
}

/// A trustee of a vote with sealed ballots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Trustee {
    /// Who.
    pub agent: String,
    /// Whether its key for this vote is known here.
    pub key: bool,
    /// Whether it has published its secret. While a vote is open no trustee should.
    pub opened: bool,
}

impl From<althing_engine::SealedTerms> for Sealed {
    fn from(terms: althing_engine::SealedTerms) -> Self {
        let trustee = |trustee: &althing_engine::Trustee| Trustee {
            agent: trustee.agent.to_string(),
            key: trustee.has_key,
            opened: trustee.has_opened,
        };
        let trustees: Vec<_> = terms.trustees.iter().map(trustee).collect();
        let opened = trustees.iter().filter(|trustee| trustee.opened).count() as u64;
        Self { threshold: terms.threshold, opened, trustees }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(trustees: &[String], threshold: Option<u64>) -> Result<Sealing, SealError> {
        SealRequest { trustees: trustees.to_vec(), threshold }.terms()
    }

    #[test]
    fn terms_are_read_and_others_are_refused_by_name() {
        let dids: Vec<String> = (1..=17).map(|n| AgentId([n; 32]).to_string()).collect();
        assert_eq!(request(&dids[..4], None).unwrap().threshold(), 2);
        assert_eq!(request(&dids[..4], Some(3)).unwrap().threshold(), 3);
        for (trustees, threshold, words) in [
            (&dids[..4], Some(1), "a threshold of 2 to 3 for 4 trustees"),
            (&dids[..4], Some(4), "a threshold of 2 to 3 for 4 trustees"),
            (&dids[..4], Some(u64::MAX), "a threshold of 2 to 3 for 4 trustees"),
            (&dids[..], None, "1 to 16 trustees, found 17"),
            (&dids[..0], None, "1 to 16 trustees, found 0"),
            (&["did:web:example.org".to_owned()], None, "trustee 1: "),
            (&[dids[0].clone(), dids[0].clone()], None, "is listed twice"),
        ] {
            let error = request(trustees, threshold).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
