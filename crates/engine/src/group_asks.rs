//! What local clients ask of groups, and what a group's keeper does by itself.

use std::sync::Arc;

use althing_group::{GroupError, MEMBERS_MAX, State};
use althing_record::cbor::{self, Blob, List, Text};
use althing_record::{
    AgentId, Change, Content, Domain, Founding, GroupId, Joining, Kind, Membership, Record, RecordId,
};
use althing_store::{ReadError, Snapshot};
use rand_core::Rng;

use crate::engine::Engine;
use crate::group::Tip;
use crate::publish::SignError;
use crate::{Answer, AskNo, Group, GroupAsk, GroupInvite, GroupMember, HostedAgent, Now, RefusalKind};

/// Most groups that one answer lists, and that one agent is looked after in.
pub const GROUPS_MAX: usize = 1_000;

/// Most joinings that are made into changes on one input.
const KEPT_AT_ONCE: usize = 32;

/// From how many freshly signed records on an input makes no more joinings of other groups into changes.
const SIGNED_MAX: usize = 64;

/// When to try again what could not be done, in milliseconds.
const AGAIN_MS: u64 = 1_000;

impl<S: Snapshot> Engine<S> {
    pub(crate) fn on_group_ask(&mut self, no: AskNo, ask: GroupAsk, now: Now) -> Result<(), ReadError> {
        match ask {
            GroupAsk::Found { agent, name, members } => self.on_found_group(no, agent, &name, members, now),
            GroupAsk::Change { agent, group, change } => self.on_change_group(no, agent, group, &change, now),
            GroupAsk::Join { agent, group, leaves } => self.on_join_group(no, agent, group, leaves, now),
            GroupAsk::Vote { agent, group, change, window_ms } => {
                self.on_vote_change(no, (agent, group), &change, window_ms, now)
            }
            GroupAsk::Resolve { agent, group, keep, window_ms } => {
                self.on_resolve_group(no, (agent, group), keep, window_ms, now)
            }
            GroupAsk::Show { group } => self.on_group(no, group),
            GroupAsk::List { all } => self.on_groups(no, all),
        }
    }

    fn on_found_group(
        &mut self,
        no: AskNo,
        agent: AgentId,
        name: &str,
        mut members: Vec<AgentId>,
        now: Now,
    ) -> Result<(), ReadError> {
        let Some(hosted) = self.hosted(agent).cloned() else {
            self.refuse_unhosted(no, agent);
            return Ok(());
        };
        members.sort_unstable();
        members.dedup();
        members.retain(|member| *member != agent);
        let members = List::try_from(members).ok().filter(|members| members.len() < MEMBERS_MAX);
        let Some(members) = members else {
            self.refuse(no, RefusalKind::Invalid, GroupError::Full.to_string(), None);
            return Ok(());
        };
        let name = Text::try_from(name).ok().filter(|text| !text.trim().is_empty()).ok_or(name.len());
        let name = match name {
            Ok(name) => name,
            Err(length) => {
                self.refuse(no, RefusalKind::Invalid, GroupError::Name(length).to_string(), None);
                return Ok(());
            }
        };
        let mut nonce = [0; 8];
        self.random.fill_bytes(&mut nonce);
        let body = Founding { name, members, admins: List::default(), nonce };
        match self.sign_link(&hosted, Kind::Founding, Content::Body(cbor::to_vec(&body)), now) {
            Ok(record) => self.answer_group(no, GroupId(record.id().0), record.id()),
            Err(error) => self.refuse_unsigned(no, error),
        }
    }

    fn on_change_group(
        &mut self,
        no: AskNo,
        agent: AgentId,
        group: GroupId,
        change: &Change,
        now: Now,
    ) -> Result<(), ReadError> {
        let Some((hosted, tip)) = self.open_group(no, agent, group)? else { return Ok(()) };
        if let Err(error) = tip.state.after(tip.state.head(), agent, change) {
            self.refuse_change(no, &error);
            return Ok(());
        }
        if !self.knows_newest(no, &tip.state) {
            return Ok(());
        }
        match self.sign_change(&hosted, &tip.state, change.clone(), None, now) {
            Ok(record) => self.answer_group(no, group, record.id()),
            Err(error) => self.refuse_unsigned(no, error),
        }
    }

