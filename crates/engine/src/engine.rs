mod effects;
mod recall;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use althing_ballot::Proposal;
use althing_record::{AgentId, Incarnation, KeyHistory, Millis, Network, NodeId, NodeKey, RecordId};
use althing_store::{Batch, CommitNo, Guard, Head, Overlay, ReadError, Snapshot, Table};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use crate::announce::Announcer;
use crate::cases::Cases;
use crate::checkpoint::{Checkpoints, ScoreAsk};
use crate::closing::Closings;
use crate::docket::Dockets;
use crate::group::Groups;
use crate::journal::Journal;
use crate::masses::Masses;
use crate::proofs::Proofs;
use crate::pruning::Pruning;
use crate::quota::Authors;
use crate::reconcile::Reconciler;
use crate::reputation::Ratings;
use crate::restored::{INCARNATION, is_restored};
use crate::sealed::SealedVotes;
use crate::search::{Memory, Search};
use crate::surplus::Surpluses;
use crate::{
    Config, Deadline, Effect, GuardStatus, HostedAgent, Input, Note, Now, Output, Request, RequestNo, Source,
    Timing,
};

/// Most parsed proposals that are kept in memory.
const PROPOSALS_CACHED: usize = 512;

/// The largest correction of this clock, in milliseconds: what this node's own admission tolerates. Peers that tell of
/// more are warned about and not believed.
const CORRECTION_MS_MAX: u64 = 11 * Millis::MINUTE;

/// The row that says whose directory it is, for whoever looks at it without the keys.
pub const NODE: &[u8] = b"node";

/// Most peers that the engine keeps state about.
pub const PEERS_MAX: usize = 4_096;

/// A node as one state machine: inputs in, outputs out, no IO, no clock, no entropy of its own.
///
/// The same configuration, seed and inputs give the same outputs, byte for byte. After each [`Engine::handle`] the
/// caller drains [`Engine::poll`] and releases each output when its commit is durable (see [`crate::Gate`]).
pub struct Engine<S> {
    pub(crate) network: Network,
    pub(crate) node_key: NodeKey,
    pub(crate) agents: Vec<HostedAgent>,
    pub(crate) timing: Timing,
    pub(crate) expects_peers: bool,
    pub(crate) keeps_ledger: bool,
    pub(crate) incarnation: Incarnation,
    pub(crate) random: ChaCha8Rng,
    pub(crate) store: Overlay<S>,
    pub(crate) journal: Journal,

    // The commit being built by the current input.
    batch: Batch,
    gated: Vec<Effect>,
    pub(crate) signed: Vec<Vec<u8>>,
    /// Links of own chains that were signed in commits that are not yet durable.
    pub(crate) unacknowledged: VecDeque<(CommitNo, Vec<Vec<u8>>)>,
    /// Agents as they were before a rotation whose commit is not yet durable.
    pub(crate) rotating: Vec<(CommitNo, HostedAgent)>,
    /// Set while the disk is full: nothing is taken in or signed.
    pub(crate) read_only: bool,
    /// Whether this directory was restored from a copy, or a key in it from shares.
    pub(crate) restored: bool,

    outputs: VecDeque<Output>,
    pub(crate) assigned: CommitNo,
    pub(crate) durable: CommitNo,
    pub(crate) heads: BTreeMap<Vec<u8>, Head>,
    pub(crate) signing_stopped: Option<String>,
    halted: bool,
    woken_at: Option<Deadline>,

    pub(crate) peers: BTreeSet<NodeId>,
    pub(crate) met_a_peer: bool,
    pub(crate) addresses: Vec<String>,
    pub(crate) clock_offsets: BTreeMap<NodeId, i64>,
    pub(crate) clock_warned: bool,
    pub(crate) proposals: BTreeMap<RecordId, Arc<Proposal>>,
    pub(crate) cases: RefCell<Cases>,
    pub(crate) histories: RefCell<BTreeMap<AgentId, Arc<KeyHistory>>>,
    pub(crate) announcer: Announcer,
    pub(crate) reconciler: Reconciler,
    pub(crate) searches: BTreeMap<u64, Search>,
    pub(crate) authors: Authors,
    pub(crate) surpluses: Surpluses,
    /// Lookups under way, and for which search.
    pub(crate) lookups: BTreeMap<u64, u64>,
    pub(crate) memory: Memory,
    pub(crate) closings: Closings,
    pub(crate) dockets: Dockets,
    pub(crate) groups: Groups,
    pub(crate) sealed: SealedVotes,
    pub(crate) ratings: Ratings,
    pub(crate) masses: Masses,
    pub(crate) proofs: Proofs,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) pruning: Pruning,
    /// Questions for scores that peers were asked.
    pub(crate) scores_asked: BTreeMap<RequestNo, ScoreAsk>,
    /// When this engine began, on its wall clock.
    pub(crate) began: Millis,
    pub(crate) next_number: u64,
    pub(crate) due: Due,
}

