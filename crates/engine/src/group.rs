//! Groups as the records have them: the state after each change, which of them is the newest, and what is taken in.
//!
//! A state depends on the records on the way to it alone, so whether a change follows from the one before is so for
//! good. Which keys speak for an agent may change; a change under a key that does not speak makes no newest state and no
//! fork.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use althing_ballot::{Electorate, Proposal, VotedChange};
use althing_group::{State, Step};
use althing_record::{AgentId, Change, GroupId, Joining, Membership, NodeId, Record, RecordId};
use althing_store::{ReadError, Snapshot};

use crate::admit::{Admission, UNKNOWN_KEY};
use crate::body::GroupBody;
use crate::engine::Engine;
use crate::{Event, ForkSettled, Now};

/// Most states, and most newest states, that are kept in memory.
const STATES_CACHED: usize = 256;

/// How often peers are asked for what a group's records wait for, in milliseconds.
const SEEK_MS: u64 = 1_000;

const UNKNOWN: Admission = Admission::Early("its group's state is not known");

/// What is known of groups without reading their rows again, and what is to be done.
#[derive(Default)]
pub(crate) struct Groups {
    states: RefCell<BTreeMap<RecordId, Arc<State>>>,
    tips: RefCell<BTreeMap<GroupId, Arc<Tip>>>,
    /// Groups in which an agent of this node may have to make joinings into changes.
    pub(super) due: BTreeSet<GroupId>,
    /// Nothing is tried before then, on the clock of [`crate::Now::ticks`].
    pub(super) not_before: u64,
    /// When peers may be asked again for what is missing, on the same clock.
    seek_at: u64,
}

/// The newest state of a group.
#[derive(Clone, Debug)]
pub(crate) struct Tip {
    pub(crate) state: Arc<State>,
    /// The lowest two of several changes right after it: the group is forked there, and that is not settled.
    pub(crate) fork: Option<[RecordId; 2]>,
    /// The forks on the way that members settled.
    pub(crate) settled: Vec<ForkSettled>,
}

impl Groups {
    /// Forgets what rows said that may be gone.
    pub(crate) fn forget(&mut self) {
        self.states.get_mut().clear();
        self.tips.get_mut().clear();
    }

    /// Forgets which states are the newest: other keys may speak now.
    pub(crate) fn forget_tips(&self) {
        self.tips.borrow_mut().clear();
    }

    /// When there is something to do next, on the clock of [`crate::Now::ticks`].
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        (!self.due.is_empty()).then_some(self.not_before)
    }
}

impl<S: Snapshot> Engine<S> {
    /// The state of a group after a record; `None` if not all records on the way to it are here.
    pub(crate) fn group_state(&self, id: RecordId) -> Result<Option<Arc<State>>, ReadError> {
        let (mut way, mut at) = (Vec::new(), id);
        let mut state = loop {
            if let Some(state) = self.groups.states.borrow().get(&at) {
                break state.clone();
            }
            if let Some(step) = althing_group::step(&self.store, at)? {
                let prev = step.prev;
                way.push((at, step));
                at = prev;
                continue;
            }
            if althing_group::founding_key(&self.store, GroupId(at.0))?.is_none() {
                return Ok(None);
            }
            let Some(Ok(state)) = self.record(at)?.map(|record| State::founded(&record)) else {
                return Ok(None);
            };
            break Arc::new(state);
        };
        if !way.is_empty() {
            let mut next = Arc::unwrap_or_clone(state);
            for (id, step) in way.into_iter().rev() {
                match next.then_step(id, &step) {
                    Ok(after) => next = after,
                    Err(_) => return Ok(None),
                }
            }
            state = Arc::new(next);
        }
        let mut states = self.groups.states.borrow_mut();
        if states.len() >= STATES_CACHED {
            states.clear();
        }
        states.insert(id, state.clone());
        Ok(Some(state))
    }

