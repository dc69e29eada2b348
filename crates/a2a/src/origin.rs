use althing_record::Digest;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::fault::Found;
use crate::json::{list, text};
use crate::schema::{AGENT_CARD, OLD_AGENT_CARD, check_types};
use crate::{Binding, Faults, Interface, OperatorUrl, Problem, Protocol, json};

/// Longest card in bytes.
pub const CARD_BYTES_MAX: usize = 15 * 1_024;

/// Most interfaces, and most skills, of one card.
const ENTRIES_MAX: usize = 64;

/// In which form a card is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// With `supportedInterfaces`: A2A 1.0. It may repeat itself in the older form.
    V1,
    /// With `url`: A2A 0.3 and before.
    V0,
}

/// The owner's card, byte for byte, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginCard {
    bytes: Vec<u8>,
    value: Value,
    form: Form,
    interfaces: Vec<Interface>,
    skills: Vec<String>,
}

impl OriginCard {
    /// Reads an AgentCard of A2A 1.0, 0.3 or older. What the card has beyond A2A passes through.
    ///
    /// # Errors
    /// With all that is wrong, each with its path.
    pub fn parse(bytes: &[u8]) -> Result<Self, Faults> {
        let value = json::read(bytes, CARD_BYTES_MAX)?;
        if !value.is_object() {
            let problem = Problem::Type { expected: "an object", found: json::kind(&value) };
            return Err(Faults::one("", problem));
        }
        let mut found = Found::default();
        let form = if value.get("supportedInterfaces").is_some_and(|list| !list.is_null()) {
            check_types(&value, &AGENT_CARD, "", &mut found);
            Form::V1
        } else {
            check_types(&value, &OLD_AGENT_CARD, "", &mut found);
            Form::V0
        };
        match value.get("name") {
            None | Some(Value::Null) => found.add("name", Problem::Missing),
            Some(Value::String(name)) if name.trim().is_empty() => found.add("name", Problem::Empty),
            Some(_) => {}
        }
        let skills = skills(&value, &mut found);
        let interfaces = match form {
            Form::V1 => interfaces(&value, &mut found),
            Form::V0 => old_interfaces(&value, &mut found),
        };
        // Of a card whose interfaces have faults nobody can tell whether one is left.
        found.check()?;
        if !interfaces.iter().any(|interface| interface.http_url().is_some()) {
            found.add(
                if form == Form::V1 { "supportedInterfaces" } else { "url" },
                Problem::NoUsableInterface,
            );
        }
        found.or(Self { bytes: bytes.to_vec(), value, form, interfaces, skills })
    }

    /// The owner's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The same as a value.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// SHA-256 of the bytes: what pins the card.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest(Sha256::digest(&self.bytes).into())
    }

    /// In which form it is written.
    #[must_use]
    pub fn form(&self) -> Form {
        self.form
    }

    /// The agent's name.
    #[must_use]
    pub fn name(&self) -> &str {
        text(&self.value, "name").unwrap_or_default()
    }

    /// Where the agent is spoken to, the preferred first; at least one over HTTP.
    #[must_use]
    pub fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// The lines of versions that it speaks over HTTP, the newest first.
    #[must_use]
    pub fn protocols(&self) -> Vec<Protocol> {
        let http = self.interfaces.iter().filter(|interface| interface.http_url().is_some());
        let mut protocols: Vec<_> = http.filter_map(Interface::protocol).collect();
        protocols.sort_unstable();
        protocols.dedup();
        protocols
    }

    /// The interface that a request of this binding and version is for; the first if there are more.
    #[must_use]
    pub fn interface(&self, binding: &Binding, protocol: Protocol) -> Option<&Interface> {
        let fits =
            |interface: &&Interface| interface.binding == *binding && interface.protocol() == Some(protocol);
        self.interfaces.iter().filter(|interface| interface.http_url().is_some()).find(fits)
    }

    /// The ids of its skills, in their order.
    #[must_use]
    pub fn skills(&self) -> &[String] {
        &self.skills
    }

    /// Whether it says that it streams.
    #[must_use]
    pub fn streams(&self) -> bool {
        self.value["capabilities"]["streaming"] == Value::Bool(true)
    }

    /// Whether its owner signed it.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        !list(&self.value, "signatures").is_empty()
    }
}

