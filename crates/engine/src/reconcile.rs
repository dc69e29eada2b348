//! Reconciliation with peers: on connection, periodically, and again at once when a round brought something that others
//! depend on.

mod serve;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use althing_record::{Domain, Millis, NodeId, RecordId, Verdict};
use althing_store::{ReadError, Snapshot, Table, prefix_end};
use althing_sync::{Elements, Round};
use rand_core::Rng;

use crate::admit::Admission;
use crate::engine::Engine;
use crate::rows::sync_prefix;
use crate::{Effect, Note, Now, Request, RequestNo, Response, Source};

/// Most rounds that run at once.
pub const ROUNDS_MAX: usize = 8;

/// Most rounds that wait their turn; beyond, the periodic round makes up for it.
pub const WANTED_MAX: usize = 1_024;

/// Most ids that are remembered as not wanted; the oldest are forgotten first.
pub const UNWANTED_MAX: usize = 16_384;

/// When a peer that just connected is asked a second time, in milliseconds: what it published before gossip was set up
/// between the two reached nobody.
const SECOND_ROUND_MS: u64 = 2_000;

/// How long a peer may take for one answer, in milliseconds.
const ANSWER_MS_MAX: u64 = 30_000;

/// How long a round may take, in milliseconds; what is left by then is left to a later one.
const ROUND_MS_MAX: u64 = 300_000;

/// Most bytes of records in one answer.
pub(crate) const ANSWER_BYTES_MAX: usize = 1_024 * 1_024;

#[derive(Debug, Default)]
pub(crate) struct Reconciler {
    wanted: BTreeSet<(NodeId, Domain)>,
    /// Peers to reconcile with again, and when.
    later: BTreeSet<(u64, NodeId)>,
    running: BTreeMap<RequestNo, Running>,
    unwanted: BTreeSet<RecordId>,
    unwanted_order: VecDeque<RecordId>,
    frozen: BTreeMap<Domain, Arc<Elements>>,
    /// What is made at a cut or later, of the newest cut that somebody asked for.
    cut_off: BTreeMap<Domain, (Millis, Arc<Elements>)>,
    synced: BTreeSet<Domain>,
    /// Peers that told all that they know of the ledger since the start.
    told: BTreeSet<NodeId>,
    /// Nodes to reconcile with that need not be connected yet.
    sought: BTreeSet<NodeId>,
    pub(crate) rounds: u64,
    pub(crate) last: Option<Millis>,
}

#[derive(Debug)]
struct Running {
    peer: NodeId,
    domain: Domain,
    /// What was made before is not asked for.
    cut: Millis,
    round: Round,
    /// The ids of the page that was asked for; empty while reconciling.
    page: Vec<RecordId>,
    admitted: u64,
    /// What came before something that it depends on; at most what one round collects.
    early: Vec<RecordId>,
    /// Records of agents hosted here that could not be read or taken in.
    unread: BTreeSet<RecordId>,
    /// Whether anything was admitted since the early ones were last asked for.
    progress: bool,
    /// When the answer that it waits for is too late.
    deadline: u64,
    /// When the whole of it has to be over.
    until: u64,
}

impl Reconciler {
    pub(crate) fn want_all(&mut self, peer: NodeId) {
        for domain in Domain::ALL {
            if self.wanted.len() < WANTED_MAX {
                self.wanted.insert((peer, domain));
            }
        }
    }

    /// Wants rounds with a peer that just connected: now, and once more soon.
    pub(crate) fn welcome(&mut self, peer: NodeId, ticks: u64) {
        // What was asked of it before is not answered over this connection.
        self.running.retain(|_, running| running.peer != peer);
        self.want_all(peer);
        self.want_at(peer, ticks + SECOND_ROUND_MS);
    }

    /// Wants rounds with a peer at some time.
    pub(crate) fn want_at(&mut self, peer: NodeId, ticks: u64) {
        if self.later.len() < WANTED_MAX {
            self.later.insert((ticks, peer));
        }
    }

    /// Wants the rounds whose time has come.
    pub(crate) fn want_due(&mut self, ticks: u64) {
        while self.later.first().is_some_and(|(at, _)| *at <= ticks) {
            if let Some((_, peer)) = self.later.pop_first() {
                self.want_all(peer);
            }
        }
    }

    pub(crate) fn forget(&mut self, peer: NodeId) {
        self.wanted.retain(|(wanted, _)| *wanted != peer);
        self.later.retain(|(_, later)| *later != peer);
        self.running.retain(|_, running| running.peer != peer);
    }

    /// The set of a domain changed: what was frozen of it is stale.
    pub(crate) fn changed(&mut self, domain: Domain) {
        self.frozen.remove(&domain);
        self.cut_off.remove(&domain);
    }

