use althing_record::{AgentId, Change, IdError, RecordId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Document, document};

/// The body of `POST /v1/groups`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FoundGroupRequest {
    /// The group's name, 1 to 64 bytes. It is for people: several groups may have it.
    #[schema(example = "translators")]
    pub name: String,
    /// Who is a member from the start without being asked, each a did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
    /// The hosted agent that founds the group, as a did; the node's default agent if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

impl FoundGroupRequest {
    /// The members that it names.
    ///
    /// # Errors
    /// When one is not a did.
    pub fn members(&self) -> Result<Vec<AgentId>, IdError> {
        self.members.iter().map(|member| member.parse()).collect()
    }
}

/// The body of `POST /v1/groups/{id}/changes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupChangeRequest {
    /// What changes.
    pub change: GroupChange,
    /// Whom it is about, as a did.
    #[schema(example = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp")]
    pub about: String,
    /// The hosted agent that makes the change, the group's founder or an admin; the node's default agent if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

/// A change to a group that its founder or an admin makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum GroupChange {
    /// The agent may join.
    Invite,
    /// The agent is no longer a member, or no longer invited.
    Remove,
    /// The member becomes an admin.
    Promote,
    /// The admin becomes a plain member.
    Demote,
}

impl GroupChange {
    /// The change as the engine takes it.
    #[must_use]
    pub fn about(self, agent: AgentId) -> Change {
        match self {
            Self::Invite => Change::Invite(agent),
            Self::Remove => Change::Remove(agent),
            Self::Promote => Change::Promote(agent),
            Self::Demote => Change::Demote(agent),
        }
    }
}

/// The body of `POST /v1/groups/{id}/votes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupVoteRequest {
    /// What is to change.
    pub change: GroupChange,
    /// Whom it is about, as a did.
    #[schema(example = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp")]
    pub about: String,
    /// How long the vote is open, if one has to be put; one hour if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_ms: Option<u64>,
    /// The hosted agent that votes, a member, as a did; the node's default agent if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

/// The answer of `POST /v1/groups/{id}/votes`: the ballot, or the change that was decided on, is on disk and offered to the
/// network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupVote {
    /// Always `althing.group-vote/v1`.
    #[schema(example = "althing.group-vote/v1")]
    pub schema: String,
    /// The group.
    pub group: String,
    /// What is to change.
    pub change: GroupChange,
    /// Whom it is about.
    pub about: String,
    /// The agent that voted, or made the change.
    pub agent: String,
    /// The proposal that asks the members; absent once the change is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<String>,
    /// Who put it, and whose node makes the change once it is decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposer: Option<String>,
    /// Whether it was put just now.
    pub new: bool,
    /// The record that carries the ballot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ballot: Option<String>,
    /// The record that makes the change, once the members decided on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
}

document!(GroupVote, "althing.group-vote/v1");

/// The body of `POST /v1/groups/{id}/joinings`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JoiningRequest {
    /// Whether the agent leaves, or turns an invitation down.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leave: bool,
    /// The hosted agent that joins or leaves, as a did; the node's default agent if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

/// The body of `POST /v1/groups/{id}/resolutions`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolveRequest {
    /// A change of the branch that is to hold, by its record's id.
    pub keep: String,
    /// How long the vote is open, if one has to be put; one hour if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_ms: Option<u64>,
    /// The hosted agent that votes, as a did; the node's default agent if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

/// The answer of `POST /v1/groups/{id}/resolutions`: the ballot is on disk and offered to the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Resolution {
    /// Always `althing.group-resolution/v1`.
    #[schema(example = "althing.group-resolution/v1")]
    pub schema: String,
    /// The group.
    pub group: String,
    /// The change right after the fork that the agent voted for.
    pub keep: String,
    /// The proposal that asks the members.
    pub proposal: String,
    /// Whether it was put just now.
    pub new: bool,
    /// The agent that voted.
    pub agent: String,
    /// The record that carries the ballot.
    pub ballot: String,
}

document!(Resolution, "althing.group-resolution/v1");

/// A fork of a group, of which the members chose a branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SettledFork {
    /// The record after which it was forked.
    pub at: String,
    /// The change right after that which holds.
    pub kept: String,
    /// The proposal that decided so.
    pub by: String,
}

