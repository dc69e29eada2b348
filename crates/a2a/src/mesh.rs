use althing_record::{AgentId, Digest, NetworkId};
use serde_json::{Map, Value, json};

use crate::json::{list, text};
use crate::portable::{is_default, is_plain};
use crate::schema::{AGENT_EXTENSION, AGENT_SKILL, Message, Shape};
use crate::{CARD_BYTES_MAX, Faults, OriginCard, Problem, Protocol, check_portable, json};

/// Identifies the binding of A2A to libp2p streams. A change that breaks it gets another one.
pub const BINDING_URI: &str = "https://althing.dev/a2a/binding/libp2p/1";

/// Identifies the extension that names the owner's card.
pub const ORIGIN_EXTENSION_URI: &str = "https://althing.dev/a2a/extension/origin/1";

/// Identifies the extension by which an agent says that a message may come again: it knows it by its id, or doing what it
/// says once more does no harm. See docs/spec/cards.md.
pub const IDEMPOTENT_EXTENSION_URI: &str = "https://althing.dev/a2a/extension/idempotent-messages/1";

/// What the URL of the libp2p binding begins with; the agent's did follows.
const URL_PREFIX: &str = "althing:";

/// The media type of agents that name none.
const MODE: &str = "text/plain";

/// Derives the card that the mesh spreads from the owner's: A2A 1.0, in the portable profile, with the libp2p binding as its
/// only interface, in the versions that the origin speaks, and the hash of the owner's card.
///
/// Carried over is what says something: name, description, version, provider, links, modes, skills, and what is true of
/// the capabilities. A description or version that is missing becomes the name, or `0`; a skill without tags gets the last
/// part of its id. How to log in stays in the owner's card, because most of it has no portable form.
///
/// # Errors
/// When the result is not portable, as without any skill, or too long.
pub fn mesh_card(origin: &OriginCard, agent: AgentId, network: NetworkId) -> Result<Value, Faults> {
    let from = origin.value();
    let name = origin.name();
    let interface = |protocol: Protocol| {
        let url = format!("{URL_PREFIX}{agent}");
        json!({"url": url, "protocolBinding": BINDING_URI, "protocolVersion": protocol.version()})
    };
    let interfaces: Vec<_> = origin.protocols().into_iter().map(interface).collect();
    let mut card = Map::new();
    card.insert("name".into(), name.into());
    card.insert("description".into(), text(from, "description").unwrap_or(name).into());
    card.insert("supportedInterfaces".into(), interfaces.into());
    let provider = from.get("provider").unwrap_or(&Value::Null);
    if let (Some(url), Some(organization)) = (text(provider, "url"), text(provider, "organization")) {
        card.insert("provider".into(), json!({"url": url, "organization": organization}));
    }
    card.insert("version".into(), text(from, "version").unwrap_or("0").into());
    for link in ["documentationUrl", "iconUrl"] {
        if let Some(url) = text(from, link) {
            card.insert(link.into(), url.into());
        }
    }
    card.insert("capabilities".into(), capabilities(origin, network));
    for modes in ["defaultInputModes", "defaultOutputModes"] {
        card.insert(modes.into(), texts(from, modes).unwrap_or_else(|| json!([MODE])));
    }
    let skills: Vec<_> = list(from, "skills").iter().map(skill).collect();
    card.insert("skills".into(), skills.into());
    let card = Value::Object(card);
    check_portable(&card)?;
    match serde_json::to_vec(&card) {
        Ok(bytes) if bytes.len() > CARD_BYTES_MAX => {
            Err(Faults::one("", Problem::TooLong { found: bytes.len(), max: CARD_BYTES_MAX }))
        }
        _ => Ok(card),
    }
}

/// What a mesh card says beyond A2A: whose it is, and which card of the owner it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeshCard {
    /// The agent that its interface leads to. Whether that agent signed the card is for [`crate::verify`] to say.
    pub agent: AgentId,
    /// In which network.
    pub network: NetworkId,
    /// SHA-256 of the owner's card.
    pub origin: Digest,
    /// The lines of versions that the agent speaks, in the card's order.
    pub protocols: Vec<Protocol>,
    /// Whether the agent may be sent a message again when nobody knows whether it came, by [`IDEMPOTENT_EXTENSION_URI`].
    pub is_idempotent: bool,
}

