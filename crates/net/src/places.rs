use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use libp2p::PeerId;
use prometheus_client::metrics::gauge::Gauge;

use crate::{Limits, StreamKind};

/// How many streams of one direction live, per peer and in all.
#[derive(Clone, Debug)]
pub(crate) struct Places(Arc<Mutex<Taken>>);

#[derive(Debug)]
struct Taken {
    sessions_per_peer_max: usize,
    calls_per_peer_max: usize,
    all_max: usize,
    all: usize,
    peers: BTreeMap<PeerId, OfPeer>,
    gauge: Gauge,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct OfPeer {
    sessions: usize,
    calls: usize,
}

impl OfPeer {
    /// What a kind counts for. A call of either kind costs the same.
    fn count(&mut self, kind: StreamKind) -> &mut usize {
        match kind {
            StreamKind::Calls => &mut self.sessions,
            StreamKind::Call | StreamKind::Http => &mut self.calls,
        }
    }
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// The peer has all that it may have.
    Peer,
    /// All peers together have.
    All,
}

impl Places {
    pub(crate) fn new(limits: &Limits, gauge: Gauge) -> Self {
        Self(Arc::new(Mutex::new(Taken {
            sessions_per_peer_max: limits.sessions_per_peer_max,
            calls_per_peer_max: limits.calls_per_peer_max,
            all_max: limits.channels_max,
            all: 0,
            peers: BTreeMap::new(),
            gauge,
        })))
    }

    /// Takes a place until the guard is dropped.
    pub(crate) fn take(&self, peer: PeerId, kind: StreamKind) -> Result<Place, Full> {
        let taken = &mut *self.taken();
        let max = match kind {
            StreamKind::Calls => taken.sessions_per_peer_max,
            StreamKind::Call | StreamKind::Http => taken.calls_per_peer_max,
        };
        let mut of_peer = taken.peers.get(&peer).copied().unwrap_or_default();
        if *of_peer.count(kind) >= max {
            return Err(Full::Peer);
        }
        if taken.all >= taken.all_max {
            return Err(Full::All);
        }
        *of_peer.count(kind) += 1;
        taken.peers.insert(peer, of_peer);
        taken.all += 1;
        taken.gauge.inc();
        Ok(Place { places: self.clone(), peer, kind })
    }

    fn taken(&self) -> std::sync::MutexGuard<'_, Taken> {
        // Nothing in here leaves it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One stream's place.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    peer: PeerId,
    kind: StreamKind,
}

impl Drop for Place {
    fn drop(&mut self) {
        let taken = &mut *self.places.taken();
        taken.all -= 1;
        taken.gauge.dec();
        let Some(of_peer) = taken.peers.get_mut(&self.peer) else { return };
        *of_peer.count(self.kind) -= 1;
        if *of_peer == OfPeer::default() {
            taken.peers.remove(&self.peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(limits: Limits) -> Places {
        Places::new(&limits, Gauge::default())
    }

    #[test]
    fn sessions_and_calls_of_a_peer_are_counted_apart_and_given_back() {
        let (places, peer) = (places(Limits::default()), PeerId::random());
        let sessions: Vec<_> = (0..2).map(|_| places.take(peer, StreamKind::Calls).expect("room")).collect();
        let kinds = [StreamKind::Call, StreamKind::Http];
        let calls: Vec<_> = (0..8).map(|n| places.take(peer, kinds[n % 2]).expect("room")).collect();
        for kind in StreamKind::ALL {
            assert_eq!(places.take(peer, kind).err(), Some(Full::Peer), "{kind:?}");
        }
        assert!(places.take(PeerId::random(), StreamKind::Calls).is_ok(), "another peer has its own");
        drop(sessions);
        assert!(places.take(peer, StreamKind::Calls).is_ok());
        assert_eq!(places.take(peer, StreamKind::Http).err(), Some(Full::Peer));
        drop(calls);
        let taken = places.taken();
        assert_eq!((taken.all, taken.peers.len(), taken.gauge.get()), (0, 0, 0), "nothing is left behind");
    }

    #[test]
    fn all_peers_together_have_so_many_and_no_more() {
        let places = places(Limits { channels_max: 5, ..Limits::default() });
        let taken: Vec<_> = (0..5).map(|_| places.take(PeerId::random(), StreamKind::Call)).collect();
        assert!(taken.iter().all(Result::is_ok));
        assert_eq!(places.take(PeerId::random(), StreamKind::Call).err(), Some(Full::All));
        assert_eq!(places.taken().peers.len(), 5, "who is refused is not remembered");
        drop(taken);
        assert!(places.take(PeerId::random(), StreamKind::Call).is_ok());
    }
}
