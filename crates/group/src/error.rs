use althing_record::AgentId;
use althing_record::cbor::DecodeError;

use crate::{ADMINS_MAX, HEIGHT_MAX, INVITES_MAX, MEMBERS_MAX};

/// Why something is not a group's beginning, or not a change that its author may make to a state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// The record is of another kind.
    #[error("expected a {expected}, found {found}")]
    Kind {
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// The body does not decode.
    #[error("body is malformed: {0}")]
    Body(#[from] DecodeError),
    /// The name is empty or too long.
    #[error("a group's name has 1 to 64 bytes and is not blank, found {0} bytes")]
    Name(usize),
    /// The lists of a Founding are not as they must be.
    #[error("founding: {0}")]
    Founding(&'static str),
    /// The record names another state, or is of another group.
    #[error("the change does not follow the one before it")]
    Order,
    /// The author may not change the group.
    #[error("{0} is not an admin of the group")]
    NotAllowed(AgentId),
    /// The agent is a member already.
    #[error("{0} is a member already")]
    IsMember(AgentId),
    /// The agent is invited already.
    #[error("{0} is invited already")]
    IsInvited(AgentId),
    /// The agent is neither a member nor invited.
    #[error("{0} is not a member of the group")]
    NotMember(AgentId),
    /// The agent is an admin already.
    #[error("{0} is an admin already")]
    IsAdmin(AgentId),
    /// The agent is no admin.
    #[error("{0} is a plain member")]
    NotAdmin(AgentId),
    /// The founder stays a member and keeps all rights.
    #[error("{0} founded the group and stays in it")]
    Founder(AgentId),
    /// There are as many members as there may be.
    #[error("the group is full: it has {MEMBERS_MAX} members")]
    Full,
    /// There are as many admins as there may be.
    #[error("the group has {ADMINS_MAX} admins, which is the most")]
    Admins,
    /// There are as many open invitations as there may be.
    #[error("the group has {INVITES_MAX} open invitations, which is the most")]
    Invites,
    /// It was changed as often as it can be.
    #[error("the group was changed {HEIGHT_MAX} times, which is the most; found a new one")]
    Height,
}

impl GroupError {
    /// Whether a newer node might accept the record.
    #[must_use]
    pub fn is_newer(&self) -> bool {
        matches!(self, Self::Body(error) if error.is_newer())
    }
}
