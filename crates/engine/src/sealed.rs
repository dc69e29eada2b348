//! Sealed ballots: this node's agents as trustees, and what anyone may read from the records.
//!
//! A trustee's key follows from its agent's key and the proposal, so nothing has to be remembered, unless the agent's key is
//! replaced: a node publishes it when it sees the proposal, and its secret when it sees the decision on which ballots count.
//! Both are links of the `vote` chain, like all that must not be said twice.

mod cast;
mod hear;
mod keep;
mod show;

use std::collections::{BTreeMap, BTreeSet};

use althing_ballot::{Proposal, decision_of, has_key, keys_of, opening_of, unopened};
use althing_record::cbor::{self, Encode};
use althing_record::{AgentId, Content, Kind, RecordId};
use althing_store::{ReadError, Snapshot};

use self::cast::WaitingCast;
pub use self::show::{SealedTerms, Trustee};
use crate::engine::Engine;
use crate::publish::SignError;
use crate::{HostedAgent, Note, Now};

/// Most sealed votes that this node's agents are trustees of at once; further ones wait until there is room.
const OPEN_MAX: usize = 1_024;

/// Most of them that one agent elsewhere may have proposed, so that no stranger takes all places.
const OF_ONE_MAX: usize = 64;

/// Most unopened votes among which those that wait for room are looked for.
const WAITING_MAX: usize = 65_536;

/// How often those that wait are looked for at most, in milliseconds.
const LOOK_MS: u64 = 10_000;

/// From how many freshly signed records on an input signs no more for trustees.
const SIGNED_MAX: usize = 64;

/// When to try again what could not be signed, in milliseconds.
const BLOCKED_MS: u64 = 1_000;

/// The sealed votes that this node's agents are trustees of and have not opened, and ballots that wait for keys.
#[derive(Default)]
pub(crate) struct SealedVotes {
    open: BTreeMap<RecordId, OpenSealed>,
    /// Those with something to do.
    ready: BTreeSet<RecordId>,
    /// Whether some were not taken up because there was no room.
    crowded: bool,
    /// When those that wait were last looked for, on the clock of [`Now::ticks`].
    looked: u64,
    casts: Vec<WaitingCast>,
    /// Proposals of which keys came since ballots last looked for them.
    news: BTreeSet<RecordId>,
}

/// A sealed vote that agents of this node are trustees of.
struct OpenSealed {
    proposer: AgentId,
    /// When what could not be signed is tried again, on the clock of [`Now::ticks`].
    again: u64,
}

impl SealedVotes {
    /// When there is something to do next, on the clock of [`Now::ticks`].
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        if !self.ready.is_empty() || self.casts.iter().any(|cast| self.news.contains(&cast.proposal)) {
            return Some(0);
        }
        let again = self.open.values().map(|open| open.again).filter(|again| *again < u64::MAX);
        again.chain(self.casts.iter().map(|cast| cast.until)).min()
    }

    /// Forgets all but the ballots that wait: what they knew may not be on disk.
    pub(crate) fn clear(&mut self) {
        *self = Self { casts: std::mem::take(&mut self.casts), ..Self::default() };
    }
}

impl<S: Snapshot> Engine<S> {
    /// Takes up the sealed votes that this node's agents have not opened.
    pub(crate) fn resume_sealed(&mut self) -> Result<(), ReadError> {
        self.sealed.crowded = false;
        for id in unopened(&self.store, WAITING_MAX)? {
            self.take_up_sealed(id)?;
            if self.sealed.open.len() >= OPEN_MAX {
                self.sealed.crowded = true;
                break;
            }
        }
        Ok(())
    }

    /// Takes up a sealed vote if agents of this node are trustees of it.
    pub(super) fn take_up_sealed(&mut self, id: RecordId) -> Result<(), ReadError> {
        let Some(proposal) = self.proposal(id)? else { return Ok(()) };
        if self.hosted_trustees(&proposal).is_empty() {
            return Ok(());
        }
        let by = |open: &&OpenSealed| open.proposer == proposal.proposer;
        let is_stranger = self.hosted(proposal.proposer).is_none();
        let is_full = self.sealed.open.len() >= OPEN_MAX
            || (is_stranger && self.sealed.open.values().filter(by).count() >= OF_ONE_MAX);
        if is_full && !self.sealed.open.contains_key(&id) {
            self.sealed.crowded = true;
            return Ok(());
        }
        let fresh = OpenSealed { proposer: proposal.proposer, again: u64::MAX };
        self.sealed.open.entry(id).or_insert(fresh);
        self.sealed.ready.insert(id);
        Ok(())
    }