    fn on_join_group(
        &mut self,
        no: AskNo,
        agent: AgentId,
        group: GroupId,
        leaves: bool,
        now: Now,
    ) -> Result<(), ReadError> {
        let Some((hosted, tip)) = self.open_group(no, agent, group)? else { return Ok(()) };
        let state = &tip.state;
        let answers = match (state.member(agent), state.invite(agent)) {
            (Some(_), _) if !leaves => Err(GroupError::IsMember(agent)),
            (Some(_), _) if agent == state.founder() => Err(GroupError::Founder(agent)),
            (Some(member), _) => Ok(member.since),
            (None, Some(invite)) => Ok(invite.record),
            (None, None) if leaves => Err(GroupError::NotMember(agent)),
            (None, None) => {
                let hint = "an admin of the group runs `althing group invite`; an invitation may take a moment to arrive";
                let cause = format!("{agent} is not invited to {group}");
                self.refuse(no, RefusalKind::Invalid, cause, Some(hint));
                return Ok(());
            }
        };
        let answers = match answers {
            Ok(answers) => answers,
            Err(error) => {
                self.refuse_change(no, &error);
                return Ok(());
            }
        };
        let said = match self.said(state, agent, answers, leaves)? {
            Some(said) => said,
            None => {
                let body = Joining { answers, leaves: leaves.then_some(1) };
                let content = Content::Body(cbor::to_vec(&body));
                match self.sign_link_in(&hosted, Some(group), Kind::Joining, content, None, now) {
                    Ok(record) => record.id(),
                    Err(error) => return self.refuse_unsigned(no, error),
                }
            }
        };
        self.keep_groups(now)?;
        self.answer_group(no, group, said)
    }

    fn on_group(&mut self, no: AskNo, group: GroupId) -> Result<(), ReadError> {
        match self.tip(group)? {
            Some(tip) => {
                let answer = self.group_answer(&tip)?;
                self.answer(no, Answer::Group { group: Box::new(answer), record: None });
            }
            None => self.refuse_unknown_group(no, group),
        }
        Ok(())
    }

    /// Groups that agents of this node are in or invited to, or all that are known.
    fn on_groups(&mut self, no: AskNo, all: bool) -> Result<(), ReadError> {
        let mut ids = Vec::new();
        if all {
            ids = althing_group::groups(&self.store, GROUPS_MAX)?;
        } else {
            for hosted in &self.agents {
                let room = GROUPS_MAX.saturating_sub(ids.len());
                ids.extend(althing_group::groups_of(&self.store, hosted.agent, room)?);
            }
            ids.sort_unstable();
            ids.dedup();
        }
        let mut groups = Vec::with_capacity(ids.len());
        for id in ids {
            if let Some(tip) = self.tip(id)? {
                let group = self.group_answer(&tip)?;
                if all || !group.own.is_empty() {
                    groups.push(group);
                }
            }
        }
        self.answer(no, Answer::Groups(groups));
        Ok(())
    }

    /// Makes joinings into changes, in the groups that agents of this node keep.
    pub(crate) fn keep_groups(&mut self, now: Now) -> Result<(), ReadError> {
        if self.read_only || now.ticks < self.groups.not_before {
            return Ok(());
        }
        let mut due = std::mem::take(&mut self.groups.due).into_iter();
        // What is signed on one input has to fit into the vote guard.
        while self.signed.len() < SIGNED_MAX {
            let Some(group) = due.next() else { return Ok(()) };
            if !self.keep_group(group, now)? {
                self.groups.due.insert(group);
                self.groups.not_before = now.ticks + AGAIN_MS;
            }
        }
        self.groups.due.extend(due);
        Ok(())
    }

