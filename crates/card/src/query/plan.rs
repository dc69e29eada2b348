use std::fmt;

use super::node::{Leaf, Node};
use crate::{SkillPath, Term};

/// Which directory keys have to be looked up so that no match is missed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Every match is found under this term.
    Term(Term),
    /// Every match is found under each of them, so one suffices: the rarest, best. Two or more, and nothing
    /// [`Plan::Unkeyed`] in any of them.
    AnyOf(Vec<Plan>),
    /// Every match is found under at least one of them, so all are looked up. Two or more.
    AllOf(Vec<Plan>),
    /// No key leads to the matches of this part of the query: only what is known already can answer it.
    Unkeyed(String),
}

impl Plan {
    /// The parts of the query that no key leads to.
    #[must_use]
    pub fn unkeyed(&self) -> Vec<&str> {
        match self {
            Self::Term(_) => Vec::new(),
            Self::AnyOf(plans) | Self::AllOf(plans) => plans.iter().flat_map(Self::unkeyed).collect(),
            Self::Unkeyed(part) => vec![part],
        }
    }

    /// A skill in it.
    #[must_use]
    pub fn skill(&self) -> Option<&SkillPath> {
        match self {
            Self::Term(Term::Skill(skill)) => Some(skill),
            Self::AnyOf(plans) | Self::AllOf(plans) => plans.iter().find_map(Self::skill),
            Self::Term(Term::Tag(_)) | Self::Unkeyed(_) => None,
        }
    }

    /// `negated`: of everyone else.
    pub(super) fn of(node: &Node, negated: bool) -> Self {
        match node {
            Node::Not(node) => Self::of(node, !negated),
            Node::Leaf(leaf) if negated => Self::Unkeyed(format!("NOT {leaf}")),
            Node::Leaf(leaf) => Self::of_leaf(leaf),
            Node::All(nodes) if !negated => Self::one_of(nodes, negated),
            Node::Any(nodes) if negated => Self::one_of(nodes, negated),
            Node::All(nodes) | Node::Any(nodes) => Self::each_of(nodes, negated),
        }
    }

    fn of_leaf(leaf: &Leaf) -> Self {
        match leaf {
            Leaf::Below(path) | Leaf::Exactly(path) => Self::Term(Term::Skill(path.clone())),
            Leaf::Tag(tag) => Self::Term(Term::Tag(tag.clone())),
            Leaf::SkillPrefix(prefix) => {
                let parent: Option<SkillPath> =
                    prefix.rsplit_once('/').and_then(|(parent, _)| parent.parse().ok());
                parent
                    .map_or_else(|| Self::Unkeyed(leaf.to_string()), |parent| Self::Term(Term::Skill(parent)))
            }
            Leaf::TagPrefix(_) | Leaf::Attribute(..) | Leaf::AttributePrefix(..) => {
                Self::Unkeyed(leaf.to_string())
            }
        }
    }

    fn one_of(nodes: &[Node], negated: bool) -> Self {
        let plans: Vec<Self> = nodes.iter().map(|node| Self::of(node, negated)).collect();
        let mut keyed: Vec<Self> = Vec::new();
        for plan in plans.iter().filter(|plan| plan.unkeyed().is_empty()) {
            let flat = match plan {
                Self::AnyOf(inner) => inner.clone(),
                Self::Term(_) | Self::AllOf(_) | Self::Unkeyed(_) => vec![plan.clone()],
            };
            for plan in flat {
                // Of a skill and a special case of it the special one is never the larger.
                if !keyed.iter().any(|kept| *kept == plan || plan.covers(kept)) {
                    keyed.retain(|kept| !kept.covers(&plan));
                    keyed.push(plan);
                }
            }
        }
        match keyed.len() {
            0 if plans.iter().all(|plan| matches!(plan, Self::Unkeyed(_))) => {
                let all =
                    if negated { Node::any(nodes.to_vec()).negated() } else { Node::all(nodes.to_vec()) };
                Self::Unkeyed(all.to_string())
            }
            // Nothing is complete: what leaves the least to the local index.
            0 => {
                let partly = plans.into_iter().filter(|plan| !matches!(plan, Self::Unkeyed(_)));
                let least = partly.min_by_key(|plan| plan.unkeyed().len());
                least.unwrap_or_else(|| Self::Unkeyed(String::new()))
            }
            1 => keyed.remove(0),
            _ => Self::AnyOf(keyed),
        }
    }

    fn each_of(nodes: &[Node], negated: bool) -> Self {
        let mut all: Vec<Self> = Vec::new();
        for node in nodes {
            let flat = match Self::of(node, negated) {
                Self::AllOf(inner) => inner,
                plan @ (Self::Term(_) | Self::AnyOf(_) | Self::Unkeyed(_)) => vec![plan],
            };
            for plan in flat {
                // Whoever has the special case is found under the skill, too.
                if !all.iter().any(|kept| *kept == plan || kept.covers(&plan)) {
                    all.retain(|kept| !plan.covers(kept));
                    all.push(plan);
                }
            }
        }
        if all.len() == 1 { all.remove(0) } else { Self::AllOf(all) }
    }

    fn covers(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Term(wide), Self::Term(narrow)) if wide.covers(narrow))
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, name: &str, plans: &[Self]| {
            write!(f, "{name}(")?;
            for (index, plan) in plans.iter().enumerate() {
                let comma = if index > 0 { ", " } else { "" };
                write!(f, "{comma}{plan}")?;
            }
            f.write_str(")")
        };
        match self {
            Self::Term(term) => term.fmt(f),
            Self::AnyOf(plans) => list(f, "any of ", plans),
            Self::AllOf(plans) => list(f, "all of ", plans),
            Self::Unkeyed(part) => write!(f, "local index only: {part}"),
        }
    }
}
