use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use libp2p::kad::{AddProviderError, GetClosestPeersOk, GetProvidersOk, QueryId, QueryResult, QueryStats};
use libp2p::{Multiaddr, PeerId};

use crate::behaviour::Kademlia;
use crate::counters::Counters;
use crate::outbox::Outbox;
use crate::peers::node_of;
use crate::providers::{record_key, second_key};
use crate::{Event, Limits};

/// Below this many peers in the routing table a new one may be closer to any key: everything is announced again.
const FEW_PEERS: usize = 20;
/// How long to wait for more new peers before that.
const GATHER: Duration = Duration::from_secs(2);

/// Lookups, announcements and their renewal: a few Kademlia queries at a time, the rest in a bounded queue.
pub(crate) struct Directory {
    limits: Limits,
    counters: Counters,
    waiting: VecDeque<Job>,
    running: Vec<(QueryId, Job, Instant)>,
    lookups: BTreeMap<u64, Lookup>,
    /// Keys that this node provides, and when each is announced next.
    own: BTreeMap<[u8; 32], Instant>,
}

/// Where a peer turned out to be; no addresses if nowhere.
pub(crate) type Found = (PeerId, Vec<Multiaddr>);

/// A lookup: one query for the key, one for its second key.
struct Lookup {
    queries: usize,
    seen: BTreeSet<PeerId>,
    /// Whether another node answered one of them.
    answered: bool,
}

enum Job {
    Lookup { query: u64, key: [u8; 32] },
    Announce { key: [u8; 32], report: bool },
    Find { peer: PeerId },
}

impl Directory {
    pub(crate) fn new(limits: &Limits, counters: Counters) -> Self {
        Self {
            limits: limits.clone(),
            counters,
            waiting: VecDeque::new(),
            running: Vec::new(),
            lookups: BTreeMap::new(),
            own: BTreeMap::new(),
        }
    }

    pub(crate) fn lookup(
        &mut self,
        (kademlia, outbox): (&mut Kademlia, &mut Outbox),
        query: u64,
        key: [u8; 32],
        now: Instant,
    ) {
        let keys = [key, second_key(&key)];
        self.lookups.insert(query, Lookup { queries: keys.len(), seen: BTreeSet::new(), answered: false });
        for key in keys {
            self.enqueue((&mut *kademlia, &mut *outbox), Job::Lookup { query, key }, now);
        }
    }

    pub(crate) fn provide(
        &mut self,
        (kademlia, outbox): (&mut Kademlia, &mut Outbox),
        key: [u8; 32],
        now: Instant,
    ) {
        if self.own.len() >= 2 * self.limits.own_keys_max && !self.own.contains_key(&key) {
            let result = Err(format!("this node provides {} keys already", self.own.len() / 2));
            return outbox.push(Event::Provided { key, result });
        }
        for (key, report) in [(key, true), (second_key(&key), false)] {
            self.own.insert(key, now + self.limits.announce_interval);
            self.enqueue((&mut *kademlia, &mut *outbox), Job::Announce { key, report }, now);
        }
    }

    pub(crate) fn stop_providing(&mut self, kademlia: &mut Kademlia, key: &[u8; 32]) {
        for key in [*key, second_key(key)] {
            self.own.remove(&key);
            kademlia.stop_providing(&record_key(&key));
        }
    }

    /// Whether a lookup is under way.
    pub(crate) fn looks_up(&self) -> bool {
        self.running.iter().any(|(_, job, _)| matches!(job, Job::Lookup { .. }))
    }

    pub(crate) fn find(&mut self, at: (&mut Kademlia, &mut Outbox), peer: PeerId, now: Instant) {
        self.enqueue(at, Job::Find { peer }, now);
    }

    /// A peer joined the routing table.
    pub(crate) fn table_grew(&mut self, peers: usize, now: Instant) {
        if peers <= FEW_PEERS {
            for next in self.own.values_mut() {
                *next = (*next).min(now + GATHER);
            }
        }
    }

    /// This node is to be found elsewhere: what others store of it is out of date.
    pub(crate) fn announce_soon(&mut self, now: Instant) {
        for next in self.own.values_mut() {
            *next = (*next).min(now + GATHER);
        }
    }

    fn enqueue(&mut self, (kademlia, outbox): (&mut Kademlia, &mut Outbox), job: Job, now: Instant) {
        if self.waiting.len() >= self.limits.queries_waiting_max {
            self.counters.dropped("queries");
            return self.give_up(outbox, job, "too many queries wait");
        }
        self.waiting.push_back(job);
        self.start(kademlia, outbox, now);
    }