    /// Looks after the groups of agents that are hosted here, from a start on.
    pub(crate) fn resume_groups(&mut self) -> Result<(), ReadError> {
        for hosted in &self.agents {
            let groups = althing_group::groups_of(&self.store, hosted.agent, GROUPS_MAX)?;
            self.groups.due.extend(groups);
        }
        Ok(())
    }

    /// Whether there is nothing left to do in a group.
    fn keep_group(&mut self, group: GroupId, now: Now) -> Result<bool, ReadError> {
        for _ in 0..KEPT_AT_ONCE {
            let Some(tip) = self.tip(group)?.filter(|tip| tip.fork.is_none()) else { return Ok(true) };
            let Some(hosted) = self.hosted(tip.state.keeper()).cloned() else { return Ok(true) };
            let Some(change) = self.next_joining(&tip.state)? else { return Ok(true) };
            if !self.may_know_newest(&tip.state) {
                return Ok(false);
            }
            match self.sign_change(&hosted, &tip.state, change, None, now) {
                Ok(_) => {}
                Err(SignError::Read(error)) => return Err(error),
                Err(SignError::Refused(..)) => return Ok(false),
            }
            self.groups.due.remove(&group);
        }
        Ok(false)
    }

    /// The change that the first joining asks for which a state still allows.
    fn next_joining(&self, state: &State) -> Result<Option<Change>, ReadError> {
        for (agent, invite) in state.invites() {
            if self.said(state, agent, invite.record, true)?.is_some() {
                return Ok(Some(Change::Remove(agent)));
            }
            let add = Change::Add(agent);
            if self.said(state, agent, invite.record, false)?.is_some()
                && state.after(state.head(), state.keeper(), &add).is_ok()
            {
                return Ok(Some(add));
            }
        }
        for (agent, member) in state.members().filter(|(agent, _)| *agent != state.founder()) {
            if self.said(state, agent, member.since, true)?.is_some() {
                return Ok(Some(Change::Remove(agent)));
            }
        }
        Ok(None)
    }

    /// The record by which an agent says, with a key that speaks for it, that it joins or leaves.
    fn said(
        &self,
        state: &State,
        agent: AgentId,
        answers: RecordId,
        leaves: bool,
    ) -> Result<Option<RecordId>, ReadError> {
        let joinings = althing_group::joinings(&self.store, state.group(), agent, answers, leaves)?;
        if joinings.is_empty() {
            return Ok(None);
        }
        let history = self.key_history(agent)?;
        Ok(joinings.into_iter().find(|(key, _)| history.speaks(key)).map(|(_, record)| record))
    }

    /// Whether this node knows a group's newest state as well as it can before it changes it: a change that is signed
    /// after another one that was not known here forks the group.
    fn may_know_newest(&self, state: &State) -> bool {
        let mut changers = state.members().filter(|(agent, _)| state.may_change(*agent));
        let alone = changers.all(|(agent, _)| self.hosted(agent).is_some());
        (alone && !self.restored) || self.reconciler.has_synced(Domain::Directory)
    }

    /// The same for a client, who is told if it is not so.
    pub(crate) fn knows_newest(&mut self, no: AskNo, state: &State) -> bool {
        let is_known = self.may_know_newest(state);
        if !is_known {
            let group = state.group();
            let cause = format!("no peer has told this node since its start how {group} was changed before");
            let hint = Some("wait until a peer is connected: `althing peers`");
            self.refuse(no, RefusalKind::NotReady, cause, hint);
        }
        is_known
    }

    pub(crate) fn sign_change(
        &mut self,
        hosted: &HostedAgent,
        state: &State,
        change: Change,
        decision: Option<Blob<65_536>>,
        now: Now,
    ) -> Result<Record, SignError> {
        let body = Membership { prev: state.head(), change, decision };
        // Reconciliation brings what was made first first, so a change is made after the one before it.
        let after = self.record(state.head())?.map(|record| record.made());
        let content = Content::Body(cbor::to_vec(&body));
        self.sign_link_in(hosted, Some(state.group()), Kind::Membership, content, after, now)
    }

