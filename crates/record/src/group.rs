use crate::cbor::{Blob, Decode, DecodeError, Encode, List, Reader, Text, Writer};
use crate::{AgentId, RecordId, cbor_map};

cbor_map! {
    /// The start of a group. The record's id is the group's, and the agent that signs it the founder.
    pub struct Founding: version 1 {
        /// The group's name, for people.
        1 => pub name: Text<64>,
        /// Who is a member from the start, the founder aside; ascending.
        2 => pub members: List<AgentId, 256>,
        /// Who may change the members, the founder aside; ascending.
        3 => pub admins: List<AgentId, 64>,
        /// Random bytes, so that two groups of one founder and name differ.
        4 => pub nonce: [u8; 8],
    }
}

cbor_map! {
    /// One change to a group's members, authorised by the state at `prev`, or by a vote of its members.
    pub struct Membership: version 1 {
        /// The founding or the membership change before.
        1 => pub prev: RecordId,
        /// What changes.
        2 => pub change: Change,
        /// The members' decision on the change, where no admin makes it. What it has to prove is not looked at here.
        3 => pub decision: Option<Blob<65_536>>,
    }
}

cbor_map! {
    /// What an agent says for itself: that it joins or leaves the group of the record's header. An admin's
    /// [`Membership`] makes it so.
    pub struct Joining: version 1 {
        /// The invitation that is taken up; of a member that leaves, the record that made it one.
        1 => pub answers: RecordId,
        /// 1: the agent leaves, or turns the invitation down. Absent: it joins.
        2 => pub leaves: Option<u64>,
    }
}

/// A change to a group's members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The agent becomes a member.
    Add(AgentId),
    /// The agent is no longer a member, an admin or invited.
    Remove(AgentId),
    /// The member becomes an admin.
    Promote(AgentId),
    /// The admin becomes a plain member.
    Demote(AgentId),
    /// The agent may become a member.
    Invite(AgentId),
}

impl Change {
    /// What it does, in a word.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Add(_) => "add",
            Self::Remove(_) => "remove",
            Self::Promote(_) => "promote",
            Self::Demote(_) => "demote",
            Self::Invite(_) => "invite",
        }
    }

    /// The change with this code; `None` if this version knows no such change.
    #[must_use]
    pub fn from_parts(code: u64, agent: AgentId) -> Option<Self> {
        Some(match code {
            1 => Self::Add(agent),
            2 => Self::Remove(agent),
            3 => Self::Promote(agent),
            4 => Self::Demote(agent),
            5 => Self::Invite(agent),
            _ => return None,
        })
    }

    /// The change's code, and whom it is about.
    #[must_use]
    pub fn parts(&self) -> (u64, AgentId) {
        match self {
            Self::Add(agent) => (1, *agent),
            Self::Remove(agent) => (2, *agent),
            Self::Promote(agent) => (3, *agent),
            Self::Demote(agent) => (4, *agent),
            Self::Invite(agent) => (5, *agent),
        }
    }
}

impl Encode for Change {
    fn encode(&self, to: &mut Writer) {
        let (code, agent) = self.parts();
        to.array(2);
        to.uint(code);
        agent.encode(to);
    }
}

impl Decode for Change {
    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_of(2)?;
        let (code, agent) = (from.uint()?, AgentId::decode(from)?);
        Self::from_parts(code, agent).ok_or(DecodeError::Newer { of: "Change", what: "change", value: code })
    }
}
