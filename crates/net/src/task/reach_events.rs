use std::time::Instant;

use libp2p::autonat::v2::client;
use libp2p::core::Endpoint;
use libp2p::core::transport::ListenerId;
use libp2p::kad::{GetProvidersOk, Mode, QueryResult};
use libp2p::swarm::{ConnectionId, NetworkBehaviour};
use libp2p::{Multiaddr, PeerId, dcutr, identify, relay, upnp};

use super::Task;
use crate::behaviour::Behaviour;
use crate::paths::is_circuit;
use crate::range::{Range, dialable, ip_of};
use crate::reach::{Reach, published};
use crate::relay_desk::RelayDesk;
use crate::relays::{Candidate, Relays};
use crate::state::{ReachState, Relaying, Upnp};
use crate::{Event, Membership, clock};

/// Providers of one answer whose addresses are remembered.
const PROVIDERS_NOTED_MAX: usize = 64;

/// What the task knows about being reached.
pub(crate) struct Reaching {
    pub(super) reach: Reach,
    pub(super) relays: Relays,
    pub(super) desk: RelayDesk,
    /// Whether the operator lets this node relay.
    relay: bool,
    upnp: Upnp,
    punches: (u64, u64),
    /// What others were told last.
    published: Vec<Multiaddr>,
}

impl Reaching {
    pub(crate) fn new(config: &crate::Config, local: PeerId, desk: RelayDesk) -> Self {
        Self {
            reach: Reach::new(config.reachability, &config.bootstrap),
            relays: Relays::new(local),
            desk,
            relay: config.relay,
            upnp: if config.upnp { Upnp::Searching } else { Upnp::Off },
            punches: (0, 0),
            published: Vec::new(),
        }
    }
}

impl Task {
    /// Where this node itself listens.
    pub(super) fn listens(&self) -> Vec<Multiaddr> {
        self.swarm.listeners().filter(|address| !is_circuit(address)).cloned().collect()
    }

    pub(super) fn on_tested(&mut self, event: &client::Event) {
        // Strangers may say what they like.
        if self.peers.membership(&event.server) != Membership::Member {
            return;
        }
        self.changed = true;
        if let Err(error) = &event.result {
            tracing::debug!(%error, server = %event.server, "a peer could not dial an address of this node");
        }
        self.reaching.reach.tested(&event.tested_addr, event.result.is_ok());
    }

    /// A member says where it sees this node, and shows it by where it came in.
    pub(super) fn on_seen(&mut self, id: &PeerId, info: &identify::Info) {
        let Some(peer) = self.peers.peer(id) else { return };
        if !peer.path().is_direct() {
            return;
        }
        if let Some((at, from)) = peer.came_in() {
            self.reaching.reach.came_in(at, from);
        }
        let (local, listens) = (*self.swarm.local_peer_id(), self.listens());
        let fresh = self.reaching.reach.observed((local, &listens), (*id, &info.observed_addr), clock::now());
        for address in fresh {
            self.swarm.behaviour_mut().probe_client.test(&address);
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "what is not named needs no action")]
    pub(super) fn on_relay(&mut self, event: relay::Event) {
        let desk = &self.reaching.desk;
        self.changed = true;
        match event {
            relay::Event::ReservationReqDenied { .. } => desk.count_refused(false),
            relay::Event::ReservationTimedOut { src_peer_id } => desk.left(&src_peer_id),
            relay::Event::CircuitReqAccepted { src_peer_id, dst_peer_id } => {
                desk.circuit(src_peer_id, dst_peer_id, true);
            }
            relay::Event::CircuitClosed { src_peer_id, dst_peer_id, .. } => {
                desk.circuit(src_peer_id, dst_peer_id, false);
            }
            relay::Event::CircuitReqDenied { .. } => desk.count_refused(true),
            _ => {}
        }
    }

    pub(super) fn on_relay_client(&mut self, event: relay::client::Event) {
        match event {
            relay::client::Event::ReservationReqAccepted { relay_peer_id, .. } => {
                if self.reaching.relays.accepted(&relay_peer_id) {
                    self.changed = true;
                    tracing::info!(relay = %relay_peer_id, "reachable through a relay");
                }
            }
            relay::client::Event::OutboundCircuitEstablished { .. }
            | relay::client::Event::InboundCircuitEstablished { .. } => {}
        }
    }

    pub(super) fn on_punched(&mut self, event: dcutr::Event) {
        self.changed = true;
        match event.result {
            Ok(_) => {
                tracing::debug!(peer = %event.remote_peer_id, "a hole was punched");
                self.reaching.punches.0 += 1;
            }
            Err(error) => {
                tracing::debug!(peer = %event.remote_peer_id, %error, "no hole was punched");
                self.reaching.punches.1 += 1;
            }
        }
    }

    pub(super) fn on_upnp(&mut self, event: upnp::Event) {
        self.changed = true;
        self.reaching.upnp = match event {
            upnp::Event::NewExternalAddr { external_addr, .. } => {
                if let Some(fresh) = self.reaching.reach.mapped(&external_addr) {
                    self.swarm.behaviour_mut().probe_client.test(&fresh);
                }
                Upnp::Mapped
            }
            upnp::Event::ExpiredExternalAddr { external_addr, .. } => {
                self.reaching.reach.unmapped(&external_addr);
                Upnp::Expired
            }
            upnp::Event::GatewayNotFound => Upnp::NoGateway,
            upnp::Event::NonRoutableGateway => Upnp::NotRoutable,
        };
    }

