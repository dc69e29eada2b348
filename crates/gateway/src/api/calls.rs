use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::document;

/// The body of `POST /v1/exposures`. Exactly one of `url`, `exec` and `echo` says what is behind the agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExposeRequest {
    /// Where an A2A agent is, or its card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "http://localhost:9999")]
    pub url: Option<String>,
    /// A command to run for each message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "tr a-z A-Z")]
    pub exec: Option<String>,
    /// The command may run again for a message of which nobody knows whether it came: that does no harm.
    #[serde(default)]
    pub idempotent: bool,
    /// Answer each message with itself.
    #[serde(default)]
    pub echo: bool,
    /// The local name; without it, one made of the card's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The skills of an agent without a card of its own.
    #[serde(default)]
    pub skills: Vec<String>,
    /// Stay exposed after the client has gone, and after the node starts again. Otherwise the agent is exposed for as long as
    /// a client holds it by `GET /v1/calls?hold=true`, which has to begin within half a minute.
    #[serde(default)]
    pub keep: bool,
    /// Publish what the agent's card changes to, instead of taking no calls until it is exposed again.
    #[serde(default)]
    pub follow: bool,
    /// Do not try the agent first.
    #[serde(default)]
    pub no_probe: bool,
    /// Calls under way at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Calls a second, by all nodes together; twice as many at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
    /// Make it the node's face: the agent whose card is at `/.well-known/agent-card.json`.
    #[serde(default)]
    pub face: bool,
}

/// An agent that is exposed: the answer of `POST /v1/exposures`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Exposed {
    /// Always `althing.exposed/v1`.
    #[schema(example = "althing.exposed/v1")]
    pub schema: String,
    /// Who it is in the network.
    pub agent: String,
    /// Its local name.
    pub name: String,
    /// What its card calls it.
    pub title: String,
    /// What is behind it: a URL, a command, or `echo`.
    pub origin: String,
    /// Where its card was found, if it has one of its own.
    pub card: Option<String>,
    /// SHA-256 of its card, in hex: what is served there must be this.
    pub pin: String,
    /// Its skill paths.
    pub skills: Vec<String>,
    /// Versions of A2A that it speaks.
    pub protocols: Vec<String>,
    /// Where local clients call it.
    pub url: String,
    /// Whether it stays exposed when the node starts again.
    pub kept: bool,
    /// Whether it is the node's face.
    pub face: bool,
    /// Whether calls are taken; or else why not.
    pub fault: Option<String>,
    /// What came of trying it: how long that took in milliseconds; absent if it was not tried.
    pub probe_ms: Option<u64>,
    /// What is noteworthy about its card.
    pub notes: Vec<String>,
    /// How many connected nodes had its card when they were asked, just after it was published.
    pub found_by: Option<u64>,
    /// How many were asked.
    pub asked: Option<u64>,
}

document!(Exposed, "althing.exposed/v1");

/// The answer of `GET /v1/exposures`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExposedList {
    /// Always `althing.exposures/v1`.
    #[schema(example = "althing.exposures/v1")]
    pub schema: String,
    /// All that is exposed, by local name.
    pub exposures: Vec<Exposed>,
}

document!(ExposedList, "althing.exposures/v1");

/// The answer of `DELETE /v1/exposures/{name}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Unexposed {
    /// Always `althing.unexposed/v1`.
    #[schema(example = "althing.unexposed/v1")]
    pub schema: String,
    /// The agent.
    pub agent: String,
    /// Its local name.
    pub name: String,
}

document!(Unexposed, "althing.unexposed/v1");

/// What of the log of calls is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CallsQuery {
    /// Only calls of this agent, by local name or did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// End after so many calls; without it, the stream does not end by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// No longer expose that agent when the last stream that holds it ends, unless it is to stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<bool>,
}

/// One call that ended at an agent exposed here: the data of an event of `GET /v1/calls`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CallSeen {
    /// When it ended, as RFC 3339.
    pub time: String,
    /// Who was called.
    pub agent: String,
    /// Who called, if it said so.
    pub caller: Option<String>,
    /// From which node.
    pub node: String,
    /// Method and path.
    #[schema(example = "POST /")]
    pub request: String,
    /// The HTTP status.
    pub status: u16,
    /// From the request to the end of the response.
    pub ms: u64,
    /// Bytes of the response.
    pub bytes: u64,
    /// Whether the response was read to its end.
    pub whole: bool,
    /// Why there was no response of the agent's own.
    pub error: Option<String>,
}

/// The answer of `GET /v1/receipts`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CallProofs {
    /// Always `althing.receipts/v1`.
    #[schema(example = "althing.receipts/v1")]
    pub schema: String,
    /// The newest calls of this node's agents that both sides signed, newest first.
    pub calls: Vec<CallProof>,
}

document!(CallProofs, "althing.receipts/v1");

/// A call that both sides signed, as one of this node's agents keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CallProof {
    /// Which call of the caller, in hex.
    pub task: String,
    /// Which side this node's agent was: `caller` or `callee`.
    pub side: String,
    /// Who called.
    pub caller: String,
    /// Who was called.
    pub callee: String,
    /// For which skill; empty: for none in particular.
    pub skill: String,
    /// The callee's number of this caller's calls in the rating epoch.
    pub index: u64,
    /// How it went: `answered`, `timeout` or `broken`.
    pub outcome: String,
    /// The HTTP status of an answer; 0 where there was none.
    pub status: u16,
    /// What the receipt says of its quality, 0 to 100; none if there is no receipt.
    #[serde(default)]
    pub quality: Option<u8>,
    /// From the call to the end of the response.
    pub latency_ms: u64,
    /// SHA-256 of the response's body in hex, if it came whole; the caller's side only.
    pub response_hash: Option<String>,
    /// When it ended, as RFC 3339.
    pub made: String,
    /// Whether how calls of its rating epoch went is published; none if the call has no receipt of this node's agent.
    #[serde(default)]
    pub published: Option<bool>,
    /// What this node's user noted about it, which stays on this node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}
