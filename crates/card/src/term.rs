use std::fmt;

use crate::{SkillPath, Tag};

/// What agents are looked up by in the network: each term has directory keys of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Term {
    /// Agents with this skill or a special case of it.
    Skill(SkillPath),
    /// Agents with a skill that has this tag.
    Tag(Tag),
}

impl Term {
    /// Whether everybody who is found under `other` is found under this term too.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Skill(wide), Self::Skill(narrow)) => wide.covers(narrow),
            (Self::Skill(_) | Self::Tag(_), _) => self == other,
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skill(path) => write!(f, "skill:{path}"),
            Self::Tag(tag) => write!(f, "tag:{tag}"),
        }
    }
}