    /// A listener closed; returns whether it was one at a relay.
    pub(super) fn on_listener_closed(&mut self, listener: ListenerId) -> bool {
        self.reaching.relays.closed(listener, clock::now())
    }

    /// Asks for a place at a relay, or gives places back.
    pub(super) fn seek_relays(&mut self, now: Instant) {
        self.reaching.reach.sweep(now);
        self.reaching.desk.sweep(now);
        self.pings.sweep(now);
        let over = if self.reaching.reach.needs_relays() {
            self.reaching.relays.late(now)
        } else {
            self.reaching.relays.listeners()
        };
        for listener in over {
            // It reports that it closed.
            self.swarm.remove_listener(listener);
        }
        if !self.reaching.reach.needs_relays() {
            return;
        }
        let candidates = self.peers.iter().filter(|(_, peer)| peer.relays());
        let candidates = candidates.map(|(id, peer)| {
            let dialed = peer.dialed().map(super::swarm_events::without_peer);
            let direct = peer.listens.iter().filter(|address| !is_circuit(address)).cloned();
            let addresses: Vec<_> = dialed.into_iter().chain(direct).collect();
            Candidate { peer: *id, range: addresses.first().and_then(ip_of).map(Range::of), addresses }
        });
        let candidates = candidates.collect();
        let Some((relay, listen)) = self.reaching.relays.due(candidates, now) else { return };
        match self.swarm.listen_on(listen) {
            Ok(listener) => self.reaching.relays.asked(&relay, listener),
            Err(error) => {
                tracing::debug!(%relay, %error, "not asked to relay");
                self.reaching.relays.refused(relay, now);
            }
        }
    }

    /// Lets Kademlia, the relay and the swarm know what is known about being reached.
    pub(super) fn update_reach(&mut self) {
        let listens = self.listens();
        let Reaching { reach, desk, relay, .. } = &mut self.reaching;
        reach.listens(&listens);
        let (mode, open) =
            (if reach.serves() { Mode::Server } else { Mode::Client }, *relay && reach.relays());
        let behaviour = self.swarm.behaviour_mut();
        if behaviour.kademlia.mode() != mode {
            behaviour.kademlia.set_mode(Some(mode));
        }
        desk.set_open(open);
        let status = if open { relay::Status::Enable } else { relay::Status::Disable };
        behaviour.relay.set_status(Some(status));
        let known: Vec<_> = self.swarm.external_addresses().filter(|a| !is_circuit(a)).cloned().collect();
        for address in
            known.iter().filter(|address| !self.reaching.reach.external().any(|(a, _)| a == *address))
        {
            self.swarm.remove_external_address(address);
        }
        let fresh = self.reaching.reach.external().map(|(address, _)| address);
        let fresh: Vec<_> = fresh.filter(|address| !known.contains(address)).cloned().collect();
        for address in fresh {
            self.swarm.add_external_address(address);
        }
    }

    /// What is known about being reached, for the state.
    pub(super) fn reach_state(&self, listens: &[Multiaddr]) -> ReachState {
        let Reaching { reach, relays, desk, relay, upnp, punches, .. } = &self.reaching;
        let circuits = relays.circuits();
        let (places, open, refused) = desk.load();
        let relaying = Relaying {
            places,
            circuits: open,
            refused_places: refused.places,
            refused_circuits: refused.circuits,
        };
        ReachState {
            reachability: reach.reachability(),
            mode: reach.mode(),
            kademlia_serves: reach.serves(),
            external: reach.external().map(|(address, learnt)| (address.clone(), learnt)).collect(),
            observed: reach.candidates().map(|(address, tests)| (address.clone(), tests)).collect(),
            upnp: upnp.clone(),
            relays: relays.held().filter_map(|relay| crate::peers::node_of(&relay)).collect(),
            published: published(reach.external().map(|(address, _)| address.clone()), &circuits, listens),
            circuits,
            relaying: (*relay && reach.relays()).then_some(relaying),
            punches: *punches,
        }
    }

    /// Tells the node, and those who store provider records, when this node is to be found elsewhere.
    pub(super) fn announce_addresses(&mut self, state: &ReachState) {
        if self.reaching.published != state.published {
            self.reaching.published.clone_from(&state.published);
            self.outbox.push(Event::Addresses);
            self.directory.announce_soon(clock::now());
        }
    }
}

/// Remembers where providers are: Kademlia knows it only while the lookup runs.
pub(super) fn note_providers(behaviour: &mut Behaviour, result: &QueryResult, now: Instant) {
    let QueryResult::GetProviders(Ok(GetProvidersOk::FoundProviders { providers, .. })) = result else {
        return;
    };
    for provider in providers.iter().take(PROVIDERS_NOTED_MAX) {
        let (none, id) = (Endpoint::Dialer, ConnectionId::new_unchecked(0));
        let known = behaviour.kademlia.handle_pending_outbound_connection(id, Some(*provider), &[], none);
        behaviour.addresses.note(*provider, dialable(&known.unwrap_or_default(), None), now);
    }
}