/// When the engine's own work is due, on the clock of [`Now::ticks`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Due {
    pub(crate) sync: u64,
    pub(crate) sweep: u64,
    pub(crate) lease: u64,
    pub(crate) provide: u64,
}

impl Due {
    /// Nothing is due before then.
    fn postpone(&mut self, ticks: u64) {
        for due in [&mut self.sync, &mut self.sweep, &mut self.lease, &mut self.provide] {
            *due = ticks.max(*due);
        }
    }
}

impl<S: Snapshot> Engine<S> {
    /// A node over what `store` holds. `seed` is its only entropy.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn new(config: Config, store: S, seed: [u8; 32], now: Now) -> Result<Self, ReadError> {
        let mut random = ChaCha8Rng::from_seed(seed);
        let store = Overlay::new(store);
        let stored = store.get(Table::Meta, INCARNATION)?;
        let incarnation = stored.as_deref().and_then(|bytes| Incarnation::try_from(bytes).ok());
        let fresh = incarnation.is_none();
        let incarnation = incarnation.unwrap_or_else(|| {
            let mut bytes = [0; 8];
            random.fill_bytes(&mut bytes);
            Incarnation(bytes)
        });
        let journal = Journal::open(&store, &mut random, now.wall)?;
        let (guard, signing_stopped) = match config.guard {
            GuardStatus::Ready(guard) => (guard, None),
            GuardStatus::Stopped(cause) => (Guard::default(), Some(cause)),
        };
        let stopped_before = store.get(Table::Meta, crate::signing::SIGNING_STOPPED)?;
        let restored = is_restored(&store)?;
        let node = config.node_key.node();
        let is_noted = store.get(Table::Meta, NODE)?.as_deref() == Some(&node.0[..]);
        let mut engine = Self {
            network: config.network,
            node_key: config.node_key,
            agents: config.agents,
            timing: config.timing,
            expects_peers: config.expects_peers,
            keeps_ledger: config.keeps_ledger,
            incarnation,
            random,
            store,
            journal,
            batch: Batch::default(),
            gated: Vec::new(),
            signed: Vec::new(),
            unacknowledged: VecDeque::new(),
            rotating: Vec::new(),
            read_only: false,
            restored,
            outputs: VecDeque::new(),
            assigned: config.last_commit,
            durable: config.last_commit,
            heads: guard.heads.into_iter().map(|head| (head.chain.clone(), head)).collect(),
            signing_stopped: None,
            halted: false,
            woken_at: None,
            peers: BTreeSet::new(),
            met_a_peer: false,
            addresses: Vec::new(),
            clock_offsets: BTreeMap::new(),
            clock_warned: false,
            proposals: BTreeMap::new(),
            cases: RefCell::default(),
            histories: RefCell::default(),
            announcer: Announcer::default(),
            reconciler: Reconciler::default(),
            searches: BTreeMap::new(),
            authors: Authors::default(),
            surpluses: Surpluses::default(),
            lookups: BTreeMap::new(),
            memory: Memory::default(),
            closings: Closings::default(),
            dockets: Dockets::default(),
            groups: Groups::default(),
            sealed: SealedVotes::default(),
            ratings: Ratings::default(),
            masses: Masses::default(),
            proofs: Proofs::default(),
            checkpoints: Checkpoints::default(),
            pruning: Pruning::default(),
            scores_asked: BTreeMap::new(),
            began: now.wall,
            next_number: 0,
            due: Due {
                sync: now.ticks + config.timing.sync_ms,
                sweep: now.ticks,
                lease: now.ticks,
                provide: now.ticks,
            },
        };
        if fresh {
            engine.put(Table::Meta, INCARNATION.to_vec(), incarnation.0.to_vec());
        }
        if !is_noted {
            engine.put(Table::Meta, NODE.to_vec(), node.0.to_vec());
        }
        let stopped_before = stopped_before.map(|cause| String::from_utf8_lossy(&cause).into_owned());
        if let Some(cause) = stopped_before.or(signing_stopped) {
            engine.note(Note::SigningStopped { cause: cause.clone() });
            engine.signing_stopped = Some(cause);
        }
        engine.tell_start();
        engine.begin(&guard.pending, now)?;
        engine.finish(now);
        Ok(engine)
    }

    /// Takes one input. Drain [`Engine::poll`] before the next.
    pub fn handle(&mut self, now: Now, input: Input) {
        if self.halted {
            return;
        }
        self.journal.now = now.wall;
        let stepped = self.step(now, input);
        let pumped = stepped.and_then(|()| self.pump_checkpoints(now)).and_then(|()| self.pump_votes(now));
        let pumped = pumped.and_then(|()| self.keep_groups(now)).and_then(|()| self.pump_ratings(now));
        let pumped = pumped.and_then(|()| self.pump_masses(now));
        let pumped = pumped.and_then(|()| self.pump_proofs(now)).and_then(|()| self.pump_pruning(now));
        if let Err(error) = pumped {
            self.halt(error.to_string());
            return;
        }
        self.finish(now);
    }

    /// Does what there is to do for votes that this node's agents close or open.
    fn pump_votes(&mut self, now: Now) -> Result<(), ReadError> {
        if self.read_only {
            return Ok(());
        }
        self.pump_closings(now)?;
        self.pump_sealed(now)
    }

    /// The next output, until there is none.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Whether the engine stopped for good.
    #[must_use]
    pub fn is_halted(&self) -> bool {
        self.halted
    }

    /// This node.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.node_key.node()
    }

    /// What is missing before the node is ready; empty when ready.
    #[must_use]
    pub fn waiting_for(&self) -> Vec<String> {
        let mut missing = Vec::new();
        if self.expects_peers && !self.met_a_peer {
            missing.push("a first peer".to_owned());
        }
        if self.read_only {
            missing.push("space on the disk".to_owned());
        }
        missing
    }

    /// Read access to the rows as the engine sees them, its own uncommitted writes included.
    #[must_use]
    pub fn store(&self) -> &Overlay<S> {
        &self.store
    }

    fn step(&mut self, now: Now, input: Input) -> Result<(), ReadError> {
        match input {
            Input::Connected(peer) => {
                if self.peers.len() < PEERS_MAX {
                    self.peers.insert(peer);
                }
                self.met_a_peer = true;
                self.reconciler.welcome(peer, now.ticks);
                // What was announced before there was anyone to tell is announced again soon.
                self.announcer.met(self.peers.len(), now.ticks);
                self.pump_sync(now)?;
            }
            Input::Disconnected(peer) => {
                self.peers.remove(&peer);
                self.clock_offsets.remove(&peer);
                self.reconciler.forget(peer);
                self.pump_sync(now)?;
            }
            Input::Addresses(addresses) => {
                let changed = self.addresses != addresses;
                self.addresses = addresses;
                if changed && !self.read_only {
                    self.renew_leases(now)?;
                }
            }
            Input::Gossip { message, .. } if self.read_only => {
                self.effect(Effect::Verdict(message, althing_record::Verdict::Ignore));
            }
            Input::Gossip { message, from, record } => {
                let admission = self.admit(&record, Source::Gossip, now)?;
                self.seek_rest(&admission, from, now);
                self.effect(Effect::Verdict(message, admission.verdict()));
            }
            Input::Request { reply, request: Request::Prove { record, checkpoint, rows }, .. } => {
                self.on_prove(reply, (record, checkpoint), &rows)?;
            }
            Input::Request { reply, request, .. } => {
                let response = self.serve(&request, now)?;
                // It may hold something that was signed here a moment ago and is not on disk yet.
                self.effect_when_durable(Effect::Respond(reply, response));
            }
            Input::Response { request, .. } if self.read_only => self.on_request_failed(request, now)?,
            Input::Response { request, response } => self.on_response(request, response, now)?,
            Input::RequestFailed(request) => self.on_request_failed(request, now)?,
            Input::LookupFound { query, providers, end } => {
                self.on_lookup(query.0, &providers, end, now)?;
            }
            Input::Committed(no) => {
                self.durable = self.durable.max(no);
                self.store.committed(no);
                self.rotating.retain(|(commit, _)| *commit > self.durable);
                while self.unacknowledged.front().is_some_and(|(commit, _)| *commit <= no) {
                    self.unacknowledged.pop_front();
                }
            }
            Input::CommitFailed { no, cause } => self.on_disk_full(no, &cause)?,
            Input::Writable => self.on_writable(now)?,
            Input::JobDone(no, table) => self.on_job_done(no, table, now)?,
            // The rater is asked again after a restart.
            Input::Checked(..) if self.read_only => {}
            Input::Checked(no, rows) => self.on_checked(no, &rows, now)?,
            Input::Wake if self.read_only => {
                self.woken_at = None;
                self.due.postpone(now.ticks + 1_000);
                self.end_late_searches(now)?;
            }
            Input::Wake => self.on_wake(now)?,
            Input::Ask { no, ask } if self.read_only && ask.writes() => {
                self.refuse_while_full(no);
            }
            Input::Ask { no, ask } => self.on_ask(no, ask, now)?,
        }
        Ok(())
    }

    fn begin(&mut self, pending: &[Vec<u8>], now: Now) -> Result<(), ReadError> {
        self.ensure_index()?;
        self.resume_pruning()?;
        self.keep_signed(pending, now)?;
        for hosted in self.agents.clone() {
            self.ensure_inception(&hosted, now)?;
        }
        self.check_own_chains()?;
        self.resume_groups()?;
        self.resume_sealed()?;
        self.resume_cases()?;
        self.resume_checkpoints()?;
        self.resume_ratings()?;
        self.resume_proofs()?;
        self.resume_closings(now)?;
        self.pump_ratings(now)
    }

    fn on_wake(&mut self, now: Now) -> Result<(), ReadError> {
        self.woken_at = None;
        if now.ticks >= self.due.sweep {
            self.due.sweep = now.ticks + self.timing.sweep_ms;
            self.sweep(now)?;
        }
        if now.ticks >= self.due.lease {
            self.renew_cards(now)?;
            self.renew_leases(now)?;
        }
        if now.ticks >= self.due.provide {
            self.due.provide = now.ticks + self.timing.provide_ms;
            self.announce(now)?;
        }
        self.pump_announcements(now);
        if now.ticks >= self.due.sync {
            self.due.sync = now.ticks + self.timing.sync_ms;
            self.sync_with_someone();
        }
        self.reconciler.give_up_stale(now.ticks);
        self.reconciler.want_due(now.ticks);
        self.pump_sync(now)?;
        self.end_late_searches(now)
    }

    /// Closes the commit of this input and says when the engine wants to be woken.
    pub(crate) fn finish(&mut self, now: Now) {
        self.close_journal();
        let batch = std::mem::take(&mut self.batch);
        let signed = std::mem::take(&mut self.signed);
        let mut batch = batch;
        if !signed.is_empty() {
            let heads = self.heads.values().cloned().collect();
            batch.set_guard(Guard { acknowledged: self.durable, heads, pending: signed });
        }
        if !batch.is_empty() {
            self.assigned = self.assigned.next();
            if let Some(guard) = batch.guard() {
                self.unacknowledged.push_back((self.assigned, guard.pending.clone()));
            }
            self.effect(Effect::Commit(self.assigned, batch));
        }
        let after = (self.assigned > self.durable).then_some(self.assigned);
        let gated = std::mem::take(&mut self.gated);
        self.outputs.extend(gated.into_iter().map(|effect| Output { after, effect }));
        let next = [self.due.sync, self.due.sweep, self.due.lease, self.due.provide]
            .into_iter()
            .chain(self.searches.values().map(Search::next_deadline))
            .chain(self.announcer.next_deadline())
            .chain(self.reconciler.next_deadline())
            .chain(self.closings.next_deadline().filter(|_| !self.read_only))
            .chain(self.groups.next_deadline().filter(|_| !self.read_only))
            .chain(self.sealed.next_deadline().filter(|_| !self.read_only))
            .chain(self.ratings.next_deadline())
            .chain(self.masses.next_deadline())
            .chain(self.proofs.next_deadline().filter(|_| !self.read_only))
            .chain(self.checkpoints.next_deadline())
            .chain(self.pruning.next_deadline().filter(|_| !self.read_only))
            .min()
            .map(|ticks| Deadline(ticks.max(now.ticks + 1)));
        if let Some(next) = next
            && self.woken_at.is_none_or(|woken| next < woken || woken.0 <= now.ticks)
        {
            self.woken_at = Some(next);
            self.effect(Effect::Wake(next));
        }
    }

    pub(crate) fn hosted(&self, agent: AgentId) -> Option<&HostedAgent> {
        self.agents.iter().find(|hosted| hosted.agent == agent)
    }

    /// The time to sign with: this clock, corrected when a majority of at least three peers says that it is off by more
    /// than a minute.
    pub(crate) fn signing_time(&self, now: Now) -> Millis {
        match self.clock_offset() {
            Some(offset)
                if self.clock_offsets.len() >= 3
                    && (Millis::MINUTE..=CORRECTION_MS_MAX).contains(&offset.unsigned_abs()) =>
            {
                Millis(now.wall.0.saturating_add_signed(offset))
            }
            Some(_) | None => now.wall,
        }
    }

    /// The median of the peers' clocks minus this one's, in milliseconds.
    pub(crate) fn clock_offset(&self) -> Option<i64> {
        let mut offsets: Vec<i64> = self.clock_offsets.values().copied().collect();
        offsets.sort_unstable();
        offsets.get(offsets.len() / 2).copied()
    }

    pub(crate) fn random_below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.random.next_u64() % bound).unwrap_or(0)
    }
}
