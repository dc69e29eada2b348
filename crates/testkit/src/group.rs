use althing_record::cbor::List;
use althing_record::{
    AgentKey, Change, Draft, Founding, GroupId, Joining, Kind, Membership, Record, RecordId, cbor,
};

use crate::{chain, sign};

/// The Founding of a group of which the founder alone is a member.
///
/// # Panics
/// When the name is too long.
#[must_use]
pub fn founding(founder: &AgentKey, name: &str) -> Record {
    let body = Founding {
        name: name.try_into().expect("a group's name"),
        members: List::default(),
        admins: List::default(),
        nonce: [1; 8],
    };
    sign(chain(founder, Kind::Founding, None, cbor::to_vec(&body)), founder)
}

/// A change that an agent makes to a group after the record `prev`, which need not be the author's.
#[must_use]
pub fn membership(author: &AgentKey, group: GroupId, prev: RecordId, change: Change) -> Record {
    let body = Membership { prev, change, decision: None };
    let draft = chain(author, Kind::Membership, None, cbor::to_vec(&body));
    sign(Draft { group: Some(group), ..draft }, author)
}

/// That an agent joins a group, or leaves it.
#[must_use]
pub fn joining(agent: &AgentKey, group: GroupId, answers: RecordId, leaves: bool) -> Record {
    let body = Joining { answers, leaves: leaves.then_some(1) };
    let draft = chain(agent, Kind::Joining, None, cbor::to_vec(&body));
    sign(Draft { group: Some(group), ..draft }, agent)
}
