use std::collections::BTreeMap;
use std::time::Instant;

use libp2p::PeerId;

/// One token bucket per peer.
#[derive(Debug)]
pub(crate) struct Buckets {
    rate: f64,
    burst: f64,
    levels: BTreeMap<PeerId, (f64, Instant)>,
}

impl Buckets {
    pub(crate) fn new(rate: f64, burst: f64) -> Self {
        Self { rate, burst, levels: BTreeMap::new() }
    }

    /// Takes one token, if there is one.
    pub(crate) fn take(&mut self, peer: PeerId, now: Instant) -> bool {
        let (level, at) = self.levels.entry(peer).or_insert((self.burst, now));
        *level = (*level + now.saturating_duration_since(*at).as_secs_f64() * self.rate).min(self.burst);
        *at = now;
        let enough = *level >= 1.0;
        if enough {
            *level -= 1.0;
        }
        enough
    }

    /// Forgets peers whose bucket is full again, so that reconnecting does not refill one.
    pub(crate) fn sweep(&mut self, now: Instant) {
        let (rate, burst) = (self.rate, self.burst);
        self.levels.retain(|_, (level, at)| {
            *level + now.saturating_duration_since(*at).as_secs_f64() * rate < burst
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock;

    #[test]
    fn burst_then_rate_and_a_reconnect_does_not_refill() {
        let (start, peer) = (clock::now(), PeerId::random());
        let mut buckets = Buckets::new(10.0, 3.0);
        let taken = |buckets: &mut Buckets, at| (0..10).filter(|_| buckets.take(peer, at)).count();
        assert_eq!(taken(&mut buckets, start), 3);
        buckets.sweep(start);
        assert_eq!(taken(&mut buckets, start), 0);
        assert_eq!(taken(&mut buckets, start + Duration::from_millis(210)), 2);
        buckets.sweep(start + Duration::from_secs(9));
        assert!(buckets.levels.is_empty());
    }
}
