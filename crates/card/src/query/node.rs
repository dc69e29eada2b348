use std::fmt;

use crate::{Attribute, Facts, SkillPath, Tag};

/// A part of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    Leaf(Leaf),
    /// All of them, two or more, none of them itself such a list.
    All(Vec<Node>),
    /// At least one of them, two or more, none of them itself such a list.
    Any(Vec<Node>),
    /// Everyone else; what is in it is no `Not` itself.
    Not(Box<Node>),
}

/// One term of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Leaf {
    /// The skill or a special case of it.
    Below(SkillPath),
    /// The skill itself.
    Exactly(SkillPath),
    /// A skill whose path begins with these characters.
    SkillPrefix(String),
    Tag(Tag),
    TagPrefix(String),
    Attribute(Attribute, String),
    AttributePrefix(Attribute, String),
}

impl Node {
    /// Both or all; lists in lists become one.
    pub(crate) fn all(nodes: Vec<Self>) -> Self {
        Self::list(nodes, Self::All, |node| match node {
            Self::All(inner) => inner,
            node @ (Self::Leaf(_) | Self::Any(_) | Self::Not(_)) => vec![node],
        })
    }

    /// Either or any; lists in lists become one.
    pub(crate) fn any(nodes: Vec<Self>) -> Self {
        Self::list(nodes, Self::Any, |node| match node {
            Self::Any(inner) => inner,
            node @ (Self::Leaf(_) | Self::All(_) | Self::Not(_)) => vec![node],
        })
    }

    fn list(nodes: Vec<Self>, whole: fn(Vec<Self>) -> Self, parts: fn(Self) -> Vec<Self>) -> Self {
        let mut flat: Vec<Self> = nodes.into_iter().flat_map(parts).collect();
        if flat.len() == 1 { flat.remove(0) } else { whole(flat) }
    }

    pub(crate) fn negated(self) -> Self {
        match self {
            Self::Not(inner) => *inner,
            node @ (Self::Leaf(_) | Self::All(_) | Self::Any(_)) => Self::Not(Box::new(node)),
        }
    }

    pub(crate) fn matches(&self, facts: &Facts<'_>) -> bool {
        match self {
            Self::Leaf(leaf) => leaf.matches(facts),
            Self::All(nodes) => nodes.iter().all(|node| node.matches(facts)),
            Self::Any(nodes) => nodes.iter().any(|node| node.matches(facts)),
            Self::Not(node) => !node.matches(facts),
        }
    }
}

impl Leaf {
    fn matches(&self, facts: &Facts<'_>) -> bool {
        match self {
            Self::Below(path) => facts.skills.iter().any(|skill| path.covers(skill)),
            Self::Exactly(path) => facts.skills.contains(path),
            Self::SkillPrefix(prefix) => facts.skills.iter().any(|skill| skill.as_str().starts_with(prefix)),
            Self::Tag(tag) => facts.tags.contains(tag),
            Self::TagPrefix(prefix) => facts.tags.iter().any(|tag| tag.as_str().starts_with(prefix)),
            Self::Attribute(attribute, value) => {
                facts.attributes.iter().any(|(found, has)| found == attribute && has == value)
            }
            Self::AttributePrefix(attribute, prefix) => {
                facts.attributes.iter().any(|(found, has)| found == attribute && has.starts_with(prefix))
            }
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leaf(leaf) => leaf.fmt(f),
            Self::All(nodes) => list(f, nodes, " AND ", |node| matches!(node, Self::Any(_))),
            Self::Any(nodes) => list(f, nodes, " OR ", |_| false),
            Self::Not(node) => match **node {
                Self::All(_) | Self::Any(_) => write!(f, "NOT ({node})"),
                Self::Leaf(_) | Self::Not(_) => write!(f, "NOT {node}"),
            },
        }
    }
}

fn list(
    f: &mut fmt::Formatter<'_>,
    nodes: &[Node],
    between: &str,
    bracketed: fn(&Node) -> bool,
) -> fmt::Result {
    for (index, node) in nodes.iter().enumerate() {
        if index > 0 {
            f.write_str(between)?;
        }
        if bracketed(node) { write!(f, "({node})")? } else { write!(f, "{node}")? }
    }
    Ok(())
}

impl fmt::Display for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Below(path) => write!(f, "skill:{path}"),
            Self::Exactly(path) => write!(f, "skill:={path}"),
            Self::SkillPrefix(prefix) => write!(f, "skill:{prefix}*"),
            Self::Tag(tag) => write!(f, "tag:{}", quoted(tag.as_str(), "")),
            Self::TagPrefix(prefix) => write!(f, "tag:{}", quoted(prefix, "*")),
            Self::Attribute(attribute, value) => write!(f, "{attribute}:{}", quoted(value, "")),
            Self::AttributePrefix(attribute, prefix) => write!(f, "{attribute}:{}", quoted(prefix, "*")),
        }
    }
}

/// A value as it is written: in quotation marks if it has to be.
fn quoted(value: &str, star: &str) -> String {
    let is_special = |char: char| char.is_whitespace() || matches!(char, '(' | ')' | '"' | '\\' | '*');
    if !value.is_empty() && !value.contains(is_special) || value.is_empty() && !star.is_empty() {
        return format!("{value}{star}");
    }
    let mut text = String::from("\"");
    for char in value.chars() {
        if matches!(char, '"' | '\\' | '*') {
            text.push('\\');
        }
        text.push(char);
    }
    format!("{text}{star}\"")
}
