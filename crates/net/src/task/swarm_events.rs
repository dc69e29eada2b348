use libp2p::kad::{self, InboundRequest, ProviderRecord};
use libp2p::metrics::Recorder;
use libp2p::swarm::{ConnectionDenied, ConnectionError, ConnectionId, DialError, ListenError, SwarmEvent};
use libp2p::{
    Multiaddr, PeerId, gossipsub, identify, memory_connection_limits, ping, relay, request_response,
};

use super::Task;
use super::reach_events::note_providers;
use crate::behaviour::BehaviourEvent;
use crate::conduct::Fault;
use crate::duplicates::Duplicate;
use crate::gate::Refusal;
use crate::names::Claim;
use crate::paths::is_circuit;
use crate::peers::without_id;
use crate::providers::StoreRefusal;
use crate::range::{Range, dialable};
use crate::versions::Mismatch;
use crate::{Event, Membership, RequestForms, clock};

/// How much of a peer's agent version is kept.
const AGENT_MAX: usize = 128;

impl Task {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "libp2p's event enum grows; what is not named needs no action"
    )]
    pub(crate) fn on_swarm_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        self.metrics.record(&event);
        if let SwarmEvent::OutgoingConnectionError { peer_id: Some(peer), error, connection_id } = &event {
            self.neighbours.dialed(peer);
            self.dialing.remove(peer);
            if matches!(error, DialError::Transport(_)) && self.peers.peer(peer).is_none() {
                self.lose(*peer, clock::now());
            }
            self.on_undialed_for_streams(peer, *connection_id, error);
        }
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour_event(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.changed = true;
                self.peers.opened(peer_id, connection_id, endpoint);
                self.neighbours.dialed(&peer_id);
                self.dialing.remove(&peer_id);
                self.swarm.behaviour_mut().gate.regain(&peer_id);
                self.on_connected_for_streams(&peer_id);
            }
            SwarmEvent::Dialing { peer_id: Some(peer), .. } => {
                self.dialing.entry(peer).or_insert_with(clock::now);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, num_established, cause, .. } => {
                // It broke, or the other side hung up: is anybody still there?
                if num_established == 0 && matches!(cause, Some(ConnectionError::IO(_))) {
                    self.suspects.suspect(peer_id);
                }
                let cause = cause.map(|cause| cause.to_string());
                tracing::debug!(peer = %peer_id, cause, "a connection closed");
                self.on_closed(&peer_id, connection_id);
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                self.changed = true;
                if !is_circuit(&address) {
                    self.outbox.push(Event::Listening(address));
                }
            }
            SwarmEvent::ExpiredListenAddr { .. } => self.changed = true,
            SwarmEvent::ListenerClosed { listener_id, addresses, reason } => {
                self.changed = true;
                if self.on_listener_closed(listener_id) || addresses.iter().any(is_circuit) {
                    let error = reason.err().map(|error| error.to_string());
                    tracing::info!(error, "no longer reachable through a relay");
                    return;
                }
                tracing::warn!(
                    ?addresses,
                    error = reason.err().map(|error| error.to_string()),
                    "stopped listening"
                );
            }
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "a listener failed"),
            SwarmEvent::IncomingConnectionError { error: ListenError::Denied { cause }, .. }
            | SwarmEvent::OutgoingConnectionError { error: DialError::Denied { cause }, .. } => {
                self.counters.refused(reason_of(&cause));
            }
            SwarmEvent::OutgoingConnectionError { peer_id, error, .. } => {
                let peer = peer_id.map(|peer| peer.to_string());
                tracing::debug!(peer, %error, "a dial failed");
            }
            _ => {}
        }
    }

    fn on_behaviour_event(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Identify(event) => {
                self.metrics.record(&event);
                if let identify::Event::Received { connection_id, peer_id, info } = event {
                    let peer = self.peers.peer_mut(&peer_id);
                    let fresh = peer.is_some_and(|peer| peer.identified(connection_id));
                    let fresh = fresh && !self.swarm.behaviour().duplicates.is_test(connection_id);
                    self.on_identified(peer_id, info, fresh);
                }
            }
            BehaviourEvent::Ping(event) => self.on_ping(&event),
            BehaviourEvent::Gossip(event) => self.on_gossip(event),
            BehaviourEvent::Kademlia(event) => self.on_kademlia(event),
            BehaviourEvent::Requests(event) => self.on_request(event),
            BehaviourEvent::ProbeClient(event) => self.on_tested(&event),
            BehaviourEvent::ProbeServer(event) => {
                tracing::debug!(client = %event.client, result = ?event.result, "dialed an address for its owner");
            }
            BehaviourEvent::Relay(event) => self.on_relay(event),
            BehaviourEvent::RelayClient(event) => self.on_relay_client(event),
            BehaviourEvent::Punch(event) => self.on_punched(event),
            BehaviourEvent::Upnp(event) => self.on_upnp(event),
            BehaviourEvent::Pinger(event) => {
                self.pings.on_event(event, |peer, connection| self.peers.path(peer, connection));
            }
            BehaviourEvent::Streams(event) => self.on_stream(event),
            BehaviourEvent::Gate(never)
            | BehaviourEvent::Addresses(never)
            | BehaviourEvent::Duplicates(never)
            | BehaviourEvent::Limits(never)
            | BehaviourEvent::Memory(never) => match never {},
        }
    }

    fn on_closed(&mut self, id: &PeerId, connection: ConnectionId) {
        self.changed = true;
        let closed = self.peers.closed(id, connection);
        if !closed.identified {
            self.requests.refused(connection);
        }
        self.on_closed_for_streams(connection);
        let Some(peer) = closed.gone else { return };
        self.reaching.desk.gone(id);
        self.swarm.behaviour_mut().gossip.remove_blacklisted_peer(id);
        if let Some(node) = peer.node.filter(|_| peer.membership == Membership::Member) {
            self.outbox.push(Event::Disconnected { node });
        }
    }

    /// Identify says which network a peer belongs to; everything that takes a peer for one of ours waits for it. `fresh`:
    /// it is the first answer on this connection.
    fn on_identified(&mut self, id: PeerId, info: identify::Info, fresh: bool) {
        self.changed = true;
        let protocols = info.protocols.iter().map(AsRef::as_ref);
        let claim = self.names.claim(&info.protocol_version, &info.agent_version, protocols);
        let mismatch = self.names.mismatch(info.protocols.iter().map(AsRef::as_ref));
        let Some(peer) = self.peers.peer_mut(&id) else { return };
        let news = fresh || peer.membership != Membership::Member;
        let listens = without_id(dialable(&info.listen_addrs, peer.ip()), &id);
        peer.hop = info.protocols.contains(&relay::HOP_PROTOCOL_NAME);
        peer.understood = Some(info.protocols.iter().any(|protocol| self.names.engine.contains(protocol)));
        let relayed = !peer.path().is_direct();
        let moved = std::mem::replace(&mut peer.listens, listens.clone()) != listens;
        peer.agent = Some(info.agent_version.chars().filter(is_printable).take(AGENT_MAX).collect());
        match claim {
            Claim::Ours => {
                peer.membership = Membership::Member;
                peer.mismatch = mismatch.as_ref().map(|mismatch| mismatch.text.clone());
                if let Some(Mismatch { protocol, text }) = mismatch.filter(|_| self.named.is_first(id)) {
                    tracing::warn!(peer = %id, "a peer of this network {text}");
                    self.counters.mismatched(protocol);
                }
                self.neighbours.member(&id);
                let (node, address, outbound) = (peer.node, peer.address().clone(), peer.outbound());
                let announced = std::mem::take(&mut peer.announced);
                if moved && !listens.is_empty() {
                    self.swarm.behaviour_mut().kademlia.store_mut().moved(&id, &listens);
                }
                if info.protocols.contains(&self.names.kademlia) {
                    self.route(&id, &listens);
                } else {
                    // It cannot be dialed, so it is of no use to others there.
                    self.swarm.behaviour_mut().kademlia.remove_peer(&id);
                }
                self.reaching.desk.member(id);
                self.on_seen(&id, &info);
                self.swarm.behaviour_mut().gossip.remove_blacklisted_peer(&id);
                if let Some(node) = node.filter(|_| news) {
                    tracing::debug!(%node, %address, outbound, "connected");
                    self.outbox.push(Event::Connected { node, address, outbound });
                }
                for record in announced {
                    self.admit(record);
                }
                self.on_identified_for_streams(id, Membership::Member);
            }
            // Whoever comes through a relay comes for this network.
            Claim::Plain if relayed => self.turn_away(id, "plain_through_relay"),
            Claim::Plain => {
                self.reaching.desk.gone(&id);
                peer.announced.clear();
                let was_member =
                    std::mem::replace(&mut peer.membership, Membership::Plain) == Membership::Member;
                if let Some(node) = peer.node.filter(|_| was_member) {
                    self.outbox.push(Event::Disconnected { node });
                }
                // Its messages must not even count as seen: the same ones come from members.
                self.swarm.behaviour_mut().gossip.blacklist_peer(&id);
                self.neighbours.stranger(&id, clock::now());
                self.on_identified_for_streams(id, Membership::Plain);
            }
            Claim::OtherTag => self.turn_away(id, "other_network"),
            Claim::OtherId => self.turn_away(id, "other_network_id"),
        }
    }

    /// Puts a peer into Kademlia's routing table, at the addresses that it claims now and at no others.
    fn route(&mut self, peer: &PeerId, now: &[Multiaddr]) {
        let kademlia = &mut self.swarm.behaviour_mut().kademlia;
        for address in now {
            kademlia.add_address(peer, address.clone());
        }
        let claimed: Vec<_> = now.iter().filter_map(|address| address.clone().with_p2p(*peer).ok()).collect();
        if claimed.is_empty() {
            return;
        }
        let listed = kademlia.kbucket(*peer).and_then(|bucket| {
            let entry = bucket.iter().find(|entry| entry.node.key.preimage() == peer);
            entry.map(|entry| entry.node.value.iter().cloned().collect::<Vec<_>>())
        });
        for address in listed.unwrap_or_default().iter().filter(|address| !claimed.contains(address)) {
            kademlia.remove_address(peer, address);
        }
    }

    fn turn_away(&mut self, peer: PeerId, reason: &'static str) {
        tracing::info!(%peer, reason, "disconnected a peer of another network");
        self.counters.refused(reason);
        self.reaching.desk.gone(&peer);
        self.neighbours.stranger(&peer, clock::now());
        self.on_identified_for_streams(peer, Membership::Plain);
        let behaviour = self.swarm.behaviour_mut();
        behaviour.gate.ban(peer);
        behaviour.kademlia.remove_peer(&peer);
        // Fails only for a peer that has just gone by itself.
        let _ = self.swarm.disconnect_peer_id(peer);
    }

    fn on_ping(&mut self, event: &ping::Event) {
        self.metrics.record(event);
        if let (Some(peer), Ok(rtt)) = (self.peers.peer_mut(&event.peer), &event.result) {
            peer.rtt = Some(*rtt);
        }
        if let Err(ping::Failure::Timeout) = &event.result {
            self.swarm.close_connection(event.connection);
        }
    }

    fn on_gossip(&mut self, event: gossipsub::Event) {
        self.metrics.record(&event);
        match event {
            gossipsub::Event::Message { propagation_source, message_id, message } => self.gossip.received(
                &mut self.swarm.behaviour_mut().gossip,
                &mut self.outbox,
                &self.names,
                self.peers.membership(&propagation_source),
                propagation_source,
                (message_id, message),
                clock::now(),
            ),
            gossipsub::Event::SlowPeer { peer_id, failed_messages } => {
                tracing::debug!(peer = %peer_id, ?failed_messages, "a peer does not keep up with gossip");
                self.counters.dropped("gossip_to_slow_peer");
            }
            gossipsub::Event::Subscribed { .. }
            | gossipsub::Event::Unsubscribed { .. }
            | gossipsub::Event::GossipsubNotSupported { .. } => self.changed = true,
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "what is not named needs no action")]
    fn on_kademlia(&mut self, event: kad::Event) {
        self.metrics.record(&event);
        let now = clock::now();
        let behaviour = self.swarm.behaviour_mut();
        match event {
            kad::Event::OutboundQueryProgressed { id, result, stats, step } => {
                note_providers(behaviour, &result, now);
                let at = (&mut behaviour.kademlia, &mut self.outbox);
                let found = self.directory.progressed(at, id, (result, stats, step.last), now);
                if let Some((peer, addresses)) = found {
                    let at = (&mut behaviour.requests, &mut self.outbox);
                    self.requests.found(at, peer, &dialable(&addresses, None), now);
                }
            }
            kad::Event::InboundRequest { request: InboundRequest::AddProvider { record: Some(record) } } => {
                self.on_announced(record);
            }
            kad::Event::InboundRequest { request: InboundRequest::PutRecord { record: Some(_), .. } } => {
                self.counters.announcement("refused_value_record");
            }
            kad::Event::RoutingUpdated { is_new_peer: true, .. } => {
                self.changed = true;
                let peers = behaviour.kademlia.kbuckets().map(|bucket| bucket.num_entries()).sum();
                self.directory.table_grew(peers, now);
            }
            _ => {}
        }
    }

    /// Somebody announces itself as a provider. Kademlia has checked that it is the sender.
    fn on_announced(&mut self, record: ProviderRecord) {
        if !self.announcements.take(record.provider, clock::now()) {
            self.on_fault(record.provider, Fault::Flood);
            return self.counters.announcement("refused_rate");
        }
        let Some(peer) = self.peers.peer_mut(&record.provider) else {
            return self.counters.announcement("refused_gone");
        };
        match peer.membership {
            Membership::Member => self.admit(record),
            Membership::Plain => self.counters.announcement("refused_stranger"),
            Membership::Unknown => {
                if !peer.hold(record) {
                    self.counters.announcement("refused_early");
                }
            }
        }
    }

    fn admit(&mut self, mut record: ProviderRecord) {
        let Some(peer) = self.peers.peer(&record.provider) else { return };
        let ip = peer.ip();
        record.addresses = dialable(&record.addresses, ip);
        if record.addresses.is_empty() {
            record.addresses.clone_from(&peer.listens);
        }
        if record.addresses.is_empty() {
            // Kademlia leaves a provider without addresses out of its answers, unless it is in the routing table.
            record.addresses.push(without_peer(peer.address()));
        }
        let range = ip.filter(|ip| self.caps_loopback || !ip.to_canonical().is_loopback()).map(Range::of);
        let provider = record.provider;
        let store = self.swarm.behaviour_mut().kademlia.store_mut();
        let outcome = match store.admit(record, range, clock::now()) {
            Ok(()) => "stored",
            Err(refusal) => {
                tracing::debug!(%refusal, "an announcement was refused");
                refusal.name()
            }
        };
        self.counters.announcement(outcome);
        if outcome == StoreRefusal::KeysOfProvider.name() {
            self.on_fault(provider, Fault::Flood);
        }
    }

    fn on_request(&mut self, event: request_response::Event<RequestForms, Vec<u8>>) {
        let now = clock::now();
        let behaviour = self.swarm.behaviour_mut();
        match event {
            request_response::Event::Message { peer, message, .. } => {
                let membership = self.peers.membership(&peer);
                let at = (&mut behaviour.requests, &mut self.outbox);
                if self.requests.message(at, peer, membership, message, now) == Some("dropped_rate") {
                    self.on_fault(peer, Fault::Flood);
                }
            }
            request_response::Event::OutboundFailure { request_id, connection_id, error, .. } => {
                let at = (&mut behaviour.requests, &mut self.outbox);
                if let Some(peer) = self.requests.failed(at, request_id, (connection_id, &error), now) {
                    self.directory.find((&mut behaviour.kademlia, &mut self.outbox), peer, now);
                }
            }
            request_response::Event::InboundFailure { request_id, error, .. } => {
                tracing::debug!(%error, "an inbound request failed");
                self.requests.answered(request_id, "unanswered");
            }
            request_response::Event::ResponseSent { request_id, .. } => {
                self.requests.answered(request_id, "answered");
            }
        }
    }
}

/// What a peer calls itself ends up on terminals.
fn is_printable(c: &char) -> bool {
    c.is_ascii_graphic() || *c == ' '
}

pub(super) fn without_peer(address: &Multiaddr) -> Multiaddr {
    address.iter().filter(|part| !matches!(part, libp2p::multiaddr::Protocol::P2p(_))).collect()
}

fn reason_of(cause: &ConnectionDenied) -> &'static str {
    match cause.downcast_ref::<Refusal>() {
        Some(Refusal::Range) => "address_range",
        Some(Refusal::WeakKey) => "weak_key",
        Some(Refusal::Banned) => "banned",
        Some(Refusal::Lost) => "lost",
        None if cause.downcast_ref::<Duplicate>().is_some() => "duplicate",
        None if cause.downcast_ref::<memory_connection_limits::MemoryUsageLimitExceeded>().is_some() => {
            "memory"
        }
        None => "limit",
    }
}
