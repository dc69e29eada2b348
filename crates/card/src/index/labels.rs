use std::collections::BTreeSet;

use crate::query::Leaf;
use crate::{Card, SkillPath};

/// Everyone who has a card and a lease.
pub(super) const SERVED: &[u8] = b"u";

/// The rows about one agent begin with this.
pub(super) const AGENT: u8 = b'a';

/// What the index has a list for. None has a zero byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Label {
    Whole(Vec<u8>),
    /// Every label that begins like this.
    Beginning(Vec<u8>),
}

impl Label {
    pub(super) fn of_leaf(leaf: &Leaf) -> Self {
        match leaf {
            Leaf::Below(path) => Self::Whole(below(path)),
            Leaf::Exactly(path) => Self::Whole(exactly(path.as_str())),
            Leaf::SkillPrefix(prefix) => Self::Beginning(exactly(prefix)),
            Leaf::Tag(tag) => Self::Whole(tagged(tag.as_str())),
            Leaf::TagPrefix(prefix) => Self::Beginning(tagged(prefix)),
            Leaf::Attribute(attribute, value) => Self::Whole(valued(*attribute as u8, value)),
            Leaf::AttributePrefix(attribute, prefix) => Self::Beginning(valued(*attribute as u8, prefix)),
        }
    }

    /// Those of a card.
    pub(super) fn of_card(card: &Card) -> BTreeSet<Vec<u8>> {
        let facts = card.facts();
        let skills = facts.skills.iter().flat_map(|skill| {
            skill.with_ancestors().map(|path| below(&path)).chain([exactly(skill.as_str())])
        });
        let tags = facts.tags.iter().map(|tag| tagged(tag.as_str()));
        let attributes = facts.attributes.iter().map(|(attribute, value)| valued(*attribute as u8, value));
        skills.chain(tags).chain(attributes).collect()
    }
}

fn below(path: &SkillPath) -> Vec<u8> {
    [b"s", path.as_str().as_bytes()].concat()
}

fn exactly(path: &str) -> Vec<u8> {
    [b"x", path.as_bytes()].concat()
}

fn tagged(tag: &str) -> Vec<u8> {
    [b"t", tag.as_bytes()].concat()
}

fn valued(attribute: u8, value: &str) -> Vec<u8> {
    [&[b'v', attribute], value.as_bytes()].concat()
}
