use std::collections::BTreeMap;

use althing_record::{AgentId, Change, Founding, GroupId, Kind, Membership, Record, RecordId};

use crate::{GroupError, Step};

/// Most members of a group, the founder among them.
pub const MEMBERS_MAX: usize = 256;

/// Most admins of a group beside its founder.
pub const ADMINS_MAX: usize = 64;

/// Most invitations that are open at once.
pub const INVITES_MAX: usize = 256;

/// Most changes between a group's Founding and a state.
pub const HEIGHT_MAX: u32 = 4_096;

/// A group after its Founding or after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    group: GroupId,
    head: RecordId,
    height: u32,
    name: String,
    founder: AgentId,
    author: AgentId,
    members: BTreeMap<AgentId, Member>,
    invites: BTreeMap<AgentId, Invite>,
}

/// A member of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The record that made the agent one.
    pub since: RecordId,
    /// Whether it may change the group. The founder may without being an admin.
    pub is_admin: bool,
}

/// An invitation that was neither taken up nor withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invite {
    /// The record that invites.
    pub record: RecordId,
    /// Who invites.
    pub by: AgentId,
}

/// What an agent is in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The founder: a member with the rights of an admin, who can lose neither.
    Founder,
    /// A member who may change the group.
    Admin,
    /// A member.
    Member,
    /// Not a member, and may become one.
    Invited,
}

impl Role {
    /// The role's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Founder => "founder",
            Self::Admin => "admin",
            Self::Member => "member",
            Self::Invited => "invited",
        }
    }
}

/// By what right somebody changes a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// As its founder or an admin.
    Admin,
    /// Because its members decided so. That they did is for others to check.
    Vote,
}

impl State {
    /// The state after a Founding. Depends on the record's bytes alone.
    ///
    /// # Errors
    /// When the record is no Founding, its name is blank, or its lists are out of order or bounds.
    pub fn founded(record: &Record) -> Result<Self, GroupError> {
        if record.kind() != Kind::Founding {
            return Err(GroupError::Kind { expected: "Founding", found: record.kind().name() });
        }
        let body: Founding = record.body()?;
        if body.name.trim().is_empty() {
            return Err(GroupError::Name(body.name.len()));
        }
        let founder = record.agent();
        for agents in [&body.members[..], &body.admins] {
            if agents.windows(2).any(|pair| pair[0] >= pair[1]) {
                return Err(GroupError::Founding("members and admins stand in ascending order, each once"));
            }
            if agents.contains(&founder) {
                return Err(GroupError::Founding("the founder is not listed"));
            }
        }
        if body.admins.iter().any(|admin| body.members.binary_search(admin).is_err()) {
            return Err(GroupError::Founding("an admin is a member, too"));
        }
        if body.members.len() >= MEMBERS_MAX {
            return Err(GroupError::Full);
        }
        let (head, mut members) = (record.id(), BTreeMap::new());
        for agent in body.members.iter().chain([&founder]) {
            let is_admin = body.admins.binary_search(agent).is_ok();
            members.insert(*agent, Member { since: head, is_admin });
        }
        Ok(Self {
            group: GroupId(head.0),
            head,
            height: 0,
            name: body.name.into_inner(),
            founder,
            author: founder,
            members,
            invites: BTreeMap::new(),
        })
    }

    /// The state after a change that `author` makes to this one with the record `id`.
    ///
    /// # Errors
    /// When the author may not make it, or it changes nothing or goes beyond a bound.
    pub fn after(&self, id: RecordId, author: AgentId, change: &Change) -> Result<Self, GroupError> {
        self.clone().then(id, author, change)
    }

    /// The same, where the state before is needed no more: thousands of changes in a row copy no lists of members.
    ///
    /// # Errors
    /// As [`State::after`].
    pub fn then(self, id: RecordId, author: AgentId, change: &Change) -> Result<Self, GroupError> {
        self.then_by(Right::Admin, id, author, change)
    }

    /// The state after a change that `author`, a member, makes with the record `id` because the members decided on it.
    ///
    /// # Errors
    /// As [`State::after`]; the author does not have to be an admin.
    pub fn after_vote(&self, id: RecordId, author: AgentId, change: &Change) -> Result<Self, GroupError> {
        self.clone().then_by(Right::Vote, id, author, change)
    }

    /// The state after a change of the view, where the state before is needed no more.
    ///
    /// # Errors
    /// As [`State::after`].
    pub fn then_step(self, id: RecordId, step: &Step) -> Result<Self, GroupError> {
        self.then_by(step.right, id, step.author, &step.change)
    }

