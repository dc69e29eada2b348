use crate::cbor::{Decode, DecodeError, Encode, List, Reader, Text, Writer};
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
    /// One change to a group's members, authorised by the state at `prev`.
    pub struct Membership: version 1 {
        /// The founding or the membership change before.
        1 => pub prev: RecordId,
        /// What changes.
        2 => pub change: Change,
    }
}

/// A change to a group's members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The agent becomes a member.
    Add(AgentId),
    /// The agent is no longer a member, nor an admin.
    Remove(AgentId),
    /// The member becomes an admin.
    Promote(AgentId),
    /// The admin becomes a plain member.
    Demote(AgentId),
}

impl Change {
    fn parts(&self) -> (u64, AgentId) {
        match self {
            Self::Add(agent) => (1, *agent),
            Self::Remove(agent) => (2, *agent),
            Self::Promote(agent) => (3, *agent),
            Self::Demote(agent) => (4, *agent),
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
        match code {
            1 => Ok(Self::Add(agent)),
            2 => Ok(Self::Remove(agent)),
            3 => Ok(Self::Promote(agent)),
            4 => Ok(Self::Demote(agent)),
            value => Err(DecodeError::Newer { of: "Change", what: "change", value }),
        }
    }
}
