use libp2p::PeerId;
use libp2p::swarm::{ConnectionId, DialError};

use super::Task;
use crate::bootstrap::dial_peer;
use crate::conduct::Fault;
use crate::peers::peer_of;
use crate::range::dialable;
use crate::stream_desk::{Arrival, Step, Wish};
use crate::streams::StreamEvent;
use crate::streams::handler::Told;
use crate::{Membership, OpenError, clock};

impl Task {
    pub(super) fn on_wish(&mut self, mut wish: Wish) {
        let peer = peer_of(&wish.node);
        wish.addresses = dialable(&wish.addresses, None);
        let step = self.streams.wish(peer, wish, clock::now());
        self.open_streams(step.into_iter().collect());
    }

    pub(super) fn on_stream(&mut self, event: StreamEvent) {
        let StreamEvent { peer, connection, told } = event;
        let path = self.peers.path(&peer, connection);
        let next = match told {
            Told::Opened { number, ends } => {
                self.streams.opened(number, ends, path);
                None
            }
            Told::Failed { number, cause } => self.streams.failed(number, cause),
            Told::Inbound { kind, ends } => {
                let Some(path) = path else { return self.streams.too_late(kind) };
                let arrival = Arrival { peer, connection, path, kind, ends };
                let membership = self.peers.membership(&peer);
                let streams = &mut self.swarm.behaviour_mut().streams;
                if self.streams.arrived(streams, membership, arrival, clock::now()) {
                    self.on_fault(peer, Fault::Flood);
                }
                None
            }
        };
        self.open_streams(next.into_iter().collect());
    }

    /// There is a new connection to the peer.
    pub(super) fn on_connected_for_streams(&mut self, peer: &PeerId) {
        self.open_streams(self.streams.connected(peer));
    }

    pub(super) fn on_closed_for_streams(&mut self, connection: ConnectionId) {
        let steps = self.streams.closed(connection);
        self.open_streams(steps);
    }

    /// A dial failed.
    pub(super) fn on_undialed_for_streams(&mut self, peer: &PeerId, dial: ConnectionId, error: &DialError) {
        // One that is given up early, or ends in a second connection, says nothing about the peer.
        let is_final = !matches!(error, DialError::Aborted) && self.peers.peer(peer).is_none();
        let steps = self.streams.undialed(peer, dial, is_final);
        self.open_streams(steps);
    }

    /// Identify has said who a peer is.
    pub(super) fn on_identified_for_streams(&mut self, peer: PeerId, membership: Membership) {
        let streams = &mut self.swarm.behaviour_mut().streams;
        for _ in 0..self.streams.identified(streams, &peer, membership) {
            self.on_fault(peer, Fault::Flood);
        }
    }

    pub(super) fn sweep_streams(&mut self) {
        self.streams.sweep(&mut self.swarm.behaviour_mut().streams, clock::now());
    }

    /// Opens each stream on the best connection that there is, or dials.
    fn open_streams(&mut self, mut steps: Vec<Step>) {
        while let Some(step) = steps.pop() {
            let duplicates = &self.swarm.behaviour().duplicates;
            let best = self.peers.best(&step.peer, |connection| duplicates.is_test(connection));
            if let Some(connection) = best {
                self.streams.is_at(step.number, connection);
                let streams = &mut self.swarm.behaviour_mut().streams;
                streams.open(step.peer, connection, step.number, step.kind);
                continue;
            }
            self.swarm.behaviour_mut().gate.regain(&step.peer);
            let dial = dial_peer(step.peer, step.addresses);
            let id = dial.connection_id();
            match self.swarm.dial(dial) {
                Ok(()) => {
                    self.streams.is_dialed(step.number, Some(id));
                    // libp2p tells only of dials that behaviours ask for.
                    self.dialing.entry(step.peer).or_insert_with(clock::now);
                }
                // Another dial may end well. If not, this one has its turn.
                Err(DialError::DialPeerConditionFalse(_)) => self.streams.is_dialed(step.number, None),
                Err(error) => {
                    tracing::debug!(peer = %step.peer, %error, "not dialed for a stream");
                    let busy = matches!(error, DialError::Denied { .. });
                    let cause = if busy { OpenError::Busy } else { OpenError::Unreachable };
                    steps.extend(self.streams.failed(step.number, cause));
                }
            }
        }
    }
}