fn skills(value: &Value, found: &mut Found) -> Vec<String> {
    let listed = list(value, "skills");
    if listed.len() > ENTRIES_MAX {
        found.add("skills", Problem::TooMany { found: listed.len(), max: ENTRIES_MAX });
        return Vec::new();
    }
    let mut skills = Vec::new();
    for (index, skill) in listed.iter().enumerate() {
        let path = format!("skills[{index}].id");
        match skill.get("id") {
            None | Some(Value::Null) if skill.is_object() => found.add(path, Problem::Missing),
            Some(Value::String(id)) if id.is_empty() => found.add(path, Problem::Empty),
            Some(Value::String(id)) => skills.push(id.clone()),
            _ => {}
        }
    }
    skills
}

/// The interfaces of a 1.0 card.
fn interfaces(value: &Value, found: &mut Found) -> Vec<Interface> {
    let listed = list(value, "supportedInterfaces");
    if listed.len() > ENTRIES_MAX {
        found.add("supportedInterfaces", Problem::TooMany { found: listed.len(), max: ENTRIES_MAX });
        return Vec::new();
    }
    let one = |(index, interface): (usize, &Value)| {
        let path = format!("supportedInterfaces[{index}]");
        let binding = required(interface, "protocolBinding", &path, found).map(|name| Binding::of(&name));
        let url = required(interface, "url", &path, found);
        let version = text(interface, "protocolVersion").unwrap_or(Protocol::V1.version()).to_owned();
        let tenant = text(interface, "tenant").map(ToOwned::to_owned);
        let interface = Interface { url: url?, binding: binding?, version, tenant };
        check_url(&interface, &path, found);
        Some(interface)
    };
    listed.iter().enumerate().filter_map(one).collect()
}

/// The interfaces of an older card: `url` in the preferred transport, then the additional ones.
fn old_interfaces(value: &Value, found: &mut Found) -> Vec<Interface> {
    let version = text(value, "protocolVersion").unwrap_or(Protocol::V0.version()).to_owned();
    let interface = |url: String, transport: &str| {
        let binding = Binding::of(transport);
        Interface { url, binding, version: version.clone(), tenant: None }
    };
    let mut interfaces = Vec::new();
    if let Some(url) = required(value, "url", "", found) {
        let preferred = interface(url, text(value, "preferredTransport").unwrap_or("JSONRPC"));
        check_url(&preferred, "", found);
        interfaces.push(preferred);
    }
    let listed = list(value, "additionalInterfaces");
    if listed.len() > ENTRIES_MAX {
        found.add("additionalInterfaces", Problem::TooMany { found: listed.len(), max: ENTRIES_MAX });
        return interfaces;
    }
    for (index, entry) in listed.iter().enumerate() {
        let path = format!("additionalInterfaces[{index}]");
        let transport = required(entry, "transport", &path, found);
        let url = required(entry, "url", &path, found);
        if let (Some(url), Some(transport)) = (url, transport) {
            let additional = interface(url, &transport);
            check_url(&additional, &path, found);
            interfaces.push(additional);
        }
    }
    interfaces
}

/// A member that must be a text that is not empty. Another type is a fault that is known already.
fn required(value: &Value, name: &str, path: &str, found: &mut Found) -> Option<String> {
    match value.get(name) {
        None | Some(Value::Null) if value.is_object() => {
            found.add(json::member(path, name), Problem::Missing);
            None
        }
        Some(Value::String(text)) if text.is_empty() => {
            found.add(json::member(path, name), Problem::Empty);
            None
        }
        Some(Value::String(text)) => Some(text.clone()),
        _ => None,
    }
}

/// What is spoken to over HTTP has an http or https URL. Others have addresses of their own.
fn check_url(interface: &Interface, path: &str, found: &mut Found) {
    if interface.binding.is_http() && OperatorUrl::parse(&interface.url).is_err() {
        let shown = interface.url.chars().take(80).collect();
        found.add(json::member(path, "url"), Problem::NotAUrl(shown));
    }
}

#[cfg(test)]
mod tests;
