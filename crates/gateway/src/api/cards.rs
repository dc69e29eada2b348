use althing_engine::{CardAnswer, LeaseAnswer};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{Document, document, rfc3339};

/// The answer of `POST /v1/cards`: the card is durable here and offered to the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Published {
    /// Always `althing.published/v1`.
    #[schema(example = "althing.published/v1")]
    pub schema: String,
    /// The card's agent.
    #[schema(example = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp")]
    pub agent: String,
    /// The id of the card's record.
    pub card: String,
    /// Its slot revision.
    pub revision: u64,
    /// Its skill paths, sorted.
    pub skills: Vec<String>,
    /// When it expires unless renewed.
    pub expires: String,
    /// The same in milliseconds since 1970.
    pub expires_ms: u64,
}

document!(Published, "althing.published/v1");

impl From<althing_engine::Published> for Published {
    fn from(published: althing_engine::Published) -> Self {
        Self {
            schema: Self::SCHEMA.to_owned(),
            agent: published.agent.to_string(),
            card: published.card.to_string(),
            revision: published.revision,
            skills: published.skills,
            expires: rfc3339(published.expires),
            expires_ms: published.expires.0,
        }
    }
}

/// The answer of `DELETE /v1/cards/{did}`: the retraction is durable here and offered to the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Retracted {
    /// Always `althing.retracted/v1`.
    #[schema(example = "althing.retracted/v1")]
    pub schema: String,
    /// The card's agent.
    #[schema(example = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp")]
    pub agent: String,
    /// The id of the record that retracts.
    pub record: String,
    /// The id of the card's record, which it replaces.
    pub card: String,
    /// The revision of the retraction.
    pub revision: u64,
    /// How many leases were ended with it.
    pub leases_ended: u64,
    /// Until when it stands against older cards; none of them counts for so long.
    pub expires: String,
    /// The same in milliseconds since 1970.
    pub expires_ms: u64,
}

document!(Retracted, "althing.retracted/v1");

impl From<althing_engine::Retracted> for Retracted {
    fn from(retracted: althing_engine::Retracted) -> Self {
        Self {
            schema: Self::SCHEMA.to_owned(),
            agent: retracted.agent.to_string(),
            record: retracted.record.to_string(),
            card: retracted.card.to_string(),
            revision: retracted.revision,
            leases_ended: retracted.leases_ended,
            expires: rfc3339(retracted.expires),
            expires_ms: retracted.expires.0,
        }
    }
}

/// The answer of `GET /v1/cards/{did}`: a verified card.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Card {
    /// Always `althing.card/v1`.
    #[schema(example = "althing.card/v1")]
    pub schema: String,
    /// The card's agent.
    #[schema(example = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp")]
    pub agent: String,
    /// The id of the card's record.
    pub card: String,
    /// Its slot revision.
    pub revision: u64,
    /// The key that signed it, in hex.
    pub key: String,
    /// When it was made.
    pub made: String,
    /// The same in milliseconds since 1970.
    pub made_ms: u64,
    /// When it expires unless renewed.
    pub expires: String,
    /// The same in milliseconds since 1970.
    pub expires_ms: u64,
    /// Its skill paths, sorted.
    pub skills: Vec<String>,
    /// Where the agent is served now.
    pub leases: Vec<Lease>,
    /// The A2A AgentCard, parsed, for reading. Numbers may be written differently than in `json`.
    #[schema(value_type = Object)]
    pub a2a: Value,
    /// The exact A2A text that was signed.
    pub json: String,
    /// The signed envelope in hex, for verification without a node.
    pub envelope: String,
}

document!(Card, "althing.card/v1");

impl From<CardAnswer> for Card {
    fn from(card: CardAnswer) -> Self {
        Self {
            schema: Self::SCHEMA.to_owned(),
            agent: card.agent.to_string(),
            card: card.card.to_string(),
            revision: card.revision,
            key: hex::encode(card.key),
            made: rfc3339(card.made),
            made_ms: card.made.0,
            expires: rfc3339(card.expires),
            expires_ms: card.expires.0,
            skills: card.skills,
            leases: card.leases.into_iter().map(Lease::from).collect(),
            a2a: parsed(&card.json),
            json: String::from_utf8_lossy(&card.json).into_owned(),
            envelope: hex::encode(card.envelope),
        }
    }
}

/// A current lease: this agent is served at this node now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lease {
    /// The serving node's PeerId.
    pub node: String,
    /// Its addresses, as multiaddrs.
    pub addresses: Vec<String>,
    /// When it was made.
    pub made: String,
    /// The same in milliseconds since 1970.
    pub made_ms: u64,
    /// When it expires unless renewed.
    pub expires: String,
    /// The same in milliseconds since 1970.
    pub expires_ms: u64,
}

impl From<LeaseAnswer> for Lease {
    fn from(lease: LeaseAnswer) -> Self {
        Self {
            node: lease.node.to_string(),
            addresses: lease.addresses,
            made: rfc3339(lease.made),
            made_ms: lease.made.0,
            expires: rfc3339(lease.expires),
            expires_ms: lease.expires.0,
        }
    }
}

/// The query of `POST /v1/cards`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AgentQuery {
    /// The hosted agent that signs, as a did; the node's default agent if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

/// A card's JSON for reading. Null if it cannot be parsed, which no admitted card's JSON is.
pub(super) fn parsed(json: &[u8]) -> Value {
    serde_json::from_slice(json).unwrap_or_else(|error| {
        tracing::error!(%error, "the JSON of an admitted card cannot be parsed: this is a defect");
        Value::Null
    })
}
