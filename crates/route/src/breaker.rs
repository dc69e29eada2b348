use std::fmt;

use crate::Ticks;
use crate::backoff::{doubled, jittered};

/// When a breaker opens and closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerLimits {
    /// It opens after so many failures in a row.
    pub failures_in_a_row: u32,
    /// It opens when so many per cent of the last calls failed.
    pub failures_percent: u32,
    /// Of how many last calls; at most 64. Fewer say nothing.
    pub window: u32,
    /// How long it stays open at first, in milliseconds, at most; at least half of it. It doubles each time.
    pub open_ms: u64,
    /// How long it stays open at most, in milliseconds.
    pub open_ms_max: u64,
    /// How many calls at once try whether the agent is back, and how many must succeed in a row.
    pub probes: u32,
    /// After how many milliseconds a call that tries counts as lost.
    pub probe_ms: u64,
}

impl Default for BreakerLimits {
    /// Opens after 5 failures in a row or 50 % of 20, for 1 s to 60 s; 2 calls try.
    fn default() -> Self {
        Self {
            failures_in_a_row: 5,
            failures_percent: 50,
            window: 20,
            open_ms: 1_000,
            open_ms_max: 60_000,
            probes: 2,
            probe_ms: 60_000,
        }
    }
}

/// The state that a breaker is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BreakerState {
    /// Calls pass.
    Closed,
    /// No call passes.
    Open,
    /// A few calls try.
    HalfOpen,
}

impl fmt::Display for BreakerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        })
    }
}

/// Whether a call may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It may.
    Pass,
    /// It may, to try whether the agent is back.
    Probe,
    /// It may not, until then.
    Shut(Ticks),
}

/// Keeps calls from an agent that fails, and lets a few through after a while to see whether it is back.
///
/// Only what was called in the present state moves it: a call from before it opened says nothing about now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breaker {
    limits: BreakerLimits,
    phase: Phase,
    /// How often it opened since the agent last kept well for a whole window.
    openings: u32,
    /// Grows with every change of phase.
    term: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed { last: Window, in_a_row: u32 },
    Open { until: Ticks },
    HalfOpen { under_way: u32, succeeded: u32, since: Ticks },
}

/// The outcomes of the last calls, the newest in the lowest bit; a failure is a one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Window {
    bits: u64,
    len: u32,
}

/// What a call that began must give back when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    term: u32,
    is_probe: bool,
}

impl Window {
    fn push(&mut self, failed: bool, max: u32) {
        self.bits = self.bits << 1 | u64::from(failed);
        self.len = (self.len + 1).min(max);
        self.bits &= u64::MAX >> (64 - max);
    }

    fn is_over(self, percent: u32, max: u32) -> bool {
        self.len == max && self.bits.count_ones() * 100 >= percent * max
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self::new(BreakerLimits::default())
    }
}

impl Breaker {
    /// A closed breaker. Limits that make no sense are taken for the nearest that do.
    #[must_use]
    pub fn new(limits: BreakerLimits) -> Self {
        let limits = BreakerLimits {
            failures_in_a_row: limits.failures_in_a_row.max(1),
            failures_percent: limits.failures_percent.clamp(1, 100),
            window: limits.window.clamp(1, 64),
            probes: limits.probes.max(1),
            ..limits
        };
        Self { limits, phase: CLOSED, openings: 0, term: 0 }
    }

    /// The state at `now`: one whose time is over is half-open, though no call was made yet.
    #[must_use]
    pub fn state(&self, now: Ticks) -> BreakerState {
        match self.phase {
            Phase::Closed { .. } => BreakerState::Closed,
            Phase::Open { until } if now < until => BreakerState::Open,
            Phase::Open { .. } | Phase::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Whether a call may be made at `now`.
    #[must_use]
    pub fn gate(&self, now: Ticks) -> Gate {
        match self.phase {
            Phase::Closed { .. } => Gate::Pass,
            Phase::Open { until } if now < until => Gate::Shut(until),
            Phase::Open { .. } => Gate::Probe,
            Phase::HalfOpen { under_way, since, .. } => {
                let lost = since.plus(self.limits.probe_ms);
                if under_way < self.limits.probes || now >= lost { Gate::Probe } else { Gate::Shut(lost) }
            }
        }
    }

    /// A call begins, whether the gate lets it pass or not.
    pub fn began(&mut self, now: Ticks) -> Pass {
        if let Phase::Open { until } = self.phase
            && now >= until
        {
            self.enter(Phase::HalfOpen { under_way: 0, succeeded: 0, since: now });
        }
        let limits = self.limits;
        let mut is_probe = false;
        if let Phase::HalfOpen { under_way, succeeded, since } = self.phase {
            if now >= since.plus(limits.probe_ms) {
                // Whoever tried will not say how it went. What they say later is of an earlier term.
                self.enter(Phase::HalfOpen { under_way: 1, succeeded, since: now });
                is_probe = true;
            } else if under_way < limits.probes {
                self.phase = Phase::HalfOpen { under_way: under_way + 1, succeeded, since: now };
                is_probe = true;
            }
        }
        Pass { term: self.term, is_probe }
    }

    /// A call ended well or badly.
    pub fn ended(&mut self, pass: Pass, failed: bool, now: Ticks, draw: u64) {
        if pass.term != self.term {
            return;
        }
        match self.phase {
            Phase::Closed { mut last, in_a_row } => {
                last.push(failed, self.limits.window);
                let in_a_row = if failed { in_a_row.saturating_add(1) } else { 0 };
                if in_a_row >= self.limits.failures_in_a_row
                    || (failed && last.is_over(self.limits.failures_percent, self.limits.window))
                {
                    return self.open(now, draw);
                }
                if last.len == self.limits.window && last.bits == 0 {
                    self.openings = 0;
                }
                self.phase = Phase::Closed { last, in_a_row };
            }
            Phase::HalfOpen { under_way, succeeded, since } if pass.is_probe => {
                if failed {
                    return self.open(now, draw);
                }
                let succeeded = succeeded + 1;
                if succeeded >= self.limits.probes {
                    return self.enter(CLOSED);
                }
                self.phase = Phase::HalfOpen { under_way: under_way.saturating_sub(1), succeeded, since };
            }
            Phase::Open { .. } | Phase::HalfOpen { .. } => {}
        }
    }

    /// A call ended in a way that says nothing, such as given up by the caller.
    pub fn dropped(&mut self, pass: Pass) {
        if pass.term == self.term
            && pass.is_probe
            && let Phase::HalfOpen { under_way, succeeded, since } = self.phase
        {
            self.phase = Phase::HalfOpen { under_way: under_way.saturating_sub(1), succeeded, since };
        }
    }

    fn open(&mut self, now: Ticks, draw: u64) {
        let longest = doubled(self.limits.open_ms, self.openings, self.limits.open_ms_max);
        self.openings = self.openings.saturating_add(1);
        self.enter(Phase::Open { until: now.plus(jittered(longest, draw)) });
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.term = self.term.wrapping_add(1);
    }
}

const CLOSED: Phase = Phase::Closed { last: Window { bits: 0, len: 0 }, in_a_row: 0 };

#[cfg(test)]
mod tests;
