use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use libp2p::PeerId;

/// Peers whose faults are remembered; the one with the fewest makes room.
const PEERS_MAX: usize = 1024;
/// How long it takes until half of a fault is forgotten.
const HALF_LIFE: Duration = Duration::from_secs(300);
/// With so many faults a peer is disconnected and kept out for a while.
pub(crate) const FAULTS_MAX: f64 = 200.0;

/// What a peer itself did wrong, whatever it passes on of others. Each fault takes one off its gossip score: with 20 no
/// gossip is exchanged with it, with 80 it is not heard, with 200 it is out.
#[derive(Debug, Default)]
pub(crate) struct Conduct {
    faults: BTreeMap<PeerId, (f64, Instant)>,
}

/// What it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Announced, asked, opened or looked up more than its quota. Little each: an honest node with many keys in a network that
    /// forms announces them again and again.
    Flood,
    /// Sent bytes that nobody can have mistaken for a request, or a record that is wrong from its bytes in an answer.
    Malformed,
}

impl Fault {
    fn weight(self) -> f64 {
        match self {
            Self::Flood => 0.01,
            Self::Malformed => 10.0,
        }
    }
}

impl Conduct {
    /// Notes a fault. Gives how many there are.
    pub(crate) fn fault(&mut self, peer: PeerId, fault: Fault, now: Instant) -> f64 {
        if !self.faults.contains_key(&peer) && self.faults.len() >= PEERS_MAX {
            let least = self.faults.iter().min_by(|(_, a), (_, b)| left(**a, now).total_cmp(&left(**b, now)));
            let least = least.map(|(peer, _)| *peer);
            least.and_then(|peer| self.faults.remove(&peer));
        }
        let entry = self.faults.entry(peer).or_insert((0.0, now));
        *entry = (left(*entry, now) + fault.weight(), now);
        entry.0
    }

    /// Forgets what is as good as over. Gives what is left of the others, for their scores.
    pub(crate) fn decay(&mut self, now: Instant) -> Vec<(PeerId, f64)> {
        let over: Vec<_> =
            self.faults.iter().filter(|(_, f)| left(**f, now) < 0.01).map(|(peer, _)| *peer).collect();
        let gone = over.into_iter().map(|peer| (peer, 0.0)).collect::<Vec<_>>();
        for (peer, _) in &gone {
            self.faults.remove(peer);
        }
        let rest = self.faults.iter().map(|(peer, faults)| (*peer, left(*faults, now)));
        gone.into_iter().chain(rest).collect()
    }
}

fn left((faults, at): (f64, Instant), now: Instant) -> f64 {
    faults * 0.5_f64.powf(now.saturating_duration_since(at).as_secs_f64() / HALF_LIFE.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn faults_add_up_and_are_forgotten_by_halves() {
        let (mut conduct, now, peer) = (Conduct::default(), clock::now(), PeerId::random());
        let counts: Vec<_> = (0..20).map(|_| conduct.fault(peer, Fault::Malformed, now)).collect();
        assert!(counts[18] < FAULTS_MAX && counts[19] >= FAULTS_MAX, "the twentieth is too many");
        let later = conduct.decay(now + HALF_LIFE);
        assert!((later[0].1 - 100.0).abs() < 1e-6, "{later:?}");
        assert_eq!(conduct.decay(now + HALF_LIFE * 20), [(peer, 0.0)]);
        assert!(conduct.faults.is_empty());
    }

    #[test]
    fn a_crowd_does_not_wash_away_who_has_many_faults() {
        let (mut conduct, now, peer) = (Conduct::default(), clock::now(), PeerId::random());
        conduct.fault(peer, Fault::Malformed, now);
        for _ in 0..2 * PEERS_MAX {
            conduct.fault(PeerId::random(), Fault::Flood, now);
        }
        assert_eq!(conduct.faults.len(), PEERS_MAX);
        assert!(conduct.fault(peer, Fault::Malformed, now) > 19.0);
    }
}
