use std::collections::BTreeMap;

use crate::breaker::Pass;
use crate::chance::Chance;
use crate::standing::LOAD_UNKNOWN;
use crate::{
    Breaker, BreakerLimits, Candidate, Choice, Gate, Reason, Standing, Strategy, Ticks, Unavailable, Weighed,
};

mod best;

pub use self::best::SCORE_MIN;

/// Most agents whose calls are remembered. Of more, the one that was not called for the longest time is forgotten.
pub const AGENTS_MAX: usize = 4_096;

/// Most candidates of one choice; of more, the first are looked at.
pub const CANDIDATES_MAX: usize = 1_024;

/// How long a measured latency counts, in milliseconds: 5 minutes. Then the agent is tried anew.
const LATENCY_LIFETIME_MS: u64 = 300_000;

/// How long a reported load counts, in milliseconds: 1 minute.
const LOAD_LIFETIME_MS: u64 = 60_000;

/// A new latency moves the average by one part in so many.
const LATENCY_WEIGHT: u64 = 8;

/// Latencies are kept in so many parts of a millisecond.
const LATENCY_PARTS: u64 = 1_024;

/// One choice in so many goes to an agent that may be back, if there is one and others are well.
const PROBE_SHARE: u128 = 8;

/// Knows how calls to agents went, and chooses whom the next one goes to.
///
/// Agents whose breaker is open are never chosen. All else depends on the [`Strategy`]; where it sees no difference, the
/// agent that was not chosen for the longest time is taken, and of those never chosen the first.
#[derive(Clone, Debug)]
pub struct Router<A> {
    limits: BreakerLimits,
    agents: BTreeMap<A, Agent>,
    /// Agents by when they were last called or chosen.
    order: BTreeMap<u64, A>,
    uses: u64,
    trials: best::Trials,
}

/// What is known of one agent.
#[derive(Clone, Debug)]
struct Agent {
    /// Distinguishes it from what was known before it was forgotten.
    born: u64,
    /// Its place in the order.
    used: u64,
    /// When it was last chosen; 0: never.
    chosen: u64,
    in_flight: u32,
    /// In parts of a millisecond, and when it was measured.
    latency: Option<(u64, Ticks)>,
    load: Option<(u16, Ticks)>,
    successes: u64,
    failures: u64,
    useless: u64,
    /// Trials with an answer that nobody has called useless.
    trials: u32,
    breaker: Breaker,
}

/// A call that is under way. It must be given back when the call ended, in whatever way.
#[derive(Debug)]
#[must_use = "a call that never ends counts as under way"]
pub struct Ticket<A> {
    agent: A,
    born: u64,
    begun: Ticks,
    pass: Pass,
    is_trial: bool,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// With an answer. That the answer is an error of the application's does not matter here: whoever reads it to its end
    /// says so ([`Router::disappointed`], [`Router::declined`]).
    Success,
    /// Without one, by the agent's or its node's fault: refused, too late, broken off.
    Failure,
    /// In a way that says nothing about the agent: the caller gave up.
    Dropped,
}

impl<A> Ticket<A> {
    /// Whether the agent was chosen to be tried.
    #[must_use]
    pub fn is_trial(&self) -> bool {
        self.is_trial
    }
}

impl<A: Ord + Clone> Default for Router<A> {
    fn default() -> Self {
        Self::new(BreakerLimits::default())
    }
}

impl<A: Ord + Clone> Router<A> {
    /// A router that knows nobody.
    #[must_use]
    pub fn new(limits: BreakerLimits) -> Self {
        let (agents, order) = (BTreeMap::new(), BTreeMap::new());
        Self { limits, agents, order, uses: 0, trials: best::Trials::default() }
    }