    /// The newest state of a group, or the last before it is forked; `None` if the group is not known, or its founder's
    /// key does not speak.
    pub(crate) fn tip(&self, group: GroupId) -> Result<Option<Arc<Tip>>, ReadError> {
        if let Some(tip) = self.groups.tips.borrow().get(&group) {
            return Ok(Some(tip.clone()));
        }
        let Some((founder, key)) = althing_group::founding_key(&self.store, group)? else { return Ok(None) };
        if !self.key_history(founder)?.speaks(&key) {
            return Ok(None);
        }
        let Some(founded) = self.group_state(RecordId(group.0))? else { return Ok(None) };
        let (mut state, mut settled) = (Arc::unwrap_or_clone(founded), Vec::new());
        let fork = loop {
            let next = self.steps_after(state.head())?;
            let (id, step) = match &next[..] {
                [] => break None,
                [(id, step)] => (*id, step.clone()),
                [(first, _), (second, _), ..] => {
                    let Some(chosen) = self.settled_branch(&state)? else { break Some([*first, *second]) };
                    settled.push(chosen);
                    let Some(step) = althing_group::step(&self.store, chosen.kept)? else { return Ok(None) };
                    (chosen.kept, step)
                }
            };
            // Only changes that follow are in the view.
            match state.then_step(id, &step) {
                Ok(after) => state = after,
                Err(_) => return Ok(None),
            }
        };
        let is_plain = fork.is_none() && settled.is_empty();
        let tip = Arc::new(Tip { state: Arc::new(state), fork, settled });
        // Which branch of a fork holds follows from votes, too, and these may come at any time.
        if !is_plain {
            return Ok(Some(tip));
        }
        let mut tips = self.groups.tips.borrow_mut();
        if tips.len() >= STATES_CACHED {
            tips.clear();
        }
        tips.insert(group, tip.clone());
        Ok(Some(tip))
    }

    /// The lowest two changes right after a record whose keys speak for their authors.
    fn steps_after(&self, prev: RecordId) -> Result<Vec<(RecordId, Step)>, ReadError> {
        let mut steps = Vec::new();
        for id in althing_group::children(&self.store, prev, usize::MAX)? {
            if let Some(step) = althing_group::step(&self.store, id)?
                && self.key_history(step.author)?.speaks(&step.key)
            {
                steps.push((id, step));
                if steps.len() == 2 {
                    break;
                }
            }
        }
        Ok(steps)
    }

    /// Whether what is said in a group follows from what was said there before; a Founding follows from nothing.
    pub(crate) fn weigh_group(
        &self,
        record: &Record,
        body: &GroupBody,
    ) -> Result<Option<Admission>, ReadError> {
        match body {
            GroupBody::Founding(_) => Ok(None),
            GroupBody::Change(body) => self.weigh_change(record, body),
            GroupBody::Joining(body) => self.weigh_joining(record, body),
        }
    }

    pub(crate) fn fold_group(&mut self, record: &Record, body: &GroupBody) -> Result<(), ReadError> {
        match body {
            GroupBody::Founding(state) => self.fold_founding(record, state),
            GroupBody::Change(body) => return self.fold_change(record, body),
            GroupBody::Joining(body) => return self.fold_joining(record, body),
        }
        Ok(())
    }

    /// Each change waits for the one before it, and a card for the rotation to the key that signed it; gossip may bring them
    /// in another order: whoever passed on what cannot be judged yet has the rest.
    pub(crate) fn seek_rest(&mut self, admission: &Admission, from: NodeId, now: Now) {
        if *admission != UNKNOWN && *admission != UNKNOWN_KEY {
            return;
        }
        if now.ticks >= self.groups.seek_at {
            self.reconciler.want_at(from, now.ticks);
            self.groups.seek_at = now.ticks + SEEK_MS;
        } else {
            self.reconciler.want_at(from, self.groups.seek_at);
        }
    }

    /// A change is taken when the state before it is known, and it follows from that.
    fn weigh_change(&self, record: &Record, body: &Membership) -> Result<Option<Admission>, ReadError> {
        let Some(state) = self.group_state(body.prev)? else { return Ok(Some(UNKNOWN)) };
        if record.group() != Some(state.group()) {
            return Ok(Some(Admission::Unwanted("it is of another group than the change before it".into())));
        }
        let after = state.after_record(record, |state, record, body| {
            VotedChange::check(&self.network, state, record, body)
        });
        Ok(after.err().map(|error| Admission::Unwanted(error.to_string())))
    }

    /// A joining is taken when it answers its agent's invitation; of a member that leaves, the record that made it one.
    fn weigh_joining(&self, record: &Record, body: &Joining) -> Result<Option<Admission>, ReadError> {
        let Some(state) = self.group_state(body.answers)? else { return Ok(Some(UNKNOWN)) };
        let agent = record.agent();
        let invited = state.invite(agent).is_some_and(|invite| invite.record == body.answers);
        let added = state.member(agent).is_some_and(|member| member.since == body.answers);
        let answers = invited || (added && body.leaves.is_some());
        if record.group() == Some(state.group()) && answers {
            return Ok(None);
        }
        Ok(Some(Admission::Unwanted(
            "it answers no record that invites its agent or makes it a member".into(),
        )))
    }

