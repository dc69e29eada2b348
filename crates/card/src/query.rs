mod fault;
mod node;
mod parse;
mod plan;

use std::fmt;
use std::str::FromStr;

pub use self::fault::{QueryError, QueryFault};
pub(crate) use self::node::{Leaf, Node};
pub use self::plan::Plan;
use crate::{Facts, SkillPath, Term};

/// Longest query in bytes, as written and in its canonical form.
pub const BYTES_MAX: usize = 1_024;

/// How deeply parentheses and NOTs may stand in one another.
pub const DEPTH_MAX: usize = 16;

/// Most terms of one query.
pub const TERMS_MAX: usize = 64;

/// Which agents are wanted: terms, joined by AND, OR, NOT and parentheses. docs/spec/queries.md has the language.
///
/// Equal queries need not be written alike: what [`fmt::Display`] gives is the canonical form, and reads back as the
/// same query.
///
/// ```
/// use althing_card::Query;
///
/// let query: Query = "Skill:Text/Translate and (lang:fr or lang:de) and not streaming:false".parse()?;
/// assert_eq!(
///     query.to_string(),
///     "skill:text/translate AND (tag:lang:fr OR tag:lang:de) AND NOT streaming:false",
/// );
/// assert_eq!(query.plan().to_string(), "any of (skill:text/translate, all of (tag:lang:fr, tag:lang:de))");
/// # Ok::<(), althing_card::QueryError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query(Node);

impl Query {
    /// Those who match every one of the queries; `None` if there are none.
    ///
    /// # Errors
    /// When together they are more than one query may be.
    pub fn all(queries: impl IntoIterator<Item = Self>) -> Result<Option<Self>, QueryError> {
        let nodes: Vec<Node> = queries.into_iter().map(|query| query.0).collect();
        if nodes.is_empty() { Ok(None) } else { Node::all(nodes).to_string().parse().map(Some) }
    }

    /// Those who have exactly this skill; a special case of it is not enough.
    #[must_use]
    pub fn exactly(skill: SkillPath) -> Self {
        Self(Node::Leaf(Leaf::Exactly(skill)))
    }

    /// Which directory keys lead to every match.
    #[must_use]
    pub fn plan(&self) -> Plan {
        Plan::of(&self.0, false)
    }

    /// Whether a card is wanted.
    #[must_use]
    pub fn matches(&self, card: &Facts<'_>) -> bool {
        self.0.matches(card)
    }

    pub(crate) fn node(&self) -> &Node {
        &self.0
    }
}

impl From<Term> for Query {
    fn from(term: Term) -> Self {
        Self(Node::Leaf(match term {
            Term::Skill(path) => Leaf::Below(path),
            Term::Tag(tag) => Leaf::Tag(tag),
        }))
    }
}

impl FromStr for Query {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        let query = Self(parse::parse(text)?);
        // Lower case and quotation marks can make it longer, and what is sent to others has to read back there.
        let canonical = query.to_string();
        if canonical.len() > BYTES_MAX {
            return Err(QueryError::new(QueryFault::TooLong(canonical.len()), text, 0, 0));
        }
        Ok(query)
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests;
