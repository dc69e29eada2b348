use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Document, document};

/// The answer of `/livez`, `/readyz` and `/healthz`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// Always `althing.health/v1`.
    #[schema(example = "althing.health/v1")]
    pub schema: String,
    /// In a word.
    pub state: HealthState,
    /// The version of the node's program.
    pub version: String,
    /// What is missing before the node is ready; empty when ready.
    pub waiting_for: Vec<String>,
    /// How each protocol is doing; only `/healthz` fills it in.
    pub protocols: Vec<ProtocolHealth>,
}

document!(Health, "althing.health/v1");

impl Health {
    /// Puts the state together from its parts.
    #[must_use]
    pub fn new(waiting_for: Vec<String>, protocols: Vec<ProtocolHealth>) -> Self {
        let state = if protocols.iter().any(|protocol| !protocol.healthy) {
            HealthState::Degraded
        } else if waiting_for.is_empty() {
            HealthState::Ok
        } else {
            HealthState::Waiting
        };
        Self {
            schema: Self::SCHEMA.to_owned(),
            state,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            waiting_for,
            protocols,
        }
    }
}

/// How the node is doing, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum HealthState {
    /// All is well.
    Ok,
    /// Something is missing before the node is ready.
    Waiting,
    /// A protocol is not healthy.
    Degraded,
}

/// How one protocol is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProtocolHealth {
    /// `kademlia`, `gossipsub`, `sync`, `store`, …
    pub name: String,
    /// Whether it works.
    pub healthy: bool,
    /// What it is doing or what is wrong with it.
    pub detail: String,
}

/// The answer of `POST /v1/shutdown`: the node will stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Stopping {
    /// Always `althing.stopping/v1`.
    #[schema(example = "althing.stopping/v1")]
    pub schema: String,
    /// The process that is stopping, so that a caller can wait for its end.
    pub pid: u32,
}

document!(Stopping, "althing.stopping/v1");

impl Stopping {
    /// This process is stopping.
    #[must_use]
    pub fn this_process() -> Self {
        Self { schema: Self::SCHEMA.to_owned(), pid: std::process::id() }
    }
}