    /// A hosted agent, and a group that can be changed. If it is not so, the client is told.
    pub(crate) fn open_group(
        &mut self,
        no: AskNo,
        agent: AgentId,
        group: GroupId,
    ) -> Result<Option<(HostedAgent, Arc<Tip>)>, ReadError> {
        let Some(hosted) = self.hosted(agent).cloned() else {
            self.refuse_unhosted(no, agent);
            return Ok(None);
        };
        let Some(tip) = self.tip(group)? else {
            self.refuse_unknown_group(no, group);
            return Ok(None);
        };
        if let Some([first, second]) = tip.fork {
            let cause =
                format!("group {group} is forked: {first} and {second} both follow {}", tip.state.head());
            let hint =
                format!("those who were members there settle it: `althing group resolve {group} --keep ID`");
            self.refuse(no, RefusalKind::Conflict, cause, Some(&hint));
            return Ok(None);
        }
        Ok(Some((hosted, tip)))
    }

    pub(crate) fn refuse_unknown_group(&mut self, no: AskNo, group: GroupId) {
        let hint =
            Some("`althing group ls --all` shows the known groups; a new one may take a moment to arrive");
        self.refuse(no, RefusalKind::NotFound, format!("group {group} is not known here"), hint);
    }

    pub(crate) fn refuse_change(&mut self, no: AskNo, error: &GroupError) {
        let (kind, hint) = match error {
            GroupError::NotAllowed(_) => {
                (RefusalKind::Invalid, Some("`althing group show` lists who may change it"))
            }
            GroupError::NotMember(_) => {
                (RefusalKind::Invalid, Some("`althing group show` lists the members"))
            }
            GroupError::Founder(_) => {
                (RefusalKind::Conflict, Some("the founder's rights cannot be given up"))
            }
            GroupError::IsMember(_)
            | GroupError::IsInvited(_)
            | GroupError::IsAdmin(_)
            | GroupError::NotAdmin(_)
            | GroupError::Full
            | GroupError::Admins
            | GroupError::Invites
            | GroupError::Height => (RefusalKind::Conflict, None),
            GroupError::Kind { .. }
            | GroupError::Body(_)
            | GroupError::Name(_)
            | GroupError::Founding(_)
            | GroupError::Order => (RefusalKind::Invalid, None),
        };
        self.refuse(no, kind, error.to_string(), hint);
    }

    pub(crate) fn answer_group(
        &mut self,
        no: AskNo,
        group: GroupId,
        record: RecordId,
    ) -> Result<(), ReadError> {
        if let Some(tip) = self.tip(group)? {
            let answer = self.group_answer(&tip)?;
            self.answer(no, Answer::Group { group: Box::new(answer), record: Some(record) });
        }
        Ok(())
    }

    fn group_answer(&self, tip: &Tip) -> Result<Group, ReadError> {
        let state = &tip.state;
        let mut members = Vec::with_capacity(state.members().len());
        for (agent, member) in state.members() {
            let Some(role) = state.role(agent) else { continue };
            let leaving = self.said(state, agent, member.since, true)?.is_some();
            members.push(GroupMember { agent, role, leaving });
        }
        let mut invited = Vec::with_capacity(state.invites().len());
        for (agent, invite) in state.invites() {
            let joining = self.said(state, agent, invite.record, false)?.is_some();
            invited.push(GroupInvite { agent, by: invite.by, record: invite.record, joining });
        }
        let role = |hosted: &HostedAgent| Some((hosted.agent, state.role(hosted.agent)?));
        Ok(Group {
            group: state.group(),
            name: state.name().to_owned(),
            founder: state.founder(),
            height: u64::from(state.height()),
            head: state.head(),
            members,
            invited,
            keeper: state.keeper(),
            fork: tip.fork,
            settled: tip.settled.clone(),
            own: self.agents.iter().filter_map(role).collect(),
        })
    }
}
