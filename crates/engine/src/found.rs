use althing_card::{Query, Term};
use althing_record::{AgentId, Millis, NodeId};
use althing_trust::Standing;

use crate::{CardAnswer, Key};

/// Most agents that one [`Find`] returns.
pub const MAX_FOUND: usize = 1_000;

/// A search for agents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Find {
    /// Which.
    pub query: Query,
    /// Most agents to return, at most [`MAX_FOUND`].
    pub limit: usize,
    /// Only agents after this one: where an answer that was cut goes on.
    pub after: Option<AgentId>,
    /// Whether to ask the network when the local index already has an answer.
    pub live: bool,
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The agents, ascending: those that match and have a lease that counts now.
    pub agents: Vec<FoundAgent>,
    /// Pages of the directory that were to be asked.
    pub pages: u64,
    /// Pages that answered.
    pub pages_answered: u64,
    /// Providers that the pages named.
    pub providers: u64,
    /// Providers that were asked.
    pub providers_asked: u64,
    /// Providers that were asked and did not answer.
    pub providers_silent: u64,
    /// Parts of the query that no key of the directory leads to: only this node's own index answered them.
    pub unkeyed: Vec<String>,
    /// Whether it stopped at the limit: there may be more.
    pub cut: bool,
    /// Whether the network was asked at all.
    pub live: bool,
    /// When this was so, on this node's clock.
    pub at: Millis,
    /// Who was asked for what; bounded, so that it can be less than what the numbers say.
    pub explain: Explain,
}

/// How a search went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explain {
    /// The pages of the directory that were asked.
    pub pages: Vec<PageAsked>,
    /// The peers that were asked.
    pub peers: Vec<PeerAsked>,
}

/// A page of the directory that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageAsked {
    /// Whose.
    pub term: Term,
    /// How many bits of a provider's hash lead to it.
    pub bits: u8,
    /// Those bits, as digits; empty for the root.
    pub page: String,
    /// Its key.
    pub key: Key,
    /// How many providers it named.
    pub providers: u64,
    /// Whether it answered.
    pub answered: bool,
    /// How long that took, in milliseconds.
    pub ms: u64,
}

/// A peer that was asked for records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAsked {
    /// Who.
    pub node: NodeId,
    /// What came of it.
    pub outcome: PeerOutcome,
    /// How many records it sent.
    pub records: u64,
    /// How long that took, in milliseconds.
    pub ms: u64,
}

/// What came of asking a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerOutcome {
    /// It answered.
    Answered,
    /// It did not, or too late, or was busy.
    Silent,
    /// What it sent was not what it should be.
    Invalid,
    /// It was named and not asked: enough others were.
    NotAsked,
}

/// One agent that a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundAgent {
    /// The verified card.
    pub card: CardAnswer,
    /// Whether it came from a live lookup (or else from the local index).
    pub from_lookup: bool,
    /// Whether a node that serves it answered in this search.
    pub reached: Reached,
    /// What this node knows of how calls to it go; none if nobody rated it.
    pub standing: Option<Standing>,
}

/// Whether a node that serves an agent answered in a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// One did.
    Answered {
        /// How long that took, in milliseconds.
        ms: u64,
    },
    /// It was asked and did not.
    Silent,
    /// None was asked.
    NotAsked,
}
