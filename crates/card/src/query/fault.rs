use std::fmt;

use super::{BYTES_MAX, DEPTH_MAX, TERMS_MAX};
use crate::{Attribute, SkillError, TagError};

/// How many characters of a long query are shown on either side of the fault.
const SHOWN: usize = 30;

/// Why a text is not a query, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError {
    fault: QueryFault,
    text: String,
    /// The first wrong character, from 0, and how many are wrong, at least 1.
    at: usize,
    length: usize,
}

/// What is wrong with a query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryFault {
    /// There is nothing in it.
    #[error("query is empty")]
    Empty,
    /// Too many bytes, as it was written or in its canonical form.
    #[error("query has {0} bytes, at most {BYTES_MAX} are allowed")]
    TooLong(usize),
    /// Parentheses and NOTs in one another.
    #[error("query is nested deeper than {DEPTH_MAX}")]
    TooDeep,
    /// Too many terms.
    #[error("query has more than {TERMS_MAX} terms")]
    TooManyTerms,
    /// A word without a name before it.
    #[error("\"{0}\" says not what it is")]
    Bare(String),
    /// A name that nothing has.
    #[error("unknown attribute \"{0}\"")]
    Unknown(String),
    /// Something else should stand there.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// What.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// A parenthesis or quotation mark without its partner.
    #[error("{0} is not closed")]
    Unclosed(&'static str),
    /// A name without a value.
    #[error("{0} has no value")]
    NoValue(String),
    /// A value that its attribute cannot have.
    #[error("{0}")]
    Value(String),
    /// A value that is no skill path.
    #[error(transparent)]
    Skill(#[from] SkillError),
    /// A value that is no tag.
    #[error(transparent)]
    Tag(#[from] TagError),
}

impl QueryError {
    pub(super) fn new(fault: QueryFault, text: &str, at: usize, end: usize) -> Self {
        let position = |byte: usize| text.get(..byte).map_or(0, |before| before.chars().count());
        // Of a text that is far too long only the beginning is kept.
        let kept = text.chars().take(BYTES_MAX).collect();
        let (at, end) = (position(at), position(end));
        Self { fault, text: kept, at, length: end.saturating_sub(at).max(1) }
    }

    /// What is wrong.
    #[must_use]
    pub fn fault(&self) -> &QueryFault {
        &self.fault
    }

    /// The first wrong character, from 1.
    #[must_use]
    pub fn at(&self) -> usize {
        self.at + 1
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match &self.fault {
            QueryFault::Empty => Some("for example: skill:text/translate AND lang:fr".to_owned()),
            QueryFault::Bare(word) => {
                Some(format!("write skill:{word} or tag:{word}; between two terms stands AND or OR"))
            }
            QueryFault::Unknown(name) => Some(match nearest(name) {
                Some(near) => format!("did you mean {near}:?"),
                None => format!("there are {}", names().collect::<Vec<_>>().join(", ")),
            }),
            QueryFault::TooLong(_) | QueryFault::TooDeep | QueryFault::TooManyTerms => {
                Some("ask several simpler queries".to_owned())
            }
            QueryFault::NoValue(_) => Some("a value stands right after the colon".to_owned()),
            QueryFault::Expected { .. }
            | QueryFault::Unclosed(_)
            | QueryFault::Value(_)
            | QueryFault::Skill(_)
            | QueryFault::Tag(_) => None,
        }
    }

    /// Two lines: the query, or what surrounds the fault, and carets under what is wrong.
    #[must_use]
    pub fn diagram(&self) -> String {
        let chars: Vec<char> = self.text.chars().collect();
        let from = if self.at > SHOWN + 5 { self.at - SHOWN } else { 0 };
        let end = self.at + self.length.min(SHOWN);
        let to = if end + SHOWN + 5 < chars.len() { end + SHOWN } else { chars.len() };
        let mut line = if from > 0 { "…".to_owned() } else { String::new() };
        let before = line.chars().count() + self.at - from;
        let shown = chars.get(from.min(to)..to).unwrap_or_default();
        line.extend(shown.iter().map(|char| if char.is_control() { ' ' } else { *char }));
        if to < chars.len() {
            line.push('…');
        }
        let carets =
            "^".repeat(self.length.min(SHOWN).min(line.chars().count().saturating_sub(before)).max(1));
        format!("{line}\n{}{carets}", " ".repeat(before))
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at character {})", self.fault, self.at())
    }
}

impl std::error::Error for QueryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.fault)
    }
}

/// Every name that can stand before a colon.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    ["skill", "tag", "lang"].into_iter().chain(Attribute::ALL.iter().map(|attribute| attribute.name()))
}

/// The name that is meant: the nearest, if it is not altogether another word.
fn nearest(name: &str) -> Option<&'static str> {
    let name: String = name.to_lowercase().chars().take(32).collect();
    let (distance, near) = names().map(|known| (distance(&name, known), known)).min()?;
    (distance <= 3 && distance < near.len().min(name.chars().count())).then_some(near)
}

/// Levenshtein's distance, in characters.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, char) in one.chars().enumerate() {
        let mut diagonal = index;
        row[0] = index + 1;
        for (column, against) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(char != *against);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}
