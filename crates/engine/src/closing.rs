//! Closed decisions: this node's agents as closers, and what anyone may read from the records.
//!
//! Every word of a closer is a link of its chain: what it acknowledged, its report, and its part in the agreement. So it
//! is in the vote guard before it leaves, spreads like ballots do, and a contradiction proves itself. A decision is read
//! from the records alone: enough precommits for one value. It does not matter who tells of it.

mod hear;
mod motions;
mod resume;
mod say;
mod value;

use std::cell::RefCell;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use althing_agree::{Agreement, Instance, Message, Value};
use althing_ballot::{Ack, Ballot, Choice, CloseReport, Closing, Count, Docket, Manifest, Proposal};
use althing_record::{AgentId, RecordId};

use crate::Now;

/// Most Closed votes that this node's agents close at once; further ones are closed by others, or when there is room.
const OPEN_MAX: usize = 1_024;

/// How often those that wait are looked for at most, in milliseconds.
const LOOK_MS: u64 = 10_000;

/// Most of them that one agent elsewhere may have proposed, so that no stranger takes all places.
const OF_ONE_MAX: usize = 64;

/// Most undecided votes among which those that wait for room are looked for.
const WAITING_MAX: usize = 65_536;

/// Most messages of one vote that wait to be looked at.
const INBOX_MAX: usize = 4_096;

/// Most values at one seat of which something is missing: one for each round that ends without a decision.
const JUDGING_MAX: usize = 64;

/// Most reports of one closer that are kept in memory: two contradict each other.
const REPORTS_MAX: usize = 2;

/// From how many freshly signed records on an input takes up no further vote: what one vote signs at once fits beside them
/// into the vote guard.
const SIGNED_MAX: usize = 64;

/// Rounds whose statements are looked up when an agreement begins.
const ROUNDS_FIRST: u32 = 16;

/// Most counts that are kept in memory: as many votes as a list shows, so that none is counted again for each list.
const COUNTS_CACHED: usize = 1_024;

/// When to try again what could not be signed, in milliseconds.
const BLOCKED_MS: u64 = 1_000;

/// How long an acknowledgement waits for others, in milliseconds: a report that comes in the meantime says the same.
const ACKS_MS: u64 = 10;

/// How long after its window a vote that is not decided makes this node reconcile more often, in milliseconds.
const HASTE_MS: u64 = 60_000;

/// How often it does so at most, in milliseconds, and with how many peers.
const HASTE_PERIOD_MS: u64 = 900;
const HASTE_PEERS: usize = 4;

/// Most decided votes of which something is missing and asked for at once; the periodic rounds bring what others miss.
const INCOMPLETE_MAX: usize = 1_024;

const UNKNOWN: &str = "its proposal is not known";

/// The Closed votes that this node's agents close and that are not decided.
#[derive(Default)]
pub(crate) struct Closings {
    open: BTreeMap<RecordId, OpenVote>,
    /// Those with something to do.
    ready: BTreeSet<RecordId>,
    /// Proposals that just came.
    fresh: Vec<RecordId>,
    /// Whether some were not taken up because there was no room.
    crowded: bool,
    /// Motions for checkpoints that may be taken up now.
    motions: BTreeSet<RecordId>,
    /// Whether one was not taken up because there was no room.
    motions_wait: bool,
    /// When these were last looked for, on the clock of [`Now::ticks`].
    motions_looked: u64,
    /// When those that wait were last looked for, on the clock of [`Now::ticks`].
    looked: u64,
    /// Those of which something could not be kept: they are taken up anew.
    lost: BTreeSet<RecordId>,
    /// When peers were last asked for what may have been lost, on the clock of [`Now::ticks`].
    asked: u64,
    /// Decided votes of which something that they are counted from is not here, and until when it is asked for.
    incomplete: BTreeMap<RecordId, Option<u64>>,
    /// Counts of decided votes, which never change.
    counts: RefCell<BTreeMap<RecordId, Counted>>,
}

/// The ballots that count in a decided vote, and what they come to.
pub(crate) type Counted = Arc<(Manifest, Count)>;