    /// What was taken in may be gone, and with it what peers told.
    pub(crate) fn forget_all(&mut self) {
        self.frozen.clear();
        self.cut_off.clear();
        self.synced.clear();
        self.told.clear();
        // What their earlier pages brought may be lost too: they begin again.
        for running in std::mem::take(&mut self.running).into_values() {
            if self.wanted.len() < WANTED_MAX {
                self.wanted.insert((running.peer, running.domain));
            }
        }
    }

    /// Wants rounds with a node, connected or not.
    pub(crate) fn seek(&mut self, node: NodeId) {
        if self.sought.len() < WANTED_MAX {
            self.sought.insert(node);
            self.want_all(node);
        }
    }

    /// Whether a peer told, since the start, all that it knows of the ledger, and it was understood.
    pub(crate) fn was_told_by(&self, peer: NodeId) -> bool {
        self.told.contains(&peer)
    }

    /// Whether a round in this domain was completed since the start.
    pub(crate) fn has_synced(&self, domain: Domain) -> bool {
        self.synced.contains(&domain)
    }

    pub(crate) fn give_up_stale(&mut self, ticks: u64) {
        self.running.retain(|_, running| running.deadline > ticks);
    }

    pub(crate) fn next_deadline(&self) -> Option<u64> {
        let second = self.later.first().map(|(at, _)| *at);
        self.running.values().map(|running| running.deadline).chain(second).min()
    }

    fn remember_unwanted(&mut self, id: RecordId) {
        if self.unwanted.insert(id) {
            self.unwanted_order.push_back(id);
        }
        if self.unwanted_order.len() > UNWANTED_MAX
            && let Some(oldest) = self.unwanted_order.pop_front()
        {
            self.unwanted.remove(&oldest);
        }
    }

    fn is_busy_with(&self, peer: NodeId) -> bool {
        self.running.values().any(|running| running.peer == peer)
    }
}

impl<S: Snapshot> Engine<S> {
    /// Wants a round with a random peer.
    pub(crate) fn sync_with_someone(&mut self) {
        let index = self.random_below(self.peers.len());
        if let Some(peer) = self.peers.iter().nth(index).copied() {
            self.reconciler.want_all(peer);
        }
    }

    /// Starts wanted rounds while there is room.
    pub(crate) fn pump_sync(&mut self, now: Now) -> Result<(), ReadError> {
        while self.reconciler.running.len() < ROUNDS_MAX {
            // One round for each peer, and by chance, so that no peer can hold all places or be first in every queue.
            let free: Vec<_> = self
                .reconciler
                .wanted
                .iter()
                .filter(|(peer, _)| !self.reconciler.is_busy_with(*peer))
                .collect();
            let chosen = free.get(self.random.next_u64() as usize % free.len().max(1)).map(|wanted| **wanted);
            let Some((peer, domain)) = chosen else { return Ok(()) };
            self.reconciler.wanted.remove(&(peer, domain));
            let is_sought = self.reconciler.sought.contains(&peer);
            if domain == Domain::Ledger {
                self.reconciler.sought.remove(&peer);
            }
            if (!self.peers.contains(&peer) && !is_sought) || !self.reconciles(domain) {
                continue;
            }
            let cut = if domain == Domain::Ratings { self.ratings_cut() } else { Millis(0) };
            let elements = self.elements(domain, cut, now)?;
            let Ok((round, message)) = Round::open(elements) else { continue };
            let no = self.request_no();
            let (deadline, until) = (now.ticks + ANSWER_MS_MAX, now.ticks + ROUND_MS_MAX);
            let running = Running {
                peer,
                domain,
                cut,
                round,
                page: Vec::new(),
                admitted: 0,
                early: Vec::new(),
                unread: BTreeSet::new(),
                progress: false,
                deadline,
                until,
            };
            self.reconciler.running.insert(no, running);
            self.effect(Effect::Request(no, peer, Request::Reconcile { domain, cut, message }));
        }
        Ok(())
    }

    /// Whether this node asks others for the records of a domain. What raters publish is nothing to one without the ledger.
    fn reconciles(&self, domain: Domain) -> bool {
        domain != Domain::Ratings || self.keeps_ledger
    }

    /// The live records of a domain that were made at the cut or later.
    fn elements(&mut self, domain: Domain, cut: Millis, now: Now) -> Result<Arc<Elements>, ReadError> {
        if let Some(elements) = self.reconciler.frozen.get(&domain)
            && elements.first().is_none_or(|first| first >= cut)
        {
            return Ok(elements.clone());
        }
        if let Some((at, elements)) = self.reconciler.cut_off.get(&domain)
            && *at == cut
        {
            return Ok(elements.clone());
        }
        let mut live = Vec::new();
        self.for_each_live(domain, now, |made, id| live.push((made, id)))?;
        let is_whole = live.first().is_none_or(|(first, _)| *first >= cut);
        live.retain(|(made, _)| *made >= cut);
        let elements = Arc::new(Elements::new(live));
        if is_whole {
            self.reconciler.frozen.insert(domain, elements.clone());
        } else {
            self.reconciler.cut_off.insert(domain, (cut, elements.clone()));
        }
        Ok(elements)
    }