    /// Chooses whom a call goes to. `draw` is 64 random bits.
    ///
    /// # Errors
    /// When nobody can be called; with the time at which the first may be.
    pub fn choose(
        &mut self,
        candidates: &[Candidate<A>],
        strategy: Strategy,
        now: Ticks,
        draw: u64,
    ) -> Result<Choice<A>, Unavailable> {
        let mut chance = Chance::of(draw);
        let candidates = &candidates[..candidates.len().min(CANDIDATES_MAX)];
        let (mut well, mut back, mut soonest) = (Vec::new(), Vec::new(), None::<Ticks>);
        for candidate in candidates {
            let agent = self.agents.get(&candidate.agent);
            match agent.map_or(Gate::Pass, |agent| agent.breaker.gate(now)) {
                Gate::Pass => well.push(self.option(candidate, now)),
                Gate::Probe => back.push(self.option(candidate, now)),
                Gate::Shut(until) => soonest = Some(soonest.map_or(until, |soonest| soonest.min(until))),
            }
        }
        let tries = !back.is_empty() && (well.is_empty() || chance.below(PROBE_SHARE) == 0);
        let options = if tries { back } else { well };
        let (option, is_trial) = match strategy {
            Strategy::RoundRobin => (options.iter().min_by_key(|option| option.chosen), false),
            Strategy::LeastConnections => {
                (options.iter().min_by_key(|option| (option.standing.in_flight, option.chosen)), false)
            }
            Strategy::LeastLoad => {
                let load = |option: &Choosable<'_, A>| option.standing.load_per_mille.unwrap_or(LOAD_UNKNOWN);
                let key =
                    |option: &&Choosable<'_, A>| (load(option), option.standing.in_flight, option.chosen);
                (options.iter().min_by_key(key), false)
            }
            Strategy::Fastest => {
                let latency = |option: &Choosable<'_, A>| option.standing.latency_ms.unwrap_or(0);
                (options.iter().min_by_key(|option| (latency(option), option.chosen)), false)
            }
            Strategy::Best => best::best(&options, &self.trials, &mut chance),
        };
        let agent = option.ok_or(Unavailable { soonest })?.candidate.agent.clone();
        let used = self.touch(&agent);
        if let Some(state) = self.agents.get_mut(&agent) {
            state.chosen = used;
        }
        Ok(Choice { agent, is_trial })
    }

    /// Why [`Strategy::Best`] may choose each of these now, or does not; of the first [`CANDIDATES_MAX`].
    #[must_use]
    pub fn weigh(&self, candidates: &[Candidate<A>], now: Ticks) -> Weighed {
        let candidates = &candidates[..candidates.len().min(CANDIDATES_MAX)];
        let gate = |candidate: &Candidate<A>| {
            self.agents.get(&candidate.agent).map_or(Gate::Pass, |agent| agent.breaker.gate(now))
        };
        let open_to = |wanted: Gate| -> Vec<_> {
            let open = candidates.iter().filter(|candidate| gate(candidate) == wanted);
            open.map(|candidate| self.option(candidate, now)).collect()
        };
        let mut well = best::reasons(&open_to(Gate::Pass)).into_iter();
        let reasons: Vec<_> = candidates
            .iter()
            .map(|candidate| match gate(candidate) {
                Gate::Pass => well.next().expect("there is one for each that passes"),
                Gate::Probe => Reason::Back,
                Gate::Shut(until) => Reason::Shut(until),
            })
            .collect();
        let any = |reason: Reason| reasons.contains(&reason);
        let trial_per_million = match (any(Reason::Newcomer), any(Reason::Good)) {
            (false, _) => 0,
            (true, true) => self.trials.per_million(),
            (true, false) => 1_000_000,
        };
        Weighed { reasons, trial_per_million }
    }

    /// A call begins: one that was chosen, or one that names its agent ([`Choice::only`]).
    pub fn began(&mut self, choice: Choice<A>, now: Ticks) -> Ticket<A> {
        let Choice { agent, is_trial } = choice;
        self.touch(&agent);
        let state = self.agents.get_mut(&agent).expect("it was touched just now");
        state.in_flight = state.in_flight.saturating_add(1);
        let (born, pass) = (state.born, state.breaker.began(now));
        Ticket { agent, born, begun: now, pass, is_trial }
    }

    /// A call ended. `draw` is 64 random bits. What concerns an agent that was forgotten meanwhile is passed over.
    pub fn ended(&mut self, ticket: Ticket<A>, outcome: Outcome, now: Ticks, draw: u64) {
        if ticket.is_trial && outcome != Outcome::Dropped {
            self.trials.count(outcome == Outcome::Success);
        }
        let is_good_trial = ticket.is_trial && outcome == Outcome::Success;
        let known = self.agents.get_mut(&ticket.agent);
        let Some(agent) = known.filter(|agent| agent.born == ticket.born) else { return };
        agent.in_flight = agent.in_flight.saturating_sub(1);
        agent.trials = agent.trials.saturating_add(u32::from(is_good_trial));
        match outcome {
            Outcome::Success => {
                agent.successes = agent.successes.saturating_add(1);
                agent.measured(now.since(ticket.begun), now);
                agent.breaker.ended(ticket.pass, false, now, draw);
            }
            Outcome::Failure => {
                agent.failures = agent.failures.saturating_add(1);
                agent.breaker.ended(ticket.pass, true, now, draw);
            }
            Outcome::Dropped => agent.breaker.dropped(ticket.pass),
        }
    }