/// A vote that agents of this node close.
struct OpenVote {
    /// What is decided, or the terms of the docket.
    proposal: Arc<Proposal>,
    docket: Option<Arc<Docket>>,
    instance: Arc<Instance>,
    closers: Vec<AgentId>,
    /// When it is closed if not all voters have voted, on the clock of [`Now::ticks`]: each closer's own time since it
    /// first saw the proposal, or since its start.
    closes: u64,
    /// Whether the proposal was here before this start.
    is_old: bool,
    seats: BTreeMap<AgentId, Seat>,
    /// Messages of closers that live elsewhere, or of other seats here.
    inbox: Vec<(AgentId, Message)>,
    /// What was shown again last, by record: while nothing is decided it is shown every second, and verified once.
    shown: BTreeMap<RecordId, (AgentId, Message)>,
    /// Whether ballots or reports came since values were last judged.
    is_news: bool,
    /// Who has reported.
    reported: BTreeSet<AgentId>,
    /// The reports that fit, by record, so that not every look at a value reads them again.
    reports: BTreeMap<RecordId, CloseReport>,
    /// The choices in ballots that came, by voter and batch.
    choices: BTreeMap<(AgentId, RecordId), Choice>,
    /// Nothing is tried before then: something could not be signed.
    not_before: u64,
}

/// One of this node's agents as a closer.
struct Seat {
    acked: BTreeMap<u16, RecordId>,
    /// Acknowledged, and not yet signed; and when to sign, once that is set.
    fresh: Vec<Ack>,
    acks_due: Option<u64>,
    /// The agreement, begun when this closer has reported.
    agreement: Option<Agreement>,
    /// When the agreement wants to be woken.
    wake: u64,
    judging: Vec<Value>,
}

/// What is known about a value.
pub(crate) enum Judged {
    Valid,
    Invalid,
    /// Something that it names is not here.
    Unknown,
}

impl Closings {
    /// When there is something to do next, on the clock of [`Now::ticks`].
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        if !self.ready.is_empty() {
            return Some(0);
        }
        let ask = (!self.incomplete.is_empty()).then(|| self.asked + HASTE_PERIOD_MS);
        self.open.values().map(OpenVote::next_deadline).chain(ask).min()
    }

    /// The latest values of an open vote of which something is missing here, at most so many a seat.
    pub(crate) fn judged(&self, vote: RecordId, limit: usize) -> impl Iterator<Item = Vec<u8>> {
        let seats = self.open.get(&vote).into_iter().flat_map(|open| open.seats.values());
        seats.flat_map(move |seat| seat.judging.iter().rev().take(limit)).map(|value| value.bytes().to_vec())
    }

    /// Forgets all: what they knew may not be on disk.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl OpenVote {
    fn next_deadline(&self) -> u64 {
        let waits = self.seats.values().any(|seat| seat.agreement.is_none());
        let close = if waits { self.closes } else { u64::MAX };
        let wakes = self.seats.values().filter(|seat| seat.agreement.is_some()).map(|seat| seat.wake);
        let acks = self.seats.values().filter_map(|seat| seat.acks_due);
        wakes.chain(acks).min().unwrap_or(u64::MAX).min(close).max(self.not_before)
    }

    /// Whether it is to be closed now at a seat: all voters voted, the time is over, or so many closers have closed that
    /// one of them is honest.
    fn is_over(&self, seat: &Seat, now: Now) -> bool {
        let faulty = self.closers.len() - Closing::reports_needed(self.closers.len());
        seat.acked.len() == self.proposal.electorate.voters().len()
            || now.ticks >= self.closes
            || self.reported.len() > faulty
    }

    fn place(&self, voter: AgentId) -> Option<u16> {
        let voters = self.proposal.electorate.voters();
        let place = voters.binary_search_by_key(&voter, |voter| voter.agent).ok()?;
        u16::try_from(place).ok()
    }
}

/// Acknowledges a voter's first ballot at every seat that has not reported.
fn acknowledge(open: &mut OpenVote, ballot: &Ballot, batch: RecordId) {
    if open.docket.is_some() || !ballot.choice.fits(&open.proposal) {
        return;
    }
    // Whoever makes more ballots than there can be honest ones is read from the store.
    if open.choices.len() < 2 * open.proposal.electorate.voters().len() {
        open.choices.insert((ballot.voter, batch), ballot.choice.clone());
    }
    acknowledge_batch(open, ballot.voter, batch);
}

/// The same for a batch that is known to answer the proposal or the docket.
fn acknowledge_batch(open: &mut OpenVote, voter: AgentId, batch: RecordId) {
    let Some(place) = open.place(voter) else { return };
    open.is_news = true;
    let proposal = open.proposal.id;
    for seat in open.seats.values_mut().filter(|seat| seat.agreement.is_none()) {
        if let Entry::Vacant(vacant) = seat.acked.entry(place) {
            vacant.insert(batch);
            seat.fresh.push(Ack { proposal, voter: place, batch });
        }
    }
}
