use std::collections::VecDeque;
use std::time::{Duration, Instant};

use libp2p::PeerId;

/// Peers that wait to be looked at; who does not fit is looked at in the next round.
const WAITING_MAX: usize = 1024;
/// Dials at once for this purpose: a quarter of those that may be pending.
const DIALS_MAX: usize = 4;
/// How often every peer of the routing table that is not connected is looked at.
const ROUND: Duration = Duration::from_secs(600);
/// How long at least between two dials of a round.
const PACE: Duration = Duration::from_secs(2);

/// Peers of the routing table that may have gone. Each is dialed once; who cannot be reached leaves the table, so that
/// nobody is sent there.
#[derive(Debug, Default)]
pub(crate) struct Suspects {
    /// Their connection broke, or they were slow: looked at as soon as possible.
    urgent: VecDeque<PeerId>,
    /// The rest of the round.
    round: VecDeque<PeerId>,
    round_begun: Option<Instant>,
    paced: Option<Instant>,
}

impl Suspects {
    /// Something speaks against a peer. When there is no room, the round finds it.
    pub(crate) fn suspect(&mut self, peer: PeerId) {
        if self.urgent.len() < WAITING_MAX && !self.urgent.contains(&peer) {
            self.urgent.push_back(peer);
        }
    }

    /// Whether a new round is due.
    pub(crate) fn round_due(&self, now: Instant) -> bool {
        let over = |begun| now.saturating_duration_since(begun) >= ROUND;
        self.round.is_empty() && self.round_begun.is_none_or(over)
    }

    /// Begins a round with the peers that are in the table and not connected.
    pub(crate) fn begin_round(&mut self, peers: impl Iterator<Item = PeerId>, now: Instant) {
        self.round_begun = Some(now);
        self.round = peers.take(WAITING_MAX).collect();
    }

    /// Whom to dial now, given how many dials are under way.
    pub(crate) fn due(&mut self, dialing: usize, now: Instant) -> Option<PeerId> {
        if dialing >= DIALS_MAX {
            return None;
        }
        if let Some(peer) = self.urgent.pop_front() {
            return Some(peer);
        }
        if self.paced.is_some_and(|paced| now.saturating_duration_since(paced) < PACE) {
            return None;
        }
        let peer = self.round.pop_front()?;
        self.paced = Some(now);
        Some(peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn the_suspected_go_first_and_once_and_the_list_is_bounded() {
        let (mut suspects, now) = (Suspects::default(), clock::now());
        let quiet = PeerId::random();
        assert!(suspects.round_due(now));
        suspects.begin_round([quiet].into_iter(), now);
        let peers: Vec<_> = (0..2 * WAITING_MAX).map(|_| PeerId::random()).collect();
        for peer in peers.iter().chain(&peers[..10]) {
            suspects.suspect(*peer);
        }
        assert_eq!(suspects.urgent.len(), WAITING_MAX);
        assert_eq!(suspects.due(DIALS_MAX, now), None);
        let dialed: Vec<_> = std::iter::from_fn(|| suspects.due(0, now)).collect();
        assert_eq!(dialed[..WAITING_MAX], peers[..WAITING_MAX]);
        assert_eq!(dialed[WAITING_MAX..], [quiet]);
        assert!(!suspects.round_due(now + ROUND / 2));
        assert!(suspects.round_due(now + ROUND));
    }

    #[test]
    fn a_round_is_paced() {
        let (mut suspects, now) = (Suspects::default(), clock::now());
        suspects.begin_round((0..3).map(|_| PeerId::random()), now);
        assert!(suspects.due(0, now).is_some());
        assert!(suspects.due(0, now).is_none());
        assert!(suspects.due(0, now + PACE).is_some());
        suspects.begin_round((0..2 * WAITING_MAX).map(|_| PeerId::random()), now);
        assert_eq!(suspects.round.len(), WAITING_MAX);
    }
}