    /// A group's proposal is taken when the state that it names is known, its voters are the members then, and one of
    /// them proposes; one of holders of a skill, when they are weighed by a rating epoch that was settled.
    pub(crate) fn weigh_electorate(
        &self,
        record: &Record,
        electorate: &Electorate,
    ) -> Result<Option<Admission>, ReadError> {
        let proposer = record.agent();
        let Some(of) = electorate.group() else {
            return Ok(self.why_no_holders(electorate, record.made()).map(Admission::Unwanted));
        };
        let Some(state) = self.group_state(of.head)? else { return Ok(Some(UNKNOWN)) };
        let voters = electorate.voters().iter().map(|voter| voter.agent);
        let cause = if state.group() != of.group {
            "its electorate names a state of another group"
        } else if !state.members().map(|(agent, _)| agent).eq(voters) {
            "its electorate is not the group's members"
        } else if !state.is_member(proposer) {
            "its proposer is not a member of the group"
        } else {
            return Ok(None);
        };
        Ok(Some(Admission::Unwanted(cause.into())))
    }

    /// A group's Founding was taken in.
    fn fold_founding(&mut self, record: &Record, state: &State) {
        let mut batch = althing_store::Batch::default();
        althing_group::index_founding(record, state, &mut batch);
        self.write_all(&batch);
        let (group, agent) = (state.group(), state.founder());
        self.tell_group(group, record.id(), agent, "founded", 0);
    }

    /// A change to a group was taken in, which follows from the one before.
    fn fold_change(&mut self, record: &Record, body: &Membership) -> Result<(), ReadError> {
        let Some(group) = record.group() else { return Ok(()) };
        let mut batch = althing_store::Batch::default();
        althing_group::index_step(record, group, body, &mut batch);
        self.write_all(&batch);
        self.look_after(group)?;
        let Some(state) = self.group_state(record.id())? else { return Ok(()) };
        let (_, agent) = body.change.parts();
        self.tell_group(group, record.id(), agent, change_name(&body.change), state.height());
        let before = self.groups.tips.get_mut().remove(&group);
        // Nothing follows what has just come, so after the newest state it is the newest.
        if before.is_some_and(|tip| tip.fork.is_none() && tip.state.head() == body.prev)
            && self.key_history(record.agent())?.speaks(record.signing_key())
        {
            self.groups
                .tips
                .get_mut()
                .insert(group, Arc::new(Tip { state, fork: None, settled: Vec::new() }));
        }
        Ok(())
    }

    /// What an agent says for itself was taken in.
    fn fold_joining(&mut self, record: &Record, body: &Joining) -> Result<(), ReadError> {
        let Some(group) = record.group() else { return Ok(()) };
        let mut batch = althing_store::Batch::default();
        althing_group::index_joining(&self.store, record, group, body, &mut batch)?;
        self.write_all(&batch);
        self.look_after(group)
    }

    /// There may be something to do in a group, if an agent of this node is named in it; others' are not even read.
    pub(crate) fn look_after(&mut self, group: GroupId) -> Result<(), ReadError> {
        for hosted in &self.agents {
            if althing_group::is_named(&self.store, hosted.agent, group)? {
                self.groups.due.insert(group);
                break;
            }
        }
        Ok(())
    }

    fn tell_group(&mut self, group: GroupId, record: RecordId, agent: AgentId, change: &str, height: u32) {
        self.tell(&Event::GroupChanged { group, record, agent, change: change.to_owned(), height });
    }

    /// The records from a group's Founding to the state of a proposal's electorate, if it is a group's.
    pub(crate) fn group_records(&self, proposal: &Proposal) -> Result<Vec<Record>, ReadError> {
        let (mut records, mut at) = (Vec::new(), proposal.electorate.group().map(|state| state.head));
        while let Some(id) = at {
            records.extend(self.record(id)?);
            at = althing_group::step(&self.store, id)?.map(|step| step.prev);
        }
        Ok(records)
    }
}

/// What a change is called in events.
fn change_name(change: &Change) -> &'static str {
    match change {
        Change::Invite(_) => "invited",
        Change::Add(_) => "added",
        Change::Remove(_) => "removed",
        Change::Promote(_) => "promoted",
        Change::Demote(_) => "demoted",
    }
}
