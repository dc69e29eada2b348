use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::StreamExt;
use libp2p::kad::NodeStatus;
use libp2p::metrics::Metrics;
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::{Multiaddr, PeerId, Swarm};
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use crate::behaviour::Behaviour;
use crate::bootstrap::{Bootstrap, dial_address, dial_peer, peer_in};
use crate::command::Command;
use crate::conduct::{Conduct, FAULTS_MAX, Fault};
use crate::counters::Counters;
use crate::directory::Directory;
use crate::gossip_desk::GossipDesk;
use crate::names::Names;
use crate::neighbours::{Hint, Neighbours};
use crate::outbox::Outbox;
use crate::peers::{Peers, peer_of};
use crate::pings::Pings;
use crate::range::dialable;
use crate::relay_desk::RelayDesk;
use crate::request_desk::RequestDesk;
use crate::shelf::Keeper;
use crate::stream_desk::StreamDesk;
use crate::suspects::Suspects;
use crate::versions::Named;
use crate::{Config, Event, NetState, Topic, clock};
use reach_events::Reaching;

pub(crate) mod reach_events;
mod stream_events;
mod swarm_events;

/// How long a peer may take to answer a dial before it counts as lost. A silent address is what takes longest.
const DIAL_MAX: Duration = Duration::from_secs(3);
/// How long lookups wait for a dial: this, and so many of the usual round trips. A handshake takes about four of its own.
const DIAL_PATIENCE: (Duration, u32) = (Duration::from_millis(150), 20);
/// How often dials are looked at while a lookup runs.
const LOOK: Duration = Duration::from_millis(25);
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
    streams: StreamDesk,
    directory: Directory,
    announcements: crate::bucket::Buckets,
    conduct: Conduct,
    bootstrap: Bootstrap,
    heard: mpsc::Receiver<Hint>,
    listens: watch::Sender<Vec<Multiaddr>>,
    neighbours: Neighbours,
    /// Dials under way, as many as may be pending, and since when.
    dialing: BTreeMap<PeerId, Instant>,
    suspects: Suspects,
    keeper: Option<Keeper>,
    reaching: Reaching,
    pings: Pings,
    named: Named,
    changed: bool,
    refreshed: Instant,
}

impl Task {
    pub(crate) fn new(
        mut swarm: Swarm<Behaviour>,
        config: &Config,
        names: Names,
        ends: Ends,
        relay_desk: RelayDesk,
        counters: Counters,
        metrics: Metrics,
    ) -> Self {
        let limits = &config.limits;
        let reaching = Reaching::new(config, *swarm.local_peer_id(), relay_desk);
        let outbox = Outbox::new(ends.events, limits.backlog_max, limits.backlog_bytes_max, counters.clone());
        let keeper = config.shelf.clone().map(|shelf| {
            let store = swarm.behaviour_mut().kademlia.store_mut();
            Keeper::load(shelf, config.network, limits, (store, &counters))
        });
        Self {
            keeper,
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
            streams: StreamDesk::new(config, counters.clone()),
            directory: Directory::new(limits, counters.clone()),
            announcements: crate::bucket::Buckets::new(limits.announcement_rate, limits.announcement_burst),
            conduct: Conduct::default(),
            bootstrap: Bootstrap::new(&config.bootstrap, config.profile.redial_min()),
            heard: ends.heard,
            listens: ends.listens,
            neighbours: Neighbours::default(),
            dialing: BTreeMap::new(),
            suspects: Suspects::default(),
            reaching,
            pings: Pings::default(),
            named: Named::default(),
            counters,
            changed: true,
            refreshed: clock::now(),
        }
    }

