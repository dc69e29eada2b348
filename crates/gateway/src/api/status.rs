use althing_record::Millis;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Document, document, rfc3339};

/// The answer of `GET /v1/status`: what the node holds and how it is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// Always `althing.status/v1`.
    #[schema(example = "althing.status/v1")]
    pub schema: String,
    /// This node's PeerId.
    #[schema(example = "12D3KooWHCJbJKGDfCgHSoCuK9q4STyRnVveqLoXAPBbXHTZx9Cv")]
    pub node: String,
    /// The version of the node's program.
    pub version: String,
    /// The node's process.
    pub pid: u32,
    /// The network's id.
    pub network: String,
    /// The network's name.
    pub network_name: String,
    /// The addresses that peers can dial, as multiaddrs that end in `/p2p/<node>`.
    pub listen: Vec<String>,
    /// The TCP address of this API.
    pub api: String,
    /// The agents hosted here, the default one first.
    pub agents: Vec<String>,
    /// The data directory's incarnation.
    pub incarnation: String,
    /// The last durable commit.
    pub commit: u64,
    /// Records stored.
    pub records: u64,
    /// Agents with a current card.
    pub cards: u64,
    /// Proposals known.
    pub proposals: u64,
    /// Proven cases of misbehaviour.
    pub evidence: u64,
    /// One row for each sync domain.
    pub domains: Vec<Domain>,
    /// Peers this node is connected to that speak its protocol.
    pub peers: u64,
    /// Rounds of set reconciliation finished since the start.
    pub sync_rounds: u64,
    /// When the last round finished.
    pub last_sync: Option<String>,
    /// The same in milliseconds since 1970.
    pub last_sync_ms: Option<u64>,
    /// Why this node signs no ballots, if it does not.
    pub voting_stopped: Option<String>,
    /// How far this clock is from the median of the peers' clocks, where known.
    pub clock_offset_ms: Option<i64>,
    /// Agents of this node that other nodes serve too: one of the two has to stop.
    #[serde(default)]
    pub served_elsewhere: Vec<ServedElsewhere>,
    /// What was dropped of that which raters publish, since it counts nothing any more.
    #[serde(default)]
    pub ratings_pruned: Option<RatingsPruned>,
    /// Whether nothing is missing.
    pub ready: bool,
    /// What is missing before the node is ready; empty when ready.
    pub waiting_for: Vec<String>,
}

document!(Status, "althing.status/v1");

/// Fills in everything but `listen` and `api`, which the engine does not know.
impl From<althing_engine::Status> for Status {
    fn from(status: althing_engine::Status) -> Self {
        Self {
            schema: Self::SCHEMA.to_owned(),
            node: status.node.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            network: status.network.to_string(),
            network_name: status.network_name,
            listen: Vec::new(),
            api: String::new(),
            agents: status.agents.iter().map(ToString::to_string).collect(),
            incarnation: status.incarnation.to_string(),
            commit: status.commit,
            records: status.records,
            cards: status.cards,
            proposals: status.proposals,
            evidence: status.evidence,
            domains: status.domains.into_iter().map(Domain::from).collect(),
            peers: status.peers,
            sync_rounds: status.sync_rounds,
            last_sync: status.last_sync.map(rfc3339),
            last_sync_ms: status.last_sync.map(|Millis(ms)| ms),
            voting_stopped: status.voting_stopped,
            clock_offset_ms: status.clock_offset_ms,
            served_elsewhere: status.served_elsewhere.into_iter().map(ServedElsewhere::from).collect(),
            ratings_pruned: (status.ratings_pruned.before.0 > 0).then_some(RatingsPruned {
                before_epoch: status.ratings_pruned.before.0,
                records: status.ratings_pruned.records,
            }),
            ready: status.waiting_for.is_empty(),
            waiting_for: status.waiting_for,
        }
    }
}

/// An agent of this node that another one serves too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServedElsewhere {
    /// The agent's id.
    pub agent: String,
    /// The other node's PeerId.
    pub node: String,
    /// Until then, unless it says so again.
    pub until: String,
    /// The same in milliseconds since 1970.
    pub until_ms: u64,
}

impl From<althing_engine::ServedElsewhere> for ServedElsewhere {
    fn from(other: althing_engine::ServedElsewhere) -> Self {
        Self {
            agent: other.agent.to_string(),
            node: other.node.to_string(),
            until: rfc3339(other.until),
            until_ms: other.until.0,
        }
    }
}

/// Attestations that a node dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RatingsPruned {
    /// Those of rating epochs before this one are dropped, and not taken in.
    pub before_epoch: u64,
    /// How many were.
    pub records: u64,
}

/// A sync domain at this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Domain {
    /// `directory`, `ledger`, `ratings`.
    pub name: String,
    /// Live records in it.
    pub records: u64,
    /// The view digest: equal on every node that holds the same live records.
    pub digest: String,
}

impl From<althing_engine::DomainStatus> for Domain {
    fn from(domain: althing_engine::DomainStatus) -> Self {
        Self { name: domain.name, records: domain.records, digest: domain.digest.to_string() }
    }
}
