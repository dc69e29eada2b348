use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::StreamExt;
use libp2p::metrics::Metrics;
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::{Multiaddr, PeerId, Swarm};
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use crate::behaviour::Behaviour;
use crate::bootstrap::{Bootstrap, dial_address, dial_peer, peer_in};
use crate::command::Command;
use crate::counters::Counters;
use crate::directory::Directory;
use crate::gossip_desk::GossipDesk;
use crate::names::Names;
use crate::neighbours::{Hint, Neighbours};
use crate::outbox::Outbox;
use crate::peers::{Peers, peer_of};
use crate::range::dialable;
use crate::request_desk::RequestDesk;
use crate::versions::Named;
use crate::{Config, Event, NetState, Topic, clock};

mod swarm_events;

/// How long a peer may take to answer a dial. A silent address is what takes longest, and lookups wait for it.
const DIAL_MAX: Duration = Duration::from_secs(3);
/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(200);
/// How often the state is refreshed when nothing changes.
const REFRESH: Duration = Duration::from_secs(1);
/// How long closing the connections may take.
const CLOSE_MAX: Duration = Duration::from_secs(2);

/// The channels' ends that the task holds.
pub(crate) struct Ends {
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) state: watch::Sender<NetState>,
    pub(crate) events: mpsc::Sender<Event>,
    /// What multicast DNS hears; closed without it.
    pub(crate) heard: mpsc::Receiver<Hint>,
    /// Where the swarm listens, for multicast DNS.
    pub(crate) listens: watch::Sender<Vec<Multiaddr>>,
}

/// The one task that owns the swarm. Nothing in it waits, except for the next thing to do.
pub(crate) struct Task {
    pub(crate) swarm: Swarm<Behaviour>,
    names: Names,
    counters: Counters,
    metrics: Metrics,
    caps_loopback: bool,
    commands: mpsc::Receiver<Command>,
    stop: watch::Receiver<bool>,
    state: watch::Sender<NetState>,
    outbox: Outbox,
    peers: Peers,
    gossip: GossipDesk,
    requests: RequestDesk,
    directory: Directory,
    announcements: crate::bucket::Buckets,
    bootstrap: Bootstrap,
    heard: mpsc::Receiver<Hint>,
    listens: watch::Sender<Vec<Multiaddr>>,
    neighbours: Neighbours,
    /// Dials under way, as many as may be pending, and since when.
    dialing: BTreeMap<PeerId, Instant>,
    named: Named,
    changed: bool,
    refreshed: Instant,
}

impl Task {
    pub(crate) fn new(
        swarm: Swarm<Behaviour>,
        config: &Config,
        names: Names,
        ends: Ends,
        counters: Counters,
        metrics: Metrics,
    ) -> Self {
        let limits = &config.limits;
        let outbox = Outbox::new(ends.events, limits.backlog_max, limits.backlog_bytes_max, counters.clone());
        Self {
            swarm,
            names,
            metrics,
            caps_loopback: config.profile.caps_loopback(),
            commands: ends.commands,
            stop: ends.stop,
            state: ends.state,
            outbox,
            peers: Peers::default(),
            gossip: GossipDesk::new(limits, counters.clone()),
            requests: RequestDesk::new(limits, counters.clone()),
            directory: Directory::new(limits, counters.clone()),
            announcements: crate::bucket::Buckets::new(limits.announcement_rate, limits.announcement_burst),
            bootstrap: Bootstrap::new(&config.bootstrap, config.profile.redial_min()),
            heard: ends.heard,
            listens: ends.listens,
            neighbours: Neighbours::default(),
            dialing: BTreeMap::new(),
            named: Named::default(),
            counters,
            changed: true,
            refreshed: clock::now(),
        }
    }