    fn then_by(
        mut self,
        right: Right,
        id: RecordId,
        author: AgentId,
        change: &Change,
    ) -> Result<Self, GroupError> {
        match right {
            Right::Admin if !self.may_change(author) => return Err(GroupError::NotAllowed(author)),
            Right::Vote if !self.is_member(author) => return Err(GroupError::NotMember(author)),
            Right::Admin | Right::Vote => {}
        }
        if self.height >= HEIGHT_MAX {
            return Err(GroupError::Height);
        }
        match *change {
            Change::Invite(agent) => {
                if self.is_member(agent) {
                    return Err(GroupError::IsMember(agent));
                }
                if self.invites.len() >= INVITES_MAX {
                    return Err(GroupError::Invites);
                }
                if self.invites.insert(agent, Invite { record: id, by: author }).is_some() {
                    return Err(GroupError::IsInvited(agent));
                }
            }
            Change::Add(agent) => {
                if self.is_member(agent) {
                    return Err(GroupError::IsMember(agent));
                }
                if self.members.len() >= MEMBERS_MAX {
                    return Err(GroupError::Full);
                }
                self.invites.remove(&agent);
                self.members.insert(agent, Member { since: id, is_admin: false });
            }
            Change::Remove(agent) if agent == self.founder => return Err(GroupError::Founder(agent)),
            Change::Remove(agent) => {
                let was_member = self.members.remove(&agent).is_some();
                if self.invites.remove(&agent).is_none() && !was_member {
                    return Err(GroupError::NotMember(agent));
                }
            }
            Change::Promote(agent) => {
                if self.may_change(agent) {
                    return Err(GroupError::IsAdmin(agent));
                }
                if self.members.values().filter(|member| member.is_admin).count() >= ADMINS_MAX {
                    return Err(GroupError::Admins);
                }
                self.members.get_mut(&agent).ok_or(GroupError::NotMember(agent))?.is_admin = true;
            }
            Change::Demote(agent) if agent == self.founder => return Err(GroupError::Founder(agent)),
            Change::Demote(agent) => {
                let member = self.members.get_mut(&agent).ok_or(GroupError::NotMember(agent))?;
                if !std::mem::replace(&mut member.is_admin, false) {
                    return Err(GroupError::NotAdmin(agent));
                }
            }
        }
        (self.head, self.height, self.author) = (id, self.height + 1, author);
        Ok(self)
    }

    /// The state after a Membership record. `decided` says whether what it carries proves that the members of this state
    /// decided on it; it is not asked about changes of admins.
    ///
    /// # Errors
    /// When it is no Membership of this group that follows this state, or not one that its author may make.
    pub fn after_record<E: From<GroupError>>(
        &self,
        record: &Record,
        decided: impl FnOnce(&Self, &Record, &Membership) -> Result<(), E>,
    ) -> Result<Self, E> {
        if record.kind() != Kind::Membership {
            return Err(GroupError::Kind { expected: "Membership", found: record.kind().name() }.into());
        }
        let body: Membership = record.body().map_err(GroupError::from)?;
        if record.group() != Some(self.group) || body.prev != self.head {
            return Err(GroupError::Order.into());
        }
        if body.decision.is_none() {
            return Ok(self.after(record.id(), record.agent(), &body.change)?);
        }
        // What would not follow anyway is not worth counting votes for.
        let after = self.after_vote(record.id(), record.agent(), &body.change)?;
        decided(self, record, &body)?;
        Ok(after)
    }

    /// The state after all of these: a Founding and the changes up to some state, in order. `decided`: as in
    /// [`State::after_record`].
    ///
    /// # Errors
    /// When there is none, or one of them does not follow the one before.
    pub fn replay<E: From<GroupError>>(
        records: &[Record],
        mut decided: impl FnMut(&Self, &Record, &Membership) -> Result<(), E>,
    ) -> Result<Self, E> {
        let (founding, changes) = records.split_first().ok_or(GroupError::Order)?;
        let founded = Self::founded(founding)?;
        changes.iter().try_fold(founded, |state, change| state.after_record(change, &mut decided))
    }

    /// The group: the id of its Founding.
    #[must_use]
    pub fn group(&self) -> GroupId {
        self.group
    }

    /// The record that made this state.
    #[must_use]
    pub fn head(&self) -> RecordId {
        self.head
    }

    /// How many changes lie between the Founding and this state.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The group's name, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Who founded the group.
    #[must_use]
    pub fn founder(&self) -> AgentId {
        self.founder
    }

    /// The members, ascending by agent, the founder among them.
    pub fn members(&self) -> impl ExactSizeIterator<Item = (AgentId, Member)> {
        self.members.iter().map(|(agent, member)| (*agent, *member))
    }

    /// The open invitations, ascending by agent.
    pub fn invites(&self) -> impl ExactSizeIterator<Item = (AgentId, Invite)> {
        self.invites.iter().map(|(agent, invite)| (*agent, *invite))
    }

    /// A member.
    #[must_use]
    pub fn member(&self, agent: AgentId) -> Option<Member> {
        self.members.get(&agent).copied()
    }

    /// Whether an agent is a member.
    #[must_use]
    pub fn is_member(&self, agent: AgentId) -> bool {
        self.members.contains_key(&agent)
    }

    /// An agent's open invitation.
    #[must_use]
    pub fn invite(&self, agent: AgentId) -> Option<Invite> {
        self.invites.get(&agent).copied()
    }

    /// What an agent is in the group.
    #[must_use]
    pub fn role(&self, agent: AgentId) -> Option<Role> {
        match self.members.get(&agent) {
            Some(_) if agent == self.founder => Some(Role::Founder),
            Some(member) if member.is_admin => Some(Role::Admin),
            Some(_) => Some(Role::Member),
            None => self.invites.contains_key(&agent).then_some(Role::Invited),
        }
    }

    /// Whether an agent may change the group: its founder and its admins.
    #[must_use]
    pub fn may_change(&self, agent: AgentId) -> bool {
        agent == self.founder || self.member(agent).is_some_and(|member| member.is_admin)
    }

    /// Who makes of joinings the next changes, so that only one does: the author of the newest change or, if it is no
    /// admin any more, the founder.
    #[must_use]
    pub fn keeper(&self) -> AgentId {
        if self.may_change(self.author) { self.author } else { self.founder }
    }
}

#[cfg(test)]
mod tests;