impl MeshCard {
    /// Reads a card that [`mesh_card`] made.
    ///
    /// # Errors
    /// With the first thing that such a card has and this one has not.
    pub fn parse(bytes: &[u8]) -> Result<Self, Faults> {
        let card = json::read(bytes, CARD_BYTES_MAX)?;
        let is_ours = |interface: &&Value| text(interface, "protocolBinding") == Some(BINDING_URI);
        let ours: Vec<_> = list(&card, "supportedInterfaces").iter().filter(is_ours).collect();
        let missing = |path: &str| Faults::one(path, Problem::Missing);
        let agents = ours.iter().map(|interface| {
            let did = text(interface, "url").and_then(|url| url.strip_prefix(URL_PREFIX));
            did.and_then(|did| did.parse::<AgentId>().ok())
        });
        let agents: Vec<_> = agents.collect();
        let Some(agent) = agents.first().copied().flatten() else {
            return Err(missing("supportedInterfaces"));
        };
        if agents.iter().any(|other| *other != Some(agent)) {
            return Err(Faults::one("supportedInterfaces", Problem::Alternatives));
        }
        let protocols = ours.iter().filter_map(|interface| text(interface, "protocolVersion"));
        let extensions = list(card.get("capabilities").unwrap_or(&Value::Null), "extensions");
        let extension = |uri| extensions.iter().find(|extension| text(extension, "uri") == Some(uri));
        let params = extension(ORIGIN_EXTENSION_URI).and_then(|extension| extension.get("params"));
        let param = |name| params.and_then(|params| text(params, name));
        let path = "capabilities.extensions";
        Ok(Self {
            agent,
            network: param("network").and_then(|id| id.parse().ok()).ok_or_else(|| missing(path))?,
            origin: param("cardSha256").and_then(|hash| hash.parse().ok()).ok_or_else(|| missing(path))?,
            protocols: protocols.filter_map(Protocol::of).collect(),
            is_idempotent: extension(IDEMPOTENT_EXTENSION_URI).is_some(),
        })
    }
}

fn capabilities(origin: &OriginCard, network: NetworkId) -> Value {
    let from = origin.value().get("capabilities").unwrap_or(&Value::Null);
    let mut capabilities = Map::new();
    for name in ["streaming", "pushNotifications", "extendedAgentCard"] {
        if from.get(name) == Some(&Value::Bool(true)) {
            capabilities.insert(name.into(), true.into());
        }
    }
    if origin.value().get("supportsAuthenticatedExtendedCard") == Some(&Value::Bool(true)) {
        capabilities.insert("extendedAgentCard".into(), true.into());
    }
    let mut extensions = vec![json!({
        "uri": ORIGIN_EXTENSION_URI,
        "description": "The owner's card, as the called node serves it, has this SHA-256.",
        "params": {"cardSha256": origin.digest().to_string(), "network": network.to_string()}
    })];
    let others = list(from, "extensions")
        .iter()
        .filter(|extension| text(extension, "uri").is_some_and(|uri| uri != ORIGIN_EXTENSION_URI));
    extensions.extend(others.map(|extension| Value::Object(project(extension, &AGENT_EXTENSION))));
    capabilities.insert("extensions".into(), extensions.into());
    Value::Object(capabilities)
}

fn skill(from: &Value) -> Value {
    let mut skill = project(from, &AGENT_SKILL);
    skill.remove("securityRequirements");
    let id = text(from, "id").unwrap_or_default();
    let name = text(from, "name").unwrap_or(id);
    let last = id.rsplit('/').find(|part| !part.is_empty()).unwrap_or(id);
    skill.entry("name").or_insert_with(|| name.into());
    skill.entry("description").or_insert_with(|| name.into());
    skill.entry("tags").or_insert_with(|| json!([last]));
    // Members in one order, whatever the owner's.
    let ordered = AGENT_SKILL.members.iter();
    Value::Object(
        ordered.filter_map(|known| Some((known.name.to_owned(), skill.remove(known.name)?))).collect(),
    )
}

/// The texts of a list that say something; none if there are none.
fn texts(from: &Value, name: &str) -> Option<Value> {
    let texts: Vec<_> =
        list(from, name).iter().filter(|text| text.is_string() && !is_default(text)).cloned().collect();
    (!texts.is_empty()).then_some(Value::Array(texts))
}

/// The members of a message that A2A has, are of their type and say something.
fn project(from: &Value, of: &Message) -> Map<String, Value> {
    let mut kept = Map::new();
    for known in of.members {
        let Some(value) = from.get(known.name) else { continue };
        let value = match (&known.shape, value) {
            (Shape::Texts, _) => texts(from, known.name),
            (Shape::Text, Value::String(_)) | (Shape::Flag, Value::Bool(_)) => Some(value.clone()),
            // Of free parameters a part would mean something else.
            (Shape::Open, Value::Object(_)) => Some(value.clone()).filter(is_plain),
            _ => None,
        };
        if let Some(value) = value.filter(|value| !is_default(value)) {
            kept.insert(known.name.to_owned(), value);
        }
    }
    kept
}
