use std::collections::BTreeSet;

use crate::{Attribute, SkillPath, Tag};

/// What a card says that queries ask for. Everything follows from the card's JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts<'c> {
    /// The skill paths, without those above them.
    pub skills: &'c BTreeSet<SkillPath>,
    /// The tags of all skills.
    pub tags: &'c BTreeSet<Tag>,
    /// The attributes, as they are compared.
    pub attributes: &'c BTreeSet<(Attribute, String)>,
}
