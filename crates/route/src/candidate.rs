use crate::{Score, Ticks};

/// An agent whose reputation rests on fewer rated calls than this is a newcomer: they say nothing about it.
pub const EVIDENCE_MIN: u32 = 3;

/// An agent that a call may go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<A> {
    /// Who.
    pub agent: A,
    /// What others, or this node, say of it; none if nobody keeps reputations.
    pub reputation: Option<Reputation>,
}

/// How well an agent is thought of, and by how much evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reputation {
    /// How well.
    pub score: Score,
    /// How many rated calls that rests on.
    pub evidence: u32,
}

impl<A> Candidate<A> {
    /// A candidate without a reputation.
    #[must_use]
    pub fn unknown(agent: A) -> Self {
        Self { agent, reputation: None }
    }

    /// Whether too little is known of it to go by that.
    #[must_use]
    pub fn is_newcomer(&self) -> bool {
        self.reputation.is_none_or(|reputation| reputation.evidence < EVIDENCE_MIN)
    }
}

/// Whom a call goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice<A> {
    /// Who.
    pub agent: A,
    /// Whether it was chosen to learn about it.
    pub is_trial: bool,
}

impl<A> Choice<A> {
    /// A call that names its agent.
    #[must_use]
    pub fn only(agent: A) -> Self {
        Self { agent, is_trial: false }
    }
}

/// Nobody can be called now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no agent can be called now")]
pub struct Unavailable {
    /// When the first of the candidates may be tried again; none if there are no candidates.
    pub soonest: Option<Ticks>,
}
