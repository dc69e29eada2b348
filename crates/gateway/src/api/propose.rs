use std::collections::BTreeSet;

use althing_engine::{Method, ProposalDraft};
use althing_record::{AgentId, IdError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How long a vote is treated as open when the proposer does not say: one hour.
pub const DEFAULT_WINDOW_MS: u64 = 3_600_000;

/// The body of `POST /v1/votes`: a question to an electorate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProposeRequest {
    /// The question, at most 1,024 bytes.
    #[schema(example = "merge PR 12?")]
    pub question: String,
    /// The options, 2 to 64. Empty: a motion, that is "yes" and "no", of which only "yes" can be certified.
    #[serde(default)]
    pub options: Vec<String>,
    /// The voters, each a did and each with one vote.
    #[schema(example = json!(["did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"]))]
    pub voters: Vec<String>,
    /// `approvals`, `approvals=N`, `supermajority` (2/3), `supermajority=N/D` or `unanimous`.
    #[schema(example = "supermajority=2/3")]
    pub method: String,
    /// How long clients should treat the vote as open; one hour if not given. Never decides an outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_ms: Option<u64>,
    /// The hosted agent that proposes, as a did; the node's default agent if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

impl ProposeRequest {
    /// The draft that the engine takes.
    ///
    /// # Errors
    /// When a voter is not a did or stands there twice, or when the method is not one of those that can be certified.
    pub fn draft(&self) -> Result<ProposalDraft, ProposeError> {
        let mut voters = Vec::with_capacity(self.voters.len());
        let mut seen = BTreeSet::new();
        for (index, text) in self.voters.iter().enumerate() {
            let voter: AgentId =
                text.parse().map_err(|error| ProposeError::Voter { number: index + 1, error })?;
            if !seen.insert(voter) {
                return Err(ProposeError::Twice { voter });
            }
            voters.push(voter);
        }
        Ok(ProposalDraft {
            question: self.question.clone(),
            options: self.options.clone(),
            voters,
            method: parse_method(&self.method)?,
            window_ms: self.window_ms.unwrap_or(DEFAULT_WINDOW_MS),
        })
    }
}

/// Why a [`ProposeRequest`] is not a proposal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// A voter is not a did.
    #[error("voter {number}: {error}")]
    Voter {
        /// Its place in the list, from 1.
        number: usize,
        /// What is wrong with it.
        error: IdError,
    },
    /// A voter stands in the list twice.
    #[error("voter {voter} is listed twice, and each voter has one vote")]
    Twice {
        /// The voter.
        voter: AgentId,
    },
    /// The method is wrong.
    #[error(transparent)]
    Method(#[from] MethodError),
}

impl ProposeError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Voter { .. } => "name voters by did; `althing status` shows the dids of a node's agents",
            Self::Twice { .. } => "list each voter once",
            Self::Method(error) => error.hint(),
        }
    }
}

/// Why a text is not a voting method.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MethodError {
    /// A simple majority was asked for.
    #[error(
        "method \"{0}\": a plain simple majority is not safe without Byzantine agreement, because voters who vote \
         twice could let two different results both reach it"
    )]
    Majority(String),
    /// It is none of the methods.
    #[error("expected a method approvals[=N], supermajority[=N/D] or unanimous, found \"{0}\"")]
    Unknown(String),
    /// The number behind `approvals=` is not a count.
    #[error("expected approvals=N with N at least 1, found \"{0}\"")]
    Count(String),
    /// The fraction behind `supermajority=` is not over a half and at most one.
    #[error("expected supermajority=N/D with 1/2 < N/D <= 1, found \"{0}\"")]
    Fraction(String),
}

impl MethodError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Majority(_) | Self::Fraction(_) => "use supermajority, that is supermajority=2/3",
            Self::Unknown(_) => "use supermajority=2/3 when unsure",
            Self::Count(_) => "use approvals for the safe threshold, or approvals=N to ask for more",
        }
    }
}

/// Reads a method: `approvals[=N]`, `supermajority[=N/D]` or `unanimous`.
///
/// # Errors
/// When it is none of these; a simple majority is refused with the reason.
pub fn parse_method(text: &str) -> Result<Method, MethodError> {
    let cut = || text.chars().take(80).collect::<String>();
    let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
    match (name, value) {
        ("approvals", None) => Ok(Method::Approvals(0)),
        ("approvals", Some(count)) => match count.parse() {
            Ok(count) if count > 0 => Ok(Method::Approvals(count)),
            Ok(_) | Err(_) => Err(MethodError::Count(cut())),
        },
        ("supermajority", None) => Ok(Method::Supermajority { num: 2, den: 3 }),
        ("supermajority", Some(fraction)) => fraction
            .split_once('/')
            .and_then(|(num, den)| Some((num.parse::<u64>().ok()?, den.parse::<u64>().ok()?)))
            .filter(|(num, den)| num <= den && u128::from(*num) * 2 > u128::from(*den))
            .map(|(num, den)| Method::Supermajority { num, den })
            .ok_or_else(|| MethodError::Fraction(cut())),
        ("unanimous", None) => Ok(Method::Unanimous),
        ("majority" | "simple-majority" | "simple" | "plurality", _) => Err(MethodError::Majority(cut())),
        (_, _) => Err(MethodError::Unknown(cut())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_read() {
        assert_eq!(parse_method("approvals"), Ok(Method::Approvals(0)));
        assert_eq!(parse_method("approvals=4"), Ok(Method::Approvals(4)));
        assert_eq!(parse_method("supermajority"), Ok(Method::Supermajority { num: 2, den: 3 }));
        assert_eq!(parse_method("supermajority=3/4"), Ok(Method::Supermajority { num: 3, den: 4 }));
        assert_eq!(parse_method("unanimous"), Ok(Method::Unanimous));
    }

    #[test]
    fn other_methods_are_refused_by_name() {
        for text in ["approvals=0", "approvals=-1", "approvals=x"] {
            assert_eq!(parse_method(text), Err(MethodError::Count(text.into())));
        }
        for text in ["supermajority=1/2", "supermajority=4/3", "supermajority=0/0", "supermajority=2"] {
            assert_eq!(parse_method(text), Err(MethodError::Fraction(text.into())));
        }
        for text in ["", "Unanimous", "unanimous=1", "approval"] {
            assert_eq!(parse_method(text), Err(MethodError::Unknown(text.into())));
        }
        let error = parse_method("majority").unwrap_err();
        assert!(error.to_string().contains("not safe without Byzantine agreement"));
        assert!(error.hint().contains("supermajority"));
    }

    #[test]
    fn a_voter_listed_twice_is_refused() {
        let voter = AgentId([7; 32]);
        let request = ProposeRequest {
            voters: vec![voter.to_string(), voter.to_string()],
            method: "unanimous".into(),
            ..ProposeRequest::default()
        };
        assert_eq!(request.draft(), Err(ProposeError::Twice { voter }));
    }
}
