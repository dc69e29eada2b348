use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What to do with newcomers: agents of whom fewer than 3 rated calls are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Newcomers {
    /// They are treated as others.
    #[default]
    With,
    /// They are left out.
    Without,
    /// All others are left out.
    Only,
}

/// A text names no such treatment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected with, without or only, found {0}")]
pub struct UnknownNewcomers(String);

impl Newcomers {
    /// Whether an agent is wanted that is a newcomer, or is none.
    #[must_use]
    pub fn wants(self, is_newcomer: bool) -> bool {
        match self {
            Self::With => true,
            Self::Without => !is_newcomer,
            Self::Only => is_newcomer,
        }
    }
}

impl fmt::Display for Newcomers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::With => "with",
            Self::Without => "without",
            Self::Only => "only",
        })
    }
}

impl FromStr for Newcomers {
    type Err = UnknownNewcomers;

    fn from_str(text: &str) -> Result<Self, UnknownNewcomers> {
        [Self::With, Self::Without, Self::Only]
            .into_iter()
            .find(|newcomers| newcomers.to_string() == text)
            .ok_or_else(|| UnknownNewcomers(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn treatments_are_named_and_read_back() {
        let of = |newcomers: &str| {
            let read: Newcomers = newcomers.parse().unwrap();
            assert_eq!(read.to_string(), newcomers);
            [true, false].map(|is_newcomer| read.wants(is_newcomer))
        };
        assert_eq!([of("with"), of("without"), of("only")], [[true; 2], [false, true], [true, false]]);
        assert!("none".parse::<Newcomers>().is_err());
    }
}