    /// Visits the live records of a domain in ascending (made, id).
    pub(crate) fn for_each_live(
        &self,
        domain: Domain,
        now: Now,
        mut visit: impl FnMut(Millis, RecordId),
    ) -> Result<(), ReadError> {
        let prefix = sync_prefix(domain);
        let (mut from, to) = (prefix.to_vec(), prefix_end(&prefix));
        loop {
            let rows = self.store.scan(Table::SyncView, &from, &to, 4_096)?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            from = [last, &[0][..]].concat();
            for (key, value) in &rows {
                let word = |bytes: &[u8]| Some(u64::from_be_bytes(bytes.try_into().ok()?));
                if let (Some(made), Ok(id), Some(deadline)) = (
                    key.get(1..9).and_then(word),
                    RecordId::try_from(key.get(9..).unwrap_or(&[])),
                    word(value),
                ) && deadline > now.wall.0
                {
                    visit(Millis(made), id);
                }
            }
        }
    }

    pub(crate) fn on_response(
        &mut self,
        no: RequestNo,
        response: Response,
        now: Now,
    ) -> Result<(), ReadError> {
        if let Some(running) = self.reconciler.running.remove(&no) {
            self.on_round_response(running, response, now)?;
            return self.pump_sync(now);
        }
        if let Some(asked) = self.scores_asked.remove(&no) {
            return self.on_scores(asked, Some(response), now);
        }
        match self.on_proofs(no, response, now)? {
            Some(response) => self.on_search_response(no, response, now),
            None => Ok(()),
        }
    }

    pub(crate) fn on_request_failed(&mut self, no: RequestNo, now: Now) -> Result<(), ReadError> {
        if let Some(running) = self.reconciler.running.remove(&no) {
            self.fail_round(&running, "no answer".into());
            return self.pump_sync(now);
        }
        if let Some(asked) = self.scores_asked.remove(&no) {
            return self.on_scores(asked, None, now);
        }
        if self.on_proofs_failed(no, now)? { Ok(()) } else { self.on_search_failure(no, now) }
    }

    fn fail_round(&mut self, running: &Running, cause: String) {
        self.note(Note::SyncFailed { peer: running.peer, domain: running.domain, cause });
    }

    fn on_round_response(
        &mut self,
        mut running: Running,
        response: Response,
        now: Now,
    ) -> Result<(), ReadError> {
        match response {
            Response::Reconcile { message, clock } if running.page.is_empty() => {
                self.observe_clock(running.peer, clock, now);
                match running.round.advance(&message) {
                    Ok(Some(message)) => {
                        let (domain, cut) = (running.domain, running.cut);
                        self.continue_round(running, Request::Reconcile { domain, cut, message }, now);
                    }
                    Ok(None) => {
                        running.round.skip(|id| self.reconciler.unwanted.contains(id));
                        self.fetch_page(running, now);
                    }
                    Err(error) => self.fail_round(&running, error.to_string()),
                }
            }
            Response::Records { served, records, invalid } if !running.page.is_empty() => {
                // What is only of a later version is passed over, and not remembered: that would let a peer hide any record.
                if let Some(error) = invalid.iter().find(|error| error.verdict() == Verdict::Reject) {
                    // The peer stores what no honest node admits: nothing else of this answer is believed.
                    self.fail_round(&running, format!("the peer sent an invalid record: {error}"));
                    return Ok(());
                }
                let served = usize::try_from(served).unwrap_or(usize::MAX).min(running.page.len());
                let rest = running.page.split_off(served);
                let asked: BTreeSet<_> = std::mem::take(&mut running.page).into_iter().collect();
                if served == 0 {
                    self.fail_round(&running, "the peer serves nothing of what it has".into());
                    return Ok(());
                }
                if !records.iter().any(|record| asked.contains(&record.id())) {
                    self.fail_round(&running, "the peer has none of what it named".into());
                    return Ok(());
                }
                running.round.put_back(rest);
                for record in records.iter().filter(|record| asked.contains(&record.id())) {
                    let is_own = self.hosted(record.agent()).is_some();
                    let admission = self.admit(record, Source::Sync, now)?;
                    if is_own && matches!(admission, Admission::Early(_) | Admission::Unwanted(_)) {
                        running.unread.insert(record.id());
                    }
                    match admission {
                        Admission::New => {
                            running.unread.remove(&record.id());
                            running.admitted += 1;
                            running.progress = true;
                        }
                        Admission::Known => {}
                        Admission::Early(_) => running.early.push(record.id()),
                        // What an agent of this node signed is asked for until it is understood.
                        Admission::Unwanted(_) if is_own && running.domain == Domain::Ledger => {}
                        Admission::Unwanted(_) => self.reconciler.remember_unwanted(record.id()),
                        Admission::Wrong(cause) => {
                            self.reconciler.remember_unwanted(record.id());
                            // Who holds it has weighed it as this node does.
                            self.effect(Effect::Blame(running.peer));
                            self.fail_round(&running, format!("the peer sent a wrong record: {cause}"));
                            return Ok(());
                        }
                    }
                }
                self.fetch_page(running, now);
            }
            Response::Busy => self.fail_round(&running, "the peer is busy".into()),
            Response::Reconcile { .. }
            | Response::Records { .. }
            | Response::Cards { .. }
            | Response::Proofs { .. }
            | Response::Scores { .. } => {
                self.fail_round(&running, "the peer answered something else".into());
            }
        }
        Ok(())
    }

