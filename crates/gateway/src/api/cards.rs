use althing_engine::{CardAnswer, Found, LeaseAnswer};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{Document, document, rfc3339};

/// Longest description in a [`FoundAgent`], in characters; the card has the whole.
const DESCRIPTION_CHARS_MAX: usize = 256;

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
            expires: rfc3339(lease.expires),
            expires_ms: lease.expires.0,
        }
    }
}

/// The answer of `GET /v1/find`: who has the skill, and how complete this answer is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Find {
    /// Always `althing.find/v1`.
    #[schema(example = "althing.find/v1")]
    pub schema: String,
    /// The skill that was asked for.
    #[schema(example = "text/translate")]
    pub skill: String,
    /// The agents, those with a current lease first, then by id.
    pub agents: Vec<FoundAgent>,
    /// Whether the network was asked at all; if not, an empty list means nothing.
    pub live: bool,
    /// Whether every page and every provider answered a live lookup.
    pub complete: bool,
    /// Pages of the Kademlia index that were to be asked.
    pub pages: u64,
    /// Pages that answered.
    pub pages_answered: u64,
    /// Providers that the pages named.
    pub providers: u64,
    /// Providers that did not answer.
    pub providers_silent: u64,
}

document!(Find, "althing.find/v1");

impl Find {
    /// What the node found for `skill`.
    #[must_use]
    pub fn new(skill: String, found: Found) -> Self {
        Self {
            schema: Self::SCHEMA.to_owned(),
            skill,
            agents: found.agents.into_iter().map(FoundAgent::from).collect(),
            live: found.live,
            complete: found.live && found.pages_answered == found.pages && found.providers_silent == 0,
            pages: found.pages,
            pages_answered: found.pages_answered,
            providers: found.providers,
            providers_silent: found.providers_silent,
        }
    }
}

/// One agent that a search found. `GET /v1/cards/{did}` has the whole card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FoundAgent {
    /// The agent.
    #[schema(example = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp")]
    pub agent: String,
    /// The `name` in its A2A card.
    pub name: String,
    /// The `description` in its A2A card, cut to 256 characters.
    pub description: String,
    /// Its skill paths, sorted.
    pub skills: Vec<String>,
    /// The id of the card's record. The node has verified its signature.
    pub card: String,
    /// Its slot revision.
    pub revision: u64,
    /// When the card expires unless renewed.
    pub expires: String,
    /// The same in milliseconds since 1970.
    pub expires_ms: u64,
    /// Where the card comes from.
    pub source: Source,
    /// Where the agent is served now; empty if it is offline.
    pub leases: Vec<Lease>,
}

impl From<althing_engine::FoundAgent> for FoundAgent {
    fn from(found: althing_engine::FoundAgent) -> Self {
        let a2a = parsed(&found.card.json);
        let text = |field: &str| a2a.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self {
            agent: found.card.agent.to_string(),
            name: cut(text("name")),
            description: cut(text("description")),
            skills: found.card.skills,
            card: found.card.card.to_string(),
            revision: found.card.revision,
            expires: rfc3339(found.card.expires),
            expires_ms: found.card.expires.0,
            source: if found.from_lookup { Source::Lookup } else { Source::Index },
            leases: found.card.leases.into_iter().map(Lease::from).collect(),
        }
    }
}

/// Where a found card comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A live lookup in the network.
    Lookup,
    /// The node's own index.
    Index,
}

/// The query of `GET /v1/find`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FindQuery {
    /// A skill path such as `text/translate`; its descendants match too.
    #[param(example = "text/translate")]
    pub skill: String,
    /// Most agents to return, 1 to 1,000; 20 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Whether to ask the network even when the local index has an answer; false if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<bool>,
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
fn parsed(json: &[u8]) -> Value {
    serde_json::from_slice(json).unwrap_or_else(|error| {
        tracing::error!(%error, "the JSON of an admitted card cannot be parsed: this is a defect");
        Value::Null
    })
}

fn cut(text: String) -> String {
    match text.char_indices().nth(DESCRIPTION_CHARS_MAX) {
        None => text,
        Some(_) => text.chars().take(DESCRIPTION_CHARS_MAX - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_descriptions_are_cut_at_characters() {
        assert_eq!(cut("é".repeat(256)), "é".repeat(256));
        let long = cut("é".repeat(257));
        assert_eq!(long.chars().count(), 256);
        assert!(long.ends_with("é…"));
    }

    #[test]
    fn a_search_is_complete_only_when_everyone_answered() {
        let found = Found { pages: 2, pages_answered: 2, live: true, ..Found::default() };
        let complete = |found: Found| Find::new("a".into(), found).complete;
        assert!(complete(found.clone()));
        assert!(!complete(Found { pages_answered: 1, ..found.clone() }));
        assert!(!complete(Found { providers_silent: 1, ..found.clone() }));
        assert!(!complete(Found { live: false, ..found }));
    }
}