    pub(crate) async fn run(mut self) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
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
                _ = look.tick(), if self.directory.looks_up() && !self.dialing.is_empty() => {
                    self.give_up_late_dials(clock::now());
                }
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
            Command::Blame { node } => self.on_fault(peer_of(&node), Fault::Malformed),
            Command::Dial { address } => match peer_in(&address) {
                Some(peer) => self.dial(dial_peer(peer, vec![address])),
                None => self.dial(dial_address(address)),
            },
            Command::Ping { node, addresses, answer } => {
                let peer = peer_of(&node);
                behaviour.gate.regain(&peer);
                let at = (peer, dialable(&addresses, None));
                self.pings.ping(&mut behaviour.pinger, at, answer, now);
            }
            Command::Open(wish) => self.on_wish(wish),
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
            for (peer, faults) in self.conduct.decay(now) {
                behaviour.gossip.set_application_score(&peer, -faults);
            }
            let store = behaviour.kademlia.store_mut();
            store.expire(now);
            if let Some(keeper) = &mut self.keeper {
                keeper.flush(store);
            }
            self.seek_relays(now);
        }
        self.sweep_streams();
        self.give_up_late_dials(now);
        self.look_at_suspects(now);
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

    /// Ends dials that nobody has answered. While a lookup runs it does not wait for the slow ones: they are looked at
    /// again afterwards, with all the time there is.
    fn give_up_late_dials(&mut self, now: Instant) {
        let patience = match self.peers.usual_rtt() {
            Some(rtt) if self.directory.looks_up() => DIAL_MAX.min(DIAL_PATIENCE.0 + rtt * DIAL_PATIENCE.1),
            Some(_) | None => DIAL_MAX,
        };
        let waited = |since: &Instant| now.saturating_duration_since(*since);
        let late: Vec<_> = self
            .dialing
            .iter()
            .map(|(peer, since)| (*peer, waited(since)))
            .filter(|(_, waited)| *waited >= patience)
            .collect();
        for (peer, waited) in late {
            self.dialing.remove(&peer);
            if self.peers.peer(&peer).is_some() {
                continue;
            }
            // Nobody is connected, so this ends the dial and nothing else.
            let _ = self.swarm.disconnect_peer_id(peer);
            if waited >= DIAL_MAX {
                self.streams.unanswered(&peer);
                self.lose(peer, now);
            } else {
                self.swarm.behaviour_mut().gate.lose(peer, now);
                self.suspects.suspect(peer);
            }
        }
    }

    /// A peer could not be reached. It leaves the routing table, or others would go on being sent there; when it comes
    /// back, Identify brings it back. Unless nobody can be reached: then it is this node that is cut off.
    fn lose(&mut self, peer: PeerId, now: Instant) {
        let cut_off = self.peers.members() == 0;
        let behaviour = self.swarm.behaviour_mut();
        behaviour.gate.lose(peer, now);
        if !cut_off && behaviour.kademlia.remove_peer(&peer).is_some() {
            tracing::debug!(%peer, "left the routing table");
            self.changed = true;
        }
    }

    /// A peer did something wrong.
    fn on_fault(&mut self, peer: PeerId, fault: Fault) {
        let faults = self.conduct.fault(peer, fault, clock::now());
        let behaviour = self.swarm.behaviour_mut();
        behaviour.gossip.set_application_score(&peer, -faults);
        if faults >= FAULTS_MAX && self.peers.peer(&peer).is_some() {
            tracing::info!(%peer, ?fault, "disconnected a peer that goes on misbehaving");
            self.counters.refused("misbehaviour");
            behaviour.gate.ban(peer);
            behaviour.kademlia.remove_peer(&peer);
            // Fails only for a peer that has just gone by itself.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
    }

    /// Dials peers of the routing table that may have gone.
    fn look_at_suspects(&mut self, now: Instant) {
        if self.directory.looks_up() {
            return;
        }
        if self.suspects.round_due(now) {
            let kademlia = &mut self.swarm.behaviour_mut().kademlia;
            let gone: Vec<_> = kademlia
                .kbuckets()
                .flat_map(|bucket| {
                    let gone = bucket.iter().filter(|entry| entry.status == NodeStatus::Disconnected);
                    gone.map(|entry| *entry.node.key.preimage()).collect::<Vec<_>>()
                })
                .collect();
            self.suspects.begin_round(gone.into_iter(), now);
        }
        while let Some(peer) = self.suspects.due(self.dialing.len(), now) {
            let bucket = self.swarm.behaviour_mut().kademlia.kbucket(peer);
            let listed =
                bucket.is_some_and(|bucket| bucket.iter().any(|entry| *entry.node.key.preimage() == peer));
            if listed && self.peers.peer(&peer).is_none() {
                self.dial(dial_peer(peer, Vec::new()));
            }
        }
    }

    /// Lets the handles see what is.
    pub(crate) fn publish_state(&mut self) {
        self.changed = false;
        self.refreshed = clock::now();
        self.update_reach();
        let listen = self.listens();
        self.listens.send_if_modified(|listens| {
            let news = *listens != listen;
            if news {
                listens.clone_from(&listen);
            }
            news
        });
        let reach = self.reach_state(&listen);
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
        let told = reach.clone();
        let next = NetState { listen, peers, nameless_peers, routing_table, provider_records, mesh, reach };
        self.state.send_replace(next);
        // After the state, which says where to.
        self.announce_addresses(&told);
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
        let closed = tokio::time::timeout(CLOSE_MAX, closed).await;
        if let Some(keeper) = &mut self.keeper {
            keeper.flush(self.swarm.behaviour_mut().kademlia.store_mut());
        }
        if closed.is_err() {
            tracing::debug!("connections were cut off, not closed");
        }
    }
}
