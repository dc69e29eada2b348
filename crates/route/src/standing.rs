use crate::BreakerState;

/// What is known of an agent from the calls that went to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Calls under way.
    pub in_flight: u32,
    /// How long it takes to answer, in milliseconds: the moving average over the last calls; none if not known, or not
    /// any more.
    pub latency_ms: Option<u64>,
    /// The load that it last reported, 0 to 1,000; none if it did not, or not lately.
    pub load_per_mille: Option<u16>,
    /// Calls that went well.
    pub successes: u64,
    /// Of these, how many had an answer that was called useless afterwards.
    pub useless: u64,
    /// Calls that failed.
    pub failures: u64,
    /// The state of its breaker.
    pub breaker: BreakerState,
}

impl Standing {
    /// What is known of an agent that was never called.
    pub(crate) const UNKNOWN: Self = Self {
        in_flight: 0,
        latency_ms: None,
        load_per_mille: None,
        successes: 0,
        useless: 0,
        failures: 0,
        breaker: BreakerState::Closed,
    };

    /// Whether more of its answers were called useless than were not: nobody has to be told how it is.
    pub(crate) fn disappoints(&self) -> bool {
        self.useless > self.successes.saturating_sub(self.useless)
    }

    /// How long a call is likely to wait, for comparison: latency, times the calls before it, more under load.
    pub(crate) fn cost(&self) -> u128 {
        let load = self.load_per_mille.unwrap_or(LOAD_UNKNOWN);
        let latency_ms = u128::from(self.latency_ms.unwrap_or(0)) + 1;
        latency_ms * (u128::from(self.in_flight) + 1) * (1_000 + u128::from(load))
    }
}

/// The load of an agent that reports none, in thousandths: half.
pub(crate) const LOAD_UNKNOWN: u16 = 500;