    fn continue_round(&mut self, running: Running, request: Request, now: Now) {
        if now.ticks >= running.until {
            return self.fail_round(&running, "it took too long".into());
        }
        let no = self.request_no();
        self.effect(Effect::Request(no, running.peer, request));
        let deadline = running.until.min(now.ticks + ANSWER_MS_MAX);
        self.reconciler.running.insert(no, Running { deadline, ..running });
    }

    fn fetch_page(&mut self, mut running: Running, now: Now) {
        let mut page = running.round.next_page();
        if page.is_empty() && std::mem::take(&mut running.progress) {
            // What they wait for may have come with a later page: a round has not ended while it still gets further.
            running.round.put_back(running.early.drain(..));
            page = running.round.next_page();
        }
        if !page.is_empty() {
            running.page.clone_from(&page);
            self.continue_round(running, Request::Fetch { ids: page }, now);
            return;
        }
        let Running { peer, domain, admitted, early, unread, round, .. } = running;
        // Whether nothing that this node's agents said can have been left out.
        let told = round.is_whole() && unread.is_empty();
        if domain == Domain::Ledger && told && self.reconciler.told.len() < crate::engine::PEERS_MAX {
            self.reconciler.told.insert(peer);
        }
        self.reconciler.rounds += 1;
        self.reconciler.last = Some(now.wall);
        // Records of the ledger may wait for keys that only the directory brings.
        let settled = early.is_empty() || self.reconciler.has_synced(Domain::Directory);
        if domain == Domain::Directory || (told && settled) {
            self.reconciler.synced.insert(domain);
        }
        if domain == Domain::Directory {
            // What came before its key did.
            let unsynced = |domain: &Domain| !self.reconciler.synced.contains(domain);
            let wanted = [Domain::Ledger, Domain::Ratings].into_iter().filter(unsynced);
            self.reconciler.wanted.extend(wanted.map(|domain| (peer, domain)));
        }
        self.note(Note::Synced { peer, domain, admitted });
    }

    fn observe_clock(&mut self, peer: NodeId, clock: Millis, now: Now) {
        let offset = i64::try_from(i128::from(clock.0) - i128::from(now.wall.0)).unwrap_or(i64::MAX);
        if self.clock_offsets.contains_key(&peer) || self.clock_offsets.len() < crate::engine::PEERS_MAX {
            self.clock_offsets.insert(peer, offset);
        }
        if let Some(offset_ms) = self.clock_offset() {
            let off = offset_ms.unsigned_abs() > Millis::MINUTE;
            self.note(Note::Clock { offset_ms, off: off && !self.clock_warned });
            self.clock_warned = off;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> RecordId {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&(n as u64).to_be_bytes());
        RecordId(id)
    }

    #[test]
    fn unwanted_ids_beyond_the_bound_displace_the_oldest() {
        let mut reconciler = Reconciler::default();
        for n in 0..UNWANTED_MAX + 10 {
            reconciler.remember_unwanted(id(n));
            reconciler.remember_unwanted(id(n));
        }
        assert_eq!(reconciler.unwanted.len(), UNWANTED_MAX);
        assert_eq!(reconciler.unwanted_order.len(), UNWANTED_MAX);
        assert!(!reconciler.unwanted.contains(&id(9)) && reconciler.unwanted.contains(&id(10)));
    }

    #[test]
    fn wanted_rounds_stop_at_their_bound() {
        let mut reconciler = Reconciler::default();
        (0..WANTED_MAX).for_each(|n| reconciler.want_all(NodeId(id(n).0)));
        assert_eq!(reconciler.wanted.len(), WANTED_MAX);
    }
}
