use althing_group::Role;
use althing_record::{AgentId, Change, GroupId, RecordId};

/// What a local client wants that is about groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupAsk {
    /// Found a group.
    Found {
        /// A hosted agent, which founds it.
        agent: AgentId,
        /// Its name, 1 to 64 bytes.
        name: String,
        /// Who is a member from the start, beside the founder.
        members: Vec<AgentId>,
    },
    /// Change who is in a group, as one who may.
    Change {
        /// A hosted agent.
        agent: AgentId,
        /// The group.
        group: GroupId,
        /// The change.
        change: Change,
    },
    /// Change who is in a group by a vote of its members: the vote is put or found, and the change made once they decided on
    /// it, if this agent put it.
    Vote {
        /// A hosted agent, a member.
        agent: AgentId,
        /// The group.
        group: GroupId,
        /// The change.
        change: Change,
        /// How long the vote is open, in milliseconds.
        window_ms: u64,
    },
    /// Say for an agent that it joins a group, or leaves it.
    Join {
        /// A hosted agent.
        agent: AgentId,
        /// The group.
        group: GroupId,
        /// Whether it leaves, or turns an invitation down.
        leaves: bool,
    },
    /// Have the members of a forked group vote on which branch holds.
    Resolve {
        /// A hosted agent, which was a member where the group forked.
        agent: AgentId,
        /// The group.
        group: GroupId,
        /// A change of the branch that is to hold.
        keep: RecordId,
        /// How long the vote is open, in milliseconds.
        window_ms: u64,
    },
    /// One group.
    Show {
        /// The group.
        group: GroupId,
    },
    /// The groups that agents of this node are in or invited to.
    List {
        /// All known groups instead, those founded last first.
        all: bool,
    },
}

impl GroupAsk {
    pub(crate) fn writes(&self) -> bool {
        match self {
            Self::Found { .. }
            | Self::Change { .. }
            | Self::Vote { .. }
            | Self::Join { .. }
            | Self::Resolve { .. } => true,
            Self::Show { .. } | Self::List { .. } => false,
        }
    }
}

/// A group in its newest state, as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The group's id: that of its Founding.
    pub group: GroupId,
    /// Its name.
    pub name: String,
    /// Who founded it.
    pub founder: AgentId,
    /// How many changes there were.
    pub height: u64,
    /// The record that made this state.
    pub head: RecordId,
    /// The members, ascending by agent.
    pub members: Vec<GroupMember>,
    /// The open invitations, ascending by agent.
    pub invited: Vec<GroupInvite>,
    /// Whose node makes joinings into changes.
    pub keeper: AgentId,
    /// Two changes that both follow this state: the group takes no proposals and no changes.
    pub fork: Option<[RecordId; 2]>,
    /// The forks before this state, and how they were settled.
    pub settled: Vec<ForkSettled>,
    /// What agents of this node are in it.
    pub own: Vec<(AgentId, Role)>,
}

/// A fork of a group, of which the members chose a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForkSettled {
    /// The record after which it was forked.
    pub at: RecordId,
    /// The change right after that which holds.
    pub kept: RecordId,
    /// The proposal that decided so.
    pub by: RecordId,
}

/// A member of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupMember {
    /// Who.
    pub agent: AgentId,
    /// As what.
    pub role: Role,
    /// Whether it said that it leaves, and no change says so yet.
    pub leaving: bool,
}

/// An open invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupInvite {
    /// Who is invited.
    pub agent: AgentId,
    /// By whom.
    pub by: AgentId,
    /// The record that invites.
    pub record: RecordId,
    /// Whether it said that it joins, and no change says so yet.
    pub joining: bool,
}