    pub(crate) async fn run(mut self) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let events = self.outbox.sender();
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_swarm_event(event),
                command = self.commands.recv() => match command {
                    Some(command) => self.on_command(command),
                    None => break,
                },
                Some(hint) = self.heard.recv() => {
                    let outcome = self.neighbours.hear(hint, clock::now());
                    self.counters.neighbour(outcome);
                }
                room = events.clone().reserve_owned(), if self.outbox.waits() => match room {
                    Ok(room) => self.outbox.flush(room),
                    Err(_) => break,
                },
                _ = tick.tick() => self.on_tick(),
                _ = self.stop.changed() => break,
                () = events.closed() => break,
            }
            if self.changed {
                self.publish_state();
            }
        }
        self.close().await;
    }

    fn on_command(&mut self, command: Command) {
        let now = clock::now();
        let behaviour = self.swarm.behaviour_mut();
        match command {
            Command::Publish { topic, bytes } => {
                let outcome = match behaviour.gossip.publish(self.names.topic(topic), bytes) {
                    Ok(_) => "published",
                    Err(error) => {
                        tracing::debug!(%topic, %error, "a message was not published");
                        "unpublished"
                    }
                };
                self.counters.gossip(Some(topic), outcome);
            }
            Command::Verdict { message, verdict } => {
                self.gossip.decide(&mut behaviour.gossip, &message, verdict)
            }
            Command::Request { request, to, forms } => {
                let at = (&mut behaviour.requests, &mut self.outbox);
                let settled = self.peers.settled(&peer_of(&to));
                self.requests.request(at, request, (to, settled), forms, now);
            }
            Command::Respond { reply, bytes } => {
                self.requests.respond(&mut behaviour.requests, &reply, bytes)
            }
            Command::Provide { key } => {
                self.directory.provide((&mut behaviour.kademlia, &mut self.outbox), key, now);
            }
            Command::StopProviding { key } => self.directory.stop_providing(&mut behaviour.kademlia, &key),
            Command::Lookup { query, key } => {
                self.directory.lookup((&mut behaviour.kademlia, &mut self.outbox), query, key, now);
            }
            Command::Dial { address } => match peer_in(&address) {
                Some(peer) => self.dial(dial_peer(peer, vec![address])),
                None => self.dial(dial_address(address)),
            },
            Command::DialNode { node, addresses } => {
                self.dial(dial_peer(peer_of(&node), dialable(&addresses, None)));
            }
        }
    }

    /// Dials somebody who is wanted for itself, also if it could not be reached a moment ago.
    fn dial(&mut self, target: DialOpts) {
        if let Some(peer) = target.get_peer_id() {
            self.swarm.behaviour_mut().gate.regain(&peer);
        }
        if let Err(error) = self.swarm.dial(target) {
            tracing::debug!(%error, "not dialed");
        }
    }

    fn on_tick(&mut self) {
        let now = clock::now();
        let behaviour = self.swarm.behaviour_mut();
        self.directory.tick((&mut behaviour.kademlia, &mut self.outbox), now);
        if now.saturating_duration_since(self.refreshed) >= REFRESH {
            self.changed = true;
            self.gossip.sweep(&mut behaviour.gossip, now);
            self.requests.sweep((&mut behaviour.requests, &mut self.outbox), now);
            self.announcements.sweep(now);
            behaviour.kademlia.store_mut().expire(now);
        }
        let late = |since: &Instant| now.saturating_duration_since(*since) >= DIAL_MAX;
        let late: Vec<_> =
            self.dialing.iter().filter(|(_, since)| late(since)).map(|(peer, _)| *peer).collect();
        for peer in late {
            self.dialing.remove(&peer);
            if self.peers.peer(&peer).is_none() {
                // Nobody is connected, so this ends the dial and nothing else.
                let _ = self.swarm.disconnect_peer_id(peer);
                self.swarm.behaviour_mut().gate.lose(peer, now);
            }
        }
        for target in self.bootstrap.due(self.peers.members(), now) {
            self.dial(target);
        }
        let connected = |peer: &PeerId| self.peers.peer(peer).is_some();
        if let Some((peer, target)) = self.neighbours.due(self.peers.members(), connected, now) {
            self.counters.neighbour("dialed");
            self.swarm.behaviour_mut().gate.regain(&peer);
            if let Err(error) = self.swarm.dial(target) {
                tracing::debug!(%error, "a neighbour was not dialed");
                self.neighbours.dialed(&peer);
            }
        }
    }

    /// Lets the handles see what is.
    pub(crate) fn publish_state(&mut self) {
        self.changed = false;
        self.refreshed = clock::now();
        let listen: Vec<_> = self.swarm.listeners().cloned().collect();
        self.listens.send_if_modified(|listens| {
            let news = *listens != listen;
            if news {
                listens.clone_from(&listen);
            }
            news
        });
        let behaviour = self.swarm.behaviour_mut();
        let routing_table = behaviour.kademlia.kbuckets().map(|bucket| bucket.num_entries()).sum();
        let provider_records = behaviour.kademlia.store_mut().len();
        let mesh: BTreeMap<_, _> = Topic::ALL
            .into_iter()
            .map(|topic| (topic, behaviour.gossip.mesh_peers(&self.names.topic(topic).hash()).count()))
            .collect();
        let peers = self.peers.states(|peer| behaviour.gossip.peer_score(peer));
        self.counters.peers(self.peers.members());
        let nameless_peers = self.peers.nameless();
        let next = NetState { listen, peers, nameless_peers, routing_table, provider_records, mesh };
        self.state.send_replace(next);
    }

    async fn close(mut self) {
        self.commands.close();
        for peer in self.peers.ids() {
            // Fails only for a peer that has just gone by itself.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let closed = async {
            while self.swarm.network_info().num_peers() > 0 {
                self.swarm.select_next_some().await;
            }
        };
        if tokio::time::timeout(CLOSE_MAX, closed).await.is_err() {
            tracing::debug!("connections were cut off, not closed");
        }
    }
}
