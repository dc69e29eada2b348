use serde_json::{Value, json};

/// Where the interfaces of a built-in agent's card are. Nothing is there: who exposes the agent writes other URLs.
pub const BUILTIN_URL: &str = "althing:builtin";

/// What a card says of an agent, beside what its owner chose.
pub(crate) struct Kind {
    /// Name, and id of the skill, where the owner gave none.
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) input_modes: &'static [&'static str],
    pub(crate) output_modes: &'static [&'static str],
}

/// An A2A 1.0 card. Nothing in it is at its default, so it can be signed.
pub(crate) fn card(kind: &Kind, name: &str, description: &str, skills: &[impl AsRef<str>]) -> Value {
    let description = if description.is_empty() { kind.description } else { description };
    let ids = skills.iter().map(AsRef::as_ref).filter(|id| !id.is_empty());
    let mut skills: Vec<_> = ids.map(|id| skill(id, description)).collect();
    if skills.is_empty() {
        skills.push(skill(kind.name, description));
    }
    let interface =
        |binding| json!({"url": BUILTIN_URL, "protocolBinding": binding, "protocolVersion": "1.0"});
    json!({
        "name": if name.is_empty() { kind.name } else { name },
        "description": description,
        "version": env!("CARGO_PKG_VERSION"),
        "supportedInterfaces": [interface("JSONRPC"), interface("HTTP+JSON")],
        "capabilities": {"streaming": true},
        "defaultInputModes": kind.input_modes,
        "defaultOutputModes": kind.output_modes,
        "skills": skills,
    })
}

/// A skill named after its path, with the path's segments as tags.
fn skill(id: &str, description: &str) -> Value {
    let mut tags: Vec<_> = id.split('/').filter(|segment| !segment.is_empty()).collect();
    if tags.is_empty() {
        tags.push(id);
    }
    json!({"id": id, "name": id, "description": description, "tags": tags})
}
