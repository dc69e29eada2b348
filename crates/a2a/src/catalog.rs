use althing_record::AgentId;
use serde_json::{Value, json};
use url::Url;

/// The media type of a catalog.
pub const CATALOG_MEDIA_TYPE: &str = "application/ai-catalog+json";

/// The media type of an A2A AgentCard, in a catalog.
pub const CARD_MEDIA_TYPE: &str = "application/a2a-agent-card+json";

/// The version of the AI Catalog specification that [`catalog`] follows.
const SPEC_VERSION: &str = "0.9";

/// Most agents of one catalog.
pub const CATALOG_ENTRIES_MAX: usize = 1_024;

/// An agent in a catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogEntry {
    /// Who it is.
    pub agent: AgentId,
    /// Where its card is served.
    pub card: Url,
    /// The ids of its skills.
    pub skills: Vec<String>,
}

/// The document at `/.well-known/ai-catalog.json`: the agents that a node exposes, as AI Catalog 0.9 (release candidate of
/// November 2026) lists them. Names, descriptions and versions are left to the cards, as it recommends. Of more agents than
/// [`CATALOG_ENTRIES_MAX`] the first are listed.
#[must_use]
pub fn catalog(host_name: &str, entries: &[CatalogEntry]) -> Value {
    let entry = |entry: &CatalogEntry| {
        let mut value = json!({
            "identifier": entry.agent.to_string(),
            "type": CARD_MEDIA_TYPE,
            "url": entry.card.as_str(),
        });
        if !entry.skills.is_empty() {
            value["tags"] = entry.skills.as_slice().into();
        }
        value
    };
    let entries: Vec<_> = entries.iter().take(CATALOG_ENTRIES_MAX).map(entry).collect();
    json!({"specVersion": SPEC_VERSION, "host": {"displayName": host_name}, "entries": entries})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_catalog_lists_agents_by_their_cards() {
        let agent: AgentId = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp".parse().unwrap();
        let card = Url::parse("http://127.0.0.1:4500/a2a/agents/x/.well-known/agent-card.json").unwrap();
        let entry = CatalogEntry { agent, card, skills: vec!["text/upper".into()] };
        assert_eq!(
            catalog("a node", &[entry.clone(), CatalogEntry { skills: Vec::new(), ..entry.clone() }])
                .to_string(),
            concat!(
                r#"{"specVersion":"0.9","host":{"displayName":"a node"},"entries":["#,
                r#"{"identifier":"did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp","#,
                r#""type":"application/a2a-agent-card+json","#,
                r#""url":"http://127.0.0.1:4500/a2a/agents/x/.well-known/agent-card.json","tags":["text/upper"]},"#,
                r#"{"identifier":"did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp","#,
                r#""type":"application/a2a-agent-card+json","#,
                r#""url":"http://127.0.0.1:4500/a2a/agents/x/.well-known/agent-card.json"}]}"#,
            )
        );
        let many = vec![entry; CATALOG_ENTRIES_MAX + 1];
        assert_eq!(catalog("a node", &many)["entries"].as_array().unwrap().len(), CATALOG_ENTRIES_MAX);
    }
}
