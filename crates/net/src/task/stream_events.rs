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
                // Its connection has closed.
                let Some(path) = path else { return };
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

    pub(super) fn on_undialed_for_streams(&mut self, peer: &PeerId) {
        let steps = self.streams.undialed(peer);
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
            match self.swarm.dial(dial_peer(step.peer, step.addresses)) {
                // Another dial may end well. If not, this one has its turn.
                Ok(()) | Err(DialError::DialPeerConditionFalse(_)) => {}
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
