use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use althing_a2a::OperatorUrl;
use althing_card::SkillPath;
use althing_record::AgentId;

use crate::cli::session::quoted;

/// Longest name that a node gives an agent, in characters.
const NAME_CHARS_MAX: usize = 64;

/// Whom to call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// This agent.
    Agent(AgentId),
    /// The agent that the node knows by this name.
    Name(String),
    /// The best agent with this skill.
    Skill(SkillPath),
    /// An agent outside of the mesh.
    Outside(OutsideAgent),
}

/// An agent that is called directly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OutsideAgent {
    pub(crate) card: CardAt,
    /// Whether it may have any certificate.
    pub(crate) insecure: bool,
}

/// Where a card is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CardAt {
    Url(OperatorUrl),
    File(PathBuf),
}

impl Target {
    /// The path of its door, which ends in a slash.
    ///
    /// # Errors
    /// With the agent, if it is outside of the mesh and has none.
    pub(crate) fn door(&self) -> Result<String, &OutsideAgent> {
        Ok(match self {
            Self::Agent(agent) => format!("/a2a/agents/{agent}/"),
            Self::Name(name) => format!("/a2a/agents/{name}/"),
            Self::Skill(skill) => format!("/a2a/skills/{}/", skill.as_str().replace('/', "~")),
            Self::Outside(agent) => return Err(agent),
        })
    }

    /// Reads a URL or a file of a card, or else what names an agent of the mesh.
    pub(crate) fn of_card(text: &str) -> Result<Self, String> {
        let outside = |card| Self::Outside(OutsideAgent { card, insecure: false });
        if text.starts_with("did:") {
            return text.parse();
        }
        if text.contains("://") {
            let url = OperatorUrl::parse(text).map_err(|error| error.to_string())?;
            return Ok(outside(CardAt::Url(url)));
        }
        if text.contains('/') || text.ends_with(".json") {
            return Ok(outside(CardAt::File(text.into())));
        }
        text.parse().map_err(|error| format!("expected a URL or a file of a card, or {error}"))
    }

    /// The same agent with whatever certificate it has.
    pub(crate) fn insecure(self) -> Result<Self, String> {
        match self {
            Self::Outside(OutsideAgent { card: CardAt::Url(url), .. }) if url.url().scheme() == "https" => {
                Ok(Self::Outside(OutsideAgent { card: CardAt::Url(url), insecure: true }))
            }
            Self::Outside(_) | Self::Agent(_) | Self::Name(_) | Self::Skill(_) => {
                Err("--insecure is for an agent that --agent-card names by an https URL".to_owned())
            }
        }
    }
}

impl fmt::Display for Target {
    /// As commands take it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent(agent) => agent.fmt(f),
            Self::Name(name) => f.write_str(name),
            Self::Skill(skill) => write!(f, "--skill {skill}"),
            Self::Outside(OutsideAgent { card, insecure }) => {
                let card = match card {
                    CardAt::Url(url) => quoted(url.url().as_str()),
                    CardAt::File(path) => quoted(&path.display().to_string()),
                };
                write!(f, "--agent-card {card}{}", if *insecure { " --insecure" } else { "" })
            }
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("did:") {
            return text
                .parse()
                .map(Self::Agent)
                .map_err(|error| format!("expected an agent (did:key:…): {error}"));
        }
        let is_plain = |char: char| char.is_ascii_alphanumeric() || "-_.".contains(char);
        let is_name = text.chars().all(is_plain) && text.chars().any(char::is_alphanumeric);
        if is_name && text.len() <= NAME_CHARS_MAX {
            return Ok(Self::Name(text.to_owned()));
        }
        Err("expected an agent (did:key:…), or its name at this node: letters, digits, -, _ and .".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doors_are_below_the_paths_of_agents_and_skills() {
        let did = AgentId([9; 32]).to_string();
        assert_eq!(did.parse::<Target>().unwrap().door().unwrap(), format!("/a2a/agents/{did}/"));
        assert_eq!("babel".parse::<Target>().unwrap().door().unwrap(), "/a2a/agents/babel/");
        let skill = Target::Skill("text/translate/fr".parse().unwrap());
        assert_eq!(skill.door().unwrap(), "/a2a/skills/text~translate~fr/");
        assert_eq!(skill.to_string(), "--skill text/translate/fr");
    }

    #[test]
    fn cards_are_urls_or_files_and_have_no_door() {
        for text in
            ["https://agent.example/", "http://127.0.0.1:9999/card", "card.json", "./card", "/tmp/card"]
        {
            let target = Target::of_card(text).unwrap();
            assert!(target.door().is_err(), "{text}");
            assert_eq!(target.to_string(), format!("--agent-card {text}"));
        }
        assert_eq!(Target::of_card("babel").unwrap(), Target::Name("babel".to_owned()));
        for text in ["", "..", "a b", "did:web:example.org", "ftp://x/", "http://", "http://a:b@c/"] {
            assert!(Target::of_card(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_neither_a_did_nor_a_name_is_refused() {
        for text in
            ["", "..", "a/b", "did:web:example.org", "http://127.0.0.1:9999", "a b", "%2e", &"a".repeat(65)]
        {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}