    /// An answer of an agent was useless after all: if it was one on trial, that trial did not go well.
    pub fn disappointed(&mut self, agent: &A) {
        if let Some(agent) = self.agents.get_mut(agent) {
            agent.useless = agent.useless.saturating_add(1).min(agent.successes);
        }
        self.declined(agent);
    }

    /// An agent turned a call down after all, for which it may have had its reasons: if the call was a trial, that did not go
    /// well.
    pub fn declined(&mut self, agent: &A) {
        if let Some(agent) = self.agents.get_mut(agent)
            && agent.trials > 0
        {
            agent.trials -= 1;
            self.trials.take_back();
        }
    }

    /// One that had been called useless was not.
    pub fn reconciled(&mut self, agent: &A) {
        if let Some(agent) = self.agents.get_mut(agent) {
            agent.useless = agent.useless.saturating_sub(1);
        }
    }

    /// An agent says how busy it is, 0 to 1,000. Of agents that were never called nothing is noted.
    pub fn reported(&mut self, agent: &A, load_per_mille: u16, now: Ticks) {
        if let Some(agent) = self.agents.get_mut(agent) {
            agent.load = Some((load_per_mille.min(1_000), now));
        }
    }

    /// Whether a call that names its agent may be made.
    ///
    /// # Errors
    /// While its breaker is open.
    pub fn may_call(&self, agent: &A, now: Ticks) -> Result<(), Unavailable> {
        match self.agents.get(agent).map_or(Gate::Pass, |agent| agent.breaker.gate(now)) {
            Gate::Pass | Gate::Probe => Ok(()),
            Gate::Shut(until) => Err(Unavailable { soonest: Some(until) }),
        }
    }

    /// What is known of an agent.
    #[must_use]
    pub fn standing(&self, agent: &A, now: Ticks) -> Standing {
        self.agents.get(agent).map_or(Standing::UNKNOWN, |agent| agent.standing(now))
    }

    /// How many agents are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.agents.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.agents.is_empty()
    }

    fn option<'a>(&self, candidate: &'a Candidate<A>, now: Ticks) -> Choosable<'a, A> {
        let chosen = self.agents.get(&candidate.agent).map_or(0, |agent| agent.chosen);
        Choosable { candidate, standing: self.standing(&candidate.agent, now), chosen }
    }

    /// Notes that an agent is used, makes its acquaintance if need be, and gives its new place in the order.
    fn touch(&mut self, agent: &A) -> u64 {
        self.uses += 1;
        if let Some(known) = self.agents.get_mut(agent) {
            self.order.remove(&known.used);
            known.used = self.uses;
        } else {
            if self.agents.len() >= AGENTS_MAX
                && let Some((_, oldest)) = self.order.pop_first()
            {
                self.agents.remove(&oldest);
            }
            self.agents.insert(agent.clone(), Agent::new(self.uses, self.limits));
        }
        self.order.insert(self.uses, agent.clone());
        self.uses
    }
}

/// A candidate that can be called, with what is known of it.
#[derive(Debug)]
struct Choosable<'a, A> {
    candidate: &'a Candidate<A>,
    standing: Standing,
    chosen: u64,
}

impl Agent {
    fn new(born: u64, limits: BreakerLimits) -> Self {
        Self {
            born,
            used: born,
            chosen: 0,
            in_flight: 0,
            latency: None,
            load: None,
            successes: 0,
            failures: 0,
            useless: 0,
            trials: 0,
            breaker: Breaker::new(limits),
        }
    }

    /// Moves the average; one that is too old begins anew.
    fn measured(&mut self, latency_ms: u64, now: Ticks) {
        let new = latency_ms.saturating_mul(LATENCY_PARTS);
        let old = self.latency.filter(|(_, at)| now.since(*at) < LATENCY_LIFETIME_MS);
        let average = old.map_or(new, |(old, _)| old - old / LATENCY_WEIGHT + new / LATENCY_WEIGHT);
        self.latency = Some((average, now));
    }

    fn standing(&self, now: Ticks) -> Standing {
        let latency = self.latency.filter(|(_, at)| now.since(*at) < LATENCY_LIFETIME_MS);
        let load = self.load.filter(|(_, at)| now.since(*at) < LOAD_LIFETIME_MS);
        Standing {
            in_flight: self.in_flight,
            latency_ms: latency.map(|(average, _)| average.div_ceil(LATENCY_PARTS)),
            load_per_mille: load.map(|(load, _)| load),
            successes: self.successes,
            useless: self.useless,
            failures: self.failures,
            breaker: self.breaker.state(now),
        }
    }
}

#[cfg(test)]
mod tests;