    fn start(&mut self, kademlia: &mut Kademlia, outbox: &mut Outbox, now: Instant) {
        while self.running.len() < self.limits.queries_max {
            let Some(job) = self.waiting.pop_front() else { return };
            let id = match &job {
                Job::Lookup { key, .. } => kademlia.get_providers(record_key(key)),
                Job::Find { peer } => kademlia.get_closest_peers(*peer),
                Job::Announce { key, .. } if !self.own.contains_key(key) => {
                    self.give_up(outbox, job, "no longer provided");
                    continue;
                }
                Job::Announce { key, .. } => match kademlia.start_providing(record_key(key)) {
                    Ok(id) => id,
                    Err(error) => {
                        self.give_up(outbox, job, &error.to_string());
                        continue;
                    }
                },
            };
            self.running.push((id, job, now + self.limits.lookup_timeout));
        }
    }

    /// Ends a job that never became a query.
    fn give_up(&mut self, outbox: &mut Outbox, job: Job, why: &str) {
        match job {
            Job::Lookup { query, .. } => self.query_ended(outbox, query, "overloaded"),
            Job::Announce { key, report: true } => {
                outbox.push(Event::Provided { key, result: Err(why.to_owned()) });
            }
            Job::Announce { .. } | Job::Find { .. } => {}
        }
    }

    /// What Kademlia says about a query.
    pub(crate) fn progressed(
        &mut self,
        (kademlia, outbox): (&mut Kademlia, &mut Outbox),
        id: QueryId,
        (result, stats, last): (QueryResult, QueryStats, bool),
        now: Instant,
    ) -> Option<Found> {
        let index = self.running.iter().position(|(running, ..)| *running == id)?;
        let mut found = None;
        if let Job::Lookup { query, .. } = &self.running[index].1
            && let Some(lookup) = self.lookups.get_mut(query)
        {
            lookup.answered |= stats.num_successes() > 0;
        }
        match (&mut self.running[index].1, result) {
            (
                Job::Lookup { query, .. },
                QueryResult::GetProviders(Ok(GetProvidersOk::FoundProviders { providers, .. })),
            ) => {
                let seen = &mut self.lookups.get_mut(query)?.seen;
                let room = self.limits.lookup_providers_max.saturating_sub(seen.len());
                let mut fresh: Vec<_> = providers.into_iter().filter(|peer| !seen.contains(peer)).collect();
                fresh.truncate(room);
                seen.extend(&fresh);
                let providers: Vec<_> = fresh.iter().filter_map(node_of).collect();
                if !providers.is_empty() {
                    outbox.push(Event::Providers { query: *query, providers, last: false, answered: false });
                }
            }
            (Job::Announce { key, report: true }, QueryResult::StartProviding(result)) => {
                let result = match result {
                    Ok(_) if stats.num_successes() == 0 => Err("no peer to store it".to_owned()),
                    Ok(_) => Ok(()),
                    Err(AddProviderError::Timeout { .. }) => Err("no answer in time".to_owned()),
                };
                outbox.push(Event::Provided { key: *key, result });
            }
            (Job::Find { peer }, QueryResult::GetClosestPeers(result)) => {
                let peers = result.map_or_else(
                    |libp2p::kad::GetClosestPeersError::Timeout { peers, .. }| peers,
                    |GetClosestPeersOk { peers, .. }| peers,
                );
                let addresses = peers.into_iter().find(|info| info.peer_id == *peer).map(|info| info.addrs);
                found = Some((*peer, addresses.unwrap_or_default()));
            }
            _ => {}
        }
        if last {
            self.end(index, outbox, "finished");
            self.start(kademlia, outbox, now);
        }
        found
    }

    fn end(&mut self, index: usize, outbox: &mut Outbox, outcome: &'static str) {
        if let (_, Job::Lookup { query, .. }, _) = self.running.swap_remove(index) {
            self.query_ended(outbox, query, outcome);
        }
    }

    /// One of a lookup's queries has ended, and so has the lookup if it was the last.
    fn query_ended(&mut self, outbox: &mut Outbox, query: u64, outcome: &'static str) {
        let Some(lookup) = self.lookups.get_mut(&query) else { return };
        lookup.queries -= 1;
        if lookup.queries == 0 {
            let answered = lookup.answered;
            self.lookups.remove(&query);
            self.counters.lookup(outcome);
            outbox.push(Event::Providers { query, providers: Vec::new(), last: true, answered });
        }
    }

    /// Ends lookups whose time is over, and announces what is due.
    pub(crate) fn tick(&mut self, (kademlia, outbox): (&mut Kademlia, &mut Outbox), now: Instant) {
        for index in (0..self.running.len()).rev() {
            let (id, job, deadline) = &self.running[index];
            if *deadline <= now && matches!(job, Job::Lookup { .. }) {
                if let Some(mut query) = kademlia.query_mut(id) {
                    query.finish();
                }
                self.end(index, outbox, "timeout");
            }
        }
        let due: Vec<_> = self.own.iter().filter(|(_, next)| **next <= now).map(|(key, _)| *key).collect();
        for key in due {
            if self.waiting.len() >= self.limits.queries_waiting_max {
                break;
            }
            self.own.insert(key, now + self.limits.announce_interval);
            self.waiting.push_back(Job::Announce { key, report: false });
        }
        self.start(kademlia, outbox, now);
    }
}