/// What `GET /v1/groups` takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct GroupsQuery {
    /// All groups that the node knows, those founded last first, and not only those of its agents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<bool>,
}

/// A group in its newest state, as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Group {
    /// Always `althing.group/v1`.
    #[schema(example = "althing.group/v1")]
    pub schema: String,
    /// What was signed just now: durable here and offered to the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// What the list shows too.
    #[serde(flatten)]
    pub summary: GroupSummary,
    /// The members, ascending.
    pub members: Vec<GroupMember>,
    /// The open invitations, ascending.
    pub invited: Vec<GroupInvite>,
}

document!(Group, "althing.group/v1");

impl Group {
    /// What the engine answered, and what it signed.
    #[must_use]
    pub fn new(group: althing_engine::Group, record: Option<RecordId>) -> Self {
        let members = group.members.iter().map(|member| GroupMember {
            agent: member.agent.to_string(),
            role: member.role.name().to_owned(),
            leaving: member.leaving,
        });
        let invited = group.invited.iter().map(|invite| GroupInvite {
            agent: invite.agent.to_string(),
            by: invite.by.to_string(),
            invitation: invite.record.to_string(),
            joining: invite.joining,
        });
        Self {
            schema: Self::SCHEMA.to_owned(),
            record: record.map(|record| record.to_string()),
            members: members.collect(),
            invited: invited.collect(),
            summary: group.into(),
        }
    }
}

/// The answer of `GET /v1/groups`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Groups {
    /// Always `althing.groups/v1`.
    #[schema(example = "althing.groups/v1")]
    pub schema: String,
    /// The groups, without the names of their members; at most 1,000.
    pub groups: Vec<GroupSummary>,
}

document!(Groups, "althing.groups/v1");

impl Groups {
    /// What the engine answered.
    #[must_use]
    pub fn new(groups: Vec<althing_engine::Group>) -> Self {
        let groups = groups.into_iter().map(GroupSummary::from).collect();
        Self { schema: Self::SCHEMA.to_owned(), groups }
    }
}

/// A group without the names of its members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupSummary {
    /// The group's id.
    pub group: String,
    /// Its name.
    pub name: String,
    /// Who founded it.
    pub founder: String,
    /// How many members there are.
    pub size: u64,
    /// How often it was changed.
    pub height: u64,
    /// The record that made this state.
    pub head: String,
    /// Whose node makes joinings into changes.
    pub keeper: String,
    /// Two changes that both follow this state, if there are: then the group takes no proposals and no changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fork: Option<[String; 2]>,
    /// The forks before this state, and how they were settled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settled: Vec<SettledFork>,
    /// What agents of this node are in it.
    pub own: Vec<OwnRole>,
}

impl From<althing_engine::Group> for GroupSummary {
    fn from(group: althing_engine::Group) -> Self {
        let own = group
            .own
            .iter()
            .map(|(agent, role)| OwnRole { agent: agent.to_string(), role: role.name().to_owned() });
        Self {
            group: group.group.to_string(),
            name: group.name.clone(),
            founder: group.founder.to_string(),
            size: group.members.len() as u64,
            height: group.height,
            head: group.head.to_string(),
            keeper: group.keeper.to_string(),
            fork: group.fork.map(|fork| fork.map(|record| record.to_string())),
            settled: group
                .settled
                .iter()
                .map(|settled| SettledFork {
                    at: settled.at.to_string(),
                    kept: settled.kept.to_string(),
                    by: settled.by.to_string(),
                })
                .collect(),
            own: own.collect(),
        }
    }
}

/// What an agent of this node is in a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OwnRole {
    /// Who.
    pub agent: String,
    /// `founder`, `admin`, `member` or `invited`.
    #[schema(example = "member")]
    pub role: String,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupMember {
    /// Who.
    pub agent: String,
    /// `founder`, `admin` or `member`.
    #[schema(example = "admin")]
    pub role: String,
    /// Whether it said that it leaves, and the keeper has not seen to it yet.
    pub leaving: bool,
}

/// An open invitation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupInvite {
    /// Who is invited.
    pub agent: String,
    /// By whom.
    pub by: String,
    /// The record that invites.
    pub invitation: String,
    /// Whether it said that it joins, and the keeper has not seen to it yet.
    pub joining: bool,
}