    /// Does what there is to do for sealed votes.
    pub(crate) fn pump_sealed(&mut self, now: Now) -> Result<(), ReadError> {
        self.retry_casts(now)?;
        if self.signing_stopped.is_some() {
            self.sealed.clear();
            return Ok(());
        }
        let is_time = now.ticks >= self.sealed.looked.saturating_add(LOOK_MS);
        if self.sealed.crowded && is_time && self.sealed.open.len() <= OPEN_MAX / 4 * 3 {
            self.sealed.looked = now.ticks;
            self.resume_sealed()?;
        }
        let due = self.sealed.open.iter().filter(|(_, open)| open.again <= now.ticks).map(|(id, _)| *id);
        let due: Vec<RecordId> = due.collect();
        self.sealed.ready.extend(due);
        while self.signed.len() < SIGNED_MAX {
            let Some(id) = self.sealed.ready.pop_first() else { break };
            let Some(mut open) = self.sealed.open.remove(&id) else { continue };
            let Some(proposal) = self.proposal(id)? else { continue };
            let is_decided = decision_of(&self.store, id)?.is_some();
            let mut is_blocked = false;
            for hosted in self.hosted_trustees(&proposal) {
                is_blocked |= !self.serve_as_trustee(&hosted, &proposal, is_decided, now)?;
            }
            open.again = if is_blocked { now.ticks + BLOCKED_MS } else { u64::MAX };
            if is_blocked || !is_decided {
                self.sealed.open.insert(id, open);
            }
        }
        Ok(())
    }

    fn hosted_trustees(&self, proposal: &Proposal) -> Vec<HostedAgent> {
        let Some(sealing) = proposal.sealing() else { return Vec::new() };
        let hosted = sealing.trustees().iter().filter_map(|trustee| self.hosted(*trustee));
        hosted.cloned().collect()
    }

    /// Publishes a trustee's key, or its secret once it is decided which ballots count. Gives whether all was said that
    /// there is to say now.
    fn serve_as_trustee(
        &mut self,
        hosted: &HostedAgent,
        proposal: &Proposal,
        is_decided: bool,
        now: Now,
    ) -> Result<bool, ReadError> {
        let secret = self.trustee_secret(hosted, proposal.id)?;
        let is_published = has_key(&self.store, proposal.id, hosted.agent, &secret.public())?;
        match (is_decided, is_published) {
            // With a second key it would contradict itself: whoever published the first has to open it.
            (false, false) if !keys_of(&self.store, proposal.id, hosted.agent, 1)?.is_empty() => Ok(true),
            (false, false) => {
                self.say_as_trustee(hosted, Kind::TrusteeKey, &secret.key_body(proposal.id), now)
            }
            (true, true)
                if opening_of(&self.store, proposal.id, hosted.agent, &secret.public())?.is_none() =>
            {
                self.say_as_trustee(hosted, Kind::Opening, &secret.opening_body(proposal.id), now)
            }
            (true, true) => {
                self.drop_secret(hosted.agent, proposal.id)?;
                Ok(true)
            }
            (false, true) | (true, false) => Ok(true),
        }
    }

    fn say_as_trustee(
        &mut self,
        hosted: &HostedAgent,
        kind: Kind,
        body: &impl Encode,
        now: Now,
    ) -> Result<bool, ReadError> {
        match self.sign_link(hosted, kind, Content::Body(cbor::to_vec(body)), now) {
            Ok(_) => Ok(true),
            Err(SignError::Read(error)) => Err(error),
            Err(SignError::Refused(_, cause)) => {
                self.note(Note::NotClosed { cause });
                Ok(false)
            }
        }
    }
}
